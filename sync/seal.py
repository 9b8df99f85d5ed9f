"""The organisation's seal on a paper: PAdES, its making and its checking.

The seal certifies the whole file (DocMDP P=2: only counter-signatures and timestamps may follow),
in a field that draws nothing, because a drawn stamp breaks PDF/A unless its fonts are embedded.

Keys are ECDSA P-256 by default: as strong as RSA-3072, a third less added to every file (measured
6.2 against 8.9 kB), made in a millisecond, and read from PEM without the 114 ms an RSA key check
costs.  RSA keys bought from a certificate authority work too.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pikepdf
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.timestamps import HTTPTimeStamper, TimeStamper
from pyhanko.sign.validation import SignatureCoverageLevel, async_validate_pdf_signature
from pyhanko.sign.validation.pdf_embedded import (
    EmbeddedPdfSignature,
    async_validate_pdf_timestamp,
)
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureStatus
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from sync.problems import Problem

FIELD = "OrgSeal"
"""Name of the signature field."""

LARGEST = 60_000_000
"""Largest PDF in bytes that :func:`inspect` opens."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


# keys


@dataclass(frozen=True)
class SealKey:
    """A parsed private key and its certificate; parse once, seal often.

    ``chain`` are the certificates between ours and the authority's, empty for a self-made one.
    """

    private: PrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    def certificate_pem(self) -> bytes:
        """What may be shown to anybody: certificate, then chain."""
        return b"".join(_pem(certificate) for certificate in (self.certificate, *self.chain))

    def private_pem(self, passphrase: bytes | None = None) -> bytes:
        """The private key as PKCS#8 PEM, encrypted when a passphrase is given."""
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase)
            if passphrase
            else serialization.NoEncryption(),
        )


def make_key(
    organisation_name: str,
    *,
    from_at: dt.datetime,
    years: int = 10,
    serial: int | None = None,
    algorithm: Literal["ecdsa", "rsa"] = "ecdsa",
) -> SealKey:
    """A new key with a certificate made by itself, valid ``years`` years from ``from_at``.

    ``from_at`` is aware UTC; the certificate begins a day earlier, for clocks that are slow.
    ``serial`` is random unless given.  The certificate names nonRepudiation, which PAdES readers
    ask for, and cannot sign other certificates.
    Raises ValueError when ``from_at`` is naive, ``years`` is below one or the name is empty.
    """
    if from_at.tzinfo is None or years < 1 or not organisation_name.strip():
        raise ValueError("make_key needs a name, an aware time and at least one year")
    private: PrivateKey
    if algorithm == "rsa":
        private = rsa.generate_private_key(65537, 3072)
    else:
        private = ec.generate_private_key(ec.SECP256R1())
    # X.520 allows 64 characters in a common name
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation_name.strip()[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, organisation_name.strip()[:64]),
        ]
    )
    public = private.public_key()
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(from_at - dt.timedelta(days=1))
        .not_valid_after(from_at + dt.timedelta(days=round(365.25 * years)))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )
    return SealKey(private, certificate)


