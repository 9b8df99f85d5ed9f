"""``/desk``: the day at a glance, one column an engineer, kept fresh by a poll.

A poll says which revision of the organisation its page shows; as long as that is the newest, the
answer is empty and cost one look at the clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import defer, joinedload

from fieldapp.access import needs, signed_in
from fieldapp.context import CLOSED
from fieldapp.desk.pages import (
    DESK,
    UNDER_WAY,
    bp,
    desk_page,
    engineers_of,
)
from fieldapp.desk.phones import PhoneLine, lines_of
from fieldapp.models import Organisation, Person, ServiceRequest, Visit, WorkOrder, db
from fieldapp.policies import load_policy
from fieldapp.presentation import photos_to_come
from sync import scope, sla
from sync.tables import sync_clock, visit_scope

SOON = timedelta(minutes=30)
"""How long before a promise falls due the board points at it."""

WAITING_DAYS = 14
"""How far back the board looks for visits that wait for somebody."""

FRESH_SECONDS = 60
"""Longest time a board is shown unchanged: "heard 5 min ago" moves although no visit does."""


@dataclass(frozen=True)
class Promise:
    """The arrival promised to the customer, as it stands now."""

    due_at: datetime
    arrived_at: datetime | None
    is_late: bool
    is_soon: bool


@dataclass(frozen=True)
class Card:
    """One visit on the board.

    ``helpers`` are people who hold it beside its engineer.  ``is_help`` marks it in their columns.
    """

    visit: Visit
    zone: str
    promise: Promise | None
    photos: int
    helpers: tuple[Person, ...] = ()
    is_help: bool = False


@dataclass
class Column:
    """An engineer's day, and what the phones may still hold of it."""

    engineer: Person
    phones: Sequence[PhoneLine]
    cards: list[Card] = field(default_factory=list)


@dataclass
class Board:
    """The day: ``seen`` is what the page's poll carries back.

    ``waiting`` are visits of earlier days to be reviewed, to be signed again or without their
    papers, ``unknown`` those that a phone reported and the office has no work order for.
    """

    day: date
    zone: str
    seen: str
    columns: list[Column]
    unassigned: list[Card]
    unknown: list[Card]
    waiting: list[Card]


@bp.get("")
@needs(*DESK)
def show_board() -> ResponseReturnValue:
    """The board of a day."""
    return _board_page("desk/board.html", datetime.now(UTC))


@bp.get("/board")
def show_changed_board() -> ResponseReturnValue:
    """What the poll of an open board gets: the cards, or nothing when nothing changed."""
    if signed_in() is None:
        # a redirect would be followed and land inside the board
        return "", 204, {"HX-Redirect": "/sign-in"}
    return _changed_board(datetime.now(UTC))


@needs(*DESK)
def _changed_board(now: datetime) -> ResponseReturnValue:
    if is_fresh(request.args.get("seen", ""), g.person.org_id, now):
        return "", 204
    return _board_page("desk/_board.html", now)


def is_fresh(seen: str, org_id: str, now: datetime) -> bool:
    """Whether a page that carries ``seen`` still shows what a new one would.  One query at most."""
    rev, _, until = seen.partition("-")
    if not (rev.isdecimal() and until.isdecimal()) or now.timestamp() >= int(until[:12]):
        return False
    return int(rev[:18]) == newest_rev(org_id)


def newest_rev(org_id: str) -> int:
    """The revision of the organisation: it grows with every change of any of its visits."""
    found = db.session.scalar(select(sync_clock.c.rev).where(sync_clock.c.org_id == org_id))
    return int(found or 0)


def board_of(organisation: Organisation, day: date | None, now: datetime) -> Board:
    """The board of ``day`` (None: today at the organisation) as it stands ``now``."""
    rev = newest_rev(organisation.id)  # first: what changes meanwhile is fetched again, not missed
    zone = ZoneInfo(organisation.zone)
    day = day or now.astimezone(zone).date()
    start_at, end_at = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
    asks_for_care = or_(Visit.is_changed, Visit.hindrance.has())
    visits = _visits(
        organisation.id,
        or_(
            and_(Visit.appointment_at >= start_at, Visit.appointment_at < end_at),
            and_(
                Visit.appointment_at >= start_at - timedelta(days=WAITING_DAYS),
                Visit.appointment_at < start_at,
                or_(
                    Visit.status == "under-review",
                    Visit.status.in_(UNDER_WAY),
                    asks_for_care,
                ),
            ),
        ),
    )
    visits += _visits(
        organisation.id,
        and_(Visit.appointment_at.is_(None), or_(Visit.status.not_in(CLOSED), asks_for_care)),
    )
    firsts = first_arrivals(visits)
    photos = photos_to_come(organisation.id, [visit.id for visit in visits])
    holders = _holders(organisation.id, visits)
    cards = [
        Card(
            visit,
            _zone_of(visit, organisation),
            promise_of(visit, firsts.get(_request_of(visit)), now),
            photos.get(visit.id, 0),
            tuple(one for one in holders.get(visit.id, ()) if one.id != visit.engineer_id),
        )
        for visit in visits
    ]
    return _arranged(organisation, day, start_at, cards, rev, now)


