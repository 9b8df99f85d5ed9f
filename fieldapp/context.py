"""The read-only block of a visit that goes to the phone: what the office knows, at one moment.

The same rows give the same bytes, whoever asks and whenever: a signature covers this block, and
the server keeps every version it served.  ``docs/state.md`` describes the shape.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, func, or_, select, text
from sqlalchemy.orm import Session, aliased, joinedload, scoped_session

from fieldapp.models import (
    Asset,
    Contact,
    Customer,
    Organisation,
    Part,
    Person,
    ServiceRequest,
    Site,
    VanStock,
    Visit,
    WorkOrder,
    db,
)
from fieldapp.policies import Policy
from sync import sla, warranty
from sync.tables import LOANS, journal
from sync.zones import make_offsets

AnySession = Session | scoped_session[Any]

HISTORY = 3
"""Earlier visits that go along."""

CLOSED = ("accepted", "cancelled")
"""Status of visits whose phones need not hear of a change in the office."""

_BATCH = 400
"""Visits looked up by one query: below every database's limit on bound values."""


def context_of(visit: Visit, policy: Policy, now: datetime) -> dict[str, Any]:
    """The context of one visit; :func:`contexts_of` says more."""
    return contexts_of([visit], policy, now)[visit.id]


def contexts_of(
    visits: Sequence[Visit], policy: Policy, now: datetime
) -> dict[str, dict[str, Any]]:
    """The context of every visit by its id, in a handful of queries for all of them.

    The visits are of one organisation.  ``now`` (aware) counts only for a visit with neither
    appointment nor request, which has no other day: all else follows from the rows.
    """
    contexts: dict[str, dict[str, Any]] = {}
    for start in range(0, len(visits), _BATCH):
        batch = visits[start : start + _BATCH]
        facts = _Facts(batch)
        contexts |= {visit.id: _context(visit, facts, policy, now) for visit in batch}
    return contexts


def visits_holding(session: AnySession, row: Any) -> list[str]:
    """Ids of the open visits whose context holds ``row``, sorted.

    ``row`` is a customer, site, contact, asset, part, van stock, person, request, work order,
    organisation, or another visit (its work is history and loaners there).
    Raises TypeError for any other row.
    """
    statement = select(Visit.id).where(_holds(session, row), Visit.status.not_in(CLOSED))
    return list(session.scalars(statement.order_by(Visit.id)))


def visits_beside(session: AnySession, visit_ids: Collection[str]) -> set[str]:
    """Ids of the open visits whose contexts may speak of any of these visits."""
    requests = session.execute(
        select(ServiceRequest.id, ServiceRequest.asset_id, ServiceRequest.site_id)
        .join(WorkOrder, WorkOrder.request_id == ServiceRequest.id)
        .join(Visit, Visit.work_order_id == WorkOrder.id)
        .where(Visit.id.in_(visit_ids))
    ).all()
    return visits_at(session, requests)


def visits_at(session: AnySession, requests: Collection[Any]) -> set[str]:
    """Ids of the open visits of these requests or of their assets, else of their sites.

    A request is anything with its ``id``, ``asset_id`` and ``site_id``.
    """
    if not requests:
        return set()
    condition = _of_requests(
        or_(
            ServiceRequest.id.in_({row.id for row in requests}),
            ServiceRequest.asset_id.in_({row.asset_id for row in requests if row.asset_id}),
            ServiceRequest.asset_id.is_(None)
            & ServiceRequest.site_id.in_({row.site_id for row in requests}),
        )
    )
    return set(session.scalars(select(Visit.id).where(condition, Visit.status.not_in(CLOSED))))


def _holds(session: AnySession, row: Any) -> ColumnElement[bool]:
    """The condition on a visit under which its context holds ``row``."""
    match row:
        case Organisation():
            return Visit.org_id == row.id
        case Customer():
            return _of_requests(ServiceRequest.customer_id == row.id)
        case Site():
            return _of_requests(ServiceRequest.site_id == row.id)
        case Contact():
            return _of_requests(ServiceRequest.contact_id == row.id)
        case Asset():
            owned = _of_requests(ServiceRequest.asset_id == row.id)
            in_van = row.holder == "van" and row.holder_id is not None
            return or_(owned, _of_engineer(row.org_id, row.holder_id)) if in_van else owned
        case Part():
            carriers = select(VanStock.person_id).where(VanStock.part_id == row.id)
            return (Visit.org_id == row.org_id) & Visit.engineer_id.in_(carriers)
        case VanStock():
            return _of_engineer(row.org_id, row.person_id)
        case Person():
            return _of_engineer(row.org_id, row.id)
        case ServiceRequest():
            return _of_requests(ServiceRequest.id == row.id)
        case WorkOrder():
            return Visit.work_order_id == row.id
        case Visit():
            return _beside(session, row)
    raise TypeError(f"no context holds a {type(row).__name__}")


