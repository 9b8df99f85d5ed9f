"""What a customer does with a phone of his own."""

from __future__ import annotations

import io
import time

import zxingcpp
from PIL import Image
from playwright.sync_api import Page

SEAL_SECONDS = 90


def scanned(page: Page) -> str:
    """What another phone's camera reads off the screen."""
    code = page.locator(".qr svg")
    code.scroll_into_view_if_needed()
    picture = Image.open(io.BytesIO(code.screenshot(caret="initial")))
    (found,) = zxingcpp.read_barcodes(picture)
    return str(found.text)


def look_until(page: Page, url: str, text: str) -> None:
    """Open the page again and again until it says ``text``."""
    deadline = time.monotonic() + SEAL_SECONDS
    page.goto(url)
    while text not in page.locator("main").inner_text():
        assert time.monotonic() < deadline, f"the page never said {text}"
        page.wait_for_timeout(500)
        page.goto(url)
