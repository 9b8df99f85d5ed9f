"""What makes a phone its own server: the worker, the manifest, the root page."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, redirect, request
from flask.typing import ResponseReturnValue

from fieldapp.access import home_of, signed_in
from fieldapp.languages import current_language
from fieldapp.offline.build import build_worker
from fieldapp.pages import say
from sync.catalogue import N_

bp = Blueprint("phone", __name__)

SHORTCUTS = (
    (N_("Today's visits"), "/visits"),
    (N_("Open a visit"), "/visits/new"),
    (N_("Sync"), "/visits/sync"),
)
"""Where a long press on the icon leads: the phone itself answers all of them."""


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
    """What a phone needs to put the app on its home screen, in the language of who puts it there.

    ``id`` stays what it is for ever: by it a phone knows that the app is installed already.
    """
    language = current_language()
    manifest: dict[str, Any] = {
        "id": "/visits",
        "name": "fieldapp",
        "short_name": "fieldapp",
        "description": say(N_("Work orders for field service, with or without signal.")),
        "lang": language.replace("_", "-"),
        "dir": "ltr",
        "start_url": "/visits",
        "scope": "/",
        "display": "standalone",
        "background_color": "#eef1f4",
        "theme_color": "#12324f",
        "categories": ["business", "productivity"],
        "icons": [
            {"src": "/static/icons/icon.svg", "sizes": "any", "type": "image/svg+xml"},
            *(_icon(name, size) for name in ("icon", "maskable") for size in (192, 512)),
        ],
        "shortcuts": [
            {"name": say(name), "url": url, "icons": [_icon("icon", 192)]}
            for name, url in SHORTCUTS
        ],
    }
    headers = {
        "Content-Type": "application/manifest+json",
        "Content-Language": language.replace("_", "-"),
        "Vary": "Accept-Language, Cookie",
    }
    return manifest, 200, headers


def _icon(name: str, size: int) -> dict[str, str]:
    """A picture of ``static/icons/``; ``maskable`` may be cut to any shape."""
    return {
        "src": f"/static/icons/{name}-{size}.png",
        "sizes": f"{size}x{size}",
        "type": "image/png",
        "purpose": "maskable" if name == "maskable" else "any",
    }


def _worker() -> str:
    """Built once a process; anew for each request in debug, so that a template's edit shows."""
    held = current_app.extensions
    if current_app.debug or "worker" not in held:
        held["worker"] = build_worker(current_app.config["PUBLIC_URL"])
    script: str = held["worker"]
    return script
