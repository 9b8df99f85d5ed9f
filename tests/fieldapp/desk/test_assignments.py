"""Who goes, who goes along, and what the phones of those who went may still hold."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from fieldapp.desk.board import board_of
from fieldapp.models import db
from sync.scope import holders
from tests.fieldapp.desk.forms import carried, enrol, hidden, look, part, push, pushed, state_of


def page_of(visit):
    return f"/desk/visits/{visit.id}"


def value_of(visit):
    return state_of(visit)["fields"]["assignment"]["value"]


def scope_of(visit):
    """Who holds the visit now."""
    held = holders(db.session.connection(), visit.org_id, visit.id)
    return {person for person, (active, _) in held.items() if active}


@pytest.fixture
def assign(dana_desk):
    """``assign(visit, engineer=…)``: Dana fills in the form as it stands."""

    def post(visit, **form):
        form = carried(look(dana_desk, page_of(visit)), "assignments") | form
        return dana_desk.post(f"{page_of(visit)}/assignments", data=form)

    return post


def given_to(visit, person, dana, perform):
    return perform(visit, dana, ("assignment", {"engineer": person.id if person else ""}))


# The form


def test_eli_goes_along(visit, erin, eli, assign, dana_desk):
    assert assign(visit, engineer=erin.id, helpers=[eli.id]).status_code == 303
    assert value_of(visit) == {"engineer": erin.id, "helpers": [eli.id]}
    assert scope_of(visit) == {erin.id, eli.id}
    page = look(dana_desk, page_of(visit))
    assert "Also on this visit: Eli Fox" in page
    ticked = re.findall(r'name="helpers" value="([^"]*)" checked', page)
    assert ticked == [eli.id]
    # nobody's box is ticked any more
    assert assign(visit, engineer=erin.id).status_code == 303
    assert scope_of(visit) == {erin.id}


def test_a_visit_is_given_to_nobody(visit, assign, dana_desk, organisation):
    assert assign(visit, engineer="").status_code == 303
    assert value_of(visit) == {"engineer": ""}
    assert scope_of(visit) == set()
    board = board_of(organisation, None, datetime.now(UTC))
    assert [card.visit.id for card in board.unassigned] == [visit.id]
    assert "Nobody yet" in look(dana_desk, page_of(visit))


def test_whoever_goes_does_not_go_along_too(visit, erin, assign):
    assert assign(visit, engineer=erin.id, helpers=[erin.id, erin.id]).status_code == 303
    assert value_of(visit) == {"engineer": erin.id}


@pytest.mark.parametrize(
    ("engineer", "helper", "said"),
    [
        ("", "eli", "Engineer is missing."),
        ("erin", "dana", "Also on this visit is not one of the choices."),
        ("erin", "olly", "Also on this visit is not one of the choices."),
        (None, "eli", "Engineer is missing."),
        (None, None, "Engineer is missing."),
    ],
)
def test_an_assignment_names_engineers_of_the_house(
    engineer, helper, said, visit, erin, eli, dana, olly, dana_desk
):
    ids = {"erin": erin.id, "eli": eli.id, "dana": dana.id, "olly": olly.id, "": ""}
    form = carried(look(dana_desk, page_of(visit)), "assignments")
    if engineer is not None:
        form["engineer"] = ids[engineer]
    if helper is not None:
        form["helpers"] = ids[helper]
    answer = dana_desk.post(f"{page_of(visit)}/assignments", data=form)
    assert answer.status_code == 422
    assert said in answer.text
    assert value_of(visit) == {"engineer": erin.id}


def test_a_refused_assignment_keeps_who_was_ticked(visit, eli, assign):
    answer = assign(visit, engineer="", helpers=[eli.id])
    assert answer.status_code == 422
    assert re.search(rf'name="helpers" value="{eli.id}" checked', answer.text)


def test_a_conflict_about_who_goes_is_settled_with_a_helper(
    visit, dana, erin, eli, dana_desk, perform
):
    perform(visit, dana, ("assignment", {"engineer": eli.id}, {"assignment": []}))
    form = {
        "path": "assignment",
        "heads": hidden(look(dana_desk, page_of(visit)), "resolutions", "heads"),
        "choice": "other",
        "engineer": eli.id,
        "helpers": [erin.id],
    }
    assert dana_desk.post(f"{page_of(visit)}/resolutions", data=form).status_code == 303
    assert value_of(visit) == {"engineer": eli.id, "helpers": [erin.id]}


# The board


def test_a_helper_has_the_visit_in_the_own_column_marked(
    visit, dana, erin, eli, organisation, dana_desk, perform
):
    perform(visit, dana, ("assignment", {"engineer": erin.id, "helpers": [eli.id]}))
    board = board_of(organisation, None, datetime.now(UTC))
    cards = {column.engineer.id: column.cards for column in board.columns}
    assert [(card.visit.id, card.is_help) for card in cards[erin.id]] == [(visit.id, False)]
    assert [(card.visit.id, card.is_help) for card in cards[eli.id]] == [(visit.id, True)]
    page = look(dana_desk, "/desk")
    assert "Helps Erin Ng" in page
    assert "Also on this visit: Eli Fox" in page
    ids = re.findall(r'id="(card-[^"]*)"', page)
    assert len(ids) == len(set(ids)) == 2


def test_a_visit_without_an_engineer_stays_unassigned_whoever_helps(
    visit, dana, eli, organisation, perform
):
    perform(visit, dana, ("assignment", {"engineer": "", "helpers": [eli.id]}))
    board = board_of(organisation, None, datetime.now(UTC))
    assert [card.visit.id for card in board.unassigned] == [visit.id]
    cards = {column.engineer.id: column.cards for column in board.columns}
    assert [card.is_help for card in cards[eli.id]] == [True]


# What the phones hold


@pytest.mark.parametrize(
    ("minutes", "counters", "said"),
    [
        (3, (9, 9), "Erin Ng's phone was last heard 3 min ago; everything had arrived by then."),
        (185, (9, 5), "Erin Ng's phone was last heard 3 h ago; 4 entries had not arrived by then."),
        (3, (9, 8), "Erin Ng's phone was last heard 3 min ago; 1 entry had not arrived by then."),
        (
            185,
            (9, 9),
            "Erin Ng's phone was last heard 3 h ago; it may hold entries that nobody has seen.",
        ),
        (
            None,
            (0, 0),
            "Erin Ng's phone was never heard; it may hold entries that nobody has seen.",
        ),
    ],
)
def test_the_page_says_what_erins_phone_may_hold(minutes, counters, said, visit, erin, dana_desk):
    heard_at = None if minutes is None else datetime.now(UTC) - timedelta(minutes=minutes)
    high, received = counters
    enrol(erin, heard_at, high=high, received=received)
    page = look(dana_desk, page_of(visit)).replace("&#39;", "'")
    assert said in page
    is_sure = "everything had arrived" in said
    assert ("Call before you give the visit to somebody else." in page) is not is_sure


def test_the_board_says_what_had_not_arrived(visit, erin, dana_desk):
    heard_at = datetime.now(UTC) - timedelta(hours=3)
    enrol(erin, heard_at, high=9, received=5)
    assert "4 entries had not arrived by then" in look(dana_desk, "/desk")


def test_a_phone_that_holds_something_is_named_before_one_heard_later(visit, erin, dana_desk):
    now = datetime.now(UTC)
    enrol(erin, now - timedelta(days=2), high=4, received=1)
    enrol(erin, now)
    page = look(dana_desk, page_of(visit)).replace("&#39;", "'")
    assert "was last heard 2 d ago; 3 entries had not arrived by then." in page
    assert "everything had arrived" not in page


def test_a_visit_handed_over_says_what_is_still_on_the_first_phone(
    visit, erin, eli, dana, dana_desk, perform
):
    phone = enrol(erin, datetime.now(UTC) - timedelta(hours=3), high=2, received=0)
    given_to(visit, eli, dana, perform)
    said = "Handed over from Erin Ng; 2 entries still on the phone, last heard 3 h ago."
    assert said in look(dana_desk, page_of(visit))
    bodies = [
        pushed(visit, erin, "note", {"text": text}, phone, n) for n, text in enumerate("ab", 1)
    ]
    push(phone, *bodies)
    page = look(dana_desk, page_of(visit))
    assert "Handed over" not in page
    notes = [entry["value"]["text"] for entry in state_of(visit)["entries"]]
    assert sorted(notes) == ["a", "b"]


def test_nothing_is_handed_over_by_somebody_whose_phone_is_empty(
    visit, erin, eli, dana, dana_desk, perform
):
    enrol(erin, datetime.now(UTC) - timedelta(hours=3), high=2, received=2)
    given_to(visit, eli, dana, perform)
    assert "Handed over" not in look(dana_desk, page_of(visit))


def test_what_was_lost_with_a_storage_is_not_expected_any_more(
    visit, erin, eli, dana, dana_desk, perform
):
    now = datetime.now(UTC)
    emptied = enrol(erin, now - timedelta(hours=3), high=5, received=2)
    enrol(erin, now, replaces_id=emptied.id, replaces_reason="evicted")
    given_to(visit, eli, dana, perform)
    assert "Handed over" not in look(dana_desk, page_of(visit))


# Cancelled while somebody works


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("departure", {"eta_at": "2026-03-10T02:00:00Z", "told_name": "Cleo", "told_by": "phone"}),
        ("arrival", {"outcome": "present"}),
    ],
)
def test_the_form_warns_before_a_visit_is_cancelled_under_the_engineers_feet(
    kind, value, visit, erin, dana_desk, perform
):
    warning = "The engineer is working on this visit."
    assert warning not in look(dana_desk, page_of(visit))
    perform(visit, erin, (kind, value))
    assert warning in look(dana_desk, page_of(visit))
    perform(visit, erin, ("leaving", {}))
    assert warning not in look(dana_desk, page_of(visit))


def test_work_on_a_cancelled_visit_shows_both_and_can_be_taken_back(
    visit, dana, erin, dana_desk, perform
):
    perform(visit, erin, ("arrival", {"outcome": "present"}))
    perform(visit, dana, ("cancellation", {"reason": "solved by phone"}))
    page = look(dana_desk, page_of(visit))
    assert "chip-on-site" in page
    assert "chip-cancelled" in page
    assert "Work was reported on a cancelled visit." in part(page, "flag-1")
    assert "solved by phone" in page
    assert "Cancel the visit" not in page  # it is
    form = {"entry": hidden(page, "reopenings", "entry"), "reason": "she is there"}
    assert dana_desk.post(f"{page_of(visit)}/reopenings", data=form).status_code == 303
    page = look(dana_desk, page_of(visit))
    assert "chip-cancelled" not in page
    assert "Work was reported on a cancelled visit." not in page
