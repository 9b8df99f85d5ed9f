"""``fieldapp serve --lan``: https on the spot, for whoever trusts this machine's root alone."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zxingcpp
from phone import INSTALL_SHOWN, SIZE
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, expect
from server import Server, free_port

from fieldapp.authority import ROOT_DAYS, machine_addresses, prepare

WAIT_SECONDS = 30


class LanServer(Server):
    """The demo day over TLS, on this machine's address in its network."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "instance")
        self.trust_port = free_port()
        self.address = str(machine_addresses()[0])
        self.url = f"https://{self.address}:{self.port}"
        self.plain = f"http://{self.address}:{self.trust_port}"
        self.root = folder / "instance" / "lan" / "root.crt.pem"
        self.printed = folder / "printed"

    def environment(self) -> dict[str, str]:
        given = super().environment() | {"FIELDAPP_TRUST_PORT": str(self.trust_port)}
        given["PYTHONUTF8"] = "1"
        del given["FIELDAPP_PUBLIC_URL"]
        return given

    def start(self, version: str = "", *options: str) -> None:
        with self.printed.open("wb") as self.told:
            super().start(version, "--lan", *options)
        deadline = time.monotonic() + WAIT_SECONDS
        while "SHA-256" not in self.printed.read_text("utf-8"):
            assert time.monotonic() < deadline, "nothing was printed"
            time.sleep(0.05)

    @contextmanager
    def ask(self, trusting: ssl.SSLContext, host: str = "") -> Iterator[http.client.HTTPResponse]:
        """What the sign-in page is to whoever trusts no more than that."""
        connection = http.client.HTTPSConnection(
            host or self.address, self.port, context=trusting, timeout=WAIT_SECONDS
        )
        with contextlib.closing(connection):
            connection.request("GET", "/sign-in")
            yield connection.getresponse()

    def trusting_its_root(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.root))


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanServer]:
    running = LanServer(tmp_path_factory.mktemp("lan"))
    running.start()
    yield running
    running.stop()


def test_who_trusts_the_root_is_answered_and_nobody_else(lan: LanServer):
    trusting = lan.trusting_its_root()
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    with lan.ask(trusting) as answer:
        assert answer.status == 200
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    stranger = ssl.create_default_context()
    with (
        pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"),
        lan.ask(stranger),
    ):
        pass
    with (
        pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"),
        lan.ask(lan.trusting_its_root(), "127.0.0.1"),
    ):
        pass


def test_without_tls_nothing_is_said_on_its_port(lan: LanServer):
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        urllib.request.urlopen(f"http://{lan.address}:{lan.port}/sign-in", timeout=WAIT_SECONDS)


def test_a_phone_that_says_nothing_keeps_nobody_waiting(lan: LanServer):
    with socket.create_connection((lan.address, lan.port)), \
         lan.ask(lan.trusting_its_root()) as answer:  # fmt: skip
        assert answer.status == 200


def test_the_terminal_shows_a_code_that_leads_to_the_certificate(lan: LanServer):
    printed = lan.printed.read_text("utf-8")
    (found,) = zxingcpp.read_barcodes(picture_of(printed))
    assert found.text == lan.plain
    assert lan.url in printed
    with urllib.request.urlopen(found.text, timeout=WAIT_SECONDS) as answer:
        page = answer.read().decode()
    (fingerprint,) = re.findall("(?:[0-9A-F]{2} ){31}[0-9A-F]{2}", page)
    assert fingerprint in printed
    assert f'href="{lan.url}"' in page
    with urllib.request.urlopen(f"{lan.plain}/fieldapp-root.crt", timeout=WAIT_SECONDS) as answer:
        assert ssl.DER_cert_to_PEM_cert(answer.read()) == lan.root.read_text()


