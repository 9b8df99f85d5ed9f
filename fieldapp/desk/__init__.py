"""``/desk…``: dispatchers see the day, open work, review the synced visits and settle conflicts."""

from fieldapp.desk import (
    attempts,
    board,
    bundles,
    customers,
    decisions,
    inbox,
    mails,
    openings,
    phones,
    unsent,
    visits,
    work_orders,
)
from fieldapp.desk.pages import bp

__all__ = [
    "attempts",
    "board",
    "bp",
    "bundles",
    "customers",
    "decisions",
    "inbox",
    "mails",
    "openings",
    "phones",
    "unsent",
    "visits",
    "work_orders",
]
