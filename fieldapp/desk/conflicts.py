"""Values of which only one can count: how a conflict is shown, and what its form settles on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fieldapp.desk.assignments import complete
from fieldapp.desk.checks import findings_of
from fieldapp.desk.pages import FieldData
from fieldapp.desk.seen import Posted, Refused, Seen, refill
from fieldapp.desk.timeline import field_at, text_at
from fieldapp.forms import read_value, write_form
from fieldapp.pages import CATALOGUE
from sync.canonical import canonical
from sync.glyphs import coverage
from sync.validate import Finding, validate

OTHER = "other"
"""The choice of a conflict's form that is none of the sides."""

NOT_WRITTEN = ("ticks", "position", "strokes", "photo")
"""Types of fields that nobody writes at a desk: one of the sides counts."""


def conflicts_of(seen: Seen, refused: Refused | None) -> list[dict[str, Any]]:
    """The conflicts of a visit with their sides as text, and the forms that settle them."""
    paths = [path for path, cell in seen.state["fields"].items() if cell["conflict"]]
    return [_conflict(seen, path, refused) for path in paths]


def chosen(seen: Seen, path: str, posted: Posted) -> tuple[Any, list[Finding]]:
    """The value that a conflict's form settles on."""
    choice = next(iter(posted.get("choice", ())), "")
    for side in seen.state["fields"][path]["sides"]:
        if side["operation"] == choice:
            return side["value"], []
    if choice != OTHER:
        return None, [{"field": "choice", "code": "field.missing", "detail": ""}]
    fields = _fields_at(path, seen.kinds)
    if not fields:
        return None, [{"field": "choice", "code": "field.not-a-choice", "detail": ""}]
    value = read_value(fields, posted, seen.offsets)
    if path in CATALOGUE:
        findings = findings_of(CATALOGUE[path], value, seen)
        return complete(value) if path == "assignment" else value, findings
    findings = validate(fields, value, seen.policy.choices(), coverage())
    return value.get(fields[0]["name"], ""), findings


def entered_text(seen: Seen, refused: Refused) -> str:
    """What somebody settled a conflict on that is none any more."""
    choice = refused.first("choice")
    fields = _fields_at(refused.about, seen.kinds)
    if choice == OTHER and fields:
        value = read_value(fields, refused.posted, seen.offsets)
        if refused.about not in CATALOGUE:
            value = value.get(fields[0]["name"], "")
        return text_at(refused.about, value, seen.kinds, seen.words)
    for row in seen.rows:
        if row.id == choice:
            said = json.loads(row.body).get("value")
            if isinstance(said, Mapping):
                value = said.get(refused.about, dict(said))
                return text_at(refused.about, value, seen.kinds, seen.words)
    return ""


def _conflict(seen: Seen, path: str, refused: Refused | None) -> dict[str, Any]:
    cell = seen.state["fields"][path]
    fields = _fields_at(path, seen.kinds)
    is_refused = refused is not None and refused.noun == "resolutions" and refused.about == path
    posted = refused.posted if refused is not None and is_refused else {}
    findings = refused.findings if refused is not None and is_refused else []
    head, *rest = path.split("/")
    return {
        "path": path,
        "label": field_at(path, seen.kinds)[0],
        "of": seen.kinds.get(rest[0], "") if head == "entries" and rest else head,
        "heads": canonical({path: cell["heads"]}),
        "sides": [
            {
                "operation": side["operation"],
                "text": text_at(path, side["value"], seen.kinds, seen.words),
            }
            | seen.who(side)
            for side in cell["sides"]
        ],
        "fields": fields,
        "choice": next(iter(posted.get("choice", ())), ""),
        "form": _form(seen, path, fields, posted),
        "findings": {finding["field"]: finding for finding in findings},
    }


def _form(seen: Seen, path: str, fields: list[FieldData], posted: Posted) -> dict[str, Any]:
    """What the form of a third value shows: what was entered; for a decision, what is shown now."""
    shown = seen.state["fields"][path]["value"]
    is_decision = path in CATALOGUE and isinstance(shown, Mapping)
    form = write_form(fields, shown if is_decision else {}, seen.offsets)
    return form | refill(fields, posted)


def _fields_at(path: str, kinds: Mapping[str, str]) -> list[FieldData]:
    """The fields with which a third value for ``path`` is written; none when it cannot be."""
    _, found = field_at(path, kinds)
    if found is not None:
        return [found] if found["type"] not in NOT_WRITTEN else []
    return list(CATALOGUE[path]["fields"]) if path in CATALOGUE else []
