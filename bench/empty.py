"""The least that a phone which answers itself can cost: a worker with one page in a constant.

Its page loads the same scripts and styles as ours, so what a tap costs here is what the browser,
htmx and our page code cost; the worker adds nothing.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import mimetypes
import threading
from collections.abc import Iterator
from typing import Any

from fieldapp import pages
from fieldapp.headers import PAGE_HEADERS
from fieldapp.offline.build import shell_paths

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<title>Empty</title>
<link rel="stylesheet" href="/static/app.css">
<meta name="htmx-config" content='{"includeIndicatorCSS": false}'>
<script src="/static/vendor/htmx.min.js" defer></script>
<script src="/static/page/start.js" type="module"></script>
</head>
<body hx-boost:inherited="true">
<p class="sync" id="sync">Empty</p>
<main>
<a class="open" href="/visits/1">Open</a>
<form class="entry-form" method="post" action="/visits/1/notes" hx-sync="this:drop"
 hx-disable="find .save" data-keep>
<textarea name="text"></textarea>
<div data-photo="/visits/1/photos/"><input type="hidden" name="sha256">
<input type="file" data-photo-file><p data-photo-said></p><img data-photo-shown alt="" hidden></div>
<button class="button save">Save</button>
</form>
</main>
</body>
</html>
"""

WORKER = """
const [PAGE, HEADERS, SHELL] = %s
self.addEventListener("install", (event) => {
  self.skipWaiting()
  event.waitUntil(caches.open("shell").then((cache) => cache.addAll(SHELL)))
})
self.addEventListener("activate", (event) => event.waitUntil(clients.claim()))
self.addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url)
  if (SHELL.includes(pathname)) event.respondWith(caches.match(event.request))
  else if (event.request.method === "PUT") event.respondWith(new Response(null, { status: 204 }))
  else if (pathname !== "/sw.js") event.respondWith(new Response(PAGE, { headers: HEADERS }))
})
"""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind, body = _answer(self.path)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the bench prints its rows."""


def _answer(path: str) -> tuple[str, bytes]:
    """Media type and bytes of what is asked for until the worker answers."""
    if path == "/sw.js":
        headers = PAGE_HEADERS | {"Content-Type": "text/html; charset=utf-8"}
        shell = [each for each in shell_paths() if each.startswith("/static/")]
        return "text/javascript", (WORKER % json.dumps([PAGE, headers, shell])).encode()
    if path.startswith("/static/"):
        file = pages.folder("static") / path.removeprefix("/static/")
        return mimetypes.guess_type(path)[0] or "application/octet-stream", file.read_bytes()
    return "text/html; charset=utf-8", PAGE.encode()


@contextlib.contextmanager
def empty_server() -> Iterator[str]:
    """Its address until the phone has its worker; stopped when left."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
