"""What a folded visit writes into the tables that lists and scopes read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fieldapp.context import targets_of
from fieldapp.models import Person, Visit, db
from sync import scope
from sync.merge import OPENING, State, standing_entries
from sync.scope import CLOSED, Move

if TYPE_CHECKING:
    from fieldapp.perform import Unit

SUMMARY_CHARACTERS = 120


def project(unit: Unit, visit: Visit, state: State) -> list[Move]:
    """Write ``state`` and its columns into ``visit``; returns the changes of scope that follow."""
    fields = state["fields"]
    engineers = _engineers(unit, state)
    visit.state = state
    visit.engineer_id = engineers[0] if engineers else None
    visit.status = state["visit"]["status"]
    visit.appointment_at = _time(_value(fields, "appointment/at"))
    visit.arrived_at = _time(state["visit"]["arrived_at"])
    visit.closed_at = _closed_at(visit.status, fields)
    visit.conflict_count = sum(1 for cell in fields.values() if cell["conflict"])
    visit.is_changed = bool(state["visit"]["changes"])
    visit.flag_count = sum(1 for flag in state["flags"] if not flag["dismissed"])
    visit.summary_text = _line(
        _value(fields, "diagnosis/text") or _value(fields, "fault/text") or _reported(state)
    )
    if visit.work_order is not None:
        visit.due_at = _arrival_due(unit, visit)
    return _scope_changes(unit, visit, _people(unit, scope.named_in(state)))


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


def _engineers(unit: Unit, state: State) -> list[str]:
    """Who goes: the engineer of the assignment that is shown, before the first who opened it."""
    if "assignment" not in state["fields"]:
        return _people(unit, scope.named_in(state))
    value = _value(state["fields"], "assignment")
    return _people(unit, [value.get("engineer")] if isinstance(value, Mapping) else [])


def _reported(state: State) -> str:
    """What an engineer reported who opened the visit himself: customer and trouble."""
    openings = [entry["value"] for entry in standing_entries(state, OPENING)]
    said = [openings[-1].get(name) for name in ("customer", "text")] if openings else []
    return " · ".join(text for text in said if isinstance(text, str))


def _people(unit: Unit, ids: Iterable[Any]) -> list[str]:
    """Those of ``ids`` who are people of this organisation, in their order."""
    found = []
    for id_ in ids:
        if not isinstance(id_, str) or not id_.isprintable() or id_ in found:
            continue
        if id_ not in unit.people:
            person = db.session.get(Person, id_)
            unit.people[id_] = person is not None and person.org_id == unit.organisation.id
        if unit.people[id_]:
            found.append(id_)
    return found


def _arrival_due(unit: Unit, visit: Visit) -> datetime | None:
    for target in targets_of(visit, unit.policy):
        if target["name"] == "arrival":
            return _time(target["due_at"])
    return None


def _scope_changes(unit: Unit, visit: Visit, after: list[str]) -> list[Move]:
    """What brings the scope to the people ``after``; a visit put away comes back when reopened."""
    before = unit.holders[visit.id]
    is_closed = visit.closed_at is not None
    moves = []
    for person_id in after:
        active, reason = before.get(person_id, (False, ""))
        if not active and not (is_closed and reason == CLOSED):
            moves.append(Move(person_id, visit.id, True, "assigned"))
    for person_id, (active, _) in before.items():
        if active and person_id not in after:
            reason = "reassigned" if after else "unassigned"
            moves.append(Move(person_id, visit.id, False, reason))
    return moves


def _closed_at(status: str, fields: Mapping[str, Any]) -> datetime | None:
    """When the visit was accepted or cancelled, as long as it is."""
    path = {"accepted": "review", "cancelled": "cancellation"}.get(status)
    return _time(fields[path]["at"]) if path else None


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
