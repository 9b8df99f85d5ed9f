"""What makes a phone its own server: the worker, the manifest, the root page."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, redirect, request
from flask.typing import ResponseReturnValue

from fieldapp.access import home_of, signed_in
from fieldapp.offline.build import build_worker

bp = Blueprint("phone", __name__)


@bp.get("/")
def show_start() -> ResponseReturnValue:
    """Everybody's way to his work."""
    person = signed_in()
    return redirect(home_of(person) if person else "/sign-in", 303)


@bp.get("/sw.js")
def show_worker() -> ResponseReturnValue:
    """The worker: one classic script with templates, catalogue and texts inside."""
    script = _worker()
    response = Response(script, mimetype="text/javascript")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Service-Worker-Allowed"] = "/"
    response.set_etag(script.split()[2])  # the build, named in its first line
    return response.make_conditional(request)


@bp.get("/app.webmanifest")
def show_manifest() -> ResponseReturnValue:
    """What a phone needs to put the app on its home screen."""
    manifest: dict[str, Any] = {
        "name": "fieldapp",
        "short_name": "fieldapp",
        "start_url": "/visits",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f3f5f7",
        "theme_color": "#12324f",
        "icons": [
            {"src": "/static/icons/icon.svg", "sizes": "any", "type": "image/svg+xml"},
            {"src": "/static/icons/icon-192.png", "sizes": "192x192", "type": "image/png"},
            {"src": "/static/icons/icon-512.png", "sizes": "512x512", "type": "image/png"},
        ],
    }
    return manifest, 200, {"Content-Type": "application/manifest+json"}


def _worker() -> str:
    """Built once a process; anew for each request in debug, so that a template's edit shows."""
    held = current_app.extensions
    if current_app.debug or "worker" not in held:
        held["worker"] = build_worker(current_app.config["PUBLIC_URL"])
    script: str = held["worker"]
    return script
