"""The one page over plain HTTP: it offers this machine's root certificate, and leads to the app.

A phone that does not trust the machine yet cannot be shown anything else.  Whoever controls the
network could change this page on its way: that is why terminal, page and phone show the SHA-256.
"""

from __future__ import annotations

from flask import Flask, abort, request, send_from_directory
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from werkzeug.exceptions import HTTPException

from fieldapp import pages
from fieldapp.authority import Authority
from fieldapp.headers import PAGE_HEADERS
from fieldapp.languages import LANGUAGES

SHEETS = ("app.css", "display/dark.css", "display/contrast.css", "icons/icon.svg")
"""What the page loads; nothing else of ``static/`` is here."""


def create_trust_page(authority: Authority, app_url: str) -> Flask:
    """The application of the plain listener.  ``app_url`` is where the app is, over https."""
    trust = Flask(__name__, static_folder=None)
    pages.install(trust)

    @trust.get("/", defaults={"language": ""})
    @trust.get(f"/<any({', '.join(LANGUAGES)}):language>")
    def show_steps(language: str) -> ResponseReturnValue:
        """Where the certificate is, and what each platform wants done with it."""
        if language:  # no cookie: the app's lie on the same host
            request.environ["HTTP_ACCEPT_LANGUAGE"] = language.replace("_", "-")
        return pages.server_page(
            "trust/page.html",
            fingerprint=authority.fingerprint(),
            ends_on=f"{authority.root.not_valid_after_utc:%Y-%m-%d}",
            app_url=app_url,
        )

    @trust.get("/fieldapp-root.crt")
    def show_certificate() -> ResponseReturnValue:
        """For Android and computers."""
        return _file(authority.root_der(), "application/x-x509-ca-cert", "fieldapp-root.crt")

    @trust.get("/fieldapp-root.mobileconfig")
    def show_profile() -> ResponseReturnValue:
        """For iPhones: Safari takes this type to the settings."""
        kind = "application/x-apple-aspen-config"
        return _file(authority.profile(), kind, "fieldapp-root.mobileconfig")

    @trust.get("/static/<path:name>")
    def show_sheet(name: str) -> ResponseReturnValue:
        """How the page looks."""
        if name not in SHEETS:
            abort(404)
        return send_from_directory(pages.folder("static"), name)

    @trust.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> ResponseReturnValue:
        """Nothing else is here; the app itself is never served without TLS."""
        return "", error.code or 500

    @trust.after_request
    def add_headers(response: Response) -> Response:
        for name, value in PAGE_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return trust


def _file(data: bytes, kind: str, name: str) -> Response:
    response = Response(data, mimetype=kind)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
