"""Whether the value of an operation is complete and printable.

A form stops at these; the journal never does: what arrives all the same is kept and flagged.
Twin: ``static/phone/validate.js``, cases in ``tests/vectors/validate.json``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import accumulate
from typing import Any, TypeGuard

from sync.canonical import LARGEST

Finding = dict[str, str]
"""``{field, code, detail}``: a field's name, a code of ``sync.problems``, a limit or character."""

Coverage = Sequence[int]

_CONTROL = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff]")
_LINE = re.compile("[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_BLANK = re.compile(
    "[\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
)
"""What either language takes for a space."""

_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./_-]*")
_MOMENT = re.compile(
    "(?!9999)((?:19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2})"
    "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"
)
_PERSON = re.compile("[0-9A-Za-z-]{1,36}")
_NO_NUMBER = {"count": ("field.not-a-count", ""), "money": ("field.not-an-amount", "")}
_HASH = re.compile("[0-9a-f]{64}")


def validate(
    fields: Sequence[Mapping[str, Any]],
    value: Mapping[str, Any],
    choices: Mapping[str, Sequence[str]],
    coverage: Coverage,
) -> list[Finding]:
    """What is wrong with ``value`` for the catalogue's ``fields``, at most one finding a field.

    ``choices`` maps a list of the policy pack to its keys.  ``coverage`` are the code points of the
    paper's fonts as run lengths: skip, take, skip, take, …  Fields that ``value`` holds beyond the
    catalogue's are a newer version's and pass.
    """
    found = []
    for field in fields:
        is_required = _is_required(field, value)
        finding = _finding(field, is_required, value.get(field["name"]), choices, coverage)
        if finding:
            found.append({"field": field["name"], "code": finding[0], "detail": finding[1]})
    return found


def _is_required(field: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Whether a field must be filled in, others being as they are."""
    if field["required"]:
        return _is_empty(value.get(field.get("unless") or ""))
    return not _is_empty(value.get(field.get("beside") or ""))


def _is_empty(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not _BLANK.sub("", value))


def is_printable(character: str, coverage: Coverage) -> bool:
    """Whether the paper's fonts have a glyph for ``character``."""
    return _is_covered(character, _edges(tuple(coverage)))


def _is_covered(character: str, edges: Sequence[int]) -> bool:
    # An odd number of edges at or below it: behind the start of a run and before its end.
    return bisect_right(edges, ord(character)) % 2 == 1


@lru_cache(maxsize=4)
def _edges(coverage: tuple[int, ...]) -> list[int]:
    return list(accumulate(coverage))


def _finding(
    field: Mapping[str, Any],
    is_required: bool,
    value: Any,
    choices: Mapping[str, Sequence[str]],
    coverage: Coverage,
) -> tuple[str, str] | None:
    kind = field["type"]
    if value is None or value in ("", []):
        if not is_required:
            return None
        return ("field.not-strokes", "") if kind == "strokes" else ("field.missing", "")
    if kind == "position":
        return None if _is_position(value) else ("field.not-a-position", "")
    if kind == "strokes":
        return None if _are_strokes(value, field["limit"]) else ("field.not-strokes", "")
    if kind == "ticks":
        keys = choices.get(field["choices"], ())
        fits = isinstance(value, list) and all(
            isinstance(item, str) and item in keys for item in value
        )
        return None if fits else ("field.not-a-choice", "")
    if kind == "people":
        return None if _are_people(value, field["limit"]) else ("field.not-a-choice", "")
    if kind in ("count", "money"):
        least = 1 if kind == "count" else 0
        fits = _is_integer(value) and least <= value <= field["limit"]
        return None if fits else _NO_NUMBER[kind]
    if not isinstance(value, str):
        return ("field.wrong-type", "")
    return _text_finding(field, is_required, value, choices, coverage)


def _text_finding(
    field: Mapping[str, Any],
    is_required: bool,
    value: str,
    choices: Mapping[str, Sequence[str]],
    coverage: Coverage,
) -> tuple[str, str] | None:
    kind = field["type"]
    if kind == "choice":
        fits = value in choices.get(field["choices"], ())
        return None if fits else ("field.not-a-choice", "")
    if kind == "moment":
        return None if _is_moment(value) else ("field.not-a-moment", "")
    if kind == "photo" or field.get("is_hash"):
        return None if _HASH.fullmatch(value) else ("field.not-a-hash", "")
    if len(value) > field["limit"]:
        return ("field.too-long", str(field["limit"]))
    if (_CONTROL if kind == "paragraph" else _LINE).search(value):
        return ("field.control-characters", "")
    if not value.strip():
        return ("field.missing", "") if is_required else None
    if kind == "serial" and not _SERIAL.fullmatch(value):
        return ("field.not-a-serial", "")
    edges = _edges(tuple(coverage))
    for character in dict.fromkeys(value):
        if character not in "\n\t " and not _is_covered(character, edges):
            return ("field.glyph", character)
    return None


def _is_moment(text: str) -> bool:
    """A day that exists, from 1970 to 9998: what ``fieldapp.formats`` can show."""
    found = _MOMENT.fullmatch(text)
    try:
        return found is not None and bool(date.fromisoformat(found[1]))
    except ValueError:
        return False


def _is_position(value: Any) -> bool:
    """Micro-degrees and whole metres."""
    if not isinstance(value, Mapping):
        return False
    bounds = {"latitude": 90_000_000, "longitude": 180_000_000, "accuracy": LARGEST}
    for name, bound in bounds.items():
        number = value.get(name)
        if not _is_integer(number) or abs(number) > bound:
            return False
    return bool(value["accuracy"] >= 0)


def _are_strokes(value: Any, limit: int) -> bool:
    """Flat lists x, y, ms, …: at least two points in all, no more than ``limit``."""
    if not isinstance(value, list):
        return False
    points = 0
    for stroke in value:
        if not isinstance(stroke, list) or len(stroke) % 3 or not all(map(_is_integer, stroke)):
            return False
        points += len(stroke) // 3
    return 2 <= points <= limit


def _are_people(value: Any, limit: int) -> bool:
    """Ids of persons; whether they work here is for others to say."""
    return (
        isinstance(value, list)
        and len(value) <= limit
        and all(isinstance(id_, str) and _PERSON.fullmatch(id_) for id_ in value)
    )


def _is_integer(value: Any) -> TypeGuard[int]:
    """A whole number that JavaScript holds exactly."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
