"""Keys bought from an authority: PKCS#12, with the authority's chain."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterable
from typing import Any

from asn1crypto import pkcs12 as asn1_pkcs12
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

from sync.seal_key import SealKey, WrongKey, name_of

RSA_BITS = 2048
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
PURPOSES = {
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # signing documents, RFC 9336
    x509.ObjectIdentifier("1.2.840.113583.1.1.5"),  # the same in Adobe's words
    x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.12"),  # and in Microsoft's
}
"""What the certificate of a document may be for, if it says what it is for."""


def load_pkcs12(data: bytes, passphrase: bytes, at: dt.datetime) -> SealKey:
    """The key in a PKCS#12 file from an authority, with as much of its chain as lies in the file.

    ``at`` is aware UTC: what has ended by then, or not begun, is refused.  So is what PAdES readers
    would not take: another kind of key, a certificate that is not for signing documents.
    Raises WrongKey.
    """
    private, certificate, others = _opened(data, passphrase)
    _check_kind(private)
    if certificate is None or certificate.public_key() != private.public_key():
        raise WrongKey("the file holds no certificate that belongs to its key")
    key = SealKey(private, certificate, tuple(_chain(certificate, others)))
    _check_usage(certificate)
    for one in (certificate, *key.chain):
        if one.not_valid_after_utc < at:
            raise WrongKey(f"the certificate of {name_of(one)} ended on {_day(one)}")
        if one.not_valid_before_utc > at:
            begins = f"{one.not_valid_before_utc:%Y-%m-%d}"
            raise WrongKey(f"the certificate of {name_of(one)} begins only on {begins}")
    return key


def _opened(
    data: bytes, passphrase: bytes
) -> tuple[Any, x509.Certificate | None, list[x509.Certificate]]:
    try:
        # PKCS#12 knows an empty passphrase and none at all, and tools write either
        for attempt in (passphrase,) if passphrase else (None, b""):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # Windows and Java write BER, which is looser
                    return pkcs12.load_key_and_certificates(data, attempt)
            except ValueError as cause:
                refused = cause
    except (UnsupportedAlgorithm, TypeError) as cause:
        raise WrongKey(f"the file uses a cipher that is not supported: {cause}") from cause
    try:
        asn1_pkcs12.Pfx.load(data, strict=True).native  # noqa: B018  (reading it is the check)
    except (ValueError, TypeError):
        raise WrongKey("this is no PKCS#12 file (.p12 or .pfx), or a damaged one") from refused
    raise WrongKey("the passphrase is wrong, or the file is damaged") from refused


def _check_kind(private: Any) -> None:
    if private is None:
        raise WrongKey("the file holds certificates but no key")
    is_rsa = isinstance(private, rsa.RSAPrivateKey) and private.key_size >= RSA_BITS
    is_ec = isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, CURVES)
    if not (is_rsa or is_ec):
        raise WrongKey(
            "a key of this kind cannot seal papers: "
            f"take RSA with {RSA_BITS} bits or more, or ECDSA on P-256, P-384 or P-521"
        )


def _check_usage(certificate: x509.Certificate) -> None:
    """What a reader of the paper will ask: is this certificate for signing documents?"""
    wrong = f"the certificate of {name_of(certificate)} is not for signing documents: "
    extensions = certificate.extensions
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise WrongKey(wrong + "it names no key usage") from None
    if not (usage.content_commitment or usage.digital_signature):
        raise WrongKey(wrong + "its key usage has neither nonRepudiation nor digitalSignature")
    try:
        purposes = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    if not purposes & PURPOSES:
        raise WrongKey(wrong + "its extended key usage names other purposes only")


def _chain(
    certificate: x509.Certificate, others: Iterable[x509.Certificate]
) -> Iterable[x509.Certificate]:
    """Issuer after issuer, out of a heap in any order; strangers in it stay behind."""
    left, last = list(others), certificate
    while last.issuer != last.subject:
        issuer = next((one for one in left if _is_issued(last, one)), None)
        if issuer is None:
            return
        yield issuer
        left.remove(issuer)
        last = issuer


def _is_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _day(certificate: x509.Certificate) -> str:
    return f"{certificate.not_valid_after_utc:%Y-%m-%d}"
