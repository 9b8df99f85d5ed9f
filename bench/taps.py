"""What a tap costs when the phone answers, against a worker that does nothing and against Flask."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, FilePayload

from bench.delay import delayed
from bench.phone import (
    ACCOUNT,
    Phone,
    Slowness,
    move,
    new_context,
    planned_visits,
    sign_in,
)
from bench.rows import NotMeasured, Row, at_most, p95, spread
from tests.browser.server import Server

TAPS = 20
PHOTOS = 8
FAR_TAPS = 12
"""Fewer where medians are compared and every page of the other side comes from afar."""

LATENCY_SECONDS = 0.15
PHOTO_BYTES = 1_000_000

Speed = Callable[[], AbstractContextManager[Any]]
"""What a tap is taken in: the page before it comes at full speed, for nobody measures that."""


def taps(phone: Phone, speed: Speed = contextlib.nullcontext) -> dict[str, float]:
    """Milliseconds of opening a visit from the list and of saving a note on it."""
    visit = next(phone.visits)
    phone.open("/visits")
    with speed():
        opened = phone.tap(f"a[href='/visits/{visit}']")
    phone.open(f"/visits/{visit}/notes")
    phone.page.fill("textarea[name=text]", "主机电源板更换后试机正常")
    with speed():
        saved = phone.tap(".save")
    return {"open": opened, "save": saved}


def photo(phone: Phone, picture: bytes, speed: Speed) -> float:
    """Milliseconds from a chosen file until it is kept, and from its Save to the page."""
    phone.open(f"/visits/{next(phone.visits)}/photos")
    phone.page.evaluate("startWatch()")
    file: FilePayload = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture}
    with speed():
        phone.page.set_input_files("[data-photo-file]", files=[file])
        kept: float = phone.page.evaluate("photoKept")
        return kept + phone.tap(".save")


def slow_rows(ours: Phone, empty: Phone, slowness: Slowness) -> Iterator[Row]:
    """Taps at a quarter of the speed, against a worker that does nothing."""
    names = {
        "open": "tap: open a visit, quarter speed",
        "save": "tap: save a note, quarter speed",
        "photo": "tap: keep and save a 1 MB photo, quarter speed",
    }
    limits = {"open": 6, "save": 6, "photo": 10}
    pictures = _pictures()
    times: dict[str, dict[str, list[float]]] = {kind: {"ours": [], "empty": []} for kind in names}
    for phone in (ours, empty):
        taps(phone)  # the first of everything is slower
    try:
        for turn in range(TAPS):
            for side, phone in (("ours", ours), ("empty", empty)):
                for kind, spent in taps(phone, slowness.quarter).items():
                    times[kind][side].append(spent)
                if turn < PHOTOS:
                    spent = photo(phone, next(pictures), slowness.quarter)
                    times["photo"][side].append(spent)
        slowness.check()
    except NotMeasured as reason:
        yield from (
            Row(name, str(reason), f"≤ {limits[kind]} ×", None) for kind, name in names.items()
        )
        return
    for kind, name in names.items():
        mine, least = times[kind]["ours"], times[kind]["empty"]
        details = f"p95; median/p95 {spread(mine)}, empty {spread(least)}"
        yield at_most(name, p95(mine) / p95(least), limits[kind], "×", details)


def far_row(browser: Browser, ours: Phone, server: Server) -> Row:
    """Taps at full speed, against Flask far away; ``server`` is started for it elsewhere."""
    move(server)
    server.start()
    try:
        with delayed(server.port, LATENCY_SECONDS) as port:
            context = new_context(browser, service_workers="block")
            page = context.new_page()
            url = f"http://127.0.0.1:{port}"
            sign_in(page, url, ACCOUNT, server.accounts[ACCOUNT].password)
            flask = Phone(page, url, planned_visits(server))
            times = [(taps(ours), taps(flask)) for _ in range(FAR_TAPS)][1:]
            context.close()
    finally:
        server.stop()
    mine, theirs = (
        [spent for some in side for spent in some.values()] for side in zip(*times, strict=True)
    )
    details = f"median/p95 {spread(mine)}, Flask {spread(theirs)}"
    ratio = statistics.median(mine) / statistics.median(theirs)
    return at_most("tap, against Flask 150 ms away", ratio, 0.2, "×", details)


def _pictures() -> Iterator[bytes]:
    """Photos of 1 MB that the page leaves as they are, each another one."""
    noise = hashlib.shake_256(b"photo").digest(1600 * 1200)
    file = io.BytesIO()
    Image.frombytes("L", (1600, 1200), noise).save(file, "JPEG", quality=40)
    for turn in itertools.count():
        yield file.getvalue() + turn.to_bytes(PHOTO_BYTES - len(file.getvalue()), "big")
