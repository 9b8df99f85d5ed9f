"""How often an address may try."""

from __future__ import annotations

from flask import current_app
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

limiter = Limiter(get_remote_address, storage_uri="memory://")


def per_minute(setting: str) -> str:
    """The limit that the setting of this name states, as the limiter reads it."""
    return f"{current_app.config[setting]}/minute"
