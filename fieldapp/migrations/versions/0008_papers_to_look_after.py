"""What keeps the papers of a visit from being made, and what changed since they were signed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add table and column.

    Whatever failed before is found again by the hourly sweep, and a visit is marked as changed
    when it is folded the next time: phones need not fetch all of them once more.
    """
    op.create_table(
        "hindrance",
        sa.Column("visit_id", sa.String(length=36), nullable=False),
        sa.Column("org_id", sa.String(length=36), nullable=False),
        sa.Column("problem", sa.String(length=60), nullable=False),
        sa.Column("args", sa.JSON(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("release", sa.String(length=40), nullable=False),
        sa.Column("tried_at", sa.DateTime(), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisation.id"], name="fk_hindrance_org_id_organisation"
        ),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name="fk_hindrance_visit_id_visit"),
        sa.PrimaryKeyConstraint("visit_id", name="pk_hindrance"),
    )
    op.create_index("ix_hindrance_org_id", "hindrance", ["org_id"])
    with op.batch_alter_table("visit") as table:
        table.add_column(
            sa.Column("is_changed", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("visit") as table:
        table.alter_column("is_changed", server_default=None)
