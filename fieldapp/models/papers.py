"""What is kept as bytes: blobs from the phones and sealed reports."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint, case
from sqlalchemy.orm import Mapped, mapped_column

from fieldapp.models.base import Base, Key, UtcDateTime
from sync.papers import PAPERS, paper_named


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
    """One paper of a sealed revision of a visit's work order.

    ``name`` is that of ``sync.papers``; the papers of one revision are sealed together.
    """

    __tablename__ = "report"
    __table_args__ = (
        UniqueConstraint("token", "revision", "name"),
        Index("report_sealed", "org_id", "sealed_at"),
    )

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    visit_id: Mapped[str] = mapped_column(Key, index=True)
    token: Mapped[str] = mapped_column(String(32))
    revision: Mapped[int]
    name: Mapped[str] = mapped_column(String(30))
    content_sha256: Mapped[str] = mapped_column(
        String(64)
    )  # of what it says, without times of ours
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    unsealed_sha256: Mapped[str] = mapped_column(String(64), default="")  # before the seal
    awaits_timestamp: Mapped[bool] = mapped_column(default=False)  # the authority was silent
    sealed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    verdict: Mapped[str] = mapped_column(String(10))  # of the customer's signature

    @property
    def title(self) -> str:
        """The message id of the paper's name."""
        return paper_named(self.name).title


class ReportSource(Base):
    """What the papers of one revision were made from, so that a lost one can be made again.

    ``packed`` is that of ``fieldapp.sources``; ``made_by`` the version of fieldapp that made them.
    """

    __tablename__ = "report_source"

    visit_id: Mapped[str] = mapped_column(Key, primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    made_by: Mapped[str] = mapped_column(String(40))
    packed: Mapped[bytes]


class ReportFile(Base):
    """A file that a paper was or is, since it got a timestamp after its seal or another seal.

    The bytes change by it, and what was handed out before stays genuine.
    """

    __tablename__ = "report_file"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    report_id: Mapped[str] = mapped_column(ForeignKey("report.id"), index=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))


class Hindrance(Base):
    """What keeps the papers of a visit from being made; there is none once they are.

    ``problem`` is a code of ``sync.problems`` and ``args`` fill its sentence.  ``tries`` counts the
    failures since something new came.  The last one began at ``tried_at``, in ``release`` of
    fieldapp; the next is due at ``next_at``, or waits for something new when that is None.
    """

    __tablename__ = "hindrance"

    visit_id: Mapped[str] = mapped_column(ForeignKey("visit.id"), primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    problem: Mapped[str] = mapped_column(String(60))
    args: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    tries: Mapped[int] = mapped_column(default=0)
    release: Mapped[str] = mapped_column(String(40))
    tried_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


PLACE = case({paper.name: place for place, paper in enumerate(PAPERS)}, value=Report.name)
"""Where a paper stands among those of its revision."""
