"""Operations come in, are kept, folded and projected.  The only writer of visits.

A :func:`unit` is one transaction: operations are appended to the journal, every visit they touch is
folded anew and its columns written, and the organisation's clock is bumped as the last thing, so
that a phone that reads up to a revision has seen everything below it.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from fieldapp import __version__, jobs
from fieldapp.database import begin_writing
from fieldapp.ids import mint_id
from fieldapp.models import Blob, BlobReference, Device, Organisation, Person, Visit, db
from fieldapp.policies import Policy, load_policy
from fieldapp.projection import project
from sync import catalogue, clock, merge, signing
from sync.canonical import hash_of
from sync.operation import Operation, Received, read_operation
from sync.problems import Problem
from sync.report import coverage
from sync.tables import context_block, journal, sync_clock, visit_scope
from sync.validate import validate

SERVER = "server"
"""The device of operations that were performed here, at the desk or on a page Flask answered."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Receipt:
    """The server's word that it holds an operation.

    ``state`` is merged, conflict, flagged, duplicate or opaque; ``reasons`` are problem codes.
    """

    id: str
    state: str
    reasons: tuple[str, ...] = ()


@dataclass
class Incoming:
    """One operation on its way into the journal."""

    operation: Operation
    received: Received
    problems: list[str]
    outcome: str = "merged"


