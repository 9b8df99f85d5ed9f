"""The application over TLS: nobody who is silent, and nobody who talks for ever, keeps others out."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest

from fieldapp.authority import prepare
from fieldapp.tls import HEADER_BYTES, SILENCE_SECONDS, make_server

THREADS = 2
HERE = "127.0.0.1"


def answering(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


@pytest.fixture(scope="module")
def lan(tmp_path_factory):
    """A running server's port and the file of its root."""
    folder = tmp_path_factory.mktemp("lan")
    authority = prepare(folder, [IPv4Address(HERE)], [], datetime.now(UTC))
    server = make_server(answering, HERE, 0, authority, threads=THREADS, body_bytes=1000)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server.bind_addr[1], str(folder / "root.crt.pem")
    server.stop()
    thread.join()


def greeted(lan, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLSocket:
    """A connection whose greeting is over.  It gives up before the server lets a silent one go."""
    port, root_file = lan
    trusting = ssl.create_default_context(cafile=root_file)
    trusting.minimum_version = trusting.maximum_version = version
    plain = socket.create_connection((HERE, port), timeout=SILENCE_SECONDS / 3)
    return trusting.wrap_socket(plain, server_hostname=HERE)


def said(connection: ssl.SSLSocket, request: bytes) -> int:
    connection.sendall(request)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name
)
def test_connections_that_browsers_open_ahead_keep_nobody_waiting(lan, version):
    with ExitStack() as open_:
        ahead = [
            open_.enter_context(closing(greeted(lan, version))) for _ in range(4 * THREADS + 1)
        ]
        asking = open_.enter_context(closing(greeted(lan, version)))
        assert said(asking, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 200
        for each in ahead:  # and each of them is answered once it asks
            assert said(each, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 200


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
def test_headers_come_to_an_end(lan, more, status):
    begun = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: "
    whole = begun + b"a" * (HEADER_BYTES - len(begun) - 4 + more) + b"\r\n\r\n"
    with closing(greeted(lan)) as asking:
        assert said(asking, whole) == status


@pytest.mark.parametrize(("count", "status"), [(1000, 200), (1001, 413)])
def test_a_body_comes_to_an_end(lan, count, status):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % count
    with closing(greeted(lan)) as asking:
        assert said(asking, head + b"a" * (count if status == 200 else 0)) == status
