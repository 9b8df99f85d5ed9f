"""Every screen, as a picky reader sees it: nothing cut off, too small, too pale or in the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from day import Day
from playwright.sync_api import Browser
from screens import LANGUAGES, WIDTHS, Walk, ready_server

LOOKS = (Path(__file__).parent / "looks.js").read_text(encoding="utf-8")
CONTACTS = dict.fromkeys(
    ("handover-missing", "handover-thanks", "form-consents", "form-consents-refused",
     "form-ratings", "form-ratings-refused"), "zh-CN"
) | dict.fromkeys(
    ("handover-ready", "handover-long", "handover-refused", "handover-locked", "handover-disagree",
     "handover-disagree-refused"), "en"
)  # fmt: skip
"""Screens that speak the contact's language, whoever holds the phone."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """One server and one day for all walks."""
    day = ready_server(tmp_path_factory.mktemp("looks") / "instance")
    yield day
    day.server.stop()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_can_be_read_and_hit(chromium: Browser, day: Day, language: str, width: int):
    complaints = []
    least, targets, texts, screens = 21.0, 0, 0, 0
    for name, page in Walk(chromium, day, language, width).screens():
        contact = CONTACTS.get(name)
        speaks = contact or ("en" if language == "en" else "zh-CN")
        page.keyboard.press("Tab")
        is_long = "long" in name or name == "handover-refused"
        found = page.evaluate(LOOKS, {"isLong": is_long, "lang": speaks})
        complaints += [f"{name}: {sentence}" for sentence in found["said"]]
        least = min(least, found["least"])
        targets, texts, screens = targets + found["targets"], texts + found["texts"], screens + 1
    print(
        f"{language} {width}: {screens} screens, {targets} targets, {texts} texts, {least:.2f} : 1"
    )
    assert not complaints, "\n".join(complaints)


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