def promise_of(visit: Visit, first_arrival_at: datetime | None, now: datetime) -> Promise | None:
    """The promised arrival of ``visit``; None when nothing is promised by it.

    ``first_arrival_at`` is when anybody first arrived for the same request: the promise is about
    the report, so a later trip for it, weeks after, is not late.
    """
    if visit.due_at is None or visit.status == "cancelled":
        return None
    if first_arrival_at is not None and (
        visit.arrived_at is None or visit.arrived_at > first_arrival_at
    ):
        return None
    is_late = sla.is_breached(visit.due_at, visit.arrived_at, now)
    is_soon = not is_late and visit.arrived_at is None and now >= visit.due_at - SOON
    return Promise(visit.due_at, visit.arrived_at, is_late, is_soon)


def first_arrivals(visits: Iterable[Visit]) -> dict[str, datetime]:
    """The first arrival for each request that ``visits`` belong to."""
    ids = sorted({_request_of(visit) for visit in visits} - {""})
    rows = db.session.execute(
        select(WorkOrder.request_id, func.min(Visit.arrived_at))
        .join(Visit, Visit.work_order_id == WorkOrder.id)
        .where(WorkOrder.request_id.in_(ids), Visit.arrived_at.is_not(None))
        .group_by(WorkOrder.request_id)
    )
    return {row[0]: row[1] for row in rows if row[1] is not None}


def _arranged(
    organisation: Organisation,
    day: date,
    start_at: datetime,
    cards: Sequence[Card],
    rev: int,
    now: datetime,
) -> Board:
    """The cards in their columns: by appointment, those without one last."""
    phones = lines_of(organisation.id, now)
    columns = {
        person.id: Column(person, phones.get(person.id, ()))
        for person in engineers_of(organisation.id)
    }
    board = Board(day, organisation.zone, _seen(rev, cards, now), [], [], [], [])
    late = datetime.max.replace(tzinfo=UTC)
    for card in sorted(cards, key=lambda card: (card.visit.appointment_at or late, card.visit.id)):
        visit = card.visit
        if visit.work_order_id is None:
            board.unknown.append(card)
            continue
        if visit.appointment_at is not None and visit.appointment_at < start_at:
            board.waiting.append(card)
            continue
        if visit.engineer is None:
            board.unassigned.append(card)
        else:
            _column_of(visit.engineer, columns).cards.append(card)
        for person in card.helpers:
            _column_of(person, columns).cards.append(replace(card, is_help=True))
    board.columns = list(columns.values())
    return board


def _column_of(person: Person, columns: dict[str, Column]) -> Column:
    """Somebody who left or is no engineer any more still shows what he was given."""
    return columns.setdefault(person.id, Column(person, ()))


def _holders(org_id: str, visits: Sequence[Visit]) -> dict[str, list[Person]]:
    """Who has each visit, by name; whoever it was put away from when it closed had it too."""
    rows = db.session.execute(
        select(visit_scope.c.visit_id, Person)
        .join(
            Person,
            (Person.id == visit_scope.c.person_id) & (Person.org_id == visit_scope.c.org_id),
        )
        .where(
            visit_scope.c.org_id == org_id,
            visit_scope.c.visit_id.in_([visit.id for visit in visits]),
            or_(visit_scope.c.active, visit_scope.c.reason == scope.CLOSED),
        )
        .order_by(Person.name, Person.id)
    )
    found: dict[str, list[Person]] = {}
    for visit_id, person in rows:
        found.setdefault(visit_id, []).append(person)
    return found


def _seen(rev: int, cards: Iterable[Card], now: datetime) -> str:
    """What the page shows, ``<rev>-<until>``: a promise may break although nothing happens."""
    until = now + timedelta(seconds=FRESH_SECONDS)
    for card in cards:
        if card.promise is not None and card.promise.arrived_at is None:
            due_at = card.promise.due_at
            moments = (due_at - SOON, due_at + timedelta(seconds=1))
            until = min([until, *(at for at in moments if at > now)])
    return f"{rev}-{math.ceil(until.timestamp())}"


def _visits(org_id: str, condition: ColumnElement[bool]) -> list[Visit]:
    order = joinedload(Visit.work_order).joinedload(WorkOrder.request)
    return list(
        db.session.scalars(
            select(Visit)
            .where(Visit.org_id == org_id, condition)
            .options(
                defer(Visit.state),
                joinedload(Visit.engineer),
                joinedload(Visit.hindrance),
                order.joinedload(ServiceRequest.customer),
                order.joinedload(ServiceRequest.site),
            )
        )
    )


def _request_of(visit: Visit) -> str:
    return visit.work_order.request_id if visit.work_order is not None else ""


def _zone_of(visit: Visit, organisation: Organisation) -> str:
    return visit.work_order.request.site.zone if visit.work_order else organisation.zone


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _board_page(template: str, now: datetime) -> ResponseReturnValue:
    organisation = db.session.get_one(Organisation, g.person.org_id)
    board = board_of(organisation, _day(request.args.get("day", "")), now)
    today = now.astimezone(ZoneInfo(organisation.zone)).date()
    days: dict[str, Any] = {
        "before": board.day - timedelta(days=1),
        "after": board.day + timedelta(days=1),
        "today": today,
    }
    return desk_page(template, load_policy(organisation.policy), board=board, **days)


def _day(text: str) -> date | None:
    """A day of a URL; anything else is today."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2100 else None
