"""What a process that makes papers does with the seal: sealing, timestamps, looking at files."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from sync import seal, seal_check, seal_key
from sync.problems import Problem
from sync.verdict import read_token

SILENT_SECONDS = 60
"""How long a timestamp authority that did not answer is not asked for the next paper."""

log = logging.getLogger(__name__)
_silent_until: dict[str, float] = {}


@dataclass(frozen=True)
class SealJob:
    """How to seal one paper; PEM, because a parsed key cannot travel between processes.

    ``signed_at`` is aware UTC.  With ``timestamp_url`` the seal carries a timestamp if the
    authority answers, and none if it does not: the visit does not wait for it.
    """

    private_pem: bytes
    certificate_pem: bytes
    signed_at: dt.datetime
    reason: str
    location: str
    passphrase: bytes | None = None
    timestamp_url: str | None = None


def seal_paper(pdf: bytes, job: SealJob) -> bytes:
    """``pdf`` sealed, with a timestamp if the authority answers with a sound one.

    Raises Problem("seal.key-unreadable"), and Problem("report.failed") when nobody would find the
    seal sound, as with a certificate that has ended.
    """
    url = job.timestamp_url
    if url is not None and time.monotonic() >= _silent_until.get(url, 0):
        try:
            return _seal_once(pdf, job, url)
        except Problem as problem:
            if problem.code != "seal.no-timestamp":
                raise
            _silent_until[url] = time.monotonic() + SILENT_SECONDS
            log.warning("sealed without a timestamp: %s", problem.args_["reason"])
    return _seal_once(pdf, job, None)


def stamp_paper(pdf: bytes, certificates_pem: bytes, timestamp_url: str) -> bytes:
    """A sealed ``pdf`` with a timestamp behind it; its seal must be sound before and after.

    Raises Problem("seal.no-timestamp") and Problem("report.failed").
    """
    certificates = seal_key.load_certificates(certificates_pem)
    _check(pdf, certificates)
    return _check(seal.add_timestamp(pdf, timestamp_url), certificates)


def inspect_file(
    pdf: bytes, certificates_pem: bytes, timestamp_certificates_pem: bytes
) -> dict[str, Any]:
    """What a file from outside says: ``{token, seal}``, ``seal`` a SealVerdict's values."""
    ours, theirs = (
        seal_key.load_certificates(pem) if pem else []
        for pem in (certificates_pem, timestamp_certificates_pem)
    )
    return {"token": read_token(pdf), "seal": vars(seal_check.inspect(pdf, ours, theirs))}


def _seal_once(pdf: bytes, job: SealJob, timestamp_url: str | None) -> bytes:
    key = _key(job.private_pem, job.certificate_pem, job.passphrase)
    sealed = seal.seal(
        pdf,
        key,
        reason=job.reason,
        location=job.location,
        signed_at=job.signed_at,
        timestamp_url=timestamp_url,
    )
    return _check(sealed, [key.certificate])


def _check(pdf: bytes, certificates: Sequence[x509.Certificate]) -> bytes:
    """``pdf`` itself, if everybody else will find its seal sound too."""
    verdict = seal_check.inspect(pdf, certificates)
    if verdict.reason == "timestamp":
        raise Problem("seal.no-timestamp", reason="what came back is not sound")
    if not verdict.is_sound:
        raise Problem("report.failed", reason=f"seal: {verdict.reason}")
    return pdf


@functools.lru_cache(maxsize=8)
def _key(private_pem: bytes, certificate_pem: bytes, passphrase: bytes | None) -> seal_key.SealKey:
    return seal_key.load_key(private_pem, certificate_pem, passphrase)
