"""Behind a real nginx with the file that docs/ hands to operators."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from server import Server, free_port

from fieldapp import blobs
from fieldapp.bundles import file_of
from fieldapp.database import begin_writing
from fieldapp.ids import mint_id
from fieldapp.models import Bundle, db
from fieldapp.models.bundles import READY

FILE = Path(__file__).parents[2] / "docs" / "nginx.conf"
NAME = "jobs.example.com"
WAIT_SECONDS = 30
TRIES = 4
PIECE = 512 * 1024
FORGED = ("203.0.113.%d", "10.0.0.%d, 203.0.113.9")
OWN, OTHER = "127.0.0.1", "127.0.0.2"
"""Two clients: the whole of 127.0.0.0/8 is this machine."""

MAIN = """daemon off; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{ worker_connections 64; }}
http {{
  access_log off; gzip on; default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  include {folder}/site.conf;
}}"""
"""What surrounds a site on Debian, on loopback ports and in a folder of the test's own."""


class Proxied(Server):
    """The demo day behind nginx; 127.0.0.1 alone is believed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "instance")
        self.folder, self.plain, self.tls = folder, free_port(), free_port()
        self.nginx: subprocess.Popen[bytes] | None = None
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", f"/CN={NAME}",
             "-addext", f"subjectAltName=DNS:{NAME}"],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        return super().environment() | {
            "FIELDAPP_PUBLIC_URL": f"https://{NAME}",
            "FIELDAPP_BEHIND_PROXY": "1",
            "FIELDAPP_PROXY_ADDRESSES": "127.0.0.1",
            "FIELDAPP_SIGN_IN_PER_MINUTE": str(TRIES),
        }

    def start_nginx(self) -> None:
        """The documented file, with ports, certificate and address of this test in their places."""
        site = FILE.read_text("utf-8")
        for written, here in (
            ("server 127.0.0.1:8000;", f"server 127.0.0.1:{self.port};"),
            ("listen 80;", f"listen 127.0.0.1:{self.plain};"),
            ("listen [::]:80;", ""),
            ("listen 443 ssl http2;", f"listen 127.0.0.1:{self.tls} ssl http2;"),
            ("listen [::]:443 ssl http2;", ""),
            ("/etc/letsencrypt/live/jobs.example.com/fullchain.pem", f"{self.folder}/cert.pem"),
            ("/etc/letsencrypt/live/jobs.example.com/privkey.pem", f"{self.folder}/key.pem"),
        ):
            assert site.count(written) == 1, written
            site = site.replace(written, here)
        user = "user root;" if os.getuid() == 0 else ""
        (self.folder / "site.conf").write_text(site)
        (self.folder / "nginx.conf").write_text(MAIN.format(folder=self.folder, user=user))
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        assert program is not None, "nginx is missing: apt-get install nginx"
        self.nginx = subprocess.Popen(
            [program, "-p", str(self.folder), "-c", "nginx.conf", "-e", "error.log"]
        )
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._is_open(self.tls):
            assert self.nginx.poll() is None, (self.folder / "error.log").read_text()
            assert time.monotonic() < deadline, "nginx does not answer"
            time.sleep(0.05)

    def stop_nginx(self) -> None:
        """End it, and its workers with it."""
        if self.nginx is not None:
            self.nginx.terminate()
            self.nginx.wait()

    @staticmethod
    def _is_open(port: int) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return True
        return False


class Visitor:
    """A program that speaks to nginx over TLS from an address of its own, and keeps cookies."""

    def __init__(self, proxied: Proxied, address: str = OWN) -> None:
        self.proxied, self.address = proxied, address
        self.cookies: dict[str, str] = {}

    def connect(self) -> http.client.HTTPSConnection:
        trusting = ssl.create_default_context(cafile=str(self.proxied.folder / "cert.pem"))
        connection = http.client.HTTPSConnection(
            NAME, self.proxied.tls, context=trusting, timeout=WAIT_SECONDS
        )
        raw = socket.create_connection((OWN, self.proxied.tls), WAIT_SECONDS, (self.address, 0))
        connection.sock = trusting.wrap_socket(raw, server_hostname=NAME)
        return connection

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, bytes]:
        """Status, headers and body."""
        sent = {"Host": NAME, "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            data = answer.read()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, answer.headers, data

    def sign_in(self, account: str, password: str, **headers: str) -> tuple[int, Any, bytes]:
        form = urlencode({"account": account, "password": password}).encode()
        kind = "application/x-www-form-urlencoded"
        return self.ask("POST", "/sign-in", form, Content_Type=kind, **headers)

    def enters(self, account: str) -> None:
        status, headers, _ = self.sign_in(account, self.proxied.accounts[account].password)
        assert (status, "Secure" in headers["Set-Cookie"]) == (303, True)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    running = Proxied(tmp_path_factory.mktemp("proxied"))
    running.start()
    try:
        running.start_nginx()
        yield running
    finally:
        running.stop_nginx()
        running.stop()


def plain(port: int, path: str, address: str = OWN, **headers: str) -> tuple[int, Any]:
    """Status and headers of what answers without TLS."""
    asked = http.client.HTTPConnection(OWN, port, WAIT_SECONDS, source_address=(address, 0))
    with contextlib.closing(asked) as connection:
        connection.request("GET", path, headers={"Host": NAME} | headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers


def test_without_tls_one_is_sent_on(proxied: Proxied):
    status, headers = plain(proxied.plain, "/visits?a=b")
    assert (status, headers["Location"]) == (301, f"https://{NAME}/visits?a=b")


def test_a_page_comes_as_the_app_made_it(proxied: Proxied):
    visitor = Visitor(proxied)
    status, headers, body = visitor.ask("GET", "/sign-in", Accept_Encoding="gzip, br")
    assert status == 200
    assert "Content-Encoding" not in headers
    assert b"</html>" in body
    assert headers["Strict-Transport-Security"].startswith("max-age=")
    assert headers.get_all("Content-Security-Policy") == [headers["Content-Security-Policy"]]
    assert headers["Cache-Control"] == "no-store"


def test_the_app_knows_its_own_address_and_refuses_another_sites_form(proxied: Proxied):
    """Browsers that send no Sec-Fetch-Site are judged by Origin alone."""
    visitor = Visitor(proxied, "127.0.0.3")
    account = proxied.accounts["chen"]
    good = visitor.sign_in(account.account, account.password, Origin=f"https://{NAME}")
    assert (good[0], good[1]["Location"]) == (303, "/desk")
    for origin in (f"http://{NAME}", "https://elsewhere.example"):
        assert visitor.sign_in(account.account, account.password, Origin=origin)[0] == 403


def test_a_forged_address_earns_no_more_tries_and_costs_nobody_else_any(proxied: Proxied):
    attacker, neighbour = Visitor(proxied, "127.0.0.4"), Visitor(proxied, OTHER)
    seen = []
    for number in range(TRIES + 3):
        forged = {"X_Forwarded_For": FORGED[number % 2] % number, "X_Real_IP": "203.0.113.1"}
        forged |= {"Forwarded": f"for=203.0.113.{number}"}
        seen.append(attacker.sign_in("liqiang", "wrong", **forged)[0])
    assert seen == [401] * TRIES + [429] * 3
    assert neighbour.sign_in("liqiang", "wrong")[0] == 401


def test_who_goes_round_the_proxy_is_not_believed(proxied: Proxied):
    """An app that listens where others reach it still believes its proxies alone."""
    forged = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    known = plain(proxied.port, "/health", OWN, **forged)
    assert known[0] == 200
    for address, expected in ((OWN, 303), (OTHER, 403)):
        form = urlencode({"language": "en", "back": "/sign-in"})
        asked = http.client.HTTPConnection(
            OWN, proxied.port, WAIT_SECONDS, source_address=(address, 0)
        )
        with contextlib.closing(asked) as connection:
            connection.request("POST", "/language", form, {
                "Host": NAME, "Origin": f"https://{NAME}", "X-Forwarded-Proto": "https",
                "X-Forwarded-For": "203.0.113.5",
                "Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
            answer = connection.getresponse()
            answer.read()
        assert answer.status == expected, address


def test_the_worker_is_asked_for_every_time_and_packed_once(proxied: Proxied):
    visitor = Visitor(proxied)
    status, headers, packed = visitor.ask("GET", "/sw.js", Accept_Encoding="br")
    assert (status, headers["Cache-Control"], headers["Content-Encoding"]) == (
        200,
        "no-cache",
        "br",
    )
    again, _, nothing = visitor.ask(
        "GET", "/sw.js", Accept_Encoding="br", If_None_Match=headers["ETag"]
    )
    assert (again, nothing) == (304, b"")
    proxied.stop()
    assert visitor.ask("GET", "/health")[0] == 502
    proxied.start(version="96.0")
    status, fresh, other = visitor.ask(
        "GET", "/sw.js", Accept_Encoding="br", If_None_Match=headers["ETag"]
    )
    assert status == 200
    assert fresh["ETag"] != headers["ETag"]
    assert other != packed


def test_a_photo_goes_on_where_the_line_broke(proxied: Proxied):
    visitor = Visitor(proxied, "127.0.0.5")
    visitor.enters("liqiang")
    status, _, told = visitor.ask("POST", "/sync/devices", b"{}", Content_Type="application/json")
    assert status == 200
    credential = {"Authorization": f"Device {json.loads(told)['credential']}"}
    photo = os.urandom(3 * PIECE + 12345)
    path = f"/sync/blobs/{hashlib.sha256(photo).hexdigest()}"

    def put(offset: int, data: bytes) -> tuple[int, Any, bytes]:
        upload = {"Upload_Offset": str(offset), "Upload_Length": str(len(photo))}
        return visitor.ask("PUT", path, data, **credential, **upload)

    def offset_at_the_office() -> int:
        return int(visitor.ask("HEAD", path, **credential)[1]["Upload-Offset"])

    assert put(0, photo[:PIECE])[0] == 200
    with contextlib.closing(visitor.connect()) as broken:
        broken.putrequest("PUT", path)
        broken.putheader("Content-Length", str(PIECE))
        for name, value in {**credential, "Upload-Offset": str(PIECE),
                            "Upload-Length": str(len(photo))}.items():  # fmt: skip
            broken.putheader(name, value)
        broken.endheaders(photo[PIECE : PIECE + PIECE // 2])
    assert offset_at_the_office() == PIECE
    status, _, told = put(PIECE, photo[PIECE:])  # an older phone: the rest at once
    assert (status, json.loads(told)["complete"]) == (200, True)
    assert visitor.ask("HEAD", path, **credential)[1]["Upload-Complete"] == "1"


def test_what_is_too_large_is_told_so_by_the_app(proxied: Proxied):
    visitor = Visitor(proxied)
    too_large = os.urandom(1000) * 30_000
    kind = "application/x-www-form-urlencoded"
    status, headers, body = visitor.ask("POST", "/sign-in", too_large, Content_Type=kind)
    assert (status, headers["Content-Type"]) == (413, "text/html; charset=utf-8")
    assert b"content.too-large" in body


def test_a_months_papers_go_on_where_the_download_broke(proxied: Proxied):
    data = os.urandom(3_000_000)
    with proxied.office():
        begin_writing()
        chen = proxied.person("chen")
        now = datetime.now(UTC)
        bundle = Bundle(id=mint_id(now), org_id=chen.org_id, month="2026-10", language="en",
                        asked_by_id=chen.id, asked_at=now, seen_at=now, state=READY, done=1, count=1,
                        size=len(data))  # fmt: skip
        db.session.add(bundle)
        db.session.flush()
        blobs.write(bundle.org_id, file_of(bundle), data)
        path = f"/desk/bundles/{bundle.id}.zip"
        db.session.commit()
    visitor = Visitor(proxied, "127.0.0.6")
    visitor.enters("chen")
    status, headers, whole = visitor.ask("GET", path)
    assert (status, whole, headers["Accept-Ranges"]) == (200, data, "bytes")
    rest = {"Range": "bytes=1000000-", "If_Range": headers["ETag"]}
    status, headers, body = visitor.ask("GET", path, **rest)
    assert (status, body) == (206, data[1_000_000:])
    assert headers["Content-Range"] == f"bytes 1000000-{len(data) - 1}/{len(data)}"
    assert visitor.ask("GET", path, **rest | {"If_Range": '"another"'})[0] == 200
    assert visitor.ask("GET", path, Range="bytes=9000000-")[0] == 400
    assert Visitor(proxied).ask("GET", path, Range="bytes=0-9")[0] == 303


def test_the_health_of_a_node_is_one_word(proxied: Proxied):
    status, headers, body = Visitor(proxied).ask("GET", "/health")
    assert (status, body, headers["Cache-Control"]) == (200, b"ok\n", "no-store")
