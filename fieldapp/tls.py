"""The application over TLS, for phones in the same network: Cheroot, which speaks it in threads."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from cheroot.server import HTTPConnection
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from fieldapp.authority import Authority

SILENCE_SECONDS = 30
"""How long a phone may say nothing, between requests or in the middle of one."""
HEADER_BYTES = 256 * 1024
"""As waitress has it; Cheroot would read headers without an end."""
KEPT = 100
"""From so many silent connections on, others are closed after their answer."""


class _Adapter(BuiltinSSLAdapter):
    """TLS whose greeting waits for a thread.

    Cheroot greets where it accepts: one silent phone would keep all others waiting.
    """

    def __init__(self, authority: Authority) -> None:
        super().__init__(str(authority.certificate_file), str(authority.key_file))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2

    def wrap(self, sock: Any) -> tuple[ssl.SSLSocket, dict[str, str]]:
        greeting = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return greeting, {"wsgi.url_scheme": "https", "HTTPS": "on"}


class _Connection(HTTPConnection):
    is_greeted = False

    def communicate(self) -> bool:
        """Greet first; who does not trust us, or speaks plain HTTP, is let go.

        Who then asks nothing yet waits outside: browsers open connections ahead, and each would
        hold a thread.
        """
        if not self.is_greeted:
            try:
                self.socket.do_handshake()
            except OSError:  # an SSLError is one
                return False
            self.is_greeted = True
            # what is decrypted already no selector sees
            if not self.socket.pending():
                return True
        return bool(super().communicate())  # type: ignore[no-untyped-call]


def make_server(
    app: WSGIApplication,
    host: str,
    port: int,
    authority: Authority,
    *,
    threads: int,
    body_bytes: int,
) -> Server:
    """A server for ``app``; ``start`` serves until it is stopped or the process ends.

    It refuses a request with a body of more than ``body_bytes``, or headers of more than
    HEADER_BYTES.
    """
    server = Server((host, port), app, numthreads=threads, request_queue_size=64,
                    timeout=SILENCE_SECONDS)  # fmt: skip
    server.ssl_adapter = _Adapter(authority)
    server.ConnectionClass = _Connection
    server.max_request_header_size = HEADER_BYTES
    server.max_request_body_size = body_bytes
    server.keep_alive_conn_limit = KEPT
    return server
