"""The paper of a visit: when it is due, how it is sealed, and where it is kept."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, TimeoutError

from fieldapp import __version__, blobs, hindrances, jobs, keys, sources
from fieldapp.database import begin_reading, begin_writing
from fieldapp.ids import is_token, mint_id
from fieldapp.letterhead import letterhead_of
from fieldapp.mail import copies_of
from fieldapp.models import (
    Blob,
    BlobReference,
    Organisation,
    Report,
    ReportSource,
    Visit,
    db,
)
from fieldapp.paper import content_of
from fieldapp.perform import journal_of, unit
from fieldapp.policies import load_policy
from fieldapp.register import digests_of
from fieldapp.rendering import RenderPool
from fieldapp.sealing import SealJob
from sync import photos, seal_check
from sync.canonical import sha256
from sync.catalogue import ON_PAPER
from sync.operation import iso
from sync.papers import DISPATCH_ORDER, papers_of
from sync.problems import Problem
from sync.tables import journal
from sync.verdict import digest_of

log = logging.getLogger(__name__)

DUE_DAYS = 90
"""Papers sealed in these days are asked whether they are the newest; older ones hardly grow."""

DATABASE_TROUBLE = (OperationalError, InterfaceError, TimeoutError)
"""The database is busy, full or away: no visit's fault, and nothing can be noted there."""


def pool() -> RenderPool:
    """The processes of this server that make and inspect papers."""
    held = current_app.extensions
    if "render_pool" not in held:
        held["render_pool"] = RenderPool(
            current_app.config["RENDER_WORKERS"], seconds=current_app.config["RENDER_SECONDS"]
        )
    found: RenderPool = held["render_pool"]
    return found


def paper_file(visit_id: str, revision: int, name: str) -> str:
    """Where a paper of a sealed revision is kept among the blobs."""
    # before there were several the dispatch order was the only one, and had no name
    suffix = "" if name == DISPATCH_ORDER else f"-{name}"
    return f"reports/{visit_id}/{revision}{suffix}.pdf"


def read_paper(report: Report) -> bytes | None:
    """The bytes of a sealed paper; None when the file is lost."""
    return blobs.read(report.org_id, paper_file(report.visit_id, report.revision, report.name))


def make_report(visit_id: str) -> list[Report]:
    """Seal the papers of a visit as it stands now; none when there is nothing new to seal.

    They are due once the customer signed and every operation the signature covers is here, or
    once the engineer noted a refusal and left.  While photos are on their way a little patience
    spares the customer a second revision.  What was sealed and then withdrawn gets a revision that
    says so.  What keeps a paper from being made is noted (``fieldapp.hindrances``) and stops
    nobody else; only the database's own trouble is raised.
    """
    now = datetime.now(UTC)
    if hindrances.is_left_alone(visit_id, now):
        return []
    try:
        sealed = _make_report(visit_id, now)
    except DATABASE_TROUBLE:
        raise
    except Exception as error:
        db.session.rollback()
        log.warning("no paper of visit %s: %s", visit_id, error, exc_info=error)
        hindrances.note(visit_id, error, now)
        return []
    if sealed is None:
        return []
    hindrances.clear(visit_id, now)
    return sealed


def _make_report(visit_id: str, now: datetime) -> list[Report] | None:
    """None while photos are waited for: nothing is known yet of whether a paper can be made."""
    begin_reading()  # the state and what was sealed of it are those of one moment
    visit = db.session.get(Visit, visit_id)
    if visit is None or visit.work_order is None or not visit.state:
        return []
    earlier = db.session.scalars(
        select(Report).where(Report.visit_id == visit_id).order_by(Report.revision)
    ).all()
    content = content_of(visit, is_sealed=bool(earlier))
    if content is None:
        return []
    waiting = [name for name, state in content["photos"].items() if state == "to-come"]
    patience = current_app.config["PHOTO_PATIENCE_SECONDS"]
    if waiting and _seconds_since_news(visit, now) < patience:
        jobs.enqueue("report", visit_id, delay_seconds=patience)
        return None
    content_sha256 = _digest(content)
    if earlier and earlier[-1].content_sha256 == content_sha256:
        return []
    org_id = visit.org_id
    copies = {
        name: blobs.read(org_id, f"{name}.jpg")
        for name, state in content["photos"].items()
        if state == "shown"
    }
    if _make_missing(org_id, copies):
        return _make_report(visit_id, now)
    sealed = _seal(visit, content, content_sha256, list(earlier), copies, now)
    if sealed:
        with unit(org_id, now) as opened:
            opened.touch(visit_id)
    return sealed


