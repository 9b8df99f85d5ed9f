"""The schema of a database, brought from any release's to that of this code.

``versions/`` holds one file a revision, oldest first.  Whoever changes a table writes the next
one: what ``tests/fieldapp/test_migrations.py`` prints when the two differ is its beginning.
A revision imports nothing of ours and names tables and columns itself: the code goes on, it stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, func, inspect, select

from fieldapp.models import db

FIRST = "0001"
"""What 0.1.0 made; it noted no revision."""

_ALONE = 7_413_620_915
"""Any number: the lock that those who upgrade a PostgreSQL database share."""


class WrongSchema(Exception):
    """The tables cannot be brought up to date; the message says why and what to do."""


@dataclass(frozen=True)
class Standing:
    """Where a database stands: at revision ``found`` (empty without one) of up to ``newest``.

    ``kind`` is ``empty`` (no table of ours), ``current``, ``behind``, ``ahead`` (of a newer
    fieldapp) or ``strange`` (tables of no release).
    """

    kind: Literal["empty", "current", "behind", "ahead", "strange"]
    found: str
    newest: str


def standing() -> Standing:
    """Where the application's database stands."""
    with db.engine.connect() as connection:
        return _standing(connection)


def upgrade() -> Standing:
    """Bring the application's database up to date, wholly or not at all; returns where it stood.

    Raises WrongSchema, after which nothing has changed.
    """
    before = standing()
    if before.kind == "current":
        return before
    with _alone() as connection:
        before = _standing(connection)  # somebody else may have been first
        if before.kind == "ahead":
            raise WrongSchema(
                f"the database is at revision {before.found} of a newer fieldapp: "
                "install that one, or restore a backup from before its upgrade"
            )
        if before.kind == "strange":
            raise WrongSchema("the database holds tables of no release of fieldapp")
        if before.kind != "current":
            config = config_for(connection)
            if before.found == FIRST:
                command.stamp(config, FIRST)
            command.upgrade(config, "head")
    return before


def config_for(connection: Connection | None = None) -> Config:
    """Alembic's configuration, whose commands then run in the transaction of ``connection``."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def _standing(connection: Connection) -> Standing:
    script = ScriptDirectory.from_config(config_for())
    newest = script.get_current_head() or ""
    found = MigrationContext.configure(connection).get_current_revision()
    if found == newest:
        return Standing("current", found, newest)
    if found is not None:
        known = {revision.revision for revision in script.walk_revisions()}
        return Standing("behind" if found in known else "ahead", found, newest)
    columns = _columns(connection)
    if not columns:
        return Standing("empty", "", newest)
    if columns == _columns_of_first():
        return Standing("behind", FIRST, newest)
    return Standing("strange", "", newest)


def _columns(connection: Connection) -> dict[str, set[str]]:
    """The columns of each table that has the name of one of ours."""
    inspector = inspect(connection)
    return {
        table: {column["name"] for column in inspector.get_columns(table)}
        for table in inspector.get_table_names()
        if table in db.metadata.tables
    }


def _columns_of_first() -> dict[str, set[str]]:
    with create_engine("sqlite://").begin() as connection:
        command.upgrade(config_for(connection), FIRST)
        return _columns(connection)


@contextmanager
def _alone() -> Iterator[Connection]:
    """One transaction in which nobody else changes tables and every row keeps what it points to."""
    with db.engine.connect().execution_options(immediate=True) as connection:
        if connection.dialect.name != "sqlite":
            with connection.begin():
                connection.execute(select(func.pg_advisory_xact_lock(_ALONE)))
                yield connection
            return
        # SQLite changes a table by making it anew: rows that point to it would go with the old one.
        # That can be switched off only outside a transaction.
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
                lost = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                if lost:
                    raise WrongSchema(
                        f"{len(lost)} rows would point to nothing, as in {lost[0][0]}"
                    )
        finally:
            driver.execute("PRAGMA foreign_keys=ON")
