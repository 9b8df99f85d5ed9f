"""A server that is killed in the middle of a push takes nothing with it and counts nothing twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from phone import Phone
from playwright.sync_api import expect
from server import Server
from sqlalchemy import select, text
from supervisor import Moment, Supervisor

from fieldapp.models import Device, Visit, db
from fieldapp.reports import find_due
from sync.tables import journal

KILLS = 200
SEED = 20_260_310
STATEMENTS = 24
"""About as many as a push of one note sends."""
LATER_MS = 60
BEFORE = ("arriving", "read", "committing")
AFTER = ("committed", "answering", "half answered")

SAVE = """async ({ visit, text }) => {
  const body = new URLSearchParams({ text })
  const kept = await fetch(`/visits/${visit}/notes`, { method: "POST", body, redirect: "manual" })
  return kept.type === "opaqueredirect"
}"""
"""Save a note as its form does; whether the phone went on to the visit, which says "saved"."""

SEND = """async () => {
  const body = new URLSearchParams({ back: "/visits/sync" })
  await fetch("/visits/sync", { method: "POST", body, redirect: "manual" })
}"""


def moments() -> Iterator[Moment]:
    """When each of the servers dies; every eighth has answered a push before."""
    chance = random.Random(SEED)
    places = (*BEFORE, "statement", "statement", *AFTER, "later")
    for number in range(KILLS):
        place: Any = places[number % len(places)]
        count = chance.randint(1, LATER_MS if place == "later" else STATEMENTS)
        yield Moment(place, 2 if number % 8 == 7 else 1, count)


class Notes:
    """李强 writes notes on his visits, each with a text of its own."""

    def __init__(self, phone: Phone, server: Server) -> None:
        self.phone, self.server = phone, server
        self.visits = [server.visit_of("liqiang", index) for index in range(2)]
        self.saved: dict[str, list[str]] = {visit: [] for visit in self.visits}

    @property
    def count(self) -> int:
        """How many the phone called saved."""
        return sum(len(texts) for texts in self.saved.values())

    def save(self) -> None:
        """One more note, on one visit after the other."""
        visit = self.visits[self.count % len(self.visits)]
        text = f"第{self.count + 1}条"
        assert self.phone.page.evaluate(SAVE, {"visit": visit, "text": text})
        self.saved[visit].append(text)

    def send(self) -> None:
        """As the button of the sync page does."""
        self.phone.page.evaluate(SEND)

    def outbox(self) -> list[dict[str, Any]]:
        """Every operation the phone keeps."""
        return self.phone.outbox("liqiang")

    def unsent(self) -> set[str]:
        """Ids of what has no receipt."""
        return {row["id"] for row in self.outbox() if row["state"] == "unsent"}

    def kept(self) -> list[Any]:
        """The rows of the journal that came from phones.

        No connection stays: the next server finds the file as the killed one left it.
        """
        with self.server.office():
            rows = db.session.execute(select(journal).where(journal.c.n > 0)).all()
            db.session.remove()
            db.engine.dispose()
        return list(rows)


def test_a_server_killed_200_times_in_mid_push_loses_nothing_and_doubles_nothing(
    liqiang_phone: Phone, server: Server
):
    notes = Notes(liqiang_phone, server)
    fates: Counter[str] = Counter()
    # Else every server would begin with these, in a process that takes its time to start.
    liqiang_phone.until(lambda: not papers_due(server), 120)
    server.stop()
    with Supervisor(server) as supervisor:
        for moment in moments():
            before = {row.id for row in notes.kept()}
            supervisor.start(moment)
            while supervisor.is_alive():
                assert notes.count < 5 * KILLS, f"the server does not die: {moment}"
                notes.save()
                notes.send()
            unsent, fresh = notes.unsent(), {row.id for row in notes.kept()} - before
            fates["answer lost" if fresh & unsent else "not taken" if unsent else "answered"] += 1
            assert not (moment.place in BEFORE and fresh & unsent), moment
    assert fates.total() == KILLS
    assert min(fates["answer lost"], fates["not taken"]) >= KILLS // 5, fates

    server.start()
    check_journal(notes)
    check_phone(notes)
    check_office(notes)


def papers_due(server: Server) -> list[str]:
    """Visits of the demo day whose paper is still to be made."""
    with server.office():
        return list(find_due(datetime.now(UTC)))


def check_journal(notes: Notes) -> None:
    """Every operation the phone called saved is there once, under the counter it was given."""
    notes.phone.sync_now()
    outbox, kept = notes.outbox(), notes.kept()
    assert len(kept) == notes.count
    assert sorted((row.id, row.n) for row in kept) == sorted(
        (row["id"], row["n"]) for row in outbox
    )
    assert sorted(row.n for row in kept) == list(range(1, notes.count + 1))


def check_phone(notes: Notes) -> None:
    """It has a receipt for everything and shows each note once."""
    page = notes.phone.page
    expect(page.locator("#unsent li")).to_have_count(0)
    expect(page.locator("#unsent")).to_contain_text("您的记录公司均已收到")
    assert notes.unsent() == set()
    for visit, texts in notes.saved.items():
        notes.phone.open(f"/visits/{visit}")
        shown = page.locator("#entries").inner_text()
        assert [shown.count(text) for text in texts] == [1] * len(texts)


def check_office(notes: Notes) -> None:
    """The visits hold each note once, the counters agree, and the database is sound."""
    with notes.server.office():
        for visit, texts in notes.saved.items():
            state = db.session.get_one(Visit, visit).state
            found = [
                entry["value"]["text"] for entry in state["entries"] if entry["kind"] == "note"
            ]
            assert sorted(found) == sorted(texts)
            assert state["flags"] == []
        owner = notes.server.person("liqiang").id
        device = db.session.scalars(select(Device).where(Device.person_id == owner)).one()
        assert (device.received, device.high, device.unsent) == (notes.count, notes.count, 0)
        assert db.session.scalar(text("PRAGMA integrity_check")) == "ok"
