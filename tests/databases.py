"""Empty databases for tests, quickly: copies of one that was brought up to date once.

A test that needs an application asks for ``databases`` or for a fixture that does; the same test
then runs on SQLite and, with ``--database=postgresql``, on PostgreSQL.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from flask import Flask
from psycopg import sql
from sqlalchemy import create_engine

from fieldapp import create_app
from fieldapp.database import driver_url
from fieldapp.migrations import config_for
from fieldapp.models import db
from tests.compiled import share_statements, share_templates
from tests.postgres import Cluster


class Databases(ABC):
    """Databases of one kind.  ``folder`` is always a test's own, where files may be put."""

    @abstractmethod
    def take(self, folder: Path) -> str:
        """The address of a database with all tables, empty."""

    @abstractmethod
    def bare(self, folder: Path) -> str:
        """The address of a database without a single table."""

    @abstractmethod
    def empty(self, url: str) -> None:
        """Take all rows out of a database to which nobody is connected."""

    @abstractmethod
    def give_back(self, url: str) -> None:
        """The database is not needed any more."""

    @contextmanager
    def application(self, folder: Path, **settings: object) -> Iterator[Flask]:
        """A new installation in ``folder`` with all tables, empty; no context is left open."""
        url = self.take(folder)
        app = create_app({"INSTANCE": str(folder), "DATABASE_URL": url} | settings)
        share_templates(app)
        share_statements(app)
        try:
            yield app
        finally:
            disconnect(app)
            self.give_back(url)

    def renew(self, app: Flask) -> None:
        """Take all rows out of the database of ``app``."""
        disconnect(app)
        self.empty(app.config["DATABASE_URL"])


def disconnect(app: Flask) -> None:
    """Close every connection of ``app`` that is not in use."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def make_tables(url: str) -> None:
    """Make the tables of the models at ``url``, noted as the newest revision."""
    engine = create_engine(url)
    with engine.begin() as connection:
        db.metadata.create_all(connection)
        command.stamp(config_for(connection), "head")
    engine.dispose()


class SqliteDatabases(Databases):
    """Files; an empty one is a copy."""

    def __init__(self, folder: Path) -> None:
        self._model = folder / "fieldapp.sqlite"
        make_tables(f"sqlite:///{self._model}")

    def take(self, folder: Path) -> str:
        folder.mkdir(exist_ok=True)
        shutil.copy(self._model, folder / "fieldapp.sqlite")
        return f"sqlite:///{folder / 'fieldapp.sqlite'}"

    def bare(self, folder: Path) -> str:
        folder.mkdir(exist_ok=True)
        return f"sqlite:///{folder / 'bare.sqlite'}"

    def empty(self, url: str) -> None:
        path = Path(url.removeprefix("sqlite:///"))
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        shutil.copy(self._model, path)

    def give_back(self, url: str) -> None:
        """A file goes with its folder."""


class PostgresDatabases(Databases):
    """Databases of one cluster, used again and again.

    Deleting all rows takes 3 ms, TRUNCATE 30 ms and a copy of the whole database 55 ms; a database
    whose tables a test changed is thrown away all the same.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._model = cluster.create()
        make_tables(driver_url(cluster.url(self._model)))
        with cluster.connect(self._model) as connection:
            rows = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND tablename <> 'alembic_version'"
            )
            tables = [sql.Identifier(name) for (name,) in rows]
        self._delete = sql.SQL(";").join(sql.SQL("DELETE FROM {}").format(name) for name in tables)
        self._known: dict[str, tuple[psycopg.Connection[Any], Any]] = {}
        self._free: list[str] = []

    def take(self, folder: Path) -> str:
        if not self._free:
            name = self._cluster.create(self._model)
            connection = self._cluster.connect(name)
            # Constraints between tables that are all emptied need no check.
            connection.execute("SET session_replication_role = replica")
            self._known[name] = connection, _shape(connection)
            self._free.append(name)
        return self._cluster.url(self._free.pop())

    def bare(self, folder: Path) -> str:
        return self._cluster.url(self._cluster.create())

    def empty(self, url: str) -> None:
        connection, _ = self._known[_name(url)]
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute(self._delete)

    def give_back(self, url: str) -> None:
        name = _name(url)
        connection, shape = self._known.get(name, (None, None))
        if connection is not None and _shape(connection) == shape:
            self.empty(url)
            self._free.append(name)
            return
        if connection is not None:
            connection.close()
            del self._known[name]
        self._cluster.drop(name)

    def close(self) -> None:
        """Let go of every database."""
        for connection, _ in self._known.values():
            connection.close()


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


def _shape(connection: psycopg.Connection[Any]) -> Any:
    """What changes whenever a table, a column or the revision of the schema does."""
    return connection.execute(
        "SELECT count(*), max(a.xmin::text::bigint), max(c.xmin::text::bigint)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace"
    ).fetchone()
