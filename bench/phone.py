"""What a tap costs when the phone answers, against a worker that does nothing and against Flask.

Everything runs in one Chromium, turn by turn, so that a noisy machine slows both sides alike.  A
tap begins with the time stamp of its input event and ends when htmx has swapped the page.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.delay import delayed
from bench.empty import empty_server
from bench.quota import Quota, open_quota
from bench.rows import NotMeasured, Row, at_most, p95, spread
from fieldapp import jobs
from fieldapp.demo import make_demo
from tests.browser.server import Server

CORES = 0.5  # two cores at a quarter of their speed
ACCOUNT = "liqiang"
DAYS = 4  # of the demo, so that no visit grows longer than a real one
TAPS = 20
PHOTOS = 8
STARTS = 12
LATENCY_SECONDS = 0.15
PHOTO_BYTES = 1_000_000

STOPWATCH = """
addEventListener("click", (event) => { tapped = event.timeStamp }, true)
addEventListener("change", ({ target }) => { if (target.files) chosen = performance.now() }, true)
addEventListener("input", ({ target }) => {
  if (target.name === "sha256") kept(performance.now() - chosen)
}, true)
document.addEventListener("htmx:after:swap", () => shown(performance.now() - tapped))
let tapped, chosen
let [shown, kept] = [() => {}, () => {}]
window.startWatch = () => {
  window.pageShown = new Promise((resolve) => { shown = resolve })
  window.photoKept = new Promise((resolve) => { kept = resolve })
}
"""


@dataclass(frozen=True)
class Phone:
    """A page of whoever answers at ``url``, and the visits to use in turn."""

    page: Page
    url: str
    visits: itertools.cycle[str]

    def taps(self) -> dict[str, float]:
        """Milliseconds of opening a visit from the list and of saving a note on it."""
        visit = next(self.visits)
        self.page.goto(f"{self.url}/visits", wait_until="load")
        opened = self._tap(f"a[href='/visits/{visit}']")
        self.page.goto(f"{self.url}/visits/{visit}/notes", wait_until="load")
        self.page.fill("textarea[name=text]", "主机电源板更换后试机正常")
        return {"open": opened, "save": self._tap(".save")}

    def photo(self, picture: bytes) -> float:
        """Milliseconds from a chosen file until it is kept, and from its Save to the page."""
        self.page.goto(f"{self.url}/visits/{next(self.visits)}/photos", wait_until="load")
        self.page.evaluate("startWatch()")
        file = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture}
        self.page.set_input_files("[data-photo-file]", files=[file])  # type: ignore[list-item]
        kept: float = self.page.evaluate("photoKept")
        return kept + self._tap(".save")

    def first_page(self) -> float:
        """Milliseconds of the first page after the worker was stopped, until its last byte."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("ServiceWorker.enable")
        session.send("ServiceWorker.stopAllWorkers")
        session.detach()
        self.page.goto(f"{self.url}/visits", wait_until="load")
        ends = "performance.getEntriesByType('navigation')[0].responseEnd"
        return float(self.page.evaluate(ends))

    def _tap(self, selector: str) -> float:
        target = self.page.locator(selector).first
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        assert box is not None
        self.page.evaluate("startWatch()")
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        return float(self.page.evaluate("pageShown"))


def phone_rows(folder: Path) -> Iterator[Row]:
    """The rows of taps and of the first page; ``folder`` is for what is stored meanwhile."""
    program = shutil.which("chromium")
    if program is None:
        raise NotMeasured("Chromium is missing")
    with contextlib.ExitStack() as stack:
        quota, why = None, ""
        try:
            quota = stack.enter_context(open_quota())
            program = str(quota.launcher(program, folder))
        except NotMeasured as reason:
            why = str(reason)
        browser = stack.enter_context(_chromium(program))
        ours = _our_phone(browser, folder / "ours")
        empty = _empty_phone(browser)
        yield from _slow_rows(ours, empty, quota, why)
        yield _start_row(ours, empty)
        yield _network_row(browser, ours, folder / "flask")


