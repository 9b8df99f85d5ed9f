"""The page of one visit as the office reviews it, also when a form came back from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import current_app, g
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from fieldapp.access import desk_visit_for
from fieldapp.desk.assignments import holding_of
from fieldapp.desk.board import first_arrivals, promise_of
from fieldapp.desk.changed import changed_of
from fieldapp.desk.conflicts import conflicts_of, entered_text
from fieldapp.desk.copies import copies_of
from fieldapp.desk.feedback import ratings_of
from fieldapp.desk.flags import flags_of, quarantine_of
from fieldapp.desk.opened import WORK_ORDERS, opening_of
from fieldapp.desk.pages import WORKING, Words, desk_page, minutes_between
from fieldapp.desk.seen import INBOX, Refused, Seen, refill, seen_of
from fieldapp.desk.signatures import asked_of, signatures_of
from fieldapp.desk.timeline import text_at, timeline
from fieldapp.forms import read_heads, read_was, write_form
from fieldapp.models import Report, Visit, db
from fieldapp.models.papers import PLACE
from fieldapp.pages import CATALOGUE
from sync import catalogue
from sync.canonical import canonical
from sync.problems import Problem

PERFORMED = (
    "faults",
    "appointments",
    "assignments",
    "remarks",
    "signature-requests",
    "cancellations",
    "reviews",
    "voids",
    "dismissals",
    "releases",
    "reopenings",
)
"""What the desk performs on a visit by one form each; resolutions have a form a conflict."""


def review_page(seen: Seen, refused: Refused | None, status: int) -> ResponseReturnValue:
    """Everything about one visit."""
    visit, state, words = seen.visit, seen.state, seen.words
    firsts = first_arrivals([visit])
    request_id = visit.work_order.request_id if visit.work_order is not None else ""
    flags = flags_of(seen)
    return desk_page(
        "desk/visit.html",
        seen.policy,
        status,
        visit=visit,
        state=state,
        context=state["context"],
        zone=state["context"]["site"]["zone"],
        promise=promise_of(visit, firsts.get(request_id), seen.now),
        downtime=downtime_of(state, seen.now),
        lines=timeline(seen),
        flags=[flag for flag in flags if not flag["dismissed"]],
        dismissed=[flag for flag in flags if flag["dismissed"]],
        quarantine=quarantine_of(seen),
        conflicts=conflicts_of(seen, refused),
        signatures=signatures_of(seen),
        asked=asked_of(seen),
        public_url=current_app.config["PUBLIC_URL"],
        changed=changed_of(seen),
        opening=opening_of(state),
        number=_number(refused),
        review=_review(state, words),
        cancellation=_cancellation(seen),
        is_working=state["visit"]["status"] in WORKING,
        reports=_reports(visit),
        copies=copies_of(seen, refused),
        ratings=ratings_of(seen),
        forms={noun: _form(seen, noun, refused) for noun in PERFORMED},
        refused=refused,
        settled=_settled_meanwhile(seen, refused),
        back=INBOX if refused is not None and refused.first("back") == INBOX else "",
        engineers=_engineers(seen),
        helpers=_helpers(seen),
        holding=holding_of(seen),
        texts=words,
    )


def stale_page(problem: Problem, visit_id: str, refused: Refused) -> ResponseReturnValue:
    """The visit as it is now, with what was entered; other problems stay problems."""
    if problem.code != "form.stale":
        raise problem
    refused.is_stale = True
    return review_page(seen_of(desk_visit_for(g.person, visit_id)), refused, 409)


def downtime_of(state: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    """``{minutes, limit, is_open, is_over}`` of the system's downtime; None when there was none.

    While the system is down, the minutes up to ``now`` count.
    """
    visit = state["visit"]
    minutes = int(visit["downtime_minutes"])
    if not minutes and not visit["downtime_open"]:
        return None
    if visit["downtime_open"]:
        minutes += _open_minutes(state, now)
    limit = next(
        (item["minutes"] for item in state["context"]["targets"] if item["name"] == "downtime"),
        None,
    )
    return {
        "minutes": minutes,
        "limit": limit,
        "is_open": visit["downtime_open"],
        "is_over": limit is not None and minutes > limit,
    }


def _open_minutes(state: Mapping[str, Any], now: datetime) -> int:
    """Minutes since the system went down for the last time."""
    started = None
    events = [
        entry["value"]
        for entry in state["entries"]
        if entry["kind"] == "downtime" and not entry["voids"]
    ]
    for event in sorted(events, key=lambda value: str(value.get("at"))):
        started = (started or event.get("at")) if event.get("event") == "start" else None
    try:
        return minutes_between(datetime.fromisoformat(str(started)), now) or 0
    except (ValueError, TypeError):
        return 0


def _form(seen: Seen, noun: str, refused: Refused | None) -> dict[str, Any]:
    """One form of the page: what it shows, the heads and values its reader sees.

    A refused form keeps what was entered.  A stale one shows the new heads: its author has now
    seen them.
    """
    kind = CATALOGUE[catalogue.kind_of(noun).name]
    name = kind["name"]
    values = seen.state["fields"]
    value: dict[str, Any] = {}
    if kind["policy"] == "set":
        value = {
            item["name"]: values[f"{name}/{item['name']}"]["value"]
            for item in kind["fields"]
            if f"{name}/{item['name']}" in values
        }
    elif name == "assignment" and name in values and isinstance(values[name]["value"], Mapping):
        value = dict(values[name]["value"])
    elif name == "assignment" and name not in values and seen.visit.engineer_id:
        value = {"engineer": seen.visit.engineer_id}  # who opened the visit
    form = write_form(kind["fields"], value, seen.offsets)
    is_refused = refused is not None and refused.noun == noun
    findings = refused.findings if refused is not None and is_refused else []
    was: Mapping[str, Any] = value
    heads = seen.heads(f"{name}/" if kind["policy"] == "set" else name)
    if refused is not None and is_refused:
        form |= refill(kind["fields"], refused.posted)
        if not refused.is_stale:
            # what was seen when typing began still counts
            was, heads = read_was(refused.posted), read_heads(refused.posted)
    return {
        "noun": noun,
        "kind": kind,
        "form": form,
        "findings": {finding["field"]: finding for finding in findings},
        "heads": canonical(heads),
        "was": canonical(dict(was)),
        "is_refused": is_refused,
    }


def _settled_meanwhile(seen: Seen, refused: Refused | None) -> dict[str, str] | None:
    """What a stale form was about that is settled: ``{entered, now, author}``, texts.

    A conflict that only moved has its form on the page again, and that keeps what was entered.
    """
    if refused is None or not refused.is_stale:
        return None
    if refused.noun in ("dismissals", "releases", "reopenings"):
        return {"entered": refused.first("reason"), "now": "", "author": ""}
    cell = seen.state["fields"].get(refused.about)
    if refused.noun != "resolutions" or cell is None or cell["conflict"]:
        return None
    return {
        "entered": entered_text(seen, refused),
        "now": text_at(refused.about, cell["value"], seen.kinds, seen.words),
        "author": seen.people.get(cell["author"], cell["author"]),
    }


def _engineers(seen: Seen) -> list[tuple[str, str]]:
    """Keys and names of those who can be sent; whoever has the visit is named in any case."""
    found = [(person.id, person.name) for person in seen.engineers]
    present = seen.visit.engineer
    if present is not None and present.id not in {id_ for id_, _ in found}:
        found.append((present.id, present.name))
    return found


def _helpers(seen: Seen) -> list[str]:
    """Names of those who go along."""
    value = seen.state["fields"].get("assignment", {}).get("value")
    named = value.get("helpers") if isinstance(value, Mapping) else None
    return [seen.people.get(str(id_), str(id_)) for id_ in named or () if isinstance(named, list)]


def _cancellation(seen: Seen) -> dict[str, str] | None:
    """The cancellation as it stands: ``{reason, author, at, …}``."""
    cell = seen.state["fields"].get("cancellation")
    if cell is None or not isinstance(cell["value"], Mapping):
        return None
    side = cell["sides"][-1]
    reason = str(cell["value"].get("reason", ""))
    return {"id": str(side["operation"]), "reason": reason} | seen.who(side)


def _review(state: Mapping[str, Any], words: Words) -> dict[str, str] | None:
    """The review as it stands: ``{verdict, verdict_text, reason, author, at}``."""
    cell = state["fields"].get("review")
    if cell is None or not isinstance(cell["value"], Mapping):
        return None
    verdict = str(cell["value"].get("verdict", ""))
    return {
        "verdict": verdict,
        "verdict_text": words.word("review_verdicts", verdict),
        "reason": str(cell["value"].get("reason", "")),
        "author": words.people.get(cell["author"], cell["author"]),
        "at": words.moment(cell["at"]),
    }


def _number(refused: Refused | None) -> dict[str, Any]:
    """The field of a work order's number as it came back: ``{text, findings}``."""
    if refused is None or refused.noun != WORK_ORDERS:
        return {"text": "", "findings": {}}
    return {"text": refused.first("number"), "findings": {"number": refused.findings[0]}}


def _reports(visit: Visit) -> list[Report]:
    return list(
        db.session.scalars(
            select(Report)
            .where(Report.org_id == visit.org_id, Report.visit_id == visit.id)
            .order_by(Report.revision, PLACE)
        )
    )
