"""Reference data and work orders come in as CSV files; ``docs/import.md`` describes them.

A run is all or nothing: every bad line is collected and named, and if there is one, nothing is
stored.  The same files twice change nothing the second time.
``fieldapp.sheets`` reads the files, ``fieldapp.references`` holds their lines against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from fieldapp.context import visits_holding
from fieldapp.ids import mint_id
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
from fieldapp.perform import Unit, unit
from fieldapp.policies import load_policy
from fieldapp.references import References, carried
from fieldapp.sheets import OF_WHOLE_FILE, BadLine, ImportRefused, Line, read_sheets


@dataclass
class ImportReport:
    """What a run did: rows created and changed by noun, and the visits it made, in file order."""

    created: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    visits: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = [
            f"{count} {noun.replace('_', ' ')} {verb}"
            for verb, counts in (("created", self.created), ("changed", self.changed))
            for noun, count in counts.items()
        ]
        return ", ".join(told) or "0 created, 0 changed"

    @property
    def created_count(self) -> int:
        """Rows created, of all nouns."""
        return sum(self.created.values())

    @property
    def changed_count(self) -> int:
        """Rows changed, of all nouns."""
        return sum(self.changed.values())


def import_directory(
    path: Path, organisation: Organisation, *, now: datetime, author: Person
) -> ImportReport:
    """Store what the CSV files in the folder ``path`` say; files that are not there say nothing.

    ``author`` performs the operations of new work orders; ``now`` is aware.  All of it is one
    transaction.  A work order that exists is left as it is: its journal owns it.
    Raises ImportRefused naming every bad line; nothing was stored then.
    """
    policy = load_policy(organisation.policy)
    org_id, author_id = organisation.id, author.id
    bad: list[BadLine] = []
    lines = read_sheets(path, policy, bad)
    if any(line.reason in OF_WHOLE_FILE for line in bad):
        # What the other files refer to may stand in there: no use in calling them wrong.
        raise ImportRefused(bad)
    with unit(org_id, now) as opened:
        opened.hold(visits_holding(db.session, opened.organisation))
        references = References(opened.organisation, lines, bad)
        references.check()
        if bad:
            raise ImportRefused(bad)
        return _Run(opened, db.session.get_one(Person, author_id), now, references).store()


class _Run:
    """The writing of one run inside its transaction, once everything was checked."""

    def __init__(self, opened: Unit, author: Person, now: datetime, known: References) -> None:
        self.unit, self.author, self.now, self.known = opened, author, now, known
        self.organisation = opened.organisation
        self.report = ImportReport()
        self.changes: list[tuple[Any, dict[str, Any]]] = []

    def store(self) -> ImportReport:
        """Write what the lines say; returns what that did."""
        self._store_reference()
        db.session.flush()
        for row, before in self.changes:
            self._touch_holders(row, before)
        for line in self.known.of("work_orders"):
            if line["number"] not in self.known.orders:
                self._create_order(line)
        return self.report

    def _store_reference(self) -> None:
        for line in self.known.of("customers"):
            self._put(self.known.customers, Customer, "customers", line["code"], name=line["name"])
        for line in self.known.of("sites"):
            self._put(
                self.known.sites,
                Site,
                "sites",
                line["code"],
                customer_id=self.known.customers[line["customer"]].id,
                name=line["name"],
                address=line["address"],
                distance=line["distance"],
                zone=line["zone"] or self.organisation.zone,
                access_text=line["access_text"],
            )
        for line in self.known.of("contacts"):
            self._put(
                self.known.contacts,
                Contact,
                "contacts",
                line["code"],
                site_id=self.known.sites[line["site"]].id,
                name=line["name"],
                phone=line["phone"],
                role_text=line["role_text"],
                language=line["language"] or "zh_CN",
                # files without addresses take nobody's away
                **({"email": line["email"]} if line["email"] else {}),
            )
        for line in self.known.of("assets"):
            self._put(
                self.known.assets,
                Asset,
                "assets",
                line["serial"],
                model=line["model"],
                name=line["name"],
                part_code=line["part_code"] or "",
                holder=line["holder"],
                holder_id=self._holder_id(line),
                commissioned_on=line["commissioned_on"],
                warranty_months=line["warranty_months"],
            )
        for line in self.known.of("parts"):
            self._put(self.known.parts, Part, "parts", line["code"], name=line["name"])
        db.session.flush()
        self._store_van_stock()

    def _store_van_stock(self) -> None:
        held = {
            (row.person_id, row.part_id): row
            for row in db.session.scalars(
                select(VanStock).where(VanStock.org_id == self.organisation.id)
            )
        }
        for line in self.known.of("van_stock"):
            person, part = self.known.engineers[line["engineer"]], self.known.parts[line["part"]]
            row = held.get((person.id, part.id))
            if row is None:
                row = VanStock(
                    person_id=person.id,
                    part_id=part.id,
                    org_id=self.organisation.id,
                    count=line["count"],
                )
                db.session.add(row)
                self._note(self.report.created, "van_stock")
                self.changes.append((row, {}))
            else:
                self._change(row, "van_stock", {"count": line["count"]})

    def _holder_id(self, line: Line) -> str | None:
        if line["holder"] == "site":
            return str(self.known.sites[line["holder_code"]].id)
        return self.known.engineers[line["holder_code"]].id if line["holder"] == "van" else None

    def _put(self, rows: dict[str, Any], table: Any, noun: str, key: str, /, **values: Any) -> None:
        """Create the row ``key`` of ``noun``, or change what differs."""
        row = rows.get(key)
        if row is not None:
            self._change(row, noun, values)
            return
        name = "serial" if table is Asset else "code"
        row = table(id=mint_id(self.now), org_id=self.organisation.id, **{name: key}, **values)
        db.session.add(row)
        rows[key] = row
        self._note(self.report.created, noun)
        self.changes.append((row, {}))

    def _change(self, row: Any, noun: str, values: Mapping[str, Any]) -> None:
        before = {name: getattr(row, name) for name in values}
        if before == values:
            return
        for name, value in values.items():
            setattr(row, name, value)
        self._note(self.report.changed, noun)
        self.changes.append((row, before))

    def _note(self, counts: dict[str, int], noun: str) -> None:
        counts[noun] = counts.get(noun, 0) + 1

    def _touch_holders(self, row: Any, before: Mapping[str, Any]) -> None:
        """Phones that hold ``row`` hear of it; so do those of the van that an asset left."""
        ids = list(visits_holding(db.session, row))
        if before.get("holder") == "van" and before["holder_id"] != row.holder_id:
            engineer = db.session.get(Person, before["holder_id"])
            ids += visits_holding(db.session, engineer) if engineer else []
        for visit_id in dict.fromkeys(ids):
            self.unit.touch(visit_id)

    def _create_order(self, line: Line) -> None:
        request = self.known.requests.get(line["request_number"])
        if request is None:
            request = self._create_request(line)
        order = WorkOrder(
            id=mint_id(self.now),
            org_id=self.organisation.id,
            request_id=request.id,
            number=line["number"],
            job_type=line["job_type"],
            carry=carried(line),
        )
        visit = Visit(id=mint_id(self.now), org_id=self.organisation.id, work_order_id=order.id)
        db.session.add(order)
        db.session.flush()
        db.session.add(visit)
        db.session.flush()
        fault = {
            "text": line["fault_text"],
            "level": line["level"],
            "location": line["fault_location"],
        }
        self._perform("fault", visit.id, {name: value for name, value in fault.items() if value})
        if line["appointment_at"]:
            at = self.known.moment(line, "appointment_at")
            assert at is not None
            self._perform("appointment", visit.id, {"at": f"{at:%Y-%m-%dT%H:%M:%SZ}"})
        if line["engineer"]:
            engineer = self.known.engineers[line["engineer"]]
            self._perform("assignment", visit.id, {"engineer": engineer.id})
        self.report.visits.append(visit.id)
        self._note(self.report.created, "work_orders")

    def _create_request(self, line: Line) -> ServiceRequest:
        asset = self.known.assets.get(line["asset_serial"])
        request = ServiceRequest(
            id=mint_id(self.now),
            org_id=self.organisation.id,
            number=line["request_number"],
            customer_id=self.known.customers[line["customer"]].id,
            site_id=self.known.sites[line["site"]].id,
            contact_id=self.known.contacts[line["contact"]].id,
            asset_id=asset.id if asset else None,
            channel=line["channel"],
            reported_at=self.known.moment(line, "reported_at"),
        )
        db.session.add(request)
        db.session.flush()
        self.known.requests[line["request_number"]] = request
        self._note(self.report.created, "requests")
        return request

    def _perform(self, kind: str, visit_id: str, value: Mapping[str, Any]) -> None:
        self.unit.perform(kind, visit_id, self.author, value)
