"""What axe-core (Deque; MPL-2.0), the reference checker of WCAG, says of a page."""

from __future__ import annotations

from importlib.resources import files

from playwright.sync_api import Page

SCRIPT = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
RUN = """async (only) => {
  const found = await axe.run(document, {
    resultTypes: ["violations"],
    runOnly: only.length ? only : ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  })
  return found.violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} (${help}): ${target.join(" ")} ${failureSummary.split("\\n").at(-1).trim()}`))
}"""


def violations(page: Page, *rules: str) -> list[str]:
    """Every violation on the page as a sentence; of ``rules`` alone when they are named.

    The page is judged as high as it is: what lies half under a bar at the edge of the screen is
    free a little further down.
    """
    size = page.viewport_size
    assert size is not None
    height: int = page.evaluate("() => document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
    if not page.evaluate("() => typeof axe === 'object'"):
        page.evaluate(f"{SCRIPT}\n;0")  # its last value would be the whole of axe
    found: list[str] = page.evaluate(RUN, list(rules))
    page.set_viewport_size(size)
    return found
