"""What a customer's signature is given besides its strokes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sync.canonical import canonical, sha256
from sync.catalogue import ON_PAPER
from sync.snapshot import facts, frontier, snapshot_text


def sign(state: Mapping[str, Any], value: Mapping[str, Any], language: str = "") -> dict[str, Any]:
    """``value`` with the frontier, the snapshot, its digest, the language and a new token.

    ``language`` is that of the page, where the office knows none of the customer's.
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
        "token": secrets.token_hex(16),
    }
