"""A problem becomes an answer: a page for a person, JSON for a phone.  Nobody gets a bare 500."""

from __future__ import annotations

import logging

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from fieldapp.models import db
from fieldapp.pages import explain, explain_in, server_page
from sync.problems import CATALOGUE, Problem
from sync.protocol import MEDIA_TYPE, PROTOCOL

log = logging.getLogger(__name__)

_CODES = {
    400: "content.unreadable",
    403: "access.role",
    404: "page.unknown",
    405: "method.not-allowed",
    413: "content.too-large",
    415: "content.wrong-type",
    429: "access.too-often",
    503: "server.busy",
}

RETRY_SECONDS = {429: 60, 503: 2}
"""How long a phone is asked to wait before it tries again, by status."""


def install(app: Flask) -> None:
    """Register the one handler for everything that goes wrong."""
    app.register_error_handler(Problem, show_problem)
    app.register_error_handler(HTTPException, _show_http)
    app.register_error_handler(OperationalError, _show_busy)
    app.register_error_handler(Exception, _show_failure)


def show_problem(problem: Problem) -> ResponseReturnValue:
    """The problem in the reader's language and form."""
    kind = CATALOGUE.get(problem.code)
    status = (kind.status if kind else 0) or 500
    if request.path.startswith("/sync/"):
        return _as_json(problem, status)
    if problem.code == "access.sign-in" and request.method == "GET":
        return redirect("/sign-in", 303)
    return _page(problem, status), status


def _page(problem: Problem, status: int) -> str:
    arguments = {"code": problem.code, "status": status}
    arguments["text"] = explain(problem.code, problem.args_)
    try:
        return server_page("problem.html", **arguments)
    except SQLAlchemyError:
        # The reader's name is in the database, which may be what is in the way.
        db.session.rollback()
        return server_page("problem.html", person=None, **arguments)


def _as_json(problem: Problem, status: int) -> ResponseReturnValue:
    kind = CATALOGUE.get(problem.code)
    body = {
        "protocol": PROTOCOL,
        "problem": problem.code,
        "retry": bool(kind and kind.retry),
        "text": {
            language: explain_in(language, problem.code, problem.args_).unescape()
            for language in ("zh_CN", "en")
        },
        "args": {
            key: value for key, value in problem.args_.items() if isinstance(value, str | int)
        },
    }
    headers = {"Content-Type": MEDIA_TYPE}
    if status in RETRY_SECONDS:
        headers["Retry-After"] = str(RETRY_SECONDS[status])
    return body, status, headers


def _show_http(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    other = "content.unreadable" if code < 500 else "server.failed"
    return show_problem(Problem(_CODES.get(code, other)))


def _show_busy(error: OperationalError) -> ResponseReturnValue:
    db.session.rollback()
    log.warning("database: %s", error)
    return show_problem(Problem("server.busy"))


def _show_failure(error: Exception) -> ResponseReturnValue:
    db.session.rollback()
    log.exception("a request failed", exc_info=error)
    return show_problem(Problem("server.failed"))
