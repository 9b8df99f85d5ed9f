"""What a folded visit writes into the tables that lists and scopes read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fieldapp.context import targets_of
from fieldapp.models import Person, Visit, db
from sync.merge import State
from sync.scope import Move

if TYPE_CHECKING:
    from fieldapp.perform import Unit

SUMMARY_CHARACTERS = 120


def project(unit: Unit, visit: Visit, state: State) -> list[Move]:
    """Write ``state`` and its columns into ``visit``; returns the changes of scope that follow."""
    fields = state["fields"]
    before = visit.engineer_id
    after = _engineer(unit, fields)
    visit.state = state
    visit.engineer_id = after
    visit.status = state["visit"]["status"]
    visit.appointment_at = _time(_value(fields, "appointment/at"))
    visit.arrived_at = _time(state["visit"]["arrived_at"])
    visit.conflict_count = sum(1 for cell in fields.values() if cell["conflict"])
    visit.flag_count = len(state["flags"])
    visit.summary_text = _line(
        _value(fields, "diagnosis/text") or _value(fields, "fault/text") or ""
    )
    db.session.flush()
    if visit.work_order is not None:
        visit.due_at = _arrival_due(unit, visit)
    return _scope_changes(visit.id, before, after)


def told_elsewhere(visit: Visit) -> tuple[Any, ...]:
    """What the contexts of other visits say of this one: its line of history and its loaners."""
    history = (visit.arrived_at, visit.engineer_id, visit.summary_text)
    entries = visit.state.get("entries", ()) if visit.state else ()
    loaners = [
        (entry["id"], entry["at"], entry["value"], entry.get("notice"))
        for entry in entries
        if entry["kind"] in ("loaner", "take-back") and not entry["voids"]
    ]
    return (history if visit.arrived_at else None, loaners)


def _engineer(unit: Unit, fields: Mapping[str, Any]) -> str | None:
    """The engineer assigned, when it is a person of this organisation."""
    value = _value(fields, "assignment")
    id_ = str(value.get("engineer") or "") if isinstance(value, Mapping) else ""
    person = db.session.get(Person, id_) if id_.isprintable() else None
    return person.id if person is not None and person.org_id == unit.organisation.id else None


def _arrival_due(unit: Unit, visit: Visit) -> datetime | None:
    for target in targets_of(visit, unit.policy):
        if target["name"] == "arrival":
            return _time(target["due_at"])
    return None


def _scope_changes(visit_id: str, before: str | None, after: str | None) -> list[Move]:
    if before == after:
        return []
    moves = []
    if before is not None:
        moves.append(Move(before, visit_id, False, "reassigned"))
    if after is not None:
        moves.append(Move(after, visit_id, True, "assigned"))
    return moves


def _value(fields: Mapping[str, Any], path: str) -> Any:
    cell = fields.get(path)
    return cell["value"] if cell else None


def _line(value: Any) -> str:
    """The beginning of a text, without what a column cannot hold."""
    return str(value).replace("\0", "")[:SUMMARY_CHARACTERS]


def _time(text: Any) -> datetime | None:
    """The moment in ``text``, if it is one that UTC can write."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
