"""An engineer's phone: a browser page at phone size, driven as a thumb would."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Error, Page, Response, expect
from server import Server

SIZE = {"width": 390, "height": 844}
expect.set_options(timeout=15_000)

OPENING = {
    "customer": "临港冷库",
    "site": "新杨公路 8 号 3 号门",
    "contact_name": "王丽",
    "contact_phone": "138-0000-0008",
    "job_type": "repair",
    "text": "警号无故长鸣",
}
"""What 李强 enters at a customer's whom nobody planned to visit."""


_OUTBOX = """async (name) => {
  const db = await new Promise((resolve) => {
    const asked = indexedDB.open(name)
    asked.onsuccess = () => resolve(asked.result)
  })
  const rows = await new Promise((resolve) => {
    const asked = db.transaction("outbox").objectStore("outbox").getAll()
    asked.onsuccess = () => resolve(asked.result)
  })
  db.close()
  return rows
}"""

NOTE = """async ([name, notes]) => {
  const db = await new Promise((resolve) => {
    const asked = indexedDB.open(name)
    asked.onsuccess = () => resolve(asked.result)
  })
  await new Promise((resolve) => {
    const tx = db.transaction("meta", "readwrite")
    tx.oncomplete = resolve
    for (const [key, value] of Object.entries(notes)) tx.objectStore("meta").put(value, key)
  })
  db.close()
}"""


INSTALL_SHOWN = "try { localStorage.setItem('install shown', '1') } catch {}"
"""Run in every page: this browser was shown how to install, and goes straight to the list."""


def go(page: Page, address: str) -> Response:
    """Open a page.  One that stands open gives way to its lock when it learns that the phone got
    locked; where that ends this navigation the same address is asked for once more."""
    try:
        response = page.goto(address)
    except Error as error:
        if "ERR_ABORTED" not in error.message and "interrupted" not in error.message:
            raise
        response = page.goto(address)
    assert response is not None
    return response


