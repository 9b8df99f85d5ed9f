"""The paper of a visit: when it is due, what stands on it, and where it is kept."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from fieldapp import blobs, jobs
from fieldapp.database import begin_writing
from fieldapp.ids import mint_id
from fieldapp.languages import LANGUAGES
from fieldapp.models import Blob, BlobReference, Organisation, Report, Visit, db
from fieldapp.perform import received_of, unit
from fieldapp.policies import load_policy
from fieldapp.rendering import RenderPool, SealJob
from sync import photos, seal
from sync.canonical import canonical, sha256
from sync.catalogue import ON_PAPER
from sync.operation import iso
from sync.problems import Problem
from sync.snapshot import facts

log = logging.getLogger(__name__)

CORRECTED_SECONDS = 60
"""A corrected time is printed beside the phone's when they differ by this much."""

State = Mapping[str, Any]


def prepare_key(now: datetime) -> None:
    """Make the key that seals papers, unless this installation has one."""
    folder = _key_folder()
    if (folder / "seal.key.pem").exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = db.session.scalars(select(Organisation).limit(1)).first()
    key = seal.make_key(owner.name if owner else "fieldapp", from_at=now)
    (folder / "seal.crt.pem").write_bytes(key.certificate_pem())
    descriptor = os.open(folder / "seal.key.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_pem())


def certificates_pem() -> bytes:
    """Every certificate this installation ever sealed with."""
    return b"".join(path.read_bytes() for path in sorted(_key_folder().glob("*.crt.pem")))


def pool() -> RenderPool:
    """The processes of this server that make and inspect papers."""
    held = current_app.extensions
    if "render_pool" not in held:
        held["render_pool"] = RenderPool(
            current_app.config["RENDER_WORKERS"], seconds=current_app.config["RENDER_SECONDS"]
        )
    found: RenderPool = held["render_pool"]
    return found


def paper_name(visit_id: str, revision: int) -> str:
    """Where a sealed revision is kept among the blobs."""
    return f"reports/{visit_id}/{revision}.pdf"


def make_report(visit_id: str) -> Report | None:
    """Seal the paper of a visit as it stands now; None when there is nothing new to seal.

    A paper is due once the customer signed and every operation the signature covers is here, or
    once the engineer noted a refusal and left.  While photos are on their way a little patience
    spares the customer a second revision.
    """
    now = datetime.now(UTC)
    visit = db.session.get(Visit, visit_id)
    if visit is None or visit.work_order is None or not visit.state:
        return None
    content = _content(visit)
    if content is None:
        return None
    waiting = [name for name, state in content["photos"].items() if state == "to-come"]
    patience = current_app.config["PHOTO_PATIENCE_SECONDS"]
    if waiting and _seconds_since_news(visit, now) < patience:
        jobs.enqueue("report", visit_id, delay_seconds=patience)
        return None
    earlier = db.session.scalars(
        select(Report).where(Report.visit_id == visit_id).order_by(Report.revision)
    ).all()
    content_sha256 = sha256(canonical(content))
    if earlier and earlier[-1].content_sha256 == content_sha256:
        return None
    org_id = visit.org_id
    report = _seal(visit, content, content_sha256, list(earlier), now)
    if report is not None:
        with unit(org_id, now) as opened:
            opened.touch(visit_id)
    return report


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
    visits = db.session.scalars(
        select(BlobReference.visit_id)
        .where(BlobReference.org_id == org_id, BlobReference.sha256 == name)
        .distinct()
    ).all()
    if visits:
        with unit(org_id, datetime.now(UTC)) as opened:
            for visit_id in visits:
                opened.refresh(visit_id)


def _content(visit: Visit) -> dict[str, Any] | None:
    """Everything the paper says, as canonical JSON values; None while no paper is due."""
    state = visit.state
    signatures = [entry for entry in state["signatures"] if not entry["voids"]]
    refusals = [
        entry for entry in state["entries"] if entry["kind"] == "refusal" and not entry["voids"]
    ]
    signature = signatures[-1] if signatures else None
    if signature is not None:
        if signature["verdict"] == "pending":
            return None
        snapshot = _signed_snapshot(visit, signature["id"])
        language = signature["value"]["language"]
    elif refusals and state["visit"]["left_at"]:
        snapshot = {"facts": facts(state, ON_PAPER), "context": _context(visit)}
        language = snapshot["context"]["contact"]["language"]
    else:
        return None
    addenda = _addenda(state) if signature is not None else []
    return {
        "language": language if language in LANGUAGES else LANGUAGES[0],
        "snapshot": snapshot,
        "signature": _signature(signature) if signature is not None else None,
        "refusal": refusals[-1]["value"] if refusals and signature is None else None,
        "addenda": addenda,
        "corrected": _corrected(state, snapshot["facts"]),
        "photos": _photo_states(visit.org_id, snapshot["facts"], addenda),
        "notices": {
            entry["id"]: entry.get("notice")
            for entry in state["entries"]
            if entry["kind"] == "loaner"
        },
    }


def _signed_snapshot(visit: Visit, signature_id: str) -> dict[str, Any]:
    """The snapshot exactly as it was signed: the phone's bytes stay the evidence."""
    for item in received_of(visit):
        if item.operation.id == signature_id:
            snapshot: dict[str, Any] = json.loads(item.operation.value["snapshot"])
            return snapshot
    raise Problem("report.failed", reason="signature")


def _context(visit: Visit) -> dict[str, Any]:
    from fieldapp.context import context_of

    owner = db.session.get_one(Organisation, visit.org_id)
    return dict(context_of(visit, load_policy(owner.policy), datetime.now(UTC)))


def _signature(entry: Mapping[str, Any]) -> dict[str, Any]:
    value = entry["value"]
    return {
        "name": value["name"],
        "role": value["role"],
        "opinion": value["opinion"] or "",
        "strokes": value["strokes"],
        "wall_at": entry["wall_at"],
        "digest": value["digest"],
        "verdict": entry["verdict"],
    }


def _addenda(state: State) -> list[dict[str, Any]]:
    """What came after the signature and belongs on paper."""
    found = [
        {key: entry[key] for key in ("id", "kind", "author", "wall_at", "at", "value")}
        for entry in state["entries"]
        if entry["after"] and not entry["voids"]
    ]
    for entry in state["entries"]:
        if ON_PAPER.get(entry["kind"]) == "signed" and not entry["after"]:
            found += [_void(entry["id"], void) for void in entry["voids"] if void["after"]]
    for path, cell in state["fields"].items():
        if cell["after"]:
            side = cell["sides"][-1]
            common = {key: side[key] for key in ("author", "wall_at", "at")}
            found.append(
                {"id": side["operation"], "kind": "correction", "value": {path: cell["value"]}}
                | common
            )
    return sorted(found, key=lambda item: (item["at"], item["id"]))


def _void(entry_id: str, void: Mapping[str, Any]) -> dict[str, Any]:
    common = {key: void[key] for key in ("author", "wall_at", "at")}
    value = {"entry": entry_id, "reason": void["reason"]}
    return {"id": void["operation"], "kind": "void", "value": value} | common


def _corrected(state: State, signed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Entries whose phone's clock was off, with the office's time."""
    shown = {entry["id"] for entry in signed["entries"]}
    return [
        {"entry": entry["id"], "wall_at": entry["wall_at"], "corrected_at": entry["at"]}
        for entry in state["entries"]
        if entry["id"] in shown and _apart(entry["at"], entry["wall_at"]) >= CORRECTED_SECONDS
    ]


def _photo_states(
    org_id: str, signed: Mapping[str, Any], addenda: list[dict[str, Any]]
) -> dict[str, str]:
    """What can be shown of each photo: ``shown``, ``to-come`` or ``unreadable``."""
    entries = [*signed["entries"], *addenda]
    names = {str(item["value"]["sha256"]) for item in entries if item["kind"] == "photo"}
    held = {
        blob.sha256: blob
        for blob in db.session.scalars(
            select(Blob).where(Blob.org_id == org_id, Blob.sha256.in_(names))
        )
    }
    states = {}
    for name in sorted(names):
        blob = held.get(name)
        if blob is None or blob.complete_at is None:
            states[name] = "to-come"
        else:
            states[name] = "unreadable" if blob.problem else "shown"
    return states


def _seal(
    visit: Visit,
    content: Mapping[str, Any],
    content_sha256: str,
    earlier: list[Report],
    now: datetime,
) -> Report | None:
    revision = earlier[-1].revision + 1 if earlier else 1
    previous = blobs.read(visit.org_id, paper_name(visit.id, revision - 1)) if earlier else None
    token = earlier[0].token if earlier else _token(visit)
    owner = db.session.get_one(Organisation, visit.org_id)
    paper = dict(content) | {
        "revision": revision,
        "previous_sha256": earlier[-1].sha256 if earlier else None,
        "previous_pdf": previous,
        "token": token,
        "verify_url": f"{current_app.config['PUBLIC_URL']}/verify/{token}/{revision}",
        "sealed_at": iso(int(now.timestamp() * 1000)),
        "organisation": {"name": owner.name, "phone": owner.phone},
        "photos": _pictures(visit.org_id, content["photos"]),
        "words": load_policy(owner.policy).vocabulary,
    }
    pdf = pool().render(paper, _seal_job(paper, now), replace_missing=True)
    org_id, visit_id = visit.org_id, visit.id
    report = Report(
        id=mint_id(now),
        org_id=org_id,
        visit_id=visit_id,
        token=token,
        revision=revision,
        content_sha256=content_sha256,
        sha256=seal.digest_of(pdf),
        sealed_at=now,
        verdict=(content["signature"] or {"verdict": "refused"})["verdict"],
    )
    blobs.write(org_id, paper_name(visit_id, revision), pdf)
    begin_writing()
    db.session.add(report)
    try:
        db.session.commit()
    except IntegrityError:
        # Another worker sealed this revision first; its file is written again from the same facts.
        db.session.rollback()
        log.info("revision %s of visit %s was sealed elsewhere", revision, visit_id)
        return None
    return report


def _token(visit: Visit) -> str:
    """The token of the first signature names the work order for ever; a refusal gets one here."""
    for entry in visit.state["signatures"]:
        if entry["value"]["token"]:
            return str(entry["value"]["token"])
    return secrets.token_hex(16)


def _seal_job(paper: Mapping[str, Any], now: datetime) -> SealJob:
    folder = _key_folder()
    return SealJob(
        private_pem=(folder / "seal.key.pem").read_bytes(),
        certificate_pem=(folder / "seal.crt.pem").read_bytes(),
        signed_at=now,
        reason=str(paper["snapshot"]["context"]["work_order"]["number"] or paper["token"]),
        location=str(paper["organisation"]["name"]),
        timestamp_url=current_app.config["TIMESTAMP_URL"] or None,
    )


def _pictures(org_id: str, states: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    pictures: dict[str, dict[str, Any]] = {}
    for name, state in states.items():
        pictures[name] = {"state": state}
        if state == "shown":
            jpeg = blobs.read(org_id, f"{name}.jpg")
            if jpeg is None:
                original = blobs.read(org_id, name)
                jpeg = photos.print_copy(original) if original is not None else None
            pictures[name] = {"state": "shown", "jpeg": jpeg} if jpeg else {"state": "to-come"}
    return pictures


def _seconds_since_news(visit: Visit, now: datetime) -> float:
    """Seconds since the last operation of the visit was received."""
    from fieldapp.perform import journal_of

    newest = max((row.received_ms for row in journal_of(visit)), default=0)
    return now.timestamp() - newest / 1000


def _apart(one: str, other: str) -> float:
    difference = datetime.fromisoformat(one) - datetime.fromisoformat(other)
    return abs(difference.total_seconds())


def _key_folder() -> Path:
    return Path(current_app.config["INSTANCE"]) / "keys"
