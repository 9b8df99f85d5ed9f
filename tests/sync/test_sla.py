"""When promises fall due, with the clocks of the trade and both clock changes of the year."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.problems import Problem
from sync.sla import ALWAYS, OpeningHours, Target, due_at, is_breached

SHANGHAI = ZoneInfo("Asia/Shanghai")
MORNING_AND_AFTERNOON = ((540, 720), (780, 1050))  # 09:00–12:00, 13:00–17:30
WEEK = (MORNING_AND_AFTERNOON,) * 5 + ((), ())
OFFICE = OpeningHours("Asia/Shanghai", WEEK)


def at(text, zone="Asia/Shanghai", fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def promised(minutes):
    return Target("arrival", "reported", "arrived", minutes)


@pytest.mark.parametrize(
    ("minutes", "reported", "due"),
    [
        (120, "2026-03-10T09:00", "2026-03-10T11:00"),  # urban arrival
        (720, "2026-03-14T20:10", "2026-03-15T08:10"),  # county arrival, over the night
        (2880, "2026-03-14T20:10", "2026-03-16T20:10"),  # cleared within 48 hours
        (4320, "2026-03-10T10:48", "2026-03-13T10:48"),  # major device, from arrival
    ],
)
def test_round_the_clock_every_minute_counts(minutes, reported, due):
    assert due_at(at(reported), promised(minutes), ALWAYS) == at(due)


@pytest.mark.parametrize(
    ("minutes", "reported", "due"),
    [
        (60, "2026-03-10T09:30", "2026-03-10T10:30"),
        (60, "2026-03-10T07:00", "2026-03-10T10:00"),  # before opening
        (60, "2026-03-10T11:30", "2026-03-10T13:30"),  # the noon break does not count
        (180, "2026-03-10T09:00", "2026-03-10T12:00"),  # due at closing, not at the next opening
        (181, "2026-03-10T09:00", "2026-03-10T13:01"),
        (60, "2026-03-13T17:00", "2026-03-16T09:30"),  # Friday evening to Monday
        (60, "2026-03-10T17:30", "2026-03-11T10:00"),  # closing time itself is closed
        (450, "2026-03-14T12:00", "2026-03-16T17:30"),  # a whole working day from a Saturday
    ],
)
def test_in_office_hours_only_open_minutes_count(minutes, reported, due):
    assert due_at(at(reported), promised(minutes), OFFICE) == at(due)


def test_a_holiday_is_closed_and_the_weekend_worked_in_its_place_is_open():
    hours = OpeningHours(
        "Asia/Shanghai",
        WEEK,
        {date(2026, 3, 13): (), date(2026, 3, 14): MORNING_AND_AFTERNOON},
    )
    assert due_at(at("2026-03-12T17:00"), promised(60), hours) == at("2026-03-14T09:30")


def test_nothing_promised_is_due_at_once_even_when_closed():
    assert due_at(at("2026-03-14T12:00"), promised(0), OFFICE) == at("2026-03-14T12:00")


def test_hours_that_never_open_are_a_named_problem():
    with pytest.raises(Problem) as raised:
        due_at(at("2026-03-10T09:00"), promised(1), OpeningHours("UTC", ((),) * 7))
    assert raised.value.code == "sla.never-open"


def test_a_long_closure_is_waited_for_and_a_longer_one_is_not():
    first_on = date(2026, 3, 10)
    closed = {first_on + timedelta(days=n): () for n in range(50)}
    assert due_at(
        at("2026-03-10T09:00"), promised(1), OpeningHours("Asia/Shanghai", WEEK, closed)
    ) == at("2026-04-29T09:01")
    closed = {first_on + timedelta(days=n): () for n in range(70)}
    with pytest.raises(Problem):
        due_at(at("2026-03-10T09:00"), promised(1), OpeningHours("Asia/Shanghai", WEEK, closed))


def test_a_time_without_its_zone_is_refused():
    with pytest.raises(ValueError, match="zone"):
        due_at(datetime(2026, 3, 10, 9), promised(1), ALWAYS)  # noqa: DTZ001


NIGHT = (((0, 360),),) * 7  # midnight to six: both clock changes fall inside


@pytest.mark.parametrize(
    ("day", "hours_open"),
    [("2026-03-28", 6), ("2026-03-29", 5), ("2026-10-25", 7)],
)
def test_a_clock_change_shortens_or_lengthens_the_open_night(day, hours_open):
    night = OpeningHours("Europe/Berlin", NIGHT)
    start_at = at(f"{day}T00:00", "Europe/Berlin")
    closing = at(f"{day}T06:00", "Europe/Berlin")
    assert due_at(start_at, promised(60 * hours_open), night) == closing
    assert due_at(start_at, promised(60 * hours_open + 1), night) > closing


def test_a_closing_time_that_the_clock_skips_is_the_moment_of_the_jump():
    until_half_past_two = OpeningHours("Europe/Berlin", (((0, 150),),) * 7)
    start_at = at("2026-03-29T00:00", "Europe/Berlin")
    assert due_at(start_at, promised(120), until_half_past_two) == at(
        "2026-03-29T03:00", "Europe/Berlin"
    )
    assert due_at(start_at, promised(121), until_half_past_two) == at(
        "2026-03-30T00:01", "Europe/Berlin"
    )


def test_an_opening_in_the_hour_shown_twice_is_the_first():
    hours = OpeningHours("Europe/Berlin", (((150, 240),),) * 7)  # 02:30–04:00
    start_at = at("2026-10-25T00:00", "Europe/Berlin")
    assert due_at(start_at, promised(60), hours) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1)),  # noqa: DTZ001
    st.integers(1, 3000),
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"]),
)
def test_between_start_and_due_exactly_the_promised_minutes_are_open(moment, minutes, zone):
    hours = OpeningHours(zone, WEEK)
    start_at = moment.replace(second=0, microsecond=0, tzinfo=UTC)
    due = due_at(start_at, promised(minutes), hours)
    open_minutes, minute_at = 0, start_at
    while minute_at < due:  # counted one by one: slow, and obviously right
        local = minute_at.astimezone(ZoneInfo(zone))
        clock = local.hour * 60 + local.minute
        spans = WEEK[local.weekday()]
        open_minutes += any(opens <= clock < closes for opens, closes in spans)
        minute_at += timedelta(minutes=1)
    assert open_minutes == minutes
    assert due >= start_at


@pytest.mark.parametrize(
    "spans",
    [((600, 600),), ((700, 600),), ((600, 700), (650, 800)), ((-1, 5),), ((0, 1441),)],
)
def test_opening_hours_out_of_order_are_refused(spans):
    with pytest.raises(ValueError, match="opening hours"):
        OpeningHours("Asia/Shanghai", (spans,) + ((),) * 6)


def test_a_week_has_seven_days():
    with pytest.raises(ValueError, match="seven"):
        OpeningHours("Asia/Shanghai", ((),) * 6)


def test_a_promise_kept_to_the_second_is_kept():
    due = at("2026-03-10T11:00")
    late = due + timedelta(seconds=1)
    assert not is_breached(due, due, late)
    assert is_breached(due, late, late)
    assert not is_breached(due, None, due)
    assert is_breached(due, None, late)


def test_a_target_applies_to_its_level_and_distance_only():
    county = Target("arrival", "reported", "arrived", 720, distance="county")
    assert county.applies("major", "county")
    assert not county.applies("major", "urban")
    assert Target("fix", "reported", "solved", 2880).applies("", "urban")
    assert not Target("repair", "arrived", "solved", 4320, level="major").applies("", "urban")
