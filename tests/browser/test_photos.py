"""Photos on the phone: several at once, drawn on, taken again, in strips, and what the office gets."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from phone import Phone
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from server import Server
from sqlalchemy import select

from fieldapp import blobs
from fieldapp.models import Blob, Visit, db

MANY_MS = 60_000
LONG_SECONDS = 90
RED = (228, 0, 43)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with the demo day for all tests here; each takes photos of its own."""
    running = Server(tmp_path_factory.mktemp("photos") / "instance")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def phone(chromium: Browser, shared: Server) -> Iterator[Phone]:
    """李强's phone."""
    phone = Phone(chromium, shared)
    phone.sign_in("liqiang")
    yield phone
    phone.close()


@pytest.fixture
def visit(shared: Server) -> str:
    return shared.visit_of("liqiang")


def jpeg(shade: int, size: tuple[int, int] = (1800, 1350)) -> bytes:
    """A photo of its own for each shade, larger than what is kept."""
    file = io.BytesIO()
    image = Image.new("RGB", size, (90, 120, 140))
    image.paste((220, 220, 40), (shade * 10, 100, shade * 10 + 60, 900))
    image.save(file, "JPEG")
    return file.getvalue()


def files(*shades: int) -> Any:
    return [
        {"name": f"机房{shade}.jpg", "mimeType": "image/jpeg", "buffer": jpeg(shade)}
        for shade in shades
    ]


def choose(page: Page, *shades: int, into: str = "[data-photo-file][multiple]") -> list[str]:
    """Choose photos; their names once all are kept."""
    count = len(names_in(page)) + (len(shades) if "again" not in into else 0)
    page.set_input_files(into, files(*shades))
    named = page.locator("[name=sha256]")
    slow = MANY_MS if len(shades) > 3 else None
    expect(named).to_have_value(re.compile(rf"^\S+( \S+){{{count - 1}}}$"), timeout=slow)
    expect(page.locator(".save").first).to_be_enabled()
    return names_in(page)


def open_form(phone: Phone, visit: str) -> None:
    """The form as somebody finds it who left no draft."""
    phone.page.evaluate("sessionStorage.clear()")
    phone.open(f"/visits/{visit}/photos")


def names_in(page: Page) -> list[str]:
    return page.locator("[name=sha256]").input_value().split()


def draw(page: Page) -> None:
    """A circle in the middle of the photo."""
    page.click("[data-photo-mark]")
    canvas = page.locator("[data-mark-canvas]")
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.8, steps=6)
    page.mouse.up()


def photos_of(server: Server, visit: str) -> list[dict[str, Any]]:
    """The photo entries of a visit at the office."""
    with server.office():
        entries = db.session.get_one(Visit, visit).state["entries"]
        return [entry for entry in entries if entry["kind"] == "photo"]


def stored(server: Server, visit: str, name: str) -> bytes | None:
    with server.office():
        org_id = db.session.get_one(Visit, visit).org_id
        blob = db.session.scalar(select(Blob).where(Blob.sha256 == name))
        return blobs.read(org_id, name) if blob is not None and blob.complete_at else None


def test_three_photos_in_one_go_one_marked_reach_the_office_with_place_and_words(
    phone: Phone, shared: Server, visit: str
):
    page = phone.page
    open_form(phone, visit)
    first, second, third = choose(page, 10, 20, 30)
    expect(page.locator("[data-photo-pick]")).to_have_count(3)
    page.locator("[data-photo-pick]").nth(1).click()
    draw(page)
    page.click("[data-mark-keep]")
    expect(page.locator("[name=sha256]")).to_have_value(
        re.compile(f"{first} \\S+:{second} {third}")
    )
    marked = names_in(page)[1].split(":")[0]
    phone.fill("slot", "before")
    phone.fill("caption", "电源板，左侧")
    phone.save(visit)
    strip = page.locator("#photos .strip")
    expect(strip.locator(".shot")).to_have_count(3)
    expect(page.locator("#photos h3")).to_have_text(re.compile("维修前"))
    phone.until(lambda: len(photos_of(shared, visit)) == 3, LONG_SECONDS)
    values = [entry["value"] for entry in photos_of(shared, visit)]
    words = {"slot": "before", "caption": "电源板，左侧"}
    assert sorted(values, key=str) == sorted(
        [
            {"sha256": first, **words},
            {"sha256": marked, "unmarked": second, **words},
            {"sha256": third, **words},
        ],
        key=str,
    )
    phone.until(
        lambda: all(stored(shared, visit, name) for name in (first, second, third, marked)),
        LONG_SECONDS,
    )
    drawn, plain = (
        Image.open(io.BytesIO(stored(shared, visit, name) or b"")).convert("RGB")
        for name in (marked, second)
    )
    assert drawn.size == plain.size == (1600, 1200)
    assert near(drawn, RED), "the circle is in the picture that is kept"
    assert not near(plain, RED), "and not in the one without marks"
    page.locator(".shot").nth(1).click()
    page.click("#taken summary")
    expect(page.locator("#taken details img")).to_have_js_property("naturalWidth", 1600)


def near(picture: Image.Image, colour: tuple[int, int, int]) -> bool:
    """Whether some pixel has about this colour."""
    return any(
        all(abs(one - other) < 30 for one, other in zip(pixel, colour, strict=True))
        for _, pixel in picture.resize((400, 300)).getcolors(120_000) or []
        if isinstance(pixel, tuple)
    )