def find_due(now: datetime) -> list[str]:
    """Ids of visits whose paper may be missing or behind: the jobs of a crash are lost.

    Nothing was sealed although somebody signed or refused; or something that stands on paper, or a
    photo, came after the newest seal.  Papers that failed are left alone until they are due again.
    """
    asked = select(journal.c.visit_id).where(
        journal.c.visit_id == Visit.id,
        journal.c.org_id == Visit.org_id,
        journal.c.kind.in_(("signature", "refusal")),
    )
    sealed = select(Report.id).where(Report.visit_id == Visit.id)
    never = select(Visit.id).where(
        Visit.status != "planned", Visit.work_order_id.is_not(None),
        ~sealed.exists(), asked.exists(),
    )  # fmt: skip
    due = set(db.session.scalars(never))
    kinds = [name for name, on_paper in ON_PAPER.items() if on_paper != "never"]
    is_recent = Report.sealed_at > now - timedelta(days=DUE_DAYS)
    entries = db.session.execute(
        select(Report.visit_id, func.max(Report.sealed_at), func.max(journal.c.received_ms))
        .join(
            journal,
            (journal.c.org_id == Report.org_id) & (journal.c.visit_id == Report.visit_id),
        )
        .where(is_recent, journal.c.kind.in_(kinds))
        .group_by(Report.visit_id)
    )
    due.update(id_ for id_, sealed_at, ms in entries if ms >= int(sealed_at.timestamp() * 1000))
    photos_here = db.session.execute(
        select(Report.visit_id, func.max(Report.sealed_at), func.max(Blob.complete_at))
        .join(BlobReference, BlobReference.visit_id == Report.visit_id)
        .join(Blob, (Blob.org_id == BlobReference.org_id) & (Blob.sha256 == BlobReference.sha256))
        .where(is_recent, Blob.complete_at.is_not(None))
        .group_by(Report.visit_id)
    )
    due.update(id_ for id_, sealed_at, at in photos_here if at is not None and at >= sealed_at)
    return sorted(due - hindrances.left_alone(now))


def make_print_copy(org_id: str, name: str) -> None:
    """Make the copy of a photo that pages and papers show, or note why there is none."""
    blob = db.session.get(Blob, (org_id, name))
    data = blobs.read(org_id, name)
    if blob is None or data is None:
        return
    try:
        blobs.write(org_id, f"{name}.jpg", photos.print_copy(data))
    except Problem as problem:
        begin_writing()
        blob.problem = problem.code
        db.session.commit()
    visits = blobs.visits_with(org_id, name)
    if visits:
        with unit(org_id, datetime.now(UTC)) as opened:
            opened.hold(visits)
            for visit_id in visits:
                opened.refresh(visit_id)


def _digest(content: Mapping[str, Any]) -> str:
    """What tells one revision from the next: all but the context.

    A signature binds its own; a refused visit's is the office's, and may change by itself.
    """
    said = dict(content) | {"snapshot": content["snapshot"]["facts"]}
    return sha256(json.dumps(said, sort_keys=True))


def _make_missing(org_id: str, copies: Mapping[str, bytes | None]) -> bool:
    """Make the print copies whose own job was lost or still waits; whether there were any."""
    missing = [
        name
        for name, copy in copies.items()
        if copy is None and blobs.read(org_id, name) is not None
    ]
    for name in missing:
        make_print_copy(org_id, name)
    return bool(missing)


