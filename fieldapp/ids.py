"""Ids minted on this machine."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import TypeGuard

from sync.operation import new_id

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TOKEN = re.compile("[0-9a-f]{32}")


def is_id(text: str) -> bool:
    """Whether ``text`` is a UUIDv7, as phones and this machine mint them."""
    return _ID.fullmatch(text) is not None


def is_token(text: object) -> TypeGuard[str]:
    """Whether ``text`` can name a work order for its customer: 128 bits in hex."""
    return isinstance(text, str) and _TOKEN.fullmatch(text) is not None


def mint_id(now: datetime) -> str:
    """A new UUIDv7 of the time ``now``."""
    return new_id(int(now.timestamp() * 1000), secrets.token_bytes(10))
