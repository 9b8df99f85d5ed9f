"""Which visits speak of loaners, without reading what each of them says."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

LOANS = "kind IN ('loaner', 'take-back')"


def upgrade() -> None:
    """Add the index."""
    loans = sa.text(LOANS)
    op.create_index(
        "journal_of_loans",
        "journal",
        ["org_id", "visit_id", "kind"],
        sqlite_where=loans,
        postgresql_where=loans,
    )
