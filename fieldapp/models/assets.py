"""Things: assets with a serial number, parts counted by the piece."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Date, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fieldapp.models.base import Base, Key


class Asset(Base):
    """A thing with a serial number, wherever it is.

    ``holder`` is ``site``, ``van``, ``store`` or ``factory``; ``holder_id`` is the site or, for a
    van, its engineer.  ``part_code`` names the catalogue item it is one of.  The warranty runs
    ``warranty_months`` from ``commissioned_on``, the last day included.
    """

    __tablename__ = "asset"
    __table_args__ = (UniqueConstraint("org_id", "serial"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    serial: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(200))
    part_code: Mapped[str] = mapped_column(String(40), default="")
    holder: Mapped[str] = mapped_column(String(10))
    holder_id: Mapped[str | None] = mapped_column(Key, index=True)
    commissioned_on: Mapped[date | None] = mapped_column(Date)
    warranty_months: Mapped[int | None]


class Part(Base):
    """A catalogue item, counted in pieces."""

    __tablename__ = "part"
    __table_args__ = (UniqueConstraint("org_id", "code"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    code: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(200))


class VanStock(Base):
    """How many pieces of a part an engineer carries in the van."""

    __tablename__ = "van_stock"

    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), primary_key=True)
    part_id: Mapped[str] = mapped_column(ForeignKey("part.id"), primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    count: Mapped[int]
