"""``/visits…``: the engineer's pages when the server answers.

The phone answers the same URLs in ``static/phone/engineer.js``; the two read line for line alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, g, redirect, request
from flask.typing import ResponseReturnValue

from fieldapp import blobs, formats, pages
from fieldapp.access import create_display, create_language, left_visit_for, needs, visit_for
from fieldapp.forms import (
    one_by_one,
    only_changed,
    read_heads,
    read_value,
    read_was,
    timed,
    write_form,
)
from fieldapp.handover import new_token, seen_digest, sign, unsigned
from fieldapp.ids import is_id, mint_id
from fieldapp.languages import LANGUAGES, current_language
from fieldapp.models import Visit, db
from fieldapp.perform import unit
from fieldapp.policies import Policy
from fieldapp.presentation import blank_visit, policy_of, present, visits_of
from sync import catalogue
from sync.canonical import canonical
from sync.consent import agreed, newest_quote
from sync.glyphs import coverage
from sync.merge import OPENING
from sync.missing import WHICH, others_first
from sync.operation import iso
from sync.problems import Problem
from sync.validate import validate

bp = Blueprint("engineer", __name__)

State = dict[str, Any]

NO_VISITS_OFFSETS = [["1970-01-01T00:00:00Z", 480]]
"""The clock of an empty list; with a visit comes the organisation's."""


@bp.get("/visits")
@needs("engineer")
def show_visits() -> ResponseReturnValue:
    """Today's list, or what is looked for."""
    now = datetime.now(UTC)
    policy = policy_of(g.person.org_id)
    states = present(visits_of(g.person), g.person, now)
    offsets = states[0]["context"]["organisation"]["offsets"] if states else NO_VISITS_OFFSETS
    today = formats.day(iso(int(now.timestamp() * 1000)), offsets)
    return pages.shared_page(
        "engineer/visits.html",
        pages.visits_page(_reader(), states, policy.data, today, _query()),
    )


@bp.get("/visits/sync")
@needs("engineer")
def show_sync() -> ResponseReturnValue:
    """What is still to be sent: nothing, when it is the server that answers."""
    policy = policy_of(g.person.org_id)
    states = present(visits_of(g.person), g.person, datetime.now(UTC))
    return pages.shared_page("engineer/sync.html", pages.sync_page(_reader(), states, policy.data))


@bp.post("/visits/sync")
@needs("engineer")
def create_sync() -> ResponseReturnValue:
    """Send and fetch now.  The server has nothing to send."""
    return redirect("/visits/sync", 303)


@bp.get("/visits/sync/file")
@needs("engineer")
def show_unsent_file() -> ResponseReturnValue:
    """Unsent work as a file.  The page says why there is none here."""
    return redirect("/visits/sync", 303)


@bp.get("/visits/pin")
@needs("engineer")
def show_pin() -> ResponseReturnValue:
    """The PIN of this phone.  The page says why there is none here."""
    return pages.shared_page("engineer/pin.html", pages.pin_page(_reader()))


@bp.post("/visits/pin")
@needs("engineer")
def create_pin() -> ResponseReturnValue:
    """Choose a PIN.  It never leaves a phone: what came here is thrown away."""
    return redirect("/visits/pin", 303)


@bp.get("/visits/lock")
@needs("engineer")
def show_lock() -> ResponseReturnValue:
    """The lock of a phone.  The server's pages have none."""
    return redirect("/visits", 303)


@bp.post("/visits/lock")
@needs("engineer")
def delete_lock() -> ResponseReturnValue:
    """Open the lock."""
    return redirect("/visits", 303)


@bp.get("/visits/revoked")
@needs("engineer")
def show_revoked() -> ResponseReturnValue:
    """What a revoked phone shows: whoever signs in here has not got one."""
    return redirect("/visits", 303)


@bp.get("/visits/install")
@needs("engineer")
def show_install() -> ResponseReturnValue:
    """How this app gets on the home screen of whatever phone shows it, and why it should."""
    policy = policy_of(g.person.org_id)
    states = present(visits_of(g.person), g.person, datetime.now(UTC))
    arguments = pages.install_page(_reader(), states, policy.data)
    return pages.shared_page("engineer/install.html", arguments)


@bp.get("/visits/new")
@needs("engineer")
def show_opening() -> ResponseReturnValue:
    """The form that opens a visit, under an id of its own: sent twice, it opens one."""
    return redirect(f"/visits/{mint_id(datetime.now(UTC))}/openings", 303)


@bp.get("/visits/<visit_id>")
@needs("engineer")
def show_visit(visit_id: str) -> ResponseReturnValue:
    """One visit with everything on it."""
    state, policy = _state(visit_id)
    return pages.shared_page("engineer/visit.html", pages.visit_page(_reader(), state, policy.data))


