"""Headers of every page: one list, sent by Flask and by the phone's worker."""

from __future__ import annotations

from flask.wrappers import Response

PAGE_HEADERS: dict[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(self), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

DECODER = "/static/page/decoder.js"
"""The worker that reads bar codes, by a library in WebAssembly."""

DECODER_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; base-uri 'none'"
)
"""A worker has the policy of its own answer: so no page has to allow WebAssembly."""

LINK_HEADERS: dict[str, str] = {
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Of pages that whoever holds the link may read: the link itself goes nowhere else."""


def keep_link(response: Response) -> Response:
    """Add the headers of a page that only its link opens."""
    response.headers.update(LINK_HEADERS)
    return response
