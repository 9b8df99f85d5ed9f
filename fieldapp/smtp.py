"""The mail server: how it is reached, and what stands in the way of a letter."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal
from urllib.parse import unquote, urlsplit

from sync.problems import Problem

Security = Literal["starttls", "tls", "none"]

SCHEMES: dict[str, tuple[Security, int]] = {
    "smtp": ("starttls", 587),
    "smtps": ("tls", 465),
    "smtp+plain": ("none", 25),
}
"""How safe each kind of address is, and its usual port.  ``smtp`` insists on STARTTLS."""

ADDRESS_CHARACTERS = 254
REASON_CHARACTERS = 300

ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
"""One plain address, fit for a header: nothing else can be meant by it."""

_PUT_OFF = range(400, 500)


@dataclass(frozen=True)
class MailServer:
    """Where letters are handed in.  ``certificates`` is a file that vouches for it, or empty."""

    host: str
    port: int
    security: Security
    user: str = ""
    password: str = field(default="", repr=False)
    certificates: str = ""
    seconds: int = 20


def is_address(text: str) -> bool:
    """Whether ``text`` is one plain e-mail address."""
    return len(text) <= ADDRESS_CHARACTERS and ADDRESS.fullmatch(text) is not None


def read_server(url: str, certificates: str = "", seconds: int = 20) -> MailServer:
    """The mail server of ``url``, ``smtp://user:password@host:587``.

    User and password are percent-encoded.  Raises ValueError with the reason.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"must begin with {', '.join(f'{name}://' for name in SCHEMES)}")
    security, port = SCHEMES[parts.scheme]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must name a host, and nothing behind it but a port")
    if not f"{user}{password}".isascii():
        raise ValueError("must have a name and a password of ASCII characters")
    if user and security == "none":
        raise ValueError("must be smtp:// or smtps:// where a password goes along")
    return MailServer(
        parts.hostname, parts.port or port, security, user, password, certificates, seconds
    )


def deliver(server: MailServer, letter: EmailMessage, sender: str, recipient: str) -> None:
    """Hand ``letter`` in.

    Raises Problem("mail.no-server") and Problem("mail.busy"), after which trying again may help,
    and Problem("mail.refused"), Problem("mail.sign-in") and Problem("mail.encryption").
    """
    with _reasons(), _connected(server) as smtp:
        if server.user:
            smtp.login(server.user, server.password)
        smtp.send_message(letter, sender, [recipient])


@contextmanager
def _connected(server: MailServer) -> Iterator[smtplib.SMTP]:
    safe = ssl.create_default_context(cafile=server.certificates or None)
    if server.security == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=server.seconds, context=safe
        )
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=server.seconds)
    try:
        if server.security == "starttls":
            smtp.starttls(context=safe)
        yield smtp
    finally:
        # Whatever it says to a farewell, the letter is in or it is not.
        with suppress(smtplib.SMTPException, OSError):
            smtp.quit()
        smtp.close()


@contextmanager
def _reasons() -> Iterator[None]:
    """What went wrong as a Problem with the server's own words."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as wrong:
        raise _problem("mail.sign-in", wrong.smtp_code, wrong.smtp_error) from wrong
    except smtplib.SMTPRecipientsRefused as wrong:
        code, text = next(iter(wrong.recipients.values()))
        raise _problem("mail.refused", code, text) from wrong
    except smtplib.SMTPConnectError as wrong:
        raise Problem("mail.no-server", reason=_said(wrong.smtp_code, wrong.smtp_error)) from wrong
    except smtplib.SMTPResponseException as wrong:
        raise _problem("mail.refused", wrong.smtp_code, wrong.smtp_error) from wrong
    except smtplib.SMTPNotSupportedError as wrong:
        raise Problem("mail.encryption", reason=_plain(str(wrong))) from wrong
    except ssl.SSLError as wrong:
        raise Problem("mail.encryption", reason=_plain(wrong.reason or str(wrong))) from wrong
    except (smtplib.SMTPException, OSError) as wrong:
        raise Problem(
            "mail.no-server", reason=_plain(str(wrong) or type(wrong).__name__)
        ) from wrong


def _problem(code: str, status: int, text: bytes | str) -> Problem:
    """``code``, unless the server only puts the letter off (a status of 4xx)."""
    found = "mail.busy" if status in _PUT_OFF else code
    return Problem(found, reason=_said(status, text))


def _said(status: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return _plain(f"{status} {words}")


def _plain(text: str) -> str:
    """``text`` on one line, nothing unseen in it, cut to what a column holds."""
    line = " ".join(text.split())
    return "".join(filter(str.isprintable, line))[:REASON_CHARACTERS]
