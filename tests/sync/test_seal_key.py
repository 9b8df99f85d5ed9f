"""Keys made here: a root, and the sealing certificates that it issues."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sync import seal_key
from sync.problems import Problem
from sync.seal_key import SealKey

AT = dt.datetime(2026, 3, 10, 4, 13, tzinfo=dt.UTC)
WORD = b"correct horse"


@pytest.fixture(scope="module")
def root() -> SealKey:
    return seal_key.make_root("Office", from_at=AT)


@pytest.fixture(scope="module")
def key(root: SealKey) -> SealKey:
    return seal_key.make_key("Office", from_at=AT, root=root)


# made here


def test_the_root_issues_and_does_nothing_else(root: SealKey) -> None:
    extensions = root.certificate.extensions
    limits = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.content_commitment
    assert not usage.digital_signature
    assert (root.certificate.not_valid_after_utc - AT).days == 10958
    assert seal_key.name_of(root.certificate) == "Office Root 2026"


def test_the_certificate_says_what_it_is_for(key: SealKey, root: SealKey) -> None:
    extensions = key.certificate.extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.content_commitment
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (key.certificate.not_valid_after_utc - AT).days == 1826
    assert key.certificate.issuer == root.certificate.subject
    assert key.chain == (root.certificate,)
    assert key.top == root.certificate


def test_openssl_follows_the_chain(key: SealKey, root: SealKey, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(key.certificate_pem())
    for issuer, is_good in ((root, True), (seal_key.make_root("Office", from_at=AT), False)):
        (tmp_path / "root.pem").write_bytes(issuer.certificate_pem())
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-attime", str(int(AT.timestamp())),
             "-CAfile", "root.pem", "key.pem"],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode == 0) is is_good, done.stderr


def test_a_certificate_does_not_outlive_its_root(root: SealKey) -> None:
    late = root.certificate.not_valid_after_utc - dt.timedelta(days=100)
    key = seal_key.make_key("Office", from_at=late, root=root)
    assert key.certificate.not_valid_after_utc == root.certificate.not_valid_after_utc


def test_a_key_without_a_root_stands_for_itself() -> None:
    key = seal_key.make_key("Office", from_at=AT)
    assert key.certificate.issuer == key.certificate.subject
    assert (key.chain, key.top) == ((), key.certificate)


def test_a_long_name_is_cut_to_what_a_certificate_takes() -> None:
    root = seal_key.make_root("安" * 90, from_at=AT)
    assert seal_key.name_of(root.certificate) == "安" * 18 + " Root 2026"
    key = seal_key.make_key("安" * 90, from_at=AT, root=root)
    assert seal_key.name_of(key.certificate) == "安" * 21


@pytest.mark.parametrize("make", [seal_key.make_key, seal_key.make_root])
@pytest.mark.parametrize(
    "options",
    [{"organisation_name": " "}, {"years": 0}, {"from_at": AT.replace(tzinfo=None)}],
    ids=["name", "years", "time"],
)
def test_a_key_without_name_or_time_is_refused(make: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="make_key"):
        make(**({"organisation_name": "Office", "from_at": AT} | options))


def test_a_fingerprint_is_what_openssl_says(root: SealKey, tmp_path: Path) -> None:
    (tmp_path / "root.crt").write_bytes(seal_key.der_of(root.certificate))
    done = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-in", "root.crt", "-noout",
         "-fingerprint", "-sha256"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip().endswith("=" + seal_key.fingerprint(root.certificate))


# kept as PEM


@pytest.mark.parametrize("passphrase", [None, WORD])
def test_a_key_comes_back_from_pem(key: SealKey, passphrase: bytes | None) -> None:
    again = seal_key.load_key(key.private_pem(passphrase), key.certificate_pem(), passphrase)
    assert (again.certificate, again.chain) == (key.certificate, key.chain)
    assert again.private.public_key() == key.private.public_key()


@pytest.mark.parametrize("wrong", [None, b"", b"battery staple"])
def test_a_wrong_passphrase_is_refused(key: SealKey, wrong: bytes | None) -> None:
    with pytest.raises(Problem) as refused:
        seal_key.load_key(key.private_pem(WORD), key.certificate_pem(), wrong)
    assert refused.value.code == "seal.key-unreadable"


def test_a_certificate_of_another_key_is_refused(key: SealKey) -> None:
    other = seal_key.make_key("Office", from_at=AT)
    with pytest.raises(Problem):
        seal_key.load_key(key.private_pem(), other.certificate_pem())


def test_an_encrypted_key_shows_nothing(key: SealKey) -> None:
    assert b"ENCRYPTED" in key.private_pem(WORD)
