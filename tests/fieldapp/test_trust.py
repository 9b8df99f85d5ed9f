"""The page over plain HTTP: the certificate, the steps, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from fieldapp.authority import prepare
from fieldapp.trust import create_trust_page

URL = "https://192.168.1.20:8000"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lan")
    return prepare(folder, [IPv4Address("192.168.1.20")], ["depot.local"], datetime.now(UTC))


@pytest.fixture
def client(authority):
    return create_trust_page(authority, URL).test_client()


@pytest.mark.parametrize(
    ("path", "asked", "speaks"),
    [("/", "zh-CN", "zh-CN"), ("/", "en", "en"), ("/", "fr", "zh-CN"), ("/en", "zh-CN", "en"),
     ("/zh_CN", "en", "zh-CN")],
)  # fmt: skip
def test_the_page_says_each_step_in_the_readers_language(client, authority, path, asked, speaks):
    answer = client.get(path, headers={"Accept-Language": asked})
    assert answer.status_code == 200
    assert f'<html lang="{speaks}">' in answer.text
    assert ("证书信任设置" in answer.text) is (speaks == "zh-CN")
    assert ("Certificate Trust Settings" in answer.text) is (speaks == "en")
    assert authority.fingerprint() in answer.text
    assert f'href="{URL}"' in answer.text
    assert "Set-Cookie" not in answer.headers
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_the_root_is_there_as_each_phone_takes_it(client, authority):
    certificate = client.get("/fieldapp-root.crt")
    assert certificate.mimetype == "application/x-x509-ca-cert"
    found = x509.load_der_x509_certificate(certificate.data)
    assert found.fingerprint(hashes.SHA256()).hex(" ").upper() == authority.fingerprint()
    profile = client.get("/fieldapp-root.mobileconfig")
    assert profile.mimetype == "application/x-apple-aspen-config"
    assert profile.data == authority.profile()


@pytest.mark.parametrize(
    "path",
    ["/sign-in", "/visits", "/sw.js", "/sync/devices", "/app.webmanifest", "/static/page/start.js",
     "/static/../fieldapp/config.py", "/root.key.pem", "/fr", "/verify"],
)  # fmt: skip
def test_nothing_else_is_served_without_tls(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.data) == (404, b"")
    assert client.post("/", data={"account": "erin"}).status_code == 405


def test_what_the_page_loads_is_there(client):
    for path in ("/static/app.css", "/static/display/dark.css", "/static/icons/icon.svg"):
        with client.get(path) as answer:
            assert answer.status_code == 200
