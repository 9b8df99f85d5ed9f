"""``/desk/work-orders…``: a request comes in and becomes a work order with its first visit."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from fieldapp.access import customer_for, desk_visit_for, needs, work_order_for
from fieldapp.database import queue_up
from fieldapp.desk.assignments import assignment_findings, complete
from fieldapp.desk.customers import (
    CONTACT_FIELDS,
    Place,
    contact_findings,
    find_places,
    place_arguments,
    place_of,
)
from fieldapp.desk.opened import opening_of
from fieldapp.desk.openings import give_work_order
from fieldapp.desk.pages import DESK, LANGUAGE_NAMES, bp, desk_page, engineers_of
from fieldapp.desk.seen import refill
from fieldapp.formats import Offsets
from fieldapp.forms import read_heads, read_value, read_was, write_form
from fieldapp.ids import is_id, mint_id
from fieldapp.models import (
    Contact,
    Person,
    ServiceRequest,
    Visit,
    WorkOrder,
    db,
)
from fieldapp.perform import Unit, unit
from fieldapp.policies import Policy
from fieldapp.presentation import policy_of
from sync.canonical import canonical
from sync.catalogue import N_, Field, kind_named
from sync.glyphs import coverage
from sync.operation import iso
from sync.validate import Finding, validate
from sync.zones import make_offsets

CARRY_LINES = 50
CARRY_CHARACTERS = 200
SECOND_DAY = "second-day"
"""Another visit for the same work order; any job type opens a work order of its own."""

_FAULT = kind_named("fault").fields
_TRIP = (
    Field("appointment_at", "moment", N_("Agreed visit time")),
    Field("engineer", "choice", N_("Engineer"), choices="engineers"),
    kind_named("assignment").field("helpers"),
)
_CARRY = Field("carry", "paragraph", N_("To carry"), limit=CARRY_LINES * CARRY_CHARACTERS)
_JOB_TYPE = Field("job_type", "choice", N_("Job type"), True, choices="job_types")
ORDER_FIELDS = [
    vars(field)
    for field in (
        _JOB_TYPE,
        Field("channel", "choice", N_("Reported by"), True, choices="channels"),
        Field("reported_at", "moment", N_("Reported at"), True),
        *_FAULT,
        *_TRIP,
        _CARRY,
    )
]
VISIT_FIELDS = [vars(field) for field in (_JOB_TYPE, *_FAULT, *_TRIP, _CARRY)]
_CONTACT = [vars(field) for field in CONTACT_FIELDS]


@dataclass
class NewOrder:
    """What the form of a new work order says, and what is wrong with it.

    ``contact`` holds the fields of a new contact, whose names in the form begin with ``contact_``.
    ``heads`` and ``was`` are what it showed of a visit that is there already.
    """

    place: Place | None
    value: dict[str, Any]
    contact: dict[str, Any]
    findings: list[Finding]
    heads: dict[str, list[str]]
    was: dict[str, Any]


@bp.get("/work-orders/new")
@needs(*DESK)
def edit_work_order() -> ResponseReturnValue:
    """The empty form; ``?customer=`` and ``?site=`` choose a place.

    ``?visit=`` names a visit that an engineer opened on site: what he said is filled in.
    """
    now = datetime.now(UTC)
    if request.args.get("visit"):
        return _edit_for_opened(request.args["visit"], now)
    place = None
    if request.args.get("customer"):
        place = place_of(customer_for(g.person, request.args["customer"]), request.args)
    zone = place.site.zone if place and place.site else g.person.organisation.zone
    data = policy_of(g.person.org_id).data
    first = {"job_type": next(iter(data["job_types"])), "reported_at": _iso(now)}
    form = write_form(ORDER_FIELDS, _with_channel(first), make_offsets(zone, now))
    return _order_page(place, form | {"id": mint_id(now)}, {}, 200)


@bp.post("/work-orders/new")
@needs(*DESK)
def create_work_order() -> ResponseReturnValue:
    """A customer reported something: request, work order and first visit.

    The visit may be one that an engineer opened on site.
    """
    now = datetime.now(UTC)
    visit_id = request.form.get("visit", "")
    if visit_id and (known := desk_visit_for(g.person, visit_id)).work_order_id is not None:
        return redirect(f"/desk/work-orders/{known.work_order_id}", 303)
    posted = {name: request.form.getlist(name) for name in request.form}
    order_id = _order_id(request.form.get("id", ""), now)
    if order_id is None:  # sent twice: the first time made it
        return redirect(f"/desk/work-orders/{request.form['id']}", 303)
    new = read_order(posted, policy_of(g.person.org_id), now)
    if new.findings:
        form = {name: texts[0] for name, texts in posted.items()} | refill(ORDER_FIELDS, posted)
        form["id"] = order_id
        return _order_page(
            new.place, form, {finding["field"]: finding for finding in new.findings}, 422
        )
    author_id = g.person.id
    with unit(g.person.org_id, now) as opened:
        author = db.session.get_one(Person, author_id)
        open_order(opened, author, order_id, new, visit_id)
    return redirect(f"/desk/work-orders/{order_id}", 303)


@bp.get("/work-orders/<order_id>")
@needs(*DESK)
def show_work_order(order_id: str) -> ResponseReturnValue:
    """A work order with its visits and what else hangs on its request."""
    return _show(work_order_for(g.person, order_id), {}, {}, 200)


@bp.get("/work-orders/<order_id>/visits")
@needs(*DESK)
def show_visits(order_id: str) -> ResponseReturnValue:
    """The visits of a work order stand on its own page."""
    return redirect(f"/desk/work-orders/{work_order_for(g.person, order_id).id}", 303)


@bp.post("/work-orders/<order_id>/visits")
@needs(*DESK)
def create_visit(order_id: str) -> ResponseReturnValue:
    """Another trip: a second day of this work order, or a work order more for its request."""
    now = datetime.now(UTC)
    order = work_order_for(g.person, order_id)
    policy = policy_of(order.org_id)
    posted = {name: request.form.getlist(name) for name in request.form}
    visit_id = request.form.get("id", "")
    if not is_id(visit_id):
        visit_id = mint_id(now)
    known = db.session.get(Visit, visit_id)
    if known is not None:
        return redirect(f"/desk/work-orders/{known.work_order_id or order_id}", 303)
    value = read_value(VISIT_FIELDS, posted, make_offsets(order.request.site.zone, now))
    choices = _choices(policy)
    choices["job_types"] = [SECOND_DAY, *choices["job_types"]]
    findings = validate(VISIT_FIELDS, value, choices, coverage()) + _trip_findings(value)
    if findings:
        form = {name: texts[0] for name, texts in posted.items()} | refill(VISIT_FIELDS, posted)
        return _show(order, form, {finding["field"]: finding for finding in findings}, 422)
    author_id, request_id = g.person.id, order.request_id
    with unit(order.org_id, now) as opened:
        author = db.session.get_one(Person, author_id)
        if value["job_type"] != SECOND_DAY:
            made = _add_order(opened, mint_id(now), request_id, value)
            order_id = made.id
        _add_visit(opened, visit_id, order_id)
        _plan(opened, author, visit_id, value, {}, {})
    return redirect(f"/desk/work-orders/{order_id}", 303)


def read_order(posted: Mapping[str, Sequence[str]], policy: Policy, now: datetime) -> NewOrder:
    """The form of a new work order.  Times are read on the clock of the chosen site."""
    findings: list[Finding] = []
    place = _place(posted)
    if place is None:
        findings.append({"field": "customer", "code": "field.missing", "detail": ""})
    elif place.site is None:
        findings.append({"field": "site", "code": "field.missing", "detail": ""})
    elif not place.contact_id:
        findings.append({"field": "contact", "code": "field.missing", "detail": ""})
    elif posted.get("asset", [""])[0] != place.asset_id:
        findings.append({"field": "asset", "code": "field.not-a-choice", "detail": ""})
    zone = place.site.zone if place and place.site else g.person.organisation.zone
    value = read_value(ORDER_FIELDS, posted, make_offsets(zone, now))
    findings += validate(ORDER_FIELDS, value, _choices(policy), coverage())
    findings += _trip_findings(value)
    contact: dict[str, Any] = {}
    if place is not None and place.contact_id == "new":
        said = {name.removeprefix("contact_"): texts for name, texts in posted.items()}
        contact = read_value(_CONTACT, said, ())
        findings += [
            finding | {"field": f"contact_{finding['field']}"}
            for finding in contact_findings(contact)
        ]
    return NewOrder(place, value, contact, findings, read_heads(posted), read_was(posted))


def open_order(
    opened: Unit, author: Person, order_id: str, new: NewOrder, visit_id: str = ""
) -> str:
    """Store a checked form as request, work order and visit; returns the visit's id.

    ``visit_id`` names a visit that is there and has no work order yet.
    """
    assert new.place is not None
    assert new.place.site is not None
    contact_id = new.place.contact_id
    if contact_id == "new":
        contact_id = _add_contact(opened, new.place.site_id, new.contact)
    made = ServiceRequest(
        id=mint_id(opened.now),
        org_id=opened.organisation.id,
        number=next_number(opened, "request", ServiceRequest.number),
        customer_id=new.place.customer.id,
        site_id=new.place.site_id,
        contact_id=contact_id,
        asset_id=new.place.asset_id or None,
        channel=new.value["channel"],
        reported_at=datetime.fromisoformat(new.value["reported_at"]),
    )
    db.session.add(made)
    db.session.flush()
    order = _add_order(opened, order_id, made.id, new.value)
    if visit_id:
        give_work_order(opened, visit_id, order)
    else:
        visit_id = mint_id(opened.now)
        _add_visit(opened, visit_id, order_id)
    _plan(opened, author, visit_id, new.value, new.heads, new.was)
    return visit_id


def next_number(opened: Unit, noun: str, column: Any) -> str:
    """The first number of the policy's pattern for ``noun`` that is still free today.

    Two people at once queue up, so that they do not get the same.
    """
    organisation = opened.organisation
    queue_up(f"numbers of {organisation.id}")
    today = opened.now.astimezone(ZoneInfo(organisation.zone)).date()
    start = _start_of_numbers(opened.policy, noun, today)
    taken = set(
        db.session.scalars(
            select(column).where(
                column.class_.org_id == organisation.id, column.startswith(start, autoescape=True)
            )
        )
    )
    count = 1
    while (number := opened.policy.number(noun, today, count)) in taken:
        count += 1
    return number


def _start_of_numbers(policy: Policy, noun: str, day: date) -> str:
    """What all numbers of a day begin with: as far as four different ones agree."""
    numbers = [policy.number(noun, day, count) for count in (1, 20, 300, 4000)]
    agreed = itertools.takewhile(
        lambda letters: len(set(letters)) == 1, zip(*numbers, strict=False)
    )
    return "".join(letters[0] for letters in agreed)


def _add_contact(opened: Unit, site_id: str, value: Mapping[str, Any]) -> str:
    id_ = mint_id(opened.now)
    row = Contact(
        id=id_,
        org_id=opened.organisation.id,
        site_id=site_id,
        code=id_,  # nobody else knows this contact yet
        **{field.name: value.get(field.name, "") for field in CONTACT_FIELDS},
    )
    db.session.add(row)
    db.session.flush()
    return id_


def _add_order(opened: Unit, order_id: str, request_id: str, value: Mapping[str, Any]) -> WorkOrder:
    order = WorkOrder(
        id=order_id,
        org_id=opened.organisation.id,
        request_id=request_id,
        number=next_number(opened, "work_order", WorkOrder.number),
        job_type=value["job_type"],
        carry=_lines(value.get("carry", "")),
    )
    db.session.add(order)
    db.session.flush()
    return order


def _add_visit(opened: Unit, visit_id: str, order_id: str) -> None:
    db.session.add(Visit(id=visit_id, org_id=opened.organisation.id, work_order_id=order_id))
    db.session.flush()


def _plan(
    opened: Unit,
    author: Person,
    visit_id: str,
    value: Mapping[str, Any],
    heads: Mapping[str, list[str]],
    was: Mapping[str, Any],
) -> None:
    """What the desk says of a trip: its fault, its time and who goes.

    ``heads`` and ``was`` are what the form showed: what was said meanwhile stands beside it, and
    what the desk left as it was is not said again.
    """
    fault = {
        field.name: value[field.name]
        for field in _FAULT
        if value.get(field.name) and value[field.name] != was.get(field.name)
    }
    if fault:
        opened.perform("fault", visit_id, author, fault, heads)
    at = value.get("appointment_at")
    if at and at != was.get("appointment_at"):
        opened.perform("appointment", visit_id, author, {"at": at}, heads)
    if value.get("engineer"):
        opened.perform("assignment", visit_id, author, complete(value), heads)


def _edit_for_opened(visit_id: str, now: datetime) -> ResponseReturnValue:
    """The form for a visit that was opened on site, with what was said there."""
    visit = desk_visit_for(g.person, visit_id)
    if visit.work_order_id is not None:
        return redirect(f"/desk/work-orders/{visit.work_order_id}", 303)
    said = opening_of(visit.state)
    seen = _planned(visit.state)
    first = said | {"engineer": visit.engineer_id, "reported_at": said["at"] or _iso(now)} | seen
    offsets = make_offsets(g.person.organisation.zone, now)
    form = write_form(ORDER_FIELDS, _with_channel(first), offsets)
    form |= {"id": mint_id(now), "visit": visit.id, "q": said["customer"]}
    form |= {"heads": canonical(_heads(visit.state)), "was": canonical(seen)}
    return _order_page(None, form, {}, 200)


def _planned(state: Mapping[str, Any]) -> dict[str, Any]:
    """What a visit that is there already says in the fields of the form: its fault, who goes."""
    fields = state.get("fields", {}) if state else {}
    fault = {
        field.name: fields[f"fault/{field.name}"]["value"]
        for field in _FAULT
        if f"fault/{field.name}" in fields
    }
    assigned = fields["assignment"]["value"] if "assignment" in fields else None
    planned = fault | (dict(assigned) if isinstance(assigned, Mapping) else {})
    if "appointment/at" in fields:
        planned["appointment_at"] = fields["appointment/at"]["value"]
    return planned


def _heads(state: Mapping[str, Any]) -> dict[str, list[str]]:
    """The heads of the paths that the form is about."""
    fields = state.get("fields", {}) if state else {}
    paths = [*(f"fault/{field.name}" for field in _FAULT), "appointment/at", "assignment"]
    return {path: fields[path]["heads"] for path in paths if path in fields}


def _with_channel(first: Mapping[str, Any]) -> dict[str, Any]:
    """``first`` with the channel that the policy names first."""
    channels = policy_of(g.person.org_id).data["lists"]["channels"]
    return {"channel": channels[0]["key"], **first}


def _show(
    order: WorkOrder, form: Mapping[str, Any], findings: Mapping[str, Finding], status: int
) -> ResponseReturnValue:
    now = datetime.now(UTC)
    visits = list(
        db.session.scalars(
            select(Visit)
            .join(WorkOrder, WorkOrder.id == Visit.work_order_id)
            .where(WorkOrder.request_id == order.request_id)
            .options(joinedload(Visit.engineer), joinedload(Visit.work_order))
            .order_by(Visit.id)
        )
    )
    own = [visit for visit in visits if visit.work_order_id == order.id]
    policy = policy_of(order.org_id)
    if not form:
        form = _first_form(own or visits, make_offsets(order.request.site.zone, now))
    form = {"id": mint_id(now), **form}
    return desk_page(
        "desk/work_order.html",
        policy,
        status,
        order=order,
        request_=order.request,
        zone=order.request.site.zone,
        visits=own,
        others=[visit for visit in visits if visit.work_order_id != order.id],
        fields=VISIT_FIELDS,
        form=form,
        findings=findings,
        engineers=engineers_of(order.org_id),
        second_day=SECOND_DAY,
    )


def _first_form(visits: Sequence[Visit], offsets: Offsets) -> dict[str, Any]:
    """The form of another visit: the fault as the last one has it, no time and nobody."""
    state = visits[-1].state if visits else {}
    fault = {
        field.name: cell["value"]
        for field in _FAULT
        if (cell := state.get("fields", {}).get(f"fault/{field.name}"))
    }
    return write_form(VISIT_FIELDS, fault | {"job_type": SECOND_DAY}, offsets)


def _order_page(
    place: Place | None,
    form: Mapping[str, Any],
    findings: Mapping[str, Finding],
    status: int,
) -> ResponseReturnValue:
    opened = desk_visit_for(g.person, form["visit"]) if form.get("visit") else None
    return desk_page(
        "desk/new_work_order.html",
        policy_of(g.person.org_id),
        status,
        opened=opened,
        said=opening_of(opened.state) if opened is not None else {},
        fields=ORDER_FIELDS,
        form=form,
        findings=findings,
        engineers=engineers_of(g.person.org_id),
        found=find_places(g.person.org_id, form["q"]) if form.get("q") else [],
        q=form.get("q", ""),
        **place_arguments(place, datetime.now(UTC)),
    )


def _place(posted: Mapping[str, Sequence[str]]) -> Place | None:
    """The place that a form names; None when it names no customer."""
    chosen = {name: texts[0] for name, texts in posted.items() if texts}
    if not chosen.get("customer"):
        return None
    return place_of(customer_for(g.person, chosen["customer"]), chosen)


def _order_id(text: str, now: datetime) -> str | None:
    """The id that the form brought for its work order, or a new one; None when it exists here."""
    if not is_id(text):
        return mint_id(now)
    known = db.session.scalar(select(WorkOrder).where(WorkOrder.id == text))
    if known is None:
        return text
    return None if known.org_id == g.person.org_id else mint_id(now)


def _choices(policy: Policy) -> dict[str, list[str]]:
    return policy.choices() | {
        "job_types": list(policy.data["job_types"]),
        "engineers": [person.id for person in engineers_of(g.person.org_id)],
        "languages": list(LANGUAGE_NAMES),
    }


def _trip_findings(value: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with who goes and with what they carry."""
    # who is no engineer of the house was found already
    found = [
        finding
        for finding in assignment_findings(value, engineers_of(g.person.org_id))
        if (finding["field"], finding["code"]) != ("engineer", "field.not-a-choice")
    ]
    lines = _lines(value.get("carry", ""))
    if len(lines) > CARRY_LINES or any(len(line) > CARRY_CHARACTERS for line in lines):
        found.append({"field": "carry", "code": "field.too-long", "detail": str(CARRY_CHARACTERS)})
    return found


def _lines(text: Any) -> list[str]:
    return [line.strip() for line in str(text).split("\n") if line.strip()]


def _iso(at: datetime) -> str:
    return iso(int(at.timestamp() * 1000))
