"""``python tests/browser/guide.py``: the pictures of docs/guide.zh.md and docs/guide.en.md.

Each is a screen of the walk that tests/browser/test_looks.py judges, as a phone shows it; the
file names are those that the guides ask for.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[depth]) for depth in (2, 1, 0)]

from PIL import Image
from playwright.sync_api import sync_playwright
from screens import Walk, ready_server

DOCS = Path(__file__).parents[2] / "docs"
LANGUAGES = {"zh": "zh_CN", "en": "en"}
PICTURE = re.compile(r"\]\(guide/(?P<language>zh|en)/(?P<screen>[a-z0-9-]+)\.png\)")
COLOURS = 128
"""Enough for pages, and a quarter of the bytes."""


def screens_of(language: str) -> set[str]:
    """The screens whose pictures the guide in ``language`` asks for."""
    text = (DOCS / f"guide.{language}.md").read_text(encoding="utf-8")
    return {found["screen"] for found in PICTURE.finditer(text) if found["language"] == language}


def main() -> None:
    """Take every picture anew."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        day = ready_server(Path(name) / "instance")
        try:
            for language, locale in LANGUAGES.items():
                wanted = screens_of(language)
                folder = DOCS / "guide" / language
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                for screen, page in Walk(browser, day, locale).screens():
                    if screen not in wanted:
                        continue
                    path = folder / f"{screen}.png"
                    page.evaluate("() => scrollTo(0, 0)")
                    page.screenshot(path=path, caret="initial")
                    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)
                    print(path.relative_to(DOCS.parent))
        finally:
            day.server.stop()


if __name__ == "__main__":
    main()
