"""The clock of a site for the 400 days before and after."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from fieldapp.formats import moment
from sync.zones import make_offsets

AROUND = datetime(2026, 6, 15, 12, 34, 56, tzinfo=UTC)


def test_shanghai_has_one_offset() -> None:
    assert make_offsets("Asia/Shanghai", AROUND) == [["2025-05-01T00:00:00Z", 480]]


def test_berlin_changes_its_clocks_twice_a_year() -> None:
    assert make_offsets("Europe/Berlin", AROUND) == [
        ["2025-05-01T00:00:00Z", 120],
        ["2025-10-26T01:00:00Z", 60],
        ["2026-03-29T01:00:00Z", 120],
        ["2026-10-25T01:00:00Z", 60],
        ["2027-03-28T01:00:00Z", 120],
    ]


@pytest.mark.parametrize(
    "zone",
    ["America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu",
     "America/St_Johns", "Pacific/Chatham", "Africa/Cairo", "UTC"],
)  # fmt: skip
def test_every_clock_reads_as_the_zone_says(zone: str) -> None:
    offsets = make_offsets(zone, AROUND)
    for hours in range(-400 * 24, 400 * 24, 7):
        at = AROUND + timedelta(hours=hours)
        wall = at.astimezone(ZoneInfo(zone))
        assert moment(f"{at:%Y-%m-%dT%H:%M:%SZ}", offsets) == f"{wall:%Y-%m-%d %H:%M}"


def test_the_table_stays_the_same_for_the_month() -> None:
    # What a phone holds is named by its hash: a table that moved daily would travel daily.
    days = [make_offsets("Europe/Berlin", datetime(2026, 7, day, tzinfo=UTC)) for day in (7, 20)]
    assert days[0] == days[1]


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        make_offsets("UTC", datetime(2026, 6, 15))  # noqa: DTZ001


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        make_offsets("Europe/Atlantis", AROUND)
