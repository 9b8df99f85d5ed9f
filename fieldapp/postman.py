"""Letters handed in: one try at a time, in the background, again at growing intervals.

A server that dies between handing a letter in and noting that sends it a second time: rather twice
than never.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import select

from fieldapp import jobs
from fieldapp.database import begin_writing
from fieldapp.downloads import file_name
from fieldapp.languages import LANGUAGES, texts
from fieldapp.letter import write_letter
from fieldapp.mail import mail_server
from fieldapp.models import Mail, Organisation, Report, Visit, db
from fieldapp.models.mail import FAILED, SENT, WAITING
from fieldapp.models.papers import PLACE
from fieldapp.reports import read_paper
from fieldapp.smtp import deliver
from sync.problems import CATALOGUE, Problem

DELAYS_SECONDS = (60, 300, 1800, 7200, 21_600)
"""How long a letter that could not be handed in waits, each time longer; then it has failed."""


def send_mail(id_: str, now: datetime) -> None:
    """Try to hand one letter in, unless that was done or is not due."""
    mail = _claimed(id_, now)
    if mail is None:
        return
    try:
        _hand_in(mail, now)
    except Problem as problem:
        _note_failure(id_, problem, now)
    else:
        begin_writing()
        mail = db.session.get_one(Mail, id_)
        mail.state, mail.done_at, mail.problem, mail.reason_text = SENT, now, "", ""
        db.session.commit()


def _claimed(id_: str, now: datetime) -> Mail | None:
    """The letter, taken for one try: until the next is due nobody else tries."""
    begin_writing()
    mail = db.session.get(Mail, id_, with_for_update=True, populate_existing=True)
    if mail is None or mail.state != WAITING or mail.next_at > now:
        db.session.rollback()
        return None
    mail.next_at = now + timedelta(seconds=_delay(mail.tries))
    mail.tries += 1
    db.session.commit()
    return mail


def _hand_in(mail: Mail, now: datetime) -> None:
    """Write the letter and hand it in, with no transaction open meanwhile."""
    server = mail_server()
    if server is None:
        raise Problem("mail.not-set-up")
    visit = db.session.get_one(Visit, mail.visit_id)
    owner = db.session.get_one(Organisation, mail.org_id)
    papers = _papers(mail)
    attached = {file_name(paper, visit): read_paper(paper) for paper in papers}
    if not papers or None in attached.values():
        raise Problem("report.not-found")
    assert visit.work_order is not None
    request, contact = visit.work_order.request, visit.work_order.request.contact
    sender, recipient = current_app.config["MAIL_FROM"], mail.address
    letter = write_letter(
        texts()[contact.language if contact.language in LANGUAGES else LANGUAGES[0]],
        {
            "number": visit.work_order.number or "–",
            "revision": str(mail.revision),
            "customer": request.customer.name,
            "site": request.site.name,
            "name": owner.name,
            "phone": owner.phone,
            "link": f"{current_app.config['PUBLIC_URL']}/verify/{papers[0].token}",
        },
        {name: pdf for name, pdf in attached.items() if pdf is not None},
        id_=mail.id,
        sender=sender,
        recipient=recipient,
        at=now,
    )
    db.session.rollback()
    deliver(server, letter, sender, recipient)


def _papers(mail: Mail) -> Sequence[Report]:
    return db.session.scalars(
        select(Report)
        .where(
            Report.org_id == mail.org_id,
            Report.visit_id == mail.visit_id,
            Report.revision == mail.revision,
        )
        .order_by(PLACE)
    ).all()


def _note_failure(id_: str, problem: Problem, now: datetime) -> None:
    """Note why a letter did not go, and try again later when that may help."""
    begin_writing()
    mail = db.session.get_one(Mail, id_)
    mail.problem = problem.code
    mail.reason_text = str(problem.args_.get("reason", ""))
    will_retry = CATALOGUE[problem.code].retry and mail.tries <= len(DELAYS_SECONDS)
    if not will_retry:
        mail.state, mail.done_at = FAILED, now
    seconds = _delay(mail.tries - 1)
    db.session.commit()
    if will_retry:
        jobs.enqueue("mail", id_, delay_seconds=seconds)


def _delay(tries: int) -> int:
    """Seconds until a letter is tried again that was tried so often before."""
    return DELAYS_SECONDS[min(tries, len(DELAYS_SECONDS) - 1)]
