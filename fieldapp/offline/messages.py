"""The texts of one language, as both renderers look them up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import IO

from babel.messages.pofile import read_po
from markupsafe import Markup, escape

from fieldapp.offline.printing import printable

#: One language: message to translation, or to its plural forms (one form, or singular and plural).
Messages = Mapping[str, str | Sequence[str]]

_PLACEHOLDER = re.compile(r"%(?:(%)|\(([A-Za-z_][A-Za-z0-9_]*)\)s)?")


def read_messages(catalogue: IO[bytes]) -> dict[str, str | list[str]]:
    """Read an open ``.po`` file into the shape templates and the phone use.

    Untranslated and fuzzy entries are left out, so the page shows the message itself.
    Raises ValueError for an entry with more than two plural forms: neither renderer could choose.
    """
    messages: dict[str, str | list[str]] = {}
    for message in read_po(catalogue):
        if not message.id or message.fuzzy:
            continue
        if isinstance(message.id, (list, tuple)):
            forms = [str(form) for form in message.string or ()]
            if len(forms) > 2:
                raise ValueError(f"{message.id[0]!r} has {len(forms)} plural forms")
            if all(forms):
                messages[str(message.id[0])] = forms
        elif message.string:
            messages[str(message.id)] = str(message.string)
    return messages


def singular(messages: Messages, message: str) -> str:
    """Return the translation of ``message``, or ``message`` itself when there is none."""
    found = messages.get(message, message)
    return found if isinstance(found, str) else found[0]


def plural(messages: Messages, one: str, many: str, number: int) -> str:
    """Return the form of ``one``/``many`` that goes with ``number``.

    The number of forms decides the rule: a language with one form (Chinese) always uses it, one
    with two (English) uses the first for exactly 1.
    """
    found = messages.get(one)
    forms = (one, many) if found is None or isinstance(found, str) else found
    return forms[0] if number == 1 or len(forms) == 1 else forms[1]


def fill(text: str, variables: Mapping[str, object]) -> Markup:
    """Put ``variables`` where ``text`` says ``%(name)s``; ``%%`` is a percent sign.

    ``text`` is a translator's and trusted as HTML; every variable is escaped.
    Raises ValueError for any other ``%``, KeyError for a variable that was not given, and what
    ``printable`` raises.
    """

    def replacement(match: re.Match[str]) -> str:
        percent, name = match.groups()
        if percent:
            return "%"
        if name is None:
            raise ValueError(f"a translation may hold %(name)s and %%, nothing else: {text!r}")
        return str(escape(printable(variables[name])))

    # Safe: text comes from our own catalogues, and replacement escapes every variable.
    return Markup(_PLACEHOLDER.sub(replacement, text))  # noqa: S704
