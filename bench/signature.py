"""Whether the page holds up a hand that signs on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bench.paper import ink
from bench.phone import ACCOUNT, Phone, Slowness
from bench.rows import NotMeasured, Row, at_most
from bench.taps import Speed
from bench.workload import values_of
from fieldapp.perform import unit
from tests.browser.server import Server

LONG_MS = 50
"""What a person notices; a quarter of the speed may take four times as long."""

SIGNATURES = 2
STEPS = 3
"""Moves of the hand between two points of the model: some hundreds in a signature."""

WATCH = """() => {
  window.seen = { longtask: [], event: [] }
  for (const [type, more] of [["longtask", {}], ["event", { durationThreshold: 16 }]]) {
    const told = (list) => seen[type].push(...list.getEntries())
    new PerformanceObserver(told).observe({ type, ...more })
  }
}"""

SEEN = """async () => {
  await new Promise((resolve) => setTimeout(resolve, 300))
  return {
    tasks: seen.longtask.map(({ duration }) => duration),
    handled: seen.event.map((event) => event.processingEnd - event.processingStart),
  }
}"""
"""Tasks above 50 ms, and what answering single events took, all in milliseconds."""


def make_ready(server: Server) -> str:
    """Let everything but the signature be done on a visit of today; its id."""
    visit = server.visit_of(ACCOUNT)
    now = datetime.now(UTC)
    said: dict[str, Any] = {kind: value for kind, value in values_of(0, now) if kind != "photo"}
    at = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    done: list[tuple[str, Any]] = [
        ("arrival", said["arrival"]),
        ("step", {"list": "conduct", "done": ["badge", "shoe-covers"]}),
        ("identification", {"serial": "WAH200-2508-00173", "verdict": "agrees"}),
        ("diagnosis", {name.partition("/")[2]: text for name, text in said["diagnosis"].items()}),
        ("swap", said["swap"]),
        ("measure", {"text": "更换蓄电池，逐区试警正常", "completed_at": at}),
        ("step", {"list": "closing", "done": ["cleaned", "put-back", "tested"]}),
        ("outcome", {"result": "solved", "next_text": "半年后复测电压"}),
    ]
    with server.office():
        engineer = server.person(ACCOUNT)
        with unit(engineer.org_id, now) as opened:
            for kind, value in done:
                opened.perform(kind, visit, engineer, value)
    return visit


def signature_rows(phone: Phone, visit: str, slowness: Slowness) -> Iterator[Row]:
    """Tasks that held the page up while somebody signed and while it was saved."""
    speeds: list[tuple[int, str, Speed]] = [
        (LONG_MS, "", contextlib.nullcontext),
        (4 * LONG_MS, ", quarter speed", slowness.quarter),
    ]
    for long_ms, where, speed in speeds:
        name = f"tasks above {long_ms} ms of a signature{where}"
        try:
            found = [_sign(phone, visit, speed) for _ in range(SIGNATURES)]
            if where:
                slowness.check()
        except NotMeasured as reason:
            yield Row(name, str(reason), "≤ 0 each", None)
            continue
        tasks = [spent for each in found for spent in each["tasks"]]
        handled = [spent for each in found for spent in each["handled"]]
        longest, slowest = max(tasks, default=0), max(handled, default=0)
        details = f"longest {longest:.0f} ms; slowest event {slowest:.0f} ms"
        count = sum(spent > long_ms for spent in tasks) / SIGNATURES
        yield at_most(name, count, 0, "each", details)


def _sign(phone: Phone, visit: str, speed: Speed) -> dict[str, list[float]]:
    """Draw a signature as a hand does, save it and wait for the thanks."""
    page = phone.page
    phone.open(f"/visits/{visit}/signatures?list=more")
    page.fill("[name=name]", "王丽")
    page.locator("label:has([name=role][value=contact])").click()
    pad = page.locator("[data-pad] canvas")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    scale = min(box["width"] / 380, box["height"] / 180)
    page.evaluate(WATCH)
    with speed():
        for stroke in ink():
            points = [
                (box["x"] + x * scale, box["y"] + y * scale)
                for x, y in zip(stroke[::3], stroke[1::3], strict=True)
            ]
            page.mouse.move(*points[0])
            page.mouse.down()
            for x, y in points[1:]:
                page.mouse.move(x, y, steps=STEPS)
            page.mouse.up()
        phone.tap(".save")
        found: dict[str, list[float]] = page.evaluate(SEEN)
    page.locator("#thanks").wait_for()
    return found