@bp.get("/visits/<visit_id>/<noun>")
@needs("engineer")
def edit_entry(visit_id: str, noun: str) -> ResponseReturnValue:
    """The form for a new entry of a kind, or for a void or a correction."""
    kind = _kind(noun)
    if _is_opened(visit_id, kind):
        return redirect(f"/visits/{visit_id}", 303)
    state, policy, has_left = _state_for(visit_id, kind)
    if has_left:
        raise Problem("visit.not-found")
    was = _shown_first(kind, state)
    form = write_form(_fields(kind, state), was, state["context"]["site"]["offsets"])
    return _form_page(state, policy, kind, form, was, [])


@bp.post("/visits/<visit_id>/<noun>")
@needs("engineer")
def create_entry(visit_id: str, noun: str) -> ResponseReturnValue:
    """Something was done: one form, one operation.

    A visit that was given to somebody else while the form was open takes it all the same: a form
    may stop a person who can go on with it, and he cannot.
    """
    kind = _kind(noun)
    if _is_opened(visit_id, kind):
        return redirect(f"/visits/{visit_id}", 303)
    state, policy, has_left = _state_for(visit_id, kind)
    fields = _fields(kind, state)
    if kind["policy"] == "void":
        _entry(state)
    posted = {name: request.form.getlist(name) for name in request.form}
    offsets = state["context"]["site"]["offsets"]
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    value, *others = (
        timed(fields, read_value(fields, one, offsets), now_ms)
        for one in (one_by_one(fields, posted) if kind["name"] == "photo" else [posted])
    )
    retake = _retake(kind, state, posted)
    choices = policy.choices(str(value.get("list", "")))
    for one in (value, *others):
        findings = validate(fields, one, choices, coverage())
        if findings:
            break
    if retake:
        findings += validate(pages.CATALOGUE["void"]["fields"], retake, choices, coverage())
    if not findings and kind["policy"] == "sign":
        findings = unsigned(state, policy.data, posted) or others_first(state, policy.data, value)
    if not findings and kind["name"] == "consent":
        findings = _undecided(state, value, posted)
    if has_left and kind["name"] == "signature-request":
        raise Problem("visit.not-found")  # its link would show what is not his any more
    if findings and has_left and _is_for_customer(kind):
        raise Problem("visit.not-found")  # not what the customer has on his screen
    if findings and not has_left:
        shown = write_form(fields, read_value(fields, posted, offsets), offsets)
        if retake:
            shown["reason"] = retake.get("reason", "")
        return _form_page(state, policy, kind, shown, read_was(posted), findings, 422)
    heads = read_heads(posted)
    if kind["policy"] == "sign":
        value = sign(state, value, current_language())
    elif kind["name"] == "consent":
        value["agreed"] = agreed(state, value["quote"])
    elif kind["name"] == "signature-request":
        value["token"] = new_token()
    elif kind["policy"] in ("set", "correction"):
        value = only_changed(fields, value, posted)
    if kind["policy"] == "correction":
        value, heads = _correction(_entry(state), value, heads)
    if not value and kind["policy"] in ("set", "correction"):
        return redirect("/visits" if has_left else f"/visits/{visit_id}", 303)
    with unit(g.person.org_id, datetime.now(UTC)) as opened:
        for one in _new(kind, state, [value, *others], retake):
            opened.perform(kind["name"], visit_id, g.person, one, heads)
        if retake:
            opened.perform("void", visit_id, g.person, retake)
    if has_left:
        return redirect("/visits", 303)
    # The customer still holds the phone: the page that its owner leaves comes again, with thanks.
    back = "/signatures" if _is_in_hand(kind) else ""
    return redirect(f"/visits/{visit_id}{back}", 303)


@bp.put("/visits/<visit_id>/photos/<sha256>")
@needs("engineer")
def create_photo(visit_id: str, sha256: str) -> ResponseReturnValue:
    """The bytes of a photo, before the entry that speaks of it."""
    visit, _ = _visit_or_left(visit_id)
    blobs.store(visit.org_id, sha256, request.get_data(cache=False), datetime.now(UTC))
    return "", 204


@bp.get("/visits/<visit_id>/photos/<sha256>")
@needs("engineer")
def show_photo(visit_id: str, sha256: str) -> ResponseReturnValue:
    """The photo, small for a strip; Problem("photo.not-found") while only a phone has it."""
    visit = visit_for(g.person, visit_id)
    return blobs.photo_response(visit, sha256, is_small="small" in request.args)


@bp.post("/visits/language")
def change_language() -> ResponseReturnValue:
    """The reader prefers a language."""
    return create_language()


