"""Time, money and numbers as text. The twin is static/phone/format.js; tests/vectors/format.json
owns both.

An instant is ISO 8601 in UTC with seconds, ``2026-03-10T15:30:00Z``, from 1970 to 9998.
``offsets`` is the clock of one place: ``[[from_utc, minutes], …]`` sorted by time, each valid from
its instant to the next (``sync.zones.make_offsets`` makes it). An instant before the first entry
is shown by the first entry: an old visit may then read an hour off, but its page still opens.
Nothing here knows a language, a time zone database or the present time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Offsets = Sequence[Sequence[Any]]

_INSTANT = re.compile(r"(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_LOCAL = re.compile(r"(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_MAX_INTEGER = 2**53 - 1  # what JavaScript counts exactly
_MAX_OFFSET_MINUTES = 24 * 60

#: Currency to its sign and the number of digits after the point.
_CURRENCIES = {
    "CNY": ("¥", 2),
    "EUR": ("€", 2),
    "GBP": ("£", 2),
    "HKD": ("HK$", 2),
    "JPY": ("JP¥", 0),
    "KRW": ("₩", 0),
    "TWD": ("NT$", 2),
    "USD": ("$", 2),
}


class FormatError(ValueError):
    """A value that cannot be shown; ``code`` is its name, stable for ever."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def clock(at: str, offsets: Offsets) -> str:
    """Return the time on the wall at ``at``, ``23:30``; seconds are cut off.

    Raises FormatError("time.unreadable") or FormatError("offsets.unreadable").
    """
    return f"{_local(at, offsets):%H:%M}"


def day(at: str, offsets: Offsets) -> str:
    """Return the date on the calendar at ``at``, ``2026-03-10``.

    Raises FormatError("time.unreadable") or FormatError("offsets.unreadable").
    """
    return _local(at, offsets).date().isoformat()


def moment(at: str, offsets: Offsets) -> str:
    """Return date and time, ``2026-03-10 23:30``. Raises what ``day`` raises."""
    return f"{day(at, offsets)} {clock(at, offsets)}"


def when(at: str, offsets: Offsets) -> str:
    """Return ``moment``, or ``at`` as it came when it is none.

    What somebody noted in the field is shown even if it cannot be read.
    Raises FormatError("offsets.unreadable").
    """
    try:
        return moment(at, offsets)
    except FormatError as error:
        if error.code != "time.unreadable":
            raise
        return at


def duration(start: str, end: str, offsets: Offsets) -> str:
    """Return ``23:30 – 00:45 (+1)``; the bracket counts midnights and is left out for none.

    Raises FormatError("time.backwards") when ``end`` is before ``start``, and what ``clock`` does.
    """
    begun, ended = _local(start, offsets), _local(end, offsets)
    if _instant(end) < _instant(start):
        raise FormatError("time.backwards")
    days = (ended.date() - begun.date()).days
    return f"{begun:%H:%M} – {ended:%H:%M}" + (f" ({days:+d})" if days else "")


def minutes(start: str, end: str) -> int:
    """Return the whole minutes from ``start`` to ``end``; a begun minute does not count.

    Raises FormatError("time.backwards") or FormatError("time.unreadable").
    """
    begun, ended = _instant(start), _instant(end)
    if ended < begun:
        raise FormatError("time.backwards")
    return (ended - begun) // timedelta(minutes=1)


def span(minutes: int) -> str:
    """Return a length of time as hours and minutes, ``1:05``.

    Raises FormatError("number.not-whole"), or FormatError("time.backwards") below zero.
    """
    if _whole(minutes) < 0:
        raise FormatError("time.backwards")
    return f"{minutes // 60}:{minutes % 60:02d}"


def money(minor: int, currency: str) -> str:
    """Return an amount in minor units as text, ``¥12,345.00`` for 1234500 CNY.

    Raises FormatError("number.not-whole") or FormatError("money.unknown-currency").
    """
    sign = "-" if _whole(minor) < 0 else ""
    if not isinstance(currency, str) or currency not in _CURRENCIES:
        raise FormatError("money.unknown-currency")
    symbol, digits = _CURRENCIES[currency]
    units, rest = divmod(abs(minor), 10**digits)
    return f"{sign}{symbol}{units:,}" + (f".{rest:0{digits}d}" if digits else "")


def count(n: int) -> str:
    """Return a number of pieces with separators, ``12,345``.

    Raises FormatError("number.not-whole").
    """
    return f"{_whole(n):,}"


def local_input(at: str, offsets: Offsets) -> str:
    """Return ``at`` as a ``datetime-local`` field wants it, ``2026-03-10T23:30``.

    Raises FormatError("time.unreadable") or FormatError("offsets.unreadable").
    """
    return f"{day(at, offsets)}T{clock(at, offsets)}"


def from_local_input(text: str, offsets: Offsets) -> str:
    """Return the instant a person meant by the text of a ``datetime-local`` field.

    An hour that happens twice means the first one. A time that the clocks skip is read as if
    they had not been changed yet, so 02:30 in a gap of an hour becomes the instant shown as 03:30.
    Both are what browsers do. Seconds are accepted, since some browsers send them.

    Raises FormatError("time.unreadable") or FormatError("offsets.unreadable").
    """
    if not isinstance(text, str) or not _LOCAL.fullmatch(text):
        raise FormatError("time.unreadable")
    wall = _calendar(text)
    table = _table(offsets)
    for index, (_, offset) in enumerate(table):
        at = wall - timedelta(minutes=offset)
        if index + 1 == len(table) or at < table[index + 1][0]:
            break
    if index > 0 and at < table[index][0]:  # skipped by the clocks
        at = wall - timedelta(minutes=table[index - 1][1])
    written = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    _instant(written)
    return written


def _calendar(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        raise FormatError("time.unreadable") from None


def _instant(text: object) -> datetime:
    if not isinstance(text, str) or not _INSTANT.fullmatch(text) or text.startswith("9999"):
        raise FormatError("time.unreadable")
    return _calendar(text)


def _table(offsets: object) -> list[tuple[datetime, int]]:
    if not isinstance(offsets, (list, tuple)) or not offsets:
        raise FormatError("offsets.unreadable")
    table: list[tuple[datetime, int]] = []
    for entry in offsets:
        if not isinstance(entry, (list, tuple)) or len(entry) != 2:
            raise FormatError("offsets.unreadable")
        try:
            since, offset = _instant(entry[0]), _whole(entry[1])
        except FormatError:
            raise FormatError("offsets.unreadable") from None
        if abs(offset) > _MAX_OFFSET_MINUTES or (table and since <= table[-1][0]):
            raise FormatError("offsets.unreadable")
        table.append((since, offset))
    return table


def _local(at: object, offsets: object) -> datetime:
    """The wall clock at ``at``, dressed as UTC so that nothing else converts it."""
    instant = _instant(at)
    table = _table(offsets)
    offset = table[0][1]
    for since, minutes_ahead in table:
        if since <= instant:
            offset = minutes_ahead
    return instant + timedelta(minutes=offset)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MAX_INTEGER:
        raise FormatError("number.not-whole")
    return value
