"""What the page does by itself: pad, camera, held button, position, drafts, and the sync line.

Each test opens one small page under the real headers; the server below answers like the worker.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from fieldapp.headers import PAGE_HEADERS

STATIC = Path(__file__).parents[2] / "static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
SLOW_SECONDS = 0.4

BASE = (STATIC.parent / "templates/engineer/base.html").read_text(encoding="utf-8")
CONFIG = next(line for line in BASE.splitlines() if "htmx-config" in line)
FRAME = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>page</title><link rel="stylesheet" href="/static/app.css">
<link rel="icon" href="/static/icons/icon.svg">
{config}
<script src="/static/vendor/htmx.min.js" defer></script>
<script src="/static/page/start.js" type="module"></script></head>
<body hx-boost:inherited="true" data-person-id="erin"><p class="sync" id="sync">{sync}</p>
<main>{main}</main><p data-unreachable hidden>Nobody answered.</p></body></html>"""

FORM = """<form method="post" action="/visits/1/notes" hx-sync="this:drop"
  hx-disable="find .save" data-keep><input type="hidden" name="heads" value="{heads}">{fields}
  <button class="save">Save</button></form>"""

PAD = """<div data-pad><input type="hidden" name="strokes" value="{value}">
  <canvas class="pad" role="img" aria-label="Sign"></canvas>
  <button type="button" data-pad-clear>Clear</button></div>"""

PHOTO = """<div data-photo="/visits/1/photos/" data-photo-name="Photo">
  <input type="hidden" name="sha256" value=""><ul class="strip" data-photo-strip hidden></ul>
  <img class="photo" data-photo-shown alt="Photo" hidden><div data-photo-tools hidden>
  <button type="button" data-photo-mark>Mark</button><input type="file" data-photo-again>
  <button type="button" data-photo-remove>Leave out</button></div>
  <label class="button photo-button">Photo<input type="file" multiple data-photo-file></label>
  <p data-photo-said data-keeping="Keeping" data-kept="Kept" data-full="Full" data-failed="Failed"
    data-some="Lost {lost} of {all}" data-unseen="Unseen" data-later="Later"></p><dialog class="stage" data-mark><canvas data-mark-canvas></canvas>
  <button type="button" data-mark-tool="circle">Circle</button>
  <button type="button" data-mark-tool="arrow">Arrow</button><button type="button" data-mark-undo>Undo</button>
  <button type="button" data-mark-tool="line">Line</button>
  <button type="button" data-mark-cancel>Cancel</button>
  <button type="button" data-mark-keep>Keep</button></dialog></div>"""

POSITION = """<div data-position="position"><input type="hidden" name="position" value="">
  <button type="button" data-position-ask>Add my position</button>
  <p data-position-said data-noted="Noted" data-refused="Refused" data-asking="Asking"></p></div>"""

TEXT = '<textarea name="text"></textarea><label><input type="radio" name="verdict" value="agrees">'
TEXT += '</label><label><input type="radio" name="verdict" value="differs"></label>'

HOLD = """<a href="/visits/2">a link</a><button type="button" class="button hold"
  data-hold="/visits/1">Hold<span></span></button>"""