@dataclass
class Unit:
    """One transaction on visits of one organisation.  Made by :func:`unit`."""

    organisation: Organisation
    now: datetime
    policy: Policy
    touched: set[str] = field(default_factory=set)
    refold: set[str] = field(default_factory=set)
    pending: dict[str, list[Incoming]] = field(default_factory=lambda: defaultdict(list))
    scope_rows: list[dict[str, Any]] = field(default_factory=list)
    after: list[tuple[str, str]] = field(default_factory=list)
    rev: int = 0

    @property
    def now_ms(self) -> int:
        """The time of the unit in ms since 1970."""
        return int(self.now.timestamp() * 1000)

    def touch(self, visit_id: str) -> None:
        """The visit's context changed: phones that hold it must hear of it."""
        self.touched.add(visit_id)

    def perform(
        self,
        kind_name: str,
        visit_id: str,
        author: Person,
        value: Mapping[str, Any],
        supersedes: Mapping[str, list[str]] | None = None,
    ) -> Receipt:
        """Perform one operation here.  ``value`` holds the form's fields by name.

        ``supersedes`` names the heads whose values the author saw, per path; without it the
        author is taken to have seen what is there now.
        """
        kind = catalogue.kind_named(kind_name)
        content = dict(value)
        if kind.policy == "set" and kind.fields:
            content = {f"{kind.name}/{name}": item for name, item in value.items()}
        paths = [kind.name] if kind.policy == "assert" else list(content)
        if kind.policy in ("add", "sign", "void"):
            paths = []
        if supersedes is None:
            supersedes = self._heads(visit_id, paths)
        body: dict[str, Any] = {
            "id": mint_id(self.now),
            "v": 1,
            "visit": visit_id,
            "device": SERVER,
            "n": 0,
            "author": author.id,
            "kind": kind.name,
            "value": content,
            "supersedes": {path: list(supersedes.get(path, ())) for path in paths},
            "wall": self.now_ms,
            "mono": 0,
            "boot": SERVER,
            "skew": 0,
            "app": __version__,
        }
        body["hash"] = hash_of(body)
        return self.receive([body], None, 0)[0]

    def receive(self, bodies: Sequence[Any], device: Device | None, skew_ms: int) -> list[Receipt]:
        """Keep ``bodies``, one receipt each, in their order.

        ``skew_ms`` is the phone's clock measured at this push.  Nothing is refused: what cannot
        be read is kept opaque, what looks wrong is flagged.
        """
        keys = {str(body["id"]) for body in bodies if isinstance(body, Mapping) and "id" in body}
        known: dict[str, dict[str, Row[Any]]] = defaultdict(dict)
        for row in self._rows(journal.c.id.in_(keys)):
            known[row.id][row.hash] = row
        receipts: list[Receipt | Incoming] = []
        seen: dict[tuple[str, str], Incoming] = {}
        for body in bodies:
            incoming = self._read(body, device, skew_ms)
            key = (incoming.operation.id, incoming.operation.hash)
            if key in seen or incoming.operation.hash in known[incoming.operation.id]:
                receipts.append(Receipt(incoming.operation.id, "duplicate"))
                continue
            if known[incoming.operation.id] or any(id_ == key[0] for id_, _ in seen):
                incoming.problems.append("operation.same-id")
            seen[key] = incoming
            self.pending[incoming.operation.visit].append(incoming)
            receipts.append(incoming)
        self._check_scope(list(seen.values()))
        for visit_id in sorted({item.operation.visit for item in seen.values()}):
            self._fold(visit_id)
        return [
            item
            if isinstance(item, Receipt)
            else Receipt(item.operation.id, item.outcome, tuple(_codes(item.problems)))
            for item in receipts
        ]

    def refresh(self, visit_id: str) -> None:
        """Fold the visit again: something outside the journal that its flags depend on changed."""
        self._fold(visit_id)

    # Reading what came

    def _read(self, body: Any, device: Device | None, skew_ms: int) -> Incoming:
        problems: list[str] = []
        try:
            operation = read_operation(body)
        except Problem:
            operation = _unreadable(body, device)
            problems.append("operation.malformed")
            return self._incoming(operation, problems, skew_ms, "opaque")
        if hash_of(operation.body) != operation.hash:
            problems.append("operation.hash-mismatch")
        if device is not None:
            if device.revoked_at is not None:
                problems.append("device.revoked")
            if device.person_id != operation.author:
                problems.append("author.not-owner")
        if clock.is_off(skew_ms):
            problems.append(f"clock.skew={abs(skew_ms) // 60_000}")
        if not catalogue.is_known(operation.kind):
            problems.append(f"operation.unknown-kind={operation.kind}")
            return self._incoming(operation, problems, skew_ms, "opaque")
        problems.extend(self._findings(operation))
        return self._incoming(operation, problems, skew_ms, "merged")

    def _incoming(
        self, operation: Operation, problems: list[str], skew_ms: int, outcome: str
    ) -> Incoming:
        corrected = clock.corrected_ms(operation.wall, skew_ms, self.now_ms)
        return Incoming(operation, Received(operation, corrected), problems, outcome)

    def _findings(self, operation: Operation) -> list[str]:
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
        fields = [
            vars(item)
            | {"required": item.required and (kind.policy != "set" or item.name in value)}
            for item in kind.fields
        ]
        choices = self.policy.choices(str(value.get("list", "")))
        return [
            "=".join(filter(None, (item["code"], f"{item['field']}|{item['detail']}".rstrip("|"))))
            for item in validate(fields, value, choices, coverage())
        ]

    def _check_scope(self, items: Sequence[Incoming]) -> None:
        """Flag authors that never had the visit; make a row for a visit nobody knew."""
        visits = {item.operation.visit for item in items}
        known = set(db.session.scalars(select(Visit.id).where(Visit.id.in_(visits))))
        pairs = {
            (row.person_id, row.visit_id)
            for row in db.session.execute(
                select(visit_scope.c.person_id, visit_scope.c.visit_id).where(
                    visit_scope.c.org_id == self.organisation.id,
                    visit_scope.c.visit_id.in_(visits),
                )
            )
        }
        people = {
            person.id: person
            for person in db.session.scalars(
                select(Person).where(
                    Person.id.in_({item.operation.author for item in items}),
                    Person.org_id == self.organisation.id,
                )
            )
        }
        for item in items:
            operation = item.operation
            author = people.get(operation.author)
            if operation.visit not in known:
                item.problems.append("visit.unknown")
            elif author is None or not (
                author.is_desk or (operation.author, operation.visit) in pairs
            ):
                item.problems.append("author.out-of-scope")
            if author is not None and catalogue.is_known(operation.kind):
                kind = catalogue.kind_named(operation.kind)
                if not author.roles & (set(kind.roles) | {"admin"}):
                    item.problems.append("author.role")
        for visit_id in sorted(visits - known):
            db.session.add(Visit(id=visit_id, org_id=self.organisation.id))
        db.session.flush()

    # Folding and writing

    def _fold(self, visit_id: str) -> None:
        new = self.pending.pop(visit_id, [])
        visit = db.session.scalars(
            select(Visit)
            .where(Visit.id == visit_id, Visit.org_id == self.organisation.id)
            .with_for_update()
        ).one_or_none()
        if visit is None:
            # Somebody else's visit: kept, never folded into it.
            for item in new:
                item.outcome = "flagged"
            self._append(new)
            return
        held = [_received(row) for row in self._rows(journal.c.visit_id == visit_id)]
        state = self._state_of(visit_id, held, new)
        for item in new:
            item.outcome = _outcome(item, state)
        self._append(new)
        with db.session.begin_nested():
            self.scope_rows += project(self, visit, state)
        self.touched.add(visit_id)
        if any(not entry["voids"] for entry in state["signatures"]):
            self.after.append(("report", visit_id))

    def _state_of(
        self, visit_id: str, held: Sequence[Received], new: Sequence[Incoming]
    ) -> merge.State:
        for item in new:
            item.received = Received(
                item.operation, item.received.corrected_ms, tuple(item.problems)
            )
        try:
            return self._folded(visit_id, [*held, *(item.received for item in new)])
        except Exception:
            log.exception("folding visit %s failed; looking for the operation", visit_id)
        good = list(held)
        for item in new:
            try:
                self._folded(visit_id, [*good, item.received])
            except Exception:
                item.problems.append("operation.fold-failed")
                item.received = Received(
                    item.operation, item.received.corrected_ms, tuple(item.problems)
                )
            good.append(item.received)
        return self._folded(visit_id, good)

    def _folded(self, visit_id: str, received: Sequence[Received]) -> merge.State:
        state = merge.fold(received, visit_id)
        if state["signatures"]:
            signing.check_signatures(state, received, self._served(visit_id))
        self._flag_photos(state)
        return state

    def _flag_photos(self, state: merge.State) -> None:
        hashes = {
            str(entry["value"].get("sha256")): entry["id"]
            for entry in state["entries"]
            if entry["kind"] == "photo"
        }
        if not hashes:
            return
        for blob in db.session.scalars(
            select(Blob).where(
                Blob.org_id == self.organisation.id, Blob.sha256.in_(hashes), Blob.problem != ""
            )
        ):
            state["flags"].append(
                {"code": blob.problem, "operation": hashes[blob.sha256], "args": {}}
            )

    def _append(self, items: Sequence[Incoming]) -> None:
        if not items:
            return
        db.session.execute(
            insert(journal),
            [
                {
                    "org_id": self.organisation.id,
                    "id": item.operation.id,
                    "hash": item.operation.hash,
                    "visit_id": item.operation.visit,
                    "device_id": item.operation.device,
                    "author_id": item.operation.author,
                    "kind": item.operation.kind,
                    "n": item.operation.n,
                    "wall_ms": item.operation.wall,
                    "corrected_ms": item.received.corrected_ms,
                    "received_ms": self.now_ms,
                    "rev": 0,  # written with the clock, at the end
                    "outcome": item.outcome,
                    "problems": "\n".join(item.problems),
                    "body": json.dumps(dict(item.operation.body), ensure_ascii=False),
                }
                for item in items
            ],
        )
        for item in items:
            value = item.operation.value
            if item.operation.kind == "photo" and isinstance(value, Mapping):
                db.session.merge(
                    BlobReference(
                        operation_id=item.operation.id,
                        sha256=str(value.get("sha256"))[:64],
                        org_id=self.organisation.id,
                        visit_id=item.operation.visit,
                    )
                )

    def finish(self) -> None:
        """Bump the clock, stamp everything touched with it and commit."""
        if self.touched:
            self.rev = self._bump()
            ids = sorted(self.touched)
            db.session.execute(
                update(Visit)
                .where(Visit.org_id == self.organisation.id, Visit.id.in_(ids))
                .values(rev=self.rev)
                .execution_options(synchronize_session=False)
            )
            for row in self.scope_rows:
                self._write_scope(row)
            db.session.execute(
                update(journal)
                .where(journal.c.org_id == self.organisation.id, journal.c.rev == 0)
                .where(journal.c.visit_id.in_(ids))
                .values(rev=self.rev)
            )
        db.session.commit()
        for job, visit_id in dict.fromkeys(self.after):
            jobs.enqueue(job, visit_id)

    def _bump(self) -> int:
        db.session.flush()
        statement = (
            update(sync_clock)
            .where(sync_clock.c.org_id == self.organisation.id)
            .values(rev=sync_clock.c.rev + 1)
            .returning(sync_clock.c.rev)
        )
        rev = db.session.execute(statement).scalar_one_or_none()
        if rev is None:
            db.session.execute(insert(sync_clock).values(org_id=self.organisation.id, rev=1))
            return 1
        return int(rev)

    def _write_scope(self, row: Mapping[str, Any]) -> None:
        key = (
            (visit_scope.c.org_id == self.organisation.id)
            & (visit_scope.c.person_id == row["person_id"])
            & (visit_scope.c.visit_id == row["visit_id"])
        )
        values = {"rev": self.rev, "active": row["active"], "reason": row["reason"]}
        changed = db.session.execute(update(visit_scope).where(key).values(values))
        if not changed.rowcount:  # type: ignore[attr-defined]
            db.session.execute(
                insert(visit_scope).values(
                    org_id=self.organisation.id,
                    person_id=row["person_id"],
                    visit_id=row["visit_id"],
                    **values,
                )
            )

    # Looking things up

    def _rows(self, condition: Any) -> list[Row[Any]]:
        return list(
            db.session.execute(
                select(journal).where(journal.c.org_id == self.organisation.id, condition)
            )
        )

    def _served(self, visit_id: str) -> dict[str, str]:
        rows = db.session.execute(
            select(context_block.c.sha256, context_block.c.body).where(
                context_block.c.org_id == self.organisation.id,
                context_block.c.visit_id == visit_id,
            )
        )
        return {row.sha256: row.body for row in rows}

    def _heads(self, visit_id: str, paths: Sequence[str]) -> dict[str, list[str]]:
        visit = db.session.get(Visit, visit_id)
        fields = visit.state.get("fields", {}) if visit is not None and visit.state else {}
        return {path: fields[path]["heads"] for path in paths if path in fields}


