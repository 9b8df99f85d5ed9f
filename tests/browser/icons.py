"""The app's icons as pictures, drawn from ``static/icons/icon.svg`` by Chromium.

``python tests/browser/icons.py`` draws them anew after the drawing was changed.  A phone may cut a
*maskable* icon to any shape that leaves its middle, a circle of four fifths of its width: there the
sheet is drawn a little smaller.  iOS rounds the corners of its icon itself.
"""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

FOLDER = Path(__file__).parents[2] / "static" / "icons"
SAFE = 0.9
"""How much smaller the sheet is on a maskable icon: its corners then lie well inside the circle."""
COLOURS = 48
"""Enough for smooth edges between three colours; a third of the bytes."""

ICONS = {
    "icon-192.png": (192, 1.0),
    "icon-512.png": (512, 1.0),
    "maskable-192.png": (192, SAFE),
    "maskable-512.png": (512, SAFE),
    "apple-touch-icon.png": (180, SAFE),
}
"""Width in pixels and scale of the drawing, by file."""


def draw(browser: Browser, size: int, scale: float) -> bytes:
    """The icon as PNG, ``size`` pixels wide; its ground reaches to the edges."""
    svg = (FOLDER / "icon.svg").read_text(encoding="utf-8")
    ground, sheet = re.fullmatch(r"(<svg[^>]*>\s*<rect[^>]*/>)(.*)</svg>\s*", svg, re.S).groups()  # type: ignore[union-attr]
    middle = f"translate(256 256) scale({scale}) translate(-256 -256)"
    page = browser.new_page(viewport={"width": size, "height": size})
    page.set_content(
        f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>"
        f'{ground}<g transform="{middle}">{sheet}</g></svg>'
    )
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    file = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, (width, scale) in ICONS.items():
            (FOLDER / name).write_bytes(draw(chromium, width, scale))
        chromium.close()
