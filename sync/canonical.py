"""Canonical JSON (RFC 8785): what hashes and signatures cover.

Twin: ``static/phone/canonical.js``, cases in ``tests/vectors/canonical.json``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

from sync.problems import Problem

LARGEST = 2**53 - 1
"""Integers beyond this lose digits in JavaScript."""

DEEPEST = 100
"""Lists and records nested deeper than this are refused: both languages run out of stack."""


def canonical(value: Any) -> str:
    """``value`` as canonical text.

    Raises Problem("operation.malformed") on floats, on integers that JavaScript cannot hold, on
    half characters, on anything nested too deep and on anything that is no JSON.  Floats are
    refused although RFC 8785 knows them: two languages print them alike only with luck.
    """
    _refuse_inexact(value, DEEPEST)
    try:
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


def _refuse_inexact(value: Any, deepest: int) -> None:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise Problem("operation.malformed", field="integer")
    elif deepest == 0 and isinstance(value, Mapping | list | tuple):
        raise Problem("operation.malformed", field="depth")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise Problem("operation.malformed", field="key")
            _refuse_inexact(item, deepest - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_inexact(item, deepest - 1)
    else:
        raise Problem("operation.malformed", field=type(value).__name__)
