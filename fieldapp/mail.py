"""Letters with copies of papers: who asked for them, when papers are sealed or at the desk.

They are noted here and handed in by ``fieldapp.postman``.
"""

from __future__ import annotations

from datetime import datetime

from flask import current_app
from sqlalchemy import select

from fieldapp import jobs
from fieldapp.database import begin_writing
from fieldapp.ids import mint_id
from fieldapp.models import Contact, Mail, Organisation, Person, Report, Visit, db
from fieldapp.models.mail import WAITING
from fieldapp.policies import load_policy
from fieldapp.smtp import MailServer, is_address, read_server
from sync.problems import Problem


def mail_server() -> MailServer | None:
    """Where this installation hands letters in, or None."""
    config = current_app.config
    if not config["SMTP_URL"]:
        return None
    return read_server(config["SMTP_URL"], config["SMTP_CERTIFICATES"], config["SMTP_SECONDS"])


def contact_of(visit: Visit) -> Contact | None:
    """Who gets the papers of a visit."""
    return visit.work_order.request.contact if visit.work_order is not None else None


def copies_of(visit_id: str, revision: int, now: datetime) -> list[Mail]:
    """The letters that go by themselves when a revision is sealed: one or none, to be stored."""
    visit = db.session.get_one(Visit, visit_id)
    contact = contact_of(visit)
    policy = load_policy(db.session.get_one(Organisation, visit.org_id).policy)
    is_wanted = mail_server() is not None and policy.data["customer"]["sends_copies"]
    if not is_wanted or contact is None or not is_address(contact.email):
        return []
    return [_letter(visit, revision, contact.email, None, now)]


def ask_copy(visit: Visit, address: str, person: Person, now: datetime) -> str:
    """Note a letter with the newest papers to ``address`` and have it sent; returns its id.

    Raises Problem("mail.not-set-up"), Problem("mail.address") and Problem("report.not-found").
    """
    if mail_server() is None:
        raise Problem("mail.not-set-up")
    if not is_address(address):
        raise Problem("mail.address")
    revision = db.session.scalar(
        select(Report.revision)
        .where(Report.org_id == visit.org_id, Report.visit_id == visit.id)
        .order_by(Report.revision.desc())
        .limit(1)
    )
    if revision is None:
        raise Problem("report.not-found")
    mail = _letter(visit, revision, address, person.id, now)
    id_ = mail.id
    begin_writing()
    db.session.add(mail)
    db.session.commit()
    jobs.enqueue("mail", id_)
    return id_


def find_due_mail(now: datetime) -> list[str]:
    """Ids of letters that should have been tried by now: the jobs of a crash are lost."""
    due = select(Mail.id).where(Mail.state == WAITING, Mail.next_at <= now).order_by(Mail.next_at)
    return list(db.session.scalars(due))


def mails_of(visit: Visit) -> list[Mail]:
    """Every letter about a visit, the newest first."""
    return list(
        db.session.scalars(
            select(Mail)
            .where(Mail.org_id == visit.org_id, Mail.visit_id == visit.id)
            .order_by(Mail.asked_at.desc(), Mail.id.desc())
        )
    )


def _letter(
    visit: Visit, revision: int, address: str, asked_by_id: str | None, now: datetime
) -> Mail:
    return Mail(
        id=mint_id(now),
        org_id=visit.org_id,
        visit_id=visit.id,
        revision=revision,
        address=address,
        state=WAITING,
        asked_by_id=asked_by_id,
        asked_at=now,
        next_at=now,
    )
