"""How the database is opened: the same promises on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import Any

from flask import Flask
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, Engine, Insert, Table, event, func, select
from sqlalchemy.dialects import postgresql, sqlite

from fieldapp.models import db

POSTGRESQL = "postgresql+psycopg://"


def driver_url(url: str) -> str:
    """``url`` with our driver's name where others write only ``postgres://``."""
    for usual in ("postgres://", "postgresql://"):
        if url.startswith(usual):
            return POSTGRESQL + url.removeprefix(usual)
    return url


def open_database(app: Flask, url: str) -> None:
    """Bind the tables of ``app`` to ``url``."""
    url = driver_url(url)
    options: dict[str, Any] = {"pool_pre_ping": not url.startswith("sqlite")}
    if url.startswith(POSTGRESQL):
        # Writers wait for each other's rows and then read them, whatever the server's default is.
        options["isolation_level"] = "READ COMMITTED"
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            _prepare_sqlite(db.engine)
        elif db.engine.dialect.name == "postgresql":
            _prepare_postgresql(db.engine)


def begin_writing() -> None:
    """Start the one transaction of a change.

    SQLite takes its write lock at once: a transaction that reads first and writes later loses
    against another writer instead of waiting for it.
    """
    db.session.commit()  # ends the read that loaded the person who asks
    db.session.connection(execution_options={"immediate": True})


def begin_reading() -> None:
    """Start a transaction whose reads all see one moment, which SQLite's do anyway."""
    db.session.commit()
    if db.engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        db.session.connection(execution_options=options)


def is_alone() -> bool:
    """Whether whoever writes has the whole database to himself, as on SQLite."""
    return db.engine.dialect.name == "sqlite"


def queue_up(name: str) -> None:
    """Wait until nobody else who queued up under ``name`` has a transaction open."""
    if not is_alone():
        db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def insert_new(table: Table) -> Insert:
    """An insert into ``table`` that leaves rows with a key that is there already as they are."""
    if db.engine.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


class _Text(StrDumperUnknown):
    """Text for PostgreSQL, which knows no NUL: it becomes the sign for what cannot be shown."""

    def dump(self, obj: str) -> Any:
        """``obj`` as bytes."""
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _prepare_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.adapters.register_dumper(str, _Text)


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # The driver's own transactions start too late; ours start in on_begin.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA busy_timeout=10000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
