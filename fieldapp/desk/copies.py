"""Copies of papers that went out by e-mail, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass

from fieldapp.desk.pages import names_of
from fieldapp.desk.seen import Refused, Seen
from fieldapp.mail import contact_of, mail_server, mails_of
from fieldapp.models import Mail

MAILS = "mails"
"""The noun of the form that sends a copy."""


@dataclass(frozen=True)
class Copies:
    """The letters, the newest first, and the form for another.

    ``names`` are those who asked for one, by id.  ``problem`` is what is wrong with the address.
    """

    letters: list[Mail]
    names: dict[str, str]
    is_set_up: bool
    address: str
    problem: str


def copies_of(seen: Seen, refused: Refused | None) -> Copies:
    """What the page of a visit says of copies; the form offers the address that was used last."""
    letters = mails_of(seen.visit)
    contact = contact_of(seen.visit)
    offered = letters[0].address if letters else contact.email if contact is not None else ""
    mine = refused if refused is not None and refused.noun == MAILS else None
    return Copies(
        letters,
        names_of([letter.asked_by_id for letter in letters if letter.asked_by_id]),
        mail_server() is not None,
        mine.first("address") if mine is not None else offered,
        mine.findings[0]["code"] if mine is not None else "",
    )
