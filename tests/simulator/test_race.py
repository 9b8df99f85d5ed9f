"""Twelve writers and a poller at the same time: the cursor passes over nothing.

The writers push over HTTP and perform at the desk, each in a thread of its own; the poller asks
every two milliseconds and keeps what it is told, as a phone does.  The mutants take the revision
early, in a transaction of its own, as a sequence does: a reader then passes a revision whose rows
are still to be committed.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from fieldapp import perform
from fieldapp.models import db
from sync import journal
from sync.tables import journal as journal_table
from tests import cast, phones

WRITERS = 12
PUSHES = 6
PAUSE_SECONDS = 0.002


class Race:
    """Visits of one engineer, to which everybody writes at once."""

    def __init__(self, app):
        self.app = app
        with app.app_context():
            owner = cast.make_organisation()
            self.org_id = owner.id
            self.erin = phones.Somebody.of(cast.make_person("erin", owner))
            self.dana = phones.Somebody.of(cast.make_person("dana", owner))
            place = cast.make_place(owner)
            self.visits = [cast.make_visit(place, f"PG-{n}").id for n in range(WRITERS)]
            db.session.commit()
        for visit in self.visits:
            phones.at_desk(app, self.dana, visit, ("assignment", {"engineer": self.erin.id}))
        self.writers = [phones.Phone(app, self.erin) for _ in range(WRITERS // 2)]
        self.reader = phones.Phone(app, self.erin)
        self.made, self.failed = [], []
        self.cursors = set()

    def run(self):
        """Let them all go, until the writers are done and the poller has asked once more."""
        over = threading.Event()
        threads = [
            threading.Thread(target=self._guarded, args=(self._write, number))
            for number in range(WRITERS)
        ]
        poller = threading.Thread(target=self._guarded, args=(self._poll, over))
        for thread in [poller, *threads]:
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        poller.join()
        assert self.failed == []

    def _guarded(self, work, *args):
        try:
            work(*args)
        except BaseException as error:  # a thread would only print it
            self.failed.append(error)

    def _write(self, number):
        if number < len(self.writers):
            return self._push(self.writers[number], number)
        return self._perform(number)

    def _push(self, phone, number):
        for turn in range(PUSHES):
            visits = [self.visits[(number + turn) % WRITERS], self.visits[number]]
            bodies = [phone.note(visit, f"{number} {turn}") for visit in visits]
            while (response := phone.push(*bodies)).status_code == 503:
                pass  # busy: a phone sends again
            assert response.status_code == 200, response.text
            self.made += [body["id"] for body in bodies]

    def _perform(self, number):
        for turn in range(PUSHES):
            visit = self.visits[(number + turn) % WRITERS]
            self.made += [receipt.id for receipt in self._remark(visit, f"{number} {turn}")]

    def _remark(self, visit, text):
        while True:
            try:
                return phones.at_desk(self.app, self.dana, visit, ("remark", {"text": text}))
            except OperationalError:
                continue  # busy: nothing was taken, a dispatcher presses again

    def _poll(self, over):
        """Ask as a phone does that believes its cursor; the digest is only looked at at the end."""
        while not over.is_set():
            self.reader.pull()
            self.cursors.add(self.reader.cursor)
            over.wait(PAUSE_SECONDS)
        told = self.reader.pull()
        self.is_whole = told["digest"] == self.reader.digest

    def seen(self):
        """Ids of all entries on the visits that the poller holds."""
        return [
            entry["id"]
            for change in self.reader.visits.values()
            for entry in change["state"]["entries"]
        ]

    def kept(self):
        """Ids of everything the writers wrote, as the journal has it."""
        with self.app.app_context():
            kinds = ("note", "remark")
            return list(
                db.session.scalars(
                    select(journal_table.c.id).where(journal_table.c.kind.in_(kinds))
                )
            )


@pytest.fixture
def race(databases, tmp_path):
    with databases.application(tmp_path) as app:
        yield Race(app)


def test_nothing_is_lost_and_nothing_comes_twice(race):
    race.run()
    assert len(race.made) == WRITERS // 2 * PUSHES * 3
    assert sorted(race.kept()) == sorted(race.made)
    assert sorted(race.seen()) == sorted(race.made)
    assert race.is_whole
    assert len(race.cursors) > 3  # it did ask while others wrote


def test_the_same_push_from_many_at_once_counts_once(race):
    phone = race.writers[0]
    bodies = [phone.note(race.visits[0], f"once {n}") for n in range(20)]
    states = []

    def push():
        while (response := phone.push(*bodies)).status_code == 503:
            pass
        states.extend(receipt["state"] for receipt in response.json["receipts"])

    threads = [threading.Thread(target=race._guarded, args=(push,)) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert race.failed == []
    assert states.count("duplicate") == len(bodies) * (WRITERS - 1)
    assert sorted(race.kept()) == sorted(body["id"] for body in bodies)


@contextmanager
def revisions_taken_early(app, monkeypatch):
    """Each unit takes its revision when it begins, and its clock's row is free at once."""
    taken = threading.local()
    numbers = iter(range(1000, 1_000_000))
    guard = threading.Lock()
    opened = perform.unit

    @contextmanager
    def early(org_id, now):
        with guard:
            taken.rev = next(numbers)
        with opened(org_id, now) as inner:
            yield inner

    monkeypatch.setattr("fieldapp.exchange.unit", early)
    monkeypatch.setattr("tests.phones.unit", early)
    monkeypatch.setattr(journal, "bump", lambda connection, org_id: taken.rev)
    yield


def test_a_revision_taken_early_is_caught(postgresql, tmp_path, monkeypatch):
    """On SQLite writers stand in one line, and no revision can be early."""
    for turn in range(5):
        with (
            postgresql.application(tmp_path / str(turn)) as app,
            monkeypatch.context() as patches,
        ):
            race = Race(app)
            with revisions_taken_early(app, patches):
                race.run()
            if not race.is_whole:
                return
    raise AssertionError("nobody missed a row although revisions were taken early")
