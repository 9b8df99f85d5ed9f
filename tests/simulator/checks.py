"""What must hold once everybody has come to rest."""

from __future__ import annotations

import json
from collections import Counter

from sqlalchemy import select

from fieldapp.context import CLOSED
from fieldapp.database import begin_reading
from fieldapp.models import Device, Person, Visit, db
from fieldapp.perform import unit
from fieldapp.presentation import present
from sync import scope
from sync.canonical import hash_of
from sync.protocol import digest
from sync.tables import journal, sync_clock, visit_scope
from tests.simulator import naive
from tests.simulator.store import UNHEARD_OF
from tests.simulator.world import Violation, differences


class _Undo(Exception):
    """Leave a unit without keeping what it did."""


def check(world):
    """Raise :class:`Violation` for the first thing that does not hold."""
    with world.server.app.app_context():
        rows = db.session.execute(select(journal)).all()
        _nothing_is_lost_or_double(world, rows)
        _nothing_waits(world)
        _the_clock_is_behind_everything(world, rows)
        _the_stored_state_is_the_fold(world)
        _everybody_agrees_who_won(world, rows)
        _nothing_is_overwritten_unseen(world, rows)
        _phones_hold_their_scope(world)
        _nobody_sent_anothers_work(rows)


def _nothing_is_lost_or_double(world, rows):
    copies = Counter((row.id, naive.content_of(json.loads(row.body))) for row in rows)
    for id_, body in world.owed.items():
        count = copies[id_, hash_of(body)]
        if count == 0 and id_ not in world.excused:
            raise Violation("lost", f"operation {id_} ({body['kind']}) was saved and is gone")
        if count > 1:
            raise Violation("double", f"operation {id_} is in the journal {count} times")
    missing = world.owed_blobs - world.excused_blobs - world.server.blobs_here()
    if missing:
        raise Violation("photo lost", f"{sorted(missing)} were kept and are gone")
    for visit in db.session.scalars(select(Visit)):
        shown = Counter(e["id"] for e in visit.state["entries"]) if visit.state else {}
        double = [id_ for id_, count in shown.items() if count > 1]
        if double:
            raise Violation("double", f"{double} stand on visit {visit.id} more than once")


def _nothing_waits(world):
    for phone in world.phones:
        for row in phone.store.storage.rows:
            if row["state"] == "unsent":
                raise Violation("unsent", f"{phone.name} never got rid of {row['body']}")
        for person_id in phone.store.storage.people:
            if phone.store.read_unsent_photos(person_id):
                raise Violation("unsent photo", f"{phone.name} never got rid of a photo")


def _the_clock_is_behind_everything(world, rows):
    clock = db.session.scalar(
        select(sync_clock.c.rev).where(sync_clock.c.org_id == world.server.organisation)
    )
    latest = max([row.rev for row in rows], default=0)
    if any(row.rev == 0 for row in rows) or latest > (clock or 0):
        raise Violation("clock", f"revisions up to {latest}, the clock says {clock}")


def _the_stored_state_is_the_fold(world):
    ids = db.session.scalars(select(Visit.id).order_by(Visit.id)).all()
    before = {id_: _row_of(id_) for id_ in ids}
    after = {}
    try:
        with unit(world.server.organisation, world.clock.now) as opened:
            for id_ in ids:
                opened.refresh(id_)
            db.session.flush()
            after |= {id_: _row_of(id_) for id_ in ids}
            raise _Undo
    except _Undo:
        pass
    for id_ in ids:
        if before[id_]["state"] and before[id_] != after[id_]:
            found = "; ".join(differences(after[id_], before[id_]))
            raise Violation("stored state", f"visit {id_} is not as a fresh fold has it: {found}")


def _row_of(visit_id):
    visit = db.session.get_one(Visit, visit_id, populate_existing=True)
    names = ("engineer_id", "status", "conflict_count", "flag_count", "summary_text")
    row = {name: getattr(visit, name) for name in names}
    return row | {"state": json.loads(json.dumps(visit.state))}


