"""``/desk/bundles…``: the papers of a month in one file."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Response, current_app, g, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.wsgi import FileWrapper

from fieldapp import blobs
from fieldapp.access import needs
from fieldapp.bundles import (
    ask_again,
    ask_bundle,
    bundle_for,
    bundles_of,
    file_of,
    is_lost,
    months_of,
)
from fieldapp.desk.pages import DESK, bp, desk_page, names_of
from fieldapp.languages import current_language
from fieldapp.models.bundles import READY
from fieldapp.presentation import policy_of
from sync.problems import CATALOGUE, Problem

PIECE_BYTES = 1 << 16
"""How much of a file is in memory while it is handed out."""


@bp.get("/bundles")
@needs(*DESK)
def show_bundles() -> ResponseReturnValue:
    """Where a month is chosen, and the files there are."""
    return _page("", None, 200)


@bp.post("/bundles")
@needs(*DESK)
def create_bundle() -> ResponseReturnValue:
    """The papers of a month are put into a file in the background."""
    month = request.form.get("month", "")
    try:
        ask_bundle(g.person, month, current_language(), datetime.now(UTC))
    except Problem as problem:
        if not problem.code.startswith("bundle."):
            raise
        return _page(month, problem.code, CATALOGUE[problem.code].status)
    return redirect("/desk/bundles", 303)


@bp.get("/bundles/<bundle_id>")
@needs(*DESK)
def show_bundle(bundle_id: str) -> ResponseReturnValue:
    """How far one file is: a part of the page, asked for while it is made."""
    bundle = bundle_for(g.person, bundle_id)
    return desk_page(
        "desk/_bundle.html",
        policy_of(g.person.org_id),
        bundle=bundle,
        lost=is_lost(bundle, datetime.now(UTC)),
        names=names_of([bundle.asked_by_id]),
        zone=g.person.organisation.zone,
    )


@bp.post("/bundles/<bundle_id>/tries")
@needs(*DESK)
def create_try(bundle_id: str) -> ResponseReturnValue:
    """A file that failed or was lost is begun again."""
    ask_again(g.person, bundle_id, datetime.now(UTC))
    return redirect("/desk/bundles", 303)


@bp.get("/bundles/<bundle_id>.zip")
@needs(*DESK)
def show_bundle_file(bundle_id: str) -> ResponseReturnValue:
    """The finished file, or the rest of it after a broken line.

    Problem("bundle.not-found") when it is not finished, or gone.
    """
    bundle = bundle_for(g.person, bundle_id)
    file = blobs.reading(bundle.org_id, file_of(bundle)) if bundle.state == READY else None
    if file is None:
        raise Problem("bundle.not-found")
    pieces = FileWrapper(file, PIECE_BYTES)
    response = Response(pieces, mimetype="application/zip", direct_passthrough=True)
    response.call_on_close(file.close)
    response.content_length = bundle.size
    response.headers.set("Content-Disposition", "attachment", filename=f"papers-{bundle.month}.zip")
    response.set_etag(f"{bundle.id}-{bundle.tries}")  # made again, it is another file
    return response.make_conditional(request, accept_ranges=True, complete_length=bundle.size)


def _page(month: str, problem: str | None, status: int) -> Response:
    now = datetime.now(UTC)
    owner = g.person.organisation
    bundles = bundles_of(owner.id)
    return desk_page(
        "desk/bundles.html",
        policy_of(owner.id),
        status,
        bundles=[(bundle, is_lost(bundle, now)) for bundle in bundles],
        names=names_of([bundle.asked_by_id for bundle in bundles]),
        months=months_of(owner, now),
        month=month,
        problem=problem,
        zone=owner.zone,
        days=current_app.config["BUNDLE_DAYS"],
    )


@bp.app_template_filter("file_size")
def file_size(size: int) -> str:
    """``size`` in bytes as people say it: ``1.4 MB``; a small file has one kilobyte."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"
