"""``/verify…``: anybody checks a work order: genuine, superseded, altered or not ours.

The pages tell no more than the paper in the reader's hand does.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from fieldapp import reports
from fieldapp.models import Organisation, Report, Visit, db
from fieldapp.pages import server_page
from fieldapp.rates import limiter, per_minute
from sync import seal
from sync.problems import Problem

bp = Blueprint("verify", __name__, url_prefix="/verify")

EXIT_CODES = {"genuine": 0, "superseded": 1, "altered": 1, "not-ours": 2}
SENTENCES = {
    "genuine": "Genuine: this is the newest revision of the work order, unchanged.",
    "superseded": "Superseded: unchanged, but there is a newer revision of the work order.",
    "altered": "Altered: this file is not what was sealed. Do not rely on it.",
    "not-ours": "Not ours: this file was not sealed here.",
}
_TOKEN = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Finding:
    """What was found about a file: an outcome of ``sync.seal.judge`` and its details."""

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

    Raises Problem("report.timeout") or Problem("report.failed") for a file made to be slow.
    """
    told = reports.pool().inspect(pdf, reports.certificates_pem())
    digest = seal.digest_of(pdf)
    known = db.session.scalars(
        select(Report).where((Report.sha256 == digest) | (Report.token == told["token"]))
    ).all()
    tokens = {report.token for report in known}
    revisions = db.session.scalars(select(Report).where(Report.token.in_(tokens))).all()
    verdict = seal.judge(
        digest,
        told["seal"],
        told["token"],
        [seal.KnownRevision(one.token, one.revision, one.sha256) for one in revisions],
    )
    at = told["seal"].signed_at
    return Finding(
        outcome=verdict.outcome,
        reason=verdict.reason,
        revision=verdict.revision,
        latest=verdict.latest,
        sha256=digest,
        signer_name=told["seal"].signer_name,
        signed_at=at.isoformat() if at else None,
    )


@bp.get("")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def show_form() -> ResponseReturnValue:
    """Where a file can be checked."""
    return server_page("verify/file.html", found=None)


@bp.post("")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def create_verification() -> ResponseReturnValue:
    """Check an uploaded file; it is not kept."""
    file = request.files.get("file")
    if file is None or not file.filename:
        raise Problem("form.incomplete")
    found = verdict_of(file.stream.read(current_app.config["BLOB_BYTES"]))
    return server_page("verify/file.html", found=found)


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
    asked = next((one for one in known if one.revision == revision), latest)
    if latest is None or asked is None:
        return server_page("verify/work_order.html", asked=None, latest=None), 404
    owner = db.session.get_one(Organisation, asked.org_id)
    visit = db.session.get_one(Visit, asked.visit_id)
    number = visit.work_order.number if visit.work_order else None
    return server_page(
        "verify/work_order.html", asked=asked, latest=latest, owner=owner, number=number
    )
