"""What the paper's fonts can print.

Forms ask it for what is typed into them, on the server and on the phone, long before there is a
paper: nothing here needs the libraries that make one.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from fontTools.ttLib import TTFont

FONTS = Path(__file__).parent / "fonts"
FONTS_CONF = FONTS / "fonts.conf"
"""What ``FONTCONFIG_FILE`` has to name before the first paper is made in a process."""


FAMILIES = {"Noto Sans SC": "NotoSansSC", "Fieldapp Names": "Names"}
"""The families of the paper in the order in which they are asked, and how their files begin."""


@functools.cache
def _glyphs() -> frozenset[int]:
    """The code points that can be printed in both weights."""
    points: frozenset[int] = frozenset()
    for name in FAMILIES.values():
        maps = []
        for weight in ("Regular", "Bold"):
            with TTFont(FONTS / f"{name}-{weight}.ttf", lazy=True) as font:
                maps.append(frozenset(font.getBestCmap()))
        points |= maps[0] & maps[1]
    return points


# shapes and directions of other characters; an override can mirror an amount in print
_UNSEEN = {"Cc", "Cf", "Cs"}


def _is_unseen(character: str) -> bool:
    if unicodedata.category(character) in _UNSEEN:
        return True
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def printable(text: str) -> str:
    """``text`` as it is set: composed (NFC), line ends as ``\\n``, nothing unseen left."""
    text = re.sub("\r\n|[\r\x0b\x0c\x85\u2028\u2029]", "\n", text).replace("\t", " ")
    text = "".join(one for one in text if one == "\n" or not _is_unseen(one))
    return unicodedata.normalize("NFC", text)


def missing_characters(text: str) -> list[str]:
    """The characters of ``text`` the paper's fonts cannot print, each once, in order.

    Unseen characters are dropped from print and therefore never missing.
    """
    glyphs = _glyphs()
    return list(
        dict.fromkeys(one for one in printable(text) if one != "\n" and ord(one) not in glyphs)
    )


@functools.cache
def coverage() -> tuple[int, ...]:
    """The printable code points as run lengths, for the phone: skip, take, skip, take, …

    From code point 0, the first number says how many are not printable, the next how many are.
    """
    runs: list[int] = []
    position = 0
    for first, last in _ranges(sorted(_glyphs())):
        runs += [first - position, last - first + 1]
        position = last + 1
    return tuple(runs)


def _ranges(points: Sequence[int]) -> Iterable[tuple[int, int]]:
    first = last = points[0]
    for point in points[1:]:
        if point != last + 1:
            yield first, last
            first = point
        last = point
    yield first, last
