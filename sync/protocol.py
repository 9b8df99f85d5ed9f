"""Push and pull: the bodies on the wire, cursors and digests.

Version 1.  A body is JSON of the media type below; anything else, a captive portal's page above
all, is not an answer.  Push takes every version for ever; pull may ask for a reload.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sync.problems import Problem

PROTOCOL = 1
MOST_UNSENT = 1_000_000
"""What a phone says beyond this is read as this."""

HEADROOM = 60
"""Levels of nesting left for whoever walks through a body after it was read."""

MEDIA_TYPE = "application/vnd.fieldapp.sync+json"


@dataclass(frozen=True)
class Push:
    """What a phone sends: its clock in ms since 1970, its highest counter, its operations.

    ``unsent`` is how many items it holds beyond these; None when it does not say.
    """

    now_ms: int
    high: int
    operations: list[Any]
    unsent: int | None = None


@dataclass(frozen=True)
class Cursor:
    """How far a device has read: everything up to ``rev``, and at ``rev`` up to ``visit``."""

    epoch: str
    rev: int
    visit: str

    def write(self) -> str:
        """The opaque text that the phone keeps."""
        return base64.urlsafe_b64encode(f"{self.epoch}|{self.rev}|{self.visit}".encode()).decode()


def read_json(data: bytes) -> Any:
    """The JSON value in ``data``; ValueError for all else, numbers that JSON lacks included."""
    try:
        read = json.loads("[" * HEADROOM + data.decode() + "]" * HEADROOM, parse_constant=_refuse)
        for _ in range(HEADROOM):
            (read,) = read
        return read
    except (TypeError, RecursionError):
        raise ValueError("not JSON") from None


def check(body: Any) -> None:
    """Refuse a decoded body that is none of ours.

    Raises Problem("push.not-json") when it is no object, Problem("push.protocol") for a version
    that cannot be read.
    """
    if not isinstance(body, Mapping):
        raise Problem("push.not-json")
    version = body.get("protocol")
    if not _is_count(version) or version != PROTOCOL:
        raise Problem("push.protocol")


def read_push(body: Any, most: int) -> Push:
    """The push in a decoded body.

    Raises what :func:`check` raises, Problem("push.not-json") for another shape,
    Problem("content.too-large") beyond ``most`` operations.
    """
    check(body)
    operations, now_ms, high = body.get("operations"), body.get("now"), body.get("high", 0)
    if not isinstance(operations, list) or not _is_count(now_ms) or not _is_count(high):
        raise Problem("push.not-json")
    if len(operations) > most:
        raise Problem("content.too-large")
    return Push(int(now_ms), int(high), operations, read_unsent(body))


def read_unsent(body: Mapping[str, Any]) -> int | None:
    """How many items a phone says that it still holds; None when it says nothing readable."""
    unsent = body.get("unsent")
    return min(int(unsent), MOST_UNSENT) if _is_count(unsent) and unsent is not None else None


def read_cursor(text: Any, epoch: str) -> Cursor:
    """The cursor in ``text``; the beginning for anything unreadable or of another epoch.

    Reading everything again is slow and safe; refusing would leave a phone without its visits.
    """
    start = Cursor(epoch, 0, "")
    if not isinstance(text, str) or not text:
        return start
    try:
        parts = base64.urlsafe_b64decode(text.encode()).decode().split("|")
        cursor = Cursor(parts[0], int(parts[1]), parts[2])
    except (ValueError, IndexError, binascii.Error):
        return start
    return cursor if cursor.epoch == epoch and _is_count(cursor.rev) else start


def digest(scope: Mapping[str, int]) -> str:
    """SHA-256, in hex, over visit and revision of a whole scope, ordered by the visits' ids."""
    text = "\n".join(f"{visit} {scope[visit]}" for visit in sorted(scope))
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse(name: str) -> None:
    raise ValueError(name)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
