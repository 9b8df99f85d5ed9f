"""Who is asking, and what may they see: sign-in, roles, devices, visits."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Blueprint, Flask, current_app, g, redirect, request, session
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, bindparam, func, select

from fieldapp.database import begin_writing
from fieldapp.display import choose_display, current_display
from fieldapp.ids import mint_id
from fieldapp.models import Contact, Customer, Device, Person, Visit, WorkOrder, db
from fieldapp.pages import server_page
from fieldapp.rates import limiter, per_minute
from sync.problems import Problem
from sync.tables import visit_scope

bp = Blueprint("access", __name__)
_hasher = PasswordHasher()
# Checked when the account is unknown, so that the answer takes as long as for a known one.
_NOBODY = _hasher.hash(secrets.token_hex(8))

CREDENTIAL_BYTES = 32
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OPEN_BY_LINK = ("by_link", "customer", "verify")
"""Pages that no session opens: whoever can make a browser post there can post there himself."""

_WITH_REVOCATION = select(
    Person,
    select(func.max(Device.revoked_at)).where(Device.person_id == Person.id).scalar_subquery(),
).where(Person.id == bindparam("id"))
"""A person, and when one of the person's phones was last revoked."""

P = ParamSpec("P")
R = TypeVar("R")


def hash_password(text: str) -> str:
    """The argon2id hash of a password."""
    return _hasher.hash(text)


def check_password(person: Person | None, text: str) -> bool:
    """Whether ``text`` is the person's password.  As slow for nobody as for somebody."""
    try:
        _hasher.verify(person.password_hash if person else _NOBODY, text)
    except (VerificationError, InvalidHashError):
        return False
    return person is not None and person.left_at is None