def picture_of(printed: str) -> Image.Image:
    """The code that was printed with half blocks, two rows a line: dark is what is left blank."""
    lines = [line for line in printed.splitlines() if line and set(line) <= set(" █▀▄")]
    size = max(map(len, lines)), 2 * len(lines)
    picture = Image.new("L", size, 255)
    for row, line in enumerate(lines):
        for column, block in enumerate(line.ljust(size[0])):
            for half, bright in ((0, "█▀"), (1, "█▄")):
                picture.putpixel((column, 2 * row + half), 255 if block in bright else 0)
    return picture.resize((size[0] * 8, size[1] * 8), Image.Resampling.NEAREST)


def test_a_second_start_keeps_what_phones_trust(lan: LanServer):
    before = lan.root.read_bytes()
    lan.stop()
    lan.start()
    assert lan.root.read_bytes() == before
    assert "made anew" not in lan.printed.read_text("utf-8")
    with lan.ask(lan.trusting_its_root()) as answer:
        assert answer.status == 200


def test_it_says_when_phones_have_to_trust_another_root(lan: LanServer):
    lan.stop()
    shutil.rmtree(lan.root.parent)
    soon_over = datetime.now(UTC) - timedelta(days=ROOT_DAYS - 10)
    ending = prepare(lan.root.parent, machine_addresses(), [], soon_over)
    lan.start()
    printed = lan.printed.read_text("utf-8")
    assert "The root certificate was made anew" in printed
    assert ending.fingerprint() not in printed
    with lan.ask(lan.trusting_its_root()) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("more", "sentence"),
    [({}, "must be free: "),
     ({"FIELDAPP_PUBLIC_URL": "http://jobs.example.com"}, "must begin with https://")],
)  # fmt: skip
def test_what_keeps_it_from_serving_is_one_sentence(
    lan: LanServer, more: dict[str, str], sentence: str
):
    done = lan.run("serve", "--lan", **more)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------------------------- a real browser


def certutil(home: Path, *arguments: str) -> None:
    program = shutil.which("certutil")
    assert program is not None, "certutil is missing: apt-get install libnss3-tools"
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True, exist_ok=True)
    subprocess.run([program, "-d", f"sql:{store}", *arguments], check=True, capture_output=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A person's folder with a store of certificates that nothing is in yet."""
    certutil(tmp_path, "-N", "--empty-password")
    return tmp_path


def open_browser(chromium: Browser, home: Path) -> BrowserContext:
    context: BrowserContext = chromium.browser_type.launch_persistent_context(
        home / "profile",
        executable_path=shutil.which("chromium"),
        args=["--no-sandbox", "--disable-gpu"],
        env=os.environ | {"HOME": str(home)},
        viewport=SIZE,
        locale="zh-CN",
    )
    context.add_init_script(INSTALL_SHOWN)
    return context


def test_a_phone_with_the_root_works_without_signal(chromium: Browser, lan: LanServer, home: Path):
    certutil(home, "-A", "-t", "C,,", "-n", "machine", "-i", str(lan.root))
    context = open_browser(chromium, home)
    page = context.pages[0]
    page.goto(f"{lan.plain}/")
    page.locator(f"a[href='{lan.url}']").click()
    page.wait_for_url("**/sign-in")
    page.fill("#account", "liqiang")
    page.fill("#password", lan.accounts["liqiang"].password)
    page.click("main button")
    page.wait_for_url("**/visits", timeout=WAIT_SECONDS * 1000)
    assert page.evaluate("isSecureContext && navigator.serviceWorker.controller !== null")
    assert all(cookie["secure"] for cookie in context.cookies(lan.url))
    lan.stop()
    try:
        answer = page.goto(f"{lan.url}/visits")
        assert answer is not None
        assert answer.from_service_worker
        expect(page.locator(".visits a").first).to_be_visible()
    finally:
        lan.start()
    context.close()


def test_a_phone_without_it_is_warned_and_goes_no_further(
    chromium: Browser, lan: LanServer, home: Path
):
    context = open_browser(chromium, home)
    page = context.pages[0]
    with pytest.raises(Exception, match="ERR_CERT_AUTHORITY_INVALID"):
        page.goto(f"{lan.url}/sign-in")
    context.close()
