"""``/desk/customers…``: look somebody up by name, code, phone or serial; edit a contact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import contains_eager, defer, joinedload, selectinload

from fieldapp.access import contact_for, customer_for, local_path, needs
from fieldapp.context import visits_holding
from fieldapp.desk.pages import DESK, LANGUAGE_NAMES, bp, desk_page
from fieldapp.forms import read_value, read_was
from fieldapp.models import Asset, Contact, Customer, ServiceRequest, Site, Visit, WorkOrder, db
from fieldapp.perform import unit
from fieldapp.presentation import policy_of
from fieldapp.smtp import is_address
from sync import warranty
from sync.canonical import canonical
from sync.catalogue import N_, Field
from sync.glyphs import coverage
from sync.validate import Finding, validate

FOUND = 20
"""Most places one look-up shows."""

LEAST_DIGITS = 3
"""Fewer digits match half of all telephone numbers."""

Posted = Mapping[str, Sequence[str]]

CONTACT_FIELDS: tuple[Field, ...] = (
    Field("name", "text", N_("Name"), True, 100),
    Field("phone", "text", N_("Telephone"), True, 40),
    Field("role_text", "text", N_("Position at the customer"), False, 100),
    Field("language", "choice", N_("Language of the papers"), True, choices="languages"),
    Field("email", "text", N_("E-mail"), False, 254),
)
_FIELDS = [vars(field) for field in CONTACT_FIELDS]


@dataclass(frozen=True)
class Found:
    """A place that a look-up found, with the contact or asset it was found by."""

    customer: Customer
    site: Site | None = None
    contact: Contact | None = None
    asset: Asset | None = None


@dataclass(frozen=True)
class Place:
    """What can be chosen at one customer, and what is: ids, empty for nothing chosen.

    ``contact`` may be ``new``.  Only what belongs to the chosen site is in the lists.
    """

    customer: Customer
    sites: list[Site]
    contacts: list[Contact]
    assets: list[Asset]
    site_id: str
    contact_id: str
    asset_id: str

    @property
    def site(self) -> Site | None:
        """The site chosen."""
        return next((site for site in self.sites if site.id == self.site_id), None)


@bp.get("/customers")
@needs(*DESK)
def show_customers() -> ResponseReturnValue:
    """Customers by name, code, telephone or serial number; a part of the form when asked for."""
    text = request.args.get("q", "").strip()[:60]
    is_part = request.headers.get("HX-Request-Type") == "partial"
    found = find_places(g.person.org_id, text) if text or not is_part else []
    template = "desk/_found.html" if is_part else "desk/customers.html"
    return desk_page(template, policy_of(g.person.org_id), found=found, q=text)


@bp.get("/customers/<customer_id>")
@needs(*DESK)
def show_customer(customer_id: str) -> ResponseReturnValue:
    """A customer's sites, contacts, assets and past work orders."""
    customer = customer_for(g.person, customer_id)
    now = datetime.now(UTC)
    sites = list(
        db.session.scalars(
            select(Site)
            .where(Site.customer_id == customer.id)
            .options(selectinload(Site.contacts))
            .order_by(Site.code)
        )
    )
    visits = list(
        db.session.scalars(
            select(Visit)
            .join(Visit.work_order)
            .join(WorkOrder.request)
            .where(ServiceRequest.customer_id == customer.id)
            .options(
                defer(Visit.state),
                joinedload(Visit.engineer),
                contains_eager(Visit.work_order)
                .contains_eager(WorkOrder.request)
                .joinedload(ServiceRequest.site),
            )
            .order_by(ServiceRequest.reported_at.desc(), Visit.id.desc())
            .limit(100)
        )
    )
    policy = policy_of(g.person.org_id)
    return desk_page(
        "desk/customer.html",
        policy,
        customer=customer,
        sites=sites,
        assets=assets_at(sites),
        verdicts=verdicts_of(sites, now),
        visits=visits,
        language_names=LANGUAGE_NAMES,
    )


