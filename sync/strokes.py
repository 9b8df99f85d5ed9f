"""A signature drawn on glass, as vectors.

The phone sends strokes: one flat list of integers each, ``[x, y, ms, x, y, ms, …]``, in CSS pixels
and milliseconds since the pad was touched.  The drawing is made here from those numbers, so nothing
that came from outside is ever parsed as SVG.
"""

from __future__ import annotations

from typing import Any

from sync.problems import Problem

POINTS = 4000
"""Most points of one signature, all strokes together: the catalogue's limit."""

REACH = 10_000
"""Coordinates are clipped to ±REACH: no screen is wider, and a path may not become a plotter."""

PAD = 12
"""Empty margin around the ink, in the pad's pixels."""

SMALLEST = 80
"""Shortest side of the picture in the pad's pixels, so that a lone dot stays a dot."""


def points_of(strokes: Any) -> list[list[tuple[int, int]]]:
    """The strokes as lists of points ``(x, y)``, clipped to ±REACH.

    Times are part of the evidence and stay in ``visit.json``; the drawing does not need them.
    Raises Problem("field.not-strokes") when there is no point and for anything but lists of whole
    numbers in threes, Problem("field.too-long") above POINTS.
    """
    if not isinstance(strokes, list) or not all(isinstance(stroke, list) for stroke in strokes):
        raise Problem("field.not-strokes", field="strokes")
    # counted before anything is walked: a hostile list may be long
    count = sum(len(stroke) for stroke in strokes) // 3
    if count > POINTS or len(strokes) > POINTS:
        raise Problem("field.too-long", field="strokes", limit=POINTS)
    lines = []
    for stroke in strokes:
        # a bool is an int to Python and never a coordinate
        if len(stroke) % 3 or not all(type(number) is int for number in stroke):
            raise Problem("field.not-strokes", field="strokes")
        if stroke:
            lines.append(
                [(_clip(x), _clip(y)) for x, y in zip(stroke[::3], stroke[1::3], strict=True)]
            )
    if not lines:
        raise Problem("field.not-strokes", field="strokes")
    return lines


def drawing(strokes: Any) -> bytes:
    """The signature as an SVG file in UTF-8, cropped to its ink.

    Same strokes, same bytes.  Raises what :func:`points_of` raises.
    """
    lines = points_of(strokes)
    left, width = _span([x for line in lines for x, _ in line])
    top, height = _span([y for line in lines for _, y in line])
    # the pen is as thick as the picture is large: a small pad and a large one print alike
    pen = max(width, height * 2) / 130
    paths = "".join(f'<path d="{_path(line)}"/>' for line in lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left} {top} {width} {height}" '
        f'width="{width}" height="{height}"><g fill="none" stroke="#14213d" '
        f'stroke-width="{pen:.2f}" stroke-linecap="round" stroke-linejoin="round">'
        f"{paths}</g></svg>"
    ).encode()


def _path(line: list[tuple[int, int]]) -> str:
    if len(line) == 1:
        # a path without length draws nothing, not even with round ends
        x, y = line[0]
        return f"M{x} {y}l1 0"
    return "M" + "L".join(f"{x} {y}" for x, y in line)


def _span(values: list[int]) -> tuple[int, int]:
    low, high = min(values) - PAD, max(values) + PAD
    missing = max(0, SMALLEST - (high - low))
    return low - missing // 2, high - low + missing


def _clip(value: int) -> int:
    return max(-REACH, min(REACH, value))
