"""``/desk/visits/…``: one visit, and what the office performs on it by a form each."""

from __future__ import annotations

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from fieldapp import blobs
from fieldapp.access import desk_visit_for, needs
from fieldapp.desk.assignments import complete
from fieldapp.desk.checks import findings_of
from fieldapp.desk.pages import DESK, bp
from fieldapp.desk.review import review_page, stale_page
from fieldapp.desk.seen import Refused, posted_form, refuse_stale, seen_of, writing
from fieldapp.downloads import paper_response
from fieldapp.forms import only_changed, read_heads, read_value
from fieldapp.handover import new_token
from fieldapp.models import Report, Visit, db
from fieldapp.pages import CATALOGUE
from sync import catalogue
from sync.problems import Problem


@bp.get("/visits/<visit_id>")
@needs(*DESK)
def show_visit(visit_id: str) -> ResponseReturnValue:
    """Everything about one visit."""
    return review_page(seen_of(desk_visit_for(g.person, visit_id)), None, 200)


@bp.get("/visits/<visit_id>/<any(faults,appointments,assignments,remarks,cancellations,"
        "reviews,voids,'signature-requests',resolutions,dismissals,releases,"
        "reopenings):noun>")  # fmt: skip
@needs(*DESK)
def show_entries(visit_id: str, noun: str) -> ResponseReturnValue:
    """The forms stand on the visit's own page."""
    del noun
    return redirect(f"/desk/visits/{desk_visit_for(g.person, visit_id).id}", 303)


@bp.post("/visits/<visit_id>/<any(faults,appointments,assignments,remarks,cancellations,"
         "reviews,voids,'signature-requests'):noun>")  # fmt: skip
@needs(*DESK)
def create_entry(visit_id: str, noun: str) -> ResponseReturnValue:
    """The office did something: one form, one operation.

    A fact that somebody else changed meanwhile becomes a conflict, both sides kept.  A decision
    (who goes, cancelled, accepted) about something its author did not see is asked for again.
    """
    seen = seen_of(desk_visit_for(g.person, visit_id))
    kind = CATALOGUE[catalogue.kind_of(noun).name]
    posted = posted_form()
    value = read_value(kind["fields"], posted, seen.offsets)
    refused = Refused(noun, posted, about=request.form.get("entry", ""))
    refused.findings = findings_of(kind, value, seen)
    if kind["name"] == "assignment":
        value = complete(value)
        if "engineer" not in posted:  # nobody is an answer, no answer is none
            missing = {"field": "engineer", "code": "field.missing", "detail": ""}
            refused.findings.append(missing)
    if refused.findings:
        return review_page(seen, refused, 422)
    if kind["policy"] == "set":
        value = only_changed(kind["fields"], value, posted)
    if kind["name"] == "signature-request":
        value["token"] = new_token()
    heads = read_heads(posted)
    try:
        with writing(seen) as opened:
            if kind["policy"] == "assert":
                refuse_stale(opened, visit_id, {kind["name"]: heads.get(kind["name"], [])})
            if kind["name"] == "review" and posted.get("rev") != [str(_rev(visit_id))]:
                raise Problem("form.stale")
            if value:
                opened.perform(kind["name"], visit_id, g.person, value, heads)
    except Problem as problem:
        return stale_page(problem, visit_id, refused)
    return redirect(f"/desk/visits/{visit_id}", 303)


@bp.get("/visits/<visit_id>/photos/<sha256>")
@needs(*DESK)
def show_photo(visit_id: str, sha256: str) -> ResponseReturnValue:
    """A photo of the visit; Problem("photo.not-found") while only a phone has it."""
    return blobs.photo_response(desk_visit_for(g.person, visit_id), sha256)


@bp.get("/visits/<visit_id>/reports/<int(max=9999):revision>/<name>")
@needs(*DESK)
def show_report(visit_id: str, revision: int, name: str) -> ResponseReturnValue:
    """One paper of a sealed revision as a file."""
    visit = desk_visit_for(g.person, visit_id)
    known = db.session.scalar(
        select(Report).where(
            Report.org_id == visit.org_id,
            Report.visit_id == visit.id,
            Report.revision == revision,
            Report.name == name,
        )
    )
    if known is None:
        raise Problem("report.not-found")
    return paper_response(known, visit)


def _rev(visit_id: str) -> int:
    return db.session.get_one(Visit, visit_id, populate_existing=True).rev
