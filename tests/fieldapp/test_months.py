"""Months on an organisation's clock."""

from datetime import UTC, datetime

import pytest

from fieldapp.months import bounds_of, is_month, month_of, months_between

SHANGHAI, BERLIN = "Asia/Shanghai", "Europe/Berlin"


@pytest.mark.parametrize(
    ("month", "zone", "first", "end"),
    [
        ("2026-11", SHANGHAI, "2026-10-31T16:00", "2026-11-30T16:00"),
        ("2026-12", SHANGHAI, "2026-11-30T16:00", "2026-12-31T16:00"),
        ("2026-03", BERLIN, "2026-02-28T23:00", "2026-03-31T22:00"),
    ],
)
def test_a_month_begins_and_ends_at_the_offices_midnight(month, zone, first, end):
    begins, ends = bounds_of(month, zone)
    assert [begins, ends] == [datetime.fromisoformat(at).replace(tzinfo=UTC) for at in (first, end)]
    assert month_of(begins, zone) == month
    assert month_of(ends, zone) > month


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("2026-11", True), ("2026-13", False), ("2026-00", False), ("2026-1", False), ("", False),
     ("0000-01", False), ("0001-01", False), ("9999-12", False), ("2026-11\n", False), ("２０２６-11", False)],
)  # fmt: skip
def test_what_is_a_month(text, is_one):
    assert is_month(text) == is_one


def test_months_are_listed_from_the_newest():
    assert months_between("2025-11", "2026-02") == ["2026-02", "2026-01", "2025-12", "2025-11"]
    assert months_between("2026-02", "2026-02") == ["2026-02"]
