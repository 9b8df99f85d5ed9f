"""The dispatcher's browser: 陈经理 at the desk."""

from __future__ import annotations

import time

from phone import Phone
from playwright.sync_api import Page, expect
from server import Server

WAIT_SECONDS = 90
"""A paper waits up to a minute for photos, and its first process takes seconds to start."""


class Desk:
    """A dispatcher signed in, in a browser of her own."""

    def __init__(self, phone: Phone, server: Server, account: str = "chen") -> None:
        browser = phone.context.browser
        assert browser is not None
        self.server = server
        self.context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="zh-CN")
        self.page: Page = self.context.new_page()
        self.page.goto(f"{server.url}/sign-in")
        self.page.fill("#account", account)
        self.page.fill("#password", server.accounts[account].password)
        self.page.click("main button")
        self.page.wait_for_url("**/desk")

    def open(self, visit: str) -> None:
        """The review page of a visit."""
        self.page.goto(f"{self.server.url}/desk/visits/{visit}")

    def paper_of(self, visit: str) -> bytes:
        """The newest dispatch order, once it is there, as the desk downloads it."""
        deadline = time.monotonic() + WAIT_SECONDS
        links = self.page.locator(
            f"a[href^='/desk/visits/{visit}/reports/'][href$='dispatch-order']"
        )
        self.open(visit)
        while not links.count():
            assert time.monotonic() < deadline, "no paper was sealed"
            time.sleep(1)
            self.open(visit)
        answer = self.context.request.get(f"{self.server.url}{links.last.get_attribute('href')}")
        assert answer.headers["content-type"] == "application/pdf"
        return answer.body()

    def accept(self, visit: str) -> None:
        """Review the visit and accept it."""
        self.open(visit)
        form = self.page.locator(f"form[action='/desk/visits/{visit}/reviews']")
        form.locator("select[name=verdict]").select_option("accepted")
        form.locator("button").click()
        expect(self.page.locator(".chip-accepted").first).to_be_visible()

    def close(self) -> None:
        """Go home."""
        self.context.close()
