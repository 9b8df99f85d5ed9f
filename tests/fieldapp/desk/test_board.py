"""The board: who is where, what is late, and what an idle poll costs."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from fieldapp.desk.board import board_of, first_arrivals, is_fresh, newest_rev, promise_of
from fieldapp.models import Device, Visit, db
from tests import cast
from tests.cast import MORNING

TUESDAY = date(2026, 3, 10)
DUE = MORNING + timedelta(hours=2)
A_SECOND = timedelta(seconds=1)


def on(visit, dana, erin, perform, at=MORNING + timedelta(hours=1), **fault):
    """The visit agreed for ``at`` and given to Erin."""
    operations = [
        ("fault", {"text": "dead since 08:40"} | fault),
        ("appointment", {"at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}),
    ]
    if erin is not None:
        operations.append(("assignment", {"engineer": erin.id}))
    return perform(visit, dana, *operations, at=MORNING)


def only_card(board):
    (card,) = [card for column in board.columns for card in column.cards]
    return card


def test_an_urban_arrival_is_due_after_two_hours_and_late_a_second_later(
    organisation, place, dana, erin, perform
):
    on(cast.make_visit(place), dana, erin, perform)
    for now, is_late, is_soon in (
        (DUE - timedelta(minutes=31), False, False),
        (DUE - timedelta(minutes=30), False, True),
        (DUE, False, True),
        (DUE + A_SECOND, True, False),
    ):
        promise = only_card(board_of(organisation, TUESDAY, now)).promise
        assert (promise.due_at, promise.is_late, promise.is_soon) == (DUE, is_late, is_soon)


def test_a_county_arrival_has_twelve_hours(organisation, dana, erin, perform):
    county = cast.make_place(organisation, "C9", distance="county")
    on(cast.make_visit(county), dana, erin, perform)
    promise = only_card(board_of(organisation, TUESDAY, DUE + A_SECOND)).promise
    assert promise.due_at == MORNING + timedelta(hours=12)
    assert not promise.is_late


@pytest.mark.parametrize(("seconds", "is_late"), [(0, False), (1, True)])
def test_an_arrival_stays_in_time_or_late_for_ever(
    seconds, is_late, organisation, place, dana, erin, perform
):
    visit = on(cast.make_visit(place), dana, erin, perform)
    arrived_at = DUE + timedelta(seconds=seconds)
    perform(visit, erin, ("arrival", {"outcome": "present"}), at=arrived_at)
    promise = only_card(board_of(organisation, TUESDAY, DUE + timedelta(days=1))).promise
    assert promise.is_late is is_late
    assert not promise.is_soon


def test_a_return_trip_weeks_after_the_report_is_not_late(
    organisation, place, dana, erin, eli, perform
):
    first = on(cast.make_visit(place, "PG-1"), dana, erin, perform)
    perform(first, erin, ("arrival", {"outcome": "present"}), at=DUE)
    again = cast.make_visit(place, "PG-2", request=first.work_order.request)
    again = on(again, dana, eli, perform, at=MORNING + timedelta(days=15))
    now = MORNING + timedelta(days=15, hours=3)
    firsts = first_arrivals([first, again])
    assert again.due_at == DUE
    assert promise_of(again, firsts[first.work_order.request_id], now) is None
    assert promise_of(first, firsts[first.work_order.request_id], now).is_late is False
    again = perform(again, eli, ("arrival", {"outcome": "present"}), at=now)
    firsts = first_arrivals([again])
    assert promise_of(again, firsts[first.work_order.request_id], now) is None


def test_a_cancelled_visit_promises_nothing(organisation, place, dana, erin, perform):
    visit = on(cast.make_visit(place), dana, erin, perform)
    visit = perform(visit, dana, ("cancellation", {"reason": "solved by phone"}), at=MORNING)
    assert visit.status == "cancelled"
    assert promise_of(visit, None, DUE + timedelta(days=9)) is None


def test_every_engineer_has_a_column_and_unassigned_visits_their_own(
    organisation, place, dana, erin, eli, perform
):
    on(cast.make_visit(place, "PG-1"), dana, erin, perform)
    on(cast.make_visit(place, "PG-2"), dana, None, perform)
    cast.add(Visit(id="u" * 36, org_id=organisation.id))
    board = board_of(organisation, TUESDAY, MORNING)
    assert [(column.engineer.name, len(column.cards)) for column in board.columns] == [
        ("Eli Fox", 0),
        ("Erin Ng", 1),
    ]
    assert [card.visit.work_order.number for card in board.unassigned] == ["PG-2"]
    assert [card.visit.id for card in board.unknown] == ["u" * 36]


def test_the_day_is_the_organisations_day(organisation, place, dana, erin, perform):
    midnight_in_shanghai = datetime(2026, 3, 9, 16, 0, tzinfo=UTC)
    on(cast.make_visit(place), dana, erin, perform, at=midnight_in_shanghai)
    assert only_card(board_of(organisation, TUESDAY, MORNING))
    monday = board_of(organisation, date(2026, 3, 9), MORNING)
    assert not any(column.cards for column in monday.columns)
    assert board_of(organisation, None, midnight_in_shanghai).day == TUESDAY
    assert board_of(organisation, None, midnight_in_shanghai - A_SECOND).day == date(2026, 3, 9)


def test_yesterdays_visit_waits_for_its_review(organisation, place, dana, erin, perform):
    visit = on(cast.make_visit(place), dana, erin, perform)
    wednesday = date(2026, 3, 11)
    assert board_of(organisation, wednesday, MORNING).waiting == []
    perform(visit, erin, ("arrival", {"outcome": "present"}), ("leaving", {}))
    board = board_of(organisation, wednesday, MORNING)
    assert [card.visit.id for card in board.waiting] == [visit.id]
    perform(visit, dana, ("review", {"verdict": "accepted"}))
    assert board_of(organisation, wednesday, MORNING).waiting == []


def test_a_visit_that_asks_for_care_is_shown_though_nobody_agreed_on_its_time(
    organisation, place, dana, erin, perform
):
    visit = cast.make_visit(place)
    perform(visit, dana, ("assignment", {"engineer": erin.id}), ("review", {"verdict": "accepted"}))
    assert only_card_or_none(organisation) is None
    visit.is_changed = True
    db.session.commit()
    assert only_card_or_none(organisation) == visit.id


def only_card_or_none(organisation):
    """The one visit on today's board, if there is any."""
    board = board_of(organisation, TUESDAY, MORNING)
    cards = [card.visit.id for column in board.columns for card in column.cards]
    return cards[0] if cards else None


