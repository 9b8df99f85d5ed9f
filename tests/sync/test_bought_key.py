"""What an authority hands out as PKCS#12: taken with its chain, or refused with a sentence."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sync import seal_key
from sync.bought_key import load_pkcs12
from sync.seal_key import SealKey, WrongKey

AT = dt.datetime(2026, 3, 10, 4, 13, tzinfo=dt.UTC)
WORD = b"correct horse"


class Shop:
    """An authority with a root, an intermediate and whatever certificate somebody asks for."""

    def __init__(self) -> None:
        self.root = seal_key.make_root("Shop", from_at=AT)
        self.middle_key = ec.generate_private_key(ec.SECP384R1())
        self.middle = self._issue("Shop Documents", self.middle_key, self.root, {"ca": True})

    def sells(self, private: Any = None, **wish: Any) -> tuple[Any, x509.Certificate]:
        private = private or ec.generate_private_key(ec.SECP256R1())
        issuer = SealKey(self.middle_key, self.middle)
        return private, self._issue("Office GmbH", private, issuer, wish)

    def p12(
        self, private: Any = None, passphrase: bytes = WORD, others: Any = None, **wish: Any
    ) -> bytes:
        private, certificate = self.sells(private, **wish)
        others = [self.root.certificate, self.middle] if others is None else others
        return packed(private, certificate, others, passphrase)

    def _issue(
        self, name: str, private: Any, issuer: SealKey, wish: dict[str, Any]
    ) -> x509.Certificate:
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
            False,
        )  # fmt: skip
        is_ca = wish.get("ca", False)
        for one in ["key_cert_sign"] if is_ca else wish.get("usage", ["content_commitment"]) or ():
            usage[one] = True
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer.certificate.subject)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(wish.get("begins", AT - dt.timedelta(days=1)))
            .not_valid_after(wish.get("ends", AT + dt.timedelta(days=365)))
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        )
        if wish.get("usage", True) is not None:
            builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
        if "purposes" in wish:
            purposes = x509.ExtendedKeyUsage(wish["purposes"])
            builder = builder.add_extension(purposes, critical=False)
        return builder.sign(issuer.private, hashes.SHA256())


def packed(private: Any, certificate: Any, others: list[Any], passphrase: bytes = WORD) -> bytes:
    cipher: Any = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return pkcs12.serialize_key_and_certificates(b"seal", private, certificate, others, cipher)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


def test_a_bought_key_comes_with_its_chain_in_order(shop: Shop) -> None:
    stranger = seal_key.make_root("Else", from_at=AT).certificate
    pile = [shop.root.certificate, stranger, shop.middle]
    key = load_pkcs12(shop.p12(others=pile), WORD, AT)
    assert seal_key.name_of(key.certificate) == "Office GmbH"
    assert key.chain == (shop.middle, shop.root.certificate)
    assert key.top == shop.root.certificate


def test_a_chain_goes_as_far_as_the_file_does(shop: Shop) -> None:
    assert load_pkcs12(shop.p12(others=[shop.middle]), WORD, AT).top == shop.middle
    alone = load_pkcs12(shop.p12(others=[]), WORD, AT)
    assert alone.chain == ()
    assert load_pkcs12(shop.p12(others=[shop.root.certificate]), WORD, AT).chain == ()


@pytest.mark.parametrize(
    "private",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
    ],
    ids=["RSA 2048", "P-384", "P-521"],
)
def test_what_authorities_sell_is_taken(shop: Shop, private: Any) -> None:
    assert load_pkcs12(shop.p12(private), WORD, AT).private.key_size == private.key_size


@pytest.mark.parametrize(
    "wish",
    [
        {"usage": ["digital_signature"]},
        {"usage": ["digital_signature", "content_commitment", "key_encipherment"]},
        {"purposes": [ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH]},
        {"purposes": [x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")]},
    ],
    ids=str,
)
def test_a_certificate_for_documents_is_taken(shop: Shop, wish: dict[str, Any]) -> None:
    assert load_pkcs12(shop.p12(**wish), WORD, AT)


def test_a_file_without_a_passphrase_is_taken(shop: Shop) -> None:
    assert load_pkcs12(shop.p12(passphrase=b""), b"", AT)


def test_a_file_that_openssl_wrote_is_taken(shop: Shop, tmp_path: Path) -> None:
    private, certificate = shop.sells()
    key = SealKey(private, certificate, (shop.middle,))
    (tmp_path / "key.pem").write_bytes(key.private_pem())
    (tmp_path / "crt.pem").write_bytes(key.certificate_pem())
    for word in ("horse", ""):
        subprocess.run(
            ["openssl", "pkcs12", "-export", "-inkey", "key.pem", "-in", "crt.pem",
             "-passout", f"pass:{word}", "-out", "key.p12"],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
        taken = load_pkcs12((tmp_path / "key.p12").read_bytes(), word.encode(), AT)
        assert taken.chain == (shop.middle,)


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"ends": AT - dt.timedelta(hours=1)}, "of Office GmbH ended on 2026-03-10"),
        (
            {"begins": AT + dt.timedelta(days=1), "ends": AT + dt.timedelta(days=9)},
            "begins only on 2026-03-11",
        ),
        ({"usage": ["key_encipherment"]}, "neither nonRepudiation nor digitalSignature"),
        ({"usage": None}, "it names no key usage"),
        ({"ca": True}, "neither nonRepudiation nor digitalSignature"),
        (
            {"usage": ["digital_signature"], "purposes": [ExtendedKeyUsageOID.SERVER_AUTH]},
            "its extended key usage names other purposes only",
        ),
    ],
    ids=["ended", "not begun", "usage", "no usage", "authority", "web server"],
)
def test_a_certificate_that_readers_would_not_take_is_refused(
    shop: Shop, wish: dict[str, Any], told: str
) -> None:
    with pytest.raises(WrongKey, match=told):
        load_pkcs12(shop.p12(**wish), WORD, AT)


def test_a_chain_that_ended_is_refused(shop: Shop) -> None:
    private, certificate = shop.sells(ends=AT + dt.timedelta(days=20_000))
    data = packed(private, certificate, [shop.middle, shop.root.certificate])
    with pytest.raises(WrongKey, match="of Shop Documents ended on 2027-03-10"):
        load_pkcs12(data, WORD, AT + dt.timedelta(days=400))


@pytest.mark.parametrize(
    "private",
    [
        rsa.generate_private_key(65537, 1024),  # noqa: S505
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
        dsa.generate_private_key(1024),  # noqa: S505
    ],
    ids=["RSA 1024", "secp256k1", "Ed25519", "DSA"],
)
def test_a_kind_of_key_that_readers_do_not_know_is_refused(shop: Shop, private: Any) -> None:
    with pytest.raises(WrongKey, match="a key of this kind cannot seal papers"):
        load_pkcs12(shop.p12(private), WORD, AT)


@pytest.mark.parametrize("word", [b"battery staple", b"", "密码".encode()])
def test_a_wrong_word_for_a_bought_key_is_named(shop: Shop, word: bytes) -> None:
    with pytest.raises(WrongKey, match="the passphrase is wrong"):
        load_pkcs12(shop.p12(), word, AT)


def test_what_is_no_such_file_is_named(shop: Shop) -> None:
    whole = shop.p12()
    for odd in (b"", b"no file", whole[:-40], b"-----BEGIN CERTIFICATE-----\n"):
        with pytest.raises(WrongKey, match=r"this is no PKCS#12 file"):
            load_pkcs12(odd, WORD, AT)


def test_a_file_without_key_or_certificate_is_named(shop: Shop) -> None:
    private, certificate = shop.sells()
    with pytest.raises(WrongKey, match="certificates but no key"):
        load_pkcs12(packed(None, None, [certificate]), WORD, AT)
    with pytest.raises(WrongKey, match="no certificate that belongs to its key"):
        load_pkcs12(packed(private, None, [shop.middle]), WORD, AT)
