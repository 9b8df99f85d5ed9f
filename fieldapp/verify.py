"""``/verify``: anybody checks a file: genuine, superseded, unproven, altered or not ours.

The page tells no more than the paper in the reader's hand does.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy import or_, select
from werkzeug.exceptions import RequestEntityTooLarge

from fieldapp import keys, reports
from fieldapp.headers import keep_link
from fieldapp.models import Organisation, Report, ReportFile, db
from fieldapp.pages import server_page
from fieldapp.rates import limiter, per_minute
from sync import seal_key
from sync.problems import Problem
from sync.seal_check import LARGEST, SealVerdict, inspect
from sync.verdict import KnownRevision, digest_of, judge

bp = Blueprint("verify", __name__, url_prefix="/verify")
bp.after_request(keep_link)
log = logging.getLogger(__name__)

UPLOAD_BYTES = LARGEST
"""Largest file in bytes that the page takes."""

TURN_SECONDS = 1
"""How long a file waits for the one before it: slow files must not hold up the whole server."""

EXIT_CODES = {"genuine": 0, "superseded": 1, "unproven": 1, "altered": 1, "not-ours": 2}
SENTENCES = {
    "genuine": "Genuine: this is the newest revision of the work order, unchanged.",
    "superseded": "Superseded: unchanged, but there is a newer revision of the work order.",
    "unproven": "Unproven: register and seal of this file do not agree. Ask the office.",
    "altered": "Altered: this file is not what was sealed. Do not rely on it.",
    "not-ours": "Not ours: this file was not sealed here.",
}
_turn = threading.BoundedSemaphore(1)


@dataclass(frozen=True)
class Finding:
    """What was found about a file: an outcome of ``sync.verdict.judge`` and its details.

    ``reason`` is that of the outcome; for a file that is not ours it is that of its seal.
    """

    outcome: str
    reason: str
    revision: int | None
    latest: int | None
    sha256: str
    signer_name: str
    signed_at: str | None
    timestamp: str
    timestamp_at: str | None

    @property
    def exit_code(self) -> int:
        """For the console: 0 genuine, 1 altered, superseded or unproven, 2 not ours."""
        return EXIT_CODES[self.outcome]

    def as_data(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def text(self) -> str:
        """As a sentence."""
        return SENTENCES[self.outcome]


def verdict_of(pdf: bytes) -> Finding:
    """Whether ``pdf`` is a work order of this installation.

    A genuine one is in the register by the digest of its bytes, and its seal is whole, ours and
    around all of it.  What is not in the register is opened where it can do no harm; a file made to
    be slow is given up and not ours.  Raises Problem("server.busy") while another one is opened.
    """
    digest = digest_of(pdf)
    here = _registered(digest)
    if here is not None:
        token: str | None = here.token
        owner = db.session.get_one(Organisation, here.org_id)
        # these very bytes were opened when they were sealed
        told = inspect(pdf, keys.certificates(), keys.timestamp_certificates())
        told = replace(told, signer_name=owner.name)
    else:
        token, told = _opened(pdf)
    verdict = judge(digest, told, token, _known(token))
    return Finding(
        outcome=verdict.outcome,
        reason=told.reason if verdict.outcome == "not-ours" else verdict.reason,
        revision=verdict.revision,
        latest=verdict.latest,
        sha256=digest,
        signer_name=told.signer_name,
        signed_at=told.signed_at.isoformat() if told.signed_at else None,
        timestamp=told.timestamp,
        timestamp_at=told.timestamp_at.isoformat() if told.timestamp_at else None,
    )


def _registered(digest: str) -> Report | None:
    """The paper whose file this digest is, or was before its timestamp."""
    files = select(ReportFile.report_id).where(ReportFile.sha256 == digest)
    is_its = or_(Report.sha256 == digest, Report.id.in_(files))
    return db.session.scalars(select(Report).where(is_its)).first()


def _known(token: str | None) -> list[KnownRevision]:
    """Every file that was handed out for a work order."""
    papers = select(Report.token, Report.revision, Report.sha256)
    files = select(Report.token, Report.revision, ReportFile.sha256).join(
        ReportFile, ReportFile.report_id == Report.id
    )
    return [
        KnownRevision(*row)
        for asked in (papers, files)
        for row in db.session.execute(asked.where(Report.token == token))
    ]


def _opened(pdf: bytes) -> tuple[str | None, SealVerdict]:
    """Token and seal of a file from outside, opened in a process with limits, one at a time."""
    db.session.rollback()  # nobody waits for the file with a transaction open
    if not _turn.acquire(timeout=TURN_SECONDS):
        raise Problem("server.busy")
    try:
        inside = reports.pool().inspect(
            pdf,
            seal_key.pem_of(keys.certificates()),
            seal_key.pem_of(keys.timestamp_certificates()),
        )
        return inside["token"], inside["seal"]
    except Problem as problem:
        log.warning("a file could not be opened: %s %s", problem.code, problem.args_)
        return None, SealVerdict(False, False, "unreadable")
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


@bp.get("/root.crt")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def show_root() -> ResponseReturnValue:
    """The certificate that other programs trust to check papers by themselves, as DER."""
    chain = keys.sealing_chain()
    if not chain:
        raise Problem("page.unknown")
    response = Response(seal_key.der_of(chain[-1]), mimetype="application/pkix-cert")
    response.headers.set("Content-Disposition", "attachment", filename="root.crt")
    return response


def _file_page(found: Finding | None = None, trouble: str = "") -> str:
    """``trouble`` is why there was nothing to check: ``no-file`` or ``too-large``."""
    megabytes = UPLOAD_BYTES // 1_000_000
    return server_page(
        "verify/file.html", found=found, trouble=trouble, megabytes=megabytes, root=_root()
    )


def _root() -> dict[str, str] | None:
    """Whose certificate can be downloaded, and its fingerprint."""
    chain = keys.sealing_chain()
    if not chain:
        return None
    return {
        "name": seal_key.name_of(chain[-1]),
        "until": f"{chain[-1].not_valid_after_utc:%Y-%m-%d}",
        "fingerprint": seal_key.fingerprint(chain[-1]),
    }