def test_the_board_says_when_erins_phone_was_last_heard(organisation, erin, eli, dana_desk):
    now = datetime.now(UTC)
    devices = [("a", now - timedelta(hours=5), None), ("b", now - timedelta(hours=3), None)]
    devices.append(("c", now, now))
    for name, heard_at, revoked_at in devices:
        db.session.add(
            Device(
                id=name * 36,
                org_id=organisation.id,
                person_id=erin.id,
                credential_sha256=name,
                enrolled_at=now,
                heard_at=heard_at,
                revoked_at=revoked_at,
            )
        )
    db.session.commit()
    page = dana_desk.get("/desk").text
    assert "Erin Ng" in page
    assert "Phone last heard 3 h ago" in page
    assert "No phone enrolled" in page  # Eli's


def test_conflicts_flags_and_photos_to_come_are_counted(visit, dana, erin, perform, dana_desk):
    heads = {"fault/text": visit.state["fields"]["fault/text"]["heads"]}
    perform(
        visit,
        erin,
        ("fault", {"text": "no light"}, heads),
        ("swap", swap := {"part_name": "board", "removed_serial": "A", "installed_serial": "B",
                          "fate": "scrap"}),
        ("swap", swap),
        ("photo", {"sha256": "a" * 64}),
    )  # fmt: skip
    perform(visit, dana, ("fault", {"text": "still dead"}, heads))
    page = dana_desk.get("/desk").text
    assert "1 conflict<" in page
    assert "1 flag<" in page
    assert "1 photo to come<" in page


def seen_in(page):
    return re.search(r'name="seen" value="([^"]+)"', page)[1]


