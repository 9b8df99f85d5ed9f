"""Compiled templates for all applications of a test run.

Every test has an application of its own, and every application compiles what it shows: more than
half of the time of a test that asks for pages.
"""

from __future__ import annotations

from types import CodeType

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

SHARED = ("shared_templates", "customer_templates")


class _Compiled(BytecodeCache):
    """What one kind of environment made of a template, by name, place and text."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.code


_OF_FLASK = _Compiled()
_OF_SHARED = {name: _Compiled() for name in SHARED}


def share_templates(app: Flask) -> None:
    """Let ``app`` take what other applications compiled."""
    app.jinja_env.bytecode_cache = _OF_FLASK
    for name, compiled in _OF_SHARED.items():
        app.extensions[name].bytecode_cache = compiled