@bp.get("/visits/settings")
@needs("engineer")
def show_settings() -> ResponseReturnValue:
    """How the pages look and what they speak."""
    policy = policy_of(g.person.org_id)
    states = present(visits_of(g.person), g.person, datetime.now(UTC))
    arguments = pages.settings_page(_reader(), states, policy.data)
    return pages.shared_page("engineer/settings.html", arguments)


@bp.post("/visits/display")
@needs("engineer")
def change_display() -> ResponseReturnValue:
    """The reader prefers a look."""
    return create_display()


def _is_opened(visit_id: str, kind: Mapping[str, Any]) -> bool:
    """Whether a form would open a visit that is there already: it was sent twice.

    Problem("visit.not-found") when that is not the reader's.
    """
    if kind["name"] != OPENING or db.session.get(Visit, visit_id) is None:
        return False
    _visit_or_left(visit_id)
    return True


def _state(visit_id: str) -> tuple[State, Policy]:
    visit = visit_for(g.person, visit_id)
    state = present([visit], g.person, datetime.now(UTC))[0]
    return state, policy_of(g.person.org_id)


def _visit_or_left(visit_id: str) -> tuple[Visit, bool]:
    """The visit and whether it has left this engineer."""
    try:
        return visit_for(g.person, visit_id), False
    except Problem:
        return left_visit_for(g.person, visit_id), True


def _state_for(visit_id: str, kind: Mapping[str, Any]) -> tuple[State, Policy, bool]:
    """What a form is about: a visit, and whether it left its reader, or the blank one it opens."""
    policy = policy_of(g.person.org_id)
    if kind["name"] == OPENING:
        return _blank(visit_id), policy, False
    visit, has_left = _visit_or_left(visit_id)
    return present([visit], g.person, datetime.now(UTC))[0], policy, has_left


def _blank(visit_id: str) -> State:
    """The state of a visit that nobody knows yet; Problem("visit.not-found") for no id."""
    if not is_id(visit_id):
        raise Problem("visit.not-found")
    state = present([blank_visit(g.person)], g.person, datetime.now(UTC))[0]
    return state | {"visit": state["visit"] | {"id": visit_id}}


def _reader() -> dict[str, str]:
    return {"id": g.person.id, "name": g.person.name}


def _query() -> dict[str, str]:
    """What the address asks for, each name's first text, read as browsers do.

    ``request.args`` keeps what is no UTF-8 percent-encoded.
    """
    text = request.query_string.decode("ascii", "replace")
    return dict(reversed(parse_qsl(text, keep_blank_values=True, errors="replace")))


def _kind(noun: str) -> Mapping[str, Any]:
    kind: Mapping[str, Any] = pages.CATALOGUE[catalogue.kind_of(noun).name]
    if "engineer" not in kind["roles"]:
        raise Problem("page.unknown")
    return kind


def _entry(state: State) -> dict[str, Any]:
    """The entry that a void or a correction is about."""
    id_ = request.values.get("entry", "")
    for entry in state["entries"] + state["signatures"]:
        if entry["id"] == id_ and entry["kind"] not in catalogue.FROM_CUSTOMER:
            return dict(entry)
    raise Problem("entry.not-found")


def _fields(kind: Mapping[str, Any], state: State) -> list[dict[str, Any]]:
    """The fields the form asks for; a correction asks for those of its entry.

    What somebody signed is never corrected, and a photo is taken again instead:
    Problem("entry.not-found").
    """
    if kind["policy"] != "correction":
        return list(kind["fields"])
    about = pages.CATALOGUE[_entry(state)["kind"]]
    if about["policy"] != "add" or about["name"] == "photo" or _is_for_customer(about):
        raise Problem("entry.not-found")
    return list(about["fields"])


def _is_retake(kind: Mapping[str, Any]) -> bool:
    """Whether a form for photos is about one that was taken before."""
    return bool(kind["name"] == "photo" and request.args.get("entry"))


def _taken(state: State) -> dict[str, Any]:
    """The photo that the form is about; Problem("entry.not-found") for anything else."""
    entry = _entry(state)
    if entry["kind"] != "photo":
        raise Problem("entry.not-found")
    return entry


def _retake(
    kind: Mapping[str, Any], state: State, posted: Mapping[str, list[str]]
) -> dict[str, Any]:
    """What strikes out the photo that new ones take the place of; empty when there is none."""
    if not _is_retake(kind):
        return {}
    void = {"entry": [_taken(state)["id"]], "reason": posted.get("reason", [])}
    return read_value(pages.CATALOGUE["void"]["fields"], void, [])