def _seal(
    visit: Visit,
    content: Mapping[str, Any],
    content_sha256: str,
    earlier: list[Report],
    copies: Mapping[str, bytes | None],
    now: datetime,
) -> list[Report]:
    """Make, seal and register every paper of the next revision, or none of them."""
    owner = db.session.get_one(Organisation, visit.org_id)
    policy = load_policy(owner.policy)
    revision = earlier[-1].revision + 1 if earlier else 1
    token = earlier[0].token if earlier else _token(visit)
    common = dict(content) | {
        "revision": revision,
        "token": token,
        "verify_url": f"{current_app.config['PUBLIC_URL']}/verify/{token}/{revision}",
        "sealed_at": iso(int(now.timestamp() * 1000)),
        "organisation": letterhead_of(owner),
        "photos": _pictures(content["photos"], copies),
        "words": policy.vocabulary,
    }
    assert visit.work_order is not None
    job_type = _job_type(content) or visit.work_order.job_type
    names = papers_of(policy.papers(job_type), content["snapshot"]["facts"])
    previous = {name: _previous(earlier, name) for name in names}
    packed, pictures = sources.pack(common, previous)
    # made from what is kept: whatever packing changes, it changes now and not when one is lost
    common, _ = sources.unpack(packed, lambda _, sha256: pictures[sha256])
    sealed = {}
    for name in names:
        paper = common | {"name": name} | previous[name]
        sealed[name] = pool().render_sealed(paper, seal_job(paper, now), replace_missing=True)
    org_id, visit_id = visit.org_id, visit.id
    reports = [
        Report(
            id=mint_id(now),
            org_id=org_id,
            visit_id=visit_id,
            token=token,
            revision=revision,
            name=name,
            content_sha256=content_sha256,
            sha256=digest_of(pdf),
            unsealed_sha256=unsealed_sha256,
            awaits_timestamp=awaits_timestamp(pdf),
            sealed_at=now,
            verdict=_verdict(content),
        )
        for name, (pdf, unsealed_sha256) in sealed.items()
    ]
    source = ReportSource(
        visit_id=visit_id, revision=revision, org_id=org_id, made_by=__version__, packed=packed
    )
    letters = copies_of(visit_id, revision, now)
    letter_ids = [letter.id for letter in letters]
    begin_writing()
    db.session.add_all([*reports, source, *letters])
    try:
        # Who holds the revision writes its files: two seals of one content are never the same bytes
        db.session.flush()
        for name, (pdf, _) in sealed.items():
            blobs.write(org_id, paper_file(visit_id, revision, name), pdf)
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        log.info("revision %s of visit %s was sealed elsewhere", revision, visit_id)
        jobs.enqueue("report", visit_id)  # maybe from an older state
        return []
    except BaseException:
        db.session.rollback()
        raise
    for letter_id in letter_ids:
        jobs.enqueue("mail", letter_id)
    return reports


def _previous(earlier: list[Report], name: str) -> dict[str, Any]:
    """The newest paper of that name before, which goes along with the one that replaces it.

    One whose file is lost or damaged is only named: within a sealed paper it would pass for ours.
    """
    same = [report for report in earlier if report.name == name]
    if not same:
        return {"previous_sha256": None, "previous_pdf": None}
    pdf = read_paper(same[-1])
    if pdf is None or digest_of(pdf) not in digests_of(same[-1]):
        log.warning("revision %s of visit %s is lost", same[-1].revision, same[-1].visit_id)
        pdf = None
    return {"previous_sha256": same[-1].sha256, "previous_pdf": pdf}


def _job_type(content: Mapping[str, Any]) -> str:
    """What was signed; empty when the visit had no work order then."""
    return str(content["snapshot"]["context"]["work_order"]["job_type"] or "")


def _verdict(content: Mapping[str, Any]) -> str:
    if content["signatures"]:
        return str(content["signatures"][-1]["verdict"])
    return "refused" if content["refusal"] else "withdrawn"


def _token(visit: Visit) -> str:
    """The token of the first signature names the work order for ever; a refusal gets one here.

    So does what is no token, or another visit's: it comes from a phone.
    """
    for entry in visit.state["signatures"]:
        token = entry["value"]["token"]
        if is_token(token) and not db.session.scalar(
            select(Report.id).where(Report.token == token)
        ):
            return token
    return secrets.token_hex(16)


def seal_job(paper: Mapping[str, Any], now: datetime) -> SealJob:
    """How a paper is sealed at this moment."""
    private_pem, certificate_pem = keys.sealing_pem()
    return SealJob(
        private_pem=private_pem,
        certificate_pem=certificate_pem,
        signed_at=now,
        reason=str(paper["snapshot"]["context"]["work_order"]["number"] or paper["token"]),
        location=str(paper["organisation"]["name"]),
        timestamp_url=current_app.config["TIMESTAMP_URL"] or None,
    )


def awaits_timestamp(pdf: bytes) -> bool:
    """Whether the authority was silent when this was sealed."""
    return bool(current_app.config["TIMESTAMP_URL"]) and not seal_check.has_timestamp(pdf)


def _pictures(
    states: Mapping[str, str], copies: Mapping[str, bytes | None]
) -> dict[str, dict[str, Any]]:
    pictures: dict[str, dict[str, Any]] = {}
    for name, state in states.items():
        jpeg = copies.get(name)
        if state == "shown":
            pictures[name] = {"state": "shown", "jpeg": jpeg} if jpeg else {"state": "to-come"}
        else:
            pictures[name] = {"state": state}
    return pictures


def _seconds_since_news(visit: Visit, now: datetime) -> float:
    """Seconds since the last operation of the visit was received."""
    newest = max((row.received_ms for row in journal_of(visit)), default=0)
    return now.timestamp() - newest / 1000
