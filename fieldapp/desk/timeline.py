"""The journal of a visit as a person reads it: what, who, when, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select

from fieldapp.desk.pages import FieldData, Words, as_text, translate
from fieldapp.models import Blob, Device, db
from fieldapp.pages import CATALOGUE
from fieldapp.perform import SERVER
from sync.operation import iso

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Fact:
    """One line of an operation: a label (message id), its text, or a photo by its hash."""

    label: str
    text: str = ""
    photo: str = ""
    photo_state: str = ""  # "here", "to-come" or a code of sync.problems


@dataclass
class Line:
    """One operation.

    ``wall_at`` is the phone's own time when it differs by a minute or more from the corrected one.
    ``about`` is the label of the entry that a void or a correction speaks of.
    """

    id: str
    kind: str
    label: str
    author: str
    at: str
    wall_at: str
    device: str
    outcome: str
    flags: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    about: str = ""
    voids: list[Mapping[str, Any]] = field(default_factory=list)
    is_voidable: bool = False


def timeline(
    rows: Sequence[Row[Any]], state: Mapping[str, Any], org_id: str, words: Words
) -> list[Line]:
    """Every row of a visit's journal, newest last.

    ``words`` knows the names of all authors and engineers.  Two queries: devices and photos.
    """
    bodies = {row.id: _body(row) for row in rows}
    kinds = {row.id: row.kind for row in rows}
    entries = {entry["id"]: entry for entry in [*state["entries"], *state["signatures"]]}
    flags: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for flag in state["flags"]:
        flags.setdefault(flag["operation"], []).append((flag["code"], flag["args"]))
    devices = _devices(org_id, {row.device_id for row in rows})
    photos = _photo_states(org_id, bodies)
    lines = []
    for row in rows:
        value = bodies[row.id].get("value")
        entry = entries.get(row.id)
        about = _about(row.kind, value, kinds)
        is_off = abs(row.corrected_ms - row.wall_ms) >= MINUTE_MS
        lines.append(
            Line(
                id=row.id,
                kind=row.kind,
                label=label_of(row.kind),
                author=words.people.get(row.author_id, row.author_id),
                at=words.moment(iso(row.corrected_ms)),
                wall_at=words.moment(_iso(row.wall_ms)) if is_off else "",
                device=devices.get(row.device_id, row.device_id),
                outcome=row.outcome,
                flags=flags.get(row.id, []),
                facts=facts_of(row.kind, value, kinds, words, photos),
                about=label_of(about) if about else "",
                voids=list(entry["voids"]) if entry else [],
                is_voidable=entry is not None and not entry["voids"] and row.kind != "remark",
            )
        )
    return lines


def label_of(kind: str) -> str:
    """What an operation is called, as a message id; a kind of a newer version is its own name."""
    return str(CATALOGUE[kind]["label"]) if kind in CATALOGUE else kind


def field_at(path: str, kinds: Mapping[str, str]) -> tuple[str, FieldData | None]:
    """Label and field of a path; without a field for a whole kind and for what is not known."""
    head, *rest = path.split("/")
    if head == "entries" and len(rest) == 2:
        head, name = kinds.get(rest[0], ""), rest[1]
    elif len(rest) == 1:
        name = rest[0]
    else:
        return (str(CATALOGUE[head]["label"]) if head in CATALOGUE else path), None
    for found in CATALOGUE.get(head, {}).get("fields", ()):
        if found["name"] == name:
            return str(found["label"]), found
    return path, None


def facts_of(
    kind: str,
    value: Any,
    kinds: Mapping[str, str],
    words: Words,
    photos: Mapping[str, str],
) -> list[Fact]:
    """What an operation says, line by line.  Nothing it may hold makes this fail."""
    entry = CATALOGUE.get(kind)
    if entry is None or not isinstance(value, Mapping):
        return [Fact("", as_text(value))] if value is not None else []
    if entry["policy"] in ("set", "correction"):
        return [
            fact
            for path, item in sorted(value.items())
            for fact in _at_path(path, item, kinds, words)
        ]
    return _of_fields(entry["fields"], value, words, photos)


def text_at(path: str, value: Any, kinds: Mapping[str, str], words: Words) -> str:
    """The value of a path as text."""
    return " · ".join(fact.text for fact in _at_path(path, value, kinds, words)) or "–"


def _at_path(path: str, value: Any, kinds: Mapping[str, str], words: Words) -> list[Fact]:
    label, found = field_at(path, kinds)
    if found is not None:
        return [Fact(label, words.text(found, value) or "–")]
    if path in CATALOGUE and isinstance(value, Mapping):
        return _of_fields(CATALOGUE[path]["fields"], value, words, {})
    return [Fact(label, as_text(value))]


def _of_fields(
    fields: Sequence[FieldData], value: Mapping[str, Any], words: Words, photos: Mapping[str, str]
) -> list[Fact]:
    facts = []
    list_ = value.get("list")
    for found in fields:
        item = value.get(found["name"])
        if item in (None, "", []) or found["type"] in ("strokes", "entry"):
            continue
        if found["type"] == "photo" and isinstance(item, str):
            facts.append(Fact(found["label"], photo=item, photo_state=photos.get(item, "to-come")))
        elif found["name"] == "list" and isinstance(item, str):
            facts.append(Fact(found["label"], words.word("checklists", item)))
        else:
            text = words.text(found, item, list_ if isinstance(list_, str) else "")
            facts.append(Fact(found["label"], text))
    return facts


def _about(kind: str, value: Any, kinds: Mapping[str, str]) -> str:
    """The kind of the entry that a void or a correction speaks of."""
    if not isinstance(value, Mapping):
        return ""
    if kind == "void":
        return kinds.get(str(value.get("entry")), "")
    if kind == "correction":
        for path in value:
            parts = path.split("/")
            return kinds.get(parts[1], "") if len(parts) == 3 else ""
    return ""


def _body(row: Row[Any]) -> Mapping[str, Any]:
    body = json.loads(row.body)
    return body if isinstance(body, Mapping) else {}


def _iso(ms: int) -> str:
    try:
        return iso(ms)
    except (ValueError, OverflowError, OSError):  # a phone's clock may say anything
        return str(ms)


def _devices(org_id: str, ids: set[str]) -> dict[str, str]:
    """What to call each device: the browser's own name for itself, shortened."""
    names = {SERVER: translate("Office")}
    rows = db.session.execute(
        select(Device.id, Device.browser_text).where(Device.org_id == org_id, Device.id.in_(ids))
    )
    for id_, browser in rows:
        system = next((name for name in _SYSTEMS if name in browser), "")
        names[id_] = " ".join(filter(None, (translate("Phone"), system, f"…{id_[-4:]}")))
    return names


_SYSTEMS = ("iPhone", "iPad", "HarmonyOS", "Android", "Windows", "Macintosh", "Linux")


def _photo_states(org_id: str, bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """``here`` or the problem of each photo that has come."""
    hashes = {
        str(value["sha256"])
        for body in bodies.values()
        if body.get("kind") == "photo"
        and isinstance(value := body.get("value"), Mapping)
        and isinstance(value.get("sha256"), str)
    }
    if not hashes:
        return {}
    blobs = db.session.scalars(
        select(Blob).where(
            Blob.org_id == org_id, Blob.sha256.in_(sorted(hashes)), Blob.complete_at.is_not(None)
        )
    )
    return {blob.sha256: blob.problem or "here" for blob in blobs}
