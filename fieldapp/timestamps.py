"""Timestamps that come later: what was sealed while the authority was down gets one afterwards."""

from __future__ import annotations

import logging

from flask import current_app
from sqlalchemy import select

from fieldapp import blobs, keys
from fieldapp.database import begin_writing
from fieldapp.models import Report, db
from fieldapp.register import digests_of, register
from fieldapp.reports import paper_file, pool, read_paper
from sync import seal_check
from sync.problems import Problem
from sync.seal_key import pem_of
from sync.verdict import digest_of

log = logging.getLogger(__name__)


def add_timestamps() -> int:
    """Give every paper that waits for a timestamp its own; returns how many got one.

    An authority that is silent is asked for the first only: the others wait for the next time.  A
    paper that fails otherwise does not hold up the rest.
    """
    if not current_app.config["TIMESTAMP_URL"]:
        return 0
    count = 0
    for report_id in find_due():
        try:
            count += _add_timestamp(report_id)
        except Problem as problem:
            log.warning("no timestamp for %s: %s %s", report_id, problem.code, problem.args_)
            if problem.code == "seal.no-timestamp":
                break
    return count


def find_due() -> list[str]:
    """Ids of the papers that wait for a timestamp, the oldest first."""
    return list(
        db.session.scalars(
            select(Report.id).where(Report.awaits_timestamp).order_by(Report.sealed_at, Report.id)
        )
    )


def _add_timestamp(report_id: str) -> bool:
    """Add it, unless somebody else did meanwhile.

    The digest of what comes is registered before the file is written and the one of what was stays:
    whatever was handed out, and whenever this process dies, is known.
    """
    report = db.session.get_one(Report, report_id)
    before, known = read_paper(report), digests_of(report)
    db.session.rollback()  # nobody waits for the authority with a transaction open
    if before is None or digest_of(before) not in known:
        raise Problem("report.failed", reason="the file is lost or is not what was sealed")
    after = before
    if not seal_check.has_timestamp(before):  # it has when a process died between file and row
        after = pool().add_timestamp(
            before, pem_of(keys.certificates()), current_app.config["TIMESTAMP_URL"]
        )
    register(report_id, digest_of(before), digest_of(after))
    return _replace(report_id, digest_of(before), after)


def _replace(report_id: str, before: str, pdf: bytes) -> bool:
    """Put ``pdf`` in the place of the file ``before``, unless that is another one by now."""
    begin_writing()
    report = db.session.get_one(Report, report_id, with_for_update=True, populate_existing=True)
    there = read_paper(report)
    if not report.awaits_timestamp or there is None or digest_of(there) != before:
        db.session.rollback()
        return False
    blobs.write(report.org_id, paper_file(report.visit_id, report.revision, report.name), pdf)
    report.sha256 = digest_of(pdf)
    report.awaits_timestamp = False
    db.session.commit()
    return True
