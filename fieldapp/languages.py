"""The languages of the pages and their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from flask import current_app, has_request_context, request, session

from fieldapp.offline.messages import Messages, read_messages

LANGUAGES = ("zh_CN", "en")
"""The first is the default."""

PHONE = ("messages",)
CUSTOMER = ("messages", "verify")
SERVER = ("messages", "papers", "import", "desk", "verify")
PAPER = ("messages", "papers", "report")
"""Catalogues by reader: the phone carries no more than its pages say; on the paper the same English
word may stand for another Chinese one.  A later catalogue wins."""

_FOLDER = Path(__file__).parent / "translations"


def load_messages(*domains: str) -> dict[str, Messages]:
    """The texts of every language.  English is the language of the message ids."""
    texts: dict[str, Messages] = {}
    for language in LANGUAGES:
        merged: dict[str, str | Sequence[str]] = {}
        for domain in domains:
            merged |= _catalogue(language, domain)
        texts[language] = merged
    return texts


@cache
def _catalogue(language: str, domain: str) -> Messages:
    """One file, read once: several readers' texts begin with the same one."""
    path = _FOLDER / language / "LC_MESSAGES" / f"{domain}.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return read_messages(file)


def current_language() -> str:
    """The language of this request's reader: his choice, else his browser's, else the default."""
    if not has_request_context():
        return LANGUAGES[0]
    chosen = session.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    asked = request.accept_languages.best_match(["zh", "zh-CN", "en"], default="zh")
    return "en" if asked == "en" else "zh_CN"


def language_of_locale(environment: Mapping[str, str]) -> str:
    """The language of whoever works at the terminal with this ``environment``.

    As POSIX has it, the first variable that is not empty decides; what is not Chinese is English.
    """
    names = (environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "zh_CN" if next(filter(None, names), "").startswith("zh") else "en"


def texts() -> Mapping[str, Messages]:
    """The texts of every language that the server's pages speak, as loaded at the start."""
    found: Mapping[str, Messages] = current_app.extensions["languages"]
    return found
