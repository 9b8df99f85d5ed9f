"""Canonical JSON (RFC 8785): what hashes and signatures cover.

Twin: ``static/phone/canonical.js``, cases in ``tests/vectors/canonical.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import rfc8785

from sync.problems import Problem

LARGEST = 2**53 - 1
"""Integers beyond this lose digits in JavaScript."""

DEEPEST = 100
"""Lists and records nested deeper than this are refused: both languages run out of stack."""


_BEFORE_SURROGATES = "\ud7ff"
"""Texts of characters up to here sort alike by code point and by UTF-16 code unit."""

# The text of RFC 8785 but for the order of rare keys, and several times as fast: what is nested too
# deep or not exact was refused before.
_write = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode


def canonical(value: Any) -> str:
    """``value`` as canonical text.

    Raises Problem("operation.malformed") on floats, on integers that JavaScript cannot hold, on
    half characters, on anything nested too deep and on anything that is no JSON.  Floats are
    refused although RFC 8785 knows them: two languages print them alike only with luck.
    """
    has_plain_keys = _check(value, DEEPEST)
    try:
        if has_plain_keys:
            text = _write(value)
            text.encode()  # half characters have no bytes
            return text
        return rfc8785.dumps(value).decode()
    except (rfc8785.CanonicalizationError, UnicodeError, TypeError, ValueError) as error:
        raise Problem("operation.malformed", field=str(error)) from None


def hash_of(body: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the canonical form of all fields of an operation except ``hash``."""
    return sha256(canonical({key: value for key, value in body.items() if key != "hash"}))


def sha256(text: str) -> str:
    """SHA-256, in hex, of a text's UTF-8 bytes.

    Raises Problem("operation.malformed") on half characters, which have none.
    """
    try:
        return hashlib.sha256(text.encode()).hexdigest()
    except UnicodeEncodeError:
        raise Problem("operation.malformed", field="text") from None


def _check(value: Any, deepest: int) -> bool:
    """Refuse what is not exact or no JSON; whether the order of all keys is plain."""
    if value is None or isinstance(value, bool | str):
        return True
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise Problem("operation.malformed", field="integer")
        return True
    if not isinstance(value, dict | list | tuple):
        raise Problem("operation.malformed", field=type(value).__name__)
    if deepest == 0:
        raise Problem("operation.malformed", field="depth")
    is_plain = True
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise Problem("operation.malformed", field="key")
            is_plain = is_plain and (key.isascii() or max(key) <= _BEFORE_SURROGATES)
        value = value.values()
    for item in value:
        if not isinstance(item, str):  # most are, and a call costs
            is_plain = _check(item, deepest - 1) and is_plain
    return is_plain
