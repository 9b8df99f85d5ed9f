"""The rules of docs/state.md once more, as plainly as they can be written; nothing of sync.merge.

Slow and short on purpose: who wins on a path is asked of the whole set, one path at a time.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import rfc8785

from sync import catalogue

DESK_DOUBTS = {"author.not-owner", "author.out-of-scope", "author.role", "device.revoked"}
UNCALLED = {"author.out-of-scope", "author.role", "visit.unknown"}
QUARANTINE = {"author.not-owner", "device.revoked"}
UNDONE_BY_REOPENING = ("resolution", "dismissal", "release", "cancellation")


@dataclass(frozen=True)
class Kept:
    """One row of the journal: the body as it came and the codes that were noted at its receipt."""

    body: dict
    codes: frozenset

    @property
    def kind(self):
        return self.body.get("kind")

    @property
    def is_whole(self):
        return content_of(self.body) == self.body.get("hash")

    @property
    def is_of_the_desk(self):
        roles = catalogue.kind_named(self.kind).roles
        return "engineer" not in roles or self.kind in catalogue.FROM_CUSTOMER


def content_of(body):
    """The hash of what a body says."""
    said = {key: value for key, value in body.items() if key != "hash"}
    return hashlib.sha256(rfc8785.dumps(said)).hexdigest()


def counted(kept):
    """The operations that decide something, one for each id."""
    best = {}
    for item in kept:
        if not isinstance(item.body.get("value"), dict) or not catalogue.is_known(item.kind):
            continue
        if item.codes & {"operation.malformed", "operation.fold-failed"}:
            continue
        rank = (not item.is_whole, bool(item.codes & DESK_DOUBTS), content_of(item.body))
        if item.body["id"] not in best or rank < best[item.body["id"]][0]:
            best[item.body["id"]] = (rank, item)
    items = [item for _, item in best.values()]
    items = [item for item in items if not (item.is_of_the_desk and item.codes & DESK_DOUBTS)]
    items = [item for item in items if not (item.kind == "opening" and item.codes & UNCALLED)]
    undone = {item.body["value"].get("entry") for item in items if item.kind == "reopening"}
    items = [
        item
        for item in items
        if item.kind not in UNDONE_BY_REOPENING or item.body["id"] not in undone
    ]
    if not catalogue.is_known("release"):
        return items
    released = {item.body["value"].get("entry") for item in items if item.kind == "release"}
    return [item for item in items if not item.codes & QUARANTINE or item.body["id"] in released]


def cells(items):
    """``{path: {operation id: value}}`` of what the operations set, before anybody wins."""
    found = {}
    for item in items:
        kind = catalogue.kind_named(item.kind)
        value = item.body["value"]
        if kind.policy == "assert":
            found.setdefault(kind.name, {})[item.body["id"]] = value
        elif kind.policy in ("set", "correction"):
            for path, said in value.items():
                owned = path.startswith(f"{kind.name}/") or not kind.fields
                if kind.policy == "correction":
                    owned = path.startswith("entries/")
                if owned:
                    found.setdefault(path, {})[item.body["id"]] = said
    entries = {item.body["id"] for item in items if _is_entry(item)}
    return {
        path: values
        for path, values in found.items()
        if not path.startswith("entries/") or path.split("/")[1] in entries
    }


def heads(items):
    """``{path: ids that nobody superseded}``."""
    by_id = {item.body["id"]: item for item in items}
    found = {}
    for path, values in cells(items).items():
        over = {
            seen
            for id_ in values
            for seen in by_id[id_].body["supersedes"].get(path, ())
            if seen != id_
        }
        found[path] = sorted(set(values) - over or set(values))
    return found


def conflicts(items):
    """The paths on which heads say different things."""
    values = cells(items)
    return {
        path
        for path, ids in heads(items).items()
        if len({json.dumps(values[path][id_], sort_keys=True) for id_ in ids}) > 1
    }


def scope(items):
    """Ids of the people whose phones hold the visit."""
    values = cells(items).get("assignment", {})
    if not values:
        return {item.body["author"] for item in items if item.kind == "opening"}
    found = set()
    for id_ in heads(items).get("assignment", ()):
        found.add(values[id_].get("engineer"))
        if catalogue.kind_named("assignment").fields[1:]:
            found.update(values[id_].get("helpers") or ())
    return found - {"", None}


def _is_entry(item):
    return catalogue.kind_named(item.kind).policy == "add"