def kept_of(rows, visit_id):
    """The rows of a visit for :mod:`tests.simulator.naive`."""
    return [
        naive.Kept(
            json.loads(row.body),
            frozenset(code.partition("=")[0] for code in row.problems.split("\n")),
        )
        for row in rows
        if row.visit_id == visit_id
    ]


def _everybody_agrees_who_won(world, rows):
    active = {
        (row.person_id, row.visit_id)
        for row in db.session.execute(select(visit_scope).where(visit_scope.c.active))
    }
    for visit in db.session.scalars(select(Visit)):
        items = naive.counted(kept_of(rows, visit.id))
        fields = visit.state["fields"] if visit.state else {}
        wanted = naive.heads(items)
        found = {path: sorted(cell["heads"]) for path, cell in fields.items()}
        if wanted != found:
            raise Violation("heads", f"visit {visit.id}: {found}, by the book {wanted}")
        conflicts = naive.conflicts(items)
        if {path for path, cell in fields.items() if cell["conflict"]} != conflicts:
            raise Violation("conflicts", f"visit {visit.id} does not show {conflicts}")
        if (visit.conflict_count or 0) != len(conflicts):
            raise Violation("conflicts", f"visit {visit.id} counts {visit.conflict_count}")
        holders = {person for person, id_ in active if id_ == visit.id}
        if not holders <= naive.scope(items):
            raise Violation("scope", f"visit {visit.id} is still held by {holders}")
        closed = visit.status in ("accepted", "cancelled")
        if not closed and holders != naive.scope(items):
            raise Violation("scope", f"{holders} hold visit {visit.id}: {naive.scope(items)}")


def _nothing_is_overwritten_unseen(world, rows):
    """What is no longer a head was superseded by somebody who had it on his screen."""
    for visit in db.session.scalars(select(Visit)):
        items = naive.counted(kept_of(rows, visit.id))
        heads = naive.heads(items)
        for path, values in naive.cells(items).items():
            for id_ in set(values) - set(heads[path]):
                if not any(id_ in world.saw.get(other, {}).get(path, ()) for other in values):
                    raise Violation("unseen", f"{id_} on {path} was overwritten by nobody who saw")


def _phones_hold_their_scope(world):
    for phone in world.phones:
        for person_id, database in phone.store.storage.people.items():
            device = db.session.get(Device, database.meta.get("device", ""))
            if device is None or device.revoked_at is not None:
                continue
            _compare(world, phone, person_id, database)


def _compare(world, phone, person_id, database):
    begin_reading()
    held = scope.scope_of(
        db.session.connection(), Visit.__table__, world.server.organisation, person_id
    )
    person_shown = {"id": person_id, "name": ""}
    states = phone.all_visits(person_shown)
    # What is kept apart at the desk is shown by nobody but the phone that opened it.
    shown = {id_: rev for id_ in states if (rev := database.visits[id_]["rev"]) != UNHEARD_OF}
    if set(shown) != set(held):
        raise Violation("phone", f"{phone.name} holds {shown}, its scope is {held}")
    if digest(shown) != digest(held):
        raise Violation("digest", f"{phone.name} has {shown}, the server {held}")
    person = db.session.get_one(Person, person_id)
    visits = list(db.session.scalars(select(Visit).where(Visit.id.in_(held))))
    wanted = {
        state["visit"]["id"]: state
        for state in present(visits, person, world.clock.now, remember=False)
    }
    for id_ in shown:
        state = states[id_]
        here = json.loads(json.dumps(wanted[id_]))
        if here["visit"]["status"] in CLOSED:
            # Nobody is told any more what the office learns beside a visit that is closed.
            here["context"] = state["context"]
        if here != state:
            found = "; ".join(differences(here, state))
            raise Violation("phone", f"{phone.name} shows visit {id_} differently: {found}")


def _nobody_sent_anothers_work(rows):
    for row in rows:
        if "author.not-owner" in row.problems:
            raise Violation("identity", f"{row.id} of {row.author_id} came from another's phone")
