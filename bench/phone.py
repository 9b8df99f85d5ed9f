"""The phones that are measured: pages of one Chromium, driven by real taps.

Everything runs in one browser, turn by turn, so that a noisy machine slows both sides alike.  A
tap begins with the time stamp of its input event and ends when htmx has swapped the page.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.empty import empty_server
from bench.quota import Quota, open_quota
from bench.rows import NotMeasured
from fieldapp import jobs
from fieldapp.demo import make_demo
from tests.browser.server import Server, free_port

CORES = 0.5
"""Two cores at a quarter of their speed."""

ACCOUNT = "liqiang"
DAYS = 4
"""Of the demo, so that no visit grows longer than a real one."""

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

    def open(self, path: str) -> None:
        """Go to a page and wait until it is there whole."""
        self.page.goto(f"{self.url}{path}", wait_until="load")

    def tap(self, selector: str) -> float:
        """Milliseconds from a tap until the page was swapped."""
        target = self.page.locator(selector).first
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        assert box is not None
        self.page.evaluate("startWatch()")
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        return float(self.page.evaluate("pageShown"))

    def stop_worker(self) -> None:
        """End the worker, as a browser does when it had nothing to do for half a minute."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("ServiceWorker.enable")
        session.send("ServiceWorker.stopAllWorkers")
        session.detach()


class Slowness:
    """What slows a whole browser down; ``why`` says why nothing does, where nothing can."""

    def __init__(self, quota: Quota | None, why: str) -> None:
        self._quota, self.why = quota, why
        self._throttled = 0

    @contextlib.contextmanager
    def quarter(self) -> Iterator[None]:
        """Quarter speed meanwhile.  Raises NotMeasured where the browser went on at full speed."""
        if self._quota is None:
            raise NotMeasured(self.why)
        before = self._quota.throttled()
        self._quota.limit(CORES)
        try:
            yield
        finally:
            self._quota.lift()
        self._throttled += self._quota.throttled() - before

    def check(self) -> None:
        """Raises NotMeasured when nothing was ever slowed down."""
        if not self._throttled:
            raise NotMeasured(self.why or "the quota had no effect")


@contextlib.contextmanager
def open_browser(folder: Path) -> Iterator[tuple[Browser, Slowness]]:
    """Debian's Chromium, and what slows it.  Raises NotMeasured without it."""
    program = shutil.which("chromium")
    if program is None:
        raise NotMeasured("Chromium is missing")
    with contextlib.ExitStack() as stack:
        try:
            quota = stack.enter_context(open_quota())
            slowness = Slowness(quota, "")
            program = str(quota.launcher(program, folder))
        except NotMeasured as reason:
            slowness = Slowness(None, str(reason))
        playwright = stack.enter_context(sync_playwright())
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        stack.callback(browser.close)
        yield browser, slowness


def new_context(browser: Browser, **more: Any) -> BrowserContext:
    """A phone of its own, with a stopwatch on every page."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN", **more)
    context.set_default_timeout(60_000)
    context.add_init_script(STOPWATCH)
    context.add_init_script("try { localStorage.setItem('install shown', '1') } catch {}")
    return context


def demo_server(folder: Path) -> Server:
    """A server with some days of the demo and no paper left to make, not started yet."""
    server = Server(folder)
    with server.office():
        for days in range(1, DAYS):
            make_demo(datetime.now(UTC) - timedelta(days=days))
        jobs.perform_waiting()
    return server


def move(server: Server) -> None:
    """Let ``server`` answer at another address: whoever knew it is on his own."""
    server.port = free_port()
    server.url = f"http://127.0.0.1:{server.port}"
    server.settings["PUBLIC_URL"] = server.url


def planned_visits(server: Server) -> itertools.cycle[str]:
    """Ids of the visits that nobody began, in turn."""
    visits = []
    with contextlib.suppress(IndexError):
        for index in itertools.count():
            visits.append(server.visit_of(ACCOUNT, index))
    return itertools.cycle(visits)


def our_phone(browser: Browser, server: Server) -> Phone:
    """Signed in at ``server``, and with all that it keeps when left alone."""
    page = new_context(browser).new_page()
    sign_in(page, server.url, ACCOUNT, server.accounts[ACCOUNT].password)
    page.wait_for_url("**/visits")
    phone = Phone(page, server.url, planned_visits(server))
    phone.open("/visits")
    return phone


def sign_in(page: Page, url: str, account: str, password: str) -> None:
    """Fill in the form; a phone enrols itself behind it."""
    page.goto(f"{url}/sign-in")
    page.fill("#account", account)
    page.fill("#password", password)
    page.click("main button")
    page.wait_for_url("**/welcome")


def empty_phone(browser: Browser) -> Phone:
    """The least that answers by itself."""
    page = new_context(browser).new_page()
    with empty_server() as url:
        page.goto(url)
        page.evaluate("navigator.serviceWorker.ready.then(() => {})")
    return Phone(page, url, itertools.cycle("1"))
