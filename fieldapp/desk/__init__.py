"""``/desk…``: dispatchers see the day, open work, review the synced visits and settle conflicts."""

from fieldapp.desk import (
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
