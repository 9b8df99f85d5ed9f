"""Which files of a paper are genuine: what it is, and what it was."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from fieldapp.database import begin_writing, insert_new
from fieldapp.models import Report, ReportFile, db


def digests_of(report: Report) -> set[str]:
    """The SHA-256 of every file that the paper is or was."""
    files = select(ReportFile.sha256).where(ReportFile.report_id == report.id)
    return {report.sha256, *db.session.scalars(files)}


def is_registered(report_id: str, sha256: str) -> bool:
    """Whether the paper was such a file besides the one that it is; no transaction stays open."""
    found = db.session.get(ReportFile, sha256)
    is_its = found is not None and found.report_id == report_id
    db.session.rollback()
    return is_its


def register(report_id: str, *digests: str) -> None:
    """Note files of a paper, before they are written: whenever a process dies, they are known."""
    begin_writing()
    org_id = db.session.get_one(Report, report_id).org_id
    table: Any = ReportFile.__table__
    for digest in digests:
        values = {"sha256": digest, "report_id": report_id, "org_id": org_id}
        db.session.execute(insert_new(table).values(values))
    db.session.commit()
