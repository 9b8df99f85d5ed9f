"""What each phone still holds, when a visit was over, and flags that somebody can dismiss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BATCH = 500
DECISIONS = "kind IN ('cancellation', 'dismissal', 'release', 'reopening', 'resolution')"
TO_SETTLE = "conflict_count > 0 OR flag_count > 0"

visit = sa.table(
    "visit",
    sa.column("id", sa.String),
    sa.column("status", sa.String),
    sa.column("closed_at", sa.DateTime),
    sa.column("state", sa.JSON),
)


def upgrade() -> None:
    """Add columns and indexes; say in every stored visit what its readers expect by now."""
    _add_to_devices()
    with op.batch_alter_table("visit") as table:
        table.add_column(sa.Column("closed_at", sa.DateTime(), nullable=True))
    _rewrite_visits()
    _make_indexes()
    _count_received()


def _add_to_devices() -> None:
    added: dict[str, sa.types.TypeEngine[Any]] = {
        "received": sa.BigInteger(),
        "unsent": sa.Integer(),
        "replaces_reason": sa.String(20),
    }
    with op.batch_alter_table("device") as table:
        for name, kind in added.items():
            first = "" if name == "replaces_reason" else "0"
            table.add_column(sa.Column(name, kind, nullable=False, server_default=first))
        table.add_column(sa.Column("replaces_id", sa.String(36), nullable=True))
    with op.batch_alter_table("device") as table:
        for name in added:
            table.alter_column(name, server_default=None)


def _count_received() -> None:
    """Count what arrived of each phone, or the desk would wait for all of it; by the new index."""
    op.execute(
        "UPDATE device SET received = (SELECT count(DISTINCT journal.n) FROM journal"
        " WHERE journal.org_id = device.org_id AND journal.device_id = device.id"
        " AND journal.n > 0)"
    )


def _rewrite_visits() -> None:
    connection = op.get_bind()
    for rows in _batches(connection):
        connection.execute(
            sa.update(visit)
            .where(visit.c.id == sa.bindparam("key"))
            .values(state=sa.bindparam("new_state"), closed_at=sa.bindparam("new_closed_at")),
            [
                {
                    "key": row.id,
                    "new_state": _state(row.state),
                    "new_closed_at": _closed_at(row.status, row.state),
                }
                for row in rows
            ],
        )
    # Phones hold the states of before: a revision of its own brings them these.
    op.execute("UPDATE sync_clock SET rev = rev + 1")
    op.execute(
        "UPDATE visit SET rev = (SELECT sync_clock.rev FROM sync_clock"
        " WHERE sync_clock.org_id = visit.org_id)"
        " WHERE visit.org_id IN (SELECT org_id FROM sync_clock)"
    )


def _batches(connection: sa.Connection) -> Iterator[list[Any]]:
    """Every visit that was folded, some at a time: an archive does not fit into memory."""
    last = ""
    while rows := list(
        connection.execute(
            sa.select(visit.c.id, visit.c.status, visit.c.state)
            .where(visit.c.id > last)
            .order_by(visit.c.id)
            .limit(BATCH)
        )
    ):
        last = rows[-1].id
        if folded := [row for row in rows if row.state]:
            yield folded


def _state(state: Mapping[str, Any]) -> dict[str, Any]:
    """``state`` with no flag dismissed, nothing in quarantine and nobody told that he lost."""
    fields = {
        path: cell | {"sides": [side | {"over": []} for side in cell["sides"]]}
        for path, cell in state["fields"].items()
    }
    flags = [flag | {"dismissed": None} for flag in state["flags"]]
    return {
        **state,
        "fields": fields,
        "flags": flags,
        "dismissals": [],
        "quarantine": [],
    }


def _closed_at(status: str, state: Mapping[str, Any]) -> datetime | None:
    """When the visit was accepted or cancelled, as UTC without a zone."""
    path = {"accepted": "review", "cancelled": "cancellation"}.get(status)
    if path is None or path not in state["fields"]:
        return None
    return datetime.fromisoformat(state["fields"][path]["at"]).astimezone(UTC).replace(tzinfo=None)


def _make_indexes() -> None:
    settle, decisions = sa.text(TO_SETTLE), sa.text(DECISIONS)
    op.create_index("visit_closed", "visit", ["org_id", "closed_at"])
    op.create_index(
        "visit_to_settle",
        "visit",
        ["org_id", "appointment_at", "conflict_count", "flag_count"],
        sqlite_where=settle,
        postgresql_where=settle,
    )
    op.create_index("journal_of_device", "journal", ["org_id", "device_id", "n"])
    op.create_index(
        "journal_of_decisions",
        "journal",
        ["org_id", "received_ms"],
        sqlite_where=decisions,
        postgresql_where=decisions,
    )
    op.drop_index("scope_by_rev", "visit_scope")
    op.create_index("scope_by_rev", "visit_scope", ["org_id", "person_id", "active", "rev"])
    op.create_index("scope_of_visit", "visit_scope", ["org_id", "visit_id"])
