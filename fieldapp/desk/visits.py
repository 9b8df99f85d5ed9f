"""``/desk/visits/…``: one visit as the office reviews it, and what the office performs on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import Response, g, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Row, select

from fieldapp import blobs, formats
from fieldapp.access import desk_visit_for, needs
from fieldapp.desk.board import first_arrivals, promise_of
from fieldapp.desk.pages import (
    DESK,
    UNDER_WAY,
    Words,
    bp,
    desk_page,
    engineers_of,
    heard_by_engineer,
    minutes_between,
    names_of,
)
from fieldapp.desk.timeline import field_at, text_at, timeline
from fieldapp.forms import only_changed, read_heads, read_value, read_was, write_form
from fieldapp.languages import current_language
from fieldapp.models import Report, Visit, db
from fieldapp.pages import CATALOGUE
from fieldapp.perform import Unit, journal_of, unit
from fieldapp.policies import Policy
from fieldapp.presentation import policy_of, present
from sync import catalogue
from sync.canonical import canonical, sha256
from sync.glyphs import coverage
from sync.problems import Problem
from sync.validate import Finding, validate

State = dict[str, Any]
Posted = Mapping[str, list[str]]

PERFORMED = (
    "faults",
    "appointments",
    "assignments",
    "remarks",
    "cancellations",
    "reviews",
    "voids",
)
"""What the desk performs on a visit by one form each; resolutions are the eighth."""

OTHER = "other"
"""The choice of a conflict's form that is none of the sides."""

SILENT_MINUTES = 60
"""After an hour of silence a phone may hold work that nobody has seen."""


@dataclass
class Seen:
    """A visit as one page shows it."""

    visit: Visit
    state: State
    policy: Policy
    rows: list[Row[Any]]
    now: datetime

    @property
    def offsets(self) -> formats.Offsets:
        """The site's clock."""
        offsets: formats.Offsets = self.state["context"]["site"]["offsets"]
        return offsets

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of every operation by its id."""
        return {row.id: row.kind for row in self.rows}

    def heads(self, *paths: str) -> dict[str, list[str]]:
        """The heads of ``paths`` or, with a slash at the end, of all paths below."""
        return {
            path: cell["heads"]
            for path, cell in self.state["fields"].items()
            if any(path == one or (one.endswith("/") and path.startswith(one)) for one in paths)
        }


@dataclass
class Refused:
    """A form that comes back: what was entered, and what is wrong with it.

    ``path`` is set for a conflict's form.
    """

    noun: str
    posted: Posted
    findings: list[Finding] = field(default_factory=list)
    path: str = ""
    is_stale: bool = False


@bp.get("/visits/<visit_id>")
@needs(*DESK)
def show_visit(visit_id: str) -> ResponseReturnValue:
    """Everything about one visit."""
    return _page(_seen(desk_visit_for(g.person, visit_id)), None, 200)


@bp.get("/visits/<visit_id>/<any(faults,appointments,assignments,remarks,cancellations,"
        "reviews,voids,resolutions):noun>")  # fmt: skip
@needs(*DESK)
def show_entries(visit_id: str, noun: str) -> ResponseReturnValue:
    """The forms stand on the visit's own page."""
    del noun
    return redirect(f"/desk/visits/{desk_visit_for(g.person, visit_id).id}", 303)


@bp.post("/visits/<visit_id>/<any(faults,appointments,assignments,remarks,cancellations,"
         "reviews,voids):noun>")  # fmt: skip
@needs(*DESK)
def create_entry(visit_id: str, noun: str) -> ResponseReturnValue:
    """The office did something: one form, one operation.

    A fact that somebody else changed meanwhile becomes a conflict, both sides kept.  A decision
    (who goes, cancelled, accepted) about something its author did not see is asked for again.
    """
    seen = _seen(desk_visit_for(g.person, visit_id))
    kind = CATALOGUE[catalogue.kind_of(noun).name]
    posted: Posted = {name: request.form.getlist(name) for name in request.form}
    value = read_value(kind["fields"], posted, seen.offsets)
    findings = _findings(kind, value, seen)
    if findings:
        return _page(seen, Refused(noun, posted, findings), 422)
    if kind["policy"] == "set":
        value = only_changed(kind["fields"], value, posted)
    heads = read_heads(posted)
    try:
        with _unit(seen) as opened:
            if kind["policy"] == "assert":
                _refuse_stale(opened, visit_id, {kind["name"]: heads.get(kind["name"], [])})
            if kind["name"] == "review" and posted.get("rev") != [str(_rev(visit_id))]:
                raise Problem("form.stale")
            if value:
                opened.perform(kind["name"], visit_id, g.person, value, heads)
    except Problem as problem:
        return _stale_page(problem, visit_id, Refused(noun, posted, is_stale=True))
    return redirect(f"/desk/visits/{visit_id}", 303)


