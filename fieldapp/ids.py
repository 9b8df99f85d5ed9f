"""Ids minted on this machine."""

from __future__ import annotations

import secrets
from datetime import datetime

from sync.operation import new_id


def mint_id(now: datetime) -> str:
    """A new UUIDv7 of the time ``now``."""
    return new_id(int(now.timestamp() * 1000), secrets.token_bytes(10))
