"""``/health``: whether this node can work, for a proxy or a monitor that asks every few seconds."""

from __future__ import annotations

import logging

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from fieldapp.models import db

bp = Blueprint("pulse", __name__)
log = logging.getLogger(__name__)


@bp.get("/health")
def show_health() -> ResponseReturnValue:
    """200 while the database answers, else 503; it says nothing more to whoever asks."""
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        db.session.rollback()
        log.warning("health: %s", error)
        return Response("database\n", 503, mimetype="text/plain")
    return Response("ok\n", mimetype="text/plain")
