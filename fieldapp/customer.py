"""``/verify/<token>…``: the page behind the QR code and the link of a work order.

Nobody signs in here: whoever holds the link reads what the paper says, takes the papers along,
rates the work and asks.  A token opens one work order and tells nothing of any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from fieldapp import downloads
from fieldapp.forms import read_value
from fieldapp.headers import keep_link
from fieldapp.ids import is_id, is_token, mint_id
from fieldapp.intake import EVERY_CHARACTER
from fieldapp.languages import current_language
from fieldapp.models import Organisation, Report, Visit, db
from fieldapp.models.papers import PLACE
from fieldapp.pages import CATALOGUE, server_page
from fieldapp.perform import unit
from fieldapp.policies import Policy, load_policy
from fieldapp.rates import limiter, per_minute
from fieldapp.sealed import said_in, view_of
from sync import journal
from sync.merge import standing_entries
from sync.operation import CUSTOMER
from sync.paper_view import PaperView
from sync.problems import Problem
from sync.validate import Finding, validate

bp = Blueprint("customer", __name__, url_prefix="/verify")
bp.after_request(keep_link)

MOST = 20
"""Ratings, and questions, that one work order takes."""

UTC_ONLY = (("1970-01-01T00:00:00Z", 0),)
"""The clock of a place that nobody knows any more: the files of its papers are lost."""

KINDS = {"ratings": "rating", "questions": "question"}
"""What can be said here, by the noun in its URL."""


@dataclass(frozen=True)
class Delivered:
    """A work order of which papers were sealed.  ``papers`` is never empty, the oldest first."""

    papers: Sequence[Report]
    visit: Visit
    owner: Organisation
    policy: Policy

    @property
    def newest(self) -> Report:
        """A paper of the newest revision."""
        return self.papers[-1]

    @property
    def revisions(self) -> list[tuple[int, list[Report]]]:
        """The papers by revision, the newest first."""
        numbers = sorted({paper.revision for paper in self.papers}, reverse=True)
        return [(n, [paper for paper in self.papers if paper.revision == n]) for n in numbers]

    @property
    def until_at(self) -> datetime:
        """When the page closes: so long after the engineer left, or after the newest paper."""
        left_at = self.visit.state["visit"]["left_at"]
        begun = [self.newest.sealed_at, *([datetime.fromisoformat(left_at)] if left_at else [])]
        return max(begun) + timedelta(days=self.policy.data["customer"]["page_days"])

    def view(self) -> PaperView | None:
        """What the newest revision says; None when its files are lost."""
        notices = {
            entry["id"]: entry.get("notice")
            for entry in self.visit.state["entries"]
            if entry["kind"] == "loaner"
        }
        for paper in self.revisions[0][1]:
            said = said_in(paper)
            if said is not None:
                return view_of(paper, said, self.owner, notices, current_language())
        return None


@dataclass
class Answered:
    """A form that was posted, as it comes back: what was entered, and what is wrong with it."""

    noun: str = ""
    form: Mapping[str, Any] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    problem: str = ""


@bp.get("/<token>")
@bp.get("/<token>/<int:revision>")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def show_work_order(token: str, revision: int | None = None) -> ResponseReturnValue:
    """What was done, the papers, and a word back."""
    found = delivered(token)
    if found is None or revision not in (None, *(paper.revision for paper in found.papers)):
        return _absent_page(is_expected=found is None and is_token(token))
    if datetime.now(UTC) > found.until_at:
        return _over_page(found)
    return _page(found, revision, Answered()), 200


@bp.get("/<token>/<int:revision>/<name>.pdf")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def show_paper(token: str, revision: int, name: str) -> ResponseReturnValue:
    """One sealed paper as a file; Problem("report.not-found") when it is lost."""
    found = delivered(token)
    papers = found.papers if found is not None else ()
    paper = next((one for one in papers if (one.revision, one.name) == (revision, name)), None)
    if found is None or paper is None:
        return _absent_page(is_expected=found is None and is_token(token))
    if datetime.now(UTC) > found.until_at:
        return _over_page(found)
    return downloads.paper_response(paper, found.visit)


@bp.post("/<token>/<any(ratings,questions):noun>")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def create_word(token: str, noun: str) -> ResponseReturnValue:
    """A rating or a question: one form, one operation, however often it is posted."""
    found = delivered(token)
    if found is None:
        return _absent_page(is_expected=is_token(token))
    now = datetime.now(UTC)
    if now > found.until_at:
        return _over_page(found)
    kind = CATALOGUE[KINDS[noun]]
    posted = {name: request.form.getlist(name) for name in request.form}
    value = read_value(kind["fields"], posted, ())
    findings = validate(kind["fields"], value, found.policy.choices(), EVERY_CHARACTER)
    if findings:
        return _page(found, None, Answered(noun, value, findings)), 422
    try:
        _perform(found.owner.id, found.visit.id, kind["name"], value, now)
    except Problem as problem:
        if problem.code != "customer.too-many":
            raise
        found = delivered(token) or found
        return _page(found, None, Answered(noun, value, problem=problem.code)), 429
    return redirect(f"/verify/{token}?said={kind['name']}", 303)


def delivered(token: str) -> Delivered | None:
    """The work order of which papers were sealed under ``token``."""
    if not is_token(token):
        return None
    papers = db.session.scalars(
        select(Report).where(Report.token == token).order_by(Report.revision, PLACE)
    ).all()
    if not papers:
        return None
    owner = db.session.get_one(Organisation, papers[0].org_id)
    visit = db.session.scalars(
        select(Visit).where(Visit.id == papers[0].visit_id, Visit.org_id == owner.id)
    ).one()
    return Delivered(papers, visit, owner, load_policy(owner.policy))


def _perform(
    org_id: str, visit_id: str, kind: str, value: Mapping[str, Any], now: datetime
) -> None:
    """Perform what the form says, unless it came before.  Raises Problem("customer.too-many")."""
    posted = request.form.get("id", "")
    id_ = posted if is_id(posted) else mint_id(now)
    with unit(org_id, now) as opened:
        opened.hold([visit_id])
        if journal.hashes_of(db.session.connection(), org_id, {id_}):
            return
        visit = db.session.get_one(Visit, visit_id, populate_existing=True)
        if sum(entry["kind"] == kind for entry in visit.state["entries"]) >= MOST:
            raise Problem("customer.too-many")
        opened.perform(kind, visit_id, CUSTOMER, value, id_=id_)


def _page(found: Delivered, revision: int | None, answered: Answered) -> str:
    now = datetime.now(UTC)
    state = found.visit.state
    order = found.visit.work_order
    view = found.view()
    language = "zh" if current_language() == "zh_CN" else "en"
    words = {item["key"]: item[language] for item in found.policy.data["lists"]["ratings"]}
    return server_page(
        "verify/work_order.html",
        owner=found.owner,
        token=found.newest.token,
        number=(order.number if order is not None else None) or "—",
        view=view,
        asked=revision or found.newest.revision,
        latest=found.newest.revision,
        revisions=found.revisions,
        offsets=view.offsets if view is not None else UTC_ONLY,
        ratings=[
            {"at": entry["at"], "stars": words.get(str(entry["value"].get("stars")), "–")}
            for entry in standing_entries(state, "rating")
        ],
        # the words of a question went to the office: not everybody with the link wrote them
        questions=[{"at": entry["at"]} for entry in standing_entries(state, "question")],
        stars=list(words.items()),
        ids={noun: mint_id(now) for noun in KINDS} | _carried(answered),
        kinds={noun: CATALOGUE[name] for noun, name in KINDS.items()},
        answered=answered,
        findings={finding["field"]: finding for finding in answered.findings},
        said=request.args.get("said", ""),
    )


def _carried(answered: Answered) -> dict[str, str]:
    """The id of a form that comes back: posted again it is still the same."""
    posted = request.form.get("id", "")
    return {answered.noun: posted} if answered.noun and is_id(posted) else {}


def _absent_page(*, is_expected: bool) -> ResponseReturnValue:
    """Not here.  ``is_expected`` when it may be on its way from a phone without signal.

    A token that somebody guessed gets the same answer: there is nothing to tell them apart by.
    """
    return server_page("verify/absent.html", is_expected=is_expected), 404


def _over_page(found: Delivered) -> ResponseReturnValue:
    """The page of a work order long ago is closed; who must know more calls."""
    return server_page("verify/over.html", owner=found.owner), 410
