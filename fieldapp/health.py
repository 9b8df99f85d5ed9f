"""What ``fieldapp doctor`` looks at: what is wrong and what to do about it."""

from __future__ import annotations

import ctypes.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from flask import current_app
from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from fieldapp import migrations
from fieldapp.models import db
from sync import seal
from sync.glyphs import FONTS
from sync.problems import Problem

LIBRARIES = {
    "pango-1.0": "libpango-1.0-0",
    "pangoft2-1.0": "libpangoft2-1.0-0",
    "harfbuzz-subset": "libharfbuzz-subset0",
}
KEY_DAYS = 60
REPLACE = "remove seal.key.pem and run fieldapp init, which keeps the old certificate"
FREE_BYTES = 1_000_000_000

_SCHEMAS = {
    "empty": "has no tables: run fieldapp init",
    "behind": "is at revision {0.found}, this fieldapp needs {0.newest}: run fieldapp upgrade",
    "ahead": "is at revision {0.found} of a newer fieldapp: install that one",
    "strange": "holds tables of no release of fieldapp: check DATABASE_URL",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    is_good: bool
    text: str


def examine(now: datetime) -> list[Finding]:
    """Libraries, fonts, database, sealing key and disk."""
    return [*_libraries(), *_fonts(), *_database(), *_key(now), _disk()]


def _libraries() -> Iterator[Finding]:
    for name, package in LIBRARIES.items():
        if ctypes.util.find_library(name):
            yield Finding(True, f"library {name}")
        else:
            yield Finding(False, f"library {name} is missing: apt-get install {package}")


def _fonts() -> Iterator[Finding]:
    for line in (FONTS / "SHA256SUMS").read_text().splitlines():
        expected, name = line.split()
        path = FONTS / name.lstrip("*")
        if path.exists() and sha256(path.read_bytes()).hexdigest() == expected:
            yield Finding(True, f"font {path.name}")
        else:
            yield Finding(False, f"font {path.name} is missing or damaged: install fieldapp again")


def _database() -> Iterator[Finding]:
    url = db.engine.url.render_as_string(hide_password=True)
    try:
        db.session.execute(text("SELECT 1"))
        tables = set(inspect(db.engine).get_table_names())
        schema = migrations.standing()
    except SQLAlchemyError as error:
        yield Finding(False, f"database {url}: {error.__class__.__name__}; check DATABASE_URL")
        return
    missing = sorted(set(db.metadata.tables) - tables)
    if schema.kind in _SCHEMAS:
        yield Finding(False, f"database {url} " + _SCHEMAS[schema.kind].format(schema))
    elif missing:
        yield Finding(False, f"database {url} lacks {', '.join(missing)}: run fieldapp init")
    else:
        yield Finding(True, f"database {url}")


def _key(now: datetime) -> Iterator[Finding]:
    folder = Path(current_app.config["INSTANCE"]) / "keys"
    private, certificate = folder / "seal.key.pem", folder / "seal.crt.pem"
    if not private.exists() or not certificate.exists():
        yield Finding(False, "there is no key to seal papers with: run fieldapp init")
        return
    try:
        key = seal.load_key(private.read_bytes(), certificate.read_bytes())
    except (Problem, OSError):
        yield Finding(False, f"the sealing key in {folder} cannot be read: {REPLACE}")
        return
    ends_at = key.certificate.not_valid_after_utc
    if ends_at - now < timedelta(days=KEY_DAYS):
        yield Finding(False, f"the sealing key in {folder} ends on {ends_at:%Y-%m-%d}: {REPLACE}")
    else:
        yield Finding(True, f"sealing key until {ends_at:%Y-%m-%d}")


def _disk() -> Finding:
    folder = Path(current_app.config["INSTANCE"])
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        return Finding(False, f"only {free // 10**6} MB free for {folder}: make room")
    return Finding(True, f"{free // 10**9} GB free for {folder}")
