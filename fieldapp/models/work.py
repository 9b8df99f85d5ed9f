"""What was promised: requests, work orders and visits."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Date,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fieldapp.models.assets import Asset
from fieldapp.models.base import Base, Key, UtcDateTime
from fieldapp.models.customers import Contact, Customer, Site
from fieldapp.models.papers import Hindrance
from fieldapp.models.people import Person


class ServiceRequest(Base):
    """What the customer reported.  One request has one or more work orders."""

    __tablename__ = "service_request"
    __table_args__ = (UniqueConstraint("org_id", "number"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    number: Mapped[str | None] = mapped_column(String(40))
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"), index=True)
    site_id: Mapped[str] = mapped_column(ForeignKey("site.id"), index=True)
    contact_id: Mapped[str] = mapped_column(ForeignKey("contact.id"), index=True)
    asset_id: Mapped[str | None] = mapped_column(ForeignKey("asset.id"), index=True)
    channel: Mapped[str] = mapped_column(String(40), default="phone")
    reported_at: Mapped[datetime] = mapped_column(UtcDateTime)

    customer: Mapped[Customer] = relationship()
    site: Mapped[Site] = relationship()
    contact: Mapped[Contact] = relationship()
    asset: Mapped[Asset | None] = relationship()


class WorkOrder(Base):
    """Work promised to one customer at one site, in one or more visits."""

    __tablename__ = "work_order"
    __table_args__ = (UniqueConstraint("org_id", "number"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    request_id: Mapped[str] = mapped_column(ForeignKey("service_request.id"), index=True)
    number: Mapped[str | None] = mapped_column(String(40))
    job_type: Mapped[str] = mapped_column(String(40))
    carry: Mapped[list[str]] = mapped_column(JSON, default=list)  # what to take along, a line each

    request: Mapped[ServiceRequest] = relationship()


TO_SETTLE = "conflict_count > 0 OR flag_count > 0"
"""Visits that wait for somebody at the desk, as their index and its readers write it."""


class Visit(Base):
    """One trip by one engineer for one work order.

    All columns below ``work_order_id`` are projections of the journal, written by
    ``fieldapp.perform`` alone; ``state`` is the fold as ``docs/state.md`` describes it, without its
    context.
    """

    __tablename__ = "visit"
    __table_args__ = (
        Index("visit_of_engineer", "org_id", "engineer_id", "appointment_at"),
        Index("visit_of_day", "org_id", "appointment_at"),
        Index("visit_closed", "org_id", "closed_at"),
        Index(
            "visit_to_settle",
            "org_id",
            "appointment_at",
            "conflict_count",
            "flag_count",
            sqlite_where=text(TO_SETTLE),
            postgresql_where=text(TO_SETTLE),
        ),
    )

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    work_order_id: Mapped[str | None] = mapped_column(ForeignKey("work_order.id"), index=True)
    engineer_id: Mapped[str | None] = mapped_column(ForeignKey("person.id"))
    appointment_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # arrival promised
    arrived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(20), default="planned")
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # accepted or cancelled
    rev: Mapped[int] = mapped_column(BigInteger, default=0)
    conflict_count: Mapped[int] = mapped_column(default=0)
    flag_count: Mapped[int] = mapped_column(default=0)
    is_changed: Mapped[bool] = mapped_column(default=False)  # what the customer signed
    state: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    summary_text: Mapped[str] = mapped_column(Text, default="")  # what was wrong, one line

    work_order: Mapped[WorkOrder | None] = relationship()
    engineer: Mapped[Person | None] = relationship()
    hindrance: Mapped[Hindrance | None] = relationship(viewonly=True)


class Notice(Base):
    """The number of a loaner's notice, given once: the ``count``-th of its day.

    ``operation_id`` is the loaner issue.  ``issued_on`` is a day at the organisation.
    """

    __tablename__ = "notice"
    __table_args__ = (UniqueConstraint("org_id", "issued_on", "count"),)

    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    operation_id: Mapped[str] = mapped_column(Key, primary_key=True)
    issued_on: Mapped[date] = mapped_column(Date)
    count: Mapped[int]
    number: Mapped[str] = mapped_column(String(40))
