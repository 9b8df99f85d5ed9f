"""A month's papers in one file, and what papers were made from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add tables, column and index; how papers sealed before were made is not known."""
    op.create_table(
        "bundle",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("org_id", sa.String(36), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("language", sa.String(5), nullable=False),
        sa.Column("asked_by_id", sa.String(36), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.Column("problem", sa.String(60), nullable=False),
        sa.Column("reason_text", sa.String(300), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisation.id"], name="fk_bundle_org_id_organisation"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_bundle"),
    )
    op.create_index("bundle_of_month", "bundle", ["org_id", "month"])
    op.create_index("report_sealed", "report", ["org_id", "sealed_at"])
    op.create_table(
        "report_source",
        sa.Column("visit_id", sa.String(36), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("org_id", sa.String(36), nullable=False),
        sa.Column("made_by", sa.String(40), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisation.id"], name="fk_report_source_org_id_organisation"
        ),
        sa.PrimaryKeyConstraint("visit_id", "revision", name="pk_report_source"),
    )
    with op.batch_alter_table("report") as table:
        table.add_column(
            sa.Column("unsealed_sha256", sa.String(64), nullable=False, server_default="")
        )
    with op.batch_alter_table("report") as table:
        table.alter_column("unsealed_sha256", server_default=None)
