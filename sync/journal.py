"""The journal and the organisation's clock, through a connection handed in.

The journal only grows.  Whoever touches a visit bumps the clock once, behind everything else that
his transaction decides: nobody then reads past a revision whose rows are still to be committed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sync import catalogue
from sync.operation import Operation, Received, read_operation
from sync.problems import Problem
from sync.tables import journal, sync_clock


@dataclass(frozen=True)
class Entry:
    """One row to append: the operation as received and the ``outcome`` its receipt names."""

    received: Received
    outcome: str


def append(
    connection: Connection, org_id: str, entries: Sequence[Entry], received_at_ms: int
) -> None:
    """Add operations that are not in the journal yet; :func:`stamp` gives them their revision."""
    if entries:
        connection.execute(
            insert(journal), [_row(org_id, entry, received_at_ms) for entry in entries]
        )


def rows_of(connection: Connection, org_id: str, visit_id: str) -> list[Row[Any]]:
    """Every operation of a visit as kept, in the order of their corrected times."""
    return rows_by_visit(connection, org_id, [visit_id])[visit_id]


def rows_by_visit(
    connection: Connection, org_id: str, visit_ids: Collection[str]
) -> dict[str, list[Row[Any]]]:
    """What :func:`rows_of` says of each of ``visit_ids``, in one query."""
    found: dict[str, list[Row[Any]]] = {visit_id: [] for visit_id in visit_ids}
    if not found:
        return found  # SQLite would look at every row of the organisation
    rows = connection.execute(
        select(journal)
        .where(journal.c.org_id == org_id, journal.c.visit_id.in_(found))
        .order_by(journal.c.corrected_ms, journal.c.id, journal.c.hash)
    )
    for row in rows:
        found[row.visit_id].append(row)
    return found


def hashes_of(connection: Connection, org_id: str, ids: Collection[str]) -> dict[str, set[str]]:
    """The hashes held under each of ``ids``: an id held with another hash has two copies."""
    held: dict[str, set[str]] = defaultdict(set)
    rows = connection.execute(
        select(journal.c.id, journal.c.hash).where(
            journal.c.org_id == org_id, journal.c.id.in_(ids)
        )
    )
    for row in rows:
        held[row.id].add(row.hash)
    return held


def received(row: Row[Any]) -> Received:
    """A row of the journal, ready to fold."""
    problems = tuple(row.problems.split("\n")) if row.problems else ()
    if catalogue.is_known(row.kind):
        # Kept by a version that did not know the kind yet.
        problems = tuple(code for code in problems if not code.startswith("operation.unknown-kind"))
    try:
        # The row's own hash: a body may claim another.
        operation = replace(read_operation(json.loads(row.body)), hash=row.hash)
    except (Problem, RecursionError):
        operation = Operation(
            row.id, row.visit_id, row.device_id, row.author_id, row.kind, None, {}, row.n,
            row.wall_ms, 0, row.hash, {},
        )  # fmt: skip
    return Received(operation, row.corrected_ms, problems)


def bump(connection: Connection, org_id: str) -> int:
    """The organisation's next revision.  Others wait here until the transaction ends."""
    later = sync_clock.c.rev + 1
    statement = (
        update(sync_clock)
        .where(sync_clock.c.org_id == org_id)
        .values(rev=later)
        .returning(sync_clock.c.rev)
    )
    rev = connection.execute(statement).scalar_one_or_none()
    if rev is None:
        # The first of all; of two who come at once, one counts on from the other.
        kind = postgresql if connection.dialect.name == "postgresql" else sqlite
        first = kind.insert(sync_clock).values(org_id=org_id, rev=1)
        clash = first.on_conflict_do_update(index_elements=["org_id"], set_={"rev": later})
        rev = connection.execute(clash.returning(sync_clock.c.rev)).scalar_one()
    return int(rev)


def stamp(connection: Connection, org_id: str, visit_ids: Sequence[str], rev: int) -> None:
    """Write ``rev`` into the rows of these visits that have no revision yet."""
    connection.execute(
        update(journal)
        .where(journal.c.org_id == org_id, journal.c.visit_id.in_(visit_ids), journal.c.rev == 0)
        .values(rev=rev)
    )


def _row(org_id: str, entry: Entry, received_at_ms: int) -> dict[str, Any]:
    operation = entry.received.operation
    return {
        "org_id": org_id,
        "id": operation.id,
        "hash": operation.hash,
        "visit_id": operation.visit,
        "device_id": operation.device,
        "author_id": operation.author,
        "kind": operation.kind,
        "n": operation.n,
        "wall_ms": operation.wall,
        "corrected_ms": entry.received.corrected_ms,
        "received_ms": received_at_ms,
        "rev": 0,
        "outcome": entry.outcome,
        "problems": "\n".join(entry.received.problems),
        "body": _text(operation.body),
    }


def _text(body: Mapping[str, Any]) -> str:
    """``body`` as JSON that every database takes."""
    text = json.dumps(dict(body), ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(dict(body))  # half a character: only as an escape
    return text
