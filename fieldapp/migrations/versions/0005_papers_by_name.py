"""A revision has several papers; an organisation's address and logo stand on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; what was sealed before was always the dispatch order."""
    with op.batch_alter_table("report") as table:
        table.add_column(
            sa.Column("name", sa.String(30), nullable=False, server_default="dispatch-order")
        )
    with op.batch_alter_table("report") as table:
        table.alter_column("name", server_default=None)
        table.drop_constraint("uq_report_token", type_="unique")
        table.create_unique_constraint("uq_report_token", ["token", "revision", "name"])
    with op.batch_alter_table("organisation") as table:
        table.add_column(sa.Column("address", sa.String(300), nullable=False, server_default=""))
        table.add_column(sa.Column("logo", sa.String(64), nullable=False, server_default=""))
    with op.batch_alter_table("organisation") as table:
        table.alter_column("address", server_default=None)
        table.alter_column("logo", server_default=None)
