"""Everything a page can say has its Chinese, and no translation asks for what its message lacks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2 import Environment

from fieldapp.languages import CUSTOMER, PAPER, PHONE, SERVER
from sync import catalogue, problems

ROOT = Path(__file__).parent.parent
CATALOGUES = ROOT / "fieldapp" / "translations" / "zh_CN" / "LC_MESSAGES"
PLACEHOLDER = re.compile(r"%\((\w+)\)s|\{(\w+)\}")
HAN = re.compile("[\u4e00-\u9fff]")
HALF_WIDTH = re.compile("[\u4e00-\u9fff][,;:?!()]|[,;:?!()][\u4e00-\u9fff]")
SAME_IN_BOTH = ("fieldapp",)
READERS = [
    # which templates, which modules' N_, and the catalogues their reader has
    ("phone", ["engineer/*.html"], ["../sync/catalogue.py", "../sync/problems.py"], PHONE),
    ("server", ["base.html", "problem.html", "auth/*.html", "verify/*.html", "sign/*.html", "desk/*.html",
      "trust/*.html"],
     ["../fieldapp/**/*.py", "../sync/papers.py"], SERVER),
    ("customer", ["base.html", "sign/*.html", "engineer/_done.html", "engineer/_fields.html"], [],
     CUSTOMER),
    ("paper", ["report/*.html"], ["../sync/catalogue.py", "../sync/papers.py"], PAPER),
]  # fmt: skip

Said = str | tuple[str, ...]


def known(*domains: str) -> dict[str, tuple[Said, list[str]]]:
    """Every message of the catalogues with its translations, by its singular."""
    found = {}
    for domain in domains:
        for message in read_po(BytesIO((CATALOGUES / f"{domain}.po").read_bytes())):
            if message.id:
                one = message.id if isinstance(message.id, str) else message.id[0]
                strings = message.string if isinstance(message.string, tuple) else (message.string,)
                found[one] = (message.id, [str(each) for each in strings])
    return found


def from_templates(patterns: list[str]) -> Iterator[tuple[str, str]]:
    """The singular of every message in templates, with the file it stands in."""
    environment = Environment(extensions=["jinja2.ext.i18n"])
    for pattern in patterns:
        files = sorted((ROOT / "templates").glob(pattern))
        assert files, f"no template is called {pattern}"
        for file in files:
            for _, _, message in environment.extract_translations(file.read_text("utf-8")):
                one = message if isinstance(message, str) else message and message[0]
                if one:  # a variable is translated where it comes from
                    yield one, file.name


def from_modules(patterns: list[str]) -> Iterator[tuple[str, str]]:
    """The same for Python: what N_, gettext and ngettext are given."""
    for pattern in patterns:
        for file in sorted((ROOT / "templates").glob(pattern)):
            keywords: dict[str, tuple[int, ...] | None] = {
                "N_": None, "gettext": None, "translate": None, "ngettext": (1, 2),
            }  # fmt: skip
            for _, message, *_ in extract("python", BytesIO(file.read_bytes()), keywords):
                yield (message if isinstance(message, str) else str(message[0])), file.name


def from_data() -> Iterator[tuple[str, str]]:
    """Labels of the catalogue and sentences of problems, which pages are given as data."""
    for kind in catalogue.KINDS:
        yield kind.label, "sync/catalogue.py"
        for field in kind.fields:
            yield field.label, "sync/catalogue.py"
            if field.hint:
                yield field.hint, "sync/catalogue.py"
    for problem in problems.KINDS:
        yield problem.sentence, "sync/problems.py"


@pytest.mark.parametrize(("reader", "templates", "modules", "domains"), READERS)
def test_every_message_has_its_chinese(
    reader: str, templates: list[str], modules: list[str], domains: tuple[str, ...]
):
    chinese = known(*domains)
    said = [*from_templates(templates), *from_modules(modules)]
    if reader == "phone":
        said += from_data()
    lacking = {
        f"{where}: {message}"
        for message, where in said
        if message not in SAME_IN_BOTH
        and not any(HAN.search(text) for text in chinese.get(message, ("", [""]))[1])
    }
    assert lacking == set()


@pytest.mark.parametrize("domain", [path.stem for path in sorted(CATALOGUES.glob("*.po"))])
def test_no_translation_asks_for_what_its_message_lacks(domain: str):
    wrong = []
    for message, strings in known(domain).values():
        forms = (message,) if isinstance(message, str) else message
        offered = {name for form in forms for name in PLACEHOLDER.findall(form)}
        for text in strings:
            if not set(PLACEHOLDER.findall(text)) <= offered:
                wrong.append(f"{forms[0]}: {text}")
            # A number or a name that the English says and the Chinese swallows is lost to its reader.
            if isinstance(message, str) and set(PLACEHOLDER.findall(text)) != offered:
                wrong.append(f"{forms[0]}: {text}")
            if re.sub(r"%\(\w+\)s|%%", "", text).count("%"):
                wrong.append(f"a bare percent sign: {text}")
    assert wrong == []


def test_one_message_has_one_translation_for_one_reader():
    """Otherwise Flask, which reads more catalogues, would say it otherwise than the phone."""
    for domains in (SERVER,):
        first: dict[str, tuple[str, list[str]]] = {}
        for domain in domains:
            for one, (_, strings) in known(domain).items():
                other = first.setdefault(one, (domain, strings))
                assert other[1] == strings, f"{one}: {other} and {domain} {strings}"


def test_the_server_keeps_no_translation_that_nothing_says():
    _, templates, modules, domains = READERS[1]
    said = {message for message, _ in (*from_templates(templates), *from_modules(modules))}
    assert set(known(*domains)) - set(known(*PHONE)) - said == set()


def test_nothing_is_carried_to_the_phone_that_no_page_says():
    said = {
        message
        for message, _ in (
            *from_templates(["engineer/*.html", "base.html", "problem.html", "auth/*.html"]),
            *from_data(),
        )
    }
    assert set(known(*PHONE)) - said == set()


@pytest.mark.parametrize("domain", ["messages", "desk", "verify"])
def test_chinese_is_set_with_chinese_marks(domain: str):
    wrong = [
        text for _, strings in known(domain).values() for text in strings if HALF_WIDTH.search(text)
    ]
    assert wrong == []


def test_a_policy_pack_speaks_both_languages():
    for file in sorted((ROOT / "fieldapp" / "policies").glob("*.toml")):
        for name, items in tomllib.loads(file.read_text("utf-8"))["lists"].items():
            for key, words in items.items():
                assert HAN.search(words["zh"]), f"{file.name} {name} {key}"
                assert words["en"], f"{file.name} {name} {key}"
                assert not HAN.search(words["en"]), f"{file.name} {name} {key}"