def test_what_is_drawn_is_undone_and_cancelled(phone: Phone, visit: str):
    page = phone.page
    open_form(phone, visit)
    before = choose(page, 40)
    draw(page)
    expect(page.locator("[data-mark-keep]")).to_be_enabled()
    page.click("[data-mark-undo]")
    expect(page.locator("[data-mark-keep]")).to_be_disabled()
    page.click("[data-mark-cancel]")
    expect(page.locator("[data-mark]")).to_be_hidden()
    draw(page)
    page.keyboard.press("Escape")
    expect(page.locator("[data-mark]")).to_be_hidden()
    assert names_in(page) == before


def test_a_photo_is_taken_again_and_left_out_before_anything_is_saved(phone: Phone, visit: str):
    page = phone.page
    open_form(phone, visit)
    first, blurred, third = choose(page, 50, 60, 70)
    page.locator("[data-photo-pick]").nth(1).click()
    page.set_input_files("[data-photo-again]", files(80))
    expect(page.locator("[name=sha256]")).not_to_have_value(re.compile(blurred))
    again = names_in(page)[1]
    assert names_in(page) == [first, again, third]
    page.reload()
    expect(page.locator("[data-photo-pick]")).to_have_count(3)
    expect(page.locator("[data-photo-shown]")).to_have_js_property("naturalWidth", 1600)
    page.click("[data-photo-remove]")
    assert names_in(page) == [first, again]
    page.click("[data-photo-remove]")
    page.click("[data-photo-remove]")
    expect(page.locator("[data-photo-tools]")).to_be_hidden()
    page.click(".save")
    expect(page.locator(".finding")).to_be_visible()
    assert photos_of(phone.server, visit) == [] or first not in str(photos_of(phone.server, visit))


def test_a_saved_photo_is_taken_again_the_old_one_is_struck_out_and_says_why(
    phone: Phone, shared: Server, visit: str
):
    page = phone.page
    open_form(phone, visit)
    (old,) = choose(page, 90)
    phone.fill("slot", "nameplate")
    phone.fill("caption", "铭牌")
    phone.save(visit)
    page.locator(f'.shot:has([src*="{old}"])').click()
    expect(page.locator("[name=slot][value=nameplate]")).to_be_checked()
    expect(page.locator("[name=caption]")).to_have_value("铭牌")
    expect(page.locator("[name=reason]")).to_have_value("已重拍")
    (new,) = choose(page, 100)
    page.fill("[name=reason]", "")
    page.click(".save")
    expect(page.locator("#finding-reason")).to_be_visible()
    assert names_in(page) == [new], "what was taken is still there"
    page.fill("[name=reason]", "铭牌反光，看不清")
    phone.save(visit)
    expect(page.locator(f'.shot-void:has([src*="{old}"])')).to_have_count(1)
    phone.until(lambda: new in str(photos_of(shared, visit)), LONG_SECONDS)
    by_name = {entry["value"]["sha256"]: entry for entry in photos_of(shared, visit)}
    assert [void["reason"] for void in by_name[old]["voids"]] == ["铭牌反光，看不清"]
    assert by_name[new]["value"] == {"sha256": new, "slot": "nameplate", "caption": "铭牌"}
    assert by_name[new]["voids"] == []
    page.locator(f'.shot:has([src*="{old}"])').click()
    expect(page.locator("#taken .void")).to_contain_text("铭牌反光")
    expect(page.locator("form.entry-form")).to_have_count(0)


def test_the_same_photo_with_the_same_words_is_saved_once(phone: Phone, shared: Server, visit: str):
    for caption in ("同一张", "同一张", "另一句"):
        open_form(phone, visit)
        (name,) = choose(phone.page, 110)
        phone.fill("caption", caption)
        phone.save(visit)
    rows = [row["body"]["value"] for row in phone.outbox("liqiang")]
    told = [value["caption"] for value in rows if value.get("sha256") == name]
    assert told == ["同一张", "另一句"]


def test_thirty_photos_load_as_thirty_small_pictures_and_not_all_at_once(
    phone: Phone, shared: Server
):
    visit = shared.visit_of("liqiang", 1)
    page = phone.page
    open_form(phone, visit)
    shades = range(120, 150)
    choose(page, *shades)
    phone.fill("slot", "after")
    phone.save(visit)
    sizes: dict[str, int] = {}
    page.on("response", lambda answer: note(answer, sizes))
    page.reload()
    page.locator("#photos").scroll_into_view_if_needed()
    last = page.locator(".shot img").last
    expect(page.locator(".shot img").first).to_have_js_property("naturalWidth", 320)
    assert last.evaluate("(image) => image.naturalWidth") == 0, "what is out of sight is not loaded"
    last.scroll_into_view_if_needed()
    expect(last).to_have_js_property("naturalWidth", 320)
    assert sizes
    assert all("small" in address for address in sizes), "no whole photo for a strip"
    whole = sum(len(jpeg(shade, (1600, 1200))) for shade in shades)
    print(f"30 photos: {len(sizes)} small pictures, {sum(sizes.values())} of {whole} bytes")
    assert max(sizes.values()) * 5 < whole / 30


def note(answer: Any, sizes: dict[str, int]) -> None:
    if "/photos/" in answer.url:
        sizes[answer.url] = len(answer.body())
