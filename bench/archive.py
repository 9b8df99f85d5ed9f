"""Years of finished visits, written in bulk: copies of one that was really performed."""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import select, text

from bench.office import Office, Place, assign, make_orders, make_places
from bench.workload import body, values_of
from fieldapp.models import Person, ServiceRequest, Visit, WorkOrder, db
from fieldapp.perform import unit
from sync.operation import new_id
from sync.tables import journal, visit_scope

DONE = ("arrival", "diagnosis", "swap", "note", "outcome", "leaving")
"""What the engineer did on each: with the desk's four operations ten."""

YEARS = 5
VISITS_A_PLACE = 10
FIRST_NUMBER = 9_000_000
PIECE = 20_000
"""Visits written in one transaction."""

_MARK = re.compile(r"<(\d+)>")

Row = tuple[Any, ...]


def fill(office: Office, count: int, now: datetime) -> None:
    """A visit that was accepted, and ``count`` copies that left the phones, oldest first.

    The places of what is open were visited before too, and so were others.
    """
    known = len(office.places)
    places = office.places + make_places(
        office.org_id, range(known, max(known, count // VISITS_A_PLACE)), now
    )
    order = make_orders(office.org_id, places, 1, now, first=FIRST_NUMBER)[0]
    visit = assign(office, next(iter(office.visits)), [order], now)[0]
    model = _Model(_finish(office, visit, now))
    engineers = list(db.session.scalars(select(Person.id).where(Person.account != "desk")))
    step = timedelta(days=365 * YEARS) / max(count, 1)
    made = (
        model.copy(
            engineers[number % len(engineers)],
            places[number % len(places)],
            now - timedelta(days=30) - step * number,
        )
        for number in reversed(range(count))
    )
    db.session.commit()
    with db.engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        for rows in _pieces(made):
            for table, (columns, lines) in rows.items():
                _write(raw, table, columns, lines)
        if connection.dialect.name == "postgresql":
            connection.commit()
            connection.execute(text("ANALYZE"))
            connection.commit()


def _finish(office: Office, visit: str, now: datetime) -> Visit:
    """Let the visit be worked on, reviewed and put away."""
    row = db.session.get_one(Visit, visit)
    author = str(row.engineer_id)
    desk = db.session.query(Person).filter_by(account=office.dispatcher).one()
    done: dict[str, Any] = dict(reversed(values_of(0, now)))  # the first of each kind
    with unit(office.org_id, now) as opened:
        bodies = [
            body(kind, done[kind], visit=visit, author=author, now=now,
                 paths=done[kind] if kind in ("diagnosis", "outcome") else ())
            for kind in DONE
        ]  # fmt: skip
        opened.receive(bodies, None, 0)
    with unit(office.org_id, now) as opened:
        opened.perform("review", visit, desk, {"verdict": "accepted", "reason": ""})
    return db.session.get_one(Visit, visit)


class _Model:
    """A finished visit with a mark wherever a copy has ids of its own."""

    def __init__(self, visit: Visit) -> None:
        order = visit.work_order
        assert order is not None
        operations = db.session.execute(
            select(journal).where(journal.c.visit_id == visit.id).order_by(journal.c.corrected_ms)
        ).all()
        self.ids = [visit.id, order.id, order.request_id, visit.engineer_id or ""]
        self.ids += [row.id for row in operations]
        found = {
            "service_request": [_row_of(ServiceRequest, order.request_id)],
            "work_order": [_row_of(WorkOrder, order.id)],
            "visit": [_row_of(Visit, visit.id)],
            "journal": [dict(row._mapping) for row in operations],
            "visit_scope": [
                dict(row._mapping) | {"active": False, "reason": "closed"}
                for row in db.session.execute(
                    select(visit_scope).where(visit_scope.c.visit_id == visit.id)
                )
            ],
        }
        self.tables = {
            table: (list(rows[0]), [[self._piece(value) for value in row.values()] for row in rows])
            for table, rows in found.items()
        }
        self.at = {table: columns for table, (columns, _) in self.tables.items()}

    def _piece(self, value: Any) -> Any:
        """``value`` itself, or the texts and marks that it is made of."""
        if not isinstance(value, str) or not any(id_ in value for id_ in self.ids if id_):
            return value
        for number, id_ in enumerate(self.ids):
            if id_:
                value = value.replace(id_, f"<{number}>")
        return _MARK.split(value)

    def copy(
        self, engineer: str, place: Place, at: datetime
    ) -> dict[str, tuple[list[str], list[Row]]]:
        """The rows of a copy by their table; ``at`` is the day it was agreed for."""
        ms = int(at.timestamp() * 1000)
        random = secrets.token_bytes(10 * len(self.ids))
        ids = [new_id(ms, random[10 * each :]) for each in range(len(self.ids))]
        ids[3] = engineer
        label = ids[0].replace("-", "")[:30]
        own = {
            "number": label, "reported_at": at - timedelta(hours=5), "appointment_at": at,
            "due_at": at, "arrived_at": at, "closed_at": at + timedelta(days=1),
            "received_ms": ms, "corrected_ms": ms, "wall_ms": ms,
        }  # fmt: skip
        own |= {f"{noun}_id": id_ for noun, id_ in place.items()}
        return {
            table: (columns, [self._filled(columns, row, ids, own) for row in rows])
            for table, (columns, rows) in self.tables.items()
        }

    @staticmethod
    def _filled(columns: Sequence[str], row: Sequence[Any], ids: list[str], own: Any) -> Row:
        values = []
        for column, value in zip(columns, row, strict=True):
            if isinstance(value, list):
                texts = value.copy()
                texts[1::2] = [ids[int(mark)] for mark in value[1::2]]
                value = "".join(texts)
            values.append(own.get(column, value))
        return tuple(values)


def _row_of(model: Any, id_: str) -> dict[str, Any]:
    """A row as its database has it: JSON is text."""
    table = model.__table__
    names = ", ".join(f"CAST({c.name} AS TEXT) AS {c.name}" if c.name in ("state", "carry")
                      else c.name for c in table.columns)  # fmt: skip
    statement = text(f"SELECT {names} FROM {table.name} WHERE id = :id")  # noqa: S608 - our names
    return dict(db.session.execute(statement, {"id": id_}).one()._mapping)


def _pieces(
    made: Iterable[dict[str, tuple[list[str], list[Row]]]],
) -> Iterator[dict[str, tuple[list[str], list[Row]]]]:
    found: dict[str, tuple[list[str], list[Row]]] = {}
    for number, rows in enumerate(made, 1):
        for table, (columns, lines) in rows.items():
            found.setdefault(table, (columns, []))[1].extend(lines)
        if number % PIECE == 0:
            yield found
            found = {}
    if found:
        yield found


def _write(raw: Any, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    if isinstance(raw, psycopg.Connection):
        with raw.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        raw.commit()
        return
    assert isinstance(raw, sqlite3.Connection)
    marks = ", ".join("?" * len(columns))
    raw.execute("PRAGMA synchronous=OFF")
    raw.execute("BEGIN")
    raw.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608 - our names
        [tuple(_plain(value) for value in row) for row in rows],
    )
    raw.execute("COMMIT")


def _plain(value: Any) -> Any:
    """A time as SQLite keeps it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return value
