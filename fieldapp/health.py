"""What ``fieldapp doctor`` looks at: what is wrong and what to do about it."""

from __future__ import annotations

import ctypes.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from flask import current_app
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from fieldapp import keys, migrations
from fieldapp.models import Hindrance, db
from sync import seal, seal_key
from sync.glyphs import FONTS
from sync.problems import Problem

LIBRARIES = {
    "pango-1.0": "libpango-1.0-0",
    "pangoft2-1.0": "libpangoft2-1.0-0",
    "harfbuzz-subset": "libharfbuzz-subset0",
}
KEY_DAYS = 60
ROOT_DAYS = 365
"""How long before its end a root is named: whoever trusts it must be told of another one."""

REPLACE = "run fieldapp key renew, which keeps the old certificate"
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
    """Libraries, fonts, database, papers, keys, timestamps and disk."""
    return [
        *_libraries(), *_fonts(), *_database(), *_papers(), *_key(now), *_root(now), *_earlier(),
        *_timestamps(), _disk(),
    ]  # fmt: skip


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


def _papers() -> Iterator[Finding]:
    try:
        found = db.session.execute(
            select(Hindrance.problem, func.count())
            .group_by(Hindrance.problem)
            .order_by(Hindrance.problem)
        ).all()
    except SQLAlchemyError:  # _database names what is wrong with the tables
        db.session.rollback()
        return
    if not found:
        yield Finding(True, "papers: none failed")
    for problem, count in found:
        yield Finding(
            False,
            f"visits whose newest paper could not be made ({problem}): {count}; "
            "look at the board, mend the cause and try again there",
        )


def _key(now: datetime) -> Iterator[Finding]:
    folder = keys.folder()
    private, certificate = folder / "seal.key.pem", folder / "seal.crt.pem"
    if not private.exists() or not certificate.exists():
        yield Finding(False, "there is no key to seal papers with: run fieldapp init")
        return
    yield from _closed(private)
    try:
        key = seal_key.load_key(private.read_bytes(), certificate.read_bytes())
    except (Problem, OSError):
        yield Finding(
            False,
            f"the sealing key in {folder} cannot be read, or its certificate is another's: "
            f"put a copy of both back, or {REPLACE}",
        )
        return
    is_self_made = key.certificate.issuer == key.certificate.subject
    is_imported = not is_self_made and key.top not in _certificates(folder / "root.crt.pem")
    what_to_do = (
        "buy another one and run fieldapp key import, which keeps this certificate"
        if is_imported
        else REPLACE
    )
    yield _until(key.certificate, "sealing key", KEY_DAYS, now, what_to_do)
    if is_imported:
        for above in key.chain:
            name = f"certificate of {seal_key.name_of(above)}, above the sealing key,"
            yield _until(above, name, KEY_DAYS, now, what_to_do)


def _root(now: datetime) -> Iterator[Finding]:
    folder = keys.folder()
    private, certificate = folder / "root.key.pem", folder / "root.crt.pem"
    if not certificate.exists():  # from before there were roots, or nothing is here yet
        return
    what_to_do = "run fieldapp key renew --new-root, and tell whoever trusts the old one"
    for root in _certificates(certificate):
        yield _until(root, "root", ROOT_DAYS, now, what_to_do)
    if not private.exists():  # it may well be kept elsewhere until it is needed
        return
    yield from _closed(private)
    try:
        seal_key.load_key(private.read_bytes(), certificate.read_bytes())
    except (Problem, OSError):
        yield Finding(
            False,
            f"the root in {folder} cannot be read, or its certificate is another's: "
            f"put a copy of both back, or {what_to_do}",
        )


def _until(
    certificate: x509.Certificate, name: str, days: int, now: datetime, what_to_do: str
) -> Finding:
    begins_at, ends_at = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begins_at > now:
        return Finding(
            False, f"the {name} begins only on {begins_at:%Y-%m-%d}: is this machine's clock right?"
        )
    if ends_at - now < timedelta(days=days):
        return Finding(False, f"the {name} ends on {ends_at:%Y-%m-%d}: {what_to_do}")
    return Finding(True, f"{name} until {ends_at:%Y-%m-%d}")


def _closed(private: Path) -> Iterator[Finding]:
    if private.stat().st_mode & 0o077:
        yield Finding(False, f"others can read {private}: chmod 600 {private}")


def _earlier() -> Iterator[Finding]:
    for path in keys.certificate_files():
        if path.name != "seal.crt.pem" and not _certificates(path):
            yield Finding(
                False,
                f"{path} cannot be read: put its copy back, or papers sealed with it are unproven",
            )


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return seal_key.load_certificates(path.read_bytes())
    except (OSError, ValueError):
        return []


def _timestamps() -> Iterator[Finding]:
    url = current_app.config["TIMESTAMP_URL"]
    if not url:
        return
    try:
        told_at = seal.ask_authority(url)
    except Problem as problem:
        yield Finding(
            False,
            f"the timestamp authority {url} does not answer ({problem.args_['reason']}): "
            "papers are sealed without and get their timestamps when it does",
        )
    else:
        yield Finding(True, f"timestamp authority {url}: {told_at:%Y-%m-%d %H:%M} UTC")


def _disk() -> Finding:
    folder = Path(current_app.config["INSTANCE"])
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        return Finding(False, f"only {free // 10**6} MB free for {folder}: make room")
    return Finding(True, f"{free // 10**9} GB free for {folder}")
