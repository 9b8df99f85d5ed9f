"""Whether a customer's signature stands on what the office holds.

A signature names the frontier of operations it covers and carries the exact text of the snapshot
``{facts, context}`` that was on the screen.  ``facts`` can be recomputed from the frontier by
whoever holds its operations; ``context`` is a block that the office served and remembers by its
SHA-256.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from sync.canonical import canonical, sha256
from sync.catalogue import ON_PAPER
from sync.merge import State, fold, one_each, quarantined
from sync.operation import Received
from sync.problems import Problem
from sync.snapshot import facts

Verdict = Literal["verified", "pending", "mismatch"]


def verify(
    value: Mapping[str, Any],
    received: Iterable[Received],
    served: Mapping[str, str],
    visit_id: str,
    apart: Collection[str] = (),
) -> Verdict:
    """Whether a signature's value stands on what the office holds.

    ``served`` maps the SHA-256 of every context block served for the visit to its canonical text.
    ``apart`` are the operations in quarantine.
    ``pending``: operations of the frontier are still to come or to be released.  ``mismatch``:
    the snapshot is not what its digest says, its facts differ from the recomputed ones, or its
    context was never served.
    """
    text = value.get("snapshot")
    covered = value.get("frontier")
    if not isinstance(text, str) or not isinstance(covered, Mapping):
        return "mismatch"
    try:
        if sha256(text) != value.get("digest"):
            return "mismatch"
        snapshot = json.loads(text)
        claimed = canonical(snapshot["facts"])
        context = sha256(canonical(snapshot["context"]))
    except (ValueError, KeyError, TypeError, RecursionError, Problem):
        return "mismatch"
    wanted = covered.get("operations")
    if not isinstance(wanted, list) or context not in served:
        return "mismatch"
    if not all(isinstance(id_, str) for id_ in wanted):
        return "mismatch"
    ids = set(wanted)
    held = [item for item in received if item.operation.id in ids]
    if len({item.operation.id for item in held}) < len(ids) or ids & set(apart):
        return "pending"
    recomputed = canonical(facts(fold(held, visit_id), ON_PAPER))
    return "verified" if recomputed == claimed else "mismatch"


def check_signatures(
    state: State, received: Iterable[Received], served: Mapping[str, str]
) -> State:
    """Write each signature's verdict into ``state`` and flag a mismatch; returns ``state``."""
    by_id = one_each(received)
    apart = quarantined(by_id.values())
    for entry in state["signatures"]:
        value = by_id[entry["id"]].operation.value
        entry["verdict"] = verify(value, by_id.values(), served, state["visit"]["id"], apart)
        if entry["verdict"] == "mismatch":
            state["flags"].append(
                {"code": "signature.mismatch", "operation": entry["id"], "args": {}}
            )
    return state
