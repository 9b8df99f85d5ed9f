"""What a phone holds in memory with ten visits, and with two hundred.

Measured are the heaps of the page and of its worker, each after its garbage was collected: objects
of JavaScript, the elements of the page and bytes in buffers; not decoded pictures and layout.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page

from bench.databases import database, installation
from bench.office import PASSWORD, assign, make_office, make_orders
from bench.phone import Phone, new_context, sign_in
from bench.rows import Row, at_most
from bench.server import serving

FEW, MANY = 10, 200
OPENED = 20
"""Visits that are opened from the list, one after the other, before memory is read."""

BUDGET = 2
MB = 1_000_000
PARTS = ("usedSize", "embedderHeapUsedSize", "backingStorageSize")
"""Objects of JavaScript, objects of the browser that they hold (the page's elements), and bytes."""


def heap_row(browser: Browser, folder: Path) -> Row:
    """One phone with few visits and one with many, both used alike."""
    folder.mkdir()
    with database("SQLite", folder) as url, installation(folder, url):
        now = datetime.now(UTC)
        office = make_office(2, FEW, now)
        few, many = office.visits
        orders = make_orders(office.org_id, office.places, MANY - FEW, now, first=MANY)
        office.visits[many] += assign(office, many, orders, now)
        with serving(folder, url) as server:
            sizes = [_used(browser, server.url, who, office.visits[who]) for who in (few, many)]
    least, most = sizes
    details = "; ".join(
        f"{count}: page {size['page']:.1f}, worker {size['worker']:.1f} MB"
        for count, size in ((MANY, most), (FEW, least))
    )
    ratio = sum(most.values()) / sum(least.values())
    return at_most(f"memory with {MANY} visits against {FEW}", ratio, BUDGET, "×", details)


def _used(browser: Browser, url: str, account: str, visits: list[str]) -> dict[str, float]:
    """Megabytes of ``page`` and ``worker`` of a phone that looked at its list and its visits."""
    context = new_context(browser)
    page = context.new_page()
    sign_in(page, url, account, PASSWORD)
    page.wait_for_url("**/visits")
    phone = Phone(page, url, itertools.cycle(visits))
    phone.open("/visits")
    held = page.locator("a.visit").count()
    assert held == len(visits), f"{held} visits are on the phone, not {len(visits)}"
    for _ in range(OPENED):
        phone.tap(f"a[href='/visits/{next(phone.visits)}']")
        phone.tap("a.back")
    with _worker_of(browser, page) as worker:
        found = {"page": _heap(_Own(page)), "worker": _heap(worker)}
    context.close()
    return found


def _heap(target: _Own | _Worker) -> float:
    """The heap of a page or of a worker after its garbage was collected, in MB."""
    target.ask("HeapProfiler.enable")
    for _ in range(2):  # what the first round lets go of may hold more
        target.ask("HeapProfiler.collectGarbage")
    usage = target.ask("Runtime.getHeapUsage")
    return sum(float(usage[part]) for part in PARTS) / MB


class _Own:
    """The debugger of a page."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)

    def ask(self, method: str) -> dict[str, Any]:
        """The answer to one command."""
        answer: dict[str, Any] = self._session.send(method) or {}
        return answer


class _Worker:
    """The debugger of a worker, reached through the browser's: the driver has none for workers."""

    def __init__(self, browser: CDPSession, session: str, page: Page) -> None:
        self._browser, self._session, self._page = browser, session, page
        self._ids = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        browser.on("Target.receivedMessageFromTarget", self._note)

    def _note(self, told: dict[str, Any]) -> None:
        message = json.loads(told["message"])
        if told["sessionId"] == self._session and "id" in message:
            self._answers[message["id"]] = message

    def ask(self, method: str) -> dict[str, Any]:
        """The answer to one command."""
        id_ = next(self._ids)
        message = json.dumps({"id": id_, "method": method, "params": {}})
        asked = {"sessionId": self._session, "message": message}
        self._browser.send("Target.sendMessageToTarget", asked)
        for _ in range(600):
            if id_ in self._answers:
                result: dict[str, Any] = self._answers[id_]["result"]
                return result
            self._page.wait_for_timeout(100)
        raise TimeoutError(method)


@contextmanager
def _worker_of(browser: Browser, page: Page) -> Iterator[_Worker]:
    """The debugger of the worker that answers ``page``."""
    page.evaluate("fetch('/visits').then((answer) => answer.text())")  # so that it runs
    own = page.context.new_cdp_session(page)
    mine = own.send("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    session = browser.new_browser_cdp_session()
    targets = session.send("Target.getTargets")["targetInfos"]
    (target,) = [
        each["targetId"]
        for each in targets
        if each["type"] == "service_worker" and each.get("browserContextId") == mine
    ]
    attached = session.send("Target.attachToTarget", {"targetId": target, "flatten": False})
    try:
        yield _Worker(session, attached["sessionId"], page)
    finally:
        session.detach()
