"""The journal of a visit as a person reads it: what, who, when, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select

from fieldapp.desk.pages import FieldData, Words, as_text
from fieldapp.desk.seen import Seen
from fieldapp.models import Blob, db
from fieldapp.pages import CATALOGUE, explain
from sync import journal
from sync.catalogue import kind_named
from sync.merge import NOT_FROM_FIELD, REOPENED, reopened


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
    ``about`` is the label of the entry that this one speaks of.  ``taken_back`` says who took a
    decision back, ``is_final`` is false for one that may be.
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
    taken_back: list[dict[str, str]] = field(default_factory=list)
    is_final: bool = True


def timeline(seen: Seen) -> list[Line]:
    """Every row of a visit's journal, newest last.  One query, for its photos."""
    bodies = {row.id: _body(row) for row in seen.rows}
    entries = {entry["id"]: entry for entry in [*seen.state["entries"], *seen.state["signatures"]]}
    flags: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for flag in seen.state["flags"]:
        if not flag.get("dismissed"):
            flags.setdefault(flag["operation"], []).append((flag["code"], flag["args"]))
    photos = _photo_states(seen.visit.org_id, bodies)
    taken_back = reopenings_of(seen)
    lines = []
    for row in seen.rows:
        value = bodies[row.id].get("value")
        entry = entries.get(row.id)
        about = _about(row.kind, value, seen.kinds)
        lines.append(
            Line(
                id=row.id,
                kind=row.kind,
                label=label_of(row.kind),
                outcome=row.outcome,
                flags=flags.get(row.id, []),
                facts=_dismissed(seen, value)
                if row.kind == "dismissal"
                else facts_of(row.kind, value, seen.kinds, seen.words, photos),
                about=label_of(about) if about else "",
                voids=list(entry["voids"]) if entry else [],
                is_voidable=entry is not None
                and not entry["voids"]
                and (row.kind == "signature-request" or row.kind not in NOT_FROM_FIELD),
                taken_back=taken_back.get(row.id, []),
                is_final=row.kind not in REOPENED or row.id in taken_back,
                **seen.who_of(row),
            )
        )
    return lines


def reopenings_of(seen: Seen) -> dict[str, list[dict[str, str]]]:
    """Who took which decision back and why, ``{author, at, reason, …}`` by the decision's id."""
    rows = [row for row in seen.rows if row.kind == "reopening"]
    standing = reopened([journal.received(row) for row in rows])
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        value = _body(row).get("value")
        entry = value.get("entry") if isinstance(value, Mapping) else None
        if isinstance(value, Mapping) and entry in standing:
            said = seen.who_of(row) | {"reason": str(value.get("reason", ""))}
            found.setdefault(str(entry), []).append(said)
    return found


def _dismissed(seen: Seen, value: Any) -> list[Fact]:
    """Which flag was dismissed, as its sentence, and why."""
    said = value if isinstance(value, Mapping) else {}
    entry, code = said.get("entry"), str(said.get("code", ""))
    flags = seen.state["flags"]
    args: Mapping[str, Any] = next(
        (f["args"] for f in flags if (f["operation"], f["code"]) == (entry, code)), {}
    )
    kind = kind_named("dismissal")
    return [
        Fact(kind.field("code").label, explain(code, args).unescape()),
        Fact(kind.field("reason").label, str(said.get("reason", ""))),
    ]


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
        is_photo = found["type"] == "photo" or found["name"] == "unmarked"
        if is_photo and isinstance(item, str):
            facts.append(Fact(found["label"], photo=item, photo_state=photos.get(item, "to-come")))
        elif found["name"] == "list" and isinstance(item, str):
            facts.append(Fact(found["label"], words.word("checklists", item)))
        else:
            text = words.text(found, item, list_ if isinstance(list_, str) else "")
            facts.append(Fact(found["label"], text))
    return facts


def _about(kind: str, value: Any, kinds: Mapping[str, str]) -> str:
    """The kind of the entry that a void, a judgement or a correction speaks of."""
    if not isinstance(value, Mapping):
        return ""
    if kind == "void" or CATALOGUE.get(kind, {}).get("policy") == "judgement":
        return kinds.get(str(value.get("entry")), "")
    if kind == "correction":
        for path in value:
            parts = path.split("/")
            return kinds.get(parts[1], "") if len(parts) == 3 else ""
    return ""


def _body(row: Row[Any]) -> Mapping[str, Any]:
    body = json.loads(row.body)
    return body if isinstance(body, Mapping) else {}


def _photo_states(org_id: str, bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """``here`` or the problem of each photo that has come."""
    hashes = {
        name
        for body in bodies.values()
        if body.get("kind") == "photo" and isinstance(value := body.get("value"), Mapping)
        for name in (value.get("sha256"), value.get("unmarked"))
        if isinstance(name, str)
    }
    if not hashes:
        return {}
    blobs = db.session.scalars(
        select(Blob).where(
            Blob.org_id == org_id, Blob.sha256.in_(sorted(hashes)), Blob.complete_at.is_not(None)
        )
    )
    return {blob.sha256: blob.problem or "here" for blob in blobs}
