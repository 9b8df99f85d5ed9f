"""``/desk/visits/…/mails``: a copy goes out by e-mail, once more or for the first time."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import g, redirect, request
from flask.typing import ResponseReturnValue

from fieldapp.access import desk_visit_for, needs
from fieldapp.desk.copies import MAILS
from fieldapp.desk.pages import DESK, bp
from fieldapp.desk.review import review_page
from fieldapp.desk.seen import Refused, posted_form, seen_of
from fieldapp.mail import ask_copy
from sync.problems import Problem


@bp.post(f"/visits/<visit_id>/{MAILS}")
@needs(*DESK)
def create_mail(visit_id: str) -> ResponseReturnValue:
    """The newest papers go to an address."""
    visit = desk_visit_for(g.person, visit_id)
    posted = posted_form()
    address = request.form.get("address", "").strip()
    try:
        ask_copy(visit, address, g.person, datetime.now(UTC))
    except Problem as problem:
        if problem.code != "mail.address":
            raise
        refused = Refused(MAILS, posted)
        refused.findings = [{"field": "address", "code": problem.code, "detail": ""}]
        return review_page(seen_of(visit), refused, 422)
    return redirect(f"/desk/visits/{visit_id}#copies", 303)
