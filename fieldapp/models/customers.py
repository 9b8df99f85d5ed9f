"""Where one drives to and whom one meets: customers, sites and contacts."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fieldapp.models.base import Base, Key


class Customer(Base):
    """The organisation that pays.  ``code`` is the name other systems know it by."""

    __tablename__ = "customer"
    __table_args__ = (UniqueConstraint("org_id", "code"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    code: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(200))

    sites: Mapped[list[Site]] = relationship(back_populates="customer", order_by="Site.code")


class Site(Base):
    """The place one drives to.  ``distance`` is a class of the policy pack."""

    __tablename__ = "site"
    __table_args__ = (UniqueConstraint("org_id", "code"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"), index=True)
    code: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(300))
    distance: Mapped[str] = mapped_column(String(40))
    zone: Mapped[str] = mapped_column(String(64))
    access_text: Mapped[str] = mapped_column(String(1000), default="")

    customer: Mapped[Customer] = relationship(back_populates="sites")
    contacts: Mapped[list[Contact]] = relationship(back_populates="site", order_by="Contact.code")


class Contact(Base):
    """The person at the customer who is called and who signs, in ``language``.

    Copies of papers go to ``email``, where there is one.
    """

    __tablename__ = "contact"
    __table_args__ = (UniqueConstraint("org_id", "code"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    site_id: Mapped[str] = mapped_column(ForeignKey("site.id"), index=True)
    code: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(100))
    phone: Mapped[str] = mapped_column(String(40))
    role_text: Mapped[str] = mapped_column(String(100), default="")
    language: Mapped[str] = mapped_column(String(5), default="zh_CN")
    email: Mapped[str] = mapped_column(String(254), default="")

    site: Mapped[Site] = relationship(back_populates="contacts")
