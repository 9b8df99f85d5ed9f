"""The real server, whole, under a clock and a chance of ours, on SQLite or on PostgreSQL."""

from __future__ import annotations

import hashlib
import logging
import random
import sys
import types
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from fsspec.implementations.memory import MemoryFileSystem
from sqlalchemy import delete, event, insert, select
from sqlalchemy.exc import OperationalError

from fieldapp import access, blobs, create_app, ids, jobs
from fieldapp.models import Blob, Organisation, Person, Visit, db
from fieldapp.perform import unit
from sync import scope
from sync.tables import metadata
from tests import cast

BLOBS = "memory://simulator"
PAGE = 2
"""Visits on one page of a pull: small, so that every history turns pages."""

START_MS = int(cast.MORNING.timestamp() * 1000)
ENGINEERS, DISPATCHERS = ("erin", "eli", "liqiang"), ("dana", "chen")
VISITS = 4


@dataclass
class Clock:
    """The one clock of a history, in ms since 1970."""

    ms: int = START_MS

    @property
    def now(self):
        return datetime.fromtimestamp(self.ms / 1000, UTC)


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict
    body: bytes


@dataclass(frozen=True)
class Backup:
    """Every row of every table, and every blob."""

    rows: dict
    blobs: dict


class Server:
    """One installation.  ``reset`` gives it back its first day; ``close`` ends it."""

    def __init__(self, folder, url):
        self.clock = Clock()
        self.chance = random.Random(0)
        self.errors = []
        self.waiting = []
        self.fail_commits = 0
        self.app = create_app({"INSTANCE": str(folder), "DATABASE_URL": url, "BLOBS_URL": BLOBS})
        self.client = self.app.test_client(use_cookies=False)
        with self.app.app_context():
            self._prepare_engine()
            self._make_first_day()
            self.first = self.backup()

    def _prepare_engine(self):
        if db.engine.dialect.name == "sqlite":

            @event.listens_for(db.engine, "connect")
            def on_connect(connection, _record):
                # Nobody pulls the plug in here: waiting for the disk would prove nothing.
                connection.execute("PRAGMA synchronous=OFF")

        @event.listens_for(db.engine, "commit")
        def on_commit(_connection):
            if self.fail_commits:
                self.fail_commits -= 1
                raise OperationalError("COMMIT", {}, Exception("the disk is full"))

    def _make_first_day(self):
        self.organisation = cast.make_organisation().id
        owner = db.session.get_one(Organisation, self.organisation)
        self.people = {name: cast.make_person(name, owner).id for name in ENGINEERS + DISPATCHERS}
        self.names = {self.people[name]: cast.CAST[name][0] for name in self.people}
        place = cast.make_place(owner)
        self.visits = [cast.make_visit(place, f"PG-{n + 1}").id for n in range(VISITS)]
        self.work_orders = [
            db.session.get_one(Visit, visit_id).work_order_id for visit_id in self.visits
        ]
        db.session.commit()

    def reset(self, seed):
        """The first day again, before anything happened, with the chance of ``seed``."""
        self.clock.ms = START_MS
        self.chance.seed(f"server {seed}")
        self.errors.clear()
        self.waiting.clear()
        self.fail_commits = 0
        with self.app.app_context():
            self._write(self.first)

    def close(self):
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    def request(self, method, path, headers, body=b""):
        """What the server answers, over HTTP."""
        self.clock.ms += 1
        response = self.client.open(path, method=method, headers=headers, data=body)
        return Answer(response.status_code, dict(response.headers), response.data)

    def cookie(self, person_id):
        """The cookie of a page session that begins now."""
        session = {"person": person_id, "since": self.clock.ms / 1000, "language": "en"}
        serializer = self.app.session_interface.get_signing_serializer(self.app)
        return f"fieldapp={serializer.dumps(session)}"

    def desk(self, account, kind, visit_id, value, supersedes=None):
        """One operation performed at the desk; its id."""
        self.clock.ms += 1
        with self.app.app_context():
            with unit(self.organisation, self.clock.now) as opened:
                author = db.session.get_one(Person, self.people[account])
                receipt = opened.perform(kind, visit_id, author, value, supersedes)
            return receipt.id

    def run_jobs(self):
        """Do what waits in the queue; papers are not the simulator's."""
        waiting, self.waiting[:] = list(self.waiting), []
        with self.app.app_context():
            for job, key in waiting:
                if job == "photo":
                    jobs.perform_job(job, key)

    def blobs_here(self):
        """The names of the blobs that the server can give back as they were."""
        with self.app.app_context():
            names = db.session.scalars(select(Blob.sha256).where(Blob.complete_at.is_not(None)))
            return {name for name in names if self._is_whole(name)}

    def _is_whole(self, name):
        data = blobs.read(self.organisation, name)
        return data is not None and hashlib.sha256(data).hexdigest() == name

    # Backups

    def backup(self):
        """Everything as it is now."""
        connection = db.session.connection()
        rows = {
            table: [dict(row._mapping) for row in connection.execute(select(table))]
            for table in metadata.sorted_tables
        }
        db.session.commit()
        return Backup(rows, dict(MemoryFileSystem.store))

    def restore(self, backup, epoch):
        """The installation as it was, under a new epoch, as after ``fieldapp restore``."""
        with self.app.app_context():
            self._write(backup)
            organisation = db.session.get_one(Organisation, self.organisation)
            organisation.epoch = epoch
            db.session.commit()

    def _write(self, backup):
        db.session.commit()
        connection = db.session.connection(execution_options={"immediate": True})
        tables = reversed(metadata.sorted_tables)
        statements = [str(delete(table).compile(connection)) for table in tables]
        if connection.dialect.name == "postgresql":
            statements = [";".join(statements)]  # one way there and back
        for statement in statements:
            connection.exec_driver_sql(statement)
        for table, rows in backup.rows.items():
            if rows:
                connection.execute(insert(table), rows)
        db.session.commit()
        MemoryFileSystem.store.clear()
        MemoryFileSystem.store.update(backup.blobs)


class _Errors(logging.Handler):
    def __init__(self, errors):
        super().__init__(logging.ERROR)
        self.errors = errors

    def emit(self, record):
        self.errors.append(self.format(record))


@contextmanager
def opened(folder, url):
    """A server in ``folder`` on the empty database at ``url``.

    Its clock, chance, queue and log are the simulator's as long as it is open.
    """
    server = None

    class Virtual(datetime):
        @classmethod
        def now(cls, tz=None):
            return server.clock.now.astimezone(tz)

    def queue(job, key, delay_seconds=0):
        server.waiting.append((job, key))

    chance = types.SimpleNamespace(
        token_bytes=lambda count: server.chance.randbytes(count),
        token_urlsafe=lambda count: server.chance.randbytes(count).hex(),
        token_hex=lambda count: server.chance.randbytes(count).hex(),
    )
    put = []

    def patch(holder, name, value):
        put.append((holder, name, getattr(holder, name)))
        setattr(holder, name, value)

    errors = None
    server = Server(folder, url)
    try:
        for name, module in list(sys.modules.items()):
            if name.startswith("fieldapp") and getattr(module, "datetime", None) is datetime:
                patch(module, "datetime", Virtual)
        patch(ids, "secrets", chance)
        patch(access, "secrets", chance)
        patch(jobs, "enqueue", queue)
        patch(scope.changes, "__defaults__", (PAGE,))
        errors = _Errors(server.errors)
        logging.getLogger("fieldapp").addHandler(errors)
        yield server
    finally:
        logging.getLogger("fieldapp").removeHandler(errors)
        for holder, name, value in reversed(put):
            setattr(holder, name, value)
        server.close()
