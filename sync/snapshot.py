"""What the customer signs: a frontier of operations and the facts that they state.

Twin: ``static/phone/snapshot.js``, cases in ``tests/vectors/snapshot.json``.  ``on_paper`` maps the
kinds of the catalogue to ``signed``, ``after`` or ``never``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync.canonical import canonical
from sync.operation import by_code_unit

State = Mapping[str, Any]
OnPaper = Mapping[str, str]


def frontier(state: State, on_paper: OnPaper) -> dict[str, list[str]]:
    """What a signature given now would cover: ``{operations: [id], photos: [sha256]}``, sorted."""
    operations: set[str] = set()
    photos: set[str] = set()
    for entry in _entries_on_paper(state, on_paper):
        operations.add(entry["id"])
        operations.update(void["operation"] for void in entry["voids"])
        sha256 = entry["value"].get("sha256")
        if entry["kind"] == "photo" and not entry["voids"] and isinstance(sha256, str):
            photos.add(sha256)
    for _, cell in _fields_on_paper(state, on_paper):
        operations.update(cell["heads"])
    return {
        "operations": sorted(operations, key=by_code_unit),
        "photos": sorted(photos, key=by_code_unit),
    }


def facts(state: State, on_paper: OnPaper) -> dict[str, Any]:
    """The facts of ``state`` that stand on the signed paper; entries that were voided do not.

    Shape: ``{visit, fields: [{path, values}], entries: [{id, kind, author, wall_at, value}]}``,
    with the phone's own times.  A path in conflict lists every value: which one is shown depends
    on clocks, what was on the screen does not.
    """
    entries = sorted(
        (entry for entry in _entries_on_paper(state, on_paper) if not entry["voids"]),
        key=lambda entry: (entry["wall_at"], by_code_unit(entry["id"])),
    )
    values = {path: _values(cell) for path, cell in _fields_on_paper(state, on_paper)}
    shown = []
    for entry in entries:
        value = dict(entry["value"])
        for name in entry["corrected"]:
            value[name] = values[f"entries/{entry['id']}/{name}"][0]
        shown.append({key: entry[key] for key in ("id", "kind", "author", "wall_at")})
        shown[-1]["value"] = value
    fields = [{"path": path, "values": values[path]} for path in sorted(values, key=by_code_unit)]
    return {"visit": state["visit"]["id"], "fields": fields, "entries": shown}


def snapshot_text(facts: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """The canonical text of ``{facts, context}``: what a digest is taken of.

    Raises Problem("operation.malformed") when it holds something inexact.
    """
    return canonical({"facts": facts, "context": context})


def _entries_on_paper(state: State, on_paper: OnPaper) -> list[dict[str, Any]]:
    return [entry for entry in state["entries"] if on_paper.get(entry["kind"]) == "signed"]


def _fields_on_paper(state: State, on_paper: OnPaper) -> list[tuple[str, dict[str, Any]]]:
    """Set paths that stand on the paper, and corrections of entries that do."""
    shown = {entry["id"] for entry in _entries_on_paper(state, on_paper)}
    found = []
    for path, cell in state["fields"].items():
        head, *rest = path.split("/")
        about = rest[0] if rest else ""
        is_shown = about in shown if head == "entries" else on_paper.get(head) == "signed"
        if is_shown:
            found.append((path, cell))
    return found


def _values(cell: Mapping[str, Any]) -> list[Any]:
    """The different values of a cell in the order of their canonical text."""
    if not cell["conflict"]:
        return [cell["value"]]
    texts = {canonical(side["value"]): side["value"] for side in cell["sides"]}
    return [texts[text] for text in sorted(texts, key=by_code_unit)]
