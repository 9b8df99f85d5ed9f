"""``/sign/<visit>/<token>``: an absent customer reads what was done and signs on his own device.

An engineer or the desk asked for it by an operation of kind ``signature-request`` that carries the
token.  The page shows the facts of the hand-over page; the signature has its snapshot and its
binding, and its token is that of the link, so that a link serves for one signature.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue

from fieldapp import blobs
from fieldapp.forms import read_value, write_form
from fieldapp.handover import seen_digest, sign, unsigned
from fieldapp.headers import keep_link
from fieldapp.ids import is_id, is_token
from fieldapp.languages import current_language
from fieldapp.models import Organisation, Person, Visit, db
from fieldapp.pages import CATALOGUE, customer_page, form_page, localised, server_page
from fieldapp.perform import unit
from fieldapp.policies import Policy, load_policy
from fieldapp.presentation import present
from fieldapp.rates import limiter, per_minute
from sync.canonical import canonical
from sync.catalogue import ON_PAPER
from sync.glyphs import coverage
from sync.merge import WITNESS, State, standing_entries
from sync.missing import others_first
from sync.operation import CUSTOMER
from sync.problems import Problem
from sync.snapshot import facts
from sync.validate import Finding, validate

bp = Blueprint("by_link", __name__, url_prefix="/sign")
bp.after_request(keep_link)

REQUEST = "signature-request"

Standing = Literal["open", "given", "taken", "withdrawn", "over"]
"""``taken`` for whoever signs after somebody else did by the same link."""

DOUBTS = ("author.out-of-scope", "author.role")
"""Who never had the visit opens it to nobody, before the desk has looked at it."""


@dataclass(frozen=True)
class Asked:
    """A signature asked for by link.  ``entry`` is the request, ``person`` who made it."""

    visit: Visit
    entry: Mapping[str, Any]
    person: Person
    owner: Organisation
    policy: Policy

    @property
    def token(self) -> str:
        """What the link names the request by."""
        return str(self.entry["value"]["token"])

    @property
    def path(self) -> str:
        """Where the request is answered."""
        return f"/sign/{self.visit.id}/{self.token}"

    @property
    def role(self) -> str:
        """The role asked for; empty when the policy does not know it (any more)."""
        role = self.entry["value"].get("role")
        return str(role) if role in self.policy.choices()["signatory_roles"] else ""

    @property
    def fields(self) -> list[dict[str, Any]]:
        """What the page asks for: a signature, whose role was said by whoever asked.

        A typed name is not offered here: nobody of ours would be its witness.
        """
        left_out = {*WITNESS, *(["role"] if self.role else [])}
        return [
            field for field in CATALOGUE["signature"]["fields"] if field["name"] not in left_out
        ]

    def standing(self, now: datetime) -> Standing:
        """Whether the link still serves."""
        state = self.visit.state
        if any(entry["value"]["token"] == self.token for entry in state["signatures"]):
            return "given"
        if self.entry["voids"] or state["visit"]["status"] == "cancelled":
            return "withdrawn"
        days = self.policy.data["customer"]["sign_days"]
        until = datetime.fromisoformat(self.entry["at"]) + timedelta(days=days)
        return "over" if now > until else "open"


@bp.get("/<visit_id>/<token>")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def show_request(visit_id: str, token: str) -> ResponseReturnValue:
    """What was done, and the pad; or why there is nothing to sign here."""
    asked = asked_for(visit_id, token)
    if asked is None:
        return _absent_page()
    now = datetime.now(UTC)
    standing = asked.standing(now)
    if standing != "open":
        return _closed_page(asked, standing)
    named = asked.entry["value"].get("name")
    begun = {"name": named} if isinstance(named, str) else {}
    return _sign_page(asked, _state(asked, now), begun, [])


@bp.post("/<visit_id>/<token>")
@limiter.limit(lambda: per_minute("VERIFY_PER_MINUTE"))
def create_signature(visit_id: str, token: str) -> ResponseReturnValue:
    """The customer signed what he read; posted twice, it is one signature."""
    asked = asked_for(visit_id, token)
    if asked is None:
        return _absent_page()
    now = datetime.now(UTC)
    state = _state(asked, now)
    posted = {name: request.form.getlist(name) for name in request.form}
    value = read_value(asked.fields, posted, state["context"]["site"]["offsets"])
    standing = asked.standing(now)
    if standing != "open":
        return _answer(asked, standing, value)
    if asked.role:
        value["role"] = asked.role
    kind = CATALOGUE["signature"]
    findings = validate(kind["fields"], value, asked.policy.choices(), coverage())
    findings = (
        findings
        or unsigned(state, asked.policy.data, posted)
        or _unseen(asked)
        or others_first(state, asked.policy.data, value)
    )
    if not findings:
        try:
            _perform(asked, state, sign(state, value, current_language(), asked.token), now)
        except Problem as problem:
            if problem.code != "form.stale":
                raise
            asked = asked_for(visit_id, token) or asked
            state = _state(asked, now)
            findings = [{"field": "strokes", "code": "form.stale", "detail": ""}]
        else:
            asked = asked_for(visit_id, token) or asked
            return _answer(asked, asked.standing(now), value)
    return _sign_page(asked, state, value, findings)


@bp.get("/<visit_id>/<token>/photos/<sha256>")
def show_photo(visit_id: str, token: str, sha256: str) -> ResponseReturnValue:
    """A photo of what is to be signed, as long as it is.  A page may show dozens: no limit."""
    asked = asked_for(visit_id, token)
    if asked is None or asked.standing(datetime.now(UTC)) != "open":
        return _absent_page()
    if sha256 not in _photos(asked.visit.state):
        raise Problem("photo.not-found")
    return blobs.photo_response(asked.visit, sha256)


def asked_for(visit_id: str, token: str) -> Asked | None:
    """The request behind a link; None for one that nobody made, or that is not here yet."""
    if not is_id(visit_id) or not is_token(token):
        return None
    visit = db.session.get(Visit, visit_id, populate_existing=True)
    if visit is None or not visit.state:
        return None
    for entry in visit.state["entries"]:
        held = entry["value"].get("token")
        if entry["kind"] == REQUEST and is_token(held) and hmac.compare_digest(held, token):
            break
    else:
        return None
    person = db.session.get(Person, entry["author"])
    if person is None or person.org_id != visit.org_id or _is_doubted(visit.state, entry["id"]):
        return None
    owner = db.session.get_one(Organisation, visit.org_id)
    return Asked(visit, entry, person, owner, load_policy(owner.policy))


def _is_doubted(state: State, id_: str) -> bool:
    return any(
        flag["operation"] == id_ and flag["code"] in DOUBTS and not flag.get("dismissed")
        for flag in state["flags"]
    )


def _perform(asked: Asked, state: State, value: Mapping[str, Any], now: datetime) -> None:
    """Perform the signature; Problem("form.stale") when the visit is not what it stands on."""
    visit_id, org_id = asked.visit.id, asked.visit.org_id
    with unit(org_id, now) as opened:
        opened.hold([visit_id])
        held = asked_for(visit_id, asked.token)  # as nobody else can change it any more
        if held is None or held.standing(now) not in ("open", "given"):
            raise Problem("form.stale")
        if held.standing(now) == "given":
            return
        if canonical(facts(held.visit.state, ON_PAPER)) != canonical(facts(state, ON_PAPER)):
            raise Problem("form.stale")
        opened.perform("signature", visit_id, CUSTOMER, value)


def _state(asked: Asked, now: datetime) -> State:
    """What is shown: the visit as whoever asked has it."""
    return present([asked.visit], asked.person, now)[0]


def _sign_page(
    asked: Asked, state: State, value: Mapping[str, Any], findings: Sequence[Finding]
) -> ResponseReturnValue:
    """The facts and the form, rendered as the hand-over page is."""
    kind = CATALOGUE["signature"]
    form = write_form(kind["fields"], value, state["context"]["site"]["offsets"])
    more = {
        "seen": seen_digest(state),
        "pictures": f"{asked.path}/photos/",
        "path": asked.path,
        "person": None,
        "owner": {"name": asked.owner.name, "phone": asked.owner.phone},
        "role": asked.role,
        "to_come": _to_come(asked),
        "trouble": _trouble(findings) if findings else "",
    }
    kinds = localised(current_language())["catalogue"]
    names = {field["name"] for field in asked.fields}
    labelled = [field for field in kinds["signature"]["fields"] if field["name"] in names]
    more["catalogue"] = kinds | {"signature": kinds["signature"] | {"fields": labelled}}
    arguments = form_page({}, state, asked.policy.data, kind, form, findings, more)
    return customer_page("sign/form.html", arguments, 422 if findings else 200)


def _photos(state: State) -> set[str]:
    """The hashes of the photos that are to be signed."""
    told = (entry["value"].get("sha256") for entry in standing_entries(state, "photo"))
    return {name for name in told if blobs.is_name(name)}


def _to_come(asked: Asked) -> int:
    """How many of them are not here yet."""
    return len(blobs.missing(asked.visit.org_id, _photos(asked.visit.state)))


def _unseen(asked: Asked) -> list[Finding]:
    """Nobody signs for pictures that are not here yet: he could not see them."""
    if not _to_come(asked):
        return []
    return [{"field": "strokes", "code": "form.stale", "detail": ""}]


def _trouble(findings: Sequence[Finding]) -> str:
    """What is said above the form: the reason, when it is not that something is incomplete."""
    codes = [finding["code"] for finding in findings]
    return next((code for code in codes if code in _REASONS), "form.incomplete")


_REASONS = ("form.stale", "signature.others-first")


def _answer(asked: Asked, standing: Standing, value: Mapping[str, Any]) -> ResponseReturnValue:
    """What somebody is told who signed: also when somebody else did so before."""
    given = [
        entry["value"]
        for entry in asked.visit.state["signatures"]
        if entry["value"]["token"] == asked.token
    ]
    if given and any(given[0][name] != value.get(name) for name in ("name", "opinion", "strokes")):
        return _closed_page(asked, "taken", str(value.get("opinion") or ""))
    return redirect(asked.path, 303)


def _closed_page(asked: Asked, standing: Standing, opinion: str = "") -> ResponseReturnValue:
    """Nothing to sign here any more.  Whoever signed finds the papers behind the other link."""
    signatures = [
        entry for entry in asked.visit.state["signatures"] if is_token(entry["value"]["token"])
    ]
    page = server_page(
        "sign/closed.html",
        standing=standing,
        owner=asked.owner,
        token=signatures[0]["value"]["token"] if signatures else "",
        opinion=opinion,
    )
    return page, {"given": 200, "taken": 409}.get(standing, 410)


def _absent_page() -> ResponseReturnValue:
    """Not here: made up, or on its way from a phone without signal.  Both get the same answer."""
    return server_page("sign/absent.html"), 404