@bp.post("/visits/<visit_id>/resolutions")
@needs(*DESK)
def create_resolution(visit_id: str) -> ResponseReturnValue:
    """Of two values one counts, or a third."""
    seen = _seen(desk_visit_for(g.person, visit_id))
    posted: Posted = {name: request.form.getlist(name) for name in request.form}
    path = request.form.get("path", "")
    refused = Refused("resolutions", posted, path=path)
    heads = {path: read_heads(posted).get(path, [])}
    cell = seen.state["fields"].get(path)
    if cell is None or not cell["conflict"] or sorted(cell["heads"]) != sorted(heads[path]):
        refused.is_stale = True
        return _page(seen, refused, 409)
    value, refused.findings = _chosen(seen, path, cell, posted)
    if refused.findings:
        return _page(seen, refused, 422)
    try:
        with _unit(seen) as opened:
            _refuse_stale(opened, visit_id, heads)
            opened.perform("resolution", visit_id, g.person, {path: value}, heads)
    except Problem as problem:
        refused.is_stale = True
        return _stale_page(problem, visit_id, refused)
    return redirect(f"/desk/visits/{visit_id}", 303)


@bp.get("/visits/<visit_id>/photos/<sha256>")
@needs(*DESK)
def show_photo(visit_id: str, sha256: str) -> ResponseReturnValue:
    """A photo of the visit; Problem("photo.not-found") while only a phone has it."""
    return blobs.photo_response(desk_visit_for(g.person, visit_id), sha256)


@bp.get("/visits/<visit_id>/reports/<int:revision>")
@needs(*DESK)
def show_report(visit_id: str, revision: int) -> ResponseReturnValue:
    """One sealed revision of the work order as a file."""
    visit = desk_visit_for(g.person, visit_id)
    known = db.session.scalar(
        select(Report.id).where(
            Report.org_id == visit.org_id,
            Report.visit_id == visit.id,
            Report.revision == revision,
        )
    )
    pdf = blobs.read(visit.org_id, f"reports/{visit.id}/{revision}.pdf") if known else None
    if pdf is None:
        raise Problem("report.not-found")
    number = visit.work_order.number if visit.work_order is not None else None
    response = Response(pdf, mimetype="application/pdf")
    response.headers.set(
        "Content-Disposition", "attachment", filename=f"{number or visit.id}-{revision}.pdf"
    )
    return response


# Performing


@contextmanager
def _unit(seen: Seen) -> Iterator[Unit]:
    """One transaction in which nobody else can write to the visit seen."""
    org_id, visit_id = seen.visit.org_id, seen.visit.id
    with unit(org_id, seen.now) as opened:
        db.session.execute(
            select(Visit.id).where(Visit.id == visit_id, Visit.org_id == org_id).with_for_update()
        )
        yield opened


def _rev(visit_id: str) -> int:
    return db.session.get_one(Visit, visit_id, populate_existing=True).rev


def _refuse_stale(opened: Unit, visit_id: str, heads: Mapping[str, list[str]]) -> None:
    """Problem("form.stale") when the heads of a path are not those its author saw."""
    visit = db.session.get_one(Visit, visit_id, populate_existing=True)
    fields = visit.state.get("fields", {}) if visit.org_id == opened.organisation.id else {}
    for path, saw in heads.items():
        if sorted(fields.get(path, {}).get("heads", [])) != sorted(saw):
            raise Problem("form.stale")


def _stale_page(problem: Problem, visit_id: str, refused: Refused) -> ResponseReturnValue:
    """The visit as it is now, with what was entered; other problems stay problems."""
    if problem.code != "form.stale":
        raise problem
    return _page(_seen(desk_visit_for(g.person, visit_id)), refused, 409)


