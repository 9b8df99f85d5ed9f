"""A month's papers as one file."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from fieldapp.models.base import Base, Key, UtcDateTime

WAITING, RUNNING, READY, FAILED = "waiting", "running", "ready", "failed"


class Bundle(Base):
    """Every paper sealed in ``month`` (``2026-11``, on the organisation's clock) in one ZIP.

    ``state`` is waiting, running, ready or failed; ``tries`` counts how often it was begun, and
    tells one try from the next.  ``done`` of ``count`` papers are in it, ``missing`` of those done
    could not be.  ``seen_at`` is when it was last known to go on: asked for, begun or some papers
    further.  ``problem`` is why it failed, a code of ``sync.problems``, with ``reason_text``.
    ``size`` is that of the finished file in bytes.
    """

    __tablename__ = "bundle"
    __table_args__ = (Index("bundle_of_month", "org_id", "month"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    month: Mapped[str] = mapped_column(String(7))
    language: Mapped[str] = mapped_column(String(5))  # of the index
    asked_by_id: Mapped[str] = mapped_column(Key)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(10), default=WAITING)
    tries: Mapped[int] = mapped_column(default=0)
    count: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    missing: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    problem: Mapped[str] = mapped_column(String(60), default="")
    reason_text: Mapped[str] = mapped_column(String(300), default="")