class _Phone(http.server.ThreadingHTTPServer):
    """Answers as the worker would; a test changes what it says and reads what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.pages: dict[str, str] = {
            "/visits/1": "<h1>the visit</h1>",
            "/visits/2": "<h1>two</h1>",
        }
        self.sync = "1 of 1 items arrived"
        self.posts: list[str] = []
        self.puts: list[tuple[str, str, bytes]] = []
        self.photo_status = 204
        self.refused: set[bytes] = set()
        self.refuses: str | None = None

    def shows(self, main: str) -> str:
        """Serve ``main`` as the form page; returns its address."""
        self.pages["/visits/1/notes"] = main
        return f"{self.url}/visits/1/notes"


class _Answers(http.server.BaseHTTPRequestHandler):
    server: _Phone
    headers_sent: ClassVar[dict[str, str]] = PAGE_HEADERS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        file = STATIC / path.removeprefix("/static/")
        if path.startswith("/static/") and file.is_file():
            self._answer(200, TYPES[file.suffix], file.read_bytes())
        elif path == "/sw.js":
            script = b"self.addEventListener('message', ({data, source}) => "
            script += b"data.type === 'enrol' ? self.clients.claim() : "
            script += b"data.type === 'sync' && source.postMessage({type: 'changed', visit: '1'}))"
            self._answer(200, "text/javascript", script)
        elif path in self.server.pages:
            self._page(200, self.server.pages[path])
        else:
            self._page(404, "<h1>not here</h1>")

    def do_POST(self) -> None:
        self.server.posts.append(self._body().decode())
        time.sleep(SLOW_SECONDS)
        if self.server.refuses is not None:
            return self._page(422, self.server.refuses)
        self.send_response(303)
        self.send_header("Location", "/visits/1")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def do_PUT(self) -> None:
        kind = self.headers["Content-Type"]
        body = self._body()
        time.sleep(SLOW_SECONDS)
        self.server.puts.append((self.path, kind, body))
        status = 500 if body in self.server.refused else self.server.photo_status
        self._answer(status, "text/html", b"")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def _page(self, status: int, main: str) -> None:
        html = FRAME.format(config=CONFIG, main=main, sync=self.server.sync)
        self._answer(status, "text/html; charset=utf-8", html.encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in PAGE_HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def phone() -> Iterator[_Phone]:
    with _Phone() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 844, "height": 500})
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails its test for any error, a violation of the CSP included."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    # a refused post is an answer here, and so is a photo that could not be kept
    assert [text for text in errors if "Failed to load resource" not in text] == []


def until(read: Callable[[], Any], wanted: Callable[[Any], bool] = bool) -> Any:
    """What ``read`` gives once it is as ``wanted``; fails after five seconds."""
    end = time.monotonic() + 5
    while not wanted(value := read()):
        assert time.monotonic() < end, f"still {value!r}"
        time.sleep(0.02)
    return value


def form(fields: str, heads: str = "first") -> str:
    return FORM.format(fields=fields, heads=heads)


# --------------------------------------------------------------------------------- signature pad


def draw(page: Page, *points: tuple[int, int]) -> None:
    box = page.locator("canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + points[0][0], box["y"] + points[0][1])
    page.mouse.down()
    for x, y in points[1:]:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=4)
    page.mouse.up()


def strokes(page: Page) -> Any:
    text = page.locator("[name=strokes]").input_value()
    return json.loads(text) if text else []


def inked(page: Page) -> list[int]:
    """Left, top, right and bottom of the ink, in device pixels; all -1 without any."""
    found: list[int] = page.evaluate(
        """() => {
          const canvas = document.querySelector("canvas"), {width, height} = canvas
          const {data} = canvas.getContext("2d").getImageData(0, 0, width, height)
          const box = [1e9, 1e9, -1, -1]
          for (let i = 3; i < data.length; i += 4) if (data[i] > 60) {
            const x = (i >> 2) % width, y = Math.floor((i >> 2) / width)
            box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y)
            box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y)
          }
          return box[2] < 0 ? [-1, -1, -1, -1] : box
        }"""
    )
    return found


@pytest.fixture
def signing(page: Page, phone: _Phone) -> Page:
    page.goto(phone.shows(form(PAD.format(value=""))))
    expect(page.locator("canvas")).to_have_attribute("width", re.compile(r"[4-9]\d\d"))
    return page


def test_cleo_signs_and_every_number_is_whole(signing: Page) -> None:
    draw(signing, (30, 40), (120, 90), (200, 40))
    draw(signing, (60, 120), (260, 130))
    lines = strokes(signing)
    assert len(lines) == 2
    assert all(type(number) is int for line in lines for number in line)
    assert all(len(line) % 3 == 0 and len(line) > 9 for line in lines)
    assert lines[0][2] == 0, "times count from the first point"
    assert lines[1][2] >= lines[0][-1]
    box = signing.evaluate("document.querySelector('canvas').clientLeft")
    assert abs(lines[0][0] - (30 - box)) <= 1
    assert abs(lines[1][-3] - (260 - box)) <= 1


def test_a_dot_is_a_stroke_and_can_be_seen(signing: Page) -> None:
    draw(signing, (50, 50))
    assert [len(line) for line in strokes(signing)] == [3]
    assert inked(signing)[0] > 40


def test_turning_the_phone_keeps_the_strokes_and_shows_them_whole(signing: Page) -> None:
    draw(signing, (30, 40), (500, 100), (780, 60))
    before = signing.locator("[name=strokes]").input_value()
    signing.set_viewport_size({"width": 390, "height": 844})
    width = "() => document.querySelector('canvas').width"
    until(lambda: signing.evaluate(width), lambda now: now < 400)
    assert signing.locator("[name=strokes]").input_value() == before
    left, _, right, _ = inked(signing)
    assert left > 0
    assert right > signing.evaluate(width) * 0.8
    assert right < signing.evaluate(width) - 1, "nothing is cut off"
    draw(signing, (20, 150), (300, 160))
    # the new stroke is in the first one's pixels: 300 on the narrow pad is about 650 there
    assert strokes(signing)[1][-3] > 550
    signing.set_viewport_size({"width": 844, "height": 390})
    until(lambda: signing.evaluate(width), lambda now: now > 700)
    assert strokes(signing)[0] == json.loads(before)[0]


def test_clearing_leaves_nothing(signing: Page) -> None:
    draw(signing, (30, 40), (200, 100))
    signing.click("[data-pad-clear]")
    assert signing.locator("[name=strokes]").input_value() == ""
    assert inked(signing) == [-1, -1, -1, -1]
    draw(signing, (30, 40), (60, 70))
    assert strokes(signing)[0][2] == 0


def test_an_endless_signature_is_thinned_out_and_not_cut_off(signing: Page) -> None:
    signing.evaluate(
        """() => {
          const canvas = document.querySelector("canvas"), box = canvas.getBoundingClientRect()
          const send = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
            pointerId: 7, isPrimary: true, clientX: box.left + x, clientY: box.top + y}))
          send("pointerdown", 20, 20)
          for (let i = 0; i < 9000; i += 1) send("pointermove", 20 + i % 700, 20 + i % 150)
          send("pointerup", 20, 20)
        }"""
    )
    (line,) = strokes(signing)
    assert 1500 < len(line) / 3 <= 4000
    left = signing.evaluate("document.querySelector('canvas').clientLeft")
    assert line[0] == 20 - left
    assert abs(line[-3] - (20 + 8999 % 700 - left)) <= 2, "the end is there"
    assert "pad-full" not in (signing.locator("canvas").get_attribute("class") or "")


def test_a_refused_form_comes_back_with_its_signature(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(PAD.format(value="[[10,10,0,300,90,40]]"))))
    until(lambda: inked(page), lambda box: box[2] > 250)
    draw(page, (30, 120), (60, 130))
    assert strokes(page)[0] == [10, 10, 0, 300, 90, 40]
    assert strokes(page)[1][2] >= 40


def test_the_drawing_is_sharp_on_a_dense_screen(chromium: Browser, phone: _Phone) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, device_scale_factor=3)
    page = context.new_page()
    page.goto(phone.shows(form(PAD.format(value=""))))
    expect(page.locator("canvas")).to_have_attribute("width", re.compile(r"1\d\d\d"))
    draw(page, (30, 40), (200, 100))
    assert inked(page)[2] > 500
    assert max(strokes(page)[0][::3]) <= 200
    context.close()


# ------------------------------------------------------------------------------------ held button


@pytest.fixture
def held(page: Page, phone: _Phone) -> Page:
    page.goto(phone.shows(HOLD))
    page.wait_for_load_state("networkidle")
    return page


def press(page: Page, seconds: float) -> None:
    page.locator(".hold").hover()
    page.mouse.down()
    time.sleep(seconds)
    page.mouse.up()


def test_a_short_press_stays_and_says_so(held: Page, phone: _Phone) -> None:
    press(held, 0.5)
    expect(held.locator(".hold")).to_have_class(re.compile("held-short"))
    time.sleep(2)
    assert held.url.endswith("/notes")
    expect(held.locator(".hold")).not_to_have_class(re.compile("hold(ing|-short)"))


def test_two_seconds_lead_back_to_the_visit(held: Page) -> None:
    held.locator(".hold").hover()
    held.mouse.down()
    expect(held.locator(".hold")).to_have_class(re.compile("holding"))
    held.wait_for_url("**/visits/1")
    held.mouse.up()


def test_a_finger_that_slips_off_does_not_count(held: Page) -> None:
    held.locator(".hold").hover()
    held.mouse.down()
    held.mouse.move(5, 5)
    time.sleep(2.3)
    held.mouse.up()
    assert held.url.endswith("/notes")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_can_hold_too(held: Page, key: str) -> None:
    held.locator(".hold").focus()
    held.keyboard.press(key, delay=400)
    expect(held.locator(".hold")).to_have_class(re.compile("held-short"))
    assert held.url.endswith("/notes")
    held.keyboard.down(key)
    held.wait_for_url("**/visits/1")


# ----------------------------------------------------------------------------------------- camera


def picture(width: int, height: int, format_: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 40).convert("RGB").save(file, format_)
    return file.getvalue()


def choose(page: Page, name: str, kind: str, data: bytes) -> None:
    page.set_input_files("[data-photo-file]", {"name": name, "mimeType": kind, "buffer": data})


def test_a_photo_is_made_small_and_kept_under_its_hash(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(PHOTO)))
    choose(page, "机房.png", "image/png", picture(2400, 900))
    expect(page.locator(".save")).to_be_disabled()
    expect(page.locator("[data-photo-said]")).to_have_text("Keeping")
    expect(page.locator("[data-photo-said]")).to_have_text("Kept")
    expect(page.locator(".save")).to_be_enabled()
    ((path, kind, body),) = phone.puts
    assert kind == "image/jpeg"
    assert Image.open(io.BytesIO(body)).size == (1600, 600)
    sha256 = hashlib.sha256(body).hexdigest()
    assert path == f"/visits/1/photos/{sha256}"
    assert page.locator("[name=sha256]").input_value() == sha256
    shown = page.locator("[data-photo-shown]")
    expect(shown).to_be_visible()
    assert (shown.get_attribute("src") or "").startswith("blob:")


def test_a_photo_taken_upright_stays_upright(page: Page, phone: _Phone) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the phone was held upright
    file = io.BytesIO()
    Image.effect_noise((2000, 1000), 40).convert("RGB").save(file, "JPEG", exif=exif)
    page.goto(phone.shows(form(PHOTO)))
    choose(page, "a.jpg", "image/jpeg", file.getvalue())
    until(lambda: phone.puts)
    assert Image.open(io.BytesIO(phone.puts[0][2])).size == (800, 1600)


def test_a_small_jpeg_is_left_as_it_is(page: Page, phone: _Phone) -> None:
    data = picture(640, 480, "JPEG")
    page.goto(phone.shows(form(PHOTO)))
    choose(page, "a.jpg", "image/jpeg", data)
    until(lambda: phone.puts)
    assert phone.puts[0][2] == data


def test_a_file_nobody_here_can_read_is_kept_whole(page: Page, phone: _Phone) -> None:
    data = b"\x00\x00\x00\x18ftypheic" + bytes(range(256)) * 20
    page.goto(phone.shows(form(PHOTO)))
    choose(page, "IMG_1.HEIC", "image/heic", data)
    expect(page.locator("[data-photo-said]")).to_have_text("Kept")
    ((path, kind, body),) = phone.puts
    assert (kind, body) == ("image/heic", data)
    assert path.endswith(hashlib.sha256(data).hexdigest())
    expect(page.locator("[data-photo-shown]")).to_be_hidden()


@pytest.mark.parametrize(("status", "said"), [(507, "Full"), (500, "Failed")])
def test_a_photo_that_was_not_kept_is_said(
    page: Page, phone: _Phone, status: int, said: str
) -> None:
    phone.photo_status = status
    page.goto(phone.shows(form(PHOTO)))
    choose(page, "a.png", "image/png", picture(40, 40))
    expect(page.locator("[data-photo-said]")).to_have_text(said)
    assert page.locator("[name=sha256]").input_value() == ""
    expect(page.locator(".save")).to_be_enabled()
    phone.photo_status = 204
    choose(page, "a.png", "image/png", picture(40, 40))
    expect(page.locator("[data-photo-said]")).to_have_text("Kept")


def several(page: Page, photos: list[bytes], into: str = "[data-photo-file]") -> None:
    page.set_input_files(
        into, [{"name": "a.jpg", "mimeType": "image/jpeg", "buffer": data} for data in photos]
    )
    expect(page.locator(".save")).to_be_enabled()


def names_of(*photos: bytes) -> str:
    return " ".join(hashlib.sha256(data).hexdigest() for data in photos)


def test_one_photo_that_is_not_kept_takes_no_other_with_it(page: Page, phone: _Phone) -> None:
    first, second, third = (picture(40, size, "JPEG") for size in (40, 50, 60))
    phone.refused = {second}
    page.goto(phone.shows(form(PHOTO)))
    several(page, [first, second, third])
    expect(page.locator("[data-photo-said]")).to_have_text("Lost 1 of 3")
    expect(page.locator("[data-photo-said]")).to_have_class("finding")
    expect(page.locator("[name=sha256]")).to_have_value(names_of(first, third))
    phone.photo_status = 507
    several(page, [second, picture(40, 70, "JPEG"), picture(40, 80, "JPEG")])
    expect(page.locator("[data-photo-said]")).to_have_text("Full Lost 3 of 3")
    expect(page.locator("[name=sha256]")).to_have_value(names_of(first, third))


@pytest.mark.parametrize(("again", "left"), [(0, (0, 1)), (1, (1,)), (2, (2, 1))])
def test_a_photo_taken_again_takes_the_place_of_that_one_alone(
    page: Page, phone: _Phone, again: int, left: tuple[int, ...]
) -> None:
    photos = [picture(40, size, "JPEG") for size in (40, 50, 60)]
    page.goto(phone.shows(form(PHOTO)))
    several(page, photos[:2])
    page.locator("[data-photo-pick]").first.click()
    several(page, [photos[again]], "[data-photo-again]")
    expect(page.locator("[data-photo-said]")).to_have_text("Kept")
    expect(page.locator("[name=sha256]")).to_have_value(names_of(*(photos[at] for at in left)))


def test_what_cannot_be_drawn_on_is_said_for_what_it_is(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(PHOTO)))
    choose(page, "IMG_1.HEIC", "image/heic", b"\x00\x00\x00\x18ftypheic")
    expect(page.locator("[data-photo-said]")).to_have_text("Kept")
    page.click("[data-photo-mark]")
    expect(page.locator("[data-photo-said]")).to_have_text("Unseen")
    page.evaluate(
        """(gone) => {
          document.querySelector("[name=sha256]").value = gone
          document.querySelector("[data-photo-tools]").hidden = false
        }""",
        "a" * 64,
    )
    page.click("[data-photo-mark]")
    expect(page.locator("[data-photo-said]")).to_have_text("Later")


@pytest.mark.parametrize(
    ("text", "serial"),
    [
        ("https://maker.example/units/A%2D1", "A-1"),
        ("https://maker.example/units/100%", ""),
        ("https://maker.example/units/%E4%B8", ""),
        ("https://maker.example/units/100%?sn=B-2", "B-2"),
    ],
)
def test_a_broken_percent_sign_in_an_address_ends_no_scan(
    page: Page, phone: _Phone, text: str, serial: str
) -> None:
    page.goto(phone.shows(form(TEXT)))
    read = """async (text) => (await import("/static/page/serial.js")).serialIn(text, [])"""
    assert page.evaluate(read, text) == serial


# --------------------------------------------------------------------------------------- position


def test_erins_position_is_noted_in_whole_numbers(
    page: Page, context: BrowserContext, phone: _Phone
) -> None:
    context.set_geolocation({"latitude": 31.2304567, "longitude": -121.4737012, "accuracy": 17.6})
    context.grant_permissions(["geolocation"], origin=phone.url)
    page.goto(phone.shows(form(POSITION)))
    page.wait_for_load_state("networkidle")
    assert page.locator("[name=position]").input_value() == "", "only when asked for"
    page.click("[data-position-ask]")
    expect(page.locator("[data-position-said]")).to_have_text("Noted")
    noted = json.loads(page.locator("[name=position]").input_value())
    assert noted == {"latitude": 31230457, "longitude": -121473701, "accuracy": 18}


def test_without_leave_she_goes_on_without_a_position(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(POSITION)))
    page.click("[data-position-ask]")
    expect(page.locator("[data-position-said]")).to_have_text("Refused")
    assert page.locator("[name=position]").input_value() == ""
    expect(page.locator("[data-position-ask]")).to_be_enabled()


# ------------------------------------------------------------------------------ drafts and saving


def drafts(page: Page) -> int:
    count: int = page.evaluate("sessionStorage.length")
    return count


def test_half_a_form_survives_a_reload_with_the_heads_its_author_saw(
    page: Page, phone: _Phone
) -> None:
    page.goto(phone.shows(form(TEXT)))
    page.fill("textarea", "主机电源 <b>坏了</b>")
    page.check("[value=differs]")
    phone.shows(form(TEXT, heads="second"))
    page.reload()
    expect(page.locator("textarea")).to_have_value("主机电源 <b>坏了</b>")
    expect(page.locator("[value=differs]")).to_be_checked()
    assert page.locator("[name=heads]").input_value() == "first"


def test_the_draft_goes_when_the_form_was_saved(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(TEXT)))
    page.fill("textarea", "done")
    assert drafts(page) == 1
    page.click(".save")
    expect(page.locator("h1")).to_have_text("the visit")
    assert drafts(page) == 0
    page.goto(phone.shows(form(TEXT)))
    expect(page.locator("textarea")).to_have_value("")


def test_a_refused_form_keeps_its_draft(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(TEXT)))
    page.fill("textarea", "half")
    answered = TEXT.replace("</textarea>", "half</textarea>") + '<p class="finding">Choose one.</p>'
    phone.refuses = form(answered)
    page.click(".save")
    expect(page.locator(".finding")).to_be_visible()
    assert drafts(page) == 1


def test_a_form_typed_back_to_what_it_was_has_no_draft(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(TEXT)))
    page.fill("textarea", "x")
    page.fill("textarea", "")
    assert drafts(page) == 0


def test_a_signature_is_never_a_draft(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(PAD.format(value="") + TEXT)))
    draw(page, (30, 40), (90, 80))
    page.fill("textarea", "opinion")
    page.reload()
    expect(page.locator("textarea")).to_have_value("opinion")
    assert page.locator("[name=strokes]").input_value() == ""


def test_a_double_tap_saves_once(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(TEXT)))
    page.fill("textarea", "once")
    page.wait_for_load_state("networkidle")
    page.evaluate("for (const _ of [1, 2, 3]) document.querySelector('.save').click()")
    expect(page.locator(".save")).to_be_disabled()
    expect(page.locator("h1")).to_have_text("the visit")
    time.sleep(SLOW_SECONDS)
    assert len(phone.posts) == 1


def test_two_submits_before_the_button_is_grey_save_once(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(TEXT).replace('hx-disable="find .save"', "")))
    page.wait_for_load_state("networkidle")
    page.evaluate("for (const _ of [1, 2]) document.forms[0].requestSubmit()")
    expect(page.locator("h1")).to_have_text("the visit")
    time.sleep(SLOW_SECONDS)
    assert len(phone.posts) == 1


def test_a_tap_that_reaches_nobody_is_said(context: BrowserContext, phone: _Phone) -> None:
    page = context.new_page()  # without the check for errors: htmx logs this one
    page.goto(phone.shows(form(TEXT)))
    page.fill("textarea", "kept")
    page.wait_for_load_state("networkidle")
    context.set_offline(True)
    page.click(".save")
    expect(page.locator("[data-unreachable]")).to_be_visible()
    expect(page.locator("textarea")).to_have_value("kept")
    context.set_offline(False)
    page.click(".save")
    expect(page.locator("h1")).to_have_text("the visit")


# ---------------------------------------------------------------------------------------- refresh


def controlled(page: Page) -> bool:
    return bool(page.evaluate("navigator.serviceWorker.controller !== null"))


def look_again(page: Page) -> None:
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_what_the_worker_changed_appears_by_itself(page: Page, phone: _Phone) -> None:
    opened = "<details><summary>Last visits</summary><p>older</p></details>"
    page.goto(phone.shows(opened + "<p id=a>old</p>"))
    until(lambda: controlled(page))
    page.click("summary")
    phone.shows(opened + "<p id=a>new</p>")
    phone.sync = "2 of 2 items arrived"
    look_again(page)
    expect(page.locator("#a")).to_have_text("new")
    expect(page.locator("#sync")).to_have_text("2 of 2 items arrived")
    expect(page.locator("details p")).to_be_visible()


def test_nothing_moves_under_a_half_typed_form_but_the_sync_line(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(form(TEXT) + "<p id=a>old</p>"))
    until(lambda: controlled(page))
    page.fill("textarea", "half")
    phone.shows(form(TEXT, heads="second") + "<p id=a>new</p>")
    phone.sync = "2 of 2 items arrived"
    look_again(page)
    expect(page.locator("#sync")).to_have_text("2 of 2 items arrived")
    expect(page.locator("#a")).to_have_text("old")
    assert page.locator("[name=heads]").input_value() == "first"
    page.fill("textarea", "")
    look_again(page)
    expect(page.locator("#a")).to_have_text("new")
    assert page.locator("[name=heads]").input_value() == "second"


def test_a_page_reached_by_a_boosted_link_has_its_helpers(page: Page, phone: _Phone) -> None:
    page.goto(phone.shows(HOLD))
    phone.pages["/visits/2"] = form(PAD.format(value=""))
    page.wait_for_load_state("networkidle")
    page.evaluate("window.here = true")
    page.click("a")
    expect(page.locator("canvas")).to_be_visible()
    assert page.evaluate("window.here"), "no load: htmx swapped the body"
    draw(page, (30, 40), (120, 90))
    assert len(strokes(page)) == 1
