"""What was signed and is no longer so: the customer is asked to sign again.

Twin: ``static/phone/changed.js``, cases in ``tests/vectors/changed.json``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sync.operation import by_code_unit

ENGINEER = "engineer"
"""The role of a signature that is not the customer's."""

SIGNED = ("diagnosis", "fault", "outcome")
"""Kinds of policy ``set`` that stand on the signed paper."""


def changes(state: Mapping[str, Any]) -> list[dict[str, str]]:
    """What changed of that which the customer's newest standing signature covers.

    Each item is ``{kind, entry, field}``: a field that was set (``entry`` is empty), a field of an
    entry that was corrected, or an entry that was struck out (``field`` is empty).  An entry that
    was added is none: nothing that was signed is different for it.  Neither is a value that the
    desk chose among those that were signed.
    """
    signatures = [
        entry
        for entry in state["signatures"]
        if not entry["voids"] and entry["value"].get("role") != ENGINEER
    ]
    if not signatures:
        return []
    covered = set(signatures[-1]["frontier"])
    kinds, found = {}, []
    for entry in state["entries"]:
        if entry["id"] not in covered or _is_any(entry["voids"], covered):
            continue
        kinds[entry["id"]] = entry["kind"]
        if entry["voids"]:
            found.append({"kind": entry["kind"], "entry": entry["id"], "field": ""})
    for path in sorted(state["fields"], key=by_code_unit):
        sides = state["fields"][path]["sides"]
        if all(_is_any([side], covered) for side in sides):
            continue
        head, *rest = path.split("/")
        if not rest or not rest[-1]:
            continue  # it names no field
        if head in SIGNED and len(rest) == 1:
            found.append({"kind": head, "entry": "", "field": rest[0]})
        elif head == "entries" and len(rest) == 2 and rest[0] in kinds:
            found.append({"kind": kinds[rest[0]], "entry": rest[0], "field": rest[1]})
    return found


def _is_any(items: Collection[Mapping[str, Any]], covered: Collection[str]) -> bool:
    """Whether one of ``items``, or one whose value it chose, is covered."""
    return any(
        id_ in covered for item in items for id_ in (item["operation"], *item.get("chose", ()))
    )
