"""What the desk decides about conflicts, flags and operations kept apart, and takes back again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import g, redirect, request
from flask.typing import ResponseReturnValue

from fieldapp.access import desk_visit_for, needs
from fieldapp.desk.checks import findings_of
from fieldapp.desk.conflicts import chosen
from fieldapp.desk.flags import name_of
from fieldapp.desk.pages import DESK, bp
from fieldapp.desk.review import review_page, stale_page
from fieldapp.desk.seen import (
    Refused,
    Seen,
    posted_form,
    refuse_stale,
    return_path,
    seen_of,
    state_now,
    writing,
)
from fieldapp.forms import read_heads, read_value
from fieldapp.pages import CATALOGUE
from fieldapp.perform import received_of
from sync import catalogue, problems
from sync.merge import REOPENED, State, reopened
from sync.problems import Problem

Value = dict[str, Any]


@bp.post("/visits/<visit_id>/resolutions")
@needs(*DESK)
def create_resolution(visit_id: str) -> ResponseReturnValue:
    """Of two values one counts, or a third."""
    seen = seen_of(desk_visit_for(g.person, visit_id))
    posted = posted_form()
    path = request.form.get("path", "")
    refused = Refused("resolutions", posted, about=path)
    heads = {path: read_heads(posted).get(path, [])}
    cell = seen.state["fields"].get(path)
    if cell is None or not cell["conflict"] or sorted(cell["heads"]) != sorted(heads[path]):
        return stale_page(Problem("form.stale"), visit_id, refused)
    value, refused.findings = chosen(seen, path, posted)
    if refused.findings:
        return review_page(seen, refused, 422)
    try:
        with writing(seen) as opened:
            refuse_stale(opened, visit_id, heads)
            opened.perform("resolution", visit_id, g.person, {path: value}, heads)
    except Problem as problem:
        return stale_page(problem, visit_id, refused)
    return redirect(return_path(visit_id), 303)


@bp.post("/visits/<visit_id>/dismissals")
@needs(*DESK)
def create_dismissals(visit_id: str) -> ResponseReturnValue:
    """Somebody looked at a flag, or at several that say the same: one operation each."""

    def read(seen: Seen) -> list[Value]:
        names = request.form.getlist("flag")
        if not names:
            raise Problem("entry.not-found")
        return [_flag_named(seen, name) for name in names]

    def is_open(state: State, value: Mapping[str, Any]) -> bool:
        name = name_of({"operation": value["entry"], "code": value["code"]})
        return any(name_of(flag) == name and not flag.get("dismissed") for flag in state["flags"])

    about = next(iter(request.form.getlist("flag")), "")
    return _decide(visit_id, "dismissals", about, read, is_open)


@bp.post("/visits/<visit_id>/releases")
@needs(*DESK)
def create_release(visit_id: str) -> ResponseReturnValue:
    """What was kept apart counts: somebody knows who it is from."""

    def is_open(state: State, value: Mapping[str, Any]) -> bool:
        return any(item["id"] == value["entry"] for item in state.get("quarantine", ()))

    entry = request.form.get("entry", "")
    return _decide(visit_id, "releases", entry, lambda seen: [_entry_named(seen, entry)], is_open)


@bp.post("/visits/<visit_id>/reopenings")
@needs(*DESK)
def create_reopening(visit_id: str) -> ResponseReturnValue:
    """A decision is taken back: the conflict, flag or visit is open again."""

    def read(seen: Seen) -> list[Value]:
        value = _entry_named(seen, entry)
        if seen.kinds[entry] not in REOPENED:
            raise Problem("entry.final")
        return [value]

    def is_open(_: State, value: Mapping[str, Any]) -> bool:
        visit = desk_visit_for(g.person, visit_id)
        return value["entry"] not in reopened(received_of(visit))

    entry = request.form.get("entry", "")
    return _decide(visit_id, "reopenings", entry, read, is_open)


def _decide(
    visit_id: str,
    noun: str,
    about: str,
    read: Callable[[Seen], Sequence[Value]],
    is_open: Callable[[State, Mapping[str, Any]], bool],
) -> ResponseReturnValue:
    """Perform what ``read`` found in the form, with its reason, while all of it ``is_open``."""
    seen = seen_of(desk_visit_for(g.person, visit_id))
    values = read(seen)
    kind = CATALOGUE[catalogue.kind_of(noun).name]
    posted = posted_form()
    refused = Refused(noun, posted, about=about)
    said = read_value([kind["fields"][-1]], posted, seen.offsets)
    refused.findings = findings_of(kind, values[0] | said, seen)
    if refused.findings:
        return review_page(seen, refused, 422)
    try:
        with writing(seen) as opened:
            state = state_now(opened, visit_id)
            if not all(is_open(state, value) for value in values):
                raise Problem("form.stale")
            for value in values:
                opened.perform(kind["name"], visit_id, g.person, value | said)
    except Problem as problem:
        return stale_page(problem, visit_id, refused)
    return redirect(return_path(visit_id), 303)


def _entry_named(seen: Seen, entry: str) -> Value:
    """``{entry}`` when the visit has it; Problem("entry.not-found") otherwise."""
    if entry not in seen.kinds:
        raise Problem("entry.not-found")
    return {"entry": entry}


def _flag_named(seen: Seen, name: str) -> Value:
    """``{entry, code}`` of a flag as its form names it; Problem("entry.not-found") otherwise.

    A flag that went meanwhile is only out of date; one that could never have been is unknown.
    """
    entry, _, code = name.rpartition(" ")
    flag = problems.CATALOGUE.get(code)
    is_here = any(name_of(each) == name for each in seen.state["flags"])
    if not is_here and (flag is None or flag.type != "flag"):
        raise Problem("entry.not-found")
    return _entry_named(seen, entry) | {"code": code}