def test_an_idle_poll_costs_one_look_at_the_clock(visit, dana_desk, counted):
    seen = seen_in(dana_desk.get("/desk").text)
    with counted() as statements:
        answer = dana_desk.get(f"/desk/board?day=2026-03-10&seen={seen}")
    assert answer.status_code == 204
    # who asks is looked up for every page; beyond that there is one query
    tables = [re.findall(r"FROM (\w+)", text) for text in statements]
    assert tables == [["device", "person"], ["sync_clock"]]


def test_a_push_makes_the_next_poll_answer_with_the_board(visit, erin, dana_desk, perform):
    seen = seen_in(dana_desk.get("/desk").text)
    perform(visit, erin, ("departure", {"eta_at": "2026-03-10T02:50:00Z"}))
    answer = dana_desk.get(f"/desk/board?seen={seen}")
    assert answer.status_code == 200
    assert "On the way" in answer.text
    assert "<html" not in answer.text
    assert dana_desk.get(f"/desk/board?seen={seen_in(answer.text)}").status_code == 204


def test_a_promise_breaks_on_an_open_board_although_nothing_happens(
    organisation, place, dana, erin, perform
):
    on(cast.make_visit(place), dana, erin, perform)
    shown_at = DUE - timedelta(seconds=5)
    seen = board_of(organisation, TUESDAY, shown_at).seen
    assert is_fresh(seen, organisation.id, DUE)
    assert not is_fresh(seen, organisation.id, DUE + A_SECOND)


@pytest.mark.parametrize("seen", ["", "1", "-", "x-9999999999", "1-x", "²-9999999999", "1--1"])
def test_a_poll_that_carries_nonsense_gets_the_board(seen, organisation):
    assert not is_fresh(seen, organisation.id, MORNING)


def test_another_organisations_work_moves_no_revision_here(visit, organisation, olly, perform):
    before = newest_rev(organisation.id)
    theirs = cast.make_visit(cast.make_place(olly.organisation), "PG-9")
    perform(theirs, olly, ("remark", {"text": "elsewhere"}))
    assert newest_rev(organisation.id) == before


def test_thirty_visits_cost_no_more_queries_than_one(
    organisation, place, dana, erin, eli, perform, counted
):
    on(cast.make_visit(place, "PG-0"), dana, erin, perform)

    def cost():
        db.session.commit()
        with counted() as statements:
            board = board_of(organisation, TUESDAY, MORNING)
            for column in board.columns:
                for card in column.cards:
                    assert card.visit.work_order.request.customer.name
        return len(statements), sum(len(column.cards) for column in board.columns)

    one = cost()
    for n in range(1, 30):
        on(cast.make_visit(cast.make_place(organisation, f"D{n}"), f"PG-{n}"), dana, eli, perform)
    thirty = cost()
    assert (one[1], thirty[1]) == (1, 30)
    assert one[0] == thirty[0] <= 9


def test_erin_may_not_see_the_board(erin, browse):
    for path in ("/desk", "/desk/board"):
        answer = browse(erin).get(path)
        assert answer.status_code == 403
        assert "Your role does not include this" in answer.text


def test_a_stranger_is_sent_to_sign_in(app):
    assert app.test_client().get("/desk").headers["Location"] == "/sign-in"
    poll = app.test_client().get("/desk/board")
    assert (poll.status_code, poll.headers["HX-Redirect"]) == (204, "/sign-in")


def test_olly_sees_only_his_own_board(visit, olly, browse):
    page = browse(olly).get("/desk").text
    assert "Erin Ng" not in page
    assert visit.id not in page


@pytest.mark.parametrize("day", ["", "tomorrow", "2026-02-30", "9999-12-31", "0001-01-01"])
def test_a_day_that_is_none_is_today(day, dana_desk):
    assert dana_desk.get(f"/desk?day={day}").status_code == 200


def test_hostile_text_is_shown_as_text(visit, dana, perform, dana_desk):
    perform(visit, dana, ("fault", {"text": "<script>alert(1)</script>"}))
    page = dana_desk.get("/desk").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
