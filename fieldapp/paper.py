"""What stands on the paper of a visit: what was signed, and what belongs beside it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from fieldapp import blobs
from fieldapp.context import context_of
from fieldapp.languages import LANGUAGES
from fieldapp.models import Blob, Organisation, Visit, db
from fieldapp.perform import received_of
from fieldapp.policies import load_policy
from sync import merge
from sync.canonical import canonical
from sync.catalogue import ON_PAPER
from sync.changed import ENGINEER
from sync.missing import to_sign
from sync.operation import CUSTOMER, Received
from sync.papers import BOTH
from sync.problems import Problem
from sync.snapshot import facts

log = logging.getLogger(__name__)

CORRECTED_SECONDS = 60
"""A corrected time is printed beside the phone's when they differ by this much."""

State = Mapping[str, Any]
Signed = tuple[Mapping[str, Any], dict[str, Any]]
"""A signature and the snapshot it stands on."""

_SIGNED_TEXTS = ("name", "role", "opinion")
_MOMENT = re.compile(r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z")


def content_of(visit: Visit, *, is_sealed: bool) -> dict[str, Any] | None:
    """Everything the paper says, as canonical JSON values; None while no paper is due.

    The newest signature of the customer's side that is complete makes it.
    """
    state = visit.state
    received = received_of(visit)
    signed = [
        (entry, snapshot)
        for entry in state["signatures"]
        if entry["verdict"] != "pending"
        and (snapshot := _signed_snapshot(visit, received, entry)) is not None
    ]
    standing = [one for one in signed if not one[0]["voids"]]
    if standing:
        if not is_sealed and _is_to_be_signed(visit):
            return None
        maker = _maker(standing)
        entry, snapshot = standing[maker]
        addenda = _addenda(received, entry, visit.id)
        return _filled(
            visit, snapshot, entry["value"]["language"], addenda, signed=standing, maker=maker
        )
    if any(entry["verdict"] == "pending" and not entry["voids"] for entry in state["signatures"]):
        return None
    refusals = [entry for entry in state["entries"] if entry["kind"] == "refusal"]
    refused = [entry for entry in refusals if not entry["voids"]]
    now = {"facts": facts(state, ON_PAPER), "context": _context(visit)}
    language = now["context"]["contact"]["language"]
    if refused and state["visit"]["left_at"]:
        return _filled(visit, now, language, [], refusal=refused[-1])
    if not is_sealed:
        return None
    if signed:
        entry, snapshot = signed[-1]
        addenda = _addenda(received, entry, visit.id) + _withdrawn([one for one, _ in signed])
        return _filled(visit, snapshot, entry["value"]["language"], addenda)
    return _filled(visit, now, language, _withdrawn(refusals))


def _filled(
    visit: Visit,
    snapshot: dict[str, Any],
    language: Any,
    addenda: list[dict[str, Any]],
    *,
    signed: Sequence[Signed] = (),
    maker: int = 0,
    refusal: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    entries = visit.state["entries"]
    return _numbers(visit, snapshot["context"]) | {
        "language": _language(visit, language),
        "snapshot": snapshot,
        "signatures": _signatures(signed, maker),
        "refusal": refusal["value"] if refusal else None,
        "addenda": sorted(addenda, key=lambda item: item["at"]),
        "corrected": _corrected(visit.state, snapshot["facts"]),
        "photos": _photo_states(visit.org_id, snapshot["facts"], addenda),
        "notices": {
            entry["id"]: entry.get("notice") for entry in entries if entry["kind"] == "loaner"
        },
    }


def _language(visit: Visit, asked: Any) -> str:
    """The customer's language, unless the organisation's papers speak both."""
    owner = db.session.get_one(Organisation, visit.org_id)
    if load_policy(owner.policy).data["paper_language"] == BOTH:
        return BOTH
    return str(asked) if asked in LANGUAGES else LANGUAGES[0]


def _is_to_be_signed(visit: Visit) -> bool:
    """Whether the engineer is still there and somebody who must sign has not signed."""
    if visit.state["visit"]["left_at"]:
        return False
    owner = db.session.get_one(Organisation, visit.org_id)
    state = visit.state | {"context": _context(visit)}
    return bool(to_sign(state, load_policy(owner.policy).data))


def _maker(signed: Sequence[Signed]) -> int:
    """Which signature makes the paper: the newest of the customer's side.

    The engineer's own only without any: what the customer signed stands there as he signed it.
    """
    roles = [entry["value"].get("role") for entry, _ in signed]
    theirs = [number for number, role in enumerate(roles) if role != ENGINEER]
    return theirs[-1] if theirs else len(signed) - 1


def _signatures(signed: Sequence[Signed], maker: int) -> list[dict[str, Any]]:
    """Every signature in its order, the one that makes the paper last.

    ``covers`` says whether it stands on the ``same`` facts as the paper, on ``earlier`` ones or on
    ``later`` ones.
    """
    told = []
    for number, (entry, own) in enumerate(signed):
        is_same = canonical(own["facts"]) == canonical(signed[maker][1]["facts"])
        covers = "same" if is_same else "earlier" if number < maker else "later"
        told.append(_signature(entry) | {"covers": covers})
    return [*told[:maker], *told[maker + 1 :], *told[maker : maker + 1]]


def _numbers(visit: Visit, context: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a visit that was signed before it had any: nobody signed them."""
    if context["work_order"]["id"] or visit.work_order is None:
        return {}
    order = visit.work_order
    numbers = {"id": order.id, "number": order.number, "request": order.request.number}
    return {"given": numbers}


def _signed_snapshot(
    visit: Visit, received: Sequence[Received], signature: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The snapshot exactly as it was signed: the phone's bytes stay the evidence.

    None when no paper can be laid out from it, which only a mismatch can be: nothing can be printed
    that the customer saw, and the flag asks for a person.
    """
    operation = merge.one_each(received)[signature["id"]].operation
    try:
        snapshot: dict[str, Any] = json.loads(operation.value["snapshot"])
        canonical(snapshot)
        if signature["verdict"] == "verified" or _is_laid_out(snapshot, _context(visit)):
            return snapshot
    except (ValueError, TypeError, KeyError, RecursionError, Problem):
        pass
    log.warning("the text of signature %s cannot be read", signature["id"])
    return None


def _is_laid_out(snapshot: Any, context: Mapping[str, Any]) -> bool:
    """Whether the paper's template finds its way through ``snapshot``."""
    example = {
        "fields": [{"path": "", "values": [None]}],
        "entries": [{"id": "", "kind": "", "author": "", "wall_at": "", "value": {}}],
    }
    return (
        _is_like(snapshot, {"facts": example, "context": context})
        and all(isinstance(field["path"], str) for field in snapshot["facts"]["fields"])
        and all(
            isinstance(entry[key], str)
            for entry in snapshot["facts"]["entries"]
            for key in ("id", "kind", "author", "wall_at")
        )
        and all(_MOMENT.fullmatch(entry["wall_at"]) for entry in snapshot["facts"]["entries"])
        and snapshot["context"]["site"]["offsets"] == context["site"]["offsets"]
    )


def _is_like(value: Any, example: Any) -> bool:
    """Whether ``value`` has the shape of ``example``; a list is judged by its first item."""
    if isinstance(example, Mapping):
        return isinstance(value, Mapping) and all(
            key in value and _is_like(value[key], example[key]) for key in example
        )
    if isinstance(example, list):
        return isinstance(value, list) and (
            not example or all(_is_like(item, example[0]) for item in value)
        )
    return True


def _context(visit: Visit) -> dict[str, Any]:
    owner = db.session.get_one(Organisation, visit.org_id)
    return dict(context_of(visit, load_policy(owner.policy), datetime.now(UTC)))


def _signature(entry: Mapping[str, Any]) -> dict[str, Any]:
    value = entry["value"]
    told = {key: value[key] if isinstance(value[key], str) else "" for key in _SIGNED_TEXTS}
    return told | {
        "strokes": value["strokes"],
        "wall_at": entry["wall_at"],
        "digest": value["digest"] if isinstance(value["digest"], str) else "",
        "verdict": entry["verdict"],
        # Only where it is so: what was sealed before there were links says the same as ever.
        **({"by": "link"} if entry["author"] == CUSTOMER else {}),
        **{
            key: value[key]
            for key in merge.WITNESS
            if isinstance(value.get(key), str) and value[key]
        },
    }


def _addenda(
    received: Sequence[Received], signature: Mapping[str, Any], visit_id: str
) -> list[dict[str, Any]]:
    """What belongs on paper and is not covered by ``signature``, whatever came first.

    Told from the operations that paper knows: another signature covers other things, and what the
    office settles between two values takes neither off the paper.
    """
    state = merge.fold([item for item in received if _is_beside(item, signature["id"])], visit_id)
    found = []
    for entry in state["entries"]:
        if entry["after"]:
            found.append(_item(entry, entry["value"]))
        found += [_void(entry["id"], void) for void in entry["voids"] if void["after"]]
    changes: dict[str, dict[str, Any]] = {}
    for path, cell in state["fields"].items():
        for side in cell["sides"] if cell["after"] else ():
            if side["operation"] not in signature["frontier"]:
                change = _item(side | {"id": side["operation"], "kind": "correction"}, {})
                changes.setdefault(side["operation"], change)["value"][path] = side["value"]
    return [*found, *changes.values()]


def _is_beside(item: Received, signature_id: str) -> bool:
    """Whether a paper of this signature alone knows the operation."""
    operation = item.operation
    if operation.kind == "signature":
        return operation.id == signature_id
    if operation.kind == "void" and isinstance(operation.value, Mapping):
        return operation.value.get("entry") != signature_id
    return ON_PAPER.get(operation.kind, "never") != "never"


def _withdrawn(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Signatures or refusals that were taken back, each with who said so and why."""
    found = []
    for entry in entries:
        if entry["voids"]:
            value = entry["value"]
            if entry["kind"] == "signature":
                value = {
                    key: value[key] for key in (*_SIGNED_TEXTS, *merge.WITNESS) if key in value
                }
            found += [_item(entry, value), *(_void(entry["id"], void) for void in entry["voids"])]
    return found


def _item(entry: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    common = {key: entry[key] for key in ("id", "kind", "author", "wall_at", "at")}
    return common | {"value": dict(value)}


def _void(entry_id: str, void: Mapping[str, Any]) -> dict[str, Any]:
    return _item(
        {**void, "id": void["operation"], "kind": "void"},
        {"entry": entry_id, "reason": void["reason"]},
    )


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
    told = [item["value"].get("sha256") for item in entries if item["kind"] == "photo"]
    names = {name for name in told if blobs.is_name(name)}
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


def _apart(one: str, other: str) -> float:
    difference = datetime.fromisoformat(one) - datetime.fromisoformat(other)
    return abs(difference.total_seconds())
