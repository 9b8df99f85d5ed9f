"""Who goes: the value of an assignment, and what the phones of those who go may still hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from fieldapp.desk.pages import UNDER_WAY
from fieldapp.desk.phones import PhoneLine, lines_of
from fieldapp.desk.seen import Seen
from fieldapp.models import Person, Visit, db
from sync import scope
from sync.validate import Finding


@dataclass(frozen=True)
class Holding:
    """What is not here yet, as far as the phones of a visit's people tell.

    ``present`` are phones of those who have the visit, ``former`` those of people it was taken
    from, as long as they hold something; ``under_way`` counts visits the engineer is on.
    """

    present: list[PhoneLine]
    former: list[PhoneLine]
    under_way: int

    @property
    def is_doubtful(self) -> bool:
        """Whether giving the visit away may hide work that was done."""
        return bool(self.under_way) or any(not line.is_sure for line in self.present)


def holding_of(seen: Seen) -> Holding:
    """What the phones of a visit's people may still hold."""
    visit = seen.visit
    held = scope.holders(db.session.connection(), visit.org_id, visit.id)
    present = [id_ for id_, (active, reason) in held.items() if active or reason == scope.CLOSED]
    lines = lines_of(visit.org_id, seen.now, held) if held else {}
    under_way = db.session.scalars(
        select(Visit.id).where(
            Visit.org_id == visit.org_id,
            Visit.engineer_id == visit.engineer_id,
            Visit.status.in_(UNDER_WAY),
        )
    ).all()
    return Holding(
        [line for id_ in present for line in lines.get(id_, ())],
        [line for id_ in held if id_ not in present for line in lines.get(id_, ()) if line.count],
        len(under_way) if visit.engineer_id is not None else 0,
    )


def complete(value: Mapping[str, Any]) -> dict[str, Any]:
    """An assignment as it is stored: nobody is the empty text, nobody else is left out.

    Two people who mean the same then write the same.
    """
    engineer = value.get("engineer") or ""
    helpers = [id_ for id_ in dict.fromkeys(value.get("helpers") or ()) if id_ != engineer]
    return {"engineer": engineer} | ({"helpers": helpers} if helpers else {})


def assignment_findings(value: Mapping[str, Any], engineers: Sequence[Person]) -> list[Finding]:
    """What is wrong with an assignment: everybody on it is an engineer of the house.

    Helpers help somebody: without an engineer nobody would answer for the visit.
    """
    known = {person.id for person in engineers}
    engineer, helpers = value.get("engineer") or "", value.get("helpers") or []
    found: list[Finding] = []
    if engineer and engineer not in known:
        found.append({"field": "engineer", "code": "field.not-a-choice", "detail": ""})
    elif helpers and not engineer:
        found.append({"field": "engineer", "code": "field.missing", "detail": ""})
    if not known.issuperset(helpers):
        found.append({"field": "helpers", "code": "field.not-a-choice", "detail": ""})
    return found
