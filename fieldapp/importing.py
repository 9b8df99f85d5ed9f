"""Reference data and work orders come in as CSV files; ``docs/import.md`` describes them.

A run is all or nothing: every bad line is collected and named, and if there is one, nothing is
stored.  The same files twice change nothing the second time.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

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
from fieldapp.policies import Policy, load_policy
from sync.catalogue import N_, kind_named

MOST_LINES_NAMED = 50
CARRY_LINES = 50
CARRY_CHARACTERS = 200
YEARS = (1990, 2100)
"""A year outside these is a slip of the finger."""

REASONS: dict[str, str] = {
    "import.encoding": N_("The file is neither UTF-8 nor GB18030."),
    "import.csv": N_("The line is not CSV: {detail}"),
    "import.column-unknown": N_("There is no column {column}."),
    "import.column-missing": N_("The column {column} is missing."),
    "import.column-twice": N_("The column {column} stands there twice."),
    "import.cells": N_("The line has {count} cells, the heading has {expected}."),
    "import.empty": N_("{column} is empty."),
    "import.long": N_("{column} is longer than {limit} characters."),
    "import.control": N_("{column} contains characters that cannot be seen."),
    "import.characters": N_("{column} contains characters that do not belong there: {value}"),
    "import.choice": N_("{column} must be one of: {known}"),
    "import.number": N_("{column} must be a whole number from {least} to {most}."),
    "import.date": N_("{column} must be a day like 2026-03-10."),
    "import.moment": N_("{column} must be a local time like 2026-03-10T09:00."),
    "import.moment-skipped": N_("{column} is a time that the clocks skipped that day."),
    "import.zone": N_("{column} is not a time zone like Asia/Shanghai."),
    "import.twice": N_("{value} already stands on line {first}."),
    "import.unknown": N_("{column}: there is no {value}."),
    "import.not-of": N_("{column}: {value} does not belong to {owner}."),
    "import.holder": N_("{column} does not fit a holder that is {holder}."),
    "import.request-differs": N_("{column} differs from what request {number} says: {value}"),
    "import.pair": N_("{column} is needed when {other} is given."),
}
"""Why a line was refused: code -> English sentence with ``{name}`` for arguments."""

OF_WHOLE_FILE = {
    "import.encoding",
    "import.csv",
    "import.column-unknown",
    "import.column-twice",
    "import.column-missing",
}
"""Reasons after which the lines of a file are not read, or not all of them."""


@dataclass(frozen=True, order=True)
class BadLine:
    """One line that cannot be taken.  ``line`` counts from 1, the heading being the first.

    ``reason`` is a key of :data:`REASONS`, ``args`` fill its sentence.
    """

    file: str
    line: int
    reason: str
    args: Mapping[str, str | int] = field(default_factory=dict, compare=False)

    @property
    def sentence(self) -> str:
        """The reason in English."""
        return REASONS[self.reason].format(**self.args)

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.sentence}"


class ImportRefused(Exception):
    """Nothing of the run was stored.  ``lines`` are the first bad lines, ``count`` all of them."""

    code = "import.refused"

    def __init__(self, lines: Sequence[BadLine]) -> None:
        self.lines = sorted(lines)[:MOST_LINES_NAMED]
        self.count = len(lines)
        super().__init__("\n".join(map(str, self.lines)))


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


ColumnType = Literal[
    "text",  # one line
    "paragraph",  # several lines
    "code",  # what other systems call it: no spaces, no semicolon
    "serial",
    "phone",
    "zone",
    "language",
    "date",
    "moment",  # local time at the site
    "whole",
    "choice",  # of the policy list or of the words in ``choices``
]


@dataclass(frozen=True)
class Column:
    """One column.  ``limit`` counts characters; for whole numbers it is the greatest.

    ``choices`` is a list of the policy pack, or the words themselves separated by spaces.
    """

    name: str
    type: ColumnType
    limit: int
    required: bool = True
    choices: str = ""


@dataclass(frozen=True)
class Table:
    """One file.  ``key`` names the columns that make a line the only one of its kind."""

    file: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Line:
    """One line as read: its place, and its cells after their own checks.

    ``fits`` is false when a cell was wrong: the line then only tells that its row is known.
    """

    file: str
    number: int
    cells: Mapping[str, Any]
    fits: bool = True

    def __getitem__(self, name: str) -> Any:
        return self.cells[name]

    def bad(self, reason: str, **args: str | int) -> BadLine:
        """This line, refused for ``reason``."""
        return BadLine(self.file, self.number, reason, args)


def _size(column: Any) -> int:
    """How many characters a column of the database holds."""
    return int(column.type.length)


_CODE = _size(Customer.code)
_FAULT = kind_named("fault")

TABLES: tuple[Table, ...] = (
    Table(
        "customers.csv",
        ("code",),
        (
            Column("code", "code", _CODE),
            Column("name", "text", _size(Customer.name)),
        ),
    ),
    Table(
        "sites.csv",
        ("code",),
        (
            Column("code", "code", _CODE),
            Column("customer", "code", _CODE),
            Column("name", "text", _size(Site.name)),
            Column("address", "text", _size(Site.address)),
            Column("distance", "choice", _size(Site.distance), choices="distances"),
            Column("zone", "zone", _size(Site.zone), required=False),
            Column("access_text", "paragraph", _size(Site.access_text), required=False),
        ),
    ),
    Table(
        "contacts.csv",
        ("code",),
        (
            Column("code", "code", _CODE),
            Column("site", "code", _CODE),
            Column("name", "text", _size(Contact.name)),
            Column("phone", "phone", _size(Contact.phone)),
            Column("role_text", "text", _size(Contact.role_text), required=False),
            Column("language", "language", _size(Contact.language), required=False),
        ),
    ),
    Table(
        "assets.csv",
        ("serial",),
        (
            Column("serial", "serial", _size(Asset.serial)),
            Column("model", "text", _size(Asset.model)),
            Column("name", "text", _size(Asset.name)),
            Column("part_code", "code", _size(Asset.part_code), required=False),
            Column("holder", "choice", 10, choices="site van store factory"),
            Column("holder_code", "code", 60, required=False),
            Column("commissioned_on", "date", 10, required=False),
            Column("warranty_months", "whole", 1200, required=False),
        ),
    ),
    Table(
        "parts.csv",
        ("code",),
        (
            Column("code", "code", _CODE),
            Column("name", "text", _size(Part.name)),
        ),
    ),
    Table(
        "van_stock.csv",
        ("engineer", "part"),
        (
            Column("engineer", "code", _size(Person.account)),
            Column("part", "code", _CODE),
            Column("count", "whole", 99_999),
        ),
    ),
    Table(
        "work_orders.csv",
        ("number",),
        (
            Column("number", "code", _size(WorkOrder.number)),
            Column("request_number", "code", _size(ServiceRequest.number)),
            Column("customer", "code", _CODE),
            Column("site", "code", _CODE),
            Column("contact", "code", _CODE),
            Column("asset_serial", "serial", _size(Asset.serial), required=False),
            Column("job_type", "choice", _size(WorkOrder.job_type), choices="job_types"),
            Column("level", "choice", 40, required=False, choices="fault_levels"),
            Column("channel", "choice", _size(ServiceRequest.channel), choices="channels"),
            Column("reported_at", "moment", 19),
            Column("fault_text", "paragraph", _FAULT.field("text").limit),
            Column("fault_location", "text", _FAULT.field("location").limit, required=False),
            Column("engineer", "code", _size(Person.account), required=False),
            Column("appointment_at", "moment", 19, required=False),
            Column("carry", "text", CARRY_LINES * CARRY_CHARACTERS, required=False),
        ),
    ),
)


TABLES_BY_FILE = {table.file: table for table in TABLES}


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
    lines = {
        table.file: _read_table(path / table.file, table, policy, bad)
        for table in TABLES
        if (path / table.file).is_file()
    }
    if any(line.reason in OF_WHOLE_FILE for line in bad):
        # What the other files refer to may stand in there: no use in calling them wrong.
        raise ImportRefused(bad)
    with unit(org_id, now) as opened:
        run = _Run(opened, policy, db.session.get_one(Person, author_id), now, lines, bad)
        run.check()
        if bad:
            raise ImportRefused(bad)
        return run.store()


# Reading: what a line says, by itself

_SEEN_AS_SOMETHING_ELSE = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_PATTERNS = {
    "code": re.compile(r"[^\s;,\"']+"),
    "serial": re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./_-]*"),
    "phone": re.compile(r"(?=(?:\D*\d){5})[+(\d][\d ()+/.*#-]*(?:(?:转|x|ext\.? ?)\d+)?", re.ASCII),
    "language": re.compile(r"[a-z]{2}(_[A-Z]{2})?"),
    "date": re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
    "moment": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?", re.ASCII),
}


def _read_table(path: Path, table: Table, policy: Policy, bad: list[BadLine]) -> list[Line]:
    """The lines of one file that have a key; what is wrong with them is added to ``bad``."""
    text = _decode(path.read_bytes())
    if text is None:
        bad.append(BadLine(table.file, 1, "import.encoding"))
        return []
    rows = _rows(table.file, text, bad)
    if not rows:
        return []
    (heading_line, heading), *body = rows
    heading = [name.strip() for name in heading]
    faults = _faults_of_heading(heading, table)
    if faults:
        bad += [
            BadLine(table.file, heading_line, reason, {"column": name}) for reason, name in faults
        ]
        return []
    lines: list[Line] = []
    first: dict[tuple[Any, ...], int] = {}
    for number, cells in body:
        if len(cells) != len(heading):
            args: dict[str, str | int] = {"count": len(cells), "expected": len(heading)}
            bad.append(BadLine(table.file, number, "import.cells", args))
            continue
        line, faults_found = _read_line(
            table, number, dict(zip(heading, cells, strict=True)), policy
        )
        bad += faults_found
        key = tuple(line.cells.get(name) for name in table.key)
        if None in key:
            continue
        if key in first:
            value = " ".join(map(str, key))
            bad.append(line.bad("import.twice", value=value, first=first[key]))
            continue
        first[key] = number
        lines.append(line)
    return lines


def _decode(raw: bytes) -> str | None:
    """The text of a file; None when it is in no encoding that we read.

    UTF-8 is tried first, since GB18030 would read nearly anything as something.  A file that is
    UTF-8 but for a few bytes is damaged, and not GB18030.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        loose = raw.decode("utf-8", "replace")
    broken = loose.count("\ufffd")
    if raw.startswith(b"\xef\xbb\xbf") or sum(char > "\x7f" for char in loose) > 2 * broken:
        return None
    try:
        return raw.decode("gb18030")
    except UnicodeDecodeError:
        return None


