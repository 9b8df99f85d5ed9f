"""A posted form becomes the value of an operation, and back.

Twin: ``static/phone/forms.js``, cases in ``tests/vectors/forms.json``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from fieldapp.formats import FormatError, from_local_input, local_input
from sync.canonical import LARGEST
from sync.operation import iso

Fields = Sequence[Mapping[str, Any]]
Offsets = Sequence[Sequence[Any]]

_COUNT = re.compile("[0-9]{1,9}")
_CHOSEN = re.compile(r"now|\+([0-9]{1,3})")
_AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?")


def one_by_one(fields: Fields, form: Mapping[str, Sequence[str]]) -> list[dict[str, Sequence[str]]]:
    """The forms that ``form`` stands for: one for each photo in it, else itself alone.

    A photo field names photos with spaces between them, each by its hash; a photo that was drawn
    on by ``hash:hash``, the second being the photo without the marks, which becomes ``unmarked``.
    """
    names = [field["name"] for field in fields if field["type"] == "photo"]
    photos = [
        photo
        for name in names
        for text in form.get(name, ())[:1]
        for photo in filter(None, text.split(" "))
    ]
    if not photos:
        return [dict(form)]
    forms = []
    for photo in dict.fromkeys(photos):
        marked, _, unmarked = photo.partition(":")
        forms.append(dict(form) | {names[0]: [marked], "unmarked": [unmarked]})
    return forms


def read_value(
    fields: Fields, form: Mapping[str, Sequence[str]], offsets: Offsets
) -> dict[str, Any]:
    """The value that ``form`` (a list of texts by name) states for ``fields``.

    Fields left empty are left out.  Times are read on the site's clock, amounts with two decimals
    as minor units.  What cannot be read stays
    the text it is, so that validation names the field and the form shows it again.
    """
    value: dict[str, Any] = {}
    for field in fields:
        texts = [_clean(text, field["type"]) for text in form.get(field["name"], ())]
        texts = [text for text in texts if text]
        if field["type"] in ("ticks", "people"):
            value[field["name"]] = texts
        elif texts:
            value[field["name"]] = _read(field["type"], texts[0], offsets)
    return value


def timed(fields: Fields, value: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """``value`` with the moments that were chosen instead of typed, as seen at ``now_ms``.

    ``now`` is that moment itself, ``+30`` lies half an hour later; what was typed stays.
    """
    found = dict(value)
    for field in fields:
        text = value.get(field["name"])
        if field["type"] != "moment" or not isinstance(text, str):
            continue
        if chosen := _CHOSEN.fullmatch(text):
            found[field["name"]] = iso(now_ms + int(chosen[1] or 0) * 60_000)
    return found


def write_form(fields: Fields, value: Mapping[str, Any], offsets: Offsets) -> dict[str, Any]:
    """What a form shows for ``value``: texts by name, lists for ticks; every field has one."""
    form: dict[str, Any] = {}
    for field in fields:
        item = value.get(field["name"])
        if field["type"] in ("ticks", "people"):
            form[field["name"]] = list(item) if isinstance(item, list) else []
        elif item is None:
            form[field["name"]] = ""
        elif field["type"] == "moment" and isinstance(item, str):
            form[field["name"]] = _local(item, offsets)
        elif isinstance(item, str):
            form[field["name"]] = item
        elif field["type"] == "money" and _is_amount(item):
            form[field["name"]] = f"{item // 100}.{item % 100:02}"
        else:
            form[field["name"]] = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    return form


def read_heads(form: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The heads that a form carried in ``heads``, per path; none when they cannot be read."""
    return {
        path: [id_ for id_ in ids if isinstance(id_, str)]
        for path, ids in _carried(form, "heads").items()
        if isinstance(ids, list)
    }


def read_was(form: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The values that the form's reader was shown, carried in ``was``."""
    return _carried(form, "was")


def only_changed(
    fields: Fields, value: Mapping[str, Any], form: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """What the author changed: a field cleared becomes the empty text, one left alone is left out.

    Posting every field would overwrite what somebody else changed meanwhile.
    """
    was = read_was(form)
    changed = {}
    for field in fields:
        before, after = (_or_empty(values.get(field["name"])) for values in (was, value))
        # As JSON text: to Python 1, 1.0 and True are equal.
        if json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True):
            changed[field["name"]] = after
    return changed


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _carried(form: Mapping[str, Sequence[str]], name: str) -> dict[str, Any]:
    text = next(iter(form.get(name, ())), "")
    carried = _parse(text)
    return carried if isinstance(carried, dict) else {}


def _clean(text: str, kind: str) -> str:
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text.strip(" \t\n\u3000") if kind != "strokes" else text


def _read(kind: str, text: str, offsets: Offsets) -> Any:
    if kind == "moment":
        try:
            return from_local_input(text, offsets)
        except FormatError:
            return text
    if kind in ("position", "strokes"):
        return _parse(text)
    if kind == "count" and _COUNT.fullmatch(text):
        return int(text)
    if kind == "money" and (amount := _AMOUNT.fullmatch(text)):
        return int(amount[1]) * 100 + int((amount[2] or "").ljust(2, "0"))
    return text


def _parse(text: str) -> Any:
    """The JSON in ``text`` as JavaScript reads it; what is none stays the text."""
    try:
        return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _refuse(name: str) -> None:
    raise ValueError(name)


def _is_amount(item: Any) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= LARGEST


def _local(text: str, offsets: Offsets) -> str:
    try:
        return local_input(text, offsets)
    except FormatError:
        return text
