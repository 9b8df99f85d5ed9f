"""``/verify…``: anybody checks a work order: genuine, superseded, altered or not ours.

The pages tell no more than the paper in the reader's hand does.
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import asdict, dataclass
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from werkzeug.exceptions import RequestEntityTooLarge

from fieldapp import reports
from fieldapp.models import Organisation, Report, Visit, db
from fieldapp.pages import server_page
from fieldapp.rates import limiter, per_minute
from sync import seal
from sync.problems import Problem

bp = Blueprint("verify", __name__, url_prefix="/verify")
log = logging.getLogger(__name__)

UPLOAD_BYTES = seal.LARGEST
"""Largest file in bytes that the page takes."""

TURN_SECONDS = 1
"""How long a file waits for the one before it: slow files must not hold up the whole server."""

EXIT_CODES = {"genuine": 0, "superseded": 1, "altered": 1, "not-ours": 2}
SENTENCES = {
    "genuine": "Genuine: this is the newest revision of the work order, unchanged.",
    "superseded": "Superseded: unchanged, but there is a newer revision of the work order.",
    "altered": "Altered: this file is not what was sealed. Do not rely on it.",
    "not-ours": "Not ours: this file was not sealed here.",
}
_TOKEN = re.compile("[0-9a-f]{32}")
_turn = threading.BoundedSemaphore(1)


@dataclass(frozen=True)
class Finding:
    """What was found about a file: an outcome of ``sync.seal.judge`` and its details.

    ``reason`` is that of the outcome; for a file that is not ours it is that of its seal.
    """

    outcome: str
    reason: str
    revision: int | None
    latest: int | None
    sha256: str
    signer_name: str
    signed_at: str | None

    @property
    def exit_code(self) -> int:
        """For the console: 0 genuine, 1 altered or superseded, 2 not ours."""
        return EXIT_CODES[self.outcome]

    def as_data(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def text(self) -> str:
        """As a sentence."""
        return SENTENCES[self.outcome]


def verdict_of(pdf: bytes) -> Finding:
    """Whether ``pdf`` is a work order of this installation.

    What was sealed here is known by its digest and need not be opened.  A file made to be slow is
    given up and not ours.  Raises Problem("server.busy") while another file is being opened.
    """
    digest = seal.digest_of(pdf)
    here = db.session.scalars(select(Report).where(Report.sha256 == digest)).first()
    if here is not None:
        owner = db.session.get_one(Organisation, here.org_id)
        token: str | None = here.token
        told = seal.SealVerdict(True, True, "", here.sealed_at, owner.name)
    else:
        token, told = _opened(pdf)
    revisions = db.session.scalars(select(Report).where(Report.token == token)).all()
    verdict = seal.judge(
        digest,
        told,
        token,
        [seal.KnownRevision(one.token, one.revision, one.sha256) for one in revisions],
    )
    return Finding(
        outcome=verdict.outcome,
        reason=told.reason if verdict.outcome == "not-ours" else verdict.reason,
        revision=verdict.revision,
        latest=verdict.latest,
        sha256=digest,
        signer_name=told.signer_name,
        signed_at=told.signed_at.isoformat() if told.signed_at else None,
    )


def _opened(pdf: bytes) -> tuple[str | None, seal.SealVerdict]:
    """Token and seal of a file from outside, opened in a process with limits, one at a time."""
    db.session.rollback()  # nobody waits for the file with a transaction open
    if not _turn.acquire(timeout=TURN_SECONDS):
        raise Problem("server.busy")
    try:
        inside = reports.pool().inspect(pdf, reports.certificates_pem())
        return inside["token"], inside["seal"]
    except Problem as problem:
        log.warning("a file could not be opened: %s %s", problem.code, problem.args_)
        return None, seal.SealVerdict(False, False, "unreadable")
    finally:
        _turn.release()


@bp.get("")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def show_form() -> ResponseReturnValue:
    """Where a file can be checked."""
    return _file_page()


@bp.post("")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def create_verification() -> ResponseReturnValue:
    """Check an uploaded file; it is not kept."""
    request.max_content_length = UPLOAD_BYTES
    try:
        file = request.files.get("file")
    except RequestEntityTooLarge:
        return _file_page(trouble="too-large"), 413
    if file is None or not file.filename:
        return _file_page(trouble="no-file"), 422
    return _file_page(verdict_of(file.stream.read()))


@bp.get("/<token>")
@bp.get("/<token>/<int:revision>")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def show_work_order(token: str, revision: int | None = None) -> ResponseReturnValue:
    """What the register says of the work order behind a QR code."""
    known = (
        db.session.scalars(
            select(Report).where(Report.token == token).order_by(Report.revision)
        ).all()
        if _TOKEN.fullmatch(token)
        else []
    )
    latest = known[-1] if known else None
    asked = next((one for one in known if one.revision == revision), None)
    if revision is None:
        asked = latest
    if latest is None or asked is None:
        return server_page("verify/work_order.html", asked=None, latest=None), 404
    owner = db.session.get_one(Organisation, asked.org_id)
    visit = db.session.get_one(Visit, asked.visit_id)
    number = visit.work_order.number if visit.work_order else None
    return server_page(
        "verify/work_order.html", asked=asked, latest=latest, owner=owner, number=number
    )


def _file_page(found: Finding | None = None, trouble: str = "") -> str:
    """``trouble`` is why there was nothing to check: ``no-file`` or ``too-large``."""
    megabytes = UPLOAD_BYTES // 1_000_000
    return server_page("verify/file.html", found=found, trouble=trouble, megabytes=megabytes)