def _findings(kind: Mapping[str, Any], value: Mapping[str, Any], seen: Seen) -> list[Finding]:
    """What is wrong with a form of the desk."""
    found = validate(kind["fields"], value, seen.policy.choices(), coverage())
    if kind["name"] == "assignment" and not found:
        if value["engineer"] not in {person.id for person in engineers_of(seen.visit.org_id)}:
            found.append({"field": "engineer", "code": "field.not-a-choice", "detail": ""})
    elif kind["name"] == "review" and value.get("verdict") == "sent-back":
        if not value.get("reason"):
            found.append({"field": "reason", "code": "field.missing", "detail": ""})
    elif kind["name"] == "void" and not found:
        entries = seen.state["entries"] + seen.state["signatures"]
        if value["entry"] not in {entry["id"] for entry in entries}:
            raise Problem("entry.not-found")
    return found


def _chosen(
    seen: Seen, path: str, cell: Mapping[str, Any], posted: Posted
) -> tuple[Any, list[Finding]]:
    """The value that a conflict's form settles on."""
    choice = next(iter(posted.get("choice", ())), "")
    for side in cell["sides"]:
        if side["operation"] == choice:
            return side["value"], []
    if choice != OTHER:
        return None, [{"field": "choice", "code": "field.missing", "detail": ""}]
    fields = _fields_at(path, seen.kinds)
    if not fields:
        return None, [{"field": "choice", "code": "field.not-a-choice", "detail": ""}]
    value = read_value(fields, posted, seen.offsets)
    if path in CATALOGUE:
        return value, _findings(CATALOGUE[path], value, seen)
    name = fields[0]["name"]
    findings = validate(fields, value, seen.policy.choices(), coverage())
    return value.get(name, ""), findings


