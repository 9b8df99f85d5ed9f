"""The envelope of an operation: its shape and its id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sync.canonical import LARGEST, canonical
from sync.problems import Problem

VERSION = 1
CUSTOMER = "customer"
"""The author of what the customer's page performs.  Nobody signs in there, so it is no person."""
_TEXTS = {"id": 36, "visit": 36, "device": 36, "author": 36, "kind": 40}
_INTEGERS = ("v", "n", "wall", "mono", "skew")
_LAST_SECOND = 253_370_764_799  # 9998-12-31T23:59:59Z, the last that fieldapp.formats can show


@dataclass(frozen=True)
class Operation:
    """One thing a person did.

    ``wall`` is the phone's clock in ms since 1970, ``mono`` its monotonic clock in ms, ``skew`` the
    last known server time minus phone time in ms.  ``supersedes`` names, per path, the heads whose
    value the author saw.  ``body`` is the whole envelope as it came, fields unknown to this version
    included.
    """

    id: str
    visit: str
    device: str
    author: str
    kind: str
    value: Any
    supersedes: Mapping[str, list[str]]
    n: int
    wall: int
    skew: int
    hash: str
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Received:
    """An operation and what the server noted at its first receipt.

    ``corrected_ms`` is computed once and kept; ``problems`` are codes of ``sync.problems``.
    """

    operation: Operation
    corrected_ms: int
    problems: tuple[str, ...] = ()


def read_operation(body: Any) -> Operation:
    """The operation in ``body``.  Raises Problem("operation.malformed") naming the field."""
    if not isinstance(body, Mapping):
        raise Problem("operation.malformed", field="envelope")
    for name, limit in _TEXTS.items():
        value = body.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= limit:
            raise Problem("operation.malformed", field=name)
    for name in _INTEGERS:
        value = body.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST:
            raise Problem("operation.malformed", field=name)
    supersedes = body.get("supersedes")
    if not isinstance(supersedes, Mapping) or not all(
        isinstance(path, str)
        and isinstance(heads, list)
        and all(isinstance(head, str) for head in heads)
        for path, heads in supersedes.items()
    ):
        raise Problem("operation.malformed", field="supersedes")
    canonical(body)
    return Operation(
        id=body["id"],
        visit=body["visit"],
        device=body["device"],
        author=body["author"],
        kind=body["kind"],
        value=body.get("value"),
        supersedes=supersedes,
        n=body["n"],
        wall=body["wall"],
        skew=body["skew"],
        hash=body["hash"] if isinstance(body.get("hash"), str) else "",
        body=body,
    )


def new_id(ms: int, random: bytes) -> str:
    """A UUIDv7 of the time ``ms`` (since 1970) and ten random bytes.  Source: RFC 9562, 5.7."""
    raw = bytearray(ms.to_bytes(6, "big") + random[:10])
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def iso(ms: int) -> str:
    """The time ``ms`` (since 1970) as ISO UTC with whole seconds, rounded down.

    A clock may say anything: before 1970 is shown as its first second, after 9998 as its last.
    """
    seconds = min(max(ms // 1000, 0), _LAST_SECOND)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def by_code_unit(text: str) -> bytes:
    """The key that sorts ids and paths as JavaScript does: by UTF-16 code unit."""
    return text.encode("utf-16-be", "surrogatepass")
