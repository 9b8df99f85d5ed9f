"""What came becomes an :class:`Incoming`: an operation the journal can keep, with its problems.

Nothing is refused here: what cannot be read is kept opaque, what looks wrong is flagged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import or_, select

from fieldapp.database import insert_new
from fieldapp.models import Device, Person, Visit, db
from fieldapp.policies import Policy
from sync import catalogue, clock, scope
from sync.canonical import hash_of
from sync.glyphs import coverage
from sync.merge import OPENING
from sync.operation import CUSTOMER, Operation, Received, read_operation
from sync.problems import Problem
from sync.tables import journal
from sync.validate import validate

SERVER = "server"
"""The device of operations that were performed here, at the desk or on a page Flask answered."""

EVERY_CHARACTER = (0, 0x110000)
"""The coverage of a text that is never printed."""

KEY_CHARACTERS = 36
_FIELDS = {kind.name: [vars(each) for each in kind.fields] for kind in catalogue.KINDS}

LATEST_MS = 253_402_300_799_999
"""The end of the year 9999, in ms since 1970: no later time can be written."""


@dataclass
class Incoming:
    """One operation on its way into the journal.

    ``called`` is the id as its sender knows it, for the receipt.
    """

    operation: Operation
    corrected_ms: int
    problems: list[str]
    outcome: str
    called: str

    @property
    def received(self) -> Received:
        """The operation as the fold takes it."""
        return Received(self.operation, self.corrected_ms, tuple(self.problems))


@dataclass(frozen=True)
class Intake:
    """Reads what one device hands in at one moment.

    ``skew_ms`` is its clock measured at this push; ``device`` is None for what is performed here.
    """

    org_id: str
    policy: Policy
    device: Device | None
    skew_ms: int
    now_ms: int
    _choices: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def read(self, body: Any) -> Incoming:
        """``body`` with everything that can be said against it alone."""
        try:
            operation = _readable(body)
        except (Problem, RecursionError):
            operation = self._unreadable(body)
            return self._incoming(operation, body, ["operation.malformed"], "opaque")
        problems = self._doubts(operation)
        if operation.hash != operation.body.get("hash"):
            problems.append("operation.hash-mismatch")
        if not catalogue.is_known(operation.kind):
            problems.append(f"operation.unknown-kind={operation.kind}")
            return self._incoming(operation, body, problems, "opaque")
        problems.extend(self._findings(operation))
        return self._incoming(operation, body, problems, "merged")

    def owners_of(self, visit_ids: Collection[str]) -> dict[str, str]:
        """The organisation of each visit that was known; the others get a row, of this one.

        Who speaks of a visit while somebody else makes its row waits here and comes second: what
        is read of visits to decide is read after this.
        """
        owners = _owners(visit_ids)
        unknown = sorted(set(visit_ids) - owners.keys())
        if unknown:
            table: Any = Visit.__table__
            rows = [{"id": visit_id, "org_id": self.org_id} for visit_id in unknown]
            made = db.session.scalars(insert_new(table).returning(table.c.id), rows)
            owners |= _owners(set(unknown) - set(made))
        return owners

    def check_authors(self, items: Sequence[Incoming], owners: Mapping[str, str]) -> None:
        """Flag authors who never had the visit or lack the role, and visits not in ``owners``."""
        wanted = {item.operation.visit for item in items}
        assigned = self._assigned(wanted) | self._opened(items)
        people = self._people({item.operation.author for item in items})
        for item in items:
            operation = item.operation
            author = people.get(operation.author)
            if operation.visit == self.org_id and "operation.malformed" in item.problems:
                continue  # filed there because it could not be read
            # Somebody else's visit and one that never was are the same to this organisation.
            is_here = owners.get(operation.visit, self.org_id) == self.org_id
            is_known = operation.visit in owners or (operation.author, operation.visit) in assigned
            if is_here and is_known and self._is_of_customer(item):
                continue
            if not (is_here and is_known):
                item.problems.append("visit.unknown")
            elif author is None or not (
                author.is_desk or (operation.author, operation.visit) in assigned
            ):
                item.problems.append("author.out-of-scope")
            if author is not None and catalogue.is_known(operation.kind):
                kind = catalogue.kind_named(operation.kind)
                may = set(kind.roles) | {"admin"} if kind.roles != catalogue.CUSTOMER else set()
                if not author.roles & may:
                    item.problems.append("author.role")

    def _is_of_customer(self, item: Incoming) -> bool:
        """Whether the customer's own page performed this: no phone and no file speaks for him."""
        operation = item.operation
        is_ours = self.device is None and "operation.from-file" not in item.problems
        return is_ours and operation.author == CUSTOMER and operation.kind in catalogue.BY_CUSTOMER

    def _incoming(
        self, operation: Operation, body: Any, problems: list[str], outcome: str
    ) -> Incoming:
        # A clock may be as wrong as it likes, the result must be a time that can be written.
        corrected = max(0, clock.corrected_ms(operation.wall, self.skew_ms, self.now_ms))
        called = body.get("id") if isinstance(body, Mapping) else None
        if not isinstance(called, str) or not called or not called.isprintable():
            called = operation.id
        return Incoming(operation, corrected, problems, outcome, called)

    def _doubts(self, operation: Operation) -> list[str]:
        """What speaks against the device and its clock."""
        problems = []
        if self.device is not None:
            if self.device.revoked_at is not None or self.device.person.left_at is not None:
                problems.append("device.revoked")
            if self.device.person_id != operation.author:
                problems.append("author.not-owner")
        if clock.is_off(self.skew_ms):
            problems.append(f"clock.skew={abs(self.skew_ms) // 60_000}")
        return problems

    def _findings(self, operation: Operation) -> list[str]:
        """What a form would have stopped at, ``code=field|detail``."""
        kind = catalogue.kind_named(operation.kind)
        value = operation.value
        if not isinstance(value, Mapping):
            return ["operation.malformed"]
        if kind.policy == "set" and kind.fields:
            start = f"{kind.name}/"
            value = {
                path.removeprefix(start): item
                for path, item in value.items()
                if path.startswith(start)
            }
        fields = _FIELDS[kind.name]
        if kind.policy == "set":
            fields = [each for each in fields if each["name"] in value]
        choices = self._choices_for(str(value.get("list", "")))
        return [
            "=".join(filter(None, (item["code"], f"{item['field']}|{item['detail']}".rstrip("|"))))
            for item in validate(fields, value, choices, _coverage(kind))
        ]

    def _choices_for(self, checklist: str) -> dict[str, list[str]]:
        if checklist not in self._choices:
            self._choices[checklist] = self.policy.choices(checklist)
        return self._choices[checklist]

    def check_counters(self, items: Sequence[Incoming]) -> None:
        """Flag what carries a counter that its phone gave to something else before."""
        counted = [item for item in items if item.operation.n > 0]
        if not counted:
            return
        numbers = [item.operation.n for item in counted]
        rows = db.session.execute(
            select(journal.c.device_id, journal.c.n, journal.c.id).where(
                journal.c.org_id == self.org_id,
                journal.c.device_id.in_({item.operation.device for item in counted}),
                journal.c.n.between(min(numbers), max(numbers)),
            )
        )
        given: dict[tuple[str, int], str] = {(row.device_id, row.n): row.id for row in rows}
        for item in counted:
            operation = item.operation
            first = given.setdefault((operation.device, operation.n), operation.id)
            if first != operation.id:
                item.problems.append("device.counter-twice")

    def _assigned(self, visit_ids: set[str]) -> set[tuple[str, str]]:
        """Who has or had which of the visits, as pairs of ids."""
        held = scope.holders_by_visit(db.session.connection(), self.org_id, visit_ids)
        return {(person_id, visit_id) for visit_id in held for person_id in held[visit_id]}

    def _opened(self, items: Sequence[Incoming]) -> set[tuple[str, str]]:
        """Who opens which visit that nobody had before, as pairs of ids."""
        openings = [
            item.operation
            for item in items
            if item.operation.kind == OPENING and "operation.malformed" not in item.problems
        ]
        if not openings:
            return set()
        ids = {operation.visit for operation in openings}
        held = scope.holders_by_visit(db.session.connection(), self.org_id, ids)
        here = select(Visit.id).where(Visit.id.in_(ids))
        taken = set(
            db.session.scalars(
                here.where(or_(Visit.org_id != self.org_id, Visit.work_order_id.is_not(None)))
            )
        )
        taken.update(id_ for id_ in ids if held[id_])
        taken.add(self.org_id)  # where the desk finds what nobody could place
        first = self._opened_before(ids)
        return {
            (operation.author, operation.visit)
            for operation in openings
            if operation.visit not in taken
            and first.get(operation.visit, operation.author) == operation.author
        }

    def _opened_before(self, visit_ids: Collection[str]) -> dict[str, str]:
        """Who opened each of these visits already, be it kept apart as yet."""
        rows = db.session.execute(
            select(journal.c.visit_id, journal.c.author_id)
            .where(
                journal.c.org_id == self.org_id,
                journal.c.visit_id.in_(visit_ids),
                journal.c.kind == OPENING,
            )
            .order_by(journal.c.received_ms.desc(), journal.c.id.desc())
        )
        return {row.visit_id: row.author_id for row in rows}

    def _people(self, ids: set[str]) -> dict[str, Person]:
        rows = db.session.scalars(
            select(Person).where(Person.id.in_(ids), Person.org_id == self.org_id)
        )
        return {person.id: person for person in rows}

    def _unreadable(self, body: Any) -> Operation:
        """Something that is no operation, in a shape the journal can keep.

        Without a visit of its own it is filed under the organisation's id: a visit without a work
        order, where the desk finds what nobody could place.
        """
        source = body if isinstance(body, Mapping) else {"value": body}
        digest = hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()
        wall = source.get("wall")
        is_time = isinstance(wall, int) and not isinstance(wall, bool) and 0 <= wall <= LATEST_MS
        return Operation(
            id=_key(source.get("id")) or digest[:KEY_CHARACTERS],
            visit=_key(source.get("visit")) or self.org_id,
            device=self.device.id if self.device else SERVER,
            author=self.device.person_id if self.device else "",
            kind=_key(source.get("kind")),
            value=None,
            supersedes={},
            n=0,
            wall=int(wall) if is_time and wall is not None else self.now_ms,
            skew=0,
            hash=digest,
            body=dict(source),
        )


