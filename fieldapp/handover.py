"""What a customer's signature stands on, and what it is given besides its strokes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sync.canonical import canonical, sha256
from sync.catalogue import ON_PAPER
from sync.missing import missing
from sync.snapshot import facts, frontier, snapshot_text


def sign(
    state: Mapping[str, Any], value: Mapping[str, Any], language: str = "", token: str = ""
) -> dict[str, Any]:
    """``value`` with the frontier, the snapshot, its digest, the language and its token.

    ``language`` is that of the page, where the office knows none of the customer's.  ``token`` is
    that of the link by which it was asked for; otherwise a new one.
    The phone does the same in ``static/phone/perform.js``.
    """
    context = state["context"]
    text = snapshot_text(facts(state, ON_PAPER), context)
    return dict(value) | {
        "frontier": frontier(state, ON_PAPER),
        "snapshot": text,
        "digest": sha256(text),
        "context_sha256": sha256(canonical(context)),
        "language": context["contact"]["language"] or language,
        "token": token or new_token(),
    }


def new_token() -> str:
    """What a link names a work order or a request by: nobody can guess it."""
    return secrets.token_hex(16)


def seen_digest(state: Mapping[str, Any]) -> str:
    """The digest of what the hand-over page shows."""
    return sha256(snapshot_text(facts(state, ON_PAPER), state["context"]))


def unsigned(
    state: Mapping[str, Any], policy: Mapping[str, Any], posted: Mapping[str, list[str]]
) -> list[dict[str, str]]:
    """A signature counts for what was on the screen: what changed meanwhile is shown first."""
    if posted.get("seen") == [seen_digest(state)] and not missing(state, policy):
        return []
    return [{"field": "strokes", "code": "form.stale", "detail": ""}]
