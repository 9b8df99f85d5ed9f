"""``/desk/visits/…/attempts``: papers that could not be made are tried once more."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import g, redirect
from flask.typing import ResponseReturnValue

from fieldapp.access import desk_visit_for, needs
from fieldapp.desk.pages import DESK, bp
from fieldapp.hindrances import try_again


@bp.post("/visits/<visit_id>/attempts")
@needs(*DESK)
def create_attempt(visit_id: str) -> ResponseReturnValue:
    """The papers of the visit are tried again now."""
    try_again(desk_visit_for(g.person, visit_id), datetime.now(UTC))
    return redirect(f"/desk/visits/{visit_id}#papers", 303)