def _coverage(kind: catalogue.Kind) -> Sequence[int]:
    """What may stand in a text of ``kind``: the customer's own words are never printed."""
    return EVERY_CHARACTER if kind.name in catalogue.FROM_CUSTOMER else coverage()


def _owners(visit_ids: Collection[str]) -> dict[str, str]:
    """The organisation of each of these visits that there is."""
    if not visit_ids:
        return {}
    rows = db.session.execute(select(Visit.id, Visit.org_id).where(Visit.id.in_(visit_ids)))
    return {row.id: row.org_id for row in rows}


def _readable(body: Any) -> Operation:
    """The operation in ``body`` under the hash of its content, whatever hash it claims.

    Were the claim believed, a damaged copy would pass for the whole one and keep it out.
    Raises Problem("operation.malformed").
    """
    operation = read_operation(body)
    for text in (
        operation.id, operation.visit, operation.device, operation.author, operation.kind,
    ):  # fmt: skip
        if not text.isprintable():
            raise Problem("operation.malformed")
    if abs(operation.wall) > LATEST_MS:
        raise Problem("operation.malformed")
    return replace(operation, hash=hash_of(operation.body))


def _key(value: Any) -> str:
    """``value`` when it can stand in a key column, else nothing."""
    fits = isinstance(value, str) and len(value) <= KEY_CHARACTERS and value.isprintable()
    return value if fits else ""
