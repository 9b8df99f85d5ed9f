"""What the office has before the phones come: people, places and visits that were assigned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from bench.workload import body
from fieldapp import keys
from fieldapp.access import hash_password
from fieldapp.ids import mint_id
from fieldapp.models import (
    Asset,
    Contact,
    Customer,
    Organisation,
    Person,
    ServiceRequest,
    Site,
    WorkOrder,
    db,
)
from fieldapp.models.work import Visit
from fieldapp.perform import unit

PASSWORD = "bench-only"  # noqa: S105 - of people who live as long as a measurement
SITES = 1000
"""Places that the work orders are spread over at most, one asset at each."""


Place = dict[str, str]
"""Ids of customer, site, contact and asset."""


@dataclass(frozen=True)
class Office:
    """Who works here; ``visits`` are the ids of each engineer's visits, by account."""

    org_id: str
    dispatcher: str
    visits: dict[str, list[str]]
    places: list[Place] = field(default_factory=list)


def make_office(engineers: int, visits_each: int, now: datetime, days: int = 1) -> Office:
    """A new organisation whose engineers have visits on ``days`` days, through the journal."""
    office = _make_people(engineers, now)
    count = engineers * visits_each
    office.places.extend(make_places(office.org_id, range(min(SITES, count)), now))
    orders = make_orders(office.org_id, office.places, count, now)
    accounts = list(office.visits)
    for account in accounts:
        mine, orders = orders[:visits_each], orders[visits_each:]
        office.visits[account] = assign(office, account, mine, now, days)
    keys.prepare_key(now)
    return office


def _make_people(engineers: int, now: datetime) -> Office:
    organisation = Organisation(
        id=mint_id(now), epoch=mint_id(now), name="安盾报警系统服务中心", policy="alarm"
    )
    db.session.add(organisation)
    db.session.flush()
    hashed = hash_password(PASSWORD)  # slow on purpose: once is enough
    people = {"desk": ("陈经理", "dispatcher manager")} | {
        f"engineer-{number}": (f"工程师 {number}", "engineer") for number in range(engineers)
    }
    for account, (name, roles) in people.items():
        db.session.add(
            Person(
                id=mint_id(now), org_id=organisation.id, account=account, name=name,
                roles_text=roles, password_hash=hashed,
            )
        )  # fmt: skip
    db.session.commit()
    return Office(organisation.id, "desk", {name: [] for name in people if name != "desk"})


def make_places(org_id: str, numbers: range, now: datetime) -> list[Place]:
    """Places by their numbers, one customer, site, contact and asset each; their ids by noun."""
    places = [_place(org_id, number, now) for number in numbers]
    for model in (Customer, Site, Contact, Asset):
        if places:
            _insert(model, [place[model.__tablename__] for place in places])
    db.session.commit()
    return [{noun: row["id"] for noun, row in place.items()} for place in places]


def make_orders(
    org_id: str, places: Sequence[Place], count: int, now: datetime, first: int = 0
) -> list[str]:
    """``count`` work orders at ``places`` in turn, numbered from ``first``; their ids."""
    requests, orders = [], []
    for number in range(first, first + count):
        place = places[number % len(places)]
        request_id, order_id = mint_id(now), mint_id(now)
        requests.append({
            "id": request_id, "org_id": org_id, "number": f"BX-{number:07}",
            "customer_id": place["customer"], "site_id": place["site"],
            "contact_id": place["contact"], "asset_id": place["asset"],
            "channel": "phone", "reported_at": now - timedelta(hours=3),
        })  # fmt: skip
        orders.append({
            "id": order_id, "org_id": org_id, "request_id": request_id,
            "number": f"PG-{number:07}", "job_type": "corrective", "carry": ["12V 7Ah 蓄电池"],
        })  # fmt: skip
    _insert(ServiceRequest, requests)
    _insert(WorkOrder, orders)
    db.session.commit()
    return [order["id"] for order in orders]


def _place(org_id: str, number: int, now: datetime) -> dict[str, dict[str, Any]]:
    ids = {noun: mint_id(now) for noun in ("customer", "site", "contact", "asset")}
    common: dict[str, dict[str, Any]] = {
        noun: {"id": id_, "org_id": org_id} for noun, id_ in ids.items()
    }
    code = f"K{number:04}"
    common["customer"] |= {"code": code, "name": f"第{number}商业广场"}
    common["site"] |= {
        "customer_id": ids["customer"], "code": code, "name": f"第{number}商业广场 A 座",
        "address": f"上海市浦东新区世纪大道 {number} 号", "distance": "urban",
        "zone": "Asia/Shanghai", "access_text": "消控室在 B1 层，须登记",
    }  # fmt: skip
    common["contact"] |= {
        "site_id": ids["site"], "code": code, "name": "王女士", "phone": "138-0000-0000",
        "role_text": "安保主管", "language": "zh_CN",
    }  # fmt: skip
    common["asset"] |= {
        "serial": f"AX64-{number:05}", "model": "AX-64", "name": "报警主机", "part_code": "",
        "holder": "site", "holder_id": ids["site"], "commissioned_on": date(2026, 1, 15),
        "warranty_months": 24,
    }  # fmt: skip
    return common


def _insert(model: Any, rows: Sequence[dict[str, Any]]) -> None:
    db.session.execute(insert(model.__table__), rows)


def assign(
    office: Office, account: str, orders: Sequence[str], now: datetime, days: int = 1
) -> list[str]:
    """A visit for each work order, as the desk does it: told, agreed and assigned."""
    engineer = db.session.query(Person).filter_by(account=account).one()
    author = db.session.query(Person).filter_by(account=office.dispatcher).one()
    said = (engineer.id, author.id)
    visits = [mint_id(now) for _ in orders]
    _insert(
        Visit,
        [
            {"id": id_, "org_id": office.org_id, "work_order_id": order, "rev": 0}
            for id_, order in zip(visits, orders, strict=True)
        ],
    )
    db.session.commit()
    with unit(office.org_id, now) as opened:
        bodies = [
            each
            for number, visit in enumerate(visits)
            for each in _desk_bodies(visit, *said, now, number % days)
        ]
        opened.receive(bodies, None, 0)
    return visits


def _desk_bodies(
    visit: str, engineer: str, author: str, now: datetime, days: int
) -> list[dict[str, Any]]:
    """What the desk performs before somebody sets off in ``days`` days: three operations."""
    agreed_at = now.astimezone(UTC).replace(minute=0, second=0) + timedelta(days=days, hours=1)
    told = {
        "fault/text": "主机面板显示电池故障，布防后误报",
        "fault/level": "major",
        "fault/location": "消控室",
    }
    said = [
        ("fault", told, list(told)),
        ("appointment", {"appointment/at": f"{agreed_at:%Y-%m-%dT%H:%M:%SZ}"}, ["appointment/at"]),
        ("assignment", {"engineer": engineer, "helpers": []}, ["assignment"]),
    ]
    return [
        body(kind, value, visit=visit, author=author, now=now, paths=paths)
        for kind, value, paths in said
    ]