def _of_requests(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Visits of the requests that fulfil ``condition``.

    Without the organisation: keys are unique everywhere, and naming it would tempt a database to
    walk through all its visits.
    """
    return Visit.work_order_id.in_(
        select(WorkOrder.id)
        .join(ServiceRequest, ServiceRequest.id == WorkOrder.request_id)
        .where(condition)
    )


def _of_engineer(org_id: str, person_id: str | None) -> ColumnElement[bool]:
    return (Visit.org_id == org_id) & (Visit.engineer_id == person_id)


def _beside(session: AnySession, visit: Visit) -> ColumnElement[bool]:
    """Other visits of the same request, asset or site."""
    order = session.get(WorkOrder, visit.work_order_id) if visit.work_order_id else None
    request = session.get(ServiceRequest, order.request_id) if order else None
    if request is None:
        return Visit.id.is_(None)
    same = [
        ServiceRequest.id == request.id,
        ServiceRequest.asset_id.is_(None) & (ServiceRequest.site_id == request.site_id),
    ]
    if request.asset_id:
        same.append(ServiceRequest.asset_id == request.asset_id)
    return _of_requests(or_(*same)) & (Visit.id != visit.id)


def targets_of(visit: Visit, policy: Policy) -> list[dict[str, Any]]:
    """The promises ``[{name, due_at, minutes}]`` for the visit's fault level and distance.

    ``due_at`` is None for those that start on site: they begin with a fact of the visit, and a
    context must not change because the visit goes on.
    """
    if visit.work_order is None:
        return []
    request = visit.work_order.request
    cell = visit.state.get("fields", {}).get("fault/level") if visit.state else None
    level = str(cell["value"]) if cell else ""
    found: list[dict[str, Any]] = []
    for target in policy.targets:
        if not target.applies(level, request.site.distance):
            continue
        due_at = None
        if target.start == "reported":
            hours = policy.opening_hours(target.calendar, request.site.zone)
            due_at = _iso(sla.due_at(request.reported_at, target, hours))
        found.append({"name": target.name, "due_at": due_at, "minutes": target.minutes})
    return found


class _Facts:
    """Everything the contexts of some visits need, looked up once for all of them."""

    def __init__(self, visits: Sequence[Visit]) -> None:
        self.organisation = db.session.get_one(Organisation, visits[0].org_id)
        self.orders = self._orders(visits)
        self.engineers = self._engineers(visits)
        self.van = self._van()
        self.parts = self._parts()
        self.history = self._history(visits)
        requests = [order.request for order in self.orders.values()]
        self.by_request, self.by_asset = self._loaner_entries(requests)

    def order_of(self, visit: Visit) -> WorkOrder | None:
        """The visit's work order, its request and what hangs on it already at hand."""
        return self.orders.get(visit.work_order_id or "")

    def engineer_of(self, visit: Visit) -> Person | None:
        """Who goes."""
        return self.engineers.get(visit.engineer_id or "")

    def _engineers(self, visits: Sequence[Visit]) -> dict[str, Person]:
        wanted = sorted({visit.engineer_id for visit in visits if visit.engineer_id})
        rows = db.session.scalars(select(Person).where(Person.id.in_(wanted))) if wanted else ()
        return {row.id: row for row in rows}

    def _orders(self, visits: Sequence[Visit]) -> dict[str, WorkOrder]:
        wanted = sorted({visit.work_order_id for visit in visits if visit.work_order_id})
        request = joinedload(WorkOrder.request)
        statement = (
            select(WorkOrder)
            .where(WorkOrder.id.in_(wanted))
            .options(
                request.joinedload(ServiceRequest.customer),
                request.joinedload(ServiceRequest.site),
                request.joinedload(ServiceRequest.contact),
                request.joinedload(ServiceRequest.asset),
            )
        )
        return {order.id: order for order in db.session.scalars(statement)} if wanted else {}

    def _van(self) -> dict[str, list[dict[str, Any]]]:
        van: dict[str, list[dict[str, Any]]] = defaultdict(list)
        rows = db.session.execute(
            select(Asset.holder_id, Asset.serial, Asset.model, Asset.name)
            .where(Asset.holder == "van", Asset.holder_id.in_(sorted(self.engineers)))
            .order_by(Asset.serial)
        )
        for row in rows:
            van[str(row.holder_id)].append(
                {"serial": row.serial, "model": row.model, "name": row.name}
            )
        return van

    def _parts(self) -> dict[str, list[dict[str, Any]]]:
        parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        rows = db.session.execute(
            select(VanStock.person_id, Part.code, Part.name, VanStock.count)
            .join(Part, Part.id == VanStock.part_id)
            .where(VanStock.person_id.in_(sorted(self.engineers)), VanStock.count > 0)
            .order_by(Part.code)
        )
        for row in rows:
            parts[row.person_id].append({"code": row.code, "name": row.name, "count": row[3]})
        return parts

    def _history(self, visits: Sequence[Visit]) -> dict[str, list[Any]]:
        """Up to ``HISTORY`` visits of the same asset (else site) that began before each visit."""
        with_asset: dict[str, str] = {}
        without: dict[str, str] = {}
        for visit in visits:
            order = self.order_of(visit)
            if order is not None and order.request.asset_id:
                with_asset[visit.id] = order.request.asset_id
            elif order is not None:
                without[visit.id] = order.request.site_id
        return self._last_visits(with_asset, "asset_id") | self._last_visits(without, "site_id")

    def _last_visits(self, places: Mapping[str, str], same: str) -> dict[str, list[Any]]:
        """The history of visits by their ids, whose requests share the column ``same`` with it.

        ``places`` are the values of that column.  They are named for planners: one asset may have
        a thousand times the visits of another.
        """
        history: dict[str, list[Any]] = defaultdict(list)
        if not places:
            return history
        here, here_order, here_request = aliased(Visit), aliased(WorkOrder), aliased(ServiceRequest)
        place = func.row_number().over(
            partition_by=here.id, order_by=(Visit.arrived_at.desc(), Visit.id.desc())
        )
        # Of all others only when they were: what they say is read of those that are shown.
        ranked = (
            select(here.id.label("here"), Visit.id, place.label("place"))
            .select_from(here)
            .join(here_order, here_order.id == here.work_order_id)
            .join(here_request, here_request.id == here_order.request_id)
            .join(ServiceRequest, getattr(ServiceRequest, same) == getattr(here_request, same))
            .join(WorkOrder, WorkOrder.request_id == ServiceRequest.id)
            .join(Visit, Visit.work_order_id == WorkOrder.id)
            .where(
                here.id.in_(sorted(places)),
                getattr(ServiceRequest, same).in_(sorted(set(places.values()))),
                Visit.id != here.id,
                Visit.arrived_at.is_not(None),
                or_(here.appointment_at.is_(None), Visit.arrived_at < here.appointment_at),
            )
            .subquery()
        )
        # There are no more than the limit says: it is for planners, who would expect thousands.
        shown = (
            select(ranked).where(ranked.c.place <= HISTORY).limit(HISTORY * len(places)).subquery()
        )
        last: Select[Any] = (
            select(
                shown.c.here,
                WorkOrder.number,
                Visit.arrived_at,
                Visit.summary_text,
                Person.name.label("engineer_name"),
            )
            .select_from(shown)
            .join(Visit, Visit.id == shown.c.id)
            .join(WorkOrder, WorkOrder.id == Visit.work_order_id)
            .outerjoin(Person, Person.id == Visit.engineer_id)
            .order_by(shown.c.here, shown.c.place)
        )
        for row in db.session.execute(last):
            history[row.here].append(row)
        return history

    def _loaner_entries(
        self, requests: Sequence[ServiceRequest]
    ) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """Standing loaner and take-back entries by request and by asset, each with its visit's id.

        Only states that speak of a loaner are read: most of them are large and do not.  Earlier
        requests are joined, not named: there may be more than a database takes values.
        """
        by_request: dict[str, list[Any]] = defaultdict(list)
        by_asset: dict[str, list[Any]] = defaultdict(list)
        request_ids = sorted({request.id for request in requests})
        asset_ids = sorted({request.asset_id for request in requests if request.asset_id})
        loans = select(journal.c.visit_id).where(
            journal.c.org_id == Visit.org_id, journal.c.visit_id == Visit.id, text(LOANS)
        )
        rows = db.session.execute(
            select(Visit.id, Visit.state, ServiceRequest.id, ServiceRequest.asset_id)
            .join(WorkOrder, WorkOrder.id == Visit.work_order_id)
            .join(ServiceRequest, ServiceRequest.id == WorkOrder.request_id)
            .where(
                or_(ServiceRequest.id.in_(request_ids), ServiceRequest.asset_id.in_(asset_ids)),
                loans.exists(),
            )
        )
        for visit_id, state, request_id, asset_id in rows:
            for entry in state.get("entries", ()):
                if entry["kind"] in ("loaner", "take-back") and not entry["voids"]:
                    by_request[request_id].append((visit_id, entry))
                    if asset_id:
                        by_asset[asset_id].append((visit_id, entry))
        return by_request, by_asset


def _context(visit: Visit, facts: _Facts, policy: Policy, now: datetime) -> dict[str, Any]:
    organisation = facts.organisation
    order = facts.order_of(visit)
    request = order.request if order else None
    site = request.site if request else None
    contact = request.contact if request else None
    engineer = facts.engineer_of(visit)
    zone = site.zone if site else organisation.zone
    visit_at = visit.appointment_at or (request.reported_at if request else now)
    visit_on = _day(visit_at, zone)
    return {
        "organisation": {
            "id": organisation.id,
            "name": organisation.name,
            "zone": organisation.zone,
            "currency": organisation.currency,
            "phone": organisation.phone,
            "offsets": _offsets(organisation.zone, visit_on.year),
        },
        # A visit whose work order nobody here knows yet keeps the shape, empty.
        "request": {
            "id": request.id if request else "",
            "number": request.number if request else None,
            "reported_at": _iso(request.reported_at) if request else None,
            "channel": request.channel if request else "",
        },
        "work_order": {
            "id": order.id if order else "",
            "number": order.number if order else None,
            "job_type": order.job_type if order else "",
        },
        "customer": {
            "id": request.customer.id if request else "",
            "name": request.customer.name if request else "",
        },
        "site": {
            "id": site.id if site else "",
            "name": site.name if site else "",
            "address": site.address if site else "",
            "distance": site.distance if site else "",
            "access_text": site.access_text if site else "",
            "zone": zone,
            "offsets": _offsets(zone, visit_on.year),
        },
        "contact": {
            "id": contact.id if contact else "",
            "name": contact.name if contact else "",
            "phone": contact.phone if contact else "",
            "role_text": contact.role_text if contact else "",
            "language": contact.language if contact else "",
        },
        "asset": _asset(request.asset, visit_on) if request and request.asset else None,
        "history": [
            {
                "number": row.number,
                "on": _day(row.arrived_at, zone).isoformat(),
                "engineer_name": row.engineer_name or "",
                "summary_text": row.summary_text,
            }
            for row in facts.history.get(visit.id, ())
        ],
        "carry": list(order.carry) if order else [],
        "van": facts.van.get(engineer.id, []) if engineer else [],
        "parts": facts.parts.get(engineer.id, []) if engineer else [],
        "loaners": _loaners(visit, request, facts, policy, zone) if request else [],
        "people": [{"id": engineer.id, "name": engineer.name}] if engineer else [],
        "targets": targets_of(visit, policy),
        "policy": {"code": policy.code, "version": policy.version},
    }


def _asset(asset: Asset, on: date) -> dict[str, Any]:
    return {
        "id": asset.id,
        "serial": asset.serial,
        "model": asset.model,
        "name": asset.name,
        "verdict": dict(warranty.verdict(asset.commissioned_on, asset.warranty_months, on)),
    }


def _loaners(
    visit: Visit, request: ServiceRequest, facts: _Facts, policy: Policy, zone: str
) -> list[dict[str, Any]]:
    """Loaners issued on other visits of the request or asset and still out, oldest first.

    A take-back closes a notice only with a bench test that the policy accepts.
    """
    found = [
        *facts.by_request.get(request.id, ()),
        *facts.by_asset.get(request.asset_id or "", ()),
    ]
    others = {entry["id"]: entry for visit_id, entry in found if visit_id != visit.id}
    closing = policy.data["loaner_closed_by"]
    closed: dict[str, str] = {}
    for entry in others.values():
        value = entry["value"]
        if entry["kind"] == "take-back" and value.get("test_result") in closing:
            serial = str(value.get("loaner_serial"))
            closed[serial] = max(closed.get(serial, ""), entry["at"])
    return [
        {
            "entry": entry["id"],
            "notice": entry.get("notice"),
            "loaner_serial": str(entry["value"].get("loaner_serial", "")),
            "removed_serial": str(entry["value"].get("removed_serial", "")),
            "issued_on": _day(datetime.fromisoformat(entry["at"]), zone).isoformat(),
        }
        for entry in sorted(others.values(), key=lambda entry: (entry["at"], entry["id"]))
        if entry["kind"] == "loaner"
        and closed.get(str(entry["value"].get("loaner_serial")), "") < entry["at"]
    ]


@lru_cache(maxsize=1024)
def _cached_offsets(zone: str, year: int) -> tuple[tuple[str | int, ...], ...]:
    # From the year alone: a table that moved with the calendar would change what was signed.
    return tuple(tuple(pair) for pair in make_offsets(zone, datetime(year, 1, 1, tzinfo=UTC)))


def _offsets(zone: str, year: int) -> list[list[str | int]]:
    return [list(pair) for pair in _cached_offsets(zone, year)]


def _day(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