def _slow_rows(ours: Phone, empty: Phone, quota: Quota | None, why: str) -> Iterator[Row]:
    names = {
        "open": "tap: open a visit, quarter speed",
        "save": "tap: save a note, quarter speed",
        "photo": "tap: keep and save a 1 MB photo, quarter speed",
    }
    limits = {"open": 6, "save": 6, "photo": 10}
    if quota is None:
        for kind, name in names.items():
            yield Row(name, why, f"≤ {limits[kind]} ×", None)
        return
    pictures = _pictures()
    times: dict[str, dict[str, list[float]]] = {kind: {"ours": [], "empty": []} for kind in names}
    for phone in (ours, empty):
        phone.taps()  # the first of everything is slower
    before = quota.throttled()
    quota.limit(CORES)
    try:
        for turn in range(TAPS):
            for side, phone in (("ours", ours), ("empty", empty)):
                for kind, spent in phone.taps().items():
                    times[kind][side].append(spent)
                if turn < PHOTOS:
                    times["photo"][side].append(phone.photo(next(pictures)))
    finally:
        quota.lift()
    is_slower = quota.throttled() > before
    for kind, name in names.items():
        mine, least = times[kind]["ours"], times[kind]["empty"]
        if is_slower:
            details = f"p95; median/p95 {spread(mine)}, empty {spread(least)}"
            yield at_most(name, p95(mine) / p95(least), limits[kind], "×", details)
        else:
            yield Row(name, "the quota had no effect", f"≤ {limits[kind]} ×", None)


def _start_row(ours: Phone, empty: Phone) -> Row:
    times = [(ours.first_page(), empty.first_page()) for _ in range(STARTS)]
    mine, least = (list(side) for side in zip(*times, strict=True))
    details = f"median/p95 {spread(mine)}, empty {spread(least)}"
    ratio = statistics.median(mine) / statistics.median(least)
    return at_most("first page from a stopped worker", ratio, 3, "×", details)


def _network_row(browser: Browser, ours: Phone, folder: Path) -> Row:
    server = _server(folder)
    try:
        with delayed(server.port, LATENCY_SECONDS) as port:
            context = _context(browser, service_workers="block")
            page = context.new_page()
            url = f"http://127.0.0.1:{port}"
            _sign_in(page, url, server)
            flask = Phone(page, url, _visits(server))
            times = [(ours.taps(), flask.taps()) for _ in range(TAPS)][1:]
            context.close()
    finally:
        server.stop()
    mine, theirs = (
        [spent for taps in side for spent in taps.values()] for side in zip(*times, strict=True)
    )
    details = f"median/p95 {spread(mine)}, Flask {spread(theirs)}"
    ratio = statistics.median(mine) / statistics.median(theirs)
    return at_most("tap, against Flask 150 ms away", ratio, 0.2, "×", details)


# who is measured


@contextlib.contextmanager
def _chromium(program: str) -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def _context(browser: Browser, **more: Any) -> BrowserContext:
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN", **more)
    context.set_default_timeout(60_000)
    context.add_init_script(STOPWATCH)
    context.add_init_script("try { localStorage.setItem('install shown', '1') } catch {}")
    return context


def _server(folder: Path) -> Server:
    """A server with some days of the demo and no paper left to make, started."""
    server = Server(folder)
    with server.office():
        for days in range(1, DAYS):
            make_demo(datetime.now(UTC) - timedelta(days=days))
        jobs.perform_waiting()
    server.start()
    return server


def _visits(server: Server) -> itertools.cycle[str]:
    visits = []
    with contextlib.suppress(IndexError):
        for index in itertools.count():
            visits.append(server.visit_of(ACCOUNT, index))
    return itertools.cycle(visits)


def _our_phone(browser: Browser, folder: Path) -> Phone:
    """Signed in and on its own: the server is stopped."""
    server = _server(folder)
    try:
        page = _context(browser).new_page()
        _sign_in(page, server.url, server)
        page.wait_for_url("**/visits")
        page.goto(f"{server.url}/visits", wait_until="load")
        return Phone(page, server.url, _visits(server))
    finally:
        server.stop()


def _sign_in(page: Page, url: str, server: Server) -> None:
    page.goto(f"{url}/sign-in")
    page.fill("#account", ACCOUNT)
    page.fill("#password", server.accounts[ACCOUNT].password)
    page.click("main button")
    page.wait_for_url("**/welcome")


def _empty_phone(browser: Browser) -> Phone:
    page = _context(browser).new_page()
    with empty_server() as url:
        page.goto(url)
        page.evaluate("navigator.serviceWorker.ready.then(() => {})")
    return Phone(page, url, itertools.cycle("1"))


def _pictures() -> Iterator[bytes]:
    """Photos of 1 MB that the page leaves as they are, each another one."""
    noise = hashlib.shake_256(b"photo").digest(1600 * 1200)
    file = io.BytesIO()
    Image.frombytes("L", (1600, 1200), noise).save(file, "JPEG", quality=40)
    for turn in itertools.count():
        yield file.getvalue() + turn.to_bytes(PHOTO_BYTES - len(file.getvalue()), "big")
