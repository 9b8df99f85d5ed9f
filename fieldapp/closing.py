"""Visits that are over leave the phones: what an engineer carries must not grow for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import select

from fieldapp.models import Visit, db
from fieldapp.perform import unit
from sync.scope import CLOSED, Move
from sync.tables import visit_scope

BATCH = 200
"""Visits put away in one transaction: pushes wait for no more than that."""


def close_visits(now: datetime) -> int:
    """Take visits accepted or cancelled ``CLOSED_DAYS`` ago from the phones; returns how many.

    Nothing is deleted: the desk still has them, and one that is opened again comes back.
    """
    before = now - timedelta(days=current_app.config["CLOSED_DAYS"])
    count = 0
    while found := _due(before):
        org_id = found[0][0]
        with unit(org_id, now) as opened:
            # Again under the lock: somebody may have opened one meanwhile.
            for _, person_id, visit_id in _due(before, org_id):
                opened.moves.setdefault(visit_id, []).append(
                    Move(person_id, visit_id, False, CLOSED)
                )
                opened.touch(visit_id)
                count += 1
    return count


def _due(before: datetime, org_id: str | None = None) -> list[tuple[str, str, str]]:
    """Organisation, person and visit of what is still carried and over since ``before``."""
    statement = (
        select(Visit.org_id, visit_scope.c.person_id, Visit.id)
        .join(
            visit_scope,
            (visit_scope.c.org_id == Visit.org_id) & (visit_scope.c.visit_id == Visit.id),
        )
        .where(Visit.closed_at < before, visit_scope.c.active)
        .order_by(Visit.org_id, Visit.id)
        .limit(BATCH)
    )
    if org_id is not None:
        statement = statement.where(Visit.org_id == org_id).with_for_update(of=Visit)
    return [(row[0], row[1], row[2]) for row in db.session.execute(statement)]