def _new(
    kind: Mapping[str, Any], state: State, values: list[dict[str, Any]], retake: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """``values`` without photos that stand there with the same words: sent twice, they are one.

    The photo that is struck out by ``retake`` stands there no more.
    """
    if kind["name"] != "photo":
        return values
    standing = [
        entry["value"]
        for entry in state["entries"]
        if not entry["voids"] and entry["id"] != retake.get("entry")
    ]
    return [value for value in values if value not in standing]


def _shown_first(kind: Mapping[str, Any], state: State) -> dict[str, Any]:
    """The values a form shows first: what is there for a set or a correction, else defaults."""
    fields = _fields(kind, state)
    if _is_retake(kind):
        known = _taken(state)["value"]
        return {name: known[name] for name in ("slot", "caption") if name in known}
    if kind["policy"] == "correction":
        return dict(_entry(state)["value"])
    if kind["policy"] == "set":
        return {
            field["name"]: state["fields"][f"{kind['name']}/{field['name']}"]["value"]
            for field in fields
            if f"{kind['name']}/{field['name']}" in state["fields"]
        }
    if kind["policy"] == "void":
        return {"entry": _entry(state)["id"]}
    value: dict[str, Any] = {field["name"]: "now" for field in fields if field["default"] == "now"}
    which = request.args.get("list")
    value |= {field["name"]: newest_quote(state) for field in fields if field["default"] == "quote"}
    contact = state["context"]["contact"]["name"]
    value |= {field["name"]: contact for field in fields if field["default"] == "contact"}
    if kind["policy"] == "sign" and request.args.get("name"):
        value["name"] = request.args["name"]
    return value | ({WHICH.get(kind["name"], "list"): which} if which else {})


def _form_page(
    state: State,
    policy: Policy,
    kind: Mapping[str, Any],
    form: Mapping[str, Any],
    was: Mapping[str, Any],
    findings: list[dict[str, str]],
    status: int = 200,
) -> ResponseReturnValue:
    is_about = kind["policy"] in ("void", "correction") or _is_retake(kind)
    about = _entry(state) if is_about else None
    more = {
        "heads": canonical(_heads(kind, state, about)),
        "was": canonical(was),
        "entry": about,
        "seen": seen_digest(state) if kind["policy"] == "sign" else "",
        "agreed": agreed(state, form["quote"]) if kind["name"] == "consent" else "",
        "lang": _customers_language(state) if _is_for_customer(kind) or _is_in_hand(kind) else "",
        "has_pin": False,
    }
    arguments = pages.form_page(_reader(), state, policy.data, kind, form, findings, more)
    return pages.shared_page(_template_of(kind), arguments, status)


def _template_of(kind: Mapping[str, Any]) -> str:
    """The signature's page, another one of the hand-over, or the engineer's own form."""
    if kind["policy"] == "sign":
        return "engineer/signature.html"
    return "engineer/handed.html" if _is_in_hand(kind) else "engineer/form.html"


def _is_in_hand(kind: Mapping[str, Any]) -> bool:
    """Whether the customer fills it in during the hand-over.

    A refusal may be the engineer's word too.
    """
    is_refusing = kind["name"] == "refusal" and request.args.get("by") == "customer"
    return bool(kind["policy"] == "sign" or kind["name"] == "rating" or is_refusing)


def _is_for_customer(kind: Mapping[str, Any]) -> bool:
    """Whether the phone is handed to the customer for it."""
    return bool(kind["policy"] == "sign" or kind["name"] == "consent")


def _heads(
    kind: Mapping[str, Any], state: State, about: Mapping[str, Any] | None
) -> dict[str, list[str]]:
    """The heads whose values the form shows."""
    if kind["policy"] == "set":
        start = f"{kind['name']}/"
    elif kind["policy"] == "correction" and about is not None:
        start = f"entries/{about['id']}/"
    else:
        return {}
    return {path: cell["heads"] for path, cell in state["fields"].items() if path.startswith(start)}


def _correction(
    entry: Mapping[str, Any], value: Mapping[str, Any], heads: Mapping[str, list[str]] | None
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The changed fields by path, with the heads their author saw."""
    paths = {f"entries/{entry['id']}/{name}": item for name, item in value.items()}
    return paths, {path: (heads or {}).get(path, [entry["id"]]) for path in paths}


def _customers_language(state: State) -> str:
    """The contact's language, if we speak it; empty otherwise."""
    language = str(state["context"]["contact"]["language"])
    return language if language in LANGUAGES else ""


def _undecided(
    state: State, value: Mapping[str, Any], posted: Mapping[str, list[str]]
) -> list[dict[str, str]]:
    """A decision counts for the quotation that was on the screen."""
    text = agreed(state, value.get("quote", ""))
    if not text:
        return [{"field": "decision", "code": "consent.no-quote", "detail": ""}]
    if posted.get("agreed") != [text]:
        return [{"field": "strokes", "code": "form.stale", "detail": ""}]
    return []
