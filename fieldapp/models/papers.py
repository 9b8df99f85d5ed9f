"""What is kept as bytes: blobs from the phones and sealed reports."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fieldapp.models.base import Base, Key, UtcDateTime


class Blob(Base):
    """A file from a phone, named by the SHA-256 of its bytes; stored unopened, it is the evidence.

    ``received`` counts the bytes held so far; ``complete_at`` is set once the hash was verified.
    ``problem`` names why no print copy could be made (a code of ``sync.problems``).
    """

    __tablename__ = "blob"

    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    received: Mapped[int] = mapped_column(default=0)
    size: Mapped[int]
    complete_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    problem: Mapped[str] = mapped_column(String(60), default="")


class BlobReference(Base):
    """An operation speaks of a blob; two operations may speak of the same one."""

    __tablename__ = "blob_reference"

    operation_id: Mapped[str] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    visit_id: Mapped[str] = mapped_column(Key, index=True)


class Report(Base):
    """One sealed revision of a visit's work order."""

    __tablename__ = "report"
    __table_args__ = (UniqueConstraint("token", "revision"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    visit_id: Mapped[str] = mapped_column(Key, index=True)
    token: Mapped[str] = mapped_column(String(32))
    revision: Mapped[int]
    content_sha256: Mapped[str] = mapped_column(
        String(64)
    )  # of what it says, without times of ours
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    sealed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    verdict: Mapped[str] = mapped_column(String(10))  # of the customer's signature
