"""The warranty verdict on both sides of every edge."""

from datetime import date

import pytest

from sync.warranty import verdict


@pytest.mark.parametrize(
    ("commissioned_on", "months", "last_on"),
    [
        (date(2025, 9, 15), 12, date(2026, 9, 14)),
        (date(2024, 1, 8), 12, date(2025, 1, 7)),
        (date(2025, 1, 1), 12, date(2025, 12, 31)),
        (date(2024, 12, 15), 1, date(2025, 1, 14)),
        (date(2024, 2, 29), 12, date(2025, 2, 27)),
        (date(2024, 2, 29), 48, date(2028, 2, 28)),
        (date(2025, 1, 31), 1, date(2025, 2, 27)),
        (date(2024, 1, 31), 1, date(2024, 2, 28)),
        (date(2025, 8, 31), 6, date(2026, 2, 27)),
        (date(2025, 3, 1), 36, date(2028, 2, 29)),
    ],
)
def test_the_last_day_counts_and_the_next_does_not(commissioned_on, months, last_on):
    inside = verdict(commissioned_on, months, last_on)
    outside = verdict(commissioned_on, months, date.fromordinal(last_on.toordinal() + 1))
    assert inside == {"covered": True, "until_on": last_on.isoformat(), "reason": "within"}
    assert outside == {"covered": False, "until_on": last_on.isoformat(), "reason": "expired"}


def test_no_month_covers_no_day():
    assert not verdict(date(2025, 9, 15), 0, date(2025, 9, 15))["covered"]


def test_a_failure_before_commissioning_is_covered():
    assert verdict(date(2025, 9, 15), 12, date(2025, 9, 1))["reason"] == "within"


@pytest.mark.parametrize(("commissioned_on", "months"), [(None, 12), (date(2025, 9, 15), None)])
def test_an_unknown_start_or_length_promises_nothing(commissioned_on, months):
    assert verdict(commissioned_on, months, date(2026, 1, 1)) == {
        "covered": False,
        "until_on": None,
        "reason": "unknown",
    }


def test_negative_months_are_refused():
    with pytest.raises(ValueError, match="months"):
        verdict(date(2025, 9, 15), -1, date(2026, 1, 1))
