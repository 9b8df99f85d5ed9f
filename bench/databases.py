"""Databases to measure on: SQLite in a folder, PostgreSQL in a cluster that keeps its promises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from flask import Flask

from bench.rows import NotMeasured
from fieldapp import create_app, migrations
from fieldapp.models import db
from tests.postgres import Cluster

DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "jit": "on",
    "max_wal_size": "4GB",
    "shared_buffers": "256MB",
}
"""What a test's cluster leaves out and an installation has."""

KINDS = ("SQLite", "PostgreSQL")


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty database of ``kind``, gone when left.  Raises NotMeasured."""
    if kind == "SQLite":
        yield f"sqlite:///{folder / 'fieldapp.sqlite'}"
        return
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(Cluster(DURABLE))
        except RuntimeError as missing:
            raise NotMeasured(str(missing)) from None
        yield cluster.url(cluster.create())


@contextlib.contextmanager
def installation(folder: Path, url: str) -> Iterator[Flask]:
    """An application with all tables on ``url``, inside its context."""
    app = create_app({"INSTANCE": str(folder), "DATABASE_URL": url})
    with app.app_context():
        migrations.upgrade()
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()
