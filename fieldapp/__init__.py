"""The Flask application: people, HTTP, tables."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import timedelta
from importlib import metadata
from pathlib import Path

from flask import Flask, request
from flask.wrappers import Response
from flask_compress import Compress

try:
    __version__ = metadata.version("fieldapp")
except metadata.PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0"


COMPRESSED = [
    "text/javascript", "text/css", "image/svg+xml", "application/manifest+json", "application/wasm",
]  # fmt: skip


def create_app(settings: Mapping[str, object] | None = None) -> Flask:
    """The application with ``settings`` (names of ``fieldapp.config``) over the environment.

    Raises ``fieldapp.config.WrongSetting``.
    """
    from fieldapp import (
        access,
        by_link,
        customer,
        database,
        desk,
        engineer,
        exchange,
        failures,
        jobs,
        pages,
        phone,
        pulse,
        rates,
        verify,
    )
    from fieldapp.config import read_settings
    from fieldapp.headers import DECODER, DECODER_POLICY, PAGE_HEADERS
    from fieldapp.proxies import Proxies, read_networks

    app = Flask(__name__, static_folder=str(pages.folder("static")))
    app.config.update(read_settings(settings))
    instance = Path(app.config["INSTANCE"])
    instance.mkdir(parents=True, exist_ok=True)
    app.secret_key = app.config["SECRET_KEY"] or _kept_secret(instance / "session.key")
    app.config.update(
        MAX_CONTENT_LENGTH=max(app.config["BLOB_BYTES"], app.config["PUSH_BYTES"]) + 1024,
        MAX_FORM_MEMORY_SIZE=app.config["FORM_BYTES"],
        PERMANENT_SESSION_LIFETIME=timedelta(days=app.config["SESSION_DAYS"]),
        SESSION_COOKIE_NAME="fieldapp",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # An answer on its way must not put back the session from before a sign-out or a change of
        # language.
        SESSION_REFRESH_EACH_REQUEST=False,
        SESSION_COOKIE_SECURE=app.config["PUBLIC_URL"].startswith("https://"),
    )
    networks = read_networks(app.config["PROXY_ADDRESSES"])
    proxies = Proxies(app.wsgi_app, app.config["BEHIND_PROXY"], networks)
    app.wsgi_app = proxies  # type: ignore[method-assign]
    database.open_database(app, app.config["DATABASE_URL"])
    rates.limiter.init_app(app)
    pages.install(app)
    failures.install(app)
    jobs.install(app)
    access.guard(app)
    # Pages stay uncompressed: secrets beside reflected text can be guessed from their length.
    app.config["COMPRESS_MIMETYPES"] = COMPRESSED
    app.config["COMPRESS_ALGORITHM"] = ["br", "gzip"]  # brotli makes the worker smallest
    Compress(app)
    for module in (engineer, desk, exchange, verify, customer, by_link, phone, pulse):
        app.register_blueprint(module.bp)

    @app.after_request
    def add_headers(response: Response) -> Response:
        if request.path == DECODER:
            response.headers["Content-Security-Policy"] = DECODER_POLICY
        for name, value in PAGE_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app


def _kept_secret(path: Path) -> str:
    """The session key of this installation, made at the first start."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text()
