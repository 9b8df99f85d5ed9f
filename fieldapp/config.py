"""Every setting: name with unit, default, one sentence.  A wrong value stops the start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fieldapp.proxies import read_networks
from fieldapp.smtp import is_address, read_server
from sync.seal_key import load_certificates


@dataclass(frozen=True)
class Setting:
    """One setting, read from the environment as ``FIELDAPP_<name>`` (``DATABASE_URL`` as it is)."""

    name: str
    default: str | int
    sentence: str
    least: int | None = None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return self.name if self.name == "DATABASE_URL" else f"FIELDAPP_{self.name}"


SETTINGS: tuple[Setting, ...] = (
    Setting("DATABASE_URL", "", "Where the tables are; empty means SQLite in the instance folder."),
    Setting("INSTANCE", "instance", "Folder of the database, blobs, papers and keys."),
    Setting("BLOBS_URL", "", "fsspec URL for photos and papers; empty means the instance folder."),
    Setting("PUBLIC_URL", "http://127.0.0.1:8000", "Address printed in QR codes."),
    Setting("SECRET_KEY", "", "Signs the session cookie; empty means a key kept in the instance."),
    Setting("HOST", "127.0.0.1", "Address the server listens on."),
    Setting("PORT", 8000, "Port the server listens on.", 1),
    Setting("TRUST_PORT", 8001, "Port of the plain page for phones, with serve --lan.", 1),
    Setting("THREADS", 8, "Threads that answer requests.", 1),
    Setting("SESSION_DAYS", 30, "Days a page session lasts.", 1),
    Setting("CLOSED_DAYS", 7, "Days until a finished visit leaves the engineer's phone.", 0),
    Setting("SIGN_IN_PER_MINUTE", 10, "Sign-in attempts per address and minute.", 1),
    Setting("VERIFY_PER_MINUTE", 60, "Look-ups of the public page per address and minute.", 1),
    Setting("PUSH_BYTES", 4_000_000, "Largest push in bytes.", 1000),
    Setting("PUSH_OPERATIONS", 500, "Most operations in one push.", 1),
    Setting("BLOB_BYTES", 20_000_000, "Largest photo in bytes.", 1000),
    Setting("UNSENT_BYTES", 50_000_000, "Largest file of unsent work in bytes.", 1000),
    Setting("FORM_BYTES", 1_000_000, "Largest form in bytes.", 1000),
    Setting("RENDER_WORKERS", 1, "Processes that make papers.", 1),
    Setting("PHOTO_PATIENCE_SECONDS", 60, "How long a paper waits for photos on their way.", 0),
    Setting("RENDER_SECONDS", 20, "Longest time for one paper in seconds.", 1),
    Setting("TIMESTAMP_URL", "", "RFC 3161 authority for seals; empty means none."),
    Setting("TIMESTAMP_CERTIFICATES", "", "PEM file of timestamp authorities that are trusted."),
    Setting("SMTP_URL", "", "Mail server for copies, smtp://user:password@host; empty means none."),
    Setting("SMTP_CERTIFICATES", "", "File that vouches for the mail server; empty: the system's."),
    Setting("SMTP_SECONDS", 20, "Longest wait for the mail server in seconds.", 1),
    Setting("MAIL_FROM", "", "Address that letters come from; needed where SMTP_URL is set."),
    Setting("BUNDLE_DAYS", 7, "Days a file with a month's papers is kept.", 1),
    Setting("BEHIND_PROXY", 0, "Proxies in front whose forwarded headers are believed.", 0),
    Setting("PROXY_ADDRESSES", "127.0.0.1 ::1", "Addresses or networks those proxies speak from."),
    Setting("REDIS_URL", "", "Redis for background work; empty means SQLite in the instance."),
)


def default_of(name: str) -> str | int:
    """The default of the setting called ``name``."""
    return next(setting.default for setting in SETTINGS if setting.name == name)


class WrongSetting(ValueError):
    """A setting cannot be used; the message names it and says why."""


def read_settings(
    given: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Every setting by name: ``given`` before the environment before the default.

    Raises WrongSetting for an unknown name, a number that is none, one below its least, a public
    address or a proxy's that is none, certificates that cannot be read, or a mail server that
    cannot be one.
    """
    given = dict(given or {})
    environment = os.environ if environment is None else environment
    unknown = set(given) - {setting.name for setting in SETTINGS}
    if unknown:
        raise WrongSetting(f"unknown setting: {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        raw = given.get(setting.name, environment.get(setting.variable, setting.default))
        values[setting.name] = _read(setting, raw)
    instance = Path(values["INSTANCE"]).absolute()
    values["INSTANCE"] = instance
    values["DATABASE_URL"] = values["DATABASE_URL"] or f"sqlite:///{instance / 'fieldapp.sqlite'}"
    values["BLOBS_URL"] = values["BLOBS_URL"] or f"file://{instance / 'blobs'}"
    values["PUBLIC_URL"] = _address(values["PUBLIC_URL"])
    _check_mail(values["SMTP_URL"], values["SMTP_CERTIFICATES"], values["MAIL_FROM"])
    _check_networks(values["PROXY_ADDRESSES"])
    if values["TIMESTAMP_CERTIFICATES"]:
        _check_certificates(values["TIMESTAMP_CERTIFICATES"])
    return values


def _address(url: str) -> str:
    """``url`` without its last slash; what stands in a QR code for ever must lead somewhere."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise WrongSetting(f"FIELDAPP_PUBLIC_URL must begin with https:// or http://, not {url!r}")
    return url.rstrip("/")


def _check_networks(text: str) -> None:
    try:
        read_networks(text)
    except ValueError as wrong:
        raise WrongSetting(f"FIELDAPP_PROXY_ADDRESSES: {wrong}") from None


def _check_certificates(path: str) -> None:
    try:
        load_certificates(Path(path).read_bytes())
    except (OSError, ValueError) as cause:
        raise WrongSetting(
            f"FIELDAPP_TIMESTAMP_CERTIFICATES must name a PEM file of certificates: {cause}"
        ) from None


def _check_mail(url: str, certificates: str, sender: str) -> None:
    if not url:
        return
    try:
        read_server(url)
    except ValueError as wrong:
        raise WrongSetting(f"FIELDAPP_SMTP_URL {wrong}") from None  # it may hold a password
    if not is_address(sender):
        raise WrongSetting(f"FIELDAPP_MAIL_FROM must be an e-mail address, not {sender!r}")
    if certificates and not Path(certificates).is_file():
        raise WrongSetting(f"FIELDAPP_SMTP_CERTIFICATES: there is no file {certificates}")


def _read(setting: Setting, raw: object) -> Any:
    if not isinstance(setting.default, int):
        return str(raw)
    try:
        number = int(str(raw))
    except ValueError:
        raise WrongSetting(f"{setting.variable} must be a whole number, not {raw!r}") from None
    if setting.least is not None and number < setting.least:
        raise WrongSetting(f"{setting.variable} must be at least {setting.least}, not {number}")
    return number