def _rows(file: str, text: str, bad: list[BadLine]) -> list[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return rows
        except csv.Error as error:
            bad.append(BadLine(file, number, "import.csv", {"detail": str(error)}))
            return rows
        if any(cell.strip() for cell in cells):
            rows.append((number, cells))


def _faults_of_heading(heading: Sequence[str], table: Table) -> list[tuple[str, str]]:
    known = [column.name for column in table.columns]
    return (
        [("import.column-unknown", name) for name in heading if name not in known]
        + [
            ("import.column-twice", name)
            for name in dict.fromkeys(heading)
            if heading.count(name) > 1
        ]
        + [
            ("import.column-missing", column.name)
            for column in table.columns
            if column.required and column.name not in heading
        ]
    )


def _read_line(
    table: Table, number: int, raw: Mapping[str, str], policy: Policy
) -> tuple[Line, list[BadLine]]:
    """A line with its cells read; cells that are wrong are left out and named."""
    cells: dict[str, Any] = {}
    faults: list[BadLine] = []
    for column in table.columns:
        try:
            cells[column.name] = _read_cell(column, raw.get(column.name, ""), policy)
        except _BadCell as wrong:
            args = {"column": column.name} | wrong.args_
            faults.append(BadLine(table.file, number, wrong.reason, args))
    return Line(table.file, number, cells, not faults), faults


class _BadCell(Exception):
    def __init__(self, reason: str, **args: str | int) -> None:
        super().__init__(reason)
        self.reason, self.args_ = reason, args


def _read_cell(column: Column, raw: str, policy: Policy) -> Any:
    """The value of one cell; an empty one that may be is None, or "" for texts."""
    text = unicodedata.normalize("NFC", raw).replace("\r\n", "\n").strip()
    if not text:
        if column.required:
            raise _BadCell("import.empty")
        return "" if column.type in ("text", "paragraph") else None
    seen = text.replace("\n", "").replace("\t", "") if column.type == "paragraph" else text
    if any(
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _SEEN_AS_SOMETHING_ELSE
        for char in seen
    ):
        raise _BadCell("import.control")
    if column.type == "whole":
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > column.limit:
            raise _BadCell("import.number", least=0, most=column.limit)
        return int(text)
    if len(text) > column.limit:
        raise _BadCell("import.long", limit=column.limit)
    if column.type == "choice":
        known = _choices(column, policy)
        if text not in known:
            raise _BadCell("import.choice", known=", ".join(known))
    elif column.type == "zone":
        if text not in available_timezones():
            raise _BadCell("import.zone")
    elif column.type in _PATTERNS and not _PATTERNS[column.type].fullmatch(text):
        if column.type in ("date", "moment"):
            raise _BadCell(f"import.{column.type}")
        raise _BadCell("import.characters", value=text[:40])
    return _read_day(column, text) if column.type in ("date", "moment") else text


def _read_day(column: Column, text: str) -> date | datetime:
    """A date, or a local time without its zone: that is the site's and not known yet."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise _BadCell(f"import.{column.type}") from None
    if not YEARS[0] <= read.year <= YEARS[1]:
        raise _BadCell(f"import.{column.type}")
    return read if column.type == "moment" else read.date()


def _choices(column: Column, policy: Policy) -> Sequence[str]:
    if column.choices == "job_types":
        return list(policy.data["job_types"])
    return policy.choices().get(column.choices) or column.choices.split()


# Storing: what the lines say together and beside what is known


class _Run:
    """One run inside its transaction: first everything is checked, then everything is written."""

    def __init__(
        self,
        opened: Unit,
        policy: Policy,
        author: Person,
        now: datetime,
        lines: Mapping[str, list[Line]],
        bad: list[BadLine],
    ) -> None:
        self.unit, self.policy, self.author, self.now = opened, policy, author, now
        self.organisation = opened.organisation
        self.lines = {file: [line for line in found if line.fits] for file, found in lines.items()}
        self.keys = {
            file: {line.cells[TABLES_BY_FILE[file].key[0]] for line in found}
            for file, found in lines.items()
        }
        self.bad = bad
        self.report = ImportReport()
        self.changes: list[tuple[Any, dict[str, Any]]] = []

    def of(self, noun: str) -> list[Line]:
        """The lines of the file of ``noun``."""
        return self.lines.get(f"{noun}.csv", [])

    # checks

    def check(self) -> None:
        """Find the rows the lines speak of; name every line that does not fit them."""
        orders = self.of("work_orders")
        wanted = _values(orders, "customer") | _values(self.of("sites"), "customer")
        self.customers = self._known(
            Customer, "code", _values(self.of("customers"), "code") | wanted
        )
        wanted = _values(orders, "site") | _values(self.of("contacts"), "site")
        wanted |= {line["holder_code"] for line in self.of("assets") if line["holder"] == "site"}
        self.sites = self._known(Site, "code", _values(self.of("sites"), "code") | wanted)
        wanted = _values(orders, "contact")
        self.contacts = self._known(Contact, "code", _values(self.of("contacts"), "code") | wanted)
        wanted = _values(orders, "asset_serial")
        self.assets = self._known(Asset, "serial", _values(self.of("assets"), "serial") | wanted)
        wanted = _values(self.of("van_stock"), "part")
        self.parts = self._known(Part, "code", _values(self.of("parts"), "code") | wanted)
        self.orders = self._known(WorkOrder, "number", _values(orders, "number"))
        self.requests = self._known(ServiceRequest, "number", _values(orders, "request_number"))
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
        self.known = {
            "customer": set(self.customers) | self.keys.get("customers.csv", set()),
            "site": set(self.sites) | self.keys.get("sites.csv", set()),
            "contact": set(self.contacts) | self.keys.get("contacts.csv", set()),
            "asset_serial": set(self.assets) | self.keys.get("assets.csv", set()),
            "part": set(self.parts) | self.keys.get("parts.csv", set()),
            "engineer": set(self.engineers),
        }
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
        for line in orders:
            self._check_order(line, requests)

    def _known(self, model: Any, column: str, keys: set[Any]) -> dict[str, Any]:
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
        if value is None or value in self.known[kind or column]:
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
            if line[column] is not None and self._moment(line, column) is None:
                self.bad.append(line.bad("import.moment-skipped", column=column))
                return
        if len(_carry(line)) > CARRY_LINES or any(
            len(item) > CARRY_CHARACTERS for item in _carry(line)
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
                "reported_at": self._moment(first, "reported_at")
            }
        for column, value in told.items():
            said = self._moment(line, column) if column == "reported_at" else line[column]
            if said != value:
                self.bad.append(
                    line.bad(
                        "import.request-differs", column=column, number=number, value=str(value)
                    )
                )

    def _moment(self, line: Line, column: str) -> datetime | None:
        """A local time of a work order as aware UTC; None when the site's clocks skipped it.

        A time that the clocks show twice is the first one.
        """
        zone = ZoneInfo(self.zone_of_site[line["site"]])
        local: datetime = line[column]
        at = local.replace(tzinfo=zone).astimezone(UTC)
        return at if at.astimezone(zone).replace(tzinfo=None) == local else None

    # writing

    def store(self) -> ImportReport:
        """Write what the lines say; returns what that did."""
        self._store_reference()
        db.session.flush()
        for row, before in self.changes:
            self._touch_holders(row, before)
        for line in self.of("work_orders"):
            if line["number"] not in self.orders:
                self._create_order(line)
        return self.report

    def _store_reference(self) -> None:
        for line in self.of("customers"):
            self._put(self.customers, Customer, "customers", line["code"], name=line["name"])
        for line in self.of("sites"):
            self._put(
                self.sites,
                Site,
                "sites",
                line["code"],
                customer_id=self.customers[line["customer"]].id,
                name=line["name"],
                address=line["address"],
                distance=line["distance"],
                zone=line["zone"] or self.organisation.zone,
                access_text=line["access_text"],
            )
        for line in self.of("contacts"):
            self._put(
                self.contacts,
                Contact,
                "contacts",
                line["code"],
                site_id=self.sites[line["site"]].id,
                name=line["name"],
                phone=line["phone"],
                role_text=line["role_text"],
                language=line["language"] or "zh_CN",
            )
        for line in self.of("assets"):
            self._put(
                self.assets,
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
        for line in self.of("parts"):
            self._put(self.parts, Part, "parts", line["code"], name=line["name"])
        db.session.flush()
        self._store_van_stock()

    def _store_van_stock(self) -> None:
        held = {
            (row.person_id, row.part_id): row
            for row in db.session.scalars(
                select(VanStock).where(VanStock.org_id == self.organisation.id)
            )
        }
        for line in self.of("van_stock"):
            person, part = self.engineers[line["engineer"]], self.parts[line["part"]]
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
            return str(self.sites[line["holder_code"]].id)
        return self.engineers[line["holder_code"]].id if line["holder"] == "van" else None

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
        request = self.requests.get(line["request_number"])
        if request is None:
            request = self._create_request(line)
        order = WorkOrder(
            id=mint_id(self.now),
            org_id=self.organisation.id,
            request_id=request.id,
            number=line["number"],
            job_type=line["job_type"],
            carry=_carry(line),
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
            at = self._moment(line, "appointment_at")
            assert at is not None
            self._perform("appointment", visit.id, {"at": f"{at:%Y-%m-%dT%H:%M:%SZ}"})
        if line["engineer"]:
            engineer = self.engineers[line["engineer"]]
            self._perform("assignment", visit.id, {"engineer": engineer.id})
        self.report.visits.append(visit.id)
        self._note(self.report.created, "work_orders")

    def _create_request(self, line: Line) -> ServiceRequest:
        asset = self.assets.get(line["asset_serial"])
        request = ServiceRequest(
            id=mint_id(self.now),
            org_id=self.organisation.id,
            number=line["request_number"],
            customer_id=self.customers[line["customer"]].id,
            site_id=self.sites[line["site"]].id,
            contact_id=self.contacts[line["contact"]].id,
            asset_id=asset.id if asset else None,
            channel=line["channel"],
            reported_at=self._moment(line, "reported_at"),
        )
        db.session.add(request)
        db.session.flush()
        self.requests[line["request_number"]] = request
        self._note(self.report.created, "requests")
        return request

    def _perform(self, kind: str, visit_id: str, value: Mapping[str, Any]) -> None:
        self.unit.perform(kind, visit_id, self.author, value)


_OF_REQUEST = ("customer", "site", "contact", "asset_serial", "channel")


def _values(lines: Iterable[Line], column: str) -> set[Any]:
    return {line[column] for line in lines} - {None}


def _carry(line: Line) -> list[str]:
    """What to take along: separated by a semicolon, the Chinese one included."""
    items: Callable[[str], list[str]] = re.compile("[;；]").split
    return [item.strip() for item in items(line["carry"]) if item.strip()]
