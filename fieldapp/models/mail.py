"""What goes out by e-mail."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from fieldapp.models.base import Base, Key, UtcDateTime

WAITING, SENT, FAILED = "waiting", "sent", "failed"


class Mail(Base):
    """A copy of one revision's papers on its way to one address.

    ``state`` is waiting, sent or failed.  ``problem`` is what stood in the way last, a code of
    ``sync.problems``, and ``reason_text`` what the mail server said.  A waiting one is due at
    ``next_at``.  ``asked_by_id`` is who asked for it at the desk; nobody when it went by itself.
    """

    __tablename__ = "mail"
    __table_args__ = (Index("mail_due", "state", "next_at"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    visit_id: Mapped[str] = mapped_column(Key, index=True)
    revision: Mapped[int]
    address: Mapped[str] = mapped_column(String(254))
    state: Mapped[str] = mapped_column(String(10), default=WAITING)
    problem: Mapped[str] = mapped_column(String(60), default="")
    reason_text: Mapped[str] = mapped_column(String(300), default="")
    tries: Mapped[int] = mapped_column(default=0)
    asked_by_id: Mapped[str | None] = mapped_column(Key)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
