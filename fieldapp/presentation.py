"""A visit as it is handed to a reader: the folded state with what only the server knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from fieldapp.context import contexts_of
from fieldapp.database import begin_writing, insert_new
from fieldapp.models import Blob, BlobReference, Organisation, Person, Visit, db
from fieldapp.perform import unit
from fieldapp.policies import Policy, load_policy
from sync import merge, scope
from sync.canonical import canonical, sha256
from sync.catalogue import FROM_CUSTOMER
from sync.operation import CUSTOMER
from sync.tables import context_block, journal, visit_scope

State = dict[str, Any]


def present(
    visits: Sequence[Visit], person: Person, now: datetime, *, remember: bool = True
) -> list[State]:
    """The state of each visit as ``docs/state.md`` describes it, for ``person``.

    Every context handed out is remembered by its hash: a signature names the one it stands on.
    The desk, where nobody signs, only looks: it does not ask to ``remember``, and sees all.
    """
    if not visits:
        return []
    policy = policy_of(person.org_id)
    contexts = contexts_of(visits, policy, now)
    ids = [visit.id for visit in visits]
    items = _items(person, ids)
    photos = photos_to_come(person.org_id, ids)
    names = _names(person.org_id, visits)
    states = []
    for visit in visits:
        context = contexts[visit.id]
        state = dict(visit.state) if visit.state else merge.fold((), visit.id)
        if remember:
            state = _without_customers_words(state)
        arrived = items.get(visit.id, 0)
        state["context"] = context
        state["people"] = {id_: names[id_] for id_ in sorted(_people_in(state)) if id_ in names}
        state["sync"] = {
            "items": arrived,
            "arrived": arrived,
            "photos": photos.get(visit.id, 0),
            "paused": "",
            "removed": "",
        }
        states.append(state)
    if remember:
        _remember(person, states, now)
    return states


def _without_customers_words(state: State) -> State:
    """``state`` as phones get it: what the customer told the office is for the office.

    Neither is it work, nor need the number of somebody's own telephone lie on many phones.  What he
    said on a phone that was handed to him stays there.
    """
    words = {
        entry["id"]
        for entry in state["entries"]
        if entry["kind"] in FROM_CUSTOMER and entry["author"] == CUSTOMER
    }
    if not words:
        return state
    return state | {
        "entries": [entry for entry in state["entries"] if entry["id"] not in words],
        "flags": [flag for flag in state["flags"] if flag["operation"] not in words],
        "dismissals": [said for said in state["dismissals"] if said["entry"] not in words],
    }


def blank_visit(person: Person) -> Visit:
    """A visit that nobody knows yet, for ``person`` to open: its id is empty, it is never stored.

    Its context is remembered as any other: a customer may sign before the office hears of it.
    """
    return Visit(id="", org_id=person.org_id, engineer_id=person.id)


def visits_of(person: Person) -> list[Visit]:
    """The visits in a person's scope."""
    return list(
        db.session.scalars(
            select(Visit)
            .join(
                visit_scope,
                (visit_scope.c.visit_id == Visit.id) & (visit_scope.c.org_id == Visit.org_id),
            )
            .where(
                Visit.org_id == person.org_id,
                visit_scope.c.person_id == person.id,
                visit_scope.c.active,
            )
        )
    )


def policy_of(org_id: str) -> Policy:
    """The policy pack of an organisation."""
    return load_policy(db.session.get_one(Organisation, org_id).policy)


def _items(person: Person, visit_ids: Sequence[str]) -> dict[str, int]:
    """How many operations of ``person`` the server holds, by visit."""
    rows = db.session.execute(
        select(journal.c.visit_id, func.count(func.distinct(journal.c.id)))
        .where(
            journal.c.org_id == person.org_id,
            journal.c.visit_id.in_(visit_ids),
            journal.c.author_id == person.id,
        )
        .group_by(journal.c.visit_id)
    )
    return {row[0]: int(row[1]) for row in rows}


