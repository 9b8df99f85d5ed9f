"""What the seal of a file says: whether it is ours, whole, and around every byte."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation import SignatureCoverageLevel, async_validate_pdf_signature
from pyhanko.sign.validation.pdf_embedded import (
    EmbeddedPdfSignature,
    async_validate_pdf_timestamp,
)
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import PdfSignatureStatus
from pyhanko_certvalidator import ValidationContext

from sync.seal import told_at
from sync.seal_key import asn1_of

LARGEST = 60_000_000
"""Largest PDF in bytes that is opened."""

Trust = Literal["none", "trusted", "unknown"]

# what it stumbles over in somebody's file is said in the verdict, not in the server's log
logging.getLogger("pyhanko").setLevel(logging.CRITICAL)

# a certificate for signing documents names one of the two
_USAGE = KeyUsageConstraints(key_usage={"non_repudiation", "digital_signature"})


@dataclass(frozen=True)
class SealVerdict:
    """What the seal of a file says.

    ``is_ours``: the first signature carries one of the certificates asked for (anybody can copy a
    certificate, so this alone proves nothing).  ``is_sound``: it is ours, nothing was changed and
    it covers the file to its last byte, or what follows does.  ``reason`` is empty then, otherwise
    a word for the reader: ``unreadable``, ``no-signature``, ``other-certificate``, ``changed``,
    ``appended``, ``expired``, ``timestamp``.
    ``signed_at`` is the claimed time, aware; ``timestamp`` is ``none``, ``trusted`` or ``unknown``
    (intact, from an authority whose certificate was not given), ``timestamp_at`` the time it names.
    """

    is_sound: bool
    is_ours: bool
    reason: str
    signed_at: dt.datetime | None = None
    signer_name: str = ""
    timestamp: Trust = "none"
    timestamp_at: dt.datetime | None = None


def inspect(
    pdf: bytes,
    trusted_certificates: Iterable[x509.Certificate],
    timestamp_certificates: Iterable[x509.Certificate] = (),
) -> SealVerdict:
    """What the seal of ``pdf`` says; never raises for anything in ``pdf``.

    A file may still be slow to read on purpose: give files from outside to a process with a limit.
    ``trusted_certificates`` are all the organisation ever sealed with: an expired certificate keeps
    its old papers genuine, because validity is asked at the claimed time of signing.  They are
    asked for one by one and not by their root, because an authority's root issues to others too.
    ``timestamp_certificates`` are those of timestamp authorities, or the roots above them.
    Must not be called from a running event loop.
    """
    if len(pdf) > LARGEST:
        return SealVerdict(False, False, "unreadable")
    trusted = [asn1_of(certificate) for certificate in trusted_certificates]
    authorities = [asn1_of(certificate) for certificate in timestamp_certificates]
    try:
        return asyncio.run(_inspect(pdf, trusted, authorities))
    except Exception:  # parsers raise anything at hostile bytes, RecursionError included
        return SealVerdict(False, False, "unreadable")


def has_timestamp(pdf: bytes) -> bool:
    """Whether somebody else's clock stands in a file that was sealed here."""
    signatures = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    return any(_token_of(signature) is not None for signature in signatures)


async def _inspect(
    pdf: bytes, trusted: list[asn1_x509.Certificate], authorities: list[asn1_x509.Certificate]
) -> SealVerdict:
    signatures = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    seals = [one for one in signatures if one.sig_object_type == "/Sig"]
    # never all([]): a file whose signature was damaged until it is no signature has none
    if not seals:
        return SealVerdict(False, False, "no-signature")
    first = seals[0]
    if first.signer_cert.sha256 not in {certificate.sha256 for certificate in trusted}:
        return SealVerdict(False, False, "other-certificate")
    signed_at = first.self_reported_timestamp
    found = SealVerdict(
        False, True, "", signed_at, str(first.signer_cert.subject.native.get("common_name", ""))
    )
    if signed_at is None or signed_at.tzinfo is None:
        return replace(found, reason="changed")
    try:
        status = await _status_of(first, signed_at, authorities)
        stamps = await _later_timestamps(signatures, first, signed_at, authorities)
    except Exception:  # whatever pyHanko stumbles over was not there when we sealed
        return replace(found, reason="changed")
    if reason := _doubt(first, status, signed_at):
        return replace(found, reason=reason)
    if stamps is None:
        return replace(found, reason="changed")
    if not _covers_the_file(signatures[-1], status if len(signatures) == 1 else None):
        return replace(found, reason="appended")
    if status.timestamp_validity is not None:
        token = _token_of(first)
        stamps.insert(0, (status.timestamp_validity.trusted, told_at(token)))
    trust, at = _best(stamps)
    return replace(found, is_sound=True, timestamp=trust, timestamp_at=at)


