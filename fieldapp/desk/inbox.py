"""``/desk/inbox``: everything that waits for somebody's decision, and what was settled lately."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Row, func, select, text

from fieldapp.access import needs, signed_in
from fieldapp.desk.conflicts import conflicts_of
from fieldapp.desk.flags import flags_of, quarantine_of
from fieldapp.desk.opened import opening_of
from fieldapp.desk.pages import DESK, bp, desk_page
from fieldapp.desk.seen import Seen, rows_named, seen_among
from fieldapp.desk.timeline import Line, timeline
from fieldapp.models import Visit, db
from fieldapp.models.work import TO_SETTLE
from fieldapp.presentation import policy_of
from sync.merge import REOPENED
from sync.tables import DECISIONS, journal

VISITS_A_PAGE = 20
"""Visits whose items one page of the inbox shows."""

LATELY = 10
"""Decisions that the inbox still shows, the newest first."""


@dataclass(frozen=True)
class Item:
    """A visit with what waits on it: conflicts, flags that nobody dismissed, things kept apart."""

    seen: Seen
    conflicts: list[dict[str, Any]]
    flags: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]


@bp.get("/inbox")
@needs(*DESK)
def show_inbox() -> ResponseReturnValue:
    """What waits, by visit: without an appointment first, then the newest appointment."""
    org_id = g.person.org_id
    count = db.session.scalar(select(func.count(Visit.id)).where(*_waiting(org_id))) or 0
    pages = max(1, math.ceil(count / VISITS_A_PAGE))
    page = min(max(1, request.args.get("page", 1, type=int)), pages)
    visits = _visits(org_id, page)
    decided = _decided_lately(org_id)
    return desk_page(
        "desk/inbox.html",
        policy_of(org_id),
        items=_items(org_id, visits),
        opening_of=opening_of,
        lately=_lately(decided),
        page=page,
        pages=pages,
    )


@bp.app_template_global()
def count_open_items() -> int:
    """How many conflicts and flags wait at the desk of this request's reader.  One query."""
    person = signed_in()
    if person is None:
        return 0
    return int(
        db.session.scalar(
            select(func.sum(Visit.conflict_count + Visit.flag_count)).where(
                *_waiting(person.org_id)
            )
        )
        or 0
    )


def _waiting(org_id: str) -> tuple[Any, ...]:
    """The condition as the index has it: the archive is not looked at."""
    return (Visit.org_id == org_id, text(f"({TO_SETTLE})"))


def _visits(org_id: str, page: int) -> list[Visit]:
    return list(
        db.session.scalars(
            select(Visit)
            .where(*_waiting(org_id))
            .order_by(Visit.appointment_at.desc().nulls_first(), Visit.id.desc())
            .offset((page - 1) * VISITS_A_PAGE)
            .limit(VISITS_A_PAGE)
        )
    )


def _items(org_id: str, visits: Sequence[Visit]) -> list[Item]:
    ids = {id_ for visit in visits for id_ in _spoken_of(visit.state or {})}
    items = []
    for seen in seen_among(visits, rows_named(org_id, ids)):
        flags = [flag for flag in flags_of(seen) if not flag["dismissed"]]
        apart = [
            item
            for item in quarantine_of(seen)
            if any(not flag["dismissed"] for flag in item["flags"])
        ]
        items.append(Item(seen, conflicts_of(seen, None), flags, apart))
    return items


def _spoken_of(state: dict[str, Any]) -> set[str]:
    """Ids of the operations that the items of a visit name."""
    found = {flag["operation"] for flag in state.get("flags", ())}
    found.update(item["id"] for item in state.get("quarantine", ()))
    for path, cell in state.get("fields", {}).items():
        if cell["conflict"]:
            found.update(side["operation"] for side in cell["sides"])
            found.update(path.split("/")[1:2] if path.startswith("entries/") else ())
    return found


def _decided_lately(org_id: str) -> list[Row[Any]]:
    """The newest decisions and what takes decisions back, whole."""
    return list(
        db.session.execute(
            select(journal)
            .where(journal.c.org_id == org_id, text(DECISIONS))
            .order_by(journal.c.received_ms.desc(), journal.c.id.desc())
            .limit(2 * LATELY)
        )
    )


def _lately(rows: Sequence[Row[Any]]) -> list[tuple[Seen, Line]]:
    """The decisions among ``rows``, each with its visit, the newest first.

    Who took one back did so later: that row is among them too.
    """
    newest = [row for row in rows if row.kind in REOPENED][:LATELY]
    if not newest:
        return []  # for no visit at all SQLite would look at every one
    ids = list(dict.fromkeys(row.visit_id for row in newest))
    visits = list(
        db.session.scalars(select(Visit).where(Visit.org_id == g.person.org_id, Visit.id.in_(ids)))
    )
    about = rows_named(g.person.org_id, {id_ for row in newest for id_ in _about(row)})
    by_visit = {
        id_: [*about.get(id_, ()), *(row for row in rows if row.visit_id == id_)] for id_ in ids
    }
    lines = {
        line.id: (seen, line)
        for seen in seen_among(visits, by_visit)
        for line in timeline(seen)
        if line.kind in REOPENED
    }
    return [lines[row.id] for row in newest if row.id in lines]


def _about(row: Row[Any]) -> set[str]:
    """Ids of the entries that a decision speaks of."""
    value = json.loads(row.body).get("value")
    if not isinstance(value, dict):
        return set()
    paths = [path.split("/") for path in value]
    return {parts[1] for parts in paths if len(parts) == 3} | {str(value.get("entry", ""))}
