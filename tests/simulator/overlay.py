"""static/phone/overlay.js once more, to lay beside it: what a phone shows before it has been heard.

Only ``derive`` is borrowed from ``sync.merge``: tests/test_overlay.py holds both to one answer.
"""

from __future__ import annotations

import copy

from sync import catalogue
from sync.canonical import canonical
from sync.merge import derive
from sync.operation import by_code_unit, iso


def overlay(state, operations, sent):
    """A new state: ``state`` after ``operations``, in the order in which they were made."""
    changed = copy.deepcopy(state)
    held = set()
    for entry in changed["entries"] + changed["signatures"]:
        held.add(entry["id"])
        held.update(void["operation"] for void in entry["voids"])
    for operation in operations:
        if operation["id"] not in held:
            _apply(changed, operation, sent)
        held.add(operation["id"])
    _mark(changed)
    return derive(changed)


def _apply(state, operation, sent):
    if not catalogue.is_known(operation["kind"]):
        return None
    kind = catalogue.kind_named(operation["kind"])
    who = {
        "author": operation["author"],
        "device": operation["device"],
        "at": iso(operation["wall"] + operation["skew"]),
        "wall_at": iso(operation["wall"]),
    }
    if kind.policy in ("add", "sign"):
        entry = {
            "id": operation["id"],
            "kind": operation["kind"],
            **who,
            "value": dict(operation["value"]),
            "corrected": [],
            "voids": [],
            "after": False,
            "sent": sent,
        }
        if kind.policy == "add":
            return _insert(state["entries"], entry)
        names = ("name", "role", "opinion", "strokes", "token", "digest", "language")
        entry["value"] = {name: operation["value"].get(name) for name in names}
        entry["frontier"] = sorted(operation["value"]["frontier"]["operations"], key=by_code_unit)
        entry["verdict"] = "pending"
        return _insert(state["signatures"], entry)
    if kind.policy == "void":
        return _void(state, operation, who)
    if kind.policy == "assert":
        return _put(state, kind.name, operation, operation["value"], who)
    for path, value in operation["value"].items():
        if kind.policy == "correction" or path.startswith(f"{kind.name}/"):
            _put(state, path, operation, value, who)
            _correct(state, path)
    return None


def _void(state, operation, who):
    for entry in state["entries"] + state["signatures"]:
        if entry["id"] == operation["value"]["entry"]:
            void = {"operation": operation["id"], "author": who["author"], "at": who["at"]}
            void |= {"wall_at": who["wall_at"], "reason": operation["value"]["reason"]}
            entry["voids"].append(void | {"after": False})
            entry["voids"].sort(key=lambda void: (void["at"], by_code_unit(void["operation"])))


def _put(state, path, operation, value, who):
    """One operation takes the place of the heads that its author saw."""
    seen = set(operation["supersedes"].get(path, ()))
    before = state["fields"].get(path, {}).get("sides", [])
    held = next((side for side in before if side["operation"] == operation["id"]), None)
    sides = [side for side in before if side is held or side["operation"] not in seen]
    if held is None:
        # What a server of some version adds to a side is not the phone's to know.
        sides.append({"operation": operation["id"], "value": value, **who})
    sides.sort(key=lambda side: (side["at"], by_code_unit(side["operation"])))
    shown = sides[-1]
    state["fields"][path] = {
        "value": shown["value"],
        "heads": sorted((side["operation"] for side in sides), key=by_code_unit),
        "at": shown["at"],
        "author": shown["author"],
        "sides": sides,
        "conflict": len({canonical(side["value"]) for side in sides}) > 1,
        "after": False,
    }


def _correct(state, path):
    """A correction shows in its entry; without one it waits at the office."""
    if not path.startswith("entries/"):
        return
    _, id_, name = path.split("/")
    entry = next((each for each in state["entries"] if each["id"] == id_), None)
    if entry is None:
        del state["fields"][path]
        return
    entry["value"][name] = state["fields"][path]["value"]
    if name not in entry["corrected"]:
        entry["corrected"] = sorted([*entry["corrected"], name], key=by_code_unit)


def _mark(state):
    """What the customer has not seen is marked, once there is a signature."""
    signatures = [entry for entry in state["signatures"] if not entry["voids"]]
    seen = {id_ for entry in signatures for id_ in entry["frontier"]}
    kinds = {entry["id"]: entry["kind"] for entry in state["entries"]}
    for entry in state["entries"]:
        entry["after"] = bool(signatures) and _printed(entry["kind"]) and entry["id"] not in seen
    for entry in state["entries"] + state["signatures"]:
        for void in entry["voids"]:
            printed = bool(signatures) and _printed(entry["kind"])
            void["after"] = printed and void["operation"] not in seen
    for path, cell in state["fields"].items():
        head, *rest = path.split("/")
        printed = _printed(kinds.get(rest[0], "") if head == "entries" and rest else head)
        cell["after"] = bool(signatures) and printed and not set(cell["heads"]) <= seen


def _printed(kind):
    return catalogue.ON_PAPER.get(kind, "never") != "never"


def _insert(entries, entry):
    entries.append(entry)
    entries.sort(key=lambda each: (each["at"], by_code_unit(each["id"])))
