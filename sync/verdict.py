"""Genuine, superseded, altered or not ours: what is said of a file that somebody holds."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pikepdf

from sync.seal_check import LARGEST, SealVerdict

_TOKEN = re.compile("[0-9a-f]{32}")
_KEYWORDS = re.compile("work-order ([0-9a-f]{32}) ")
"""What sync.report writes into the metadata."""

PARTS = 4
"""How many parts of a file are read: the paper, its seal, a timestamp and somebody's signature."""

_END = b"%%EOF"


def read_token(pdf: bytes) -> str | None:
    """The token of the work order in the metadata of ``pdf``, else in its visit.json, else None.

    When the newest part of a damaged file cannot be read, those below it are.
    Never raises for anything in ``pdf``; a file from outside is read in a process with a limit.
    """
    if len(pdf) > LARGEST:
        return None
    end = len(pdf)
    for _ in range(PARTS):
        token = _token_in(pdf[:end])
        end = pdf.rfind(_END, 0, max(end - len(_END) - 2, 0)) + len(_END)
        if token is not None or end < len(_END):
            return token
    return None


def _token_in(pdf: bytes) -> str | None:
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


@dataclass(frozen=True)
class KnownRevision:
    """One file we delivered: ``sha256`` of its bytes in lower-case hex.

    A revision may be several files: as it was sealed, and with the timestamp added later.
    """

    token: str
    revision: int
    sha256: str


Outcome = Literal["genuine", "superseded", "unproven", "altered", "not-ours"]


@dataclass(frozen=True)
class Verdict:
    """What the page says.

    ``revision`` is the revision these bytes are, ``latest`` the newest one of the work order; None
    when there is none.  ``reason`` is a word for the sentence below it: ``same-bytes``,
    ``seal-only`` (our sound seal on a work order this server does not know, as after a restored
    backup), ``register-only`` (registered bytes whose seal is by no certificate kept here),
    ``other-bytes``, ``broken-seal``, ``unknown``.
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
    """Genuine, superseded, unproven, altered or not ours.

    The register and the seal must agree: whoever reaches only one of them, the database or the
    key, makes no genuine paper.  The bytes decide before the seal does: padding of a signature and
    bytes after the end change nothing a seal can see.  So a known token on other bytes is altered,
    be its seal sound, broken or stripped; an older revision is superseded; no token of ours and no
    seal by us is not ours.
    """
    known = list(known_revisions)
    for one in known:
        if one.sha256 == pdf_sha256:
            latest = max(other.revision for other in known if other.token == one.token)
            if not seal_verdict.is_sound:
                return Verdict("unproven", "register-only", one.revision, latest)
            outcome: Outcome = "genuine" if one.revision == latest else "superseded"
            return Verdict(outcome, "same-bytes", one.revision, latest)
    of_token = [one.revision for one in known if token is not None and one.token == token]
    if of_token:
        return Verdict("altered", "other-bytes", None, max(of_token))
    if seal_verdict.is_sound:
        return Verdict("unproven", "seal-only")
    if seal_verdict.is_ours:
        return Verdict("altered", "broken-seal")
    return Verdict("not-ours", "unknown")


def digest_of(pdf: bytes) -> str:
    """SHA-256 of ``pdf`` in lower-case hex: what the register stores and :func:`judge` compares."""
    return hashlib.sha256(pdf).hexdigest()