def _fields_at(path: str, kinds: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The fields with which a third value for ``path`` is written; none when it cannot be."""
    _, found = field_at(path, kinds)
    if found is not None:
        return [found] if found["type"] not in ("ticks", "position", "strokes", "photo") else []
    return list(CATALOGUE[path]["fields"]) if path in CATALOGUE else []


# Showing


def _seen(visit: Visit) -> Seen:
    now = datetime.now(UTC)
    state = present([visit], g.person, now, remember=False)[0]
    return Seen(visit, state, policy_of(visit.org_id), journal_of(visit), now)


def _page(seen: Seen, refused: Refused | None, status: int) -> ResponseReturnValue:
    visit, state, context = seen.visit, seen.state, seen.state["context"]
    engineers = engineers_of(visit.org_id)
    people = {person.id: person.name for person in engineers}
    people |= names_of([*(row.author_id for row in seen.rows), *_engineers_in(state)])
    words = Words(seen.policy, current_language(), seen.offsets, people)
    firsts = first_arrivals([visit])
    request_id = visit.work_order.request_id if visit.work_order is not None else ""
    return desk_page(
        "desk/visit.html",
        seen.policy,
        status,
        visit=visit,
        state=state,
        context=context,
        zone=context["site"]["zone"],
        promise=promise_of(visit, firsts.get(request_id), seen.now),
        downtime=downtime_of(state, seen.now),
        lines=timeline(seen.rows, state, visit.org_id, words),
        flags=_flags(seen, words),
        conflicts=[_conflict(seen, path, words, refused) for path in _conflicts(state)],
        signatures=[_signature(seen, entry) for entry in state["signatures"]],
        review=_review(state, words),
        reports=_reports(visit),
        forms={noun: _form(seen, noun, refused) for noun in PERFORMED},
        refused=refused,
        engineers=engineers,
        silence=_silence(visit, seen.now),
        texts=words,
    )


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


def _conflicts(state: Mapping[str, Any]) -> list[str]:
    return [path for path, cell in state["fields"].items() if cell["conflict"]]


def _conflict(seen: Seen, path: str, words: Words, refused: Refused | None) -> dict[str, Any]:
    """A conflict with its sides as text, and the form that settles it."""
    cell = seen.state["fields"][path]
    fields = _fields_at(path, seen.kinds)
    is_refused = refused is not None and refused.noun == "resolutions" and refused.path == path
    posted = refused.posted if refused is not None and is_refused else {}
    findings = refused.findings if refused is not None and is_refused else []
    head, *rest = path.split("/")
    return {
        "path": path,
        "label": field_at(path, seen.kinds)[0],
        "of": seen.kinds.get(rest[0], "") if head == "entries" and rest else head,
        "heads": canonical({path: cell["heads"]}),
        "sides": [
            {
                "operation": side["operation"],
                "text": text_at(path, side["value"], seen.kinds, words),
                "author": words.people.get(side["author"], side["author"]),
                "at": words.moment(side["at"]),
            }
            for side in cell["sides"]
        ],
        "fields": fields,
        "choice": next(iter(posted.get("choice", ())), ""),
        "form": {item["name"]: next(iter(posted.get(item["name"], ())), "") for item in fields},
        "findings": {finding["field"]: finding for finding in findings},
    }


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
    form = write_form(kind["fields"], value, seen.offsets)
    is_refused = refused is not None and refused.noun == noun
    findings = refused.findings if refused is not None and is_refused else []
    was: Mapping[str, Any] = value
    heads = seen.heads(f"{name}/" if kind["policy"] == "set" else name)
    if refused is not None and is_refused:
        form |= {key: texts[0] for key, texts in refused.posted.items() if texts and key in form}
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


def _flags(seen: Seen, words: Words) -> list[dict[str, Any]]:
    """Every flag with the operation it is about."""
    kinds = seen.kinds
    authors = {row.id: row.author_id for row in seen.rows}
    return [
        flag
        | {
            "label": CATALOGUE[kind]["label"] if (kind := kinds.get(flag["operation"], "")) in
            CATALOGUE else kind,
            "author": words.people.get(authors.get(flag["operation"], ""), ""),
        }
        for flag in seen.state["flags"]
    ]  # fmt: skip


def _signature(seen: Seen, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A signature, and which parts of the office's data changed since."""
    signed = _signed_context(seen.rows, entry["id"])
    now = seen.state["context"]
    is_same = signed is None or sha256(canonical(signed)) == sha256(canonical(now))
    changed = (
        [] if is_same or signed is None else [name for name in now if signed.get(name) != now[name]]
    )
    return {
        "entry": entry,
        "is_context_known": signed is not None,
        "changed": changed,
        "contact_was": _contact_text(signed) if "contact" in changed else "",
    }


def _contact_text(signed: Mapping[str, Any] | None) -> str:
    """Name and telephone of the contact as they stood when the customer signed."""
    contact = (signed or {}).get("contact")
    if not isinstance(contact, Mapping):
        return ""
    return " · ".join(str(contact[name]) for name in ("name", "phone") if contact.get(name))


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


def _signed_context(rows: Sequence[Row[Any]], id_: str) -> dict[str, Any] | None:
    """The context inside a signature's snapshot; None when it cannot be read."""
    for row in rows:
        if row.id != id_:
            continue
        try:
            context = json.loads(json.loads(row.body)["value"]["snapshot"])["context"]
            canonical(context)
        except (ValueError, KeyError, TypeError, RecursionError, Problem):
            return None
        return context if isinstance(context, dict) else None
    return None


def _reports(visit: Visit) -> list[Report]:
    return list(
        db.session.scalars(
            select(Report)
            .where(Report.org_id == visit.org_id, Report.visit_id == visit.id)
            .order_by(Report.revision)
        )
    )


def _engineers_in(state: Mapping[str, Any]) -> list[str]:
    """Ids of all engineers that the assignments of a visit name."""
    sides = state["fields"].get("assignment", {}).get("sides", ())
    return [
        str(side["value"].get("engineer")) for side in sides if isinstance(side["value"], Mapping)
    ]


def _silence(visit: Visit, now: datetime) -> dict[str, Any] | None:
    """Why the present engineer may hold work that is not here; None when there is no reason.

    ``minutes`` since the phone was heard (None: never), and how many visits are ``under_way``.
    """
    if visit.engineer_id is None:
        return None
    heard = heard_by_engineer(visit.org_id)
    minutes = minutes_between(heard.get(visit.engineer_id), now)
    under_way = len(
        db.session.scalars(
            select(Visit.id).where(
                Visit.org_id == visit.org_id,
                Visit.engineer_id == visit.engineer_id,
                Visit.status.in_(UNDER_WAY),
            )
        ).all()
    )
    is_silent = visit.engineer_id in heard and (minutes is None or minutes >= SILENT_MINUTES)
    if not is_silent and not under_way:
        return None
    return {"minutes": minutes, "is_silent": is_silent, "under_way": under_way}