async def _status_of(
    first: EmbeddedPdfSignature, signed_at: dt.datetime, authorities: list[asn1_x509.Certificate]
) -> PdfSignatureStatus:
    token = _token_of(first)
    return await async_validate_pdf_signature(
        first,
        _context([first.signer_cert], signed_at),
        _context(authorities, told_at(token) if token is not None else signed_at),
        key_usage_settings=_USAGE,
    )


def _doubt(first: EmbeddedPdfSignature, status: PdfSignatureStatus, signed_at: dt.datetime) -> str:
    """Why the seal is not sound, or nothing."""
    if not (status.intact and status.valid and status.docmdp_ok):
        return "changed"
    if not status.trusted:
        return "other-certificate"
    # a path validator does not ask how long its own trust anchor lasts
    certificate = first.signer_cert
    if not certificate.not_valid_before <= signed_at <= certificate.not_valid_after:
        return "expired"
    stamp = status.timestamp_validity
    if stamp is not None and not (stamp.intact and stamp.valid):
        return "timestamp"
    # an unknown authority is the only thing that may keep pyHanko's own summary from being true
    if not status.bottom_line and (stamp is None or stamp.trusted):
        return "changed"
    return ""


async def _later_timestamps(
    signatures: Sequence[EmbeddedPdfSignature],
    first: EmbeddedPdfSignature,
    signed_at: dt.datetime,
    authorities: list[asn1_x509.Certificate],
) -> list[tuple[bool, dt.datetime]] | None:
    """Document timestamps around the seal, as (trusted, time); None when anything is not whole.

    Whose the counter-signatures are does not matter.
    """
    stamps = []
    is_after = False
    for one in signatures:
        if one is first:
            is_after = True
            continue
        if _is_timestamp(one):
            at = told_at(one.signed_data)
            stamp = await async_validate_pdf_timestamp(one, _context(authorities, at))
            if not (stamp.intact and stamp.valid):
                return None
            if is_after:
                stamps.append((stamp.trusted, at))
        else:
            status = await async_validate_pdf_signature(one, _context([], signed_at))
            if not (status.intact and status.valid):
                return None
    return stamps


def _best(stamps: Sequence[tuple[bool, dt.datetime]]) -> tuple[Trust, dt.datetime | None]:
    """The first timestamp of an authority that is known, else the first of all."""
    for is_trusted, at in sorted(stamps, key=lambda stamp: not stamp[0]):
        return "trusted" if is_trusted else "unknown", at
    return "none", None


def _is_timestamp(signature: EmbeddedPdfSignature) -> bool:
    return bool(signature.sig_object_type == "/DocTimeStamp")


def _token_of(signature: EmbeddedPdfSignature) -> Any:
    """The timestamp in a signature, or that is one (an asn1crypto SignedData), or None."""
    if _is_timestamp(signature):
        return signature.signed_data
    for attribute in signature.signer_info["unsigned_attrs"] or ():
        if attribute["type"].native == "signature_time_stamp_token":
            return attribute["values"][0]["content"]
    return None


def _context(roots: Sequence[asn1_x509.Certificate], at: dt.datetime) -> ValidationContext:
    return ValidationContext(
        trust_roots=list(roots), moment=at, best_signature_time=at, allow_fetching=False
    )


def _covers_the_file(last: EmbeddedPdfSignature, status: PdfSignatureStatus | None) -> bool:
    coverage = status.coverage if status is not None else last.evaluate_signature_coverage()
    if coverage != SignatureCoverageLevel.ENTIRE_FILE:
        return False
    return status is None or status.modification_level == ModificationLevel.NONE
