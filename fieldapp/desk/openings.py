"""``/desk/visits/…/work-orders``: a visit that an engineer opened on site gets its work order."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from fieldapp.access import desk_visit_for, needs
from fieldapp.context import visits_at
from fieldapp.desk.opened import WORK_ORDERS
from fieldapp.desk.pages import DESK, bp
from fieldapp.desk.review import review_page
from fieldapp.desk.seen import Refused, seen_of
from fieldapp.models import Visit, WorkOrder, db
from fieldapp.perform import Unit, unit
from sync.problems import Problem


@bp.post(f"/visits/<visit_id>/{WORK_ORDERS}")
@needs(*DESK)
def create_link(visit_id: str) -> ResponseReturnValue:
    """The visit is one more of a work order that is there already, named by its number."""
    visit = desk_visit_for(g.person, visit_id)
    number = request.form.get("number", "").strip()[:40]
    order_id = db.session.scalar(
        select(WorkOrder.id).where(WorkOrder.org_id == g.person.org_id, WorkOrder.number == number)
    )
    if visit.work_order_id is not None:
        return redirect(f"/desk/visits/{visit_id}", 303)
    if order_id is None:
        code = "field.not-a-choice" if number else "field.missing"
        refused = Refused(WORK_ORDERS, {"number": [number]})
        refused.findings = [{"field": "number", "code": code, "detail": ""}]
        return review_page(seen_of(visit), refused, 422)
    with unit(visit.org_id, datetime.now(UTC)) as opened:
        give_work_order(opened, visit_id, db.session.get_one(WorkOrder, order_id))
    return redirect(f"/desk/visits/{visit_id}", 303)


def give_work_order(opened: Unit, visit_id: str, order: WorkOrder) -> None:
    """Make the visit one of ``order``.

    Raises Problem("form.stale") when somebody gave it one meanwhile.
    """
    beside = visits_at(db.session, [order.request])
    opened.hold([visit_id, *beside])
    visit = db.session.get_one(Visit, visit_id, populate_existing=True)
    if visit.work_order_id is not None:
        raise Problem("form.stale")
    visit.work_order = order
    db.session.flush()
    opened.refresh(visit_id)
    # It has become history, and its loaners are out, for the visits of the same asset.
    for id_ in beside:
        opened.touch(id_)