@bp.get("/customers/<customer_id>/place")
@needs(*DESK)
def show_place(customer_id: str) -> ResponseReturnValue:
    """The part of the new work order where site, contact and asset are chosen."""
    place = place_of(customer_for(g.person, customer_id), request.args)
    return place_page(place, {}, {})


def place_page(
    place: Place | None, form: Mapping[str, str], findings: Mapping[str, Finding]
) -> ResponseReturnValue:
    """The part of a form where site, contact and asset are chosen."""
    return desk_page(
        "desk/_place.html", policy_of(g.person.org_id), form=form, findings=findings,
        **place_arguments(place, datetime.now(UTC)),
    )  # fmt: skip


def place_arguments(place: Place | None, now: datetime) -> dict[str, Any]:
    """What the template of a place is given."""
    return {
        "place": place,
        "contact_fields": _FIELDS,
        "language_names": LANGUAGE_NAMES,
        "verdicts": verdicts_of(place.sites, now) if place else {},
    }


@bp.get("/contacts/<contact_id>")
@needs(*DESK)
def edit_contact(contact_id: str) -> ResponseReturnValue:
    """The contact's name, telephone, position, language and e-mail."""
    contact = contact_for(g.person, contact_id)
    return _contact_page(contact, _written(contact), [], 200)


@bp.post("/contacts/<contact_id>")
@needs(*DESK)
def create_contact_change(contact_id: str) -> ResponseReturnValue:
    """The contact changed: every open visit that holds it goes to its phone again.

    Two people may change different fields of one contact; the second to change the same field is
    told and decides anew.
    """
    contact = contact_for(g.person, contact_id)
    posted = {name: request.form.getlist(name) for name in request.form}
    value = {field["name"]: "" for field in _FIELDS} | read_value(_FIELDS, posted, ())
    findings = contact_findings(value)
    if findings:
        return _contact_page(contact, value, findings, 422)
    was = read_was(posted)
    with unit(g.person.org_id, datetime.now(UTC)) as opened:
        # Not its key: whoever opens a work order for the contact need not wait.
        lock = {"key_share": True}
        row = db.session.get_one(Contact, contact_id, with_for_update=lock, populate_existing=True)
        changed = {name: text for name, text in value.items() if text != was.get(name)}
        changed = {name: text for name, text in changed.items() if text != getattr(row, name)}
        clashing = [name for name in changed if was.get(name) != getattr(row, name)]
        if changed and not clashing:
            for name, text in changed.items():
                setattr(row, name, text)
            db.session.flush()
            for visit_id in visits_holding(db.session, row):
                opened.touch(visit_id)
    if clashing:
        stale = [{"field": name, "code": "form.stale", "detail": ""} for name in clashing]
        return _contact_page(contact_for(g.person, contact_id), value, stale, 409)
    return redirect(local_path(request.form.get("back", "")) or "/desk", 303)