class Phone:
    """One engineer's phone.  It fails its test when a page logs an error."""

    def __init__(self, browser: Browser, server: Server, locale: str = "zh-CN") -> None:
        self.server = server
        self.context: BrowserContext = browser.new_context(
            viewport=SIZE,
            locale=locale,
            has_touch=True,
            is_mobile=True,  # type: ignore[arg-type]
        )
        self.context.add_init_script(INSTALL_SHOWN)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._listen)

    def _listen(self, message: Any) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def sign_in(self, account: str) -> None:
        """Sign in; the phone enrols itself and becomes its own server."""
        password = self.server.accounts[account].password
        self.page.goto(f"{self.server.url}/sign-in")
        self.page.fill("#account", account)
        self.page.fill("#password", password)
        self.page.click("main button")
        self.page.wait_for_url("**/visits", timeout=30_000)

    def open(self, path: str) -> None:
        """Open a page; the phone itself must be the one that answers."""
        response = go(self.page, f"{self.server.url}{path}")
        assert response.from_service_worker, f"{path} was answered by the network"

    def record(self, visit: str, noun: str, **fields: Any) -> None:
        """Fill in one form and save it; back on the visit's page afterwards."""
        list_ = fields.pop("list_", "")
        self.open(f"/visits/{visit}/{noun}{f'?list={list_}' if list_ else ''}")
        for name, value in fields.items():
            self.fill(name, value)
        self.save(visit)

    def fill(self, name: str, value: Any) -> None:
        """Give one field its value: text, a choice's key, a list of ticks."""
        field = self.page.locator(f"form.entry-form [name='{name}']")
        kind = field.first.get_attribute("type")
        typed = self.page.locator(f"form.entry-form [type='datetime-local'][name='{name}']")
        if kind == "radio" and typed.count() and value != "now":
            self.page.locator(f"label:has([name='{name}'][value=''])").click()
            typed.fill(value)
        elif kind in ("radio", "checkbox"):
            for key in value if isinstance(value, list) else [value]:
                self.page.locator(f"label:has([name='{name}'][value='{key}'])").click()
        else:
            field.fill(value)

    def save(self, visit: str) -> None:
        """Press the button; the visit's page must come."""
        self.page.locator("form.entry-form button.save").click()
        expect(self.page).to_have_url(re.compile(f"/visits/{visit}$"))
        expect(self.page.locator("#missing, ol.steps").first).to_be_visible()

    def take_photo(self, visit: str, file: Path, caption: str = "") -> None:
        """Choose a picture file as the camera would give it, and save the entry."""
        self.open(f"/visits/{visit}/photos")
        self.page.set_input_files("[data-photo-file]", str(file))
        expect(self.page.locator("input[name=sha256]")).to_have_value(re.compile("^[0-9a-f]{64}$"))
        self.fill("caption", caption)
        self.save(visit)

    def sign(self, visit: str, name: str, role: str = "contact") -> None:
        """The customer signs on the hand-over page."""
        self.open(f"/visits/{visit}/signatures")
        self.fill("name", name)
        self.fill("role", role)
        self.draw()
        self.page.locator("form.entry-form button.save").click()
        expect(self.page.locator("#thanks")).to_contain_text(name)
        self.leave_the_handover(visit)

    def leave_the_handover(self, visit: str) -> None:
        """The engineer holds the button for two seconds."""
        self.page.locator("[data-hold]").scroll_into_view_if_needed()
        self.page.locator("[data-hold]").hover()
        self.page.mouse.down()
        expect(self.page).to_have_url(re.compile(f"/visits/{visit}$"))
        self.page.mouse.up()

    def draw(self) -> None:
        """Two strokes on the pad."""
        draw_on(self.page)

    def sees(self, text: str) -> None:
        """The text comes to be on the page."""
        expect(self.page.locator("body")).to_contain_text(text)

    def sync_line(self) -> str:
        """What the sync line says."""
        return self.page.locator(".sync").first.inner_text().strip()

    def waits_for_sync(self, text: str, seconds: float = 30) -> None:
        """The sync line comes to say ``text``; the phone is asked again and again."""
        deadline = time.monotonic() + seconds
        while text not in self.sync_line():
            assert time.monotonic() < deadline, f"the sync line says {self.sync_line()!r}"
            self.page.evaluate("navigator.serviceWorker.controller.postMessage({type: 'sync'})")
            time.sleep(0.5)
            self.page.reload()

    def until(self, is_so: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until something is so that no page shows."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, "it never came to be so"
            self.page.wait_for_timeout(100)

    def outbox(self, account: str) -> list[dict[str, Any]]:
        """The rows that this phone keeps for somebody, by counter."""
        with self.server.office():
            name = f"fieldapp-{self.server.person(account).id}"
        rows: list[dict[str, Any]] = self.page.evaluate(_OUTBOX, name)
        return sorted(rows, key=lambda row: row["n"])

    def note(self, account: str, **notes: Any) -> None:
        """Let the phone remember of somebody what time would have brought about."""
        with self.server.office():
            name = f"fieldapp-{self.server.person(account).id}"
        self.page.evaluate(NOTE, [name, notes])

    def sync_now(self) -> None:
        """Send and fetch as the button of the sync page does, then look at what came of it."""
        self.page.evaluate(
            """async () => {
              const body = new URLSearchParams({ back: "/visits/sync" })
              await (await fetch("/visits/sync", { method: "POST", body })).text()
            }"""
        )
        self.open("/visits/sync")

    def close(self) -> None:
        """Put the phone away."""
        self.context.unroute_all(behavior="ignoreErrors")  # what is on its way needs no answer now
        self.context.close()
        assert self.errors == [], self.errors


def draw_on(page: Page) -> None:
    """Two strokes on the pad of ``page``."""
    pad = page.locator("[data-pad] canvas")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    for start, end in (((0.1, 0.3), (0.5, 0.7)), ((0.5, 0.2), (0.9, 0.8))):
        page.mouse.move(box["x"] + box["width"] * start[0], box["y"] + box["height"] * start[1])
        page.mouse.down()
        page.mouse.move(
            box["x"] + box["width"] * end[0], box["y"] + box["height"] * end[1], steps=12
        )
        page.mouse.up()
