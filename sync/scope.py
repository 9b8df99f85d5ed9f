"""Which visits a person's devices hold, and what changed since a cursor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Table, and_, insert, or_, select, update

from sync.protocol import Cursor
from sync.tables import visit_scope


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
    without changing would never arrive otherwise.  A visit without a work order is the desk's to
    place first.
    """
    moved = visit_scope.c.rev
    # The later of the two revisions is the one the cursor must pass.
    rows = connection.execute(
        select(visits.c.id, visits.c.rev, moved, visit_scope.c.active, visit_scope.c.reason)
        .join(
            visit_scope,
            and_(visit_scope.c.visit_id == visits.c.id, visit_scope.c.org_id == visits.c.org_id),
        )
        .where(
            visits.c.org_id == org_id,
            visits.c.work_order_id.is_not(None),
            visit_scope.c.person_id == person_id,
            or_(visits.c.rev >= cursor.rev, moved >= cursor.rev),
        )
    ).all()
    found = sorted(
        (max(row.rev, row[2]) if row.active else row[2], row.id, row.active, row.reason)
        for row in rows
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
            visits.c.work_order_id.is_not(None),
            visit_scope.c.person_id == person_id,
            visit_scope.c.active,
        )
    ).all()
    return {row.id: row.rev for row in rows}


def move(connection: Connection, org_id: str, moves: Iterable[Move], rev: int) -> None:
    """Write ``moves``, in their order, at the revision ``rev``."""
    for each in moves:
        values = {"rev": rev, "active": each.active, "reason": each.reason}
        key = {"org_id": org_id, "person_id": each.person_id, "visit_id": each.visit_id}
        row = and_(*(visit_scope.c[name] == value for name, value in key.items()))
        if not connection.execute(update(visit_scope).where(row).values(values)).rowcount:
            connection.execute(insert(visit_scope).values(key | values))
