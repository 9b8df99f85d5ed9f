"""Operations are kept, folded and projected.  The only writer of visits.

A :func:`unit` is one transaction: operations are appended to the journal, every visit they touch is
folded anew and its columns written, and the organisation's clock is bumped behind all that, so
that a phone that reads up to a revision has seen everything below it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.exc import OperationalError

from fieldapp import __version__, blobs, jobs
from fieldapp.context import visits_holding
from fieldapp.database import begin_writing
from fieldapp.ids import mint_id
from fieldapp.intake import SERVER, Incoming, Intake
from fieldapp.models import Blob, BlobReference, Device, Organisation, Person, Visit, db
from fieldapp.notices import number_notices
from fieldapp.policies import Policy, load_policy
from fieldapp.projection import project, told_elsewhere
from sync import catalogue, journal, merge, scope, signing
from sync.canonical import hash_of
from sync.operation import Received
from sync.tables import context_block

__all__ = ["SERVER", "Receipt", "Unit", "journal_of", "received_of", "unit"]

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
class Unit:
    """One transaction on visits of one organisation.  Made by :func:`unit`."""

    organisation: Organisation
    now: datetime
    policy: Policy
    touched: set[str] = field(default_factory=set)
    folded: set[str] = field(default_factory=set)
    moves: list[scope.Move] = field(default_factory=list)
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

        ``skew_ms`` is the phone's clock measured at this push.  Nothing is refused.
        """
        intake = Intake(self.organisation.id, self.policy, device, skew_ms, self.now_ms)
        items = [intake.read(body) for body in bodies]
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
        intake.check_authors(fresh)
        for visit_id in sorted({item.operation.visit for item in fresh}):
            self._fold(visit_id, [item for item in fresh if item.operation.visit == visit_id])
        return [_receipt(item) for item in items]

    def refresh(self, visit_id: str) -> None:
        """Fold the visit again: something outside the journal that its flags depend on changed."""
        self._fold(visit_id, [])

    def finish(self) -> None:
        """Bump the clock, stamp everything touched with it and commit."""
        org_id = self.organisation.id
        if self.touched:
            ids = sorted(self.touched)
            self._lock(sorted(self.touched - self.folded))
            db.session.flush()
            self.rev = journal.bump(self._connection, org_id)
            # Behind the bump nothing is decided any more, only stamped.
            db.session.execute(
                update(Visit)
                .where(Visit.org_id == org_id, Visit.id.in_(ids))
                .values(rev=self.rev)
                .execution_options(synchronize_session=False)
            )
            scope.move(self._connection, org_id, self.moves, self.rev)
            journal.stamp(self._connection, org_id, ids, self.rev)
        db.session.commit()
        for job, visit_id in dict.fromkeys(self.after):
            jobs.enqueue(job, visit_id)

    # Folding and writing

    def _fold(self, visit_id: str, new: Sequence[Incoming]) -> None:
        visit = db.session.scalars(
            select(Visit)
            .where(Visit.id == visit_id, Visit.org_id == self.organisation.id)
            .with_for_update()
        ).one_or_none()
        if visit is None:
            # Somebody else's visit: kept, never folded into it.
            self._append(new, None)
            return
        held = [
            journal.received(row)
            for row in journal.rows_of(self._connection, self.organisation.id, visit_id)
        ]
        before = told_elsewhere(visit)
        state = self._write_sound(visit, held, new)
        self._append(new, state)
        self.touched.add(visit_id)
        self.folded.add(visit_id)
        if told_elsewhere(visit) != before:
            self.touched.update(visits_holding(db.session, visit))
        if _asks_for_paper(state):
            self.after.append(("report", visit_id))

    def _write_sound(
        self, visit: Visit, held: Sequence[Received], new: Sequence[Incoming]
    ) -> merge.State:
        """Write the visit; operations that cannot be folded are marked and left out."""
        try:
            return self._write(visit, [*held, *(item.received for item in new)])
        except OperationalError:
            raise  # the database's trouble, not the operations': the phone sends them again
        except Exception:
            log.exception("folding visit %s failed; looking for the operation", visit.id)
        sound: list[Received] = []
        for old in held:
            sound.append(old if self._can_write(visit, [*sound, old]) else _left_out(old))
        for item in new:
            if not self._can_write(visit, [*sound, item.received]):
                item.problems.append("operation.fold-failed")
            sound.append(item.received)
        return self._write(visit, sound)

    def _can_write(self, visit: Visit, received: Sequence[Received]) -> bool:
        try:
            self._write(visit, received)
        except OperationalError:
            raise
        except Exception:
            return False
        return True

    def _write(self, visit: Visit, received: Sequence[Received]) -> merge.State:
        """Fold ``received`` and write all that follows for ``visit``, or nothing of it."""
        with db.session.begin_nested():
            state = merge.fold(received, visit.id)
            if state["signatures"]:
                signing.check_signatures(state, received, self._served(received))
            self._flag_photos(state)
            number_notices(self.organisation, self.policy, state)
            moves = project(self, visit, state)
        self.moves += moves
        return state

    def _flag_photos(self, state: merge.State) -> None:
        hashes = {
            str(entry["value"].get("sha256")): entry["id"]
            for entry in state["entries"]
            if entry["kind"] == "photo" and blobs.is_name(entry["value"].get("sha256"))
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

    def _append(self, items: Sequence[Incoming], state: merge.State | None) -> None:
        for item in items:
            item.outcome = _outcome(item, state)
        journal.append(
            self._connection,
            self.organisation.id,
            [journal.Entry(item.received, item.outcome) for item in items],
            self.now_ms,
        )
        for item in items:
            value = item.operation.value
            if item.operation.kind == "photo" and isinstance(value, Mapping):
                self._refer(item.operation.id, item.operation.visit, value.get("sha256"))

    def _refer(self, operation_id: str, visit_id: str, sha256: Any) -> None:
        """Note that an operation speaks of a photo; what others noted stays theirs."""
        if not blobs.is_name(sha256):
            return
        if db.session.get(BlobReference, (operation_id, sha256)) is None:
            db.session.add(
                BlobReference(
                    operation_id=operation_id,
                    sha256=sha256,
                    org_id=self.organisation.id,
                    visit_id=visit_id,
                )
            )

    def _lock(self, visit_ids: Sequence[str]) -> None:
        """Take visits that are only touched, before the clock: who holds it waits for nobody."""
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

    def _served(self, received: Sequence[Received]) -> dict[str, str]:
        """The context blocks that signatures among ``received`` name, as they were served.

        A block may have been served with another visit of the same work order first.
        """
        named = {
            str(item.operation.value.get("context_sha256"))
            for item in received
            if item.operation.kind == "signature" and isinstance(item.operation.value, Mapping)
        }
        rows = db.session.execute(
            select(context_block.c.sha256, context_block.c.body).where(
                context_block.c.org_id == self.organisation.id,
                context_block.c.sha256.in_({name for name in named if blobs.is_name(name)}),
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
    return journal.rows_of(db.session.connection(), visit.org_id, visit.id)


def received_of(visit: Visit) -> list[Received]:
    """The operations of a visit, ready to fold."""
    return [journal.received(row) for row in journal_of(visit)]


def _receipt(item: Incoming) -> Receipt:
    if item.outcome == "duplicate":
        return Receipt(item.called, "duplicate")
    reasons = dict.fromkeys(problem.partition("=")[0] for problem in item.problems)
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
