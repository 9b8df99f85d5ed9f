"""Time limits: when a promise falls due, and whether it was kept.

The opening hours, the facts and the present moment come in as arguments; nothing here asks a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sync.problems import Problem

Span = tuple[int, int]
"""Opening and closing in minutes after local midnight; 1440 is the midnight that ends the day."""

DAY_MINUTES = 1440
PATIENCE_DAYS = 60
"""Longest closure that is still believed, in days; the longest public holiday is far shorter."""


@dataclass(frozen=True)
class OpeningHours:
    """When an organisation works, on the clocks of ``zone``.

    ``weekly`` holds the spans of Monday to Sunday.  ``exceptions`` replaces the spans of single
    days: none for a holiday, a working day's for the weekend that is worked in its place.
    Raises ValueError when a day's spans are empty stretches, out of order or overlapping.
    """

    zone: str
    weekly: tuple[tuple[Span, ...], ...]
    exceptions: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.weekly) != 7:
            raise ValueError("a week has seven days")
        for spans in (*self.weekly, *self.exceptions.values()):
            edges = [edge for span in spans for edge in span]
            if any(start >= end for start, end in spans) or edges != sorted(edges):
                raise ValueError(f"opening hours {spans} are not in order")
            if edges and (edges[0] < 0 or edges[-1] > DAY_MINUTES):
                raise ValueError(f"opening hours {spans} leave the day")

    @property
    def is_always(self) -> bool:
        """Whether there is no closing hour in any week."""
        return not self.exceptions and all(spans == ((0, DAY_MINUTES),) for spans in self.weekly)


ALWAYS = OpeningHours("UTC", (((0, DAY_MINUTES),),) * 7)
"""Seven days a week, round the clock."""


@dataclass(frozen=True)
class Target:
    """One promised time: ``minutes`` of opening time from the event ``start`` to ``stop``.

    ``level`` and ``distance`` are keys of the policy's lists; empty means every one of them.
    """

    name: str
    start: str
    stop: str
    minutes: int
    calendar: str = "always"
    level: str = ""
    distance: str = ""

    def applies(self, level: str, distance: str) -> bool:
        """Whether a fault of ``level`` at a site of class ``distance`` was promised this."""
        return self.level in ("", level) and self.distance in ("", distance)


def due_at(start_at: datetime, target: Target, hours: OpeningHours) -> datetime:
    """When the promise in ``target`` falls due.

    ``start_at`` is aware.  ``target.minutes`` pass only while ``hours`` is open, on its zone's
    clock; a promise used up exactly at closing time is due then, not at the next opening.
    Returns aware UTC, never earlier than ``start_at``.
    Raises Problem("sla.never-open") when ``hours`` stays closed for 60 days on end, ValueError for
    a naive ``start_at``.
    Source: counting rule for time outside opening hours is ours; the limits are the policy's.
    """
    if start_at.tzinfo is None:
        raise ValueError("a promise cannot start at a time without its zone")
    start_at = start_at.astimezone(UTC)
    left = timedelta(minutes=target.minutes)
    if left <= timedelta(0):
        return start_at
    if hours.is_always:
        return start_at + left
    for opens_at, closes_at in _openings(start_at, hours):
        begins_at = max(opens_at, start_at)
        if begins_at + left <= closes_at:
            return begins_at + left
        left -= closes_at - begins_at
    raise Problem("sla.never-open")


def is_breached(due_at: datetime, stopped_at: datetime | None, now: datetime) -> bool:
    """Whether a promise was broken: it stopped after ``due_at``, or is open and ``now`` is later.

    All times are aware; to stop exactly at ``due_at`` is in time.
    """
    return (stopped_at or now) > due_at


def _openings(start_at: datetime, hours: OpeningHours) -> Iterator[tuple[datetime, datetime]]:
    """The stretches of opening time that end after ``start_at``, as aware UTC pairs, in order.

    Ends when ``PATIENCE_DAYS`` days in a row bring none.
    """
    zone = ZoneInfo(hours.zone)
    day = start_at.astimezone(zone).date()
    closed_days = 0
    while closed_days <= PATIENCE_DAYS:
        closed_days += 1
        for opens, closes in hours.exceptions.get(day, hours.weekly[day.weekday()]):
            opens_at = _instant(day, opens, zone, fold=0)
            # The hour that the clock shows twice is opening time twice.
            closes_at = _instant(day, closes, zone, fold=1)
            if max(opens_at, start_at) < closes_at:
                closed_days = 0
                yield opens_at, closes_at
        day += timedelta(days=1)


def _instant(day: date, minute: int, zone: ZoneInfo, *, fold: int) -> datetime:
    """The aware UTC moment when a clock in ``zone`` shows ``minute`` of ``day``.

    A time shown twice is the first for ``fold`` 0 and the second for 1; a time that the clock
    skips is the moment of the jump.
    """
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  the zone is put on below
    local = midnight + timedelta(minutes=minute)
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first <= second:
        return second if fold else first
    # Skipped: the jump lies between the two readings, halved down to the second.
    before, after = second, first
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
