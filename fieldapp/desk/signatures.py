"""The customer's signatures on a visit, what changed at the office since, and those asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from fieldapp.desk.seen import Seen
from fieldapp.ids import is_token
from sync.canonical import canonical, sha256
from sync.merge import standing_entries
from sync.operation import CUSTOMER
from sync.problems import Problem


def signatures_of(seen: Seen) -> list[dict[str, Any]]:
    """Each signature, and which parts of the office's data changed since."""
    return [_signature(seen, entry) for entry in seen.state["signatures"]]


def asked_of(seen: Seen) -> list[dict[str, Any]]:
    """Signatures asked for by link: ``{entry, name, role, author, at, path}``.

    Given ones too: what counts as given is said once, in ``templates/engineer/_words.html``.
    """
    return [
        {
            "entry": entry,
            "name": str(entry["value"].get("name") or "–"),
            "role": seen.words.word("signatory_roles", str(entry["value"].get("role") or "")),
            "path": f"/sign/{seen.visit.id}/{token}",
        }
        | seen.who(entry)
        for entry in standing_entries(seen.state, "signature-request")
        if is_token(token := entry["value"].get("token"))
    ]


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
        "is_by_link": entry["author"] == CUSTOMER,
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
