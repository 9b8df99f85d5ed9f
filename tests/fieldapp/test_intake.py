"""What nobody spoke of before may come from two phones at the same moment."""

import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, select

from fieldapp.ids import mint_id
from fieldapp.models import Visit, db
from sync.tables import journal, sync_clock
from tests.phones import Phone, state_of


@pytest.fixture
def unknown():
    """The id of a visit that nobody knows."""
    return mint_id(datetime.now(UTC))


@pytest.fixture
def eli_phone(eli, phone_of) -> Phone:
    return phone_of(eli)


@contextmanager
def meeting_before(app, start):
    """The first two transactions that come to a statement beginning with ``start`` go on together.

    On SQLite the second waits for the first before it reads anything, so they cannot meet there.
    """
    both = threading.Barrier(2, timeout=60)
    met = threading.local()

    def wait(_connection, _cursor, statement, *_):
        if statement.startswith(start) and not getattr(met, "is_over", False):
            met.is_over = True
            both.wait()

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", wait)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", wait)


def at_once(*pushes):
    """What each of ``pushes`` (phone, operations) is answered, all sent at the same time."""
    answers = [None] * len(pushes)

    def push(place, phone, bodies):
        answers[place] = phone.push(*bodies)

    threads = [
        threading.Thread(target=push, args=(place, phone, bodies))
        for place, (phone, *bodies) in enumerate(pushes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * len(pushes)
    return [
        [(receipt["state"], receipt["reasons"]) for receipt in answer.json["receipts"]]
        for answer in answers
    ]


def kept(app):
    with app.app_context():
        return sorted(db.session.scalars(select(journal.c.id)))


def clock_of(app):
    with app.app_context():
        return db.session.scalars(select(sync_clock.c.rev)).all()


NEW_VISIT = "INSERT INTO visit "
NEW_CLOCK = "INSERT INTO sync_clock "


def test_two_people_speak_first_of_one_visit(app, postgresql, unknown, erin_phone, eli_phone):
    notes = [erin_phone.note(unknown, "Erin's"), eli_phone.note(unknown, "Eli's")]
    with meeting_before(app, NEW_VISIT):
        told = at_once((erin_phone, notes[0]), (eli_phone, notes[1]))
    # One of them was first: for the other the visit was there, and not his.
    assert sorted(told) == [
        [("flagged", ["author.out-of-scope"])],
        [("flagged", ["visit.unknown"])],
    ]
    assert kept(app) == sorted(note["id"] for note in notes)
    texts = {entry["value"]["text"] for entry in state_of(app, unknown)["entries"]}
    assert texts == {"Erin's", "Eli's"}
    assert clock_of(app) == [2]


def test_one_after_the_other_they_are_told_the_same(app, unknown, erin_phone, eli_phone):
    assert erin_phone.receipts(erin_phone.note(unknown)) == [("flagged", ["visit.unknown"])]
    assert eli_phone.receipts(eli_phone.note(unknown)) == [("flagged", ["author.out-of-scope"])]
    assert clock_of(app) == [2]


def test_the_first_push_of_a_visit_comes_twice(app, postgresql, unknown, erin_phone):
    """A phone that lost the connection sends again while the server still works on the first."""
    notes = [erin_phone.note(unknown, "one"), erin_phone.note(unknown, "two")]
    with meeting_before(app, NEW_VISIT):
        told = at_once((erin_phone, *notes), (erin_phone, *notes))
    assert sorted(told) == [
        [("duplicate", [])] * 2,
        [("flagged", ["visit.unknown"])] * 2,
    ]
    assert kept(app) == sorted(note["id"] for note in notes)
    assert len(state_of(app, unknown)["entries"]) == 2


def test_two_unknown_visits_in_either_order(app, postgresql, erin_phone, eli_phone):
    """Rows are made by id: otherwise each would wait for the other."""
    visits = [mint_id(datetime.now(UTC)) for _ in range(2)]
    with meeting_before(app, NEW_VISIT):
        at_once(
            (erin_phone, *(erin_phone.note(visit) for visit in visits)),
            (eli_phone, *(eli_phone.note(visit) for visit in reversed(visits))),
        )
    for visit in visits:
        assert len(state_of(app, visit)["entries"]) == 2


def test_two_organisations_make_the_same_visit(app, postgresql, unknown, erin, olly, phone_of):
    """It belongs to one of them; the other's note is kept and shown to nobody of the first."""
    phones = [phone_of(erin), phone_of(olly)]
    with meeting_before(app, NEW_VISIT):
        told = at_once(*((phone, phone.note(unknown)) for phone in phones))
    assert told == [[("flagged", ["visit.unknown"])]] * 2
    assert len(kept(app)) == 2
    (entry,) = state_of(app, unknown)["entries"]
    with app.app_context():
        owner = db.session.get_one(Visit, unknown).org_id
    assert entry["author"] == {erin.org_id: erin.id, olly.org_id: olly.id}[owner]


def test_the_first_two_units_of_an_organisation(app, postgresql, erin_phone, eli_phone):
    """Both find no clock: its first two revisions go to one and to the other."""
    visits = [mint_id(datetime.now(UTC)) for _ in range(2)]
    with meeting_before(app, NEW_CLOCK):
        at_once(
            (erin_phone, erin_phone.note(visits[0])),
            (eli_phone, eli_phone.note(visits[1])),
        )
    assert clock_of(app) == [2]
    with app.app_context():
        assert sorted(db.session.scalars(select(Visit.rev))) == [1, 2]
        assert sorted(db.session.scalars(select(journal.c.rev))) == [1, 2]
