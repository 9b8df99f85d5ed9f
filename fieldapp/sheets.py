"""The sheets of an import: which files and columns there are, and what their lines say.

Every line is read by itself; whatever cannot be taken is named with file, line and reason.
What the lines say together, and beside what is stored, is ``fieldapp.importing``.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import available_timezones

from fieldapp.models import (
    Asset,
    Contact,
    Customer,
    Part,
    Person,
    ServiceRequest,
    Site,
    WorkOrder,
)
from fieldapp.offline.messages import Messages, singular
from fieldapp.policies import Policy
from fieldapp.smtp import ADDRESS
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

PLACE = N_("{file}, line {line}: {reason}")
"""How a bad line is told: where it stands and why it was refused."""

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

    def sentence_in(self, messages: Messages) -> str:
        """The reason in the language of ``messages``; the catalogue is ``import.po``."""
        return singular(messages, REASONS[self.reason]).format(**self.args)

    def text_in(self, messages: Messages) -> str:
        """File, line and reason in the language of ``messages``."""
        return singular(messages, PLACE).format(
            file=self.file, line=self.line, reason=self.sentence_in(messages)
        )

    def __str__(self) -> str:
        return self.text_in({})


class ImportRefused(Exception):
    """Nothing of the run was stored.  ``lines`` are the first bad lines, ``count`` all of them."""

    code = "import.refused"

    def __init__(self, lines: Sequence[BadLine]) -> None:
        self.lines = sorted(lines)[:MOST_LINES_NAMED]
        self.count = len(lines)
        super().__init__(self.text_in({}))

    def text_in(self, messages: Messages) -> str:
        """The bad lines, one a line, in the language of ``messages``."""
        return "\n".join(line.text_in(messages) for line in self.lines)


ColumnType = Literal[
    "text",  # one line
    "paragraph",  # several lines
    "code",  # what other systems call it: no spaces, no semicolon
    "serial",
    "phone",
    "email",
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
            Column("email", "email", _size(Contact.email), required=False),
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


def read_sheets(folder: Path, policy: Policy, bad: list[BadLine]) -> dict[str, list[Line]]:
    """The lines of every file in ``folder`` that have a key; what is wrong is added to ``bad``."""
    return {
        table.file: _read_table(folder / table.file, table, policy, bad)
        for table in TABLES
        if (folder / table.file).is_file()
    }


_SEEN_AS_SOMETHING_ELSE = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_PATTERNS = {
    "code": re.compile(r"[^\s;,\"']+"),
    "serial": re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./_-]*"),
    "phone": re.compile(r"(?=(?:\D*\d){5})[+(\d][\d ()+/.*#-]*(?:(?:转|x|ext\.? ?)\d+)?", re.ASCII),
    "email": ADDRESS,
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
