"""The organisation's seal on a paper: PAdES, and the timestamp that may come later.

The seal certifies the whole file (DocMDP P=2: only counter-signatures and timestamps may follow),
in a field that draws nothing, because a drawn stamp breaks PDF/A unless its fonts are embedded.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import hashlib
import io
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps import HTTPTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from sync.problems import Problem
from sync.seal_key import SealKey, asn1_of

FIELD = "OrgSeal"
"""Name of the signature field."""

TIMESTAMP_FIELD = "OrgTimestamp"
"""Name of the field of a timestamp that was added later."""

TIMESTAMP_SECONDS = 10
"""How long a timestamp authority may take to answer."""


def seal(
    pdf: bytes,
    key: SealKey,
    *,
    reason: str,
    location: str,
    signed_at: dt.datetime,
    timestamp_url: str | None = None,
    timestamp_seconds: int = TIMESTAMP_SECONDS,
) -> bytes:
    """``pdf`` with the seal added after its last byte: PAdES B-B, or B-T with a timestamp.

    ``signed_at`` is aware UTC and becomes the claimed time of signing.  ``timestamp_url`` is an
    RFC 3161 authority; it is given ``timestamp_seconds`` to answer.
    Raises Problem("seal.no-timestamp") when it does not: seal without it then, and add one later.
    Must not be called from a running event loop.
    """
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
        signer=ParsedKeySigner(key),
        timestamper=_authority(timestamp_url, timestamp_seconds) if timestamp_url else None,
        new_field_spec=fields.SigFieldSpec(FIELD, on_page=-1),
    )
    signer.signed_at = signed_at
    out = io.BytesIO()
    signer.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), output=out)
    return out.getvalue()


def add_timestamp(
    pdf: bytes, timestamp_url: str, timestamp_seconds: int = TIMESTAMP_SECONDS
) -> bytes:
    """A sealed ``pdf`` with a document timestamp after its last byte; the seal stays sound.

    Raises Problem("seal.no-timestamp") when the authority does not answer.
    Must not be called from a running event loop.
    """
    stamper = signers.PdfTimeStamper(
        _authority(timestamp_url, timestamp_seconds), field_name=TIMESTAMP_FIELD
    )
    out = io.BytesIO()
    stamper.timestamp_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), "sha256", output=out)
    return out.getvalue()


def ask_authority(timestamp_url: str, timestamp_seconds: int = TIMESTAMP_SECONDS) -> dt.datetime:
    """What time a timestamp authority says it is, aware UTC.

    Raises Problem("seal.no-timestamp") when it does not answer.
    """
    digest = hashlib.sha256(b"what time is it?").digest()
    authority = _authority(timestamp_url, timestamp_seconds)
    return told_at(asyncio.run(authority.async_timestamp(digest, "sha256"))["content"])


def told_at(token: Any) -> dt.datetime:
    """The time that a timestamp (an asn1crypto SignedData) names, aware UTC."""
    at: dt.datetime = token["encap_content_info"]["content"].parsed["gen_time"].native
    return at


class _Authority(HTTPTimeStamper):
    """Whatever comes back that is no timestamp of what was sent is silence."""

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> Any:
        """The timestamp of a digest; Problem("seal.no-timestamp")."""
        try:
            token = await super().async_timestamp(message_digest, md_algorithm)
            told = token["content"]["encap_content_info"]["content"].parsed
            if told["message_imprint"]["hashed_message"].native != message_digest:
                raise ValueError("it is for something else")
        except Exception as cause:  # an OSError, or whatever a parser raises at an odd answer
            reason = str(cause.__cause__ or cause) or type(cause).__name__
            raise Problem("seal.no-timestamp", reason=reason) from cause
        return token


@functools.lru_cache(maxsize=8)
def _authority(url: str, seconds: int) -> _Authority:
    """Kept, because its first answer tells how much room a timestamp needs: it is asked once."""
    return _Authority(url, timeout=seconds)


class ParsedKeySigner(signers.Signer):
    """pyHanko's own signer parses the key for every signature, twice; this one never does."""

    def __init__(self, key: SealKey) -> None:
        self._private = key.private
        store: Any = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        store.register_multiple([asn1_of(certificate) for certificate in key.chain])
        super().__init__(signing_cert=asn1_of(key.certificate), cert_registry=store)

    async def async_sign_raw(
        self, data: bytes, digest_algorithm: str, dry_run: bool = False
    ) -> bytes:
        """The raw signature over ``data``; as many bytes of nothing in a dry run."""
        if digest_algorithm != "sha256":
            raise ValueError("the seal is made with SHA-256 only")
        if isinstance(self._private, rsa.RSAPrivateKey):
            if dry_run:
                return bytes(self._private.key_size // 8)
            return self._private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if dry_run:
            # a DER pair of integers: two numbers of the curve's size and at most nine bytes around
            return bytes(2 * ((self._private.key_size + 7) // 8) + 9)
        return self._private.sign(data, ec.ECDSA(hashes.SHA256()))


class _DatedSigner(signers.PdfSigner):
    """Signs with the time it was handed; pyHanko would ask the machine's clock."""

    signed_at: dt.datetime

    def init_signing_session(self, pdf_out: Any, existing_fields_only: bool = False) -> Any:
        session = super().init_signing_session(pdf_out, existing_fields_only)
        session.system_time = self.signed_at
        return session
