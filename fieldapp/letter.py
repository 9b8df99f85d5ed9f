"""The letter that brings a customer the papers of a visit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from fieldapp.offline.messages import Messages, singular
from sync.catalogue import N_

NAME_CHARACTERS = 100

SUBJECT = N_("Work order %(number)s, revision %(revision)s")
GREETING = N_("Dear customer,")
ATTACHED = N_(
    "attached you find the sealed papers of work order %(number)s for %(customer)s, %(site)s."
)
REPLACES = N_("This is revision %(revision)s; it takes the place of those before it.")
LINK = N_("What was done, the papers again, and a place for your rating and your questions:")
CALL = N_("If you would rather call: %(name)s, %(phone)s")


def write_letter(
    messages: Messages,
    facts: Mapping[str, str],
    papers: Mapping[str, bytes],
    *,
    id_: str,
    sender: str,
    recipient: str,
    at: datetime,
) -> EmailMessage:
    """The letter in the language of ``messages``.

    ``facts`` are ``number``, ``revision``, ``customer``, ``site``, ``name`` and ``phone`` (of the
    organisation) and ``link``; ``papers`` the PDFs by file name.  ``id_`` names the letter: sent
    twice after a crash, it is one and the same to its reader's mail program.
    """
    told = {key: " ".join(text.split()) for key, text in facts.items()}

    def say(message: str) -> str:
        return singular(messages, message) % told

    lines = [say(GREETING), "", say(ATTACHED)]
    if told["revision"] != "1":
        lines += ["", say(REPLACES)]
    lines += ["", say(LINK), told["link"], "", say(CALL) if told["phone"] else told["name"], ""]
    letter = EmailMessage(policy=policy.SMTP)
    letter["Subject"] = say(SUBJECT)
    letter["From"] = Address(told["name"][:NAME_CHARACTERS], addr_spec=sender)
    letter["To"] = Address(addr_spec=recipient)
    letter["Date"] = format_datetime(at)
    letter["Message-ID"] = f"<{id_}@{sender.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content("\n".join(lines))
    for name, pdf in papers.items():
        letter.add_attachment(pdf, maintype="application", subtype="pdf", filename=name)
    return letter