def contact_findings(value: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with a contact's fields."""
    choices = {"languages": list(LANGUAGE_NAMES)}
    found = validate(_FIELDS, value, choices, coverage())
    phone = str(value.get("phone", ""))
    if phone and sum(character.isdecimal() for character in phone) < LEAST_DIGITS:
        found.append({"field": "phone", "code": "field.wrong-type", "detail": ""})
    if value.get("email") and not is_address(str(value["email"])):
        found.append({"field": "email", "code": "mail.address", "detail": ""})
    return found


def find_places(org_id: str, text: str) -> list[Found]:
    """The places that ``text`` may mean: by customer, site, contact, telephone or serial number."""
    digits = "".join(filter(str.isdecimal, text))
    with_customer = joinedload(Site.customer)
    sites = db.session.execute(
        select(Customer, Site)
        .outerjoin(Site, Site.customer_id == Customer.id)
        .where(
            Customer.org_id == org_id,
            or_(*(_holds(column, text) for column in (Customer.name, Customer.code, Site.name))),
        )
        .order_by(Customer.name, Site.code)
        .limit(FOUND)
    )
    found = [Found(customer, site) for customer, site in sites]
    if not text:
        return found
    called = [_holds(Contact.name, text)]
    if len(digits) >= LEAST_DIGITS:
        bare: Any = func.replace(func.replace(Contact.phone, "-", ""), " ", "")
        called.append(bare.contains(digits))
    contacts = db.session.scalars(
        select(Contact)
        .where(Contact.org_id == org_id, or_(*called))
        .options(joinedload(Contact.site).joinedload(Site.customer))
        .order_by(Contact.name)
        .limit(FOUND)
    )
    found += [Found(row.site.customer, row.site, contact=row) for row in contacts]
    assets = db.session.execute(
        select(Asset, Site)
        .join(Site, (Site.id == Asset.holder_id) & (Asset.holder == "site"))
        .where(Asset.org_id == org_id, _holds(Asset.serial, text))
        .options(with_customer)
        .order_by(Asset.serial)
        .limit(FOUND)
    )
    found += [Found(site.customer, site, asset=asset) for asset, site in assets]
    return found[:FOUND]


def place_of(customer: Customer, chosen: Mapping[str, str]) -> Place:
    """What can be chosen at ``customer`` when ``chosen`` names site, contact and asset.

    An only site is chosen by itself, and an only contact there; what does not belong is dropped.
    """
    sites = list(
        db.session.scalars(
            select(Site)
            .where(Site.customer_id == customer.id)
            .options(selectinload(Site.contacts))
            .order_by(Site.code)
        )
    )
    empty = Place(customer, sites, [], [], "", "", "")
    wanted = sites[0].id if len(sites) == 1 else chosen.get("site", "")
    site = next((site for site in sites if site.id == wanted), None)
    if site is None:
        return empty
    contacts, assets = list(site.contacts), assets_at([site]).get(site.id, [])
    contact_id = chosen.get("contact", "")
    if contact_id != "new" and contact_id not in {contact.id for contact in contacts}:
        contact_id = (contacts[0].id if len(contacts) == 1 else "") if contacts else "new"
    asset_id = chosen.get("asset", "")
    if asset_id not in {asset.id for asset in assets}:
        asset_id = ""
    return replace(
        empty,
        contacts=contacts,
        assets=assets,
        site_id=site.id,
        contact_id=contact_id,
        asset_id=asset_id,
    )


def assets_at(sites: Sequence[Site]) -> dict[str, list[Asset]]:
    """The assets that stand at each of ``sites``."""
    found: dict[str, list[Asset]] = {site.id: [] for site in sites}
    rows = db.session.scalars(
        select(Asset)
        .where(Asset.holder == "site", Asset.holder_id.in_(sorted(found)))
        .order_by(Asset.name, Asset.serial)
    )
    for row in rows:
        found[str(row.holder_id)].append(row)
    return found


def verdicts_of(sites: Sequence[Site], now: datetime) -> dict[str, Any]:
    """What the warranty of every asset at ``sites`` says today."""
    zones = {site.id: ZoneInfo(site.zone) for site in sites}
    return {
        asset.id: warranty.verdict(
            asset.commissioned_on, asset.warranty_months, now.astimezone(zones[site_id]).date()
        )
        for site_id, assets in assets_at(sites).items()
        for asset in assets
    }


def _holds(column: Any, text: str) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = column.icontains(text, autoescape=True)
    return condition


def _written(contact: Contact) -> dict[str, str]:
    return {field["name"]: getattr(contact, field["name"]) for field in _FIELDS}


def _contact_page(
    contact: Contact, form: Mapping[str, Any], findings: Sequence[Finding], status: int
) -> ResponseReturnValue:
    return desk_page(
        "desk/contact.html",
        policy_of(g.person.org_id),
        status,
        contact=contact,
        fields=_FIELDS,
        form=form,
        now_is=_written(contact),
        was=canonical(_written(contact)),
        findings={finding["field"]: finding for finding in findings},
        language_names=LANGUAGE_NAMES,
        back=local_path(request.values.get("back", "")),
    )
