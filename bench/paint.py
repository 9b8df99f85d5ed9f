"""The first paint of a page whose worker had been stopped, against a worker that does nothing."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator

from bench.phone import Phone, Slowness
from bench.rows import NotMeasured, Row, at_most, spread
from bench.taps import Speed

STARTS = 12
BUDGET = 3

PAINTED = """new Promise((resolve) => {
  const told = (list) => {
    const [first] = list.getEntriesByName("first-contentful-paint")
    if (first) resolve(first.startTime)
  }
  new PerformanceObserver(told).observe({ type: "paint", buffered: true })
})"""
"""Milliseconds from the start of the navigation until something of the page can be seen."""


def paint_rows(ours: Phone, empty: Phone, slowness: Slowness) -> Iterator[Row]:
    """At full speed, and at a quarter of it."""
    yield _row("first paint from a stopped worker", ours, empty, contextlib.nullcontext)
    name = "first paint from a stopped worker, quarter speed"
    try:
        row = _row(name, ours, empty, slowness.quarter)
        slowness.check()
    except NotMeasured as reason:
        row = Row(name, str(reason), f"≤ {BUDGET} ×", None)
    yield row


def first_paint(phone: Phone, speed: Speed) -> float:
    """Milliseconds until the list is seen, beginning without a worker."""
    phone.stop_worker()
    with speed():
        phone.open("/visits")
        return float(phone.page.evaluate(PAINTED))


def _row(name: str, ours: Phone, empty: Phone, speed: Speed) -> Row:
    times = [(first_paint(ours, speed), first_paint(empty, speed)) for _ in range(STARTS)]
    mine, least = (list(side) for side in zip(*times, strict=True))
    ratio = statistics.median(mine) / statistics.median(least)
    details = f"median/p95 {spread(mine)}, empty {spread(least)}"
    return at_most(name, ratio, BUDGET, "×", details)
