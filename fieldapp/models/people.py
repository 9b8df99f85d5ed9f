"""Who works here: the organisation, its people and their phones."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fieldapp.models.base import Base, Key, UtcDateTime


class Organisation(Base):
    """One after-sales organisation; its id is on every table and distributes the rows."""

    __tablename__ = "organisation"

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    phone: Mapped[str] = mapped_column(String(40), default="")
    address: Mapped[str] = mapped_column(String(300), default="")
    logo: Mapped[str] = mapped_column(String(64), default="")  # SHA-256 of the picture's bytes
    zone: Mapped[str] = mapped_column(String(64), default="Asia/Shanghai")
    currency: Mapped[str] = mapped_column(String(3), default="CNY")
    policy: Mapped[str] = mapped_column(String(40), default="alarm")
    epoch: Mapped[str] = mapped_column(Key)  # changes when a backup was restored


class Person(Base):
    """Somebody who signs in: engineer, dispatcher, manager or admin."""

    __tablename__ = "person"
    __table_args__ = (UniqueConstraint("account"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    account: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(100))
    phone: Mapped[str] = mapped_column(String(40), default="")
    language: Mapped[str] = mapped_column(String(5), default="zh_CN")
    password_hash: Mapped[str] = mapped_column(String(200))
    roles_text: Mapped[str] = mapped_column(String(100))  # "engineer", "dispatcher manager"…
    left_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    organisation: Mapped[Organisation] = relationship()

    @property
    def roles(self) -> frozenset[str]:
        """The roles this person has."""
        return frozenset(self.roles_text.split())

    @property
    def is_desk(self) -> bool:
        """Whether the person works at the desk."""
        return bool(self.roles & {"dispatcher", "manager", "admin"})


class Device(Base):
    """An engineer's phone: it mints operations and holds a push credential."""

    __tablename__ = "device"

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    credential_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    browser_text: Mapped[str] = mapped_column(String(300), default="")
    enrolled_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_by_id: Mapped[str | None] = mapped_column(Key)
    heard_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    skew_ms: Mapped[int] = mapped_column(BigInteger, default=0)  # 32 bits end at 25 days
    high: Mapped[int] = mapped_column(BigInteger, default=0)  # highest counter it ever gave
    received: Mapped[int] = mapped_column(BigInteger, default=0)  # how many of these arrived
    unsent: Mapped[int] = mapped_column(default=0)  # items and photos it held when last heard
    # The phone that this one took the place of, and why: its storage was emptied, it was revoked.
    replaces_id: Mapped[str | None] = mapped_column(Key)
    replaces_reason: Mapped[str] = mapped_column(String(20), default="")

    person: Mapped[Person] = relationship()
