"""Every screen, as a picky reader sees it: nothing cut off, too small, too pale or in the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe import violations
from day import Day
from guide import screens_of
from playwright.sync_api import Browser, Page
from screens import LANGUAGES, WIDTHS, Walk, ready_server
from server import Server
from werkzeug.exceptions import HTTPException

LOOKS = (Path(__file__).parent / "looks.js").read_text(encoding="utf-8")
CONTACTS = dict.fromkeys(
    ("handover-missing", "handover-thanks", "form-consents", "form-consents-refused",
     "form-ratings", "form-ratings-refused"), "zh-CN"
) | dict.fromkeys(
    ("handover-ready", "handover-long", "handover-refused", "handover-locked", "handover-disagree",
     "handover-disagree-refused"), "en"
)  # fmt: skip
"""Screens that speak the contact's language, whoever holds the phone."""


@dataclass(frozen=True)
class Look:
    """One way in which a page is shown, and the rules of axe that hold there."""

    name: str
    width: int = WIDTHS[0]
    media: Mapping[str, Any] = field(default_factory=dict)
    is_large: bool = False
    """With letters twice as large."""
    rules: tuple[str, ...] | None = None
    """None are asked for with None, all of them with an empty tuple."""

    @contextmanager
    def on(self, page: Page) -> Iterator[None]:
        """Show ``page`` like this, and afterwards as it was."""
        size = page.viewport_size
        assert size is not None
        page.emulate_media(**{"color_scheme": "light", "contrast": "no-preference"} | self.media)
        if self.width != size["width"]:
            page.set_viewport_size({"width": self.width, "height": size["height"]})
        if self.is_large:
            page.evaluate(ENLARGE, "200%")
        yield
        if self.is_large:
            page.evaluate(ENLARGE, "")
        if self.width != size["width"]:
            page.set_viewport_size(size)


ENLARGE = """(by) => {
  const root = document.documentElement
  root.style.fontSize = ""
  if (by) root.style.fontSize = `calc(${getComputedStyle(root).fontSize} * ${parseFloat(by) / 100})`
}"""
COLOURS = ("color-contrast", "link-in-text-block")
LOOKED_AT = (
    Look("as it is", rules=()),
    Look("dark", media={"color_scheme": "dark"}, rules=COLOURS),
    Look("high contrast", media={"contrast": "more"}, rules=COLOURS),
    Look("letters twice as large", is_large=True),
    *(Look(f"{width} px wide", width) for width in WIDTHS[1:]),
)
"""Colours are all that the sheets of static/display change: the other rules hold in each alike."""
IN_EVERY_LANGUAGE = tuple(look for look in LOOKED_AT if not look.media)

NO_PAGES = {
    "/app.webmanifest", "/health", "/sw.js", "/verify/root.crt", "/static/<path:filename>",
    "/verify/<token>/<int:revision>/<name>.pdf", "/desk/bundles/<bundle_id>.zip",
    "/desk/visits/<visit_id>/reports/<int(max=9999):revision>/<name>",
    "/desk/visits/<visit_id>/photos/<sha256>", "/sign/<visit_id>/<token>/photos/<sha256>",
    "/visits/<visit_id>/photos/<sha256>", "/visits/sync/file",
    # these lead on to a page
    "/", "/visits/new", "/desk/phones/<device_id>/revocations", "/desk/work-orders/<order_id>/visits",
    # parts of a page, which the page includes
    "/desk/board", "/desk/bundles/<bundle_id>", "/desk/customers/<customer_id>/place",
    # the same page at a second address
    "/verify/<token>/<int:revision>",
}  # fmt: skip
"""What answers GET with no page of its own."""


