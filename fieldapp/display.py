"""How the pages look on one device: as it asks, light, dark or in high contrast."""

from __future__ import annotations

from flask import has_request_context, session

DISPLAYS = ("", "light", "dark", "contrast")
"""The first is as the device asks.  The phone gets them as data."""


def current_display() -> str:
    """What this browser's reader chose; empty when nothing."""
    chosen = session.get("display") if has_request_context() else None
    return str(chosen) if chosen in DISPLAYS else DISPLAYS[0]


def choose_display(display: str) -> None:
    """Keep the reader's choice in his session.  What is none of ours changes nothing."""
    if display in DISPLAYS:
        session["display"] = display