def needs(*roles: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A handler for signed-in people who have one of ``roles``.

    Raises Problem("access.sign-in") or Problem("access.role").
    """

    def decorate(handler: Callable[P, R]) -> Callable[P, R]:
        @wraps(handler)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            person = signed_in()
            if person is None:
                raise Problem("access.sign-in")
            if not person.roles & set(roles):
                raise Problem("access.role")
            return handler(*args, **kwargs)

        return guarded

    return decorate


def signed_in() -> Person | None:
    """The person of this request's session, if it is not too old.

    Revoking a phone ends its person's sessions: whoever holds the phone may hold one of them.
    """
    if "person" in g:
        return g.person  # type: ignore[no-any-return]
    g.person = None
    since = session.get("since", 0)
    oldest = datetime.now(UTC) - timedelta(days=current_app.config["SESSION_DAYS"])
    if session.get("person") and since >= oldest.timestamp():
        found = db.session.execute(_WITH_REVOCATION, {"id": session["person"]}).one_or_none()
        if found is not None and not _is_over(*found, since):
            g.person = found[0]
    return g.person  # type: ignore[no-any-return]


def _is_over(person: Person, revoked_at: datetime | None, since: float) -> bool:
    """Whether a session that began at ``since`` (seconds since 1970) counts no more."""
    is_revoked = revoked_at is not None and since <= revoked_at.timestamp()
    return is_revoked or person.left_at is not None


def visit_for(person: Person, visit_id: str) -> Visit:
    """The visit, if it is this engineer's; Problem("visit.not-found") otherwise.

    Somebody else's visit and a visit that never was give the same answer.
    """
    return _visit_in_scope(person, visit_id, visit_scope.c.active)


def left_visit_for(person: Person, visit_id: str) -> Visit:
    """The visit, if it was this engineer's once; Problem("visit.not-found") otherwise."""
    return _visit_in_scope(person, visit_id, ~visit_scope.c.active)


def _visit_in_scope(person: Person, visit_id: str, condition: ColumnElement[bool]) -> Visit:
    visit = db.session.scalar(
        select(Visit)
        .join(
            visit_scope,
            (visit_scope.c.visit_id == Visit.id) & (visit_scope.c.org_id == Visit.org_id),
        )
        .where(
            Visit.id == visit_id,
            Visit.org_id == person.org_id,
            visit_scope.c.person_id == person.id,
            condition,
        )
    )
    if visit is None:
        raise Problem("visit.not-found")
    return visit


def desk_visit_for(person: Person, visit_id: str) -> Visit:
    """Any visit of the person's organisation; Problem("visit.not-found") otherwise."""
    visit = db.session.scalar(
        select(Visit).where(Visit.id == visit_id, Visit.org_id == person.org_id)
    )
    if visit is None:
        raise Problem("visit.not-found")
    return visit


def work_order_for(person: Person, work_order_id: str) -> WorkOrder:
    """A work order of the person's organisation; Problem("work-order.not-found") otherwise."""
    order = db.session.scalar(
        select(WorkOrder).where(WorkOrder.id == work_order_id, WorkOrder.org_id == person.org_id)
    )
    if order is None:
        raise Problem("work-order.not-found")
    return order


def customer_for(person: Person, customer_id: str) -> Customer:
    """A customer of the person's organisation; Problem("customer.not-found") otherwise."""
    customer = db.session.scalar(
        select(Customer).where(Customer.id == customer_id, Customer.org_id == person.org_id)
    )
    if customer is None:
        raise Problem("customer.not-found")
    return customer


def contact_for(person: Person, contact_id: str) -> Contact:
    """A contact of the person's organisation; Problem("customer.not-found") otherwise."""
    contact = db.session.scalar(
        select(Contact).where(Contact.id == contact_id, Contact.org_id == person.org_id)
    )
    if contact is None:
        raise Problem("customer.not-found")
    return contact


def enrol_device(person: Person, browser_text: str, now: datetime) -> tuple[Device, str]:
    """A new device of ``person`` and its credential, which is not kept here in the clear."""
    credential = secrets.token_urlsafe(CREDENTIAL_BYTES)
    device = Device(
        id=mint_id(now),
        org_id=person.org_id,
        person_id=person.id,
        credential_sha256=_sha256(credential),
        browser_text=browser_text[:300],
        enrolled_at=now,
    )
    db.session.add(device)
    return device, credential


def device_of_request() -> Device:
    """The device whose credential this request carries.

    A revoked device is returned too: what it holds is still wanted.
    Raises Problem("access.missing-device").
    """
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Device" or not credential:
        raise Problem("access.missing-device")
    device = db.session.scalar(
        select(Device).where(Device.credential_sha256 == _sha256(credential))
    )
    if device is None:
        raise Problem("access.missing-device")
    return device


def refuse_cross_site() -> None:
    """Refuse writes that another site's page caused.

    Raises Problem("access.cross-site").  Browsers send Sec-Fetch-Site; for older ones Origin
    decides.  Requests with neither come from programs and carry a credential of their own.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Problem("access.cross-site")
        return
    origin = request.headers.get("Origin")
    if origin == "null" and request.blueprint in OPEN_BY_LINK:
        return  # what a form sends from a page without referrer
    if origin is not None and origin != request.host_url.rstrip("/"):
        raise Problem("access.cross-site")


def limit_forms() -> None:
    """Hold a plain form to its own limit: the server's is that of photos."""
    if request.mimetype == "application/x-www-form-urlencoded":
        request.max_content_length = current_app.config["FORM_BYTES"]


@bp.get("/sign-in")
def show_sign_in() -> ResponseReturnValue:
    """The form; somebody already signed in goes on to work."""
    person = signed_in()
    if person is not None:
        return redirect(home_of(person), 303)
    return server_page("auth/sign_in.html", account="", problem="")


@bp.post("/sign-in")
@limiter.limit(lambda: per_minute("SIGN_IN_PER_MINUTE"))
def create_session() -> ResponseReturnValue:
    """Account and password become a session."""
    account = request.form.get("account", "").strip()[:60]
    password = request.form.get("password", "")[:200]
    person = db.session.scalar(select(Person).where(Person.account == account))
    if not check_password(person, password) or person is None:
        page = server_page("auth/sign_in.html", account=account, problem="access.wrong")
        return page, 401
    chosen = session.get("language") if session.get("person") in (None, person.id) else None
    _clear_session()
    session.permanent = True
    session["person"] = person.id
    session["since"] = datetime.now(UTC).timestamp()
    _keep_language(person, chosen or person.language)
    return redirect("/desk" if person.is_desk else "/welcome", 303)


@bp.get("/welcome")
def show_welcome() -> ResponseReturnValue:
    """The phone is prepared to be its own server, then goes on to the day's list."""
    person = signed_in()
    if person is None:
        raise Problem("access.sign-in")
    return server_page("auth/welcome.html")


@bp.post("/sign-out")
def delete_session() -> ResponseReturnValue:
    """Leave.  What the phone has not sent stays on the phone, locked to its person."""
    _clear_session()
    return redirect("/sign-in", 303)


@bp.post("/language")
def create_language() -> ResponseReturnValue:
    """The reader prefers a language, here and wherever he signs in; the page comes back in it."""
    language = request.form.get("language", "")
    if language in current_app.extensions["languages"]:
        _keep_language(signed_in(), language)
    return redirect(local_path(request.form.get("back", "")), 303)


@bp.post("/display")
def create_display() -> ResponseReturnValue:
    """The reader prefers a look of the pages; the page asked from comes back in it."""
    choose_display(request.form.get("display", ""))
    return redirect(local_path(request.form.get("back", "")), 303)


def home_of(person: Person) -> str:
    """Where the person's work is."""
    return "/desk" if person.is_desk else "/visits"


def local_path(path: str) -> str:
    """``path`` when it lies on this site, else the root."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    # Browsers drop control characters from an address: "/<tab>/elsewhere" leads away.
    return path if is_local and path.isprintable() else "/"


def _keep_language(person: Person | None, language: str) -> None:
    session["language"] = language
    if person is None or person.language == language:
        return
    begin_writing()
    person.language = language
    db.session.commit()


def _clear_session() -> None:
    """Forget who is signed in.  How pages look belongs to the device, not to the person."""
    display = current_display()
    session.clear()
    choose_display(display)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def guard(app: Flask) -> None:
    """Register the sign-in pages and the checks that come before every page."""
    app.register_blueprint(bp)
    app.before_request(refuse_cross_site)
    app.before_request(limit_forms)
