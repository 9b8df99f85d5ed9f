"""The people of the tests, initial = role, and their Chinese counterparts.

Erin and Eli are engineers, Dana a dispatcher, Cleo the customer's contact, Olly an outsider.
The same in Chinese: 李强 and 周凯, 陈经理, 王丽, 马外.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from fieldapp.ids import mint_id
from fieldapp.models import (
    Asset,
    Contact,
    Customer,
    Organisation,
    Person,
    ServiceRequest,
    Site,
    Visit,
    WorkOrder,
    db,
)

MORNING = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
"""Tuesday 2026-03-10, 09:00 in Shanghai."""

CAST = {
    "erin": ("Erin Ng", "engineer", "en"),
    "eli": ("Eli Fox", "engineer", "en"),
    "dana": ("Dana Roy", "dispatcher", "en"),
    "liqiang": ("李强", "engineer", "zh_CN"),
    "zhoukai": ("周凯", "engineer", "zh_CN"),
    "chen": ("陈经理", "dispatcher manager", "zh_CN"),
}


def add(row):
    """``row``, stored."""
    db.session.add(row)
    db.session.flush()
    return row


def make_organisation(name="Brook Alarms", **values):
    """An organisation with the alarm policy, on Shanghai's clock."""
    id_ = mint_id(MORNING)
    return add(
        Organisation(
            id=id_, name=name, epoch=mint_id(MORNING), **{"phone": "021-5550-0100"} | values
        )
    )


def make_person(account, organisation, **values):
    """One of the cast by account; nobody of them can sign in until given a password hash."""
    name, roles, language = CAST.get(account, (account.title(), "engineer", "en"))
    given = {"name": name, "roles_text": roles, "language": language, "password_hash": "!"}
    row = Person(id=mint_id(MORNING), org_id=organisation.id, account=account, **given | values)
    return add(row)


def make_olly():
    """Olly works for somebody else and may see nothing here."""
    return make_person("olly", make_organisation("Elsewhere"), roles_text="engineer dispatcher")


@dataclass(frozen=True)
class Place:
    """A customer with one site, the contact there and one asset."""

    customer: Customer
    site: Site
    contact: Contact
    asset: Asset


def make_place(organisation, code="C1", contact_name="Cleo Ash", **site):
    """A customer's site in town, Cleo's or her counterpart's, with an asset under warranty."""
    common = {"org_id": organisation.id, "code": code}
    customer = add(Customer(id=mint_id(MORNING), **common, name=f"Customer {code}"))
    given = {"name": "Main hall", "address": "1 Quay Road", "distance": "urban"}
    given |= {"zone": "Asia/Shanghai"} | site
    place = add(Site(id=mint_id(MORNING), **common, customer_id=customer.id, **given))
    contact = add(
        Contact(
            id=mint_id(MORNING),
            **common,
            site_id=place.id,
            name=contact_name,
            phone="138-0000-0001",
            role_text="Property",
            language="en" if contact_name.isascii() else "zh_CN",
        )
    )
    asset = add(
        Asset(
            id=mint_id(MORNING),
            org_id=organisation.id,
            serial=f"WAH200-{code}",
            model="WAH-200",
            name="Alarm host",
            holder="site",
            holder_id=place.id,
            commissioned_on=date(2025, 9, 15),
            warranty_months=12,
        )
    )
    return Place(customer, place, contact, asset)


def make_visit(place, number="PG-1", *, asset=True, request=None, reported_at=MORNING, **values):
    """A visit on a new work order ``number``, of ``request`` or of a new one."""
    org_id = place.site.org_id
    request = request or add(
        ServiceRequest(
            id=mint_id(MORNING),
            org_id=org_id,
            number=f"BX-{number}",
            customer_id=place.customer.id,
            site_id=place.site.id,
            contact_id=place.contact.id,
            asset_id=place.asset.id if asset else None,
            reported_at=reported_at,
        )
    )
    order = add(
        WorkOrder(
            id=mint_id(MORNING),
            org_id=org_id,
            request_id=request.id,
            number=number,
            job_type="repair",
            carry=["multimeter"],
        )
    )
    return add(Visit(id=mint_id(MORNING), org_id=org_id, work_order_id=order.id, **values))