@contextmanager
def unit(org_id: str, now: datetime) -> Iterator[Unit]:
    """One transaction on visits of ``org_id``; commits at the end, rolls back on an exception."""
    begin_writing()
    try:
        organisation = db.session.get_one(Organisation, org_id)
        opened = Unit(organisation, now.astimezone(UTC), load_policy(organisation.policy))
        yield opened
        opened.finish()
    except BaseException:
        db.session.rollback()
        raise


def journal_of(visit: Visit) -> list[Row[Any]]:
    """Every operation of a visit as kept, in the order of their corrected times."""
    return list(
        db.session.execute(
            select(journal)
            .where(journal.c.org_id == visit.org_id, journal.c.visit_id == visit.id)
            .order_by(journal.c.corrected_ms, journal.c.id)
        )
    )


def received_of(visit: Visit) -> list[Received]:
    """The operations of a visit, ready to fold."""
    return [_received(row) for row in journal_of(visit)]


def _received(row: Row[Any]) -> Received:
    body = json.loads(row.body)
    problems = tuple(row.problems.split("\n")) if row.problems else ()
    try:
        operation = read_operation(body)
    except Problem:
        operation = Operation(
            row.id, row.visit_id, row.device_id, row.author_id, row.kind, None, {}, row.n,
            row.wall_ms, 0, row.hash, {},
        )  # fmt: skip
    return Received(operation, row.corrected_ms, problems)


def _unreadable(body: Any, device: Device | None) -> Operation:
    """Something that is no operation, in a shape the journal can keep."""
    source = body if isinstance(body, Mapping) else {"value": body}
    try:
        digest = hash_of(source)
    except Problem:
        import hashlib

        digest = hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()
    wall = source.get("wall")
    return Operation(
        id=str(source.get("id") or digest)[:36],
        visit=str(source.get("visit") or "")[:36],
        device=device.id if device else SERVER,
        author=device.person_id if device else "",
        kind=str(source.get("kind") or "")[:40],
        value=None,
        supersedes={},
        n=0,
        wall=wall if isinstance(wall, int) and 0 <= wall < 2**53 else 0,
        skew=0,
        hash=digest,
        body=dict(source),
    )


def _outcome(item: Incoming, state: merge.State) -> str:
    if item.outcome == "opaque":
        return "opaque"
    id_ = item.operation.id
    if any(cell["conflict"] and id_ in cell["heads"] for cell in state["fields"].values()):
        return "conflict"
    flagged = item.problems or any(flag["operation"] == id_ for flag in state["flags"])
    return "flagged" if flagged else "merged"


def _codes(problems: Sequence[str]) -> list[str]:
    return [problem.partition("=")[0] for problem in problems]
