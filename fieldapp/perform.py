"""Operations are kept, folded and projected.  The only writer of visits.

A :func:`unit` is one transaction: operations are appended to the journal, every visit they touch is
folded anew and its columns written, and the organisation's clock is bumped behind all that, so
that a phone that reads up to a revision has seen everything below it.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import joinedload

from fieldapp import __version__, blobs, jobs
from fieldapp.context import visits_beside
from fieldapp.database import begin_writing, insert_new, is_alone
from fieldapp.facts import Facts, Work, flag_photos
from fieldapp.ids import mint_id
from fieldapp.intake import SERVER, Incoming, Intake
from fieldapp.models import (
    BlobReference,
    Device,
    Organisation,
    Person,
    ServiceRequest,
    Visit,
    WorkOrder,
    db,
)
from fieldapp.notices import number_notices
from fieldapp.policies import Policy, load_policy
from fieldapp.projection import project, told_elsewhere
from sync import catalogue, journal, merge, scope, signing
from sync.canonical import hash_of
from sync.operation import Operation, Received

__all__ = ["SERVER", "Receipt", "Unit", "journal_of", "received_of", "unit"]

log = logging.getLogger(__name__)

VISITS_AT_ONCE = 200
"""Visits that are folded and written together: what they need is looked up once for all of them."""


@dataclass(frozen=True)
class Receipt:
    """The server's word that it holds an operation.

    ``state`` is merged, conflict, flagged, duplicate or opaque; ``reasons`` are problem codes.
    """

    id: str
    state: str
    reasons: tuple[str, ...] = ()


@dataclass
class Unit:
    """One transaction on visits of one organisation.  Made by :func:`unit`."""

    organisation: Organisation
    now: datetime
    policy: Policy
    touched: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    moves: dict[str, list[scope.Move]] = field(default_factory=dict)
    after: list[tuple[str, str]] = field(default_factory=list)
    rev: int = 0
    # What folding needs to know of the visits in hand, and of people: whether they are of here.
    holders: dict[str, dict[str, tuple[bool, str]]] = field(default_factory=dict)
    people: dict[str, bool] = field(default_factory=dict)

    @property
    def now_ms(self) -> int:
        """The time of the unit in ms since 1970."""
        return int(self.now.timestamp() * 1000)

    def hold(self, visit_ids: Collection[str]) -> None:
        """Let nobody else write to these visits, or to those beside them, before the unit ends.

        All are taken at once and by id: of two units that take one visit after another, each may
        have what the other waits for.  What is read of a visit to decide is read after this.
        """
        wanted = set(visit_ids) - self.held
        if wanted and not is_alone():
            wanted |= visits_beside(db.session, wanted) - self.held
            self._lock(sorted(wanted))
        self.held |= wanted

    def touch(self, visit_id: str) -> None:
        """The visit's context changed: phones that hold it must hear of it."""
        self.touched.add(visit_id)

    def perform(
        self,
        kind_name: str,
        visit_id: str,
        author: Person | str,
        value: Mapping[str, Any],
        supersedes: Mapping[str, list[str]] | None = None,
        *,
        id_: str = "",
    ) -> Receipt:
        """Perform one operation here.  ``value`` holds the form's fields by name.

        ``author`` is a person, or ``sync.operation.CUSTOMER``.  ``supersedes`` names the heads
        whose values the author saw, per path; without it the author is taken to have seen what is
        there now.  ``id_`` is the operation's, where a form carried one.
        """
        self.hold([visit_id])
        kind = catalogue.kind_named(kind_name)
        content = dict(value)
        if kind.policy == "set" and kind.fields:
            content = {f"{kind.name}/{name}": item for name, item in value.items()}
        paths = [kind.name] if kind.policy == "assert" else list(content)
        if kind.policy in ("add", "sign", "void", "judgement"):
            paths = []
        if supersedes is None:
            supersedes = self._heads(visit_id, paths)
        body: dict[str, Any] = {
            "id": id_ or mint_id(self.now),
            "v": 1,
            "visit": visit_id,
            "device": SERVER,
            "n": 0,
            "author": author if isinstance(author, str) else author.id,
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

    def receive(
        self,
        bodies: Sequence[Any],
        device: Device | None,
        skew_ms: int,
        more_problems: Sequence[str] = (),
    ) -> list[Receipt]:
        """Keep ``bodies``, one receipt each, in their order.

        ``skew_ms`` is the phone's clock measured at this push.  ``more_problems`` are codes that
        are noted with each, because of the way they came.  Nothing is refused.
        """
        intake = Intake(self.organisation.id, self.policy, device, skew_ms, self.now_ms)
        items = [intake.read(body) for body in bodies]
        for item in items:
            item.problems += more_problems
        visit_ids = {item.operation.visit for item in items}
        owners = intake.owners_of(visit_ids)
        self.hold(visit_ids)
        held = journal.hashes_of(
            self._connection, self.organisation.id, {item.operation.id for item in items}
        )
        fresh = []
        for item in items:
            hashes = held[item.operation.id]
            if item.operation.hash in hashes:
                item.outcome = "duplicate"
                continue
            if hashes:
                item.problems.append("operation.same-id")
            hashes.add(item.operation.hash)
            fresh.append(item)
        intake.check_authors(fresh, owners)
        intake.check_counters(fresh)
        self._count(fresh)
        self._fold_all(fresh)
        return [_receipt(item) for item in items]

    def refresh(self, visit_id: str) -> None:
        """Fold the visit again: something outside the journal that its flags depend on changed."""
        self.hold([visit_id])
        self._fold([visit_id], {})

    def finish(self) -> None:
        """Bump the clock, stamp everything touched with it and commit."""
        org_id = self.organisation.id
        if self.touched:
            ids = sorted(self.touched)
            self._lock(sorted(self.touched - self.held))
            db.session.flush()
            self.rev = journal.bump(self._connection, org_id)
            # Behind the bump nothing is decided any more, only stamped.
            db.session.execute(
                update(Visit)
                .where(Visit.org_id == org_id, Visit.id.in_(ids))
                .values(rev=self.rev)
                .execution_options(synchronize_session=False)
            )
            moves = chain.from_iterable(self.moves.values())
            scope.move(self._connection, org_id, moves, self.rev)
            journal.stamp(self._connection, org_id, ids, self.rev)
        db.session.commit()
        for job, visit_id in dict.fromkeys(self.after):
            jobs.enqueue(job, visit_id)

    # Folding and writing

    def _fold_all(self, items: Sequence[Incoming]) -> None:
        """Fold what is new into its visits."""
        by_visit: dict[str, list[Incoming]] = defaultdict(list)
        for item in items:
            by_visit[item.operation.visit].append(item)
        ids = sorted(by_visit)
        for start in range(0, len(ids), VISITS_AT_ONCE):
            self._fold(ids[start : start + VISITS_AT_ONCE], by_visit)

    def _fold(self, visit_ids: Sequence[str], new: Mapping[str, Sequence[Incoming]]) -> None:
        """Fold these visits anew, each with what is ``new`` of it, and write what follows."""
        visits = self._visits(visit_ids)
        rows = journal.rows_by_visit(self._connection, self.organisation.id, list(visits))
        work = [
            Work(visit, [journal.received(row) for row in rows[id_]], new.get(id_, ()))
            for id_, visit in visits.items()
        ]
        before = {id_: told_elsewhere(visit) for id_, visit in visits.items()}
        states = self._write_all(work)
        # Somebody else's visit: kept, never folded into it.
        self._append([item for id_ in visit_ids for item in new.get(id_, ())], states)
        self.touched |= visits.keys()
        changed = [id_ for id_, visit in visits.items() if told_elsewhere(visit) != before[id_]]
        if changed:
            self.touched |= visits_beside(db.session, changed)
        self.after += [("report", id_) for id_, state in states.items() if _asks_for_paper(state)]

    def _visits(self, visit_ids: Sequence[str]) -> dict[str, Visit]:
        """Those of ``visit_ids`` that are of here, with what their promises hang on."""
        request = joinedload(Visit.work_order).joinedload(WorkOrder.request)
        rows = db.session.scalars(
            select(Visit)
            .where(Visit.id.in_(visit_ids), Visit.org_id == self.organisation.id)
            .order_by(Visit.id)
            .options(request.joinedload(ServiceRequest.site))
            .with_for_update(of=Visit)
        )
        return {visit.id: visit for visit in rows}

    def _write_all(self, work: Sequence[Work]) -> dict[str, merge.State]:
        """Write every visit; together, or each on its own when that fails."""
        self.holders = scope.holders_by_visit(
            self._connection, self.organisation.id, [each.visit.id for each in work]
        )
        moves = dict(self.moves)
        try:
            with db.session.begin_nested():
                facts = Facts.of(self.organisation.id, [each.whole for each in work])
                return {each.visit.id: self._write(each.visit, each.whole, facts) for each in work}
        except OperationalError:
            raise  # the database's trouble, not the operations': the phone sends them again
        except Exception:
            log.exception("folding %d visits failed; each is tried on its own", len(work))
        self.moves = moves
        return {each.visit.id: self._write_sound(each) for each in work}

    def _write_sound(self, work: Work) -> merge.State:
        """Write the visit; operations that cannot be folded are marked and left out."""
        state = self._write_alone(work.visit, work.whole)
        if state is not None:
            return state
        log.error("folding visit %s failed; looking for the operation", work.visit.id)
        sound: list[Received] = []
        for old in work.held:
            can_write = self._write_alone(work.visit, [*sound, old]) is not None
            sound.append(old if can_write else _left_out(old))
        for item in work.new:
            if self._write_alone(work.visit, [*sound, item.received]) is None:
                item.problems.append("operation.fold-failed")
            sound.append(item.received)
        facts = Facts.of(self.organisation.id, [sound])
        with db.session.begin_nested():
            return self._write(work.visit, sound, facts)

    def _write_alone(self, visit: Visit, received: Sequence[Received]) -> merge.State | None:
        """Write the visit, or nothing of it when that cannot be done."""
        moves = dict(self.moves)
        try:
            with db.session.begin_nested():
                facts = Facts.of(self.organisation.id, [received])
                return self._write(visit, received, facts)
        except OperationalError:
            raise
        except Exception:
            self.moves = moves
            return None

    def _write(self, visit: Visit, received: Sequence[Received], facts: Facts) -> merge.State:
        """Fold ``received`` and write all that follows for ``visit``."""
        state = merge.fold(received, visit.id)
        if state["signatures"]:
            signing.check_signatures(state, received, facts.served)
        flag_photos(state, facts.unreadable)
        merge.mark_dismissed(state)
        number_notices(self.organisation, self.policy, state)
        # What brings the scope from before the unit to now: of several folds the last.
        self.moves[visit.id] = project(self, visit, state)
        return state

    def _append(self, items: Sequence[Incoming], states: Mapping[str, merge.State]) -> None:
        for item in items:
            item.outcome = _outcome(item, states.get(item.operation.visit))
        journal.append(
            self._connection,
            self.organisation.id,
            [journal.Entry(item.received, item.outcome) for item in items],
            self.now_ms,
        )
        self._refer([item.operation for item in items if item.operation.kind == "photo"])

    def _refer(self, operations: Sequence[Operation]) -> None:
        """Note which photos operations speak of; what others noted stays theirs."""
        rows = [
            {
                "operation_id": operation.id,
                "sha256": name,
                "org_id": self.organisation.id,
                "visit_id": operation.visit,
            }
            for operation in operations
            if isinstance(operation.value, Mapping)
            for name in _photos_of(operation.value)
        ]
        if rows:
            table: Any = BlobReference.__table__
            db.session.execute(insert_new(table), rows)

    def _count(self, items: Sequence[Incoming]) -> None:
        """Count what arrived of each phone, whoever brought it."""
        numbered = [
            item.operation.device
            for item in items
            if item.operation.n > 0 and "device.counter-twice" not in item.problems
        ]
        for device_id, count in sorted(Counter(numbered).items()):
            db.session.execute(
                update(Device)
                .where(Device.id == device_id, Device.org_id == self.organisation.id)
                .values(received=Device.received + count)
                .execution_options(synchronize_session=False)
            )

    def _lock(self, visit_ids: Sequence[str]) -> None:
        """Take visits before the clock: who holds it waits for nobody."""
        if visit_ids:
            db.session.execute(
                select(Visit.id)
                .where(Visit.org_id == self.organisation.id, Visit.id.in_(visit_ids))
                .order_by(Visit.id)
                .with_for_update()
            )

    # Looking things up

    @property
    def _connection(self) -> Connection:
        return db.session.connection()

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
    return journal.rows_of(db.session.connection(), visit.org_id, visit.id)


def received_of(visit: Visit) -> list[Received]:
    """The operations of a visit, ready to fold."""
    return [journal.received(row) for row in journal_of(visit)]


def _receipt(item: Incoming) -> Receipt:
    reasons = dict.fromkeys(problem.partition("=")[0] for problem in item.problems)
    if item.outcome == "duplicate":
        # Of a copy that was damaged the same way twice; otherwise the first receipt said it all.
        reasons = dict.fromkeys(reasons.keys() & {"operation.hash-mismatch"})
    return Receipt(item.called, item.outcome, tuple(reasons))


def _outcome(item: Incoming, state: merge.State | None) -> str:
    if item.outcome == "opaque":
        return "opaque"
    if state is None:
        return "flagged"
    id_ = item.operation.id
    if any(cell["conflict"] and id_ in cell["heads"] for cell in state["fields"].values()):
        return "conflict"
    flagged = item.problems or any(flag["operation"] == id_ for flag in state["flags"])
    return "flagged" if flagged else "merged"


def _left_out(received: Received) -> Received:
    """An operation that this version cannot fold although an earlier one could."""
    return Received(
        received.operation,
        received.corrected_ms,
        (*received.problems, "operation.fold-failed"),
    )


def _asks_for_paper(state: merge.State) -> bool:
    """Whether the customer signed or refused to, be it taken back: a sealed paper must say so."""
    return bool(state["signatures"]) or any(
        entry["kind"] == "refusal" for entry in state["entries"]
    )


def _photos_of(value: Mapping[str, Any]) -> list[str]:
    """The photos that a value names: what is shown, and the same without marks."""
    told = (value.get("sha256"), value.get("unmarked"))
    return sorted({name for name in told if blobs.is_name(name)})
