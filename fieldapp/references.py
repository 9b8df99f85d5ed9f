"""What the lines of an import refer to: rows that are stored, and lines of the other sheets.

Line by line they were read by ``fieldapp.sheets``; here they are held against each other and
against what is known already.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from fieldapp.models import (
    Asset,
    Contact,
    Customer,
    Organisation,
    Part,
    Person,
    ServiceRequest,
    Site,
    WorkOrder,
    db,
)
from fieldapp.sheets import CARRY_CHARACTERS, CARRY_LINES, TABLES_BY_FILE, BadLine, Line

_OF_REQUEST = ("customer", "site", "contact", "asset_serial", "channel")


class References:
    """The rows of ``organisation`` that the lines of one run speak of, by their natural keys.

    ``lines`` are those of every file, refused ones among them.  ``bad`` is added to.
    """

    def __init__(
        self, organisation: Organisation, lines: Mapping[str, list[Line]], bad: list[BadLine]
    ) -> None:
        self.organisation = organisation
        self.bad = bad
        self.lines = {file: [line for line in found if line.fits] for file, found in lines.items()}
        self.keys = {
            file: {line.cells[TABLES_BY_FILE[file].key[0]] for line in found}
            for file, found in lines.items()
        }
        self._find()

    def of(self, noun: str) -> list[Line]:
        """The lines of the file of ``noun``."""
        return self.lines.get(f"{noun}.csv", [])

    def _find(self) -> None:
        """The rows that the lines speak of, and where each stands once the files are stored."""
        orders = self.of("work_orders")
        wanted = _values(orders, "customer") | _values(self.of("sites"), "customer")
        self.customers = self._rows(
            Customer, "code", _values(self.of("customers"), "code") | wanted
        )
        wanted = _values(orders, "site") | _values(self.of("contacts"), "site")
        wanted |= {line["holder_code"] for line in self.of("assets") if line["holder"] == "site"}
        self.sites = self._rows(Site, "code", _values(self.of("sites"), "code") | wanted)
        wanted = _values(orders, "contact")
        self.contacts = self._rows(Contact, "code", _values(self.of("contacts"), "code") | wanted)
        wanted = _values(orders, "asset_serial")
        self.assets = self._rows(Asset, "serial", _values(self.of("assets"), "serial") | wanted)
        wanted = _values(self.of("van_stock"), "part")
        self.parts = self._rows(Part, "code", _values(self.of("parts"), "code") | wanted)
        self.orders = self._rows(WorkOrder, "number", _values(orders, "number"))
        self.requests = self._rows(ServiceRequest, "number", _values(orders, "request_number"))
        self.engineers = {
            person.account: person
            for person in db.session.scalars(
                select(Person).where(
                    Person.org_id == self.organisation.id, Person.left_at.is_(None)
                )
            )
            if "engineer" in person.roles
        }
        self.site_of_contact = {code: row.site.code for code, row in self.contacts.items()}
        self.customer_of_site = {code: row.customer.code for code, row in self.sites.items()}
        self.zone_of_site = {code: row.zone for code, row in self.sites.items()}
        self.site_of_asset = {
            row.serial: site.code
            for row in self.assets.values()
            if row.holder == "site" and (site := db.session.get(Site, row.holder_id)) is not None
        }
        # What a file says counts before what is stored.
        for line in self.of("sites"):
            self.customer_of_site[line["code"]] = line["customer"]
            self.zone_of_site[line["code"]] = line["zone"] or self.organisation.zone
        for line in self.of("contacts"):
            self.site_of_contact[line["code"]] = line["site"]
        for line in self.of("assets"):
            self.site_of_asset.pop(line["serial"], None)
            if line["holder"] == "site" and line["holder_code"]:
                self.site_of_asset[line["serial"]] = line["holder_code"]
        # A refused line still makes its row known, else all that refer to it were called bad too.
        self._known = {
            "customer": set(self.customers) | self.keys.get("customers.csv", set()),
            "site": set(self.sites) | self.keys.get("sites.csv", set()),
            "contact": set(self.contacts) | self.keys.get("contacts.csv", set()),
            "asset_serial": set(self.assets) | self.keys.get("assets.csv", set()),
            "part": set(self.parts) | self.keys.get("parts.csv", set()),
            "engineer": set(self.engineers),
        }

    def check(self) -> None:
        """Name every line that does not fit the others and what is stored."""
        for line in self.of("sites"):
            self._refers(line, "customer")
        for line in self.of("contacts"):
            self._refers(line, "site")
        for line in self.of("van_stock"):
            self._refers(line, "engineer")
            self._refers(line, "part")
        for line in self.of("assets"):
            self._check_holder(line)
        requests: dict[str, Line] = {}
        for line in self.of("work_orders"):
            self._check_order(line, requests)

    def _rows(self, model: Any, column: str, keys: set[Any]) -> dict[str, Any]:
        """Rows of the organisation by their natural key."""
        wanted = sorted(keys - {None})
        return {
            getattr(row, column): row
            for start in range(0, len(wanted), 500)  # below every limit on bound values
            for row in db.session.scalars(
                select(model).where(
                    model.org_id == self.organisation.id,
                    getattr(model, column).in_(wanted[start : start + 500]),
                )
            )
        }

    def _refers(self, line: Line, column: str, kind: str = "") -> bool:
        """Whether what a cell names is known; the line is bad otherwise."""
        value = line[column]
        if value is None or value in self._known[kind or column]:
            return True
        self.bad.append(line.bad("import.unknown", column=column, value=value))
        return False

    def _check_holder(self, line: Line) -> None:
        holder, code = line["holder"], line["holder_code"]
        if (holder in ("site", "van")) != (code is not None):
            self.bad.append(line.bad("import.holder", column="holder_code", holder=holder))
        elif code is not None:
            self._refers(line, "holder_code", "site" if holder == "site" else "engineer")

    def _check_order(self, line: Line, requests: dict[str, Line]) -> None:
        refers = [
            self._refers(line, column)
            for column in ("customer", "site", "contact", "asset_serial", "engineer")
        ]
        if not all(refers):
            return
        site = line["site"]
        if site not in self.zone_of_site:
            return  # refused above, and named there
        if self.customer_of_site[site] != line["customer"]:
            self._not_of(line, "site", line["customer"])
        if self.site_of_contact.get(line["contact"], site) != site:
            self._not_of(line, "contact", site)
        if self.site_of_asset.get(line["asset_serial"], site) != site:
            self._not_of(line, "asset_serial", site)
        if line["engineer"] and not line["appointment_at"]:
            self.bad.append(line.bad("import.pair", column="appointment_at", other="engineer"))
        for column in ("reported_at", "appointment_at"):
            if line[column] is not None and self.moment(line, column) is None:
                self.bad.append(line.bad("import.moment-skipped", column=column))
                return
        if len(carried(line)) > CARRY_LINES or any(
            len(item) > CARRY_CHARACTERS for item in carried(line)
        ):
            self.bad.append(line.bad("import.long", column="carry", limit=CARRY_CHARACTERS))
        if line["number"] not in self.orders:
            self._check_request(line, requests.setdefault(line["request_number"], line))

    def _not_of(self, line: Line, column: str, owner: str) -> None:
        self.bad.append(line.bad("import.not-of", column=column, value=line[column], owner=owner))

    def _check_request(self, line: Line, first: Line) -> None:
        """Two work orders of one request must tell the same story about it."""
        number = line["request_number"]
        stored = self.requests.get(number)
        if stored is not None:
            told: dict[str, Any] = {
                "customer": stored.customer.code,
                "site": stored.site.code,
                "contact": stored.contact.code,
                "asset_serial": stored.asset.serial if stored.asset else None,
                "channel": stored.channel,
                "reported_at": stored.reported_at,
            }
        else:
            told = {name: first[name] for name in _OF_REQUEST} | {
                "reported_at": self.moment(first, "reported_at")
            }
        for column, value in told.items():
            said = self.moment(line, column) if column == "reported_at" else line[column]
            if said != value:
                self.bad.append(
                    line.bad(
                        "import.request-differs", column=column, number=number, value=str(value)
                    )
                )

    def moment(self, line: Line, column: str) -> datetime | None:
        """A local time of a work order as aware UTC; None when the site's clocks skipped it.

        A time that the clocks show twice is the first one.
        """
        zone = ZoneInfo(self.zone_of_site[line["site"]])
        local: datetime = line[column]
        at = local.replace(tzinfo=zone).astimezone(UTC)
        return at if at.astimezone(zone).replace(tzinfo=None) == local else None


def carried(line: Line) -> list[str]:
    """What to take along: separated by a semicolon, the Chinese one included."""
    return [item.strip() for item in re.split("[;；]", line["carry"]) if item.strip()]


def _values(lines: Iterable[Line], column: str) -> set[Any]:
    return {line[column] for line in lines} - {None}
