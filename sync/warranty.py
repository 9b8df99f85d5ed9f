"""Whether an asset is under warranty on a given day."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Literal, TypedDict


class Verdict(TypedDict):
    """What the warranty says about one day.

    ``until_on`` is the last day under warranty as ISO date, None when it cannot be known.
    """

    covered: bool
    until_on: str | None
    reason: Literal["within", "expired", "unknown"]


def verdict(commissioned_on: date | None, months: int | None, on: date) -> Verdict:
    """The warranty verdict for the day ``on``, all three being dates at the site.

    The warranty lasts ``months`` months from ``commissioned_on``; its last day is the one before
    the anniversary and still counts.  Without both facts nothing is promised: ``unknown``.  A day
    before ``commissioned_on`` is within: what fails while it is being put to work is owed too.
    Raises ValueError when ``months`` is negative.
    Source: the trade's convention "start plus N months less one day, the last day included".
    """
    if commissioned_on is None or months is None:
        return {"covered": False, "until_on": None, "reason": "unknown"}
    until_on = _months_later(commissioned_on, months) - timedelta(days=1)
    covered = on <= until_on
    return {
        "covered": covered,
        "until_on": until_on.isoformat(),
        "reason": "within" if covered else "expired",
    }


def _months_later(day: date, months: int) -> date:
    """The same day ``months`` later; the month's last day when it has no such day."""
    if months < 0:
        raise ValueError("a warranty cannot last less than no months")
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
