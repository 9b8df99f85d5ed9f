"""Compiled templates and statements for all applications of a test run.

Every test has an application of its own, and every application compiles what it shows and what it
asks its database: more than half of the time of a test that asks for pages, and a sixth of any other.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Dialect

from fieldapp.models import db

SHARED = ("shared_templates", "customer_templates")


class _Compiled(BytecodeCache):
    """What one kind of environment made of a template, by name, place and text."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.code


_STATEMENTS: dict[Any, Any] = {}
_DIALECTS: dict[str, Dialect] = {}
_OF_FLASK = _Compiled()
_OF_SHARED = {name: _Compiled() for name in SHARED}


def share_templates(app: Flask) -> None:
    """Let ``app`` take what other applications compiled."""
    app.jinja_env.bytecode_cache = _OF_FLASK
    for name, compiled in _OF_SHARED.items():
        app.extensions[name].bytecode_cache = compiled


def share_statements(app: Flask) -> None:
    """Let the engine of ``app`` take what others compiled: for that they must be of one dialect."""
    with app.app_context():
        engine = db.engine
        if engine.name not in _DIALECTS:
            engine.connect().close()  # with the first connection it learns what the server can do
        engine.dialect = _DIALECTS.setdefault(engine.name, engine.dialect)
        engine.update_execution_options(compiled_cache=_STATEMENTS)
