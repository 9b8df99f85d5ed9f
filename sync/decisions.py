"""What does not go together with a customer's decisions on quotations.

The journal keeps it all the same; a person looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sync.consent import agreed

MOVES = ("swap", "loaner")
"""Kinds that move a part or a device: what a quotation asks to be paid for."""


def doubts(standing: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """``(code, entry id)`` of entries that do not go together with the customer's decisions.

    ``standing`` are the entries nobody struck out.

    ``consent.quote-changed``: the customer decided on another text.  ``consent.part-first``: a part
    was moved on a visit with a quotation before the customer had agreed to it.
    """
    quotes = {entry["id"]: entry for entry in standing if entry["kind"] == "quote"}
    consents = [entry for entry in standing if entry["kind"] == "consent"]
    found = []
    for consent in consents:
        text = agreed({"entries": standing}, str(consent["value"].get("quote")))
        if not text or consent["value"].get("agreed") != text:
            found.append(("consent.quote-changed", consent["id"]))
    yes = [entry["at"] for entry in consents if entry["value"].get("decision") == "accepts"]
    for entry in standing:
        waits = [quote for quote in quotes.values() if quote["at"] <= entry["at"]]
        if entry["kind"] in MOVES and waits and not any(at <= entry["at"] for at in yes):
            found.append(("consent.part-first", entry["id"]))
    return found