def pages_of(server: Server) -> set[str]:
    """The rule of every page there is."""
    rules = [rule for rule in server.app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    # /desk/visits/<id>/<noun> leads back to the visit: there the forms stand
    return {rule.rule for rule in rules if "<any(" not in rule.rule} - NO_PAGES


def rule_of(server: Server, path: str) -> str:
    """The rule that answers ``path``; the path itself when there is none."""
    try:
        return server.app.url_map.bind("").match(path, return_rule=True)[0].rule
    except HTTPException:  # it takes posts only
        return path


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """One server and one day for all walks."""
    day = ready_server(tmp_path_factory.mktemp("looks") / "instance")
    yield day
    day.server.stop()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_can_be_read_and_hit_however_it_is_shown(
    chromium: Browser, day: Day, language: str
):
    complaints: list[str] = []
    seen: dict[str, str] = {}
    least, targets, texts = 21.0, 0, 0
    walk = Walk(chromium, day, language)
    for name, page in walk.screens():
        seen[name] = urlsplit(page.url).path
        speaks = CONTACTS.get(name) or ("en" if language == "en" else "zh-CN")
        page.keyboard.press("Tab")
        # Colours know no language.
        for look in LOOKED_AT if language == LANGUAGES[0] else IN_EVERY_LANGUAGE:
            with look.on(page):
                # Twice as large, a text may be longer than its line has room for.
                is_long = "long" in name or name == "handover-refused" or look.is_large
                found = page.evaluate(LOOKS, {"isLong": is_long, "lang": speaks})
                said = found["said"]
                # Without scripts axe would wait for ever; the same page with them is looked at.
                if look.rules is not None and name != "welcome":
                    said += violations(page, *look.rules)
            complaints += [f"{name}, {look.name}: {sentence}" for sentence in said]
            least = min(least, found["least"])
            targets, texts = targets + found["targets"], texts + found["texts"]
    print(f"{language}: {len(seen)} screens, {targets} targets, {texts} texts, {least:.2f} : 1")
    assert not complaints + walk.errors, "\n".join(complaints + walk.errors)
    assert pages_of(day.server) - {rule_of(day.server, path) for path in seen.values()} == set()
    guided = screens_of(language.partition("_")[0])
    assert guided
    assert guided <= set(seen)


BAD = {
    "a page wider than the phone": ('<p class="wide">x</p>', "the page is"),
    "a second main heading": ("<h1>again</h1>", "main headings"),
    "a button too small for a thumb": ('<button class="tiny">x</button>', "px to hit"),
    "a field without a label": ('<input class="big">', "has no label"),
    "a choice without a question": (
        '<label class="big"><input type="radio">a</label>',
        "named group",
    ),
    "a picture without words": ('<img class="big" src="/static/icons/icon.svg">', "without words"),
    "a text cut off": ('<p class="cut">cut off on the right side</p>', "wider than its box"),
    "two texts in one place": ('<p>below</p><p class="up">above it</p>', "lie over each other"),
    "grey on grey": ('<p class="pale">pale</p>', "has a contrast of"),
    "an edge nobody sees": ('<label>a<input class="big faint"></label>', "the edge of"),
    "small print": ('<p class="small-print">small</p>', "px small"),
    "a focus that does not show": ('<button class="big blind">x</button>', "has the focus"),
    "one id twice": ('<p id="a">a</p><p id="a">b</p>', "several elements"),
    "a description that is not there": ('<p aria-describedby="b">b</p>', "nothing is called b"),
}
STYLE = """.wide { width: 900px } .tiny { width: 30px; height: 30px } .big { min-width: 60px; min-height: 60px }
  .cut { width: 40px; overflow: hidden; white-space: nowrap } .up { margin-top: -40px }
  .pale { color: #999; background: #eee } .faint { border: 1px solid #eee } .small-print { font-size: 11px }
  .blind:focus-visible { outline: none }"""


@pytest.mark.parametrize("name", BAD)
def test_a_reader_complains_of(name: str, chromium: Browser):
    html, complaint = BAD[name]
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    frame = "<!doctype html><html lang=en><title>t</title><meta charset=utf-8><style>{}</style><main><h1>t</h1>{}</main>"
    page.set_content(frame.format(STYLE, ""))
    assert page.evaluate(LOOKS, {"isLong": False, "lang": "en"})["said"] == []
    page.set_content(frame.format(STYLE, html))
    page.keyboard.press("Tab")
    said = page.evaluate(LOOKS, {"isLong": False, "lang": "en"})["said"]
    page.close()
    assert any(complaint in sentence for sentence in said), said
