"""Papers that wait for a timestamp, and the files they were before they got it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add column and table; what was sealed before waits for nothing."""
    with op.batch_alter_table("report") as table:
        table.add_column(
            sa.Column("awaits_timestamp", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("report") as table:
        table.alter_column("awaits_timestamp", server_default=None)
    op.create_table(
        "report_file",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("report_id", sa.String(36), nullable=False),
        sa.Column("org_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisation.id"], name="fk_report_file_org_id_organisation"
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name="fk_report_file_report_id_report"
        ),
        sa.PrimaryKeyConstraint("sha256", name="pk_report_file"),
    )
    op.create_index("ix_report_file_report_id", "report_file", ["report_id"])
