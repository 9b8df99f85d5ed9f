"""``/desk…``: dispatchers see the day, open work, review the synced visits and settle conflicts."""

from fieldapp.desk import (
    attempts,
    board,
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