def photos_to_come(org_id: str, visit_ids: Sequence[str]) -> dict[str, int]:
    """How many photos that operations speak of have not arrived, by visit."""
    rows = db.session.execute(
        select(BlobReference.visit_id, func.count(func.distinct(BlobReference.sha256)))
        .outerjoin(
            Blob,
            (Blob.org_id == BlobReference.org_id)
            & (Blob.sha256 == BlobReference.sha256)
            & Blob.complete_at.is_not(None),
        )
        .where(
            BlobReference.org_id == org_id,
            BlobReference.visit_id.in_(visit_ids),
            Blob.sha256.is_(None),
        )
        .group_by(BlobReference.visit_id)
    )
    return {row[0]: int(row[1]) for row in rows}


def _people_in(state: State) -> set[str]:
    """Ids of everybody whose name the pages may need."""
    found = {entry["author"] for entry in state["entries"] + state["signatures"]}
    for entry in state["entries"] + state["signatures"]:
        found.update(void["author"] for void in entry["voids"])
    for cell in state["fields"].values():
        for side in cell["sides"]:
            found.update([side["author"], *(lost["author"] for lost in side.get("over", ()))])
    for said in [*state.get("dismissals", ()), *state.get("quarantine", ())]:
        found.add(said["author"])
    return found | set(scope.named_in(state))


def _names(org_id: str, visits: Sequence[Visit]) -> dict[str, str]:
    wanted: set[str] = set()
    for visit in visits:
        if visit.state:
            wanted |= _people_in(visit.state)
    rows = db.session.execute(
        select(Person.id, Person.name).where(Person.id.in_(wanted), Person.org_id == org_id)
    )
    return {row[0]: row[1] for row in rows}


def _remember(person: Person, states: Sequence[State], now: datetime) -> None:
    """Keep every context block that was not served before, in a transaction of its own.

    One that read already could not begin to write beside another writer on SQLite.
    """
    org_id = person.org_id
    served = {}
    for state in states:
        text = canonical(state["context"])
        served[sha256(text)] = (text, state)
    known = set(
        db.session.scalars(
            select(context_block.c.sha256).where(
                context_block.c.org_id == org_id, context_block.c.sha256.in_(served)
            )
        )
    )
    rows = [
        {
            "org_id": org_id,
            "sha256": name,
            "visit_id": state["visit"]["id"],
            "served_ms": int(now.timestamp() * 1000),
            "body": text,
            "size": len(text.encode()),
        }
        for name, (text, state) in served.items()
        if name not in known
    ]
    if rows:
        begin_writing()
        # Somebody else may have been served the same block a moment ago.
        db.session.execute(insert_new(context_block), rows)
        db.session.commit()
        _judge_again(person, states, rows, now)


def _judge_again(
    person: Person, states: Sequence[State], blocks: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Look once more at signatures that stood on a block unknown till now.

    After a backup was restored a phone sends them again before it is served their block again.
    On a blank one stand all visits that its engineer opened, whatever is served to him now.
    """
    if not all(block["visit_id"] for block in blocks):
        states = [*states, *_flagged_states(person)]
    doubted = {
        state["visit"]["id"]
        for state in states
        if any(entry["verdict"] == "mismatch" for entry in state["signatures"])
    }
    if doubted:
        with unit(person.org_id, now) as opened:
            opened.hold(doubted)
            for visit_id in sorted(doubted):
                opened.refresh(visit_id)


def _flagged_states(person: Person) -> list[State]:
    """The states of visits that are or were in a person's scope and have flags."""
    return list(
        db.session.scalars(
            select(Visit.state)
            .join(
                visit_scope,
                (visit_scope.c.visit_id == Visit.id) & (visit_scope.c.org_id == Visit.org_id),
            )
            .where(
                Visit.org_id == person.org_id,
                visit_scope.c.person_id == person.id,
                Visit.flag_count > 0,
            )
        )
    )
