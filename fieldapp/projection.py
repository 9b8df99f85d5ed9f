"""What a folded visit writes into the tables that lists and scopes read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fieldapp.context import context_of
from fieldapp.models import Person, Visit, db
from sync.merge import State

if TYPE_CHECKING:
    from fieldapp.perform import Unit

SUMMARY_CHARACTERS = 120


def project(unit: Unit, visit: Visit, state: State) -> list[dict[str, Any]]:
    """Write ``state`` and its columns into ``visit``.

    Returns the changes of scope that follow, ``[{person_id, visit_id, active, reason}]``.
    """
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
    visit.summary_text = str(
        _value(fields, "diagnosis/text") or _value(fields, "fault/text") or ""
    )[:SUMMARY_CHARACTERS]
    db.session.flush()
    if visit.work_order is not None:
        visit.due_at = _arrival_due(unit, visit)
    return _scope_changes(visit.id, before, after)


def _engineer(unit: Unit, fields: Mapping[str, Any]) -> str | None:
    """The engineer assigned, when it is a person of this organisation."""
    value = _value(fields, "assignment")
    id_ = str(value.get("engineer") or "") if isinstance(value, Mapping) else ""
    person = db.session.get(Person, id_) if id_ else None
    return person.id if person is not None and person.org_id == unit.organisation.id else None


def _arrival_due(unit: Unit, visit: Visit) -> datetime | None:
    for target in context_of(visit, unit.policy, unit.now)["targets"]:
        if target["name"] == "arrival":
            return _time(target["due_at"])
    return None


def _scope_changes(visit_id: str, before: str | None, after: str | None) -> list[dict[str, Any]]:
    if before == after:
        return []
    changes = []
    if before is not None:
        changes.append(
            {"person_id": before, "visit_id": visit_id, "active": False, "reason": "reassigned"}
        )
    if after is not None:
        changes.append(
            {"person_id": after, "visit_id": visit_id, "active": True, "reason": "assigned"}
        )
    return changes


def _value(fields: Mapping[str, Any], path: str) -> Any:
    cell = fields.get(path)
    return cell["value"] if cell else None


def _time(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
