"""What a row of the bench says, and the few sums behind it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

WIDTHS = (46, 62, 10)


class NotMeasured(Exception):
    """This machine lacks what the measurement needs; the message says what."""


@dataclass(frozen=True)
class Row:
    """One budget and what was found; ``ok`` is None where nothing could be measured."""

    name: str
    measured: str
    budget: str
    ok: bool | None

    def __str__(self) -> str:
        verdict = {True: "ok", False: "over", None: "not measured"}[self.ok]
        cells = (self.name, self.measured, self.budget)
        padded = (cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True))
        return f"{'  '.join(padded)}  {verdict}"


def at_most(name: str, value: float, limit: float, unit: str, details: str) -> Row:
    """A row that is ok while ``value`` is not above ``limit``."""
    return Row(name, f"{value:.2f} {unit}  ({details})", f"≤ {limit:g} {unit}", value <= limit)


def at_least(name: str, value: float, limit: float, unit: str, details: str) -> Row:
    """A row that is ok while ``value`` is not below ``limit``."""
    return Row(name, f"{value:.2f} {unit}  ({details})", f"≥ {limit:g} {unit}", value >= limit)


def p95(values: Sequence[float]) -> float:
    """The smallest of ``values`` that at least 95 in 100 of them do not exceed."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def spread(values: Sequence[float]) -> str:
    """Median and p95 in whole milliseconds, ready to show."""
    return f"{statistics.median(values):.0f}/{p95(values):.0f} ms"
