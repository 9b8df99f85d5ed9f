"""What an engineer said who opened a visit on site, as the desk reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync.catalogue import kind_named
from sync.merge import OPENING, standing_entries

WORK_ORDERS = "work-orders"
"""The noun of the form that gives such a visit the number of a work order."""


def opening_of(state: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the engineer said when he opened the visit, and ``at``; all empty when nobody did.

    Only texts: phones send what they like.
    """
    entries = standing_entries(state, OPENING) if state else []
    value = entries[-1]["value"] | {"at": entries[-1]["at"]} if entries else {}
    names = [*(field.name for field in kind_named(OPENING).fields), "at"]
    return {name: text if isinstance(text := value.get(name), str) else "" for name in names}
