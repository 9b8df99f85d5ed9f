"""Who revoked a phone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; of phones revoked before nobody knows."""
    with op.batch_alter_table("device") as table:
        table.add_column(sa.Column("revoked_by_id", sa.String(36), nullable=True))
