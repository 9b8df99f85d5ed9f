"""Who is believed when a request says that it was forwarded for somebody."""

from __future__ import annotations

import pytest

from fieldapp.config import WrongSetting, read_settings
from fieldapp.proxies import Proxies, read_networks

CLIENT, OTHER, PROXY = "198.51.100.4", "203.0.113.66", "10.0.0.1"
HOST = "jobs.example.com"


def seen(peer, *, count=1, networks="10.0.0.0/8 ::1", **headers):
    """Address, scheme and host that the application sees."""
    found = []

    def app(environ, start_response):
        found.append((environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]))
        found.append({name for name in environ if name.startswith("HTTP_X_FORWARDED")})
        return []

    environ = {"REMOTE_ADDR": peer, "wsgi.url_scheme": "http", "HTTP_HOST": "127.0.0.1:8000",
               "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000"}  # fmt: skip
    environ |= {f"HTTP_X_FORWARDED_{name}": text for name, text in headers.items()}
    Proxies(app, count, read_networks(networks))(environ, lambda *_: None)
    return found


def test_a_proxy_of_ours_says_who_asked():
    told, _ = seen(PROXY, FOR=CLIENT, PROTO="https", HOST=HOST)
    assert told == (CLIENT, "https", HOST)


def test_of_what_the_client_claims_only_the_proxys_own_word_counts():
    assert seen(PROXY, FOR=f"{OTHER}, {CLIENT}")[0][0] == CLIENT
    assert seen(PROXY, FOR=f"{OTHER}, {CLIENT}, 10.0.0.2", count=2)[0][0] == CLIENT


@pytest.mark.parametrize(
    ("peer", "count", "networks"),
    [(OTHER, 1, "10.0.0.0/8"), (PROXY, 0, "10.0.0.0/8"), (PROXY, 1, ""), ("?", 1, "10.0.0.0/8"),
     ("::2", 1, "::1")],
    ids=["a stranger", "no proxy expected", "no proxy known", "no address", "another address"],
)  # fmt: skip
def test_nobody_else_is_believed(peer, count, networks):
    told, left = seen(peer, count=count, networks=networks, FOR=CLIENT, PROTO="https", HOST=HOST)
    assert told == (peer, "http", "127.0.0.1:8000")
    assert left == set()


def test_an_address_of_the_other_kind_and_a_socket_are_known():
    assert seen("::ffff:10.0.0.1", FOR=CLIENT)[0][0] == CLIENT
    assert seen("::1", FOR=CLIENT)[0][0] == CLIENT
    assert seen("localhost", FOR=CLIENT)[0][0] == CLIENT  # what waitress says of a Unix socket


def test_a_proxy_nobody_told_us_of_is_named_once(caplog):
    app = Proxies(lambda *_: [], 1, read_networks("10.0.0.0/8"))
    for _ in range(3):
        app({"REMOTE_ADDR": OTHER, "HTTP_X_FORWARDED_FOR": CLIENT}, lambda *_: None)
    (line,) = caplog.messages
    assert OTHER in line
    assert "FIELDAPP_PROXY_ADDRESSES" in line


@pytest.mark.parametrize("wrong", ["10.0.0.0/99", "proxy.example.com", "10.0.0.1/8"])
def test_an_address_that_is_none_stops_the_start(wrong):
    with pytest.raises(WrongSetting, match="FIELDAPP_PROXY_ADDRESSES"):
        read_settings({"PROXY_ADDRESSES": wrong}, {})
