"""Numbers of the notices that go with loaners: given here once, and for ever."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from fieldapp.database import queue_up
from fieldapp.models import Notice, Organisation, db
from fieldapp.policies import Policy


def number_notices(organisation: Organisation, policy: Policy, state: dict[str, Any]) -> None:
    """Write its notice's number into every loaner issue of ``state``.

    A standing issue without one is given the next of its day; one that was struck out before it
    had a number never gets one.
    """
    loaners = [entry for entry in state["entries"] if entry["kind"] == "loaner"]
    if not loaners:
        return
    numbers = {
        notice.operation_id: notice.number
        for notice in db.session.scalars(
            select(Notice).where(
                Notice.org_id == organisation.id,
                Notice.operation_id.in_({entry["id"] for entry in loaners}),
            )
        )
    }
    zone = ZoneInfo(organisation.zone)
    for entry in loaners:
        if entry["id"] not in numbers and not entry["voids"]:
            on = datetime.fromisoformat(entry["at"]).astimezone(zone).date()
            numbers[entry["id"]] = _next_number(organisation, policy, entry["id"], on)
        entry["notice"] = numbers.get(entry["id"])


def _next_number(organisation: Organisation, policy: Policy, operation_id: str, on: date) -> str:
    queue_up(f"notices of {organisation.id}")
    last = db.session.scalar(
        select(func.max(Notice.count)).where(
            Notice.org_id == organisation.id, Notice.issued_on == on
        )
    )
    count = (last or 0) + 1
    number = policy.number("notice", on, count)
    db.session.add(
        Notice(
            org_id=organisation.id,
            operation_id=operation_id,
            issued_on=on,
            count=count,
            number=number,
        )
    )
    db.session.flush()
    return number
