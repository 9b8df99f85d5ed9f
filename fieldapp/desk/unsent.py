"""``/desk/phones/import``: unsent work that a phone saved as a file, taken into the journal."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from flask import current_app, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.exceptions import RequestEntityTooLarge

from fieldapp import blobs
from fieldapp.access import needs
from fieldapp.desk.pages import DESK, bp, desk_page
from fieldapp.handed_in import HandedIn, Taken, read_handed_in, take_in
from fieldapp.models import Visit, db
from fieldapp.presentation import policy_of
from sync.problems import CATALOGUE, Problem


@bp.get("/phones/import")
@needs(*DESK)
def show_import() -> ResponseReturnValue:
    """Where the file is chosen."""
    return _page()


@bp.post("/phones/import")
@needs(*DESK)
def create_import() -> ResponseReturnValue:
    """A file is looked at first; sent again with what was shown, it is taken.

    Between the two it waits here, one file for each person at the desk: the next takes its place.
    """
    request.max_content_length = current_app.config["UNSENT_BYTES"] + 1024
    try:
        if request.form.get("sha256"):
            return _take(request.form["sha256"])
        return _look()
    except RequestEntityTooLarge:
        return _refused(_too_large())
    except Problem as problem:
        if not problem.code.startswith("unsent."):
            raise
        return _refused(problem)


def _look() -> ResponseReturnValue:
    """Check the file and say what is in it; nothing is taken."""
    file = request.files.get("file")
    if file is None or not file.filename:
        raise Problem("unsent.no-file")
    data = file.stream.read()
    if len(data) > current_app.config["UNSENT_BYTES"]:
        raise _too_large()
    found = read_handed_in(data, g.person.org_id)
    blobs.write(g.person.org_id, _name(), data)
    return _page(found=found, sha256=hashlib.sha256(data).hexdigest())


def _take(sha256: str) -> ResponseReturnValue:
    """Take the file that was shown; Problem("unsent.gone") when it is another one by now."""
    org_id, name = g.person.org_id, _name()
    data = blobs.read(org_id, name)
    if data is None or hashlib.sha256(data).hexdigest() != sha256:
        raise Problem("unsent.gone")
    found = read_handed_in(data, org_id)
    taken = take_in(found, org_id, datetime.now(UTC))
    blobs.remove(org_id, name)
    return _page(found=found, taken=taken)


def _refused(problem: Problem) -> ResponseReturnValue:
    return _page(problem=problem, status=CATALOGUE[problem.code].status)


def _too_large() -> Problem:
    return Problem("unsent.too-large", limit=current_app.config["UNSENT_BYTES"] // 1_000_000)


def _visits(found: HandedIn | None) -> list[Visit]:
    """The visits here that a file speaks of."""
    ids = found.visits if found is not None else []
    if not ids:
        return []  # an empty list would walk through every visit of the organisation
    return list(
        db.session.scalars(
            select(Visit)
            .where(Visit.org_id == g.person.org_id, Visit.id.in_(ids))
            .options(joinedload(Visit.work_order))
            .order_by(Visit.id)
        )
    )


def _name() -> str:
    return f"unsent/{g.person.id}.json"


def _page(
    found: HandedIn | None = None,
    sha256: str = "",
    taken: Taken | None = None,
    problem: Problem | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    return desk_page(
        "desk/unsent.html",
        policy_of(g.person.org_id),
        status,
        found=found,
        sha256=sha256,
        taken=taken,
        visits=_visits(found) if taken else [],
        problem=problem,
        zone=g.person.organisation.zone,
    )
