"""What every table shares: the metadata, keys and times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, String, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase

from sync.tables import metadata as shared_metadata

Key = String(36)
"""A UUIDv7 as text: the key of every row and the end of every URL."""


class Base(DeclarativeBase):
    """Tables of the application; they share their metadata with ``sync.tables``."""

    metadata = shared_metadata


db = SQLAlchemy(model_class=Base, disable_autonaming=True)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept as UTC: SQLite forgets time zones, so they are put back on reading."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a naive time: nobody can say later what it meant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without its zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The stored time as aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)
