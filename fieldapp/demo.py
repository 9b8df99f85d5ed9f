"""One believable day at an alarm integrator: people, customers and six visits for two engineers.

The reference data and the visits are CSV files under ``demo_data``, with days to fill in, and go in
through the same import as anybody's.  All people, numbers and addresses are invented.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from fieldapp.access import hash_password
from fieldapp.handover import sign
from fieldapp.ids import mint_id
from fieldapp.importing import import_directory
from fieldapp.models import Organisation, Person, Visit, WorkOrder, db
from fieldapp.perform import unit
from fieldapp.presentation import present

FOLDER = Path(__file__).parent / "demo_data"
ZONE = ZoneInfo("Asia/Shanghai")
ORGANISATION = {"name": "安盾报警系统服务中心", "phone": "021-5550-0110", "policy": "alarm"}
REFERENCE = ("customers", "sites", "contacts", "parts", "assets", "van_stock")


@dataclass(frozen=True)
class Account:
    """Somebody who can sign in to the demo.  The passwords are public: never use them elsewhere."""

    account: str
    password: str
    name: str
    role: str
    phone: str = ""


ACCOUNTS: tuple[Account, ...] = (
    Account("liqiang", "demo-liqiang", "李强", "engineer", "138-0000-2201"),
    Account("zhoukai", "demo-zhoukai", "周凯", "engineer", "138-0000-2202"),
    Account("chen", "demo-chen", "陈经理", "dispatcher", "138-0000-2203"),
    Account("fang", "demo-fang", "方主管", "manager", "138-0000-2204"),
    Account("admin", "demo-admin", "管理员", "admin"),
)

DISPATCHER, REVIEWER = "chen", "fang"

_DAY = re.compile(r"\{(today|day|first|first_day)(-\d+)?\}")


def make_demo(now: datetime) -> tuple[Account, ...]:
    """Fill in the demo day of ``now`` (aware): the day it is then in Shanghai.

    The same day again changes nothing; another day adds that day's visits.  Returns the accounts
    to print.  Raises ValueError when one of the accounts belongs to somebody else already.
    """
    organisation, people = _people(now)
    today = now.astimezone(ZONE).date()
    first = _first_day(organisation)
    number = f"PG-{today:%Y%m%d}-001"
    of_today = select(WorkOrder.id).where(
        WorkOrder.org_id == organisation.id, WorkOrder.number == number
    )
    if db.session.scalar(of_today):
        # Done today: spares that were installed since must not return to the van.
        return ACCOUNTS
    dispatcher = people[DISPATCHER]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for noun in REFERENCE:
            _write(folder, noun, noun, today, first)
        import_directory(folder, organisation, now=now, author=dispatcher)
    for source, day in (
        ("earlier_battery", first - timedelta(days=92)),
        ("earlier_loaner", today - timedelta(days=13)),
    ):
        # Told in its own time, so that the office did not know of it only afterwards.
        morning = datetime.combine(day, time(9, 0), ZONE)
        for visit_id in _import_orders(source, organisation, dispatcher, morning, today, first):
            _finish(visit_id, organisation.id)
    _import_orders("work_orders", organisation, dispatcher, now, today, first)
    return ACCOUNTS


def _people(now: datetime) -> tuple[Organisation, dict[str, Person]]:
    """The organisation and its people by account, made when they are not there."""
    names = [account.account for account in ACCOUNTS]
    people = {
        person.account: person
        for person in db.session.scalars(select(Person).where(Person.account.in_(names)))
    }
    organisations = {person.org_id: person.organisation for person in people.values()}
    if len(organisations) > 1 or any(
        row.name != ORGANISATION["name"] for row in organisations.values()
    ):
        raise ValueError("the accounts of the demo belong to another organisation")
    organisation = next(iter(organisations.values()), None)
    if organisation is None:
        organisation = Organisation(id=mint_id(now), epoch=mint_id(now), **ORGANISATION)
        db.session.add(organisation)
        db.session.flush()
    for account in ACCOUNTS:
        if account.account not in people:
            person = Person(
                id=mint_id(now),
                org_id=organisation.id,
                account=account.account,
                name=account.name,
                phone=account.phone,
                roles_text=account.role,
                password_hash=hash_password(account.password),
            )
            db.session.add(person)
            people[account.account] = person
    db.session.commit()
    return organisation, people


def _import_orders(
    source: str, organisation: Organisation, author: Person, at: datetime, today: date, first: date
) -> list[str]:
    """Import the work orders of the file ``source`` at the time ``at``; ids of the new visits."""
    with tempfile.TemporaryDirectory() as name:
        _write(Path(name), source, "work_orders", today, first)
        return import_directory(Path(name), organisation, now=at, author=author).visits


def _first_day(organisation: Organisation) -> date:
    """The day the demo was made: warranties count from it, so that they stay where they are.

    It is the time inside the organisation's UUIDv7.
    """
    ms = int(organisation.id.replace("-", "")[:12], 16)
    return datetime.fromtimestamp(ms / 1000, ZONE).date()


def _write(folder: Path, source: str, target: str, today: date, first: date) -> None:
    """Write ``source`` as the file ``target`` with its days filled in.

    ``{today-13}`` is the day thirteen days before, ``{day-13}`` the same without hyphens;
    ``{first…}`` counts from the day the demo was made.
    """

    def fill(found: re.Match[str]) -> str:
        base = first if found[1].startswith("first") else today
        day = base + timedelta(days=int(found[2] or 0))
        return f"{day:%Y%m%d}" if found[1] in ("day", "first_day") else day.isoformat()

    text = (FOLDER / f"{source}.csv").read_text("utf-8")
    (folder / f"{target}.csv").write_text(_DAY.sub(fill, text), "utf-8")


def _finish(visit_id: str, org_id: str) -> None:
    """Let an earlier visit have happened, from the departure to the review, at its own times."""
    visit = db.session.get_one(Visit, visit_id)
    engineer = db.session.get_one(Person, visit.engineer_id)
    reviewer = db.session.scalars(select(Person).where(Person.account == REVIEWER)).one()
    assert visit.appointment_at is not None
    agreed_at = visit.appointment_at
    context = present([visit], engineer, agreed_at)[0]["context"]
    facts = {
        "contact": context["contact"]["name"],
        "serial": context["asset"]["serial"],
        "model": context["asset"]["model"],
        "loaner": f"SP-{context['asset']['serial'].removesuffix('-01')}",
    }
    for minutes, kind, value in _story(context["asset"]["model"]):
        at = agreed_at + timedelta(minutes=minutes)
        filled = {name: _filled(item, facts, agreed_at) for name, item in value.items()}
        author = reviewer if kind == "review" else engineer
        if kind == "signature":
            filled = sign(present([visit], engineer, at)[0], filled)
        with unit(org_id, at) as opened:
            opened.perform(kind, visit_id, author, filled)


def _filled(item: Any, facts: Mapping[str, str], agreed_at: datetime) -> Any:
    """Names and serials put into a text of a story; minutes after the appointment made a time."""
    if isinstance(item, str):
        return item.format(**facts)
    if isinstance(item, int):
        return f"{agreed_at + timedelta(minutes=item):%Y-%m-%dT%H:%M:%SZ}"
    return item


def _story(model: str) -> list[tuple[int, str, dict[str, Any]]]:
    """What happened on an earlier visit: ``(minutes after the appointment, kind, value)``."""
    return [*_ARRIVING, *(_LOANER if model == "WCP-80" else _BATTERY), *_LEAVING]


_ARRIVING: list[tuple[int, str, dict[str, Any]]] = [
    (-45, "departure", {"eta_at": -5, "told_name": "{contact}", "told_by": "phone"}),
    (-4, "arrival", {"outcome": "present"}),
    (0, "step", {"list": "conduct", "done": ["badge", "clothes", "shoe-covers", "introduced"]}),
    (6, "identification", {"serial": "{serial}", "model": "{model}", "verdict": "agrees"}),
]

_BATTERY: list[tuple[int, str, dict[str, Any]]] = [
    (
        15,
        "diagnosis",
        {
            "text": "蓄电池老化，负载电压低于 11V，主机与充电电路正常",
            "cause": "product",
            "category": "power",
            "repair": "on-site",
        },
    ),
    (18, "downtime", {"event": "start", "at": 18}),
    (31, "downtime", {"event": "stop", "at": 31}),
    (
        34,
        "measure",
        {"text": "更换蓄电池 12V 7Ah 一只，断电试验主机正常切换", "completed_at": 34},
    ),
    (42, "outcome", {"result": "solved"}),
]

_LOANER: list[tuple[int, str, dict[str, Any]]] = [
    (
        20,
        "diagnosis",
        {
            "text": "控制器电源板故障，反复重启，现场无法修复",
            "cause": "product",
            "category": "power",
            "repair": "factory",
        },
    ),
    (24, "downtime", {"event": "start", "at": 24}),
    (52, "downtime", {"event": "stop", "at": 52}),
    (
        55,
        "loaner",
        {
            "removed_serial": "{serial}",
            "loaner_serial": "{loaner}",
            "reason_text": "电源板须返厂维修",
            "told_text": "原控制器返厂约两周，其间由备用控制器代替，修复检测合格后上门换回",
        },
    ),
    (58, "measure", {"text": "装上备用控制器并导入原有设置，逐区试警正常", "completed_at": 57}),
    (66, "outcome", {"result": "loaner-in-use", "next_text": "修复后上门换回"}),
]

_LEAVING: list[tuple[int, str, dict[str, Any]]] = [
    (68, "step", {"list": "closing", "done": ["cleaned", "put-back", "tested", "precautions"]}),
    (
        72,
        "signature",
        {
            "name": "{contact}",
            "role": "contact",
            "opinion": "",
            # A flourish: x, y in the pad's units and milliseconds.
            "strokes": [
                [40, 90, 0, 70, 40, 60, 100, 95, 120, 130, 50, 180, 165, 92, 240],
                [190, 60, 420, 230, 88, 480, 280, 52, 560, 340, 80, 640],
            ],
        },
    ),
    (75, "leaving", {"next_text": ""}),
    (480, "review", {"verdict": "accepted"}),
]
