"""What a customer decides on: a quotation exactly as it was shown.

Twin: ``static/phone/consent.js``, cases in ``tests/vectors/consent.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync.canonical import canonical
from sync.operation import by_code_unit
from sync.problems import Problem


def newest_quote(state: Mapping[str, Any]) -> str:
    """The id of the quotation to decide on: the newest that stands, empty when there is none."""
    quotes = [entry for entry in state["entries"] if _is_quote(entry)]
    quotes.sort(key=lambda entry: (entry["wall_at"], by_code_unit(entry["id"])))
    return str(quotes[-1]["id"]) if quotes else ""


def agreed(state: Mapping[str, Any], quote_id: str) -> str:
    """The canonical text ``{id, value}`` of a quotation as it stands, corrections included.

    Empty when no such quotation stands on the visit.
    """
    for entry in state["entries"]:
        if _is_quote(entry) and entry["id"] == quote_id:
            return _text(entry)
    return ""


def _is_quote(entry: Mapping[str, Any]) -> bool:
    return entry["kind"] == "quote" and not entry["voids"]


def _text(quote: Mapping[str, Any]) -> str:
    try:
        return canonical({"id": quote["id"], "value": quote["value"]})
    except Problem:  # the journal takes whatever a phone sends; nobody can have agreed to this
        return ""
