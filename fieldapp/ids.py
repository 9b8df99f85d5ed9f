"""Ids minted on this machine."""

from __future__ import annotations

import re
import secrets
from datetime import datetime

from sync.operation import new_id

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def is_id(text: str) -> bool:
    """Whether ``text`` is a UUIDv7, as phones and this machine mint them."""
    return _ID.fullmatch(text) is not None


def mint_id(now: datetime) -> str:
    """A new UUIDv7 of the time ``now``."""
    return new_id(int(now.timestamp() * 1000), secrets.token_bytes(10))
