"""The customer's signatures on a visit, and what changed at the office since."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from fieldapp.desk.seen import Seen
from sync.canonical import canonical, sha256
from sync.problems import Problem


def signatures_of(seen: Seen) -> list[dict[str, Any]]:
    """Each signature, and which parts of the office's data changed since."""
    return [_signature(seen, entry) for entry in seen.state["signatures"]]


def _signature(seen: Seen, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A signature, and which parts of the office's data changed since."""
    signed = _signed_context(seen.rows, entry["id"])
    now = seen.state["context"]
    is_same = signed is None or sha256(canonical(signed)) == sha256(canonical(now))
    changed = (
        [] if is_same or signed is None else [name for name in now if signed.get(name) != now[name]]
    )
    return {
        "entry": entry,
        "is_context_known": signed is not None,
        "changed": changed,
        "contact_was": _contact_text(signed) if "contact" in changed else "",
    }


def _contact_text(signed: Mapping[str, Any] | None) -> str:
    """Name and telephone of the contact as they stood when the customer signed."""
    contact = (signed or {}).get("contact")
    if not isinstance(contact, Mapping):
        return ""
    return " · ".join(str(contact[name]) for name in ("name", "phone") if contact.get(name))


def _signed_context(rows: Sequence[Row[Any]], id_: str) -> dict[str, Any] | None:
    """The context inside a signature's snapshot; None when it cannot be read."""
    for row in rows:
        if row.id != id_:
            continue
        try:
            context = json.loads(json.loads(row.body)["value"]["snapshot"])["context"]
            canonical(context)
        except (ValueError, KeyError, TypeError, RecursionError, Problem):
            return None
        return context if isinstance(context, dict) else None
    return None