def load_key(
    private_pem: bytes, certificate_pem: bytes, passphrase: bytes | None = None
) -> SealKey:
    """The key behind two PEM texts; ``certificate_pem`` may go on with the chain.

    Raises Problem("seal.key-unreadable") for a wrong passphrase, a kind of key that PAdES readers
    do not take, or a certificate that belongs to another key.
    """
    try:
        private = serialization.load_pem_private_key(private_pem, passphrase)
        certificate, *chain = load_certificates(certificate_pem)
    except (ValueError, TypeError) as cause:
        raise Problem("seal.key-unreadable") from cause
    if not isinstance(private, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise Problem("seal.key-unreadable")
    if private.public_key() != certificate.public_key():
        raise Problem("seal.key-unreadable")
    return SealKey(private, certificate, tuple(chain))


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """All certificates in ``pem``; ValueError when there is none."""
    return x509.load_pem_x509_certificates(pem)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    der = certificate.public_bytes(serialization.Encoding.DER)
    parsed: asn1_x509.Certificate = asn1_x509.Certificate.load(der)
    return parsed


# sealing


class _ParsedKeySigner(signers.Signer):
    """pyHanko's own signer parses the key for every signature, twice; this one never does."""

    def __init__(self, key: SealKey) -> None:
        self._private = key.private
        store: Any = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        store.register_multiple([_asn1(certificate) for certificate in key.chain])
        super().__init__(signing_cert=_asn1(key.certificate), cert_registry=store)

    async def async_sign_raw(
        self, data: bytes, digest_algorithm: str, dry_run: bool = False
    ) -> bytes:
        if digest_algorithm != "sha256":
            raise ValueError("the seal is made with SHA-256 only")
        if isinstance(self._private, rsa.RSAPrivateKey):
            if dry_run:
                return bytes(self._private.key_size // 8)
            return self._private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if dry_run:
            # a DER pair of integers: two numbers of the curve's size and at most nine bytes around
            return bytes(2 * (self._private.key_size // 8) + 9)
        return self._private.sign(data, ec.ECDSA(hashes.SHA256()))


class _DatedSigner(signers.PdfSigner):
    """Signs with the time it was handed; pyHanko would ask the machine's clock."""

    signed_at: dt.datetime

    def init_signing_session(self, pdf_out: Any, existing_fields_only: bool = False) -> Any:
        session = super().init_signing_session(pdf_out, existing_fields_only)
        session.system_time = self.signed_at
        return session


def seal(
    pdf: bytes,
    key: SealKey,
    *,
    reason: str,
    location: str,
    signed_at: dt.datetime,
    timestamp_url: str | None = None,
    timestamp_seconds: int = 10,
) -> bytes:
    """``pdf`` with the seal added after its last byte: PAdES B-B, or B-T with a timestamp.

    ``signed_at`` is aware UTC and becomes the claimed time of signing.  ``timestamp_url`` is an
    RFC 3161 authority; it is given ``timestamp_seconds`` to answer.
    Raises Problem("seal.no-timestamp") when it does not: seal without it then, and add one later.
    Must not be called from a running event loop.
    """
    timestamper = (
        HTTPTimeStamper(timestamp_url, timeout=timestamp_seconds) if timestamp_url else None
    )
    return _seal(pdf, key, reason, location, signed_at, timestamper)


def _seal(
    pdf: bytes,
    key: SealKey,
    reason: str,
    location: str,
    signed_at: dt.datetime,
    timestamper: TimeStamper | None,
) -> bytes:
    meta = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        subfilter=fields.SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=fields.MDPPerm.FILL_FORMS,
        reason=reason,
        location=location,
    )
    signer = _DatedSigner(
        meta,
        signer=_ParsedKeySigner(key),
        timestamper=timestamper,
        new_field_spec=fields.SigFieldSpec(FIELD, on_page=-1),
    )
    signer.signed_at = signed_at
    out = io.BytesIO()
    try:
        signer.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), output=out)
    except OSError as cause:  # pyHanko's TimestampRequestError is one; nothing else here reads
        raise Problem("seal.no-timestamp", reason=str(cause)) from cause
    return out.getvalue()


# checking


@dataclass(frozen=True)
class SealVerdict:
    """What the seal of a file says.

    ``is_ours``: the first signature carries one of the certificates asked for (anybody can copy a
    certificate, so this alone proves nothing).  ``is_sound``: it is ours, nothing was changed and
    it covers the file to its last byte.  ``reason`` is empty then, otherwise a word for the reader:
    ``unreadable``, ``no-signature``, ``other-certificate``, ``changed``, ``appended``, ``expired``,
    ``timestamp``.
    ``signed_at`` is the claimed time, aware; ``timestamp`` is ``none``, ``trusted`` or ``unknown``
    (intact, from an authority whose certificate was not given).
    """

    is_sound: bool
    is_ours: bool
    reason: str
    signed_at: dt.datetime | None = None
    signer_name: str = ""
    timestamp: Literal["none", "trusted", "unknown"] = "none"


def inspect(
    pdf: bytes,
    trusted_certificates: Iterable[x509.Certificate],
    timestamp_certificates: Iterable[x509.Certificate] = (),
) -> SealVerdict:
    """What the seal of ``pdf`` says; never raises for anything in ``pdf``.

    A file may still be slow to read on purpose: give files from outside to a process with a limit.
    ``trusted_certificates`` are all the organisation ever sealed with: an expired certificate keeps
    its old papers genuine, because validity is asked at the claimed time of signing.
    Must not be called from a running event loop.
    """
    trusted = [_asn1(certificate) for certificate in trusted_certificates]
    authorities = [_asn1(certificate) for certificate in timestamp_certificates]
    if len(pdf) > LARGEST:
        return SealVerdict(False, False, "unreadable")
    try:
        return asyncio.run(_inspect(pdf, trusted, authorities))
    except Exception:  # parsers raise anything at hostile bytes, RecursionError included
        return SealVerdict(False, False, "unreadable")


async def _inspect(
    pdf: bytes, trusted: list[asn1_x509.Certificate], authorities: list[asn1_x509.Certificate]
) -> SealVerdict:
    signatures = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    ours = [one for one in signatures if one.sig_object_type == "/Sig"]
    # never all([]): a file whose signature was damaged until it is no signature has none
    if not ours:
        return SealVerdict(False, False, "no-signature")
    first = ours[0]
    digests = {certificate.sha256 for certificate in trusted}
    if first.signer_cert.sha256 not in digests:
        return SealVerdict(False, False, "other-certificate")
    signed_at = first.self_reported_timestamp
    name = str(first.signer_cert.subject.native.get("common_name", ""))

    def no(reason: str) -> SealVerdict:
        return SealVerdict(False, True, reason, signed_at, name)

    if signed_at is None or signed_at.tzinfo is None:
        return no("changed")
    try:
        status = await async_validate_pdf_signature(
            first,
            _context([first.signer_cert], signed_at),
            _context(authorities, signed_at),
        )
    except Exception:
        return no("changed")
    if not (status.intact and status.valid and status.docmdp_ok):
        return no("changed")
    if not status.trusted:
        return no("other-certificate")
    # a path validator does not ask how long its own trust anchor lasts
    certificate = first.signer_cert
    if not certificate.not_valid_before <= signed_at <= certificate.not_valid_after:
        return no("expired")
    stamp = status.timestamp_validity
    if stamp is not None and not (stamp.intact and stamp.valid):
        return no("timestamp")
    # an unknown authority is the only thing that may keep pyHanko's own summary from being true
    if not status.bottom_line and (stamp is None or stamp.trusted):
        return no("changed")
    if not await _rest_is_sound(signatures, first, signed_at):
        return no("changed")
    if not _covers_the_file(signatures[-1], status if len(signatures) == 1 else None):
        return no("appended")
    timestamp: Literal["none", "trusted", "unknown"] = "none"
    if stamp is not None:
        timestamp = "trusted" if stamp.trusted else "unknown"
    return SealVerdict(True, True, "", signed_at, name, timestamp)


def _context(roots: Sequence[asn1_x509.Certificate], at: dt.datetime) -> ValidationContext:
    return ValidationContext(
        trust_roots=list(roots), moment=at, best_signature_time=at, allow_fetching=False
    )


async def _rest_is_sound(
    signatures: Sequence[EmbeddedPdfSignature], first: EmbeddedPdfSignature, at: dt.datetime
) -> bool:
    """Whether later counter-signatures and timestamps are whole; whose they are does not matter."""
    for later in signatures:
        if later is first:
            continue
        status: SignatureStatus
        if later.sig_object_type == "/DocTimeStamp":
            status = await async_validate_pdf_timestamp(later, _context([], at))
        else:
            status = await async_validate_pdf_signature(later, _context([], at))
        if not (status.intact and status.valid):
            return False
    return True


def _covers_the_file(last: EmbeddedPdfSignature, status: PdfSignatureStatus | None) -> bool:
    coverage = status.coverage if status is not None else last.evaluate_signature_coverage()
    if coverage != SignatureCoverageLevel.ENTIRE_FILE:
        return False
    return status is None or status.modification_level == ModificationLevel.NONE


# what the file says it is

_TOKEN = re.compile("[0-9a-f]{32}")
_KEYWORDS = re.compile("work-order ([0-9a-f]{32}) ")
"""What sync.report writes into the metadata."""


def read_token(pdf: bytes) -> str | None:
    """The token of the work order in the metadata of ``pdf``, else in its visit.json, else None.

    Never raises for anything in ``pdf``; like :func:`inspect`, call it under a limit.
    """
    if len(pdf) > LARGEST:
        return None
    try:
        with pikepdf.open(io.BytesIO(pdf)) as document:
            told = str(document.docinfo.get("/Keywords", ""))
            found = _KEYWORDS.match(told)
            if found:
                return found[1]
            data = json.loads(document.attachments["visit.json"].get_file().read_bytes())
            token = data["token"]
            return token if _TOKEN.fullmatch(token) else None
    except Exception:
        return None


# the public page's answer


@dataclass(frozen=True)
class KnownRevision:
    """One paper we delivered: ``sha256`` of its bytes in lower-case hex."""

    token: str
    revision: int
    sha256: str


Outcome = Literal["genuine", "superseded", "altered", "not-ours"]


@dataclass(frozen=True)
class Verdict:
    """What the page says.

    ``revision`` is the revision these bytes are, ``latest`` the newest one of the work order; None
    when there is none.  ``reason`` is a word for the sentence below it: ``same-bytes``,
    ``seal-only`` (our sound seal on a work order this server does not know, as after a restored
    backup), ``other-bytes``, ``broken-seal``, ``unknown``.
    """

    outcome: Outcome
    reason: str
    revision: int | None = None
    latest: int | None = None


def judge(
    pdf_sha256: str,
    seal_verdict: SealVerdict,
    token: str | None,
    known_revisions: Iterable[KnownRevision],
) -> Verdict:
    """Genuine, superseded, altered or not ours.

    The bytes decide before the seal does: padding of a signature and bytes after the end change
    nothing a seal can see.  So a known token on other bytes is altered, be its seal sound, broken
    or stripped; an older revision is superseded; no token of ours and no seal by us is not ours.
    """
    known = list(known_revisions)
    for one in known:
        if one.sha256 == pdf_sha256:
            latest = max(other.revision for other in known if other.token == one.token)
            outcome: Outcome = "genuine" if one.revision == latest else "superseded"
            return Verdict(outcome, "same-bytes", one.revision, latest)
    of_token = [one.revision for one in known if token is not None and one.token == token]
    if of_token:
        return Verdict("altered", "other-bytes", None, max(of_token))
    if seal_verdict.is_sound:
        return Verdict("genuine", "seal-only")
    if seal_verdict.is_ours:
        return Verdict("altered", "broken-seal")
    return Verdict("not-ours", "unknown")


def digest_of(pdf: bytes) -> str:
    """SHA-256 of ``pdf`` in lower-case hex: what the register stores and :func:`judge` compares."""
    return hashlib.sha256(pdf).hexdigest()
