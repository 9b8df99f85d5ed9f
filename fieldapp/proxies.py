"""Proxies in front: whom to believe when a request says that it was forwarded for somebody.

A header anybody may send is believed from known addresses alone, and then only the last entries,
which those proxies wrote themselves: the others are what the client claimed.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FORWARDED = ("FOR", "PROTO", "HOST", "PORT", "PREFIX")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

log = logging.getLogger(__name__)


def read_networks(text: str) -> list[Network]:
    """Addresses and networks, separated by commas or spaces.  Raises ValueError."""
    return [ipaddress.ip_network(part) for part in text.replace(",", " ").split()]


class Proxies:
    """``app`` behind ``count`` proxies that speak from ``networks``.

    Of what others claim nothing reaches the application; without proxies nobody is believed.  A
    Unix socket has no address: whoever may open it is believed.
    """

    def __init__(self, app: WSGIApplication, count: int, networks: Sequence[Network]) -> None:
        self._app = app
        self._believed = ProxyFix(app, x_for=count, x_proto=count, x_host=count)
        self._networks = networks if count else ()
        self._is_expected = count > 0
        self._told: set[str] = set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        peer = environ.get("REMOTE_ADDR", "")
        if self._is_expected and self._is_proxy(peer):
            return self._believed(environ, start_response)
        if environ.get("HTTP_X_FORWARDED_FOR") and self._is_expected and peer not in self._told:
            self._told.add(peer)
            log.warning("%s is no proxy of ours (FIELDAPP_PROXY_ADDRESSES): not believed", peer)
        for name in FORWARDED:
            environ.pop(f"HTTP_X_FORWARDED_{name}", None)
        return self._app(environ, start_response)

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return peer in ("", "localhost", "unix")
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)
