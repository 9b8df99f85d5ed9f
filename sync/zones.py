"""The clock of a site as data, so that a phone needs no time zone database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

REACH = timedelta(days=400)
_STEP = timedelta(hours=6)  # no zone has changed its clocks twice within six hours


def make_offsets(zone: str, around: datetime) -> list[list[str | int]]:
    """Return ``zone``'s offsets as ``[[from_utc, minutes], …]``, sorted, for fieldapp.formats.

    ``zone`` is an IANA name, ``around`` aware UTC. The table covers at least ``REACH`` before and
    after ``around``, widened to whole months: it changes once a month at most, so that what a
    phone already holds stays the same bytes.

    Raises ValueError for a naive ``around`` and zoneinfo.ZoneInfoNotFoundError for an unknown zone.
    """
    if around.tzinfo is None:
        raise ValueError("around must be aware")
    place = ZoneInfo(zone)
    at = _month_start((around - REACH).astimezone(UTC))
    end = _month_start((around + REACH).astimezone(UTC) + timedelta(days=31))
    offsets: list[list[str | int]] = [[_iso(at), _minutes(at, place)]]
    while at < end:
        following = at + _STEP
        if _minutes(following, place) != offsets[-1][1]:
            changed = _change(at, following, place)
            offsets.append([_iso(changed), _minutes(changed, place)])
        at = following
    return offsets


def _change(before: datetime, after: datetime, place: ZoneInfo) -> datetime:
    """The first second at which the offset of ``before`` no longer holds."""
    offset = _minutes(before, place)
    seconds = (after - before) // timedelta(seconds=1)
    low, high = 0, seconds
    while high - low > 1:
        middle = (low + high) // 2
        if _minutes(before + timedelta(seconds=middle), place) == offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


def _minutes(at: datetime, place: ZoneInfo) -> int:
    offset = at.astimezone(place).utcoffset()
    assert offset is not None
    return offset // timedelta(minutes=1)


def _month_start(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
