"""Tables of the journal, of the scope and of the organisation's clock."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

DECISIONS = "kind IN ('cancellation', 'dismissal', 'release', 'reopening', 'resolution')"
"""Operations that settle something at the desk, and those that take that back."""

LOANS = "kind IN ('loaner', 'take-back')"
"""Operations that lend a thing, and those that take it back."""

journal = Table(
    "journal",
    metadata,
    Column("org_id", String(36), primary_key=True),
    Column("id", String(36), primary_key=True),
    # The same id with other content is a second row, flagged: neither copy is refused.
    Column("hash", String(64), primary_key=True),
    Column("visit_id", String(36), nullable=False),
    Column("device_id", String(36), nullable=False),
    Column("author_id", String(36), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("wall_ms", BigInteger, nullable=False),
    Column("corrected_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Column("outcome", String(10), nullable=False),  # of the receipt, repeated on a second push
    Column("problems", Text, nullable=False),  # codes of sync.problems, a space between
    Column("body", Text, nullable=False),  # the operation as it came, canonical JSON
    Index("journal_of_visit", "org_id", "visit_id"),
    Index("journal_of_device", "org_id", "device_id", "n"),
    # What the desk decided lately.  Literals: SQLite compares conditions as they are written.
    Index(
        "journal_of_decisions",
        "org_id",
        "received_ms",
        sqlite_where=text(DECISIONS),
        postgresql_where=text(DECISIONS),
    ),
    # Which visits speak of loaners: few do.
    Index(
        "journal_of_loans",
        "org_id",
        "visit_id",
        "kind",
        sqlite_where=text(LOANS),
        postgresql_where=text(LOANS),
    ),
)

visit_scope = Table(
    "visit_scope",
    metadata,
    Column("org_id", String(36), primary_key=True),
    Column("person_id", String(36), primary_key=True),
    Column("visit_id", String(36), primary_key=True),
    Column("rev", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("reason", String(40), nullable=False),
    Index("scope_by_rev", "org_id", "person_id", "active", "rev"),
    Index("scope_of_visit", "org_id", "visit_id"),
)

sync_clock = Table(
    "sync_clock",
    metadata,
    Column("org_id", String(36), primary_key=True),
    Column("rev", BigInteger, nullable=False),
)

context_block = Table(
    "context_block",
    metadata,
    Column("org_id", String(36), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("visit_id", String(36), nullable=False),
    Column("served_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON, exactly as the phone got it
    Column("size", Integer, nullable=False),
)
