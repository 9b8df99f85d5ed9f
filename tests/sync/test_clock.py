"""sync.clock: nothing is refused for its clock, and nothing happened after it was received."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.clock import corrected_ms, is_off, skew_ms

MINUTE = 60_000
TIMES = st.integers(-(2**53), 2**53)


@pytest.mark.parametrize(
    ("phone", "server", "skew"),
    [(1000, 1000, 0), (1000, 4000, 3000), (4000, 1000, -3000), (0, 2**53, 2**53)],
)
def test_a_phone_that_lags_has_a_positive_skew(phone, server, skew):
    assert skew_ms(phone, server) == skew


@pytest.mark.parametrize(
    ("wall", "skew", "received", "corrected"),
    [
        (1000, 0, 9000, 1000),
        (1000, 500, 9000, 1500),
        (1000, -500, 9000, 500),
        (1000, 0, 1000, 1000),
        (9000, 0, 1000, 1000),  # a clock that ran ahead and was set right before the push
        (9000, -8500, 1000, 500),
        (-5000, 0, 1000, -5000),
    ],
)
def test_corrected_time(wall, skew, received, corrected):
    assert corrected_ms(wall, skew, received) == corrected


@given(TIMES, TIMES, TIMES)
def test_nothing_happened_after_it_was_received(wall, skew, received):
    assert corrected_ms(wall, skew, received) <= received


@given(TIMES, st.integers(0, 10**9), TIMES)
def test_a_clock_that_was_only_wrong_by_its_skew_is_put_right(at, ago, skew):
    # The phone wrote at + ago with a clock that lagged by skew, and the server has it now.
    received = at + ago
    wall, phone_now = at - skew, received - skew
    assert corrected_ms(wall, skew_ms(phone_now, received), received) == at


@pytest.mark.parametrize(
    ("skew", "off"),
    [(0, False), (5 * MINUTE, False), (-5 * MINUTE, False), (5 * MINUTE + 1, True),
     (-5 * MINUTE - 1, True)],
)  # fmt: skip
def test_more_than_five_minutes_deserve_a_flag(skew, off):
    assert is_off(skew) is off
