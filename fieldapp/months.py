"""Months on an organisation's clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_MONTH = re.compile("[0-9]{4}-(0[1-9]|1[0-2])")


def is_month(text: str) -> bool:
    """Whether ``text`` is a month like ``2026-11``."""
    return _MONTH.fullmatch(text) is not None and "1970-01" <= text < "9999-12"


def month_of(at: datetime, zone: str) -> str:
    """The month in ``zone`` at the moment ``at``."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m}"


def bounds_of(month: str, zone: str) -> tuple[datetime, datetime]:
    """Aware UTC: the first moment of ``month`` in ``zone``, and the first one after it."""
    year, number = int(month[:4]), int(month[5:])
    after = (year, number + 1) if number < 12 else (year + 1, 1)
    first, end = (
        datetime(*start, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for start in ((year, number), after)
    )
    return first, end


def months_between(first: str, last: str) -> list[str]:
    """Every month from ``first`` to ``last``, the newest first."""
    years = range(int(last[:4]), int(first[:4]) - 1, -1)
    every = [f"{year:04}-{number:02}" for year in years for number in range(12, 0, -1)]
    return [month for month in every if first <= month <= last]
