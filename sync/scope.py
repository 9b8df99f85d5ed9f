"""Which visits a person's devices hold, and what changed since a cursor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, and_, insert, or_, select, update

from sync.merge import OPENING
from sync.protocol import Cursor
from sync.tables import visit_scope

CLOSED = "closed"
"""The reason under which a visit leaves that was accepted or cancelled long enough ago."""


@dataclass(frozen=True)
class Move:
    """A visit enters (``active``) or leaves what a person's devices hold, for ``reason``."""

    person_id: str
    visit_id: str
    active: bool
    reason: str


@dataclass(frozen=True)
class Page:
    """One page of changes, in the order of their revisions.

    ``changed`` are ids of visits in scope, ``removed`` pairs of id and reason.  ``more`` says that
    the page was cut; ``cursor`` then stands behind its last row.
    """

    changed: list[str]
    removed: list[tuple[str, str]]
    cursor: Cursor
    more: bool


def changes(
    connection: Connection,
    visits: Table,
    org_id: str,
    person_id: str,
    cursor: Cursor,
    most: int = 200,
) -> Page:
    """What ``person_id`` has not read after ``cursor``; at most ``most`` visits.

    A visit counts as changed when itself or its place in the scope did: one that was assigned
    without changing would never arrive otherwise.
    """
    in_scope = (visit_scope.c.org_id == org_id, visit_scope.c.person_id == person_id)
    here = connection.execute(
        select(visits.c.id, visits.c.rev, visit_scope.c.rev)
        .join(
            visit_scope,
            and_(visit_scope.c.visit_id == visits.c.id, visit_scope.c.org_id == visits.c.org_id),
        )
        .where(
            *in_scope,
            visit_scope.c.active,
            or_(visits.c.rev >= cursor.rev, visit_scope.c.rev >= cursor.rev),
        )
    ).all()
    # On its own: over the years far more visits left than are here, and few of them lately.
    gone = connection.execute(
        select(visit_scope.c.visit_id, visit_scope.c.rev, visit_scope.c.reason).where(
            *in_scope, ~visit_scope.c.active, visit_scope.c.rev >= cursor.rev
        )
    ).all()
    # The later of the two revisions is the one the cursor must pass.
    found = sorted(
        [(max(row[1], row[2]), row[0], True, "") for row in here]
        + [(row[1], row[0], False, row[2]) for row in gone]
    )
    fresh = [item for item in found if (item[0], item[1]) > (cursor.rev, cursor.visit)]
    page = fresh[:most]
    after = Cursor(cursor.epoch, page[-1][0], page[-1][1]) if page else cursor
    return Page(
        changed=[item[1] for item in page if item[2]],
        removed=[(item[1], item[3]) for item in page if not item[2]],
        cursor=after,
        more=len(fresh) > most,
    )


def scope_of(connection: Connection, visits: Table, org_id: str, person_id: str) -> dict[str, int]:
    """Every visit in the scope of ``person_id`` with its revision: what a digest is taken of."""
    rows = connection.execute(
        select(visits.c.id, visits.c.rev)
        .join(
            visit_scope,
            and_(visit_scope.c.visit_id == visits.c.id, visit_scope.c.org_id == visits.c.org_id),
        )
        .where(
            visits.c.org_id == org_id,
            visit_scope.c.person_id == person_id,
            visit_scope.c.active,
        )
    ).all()
    return {row.id: row.rev for row in rows}


def named_in(state: Mapping[str, Any]) -> list[str]:
    """Ids that the standing assignments of a visit name, engineers and helpers.

    As long as two assignments stand beside each other, those of both: nobody's visit goes away
    while the desk makes up its mind.  Before the first it belongs to who opened it.
    """
    if "assignment" not in state["fields"]:
        openings = [entry for entry in state["entries"] if entry["kind"] == OPENING]
        return [opening["author"] for opening in openings]
    named: list[Any] = []
    for side in state["fields"]["assignment"]["sides"]:
        if isinstance(side["value"], Mapping):
            helpers = side["value"].get("helpers")
            named.append(side["value"].get("engineer"))
            named += helpers if isinstance(helpers, list) else ()
    return [id_ for id_ in named if isinstance(id_, str)]


def holders(connection: Connection, org_id: str, visit_id: str) -> dict[str, tuple[bool, str]]:
    """Who holds or held a visit: ``{person: (active, reason)}``."""
    return holders_by_visit(connection, org_id, [visit_id])[visit_id]


def holders_by_visit(
    connection: Connection, org_id: str, visit_ids: Collection[str]
) -> dict[str, dict[str, tuple[bool, str]]]:
    """What :func:`holders` says of each of ``visit_ids``, in one query."""
    found: dict[str, dict[str, tuple[bool, str]]] = {visit_id: {} for visit_id in visit_ids}
    if not found:
        return found  # SQLite would look at every row of the organisation
    rows = connection.execute(
        select(
            visit_scope.c.visit_id,
            visit_scope.c.person_id,
            visit_scope.c.active,
            visit_scope.c.reason,
        ).where(visit_scope.c.org_id == org_id, visit_scope.c.visit_id.in_(found))
    )
    for row in rows:
        found[row.visit_id][row.person_id] = (row.active, row.reason)
    return found


def move(connection: Connection, org_id: str, moves: Iterable[Move], rev: int) -> None:
    """Write ``moves``, in their order, at the revision ``rev``."""
    for each in moves:
        values = {"rev": rev, "active": each.active, "reason": each.reason}
        key = {"org_id": org_id, "person_id": each.person_id, "visit_id": each.visit_id}
        row = and_(*(visit_scope.c[name] == value for name, value in key.items()))
        if not connection.execute(update(visit_scope).where(row).values(values)).rowcount:
            connection.execute(insert(visit_scope).values(key | values))
