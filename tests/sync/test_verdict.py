"""What is said of a file that somebody holds, by its register and by its seal."""

from __future__ import annotations

import io
import json
from typing import Any

import pikepdf
import pytest

from bench.paper import day_paper
from sync import seal_key
from sync.seal_check import SealVerdict, inspect
from sync.verdict import KnownRevision, digest_of, judge, read_token
from tests.tampering import flipped

TOKEN = day_paper()["token"]


# the token


def test_the_token_is_read_from_the_metadata(sealed: bytes) -> None:
    assert read_token(sealed) == TOKEN


def test_the_token_is_read_from_the_data_when_the_metadata_are_gone(unsealed: bytes) -> None:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(unsealed)) as document:
        del document.docinfo["/Keywords"]
        document.save(out)
    assert read_token(out.getvalue()) == TOKEN


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "../etc"}'])
def test_odd_data_hold_no_token(data: bytes) -> None:
    out = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.attachments["visit.json"] = data
        document.save(out)
    assert read_token(out.getvalue()) is None


# the answer of the public page

SOUND = SealVerdict(True, True, "")
BROKEN = SealVerdict(False, True, "changed")
NONE = SealVerdict(False, False, "no-signature")
FOREIGN = SealVerdict(False, False, "other-certificate")
KNOWN = [
    KnownRevision("a" * 32, 1, "1" * 64),
    KnownRevision("a" * 32, 2, "2" * 64),
    KnownRevision("b" * 32, 1, "3" * 64),
    KnownRevision("b" * 32, 1, "4" * 64),  # with its timestamp
]


@pytest.mark.parametrize(
    ("sha256", "verdict", "token", "expected"),
    [
        ("2" * 64, SOUND, "a" * 32, ("genuine", "same-bytes", 2, 2)),
        ("3" * 64, SOUND, "b" * 32, ("genuine", "same-bytes", 1, 1)),
        ("1" * 64, SOUND, "a" * 32, ("superseded", "same-bytes", 1, 2)),
        ("9" * 64, BROKEN, "a" * 32, ("altered", "other-bytes", None, 2)),
        ("9" * 64, NONE, "a" * 32, ("altered", "other-bytes", None, 2)),
        ("9" * 64, FOREIGN, "a" * 32, ("altered", "other-bytes", None, 2)),
        ("9" * 64, SOUND, "a" * 32, ("altered", "other-bytes", None, 2)),
        ("9" * 64, SOUND, "c" * 32, ("unproven", "seal-only", None, None)),
        ("9" * 64, SOUND, None, ("unproven", "seal-only", None, None)),
        ("2" * 64, FOREIGN, "a" * 32, ("unproven", "register-only", 2, 2)),
        ("1" * 64, NONE, "a" * 32, ("unproven", "register-only", 1, 2)),
        ("4" * 64, SOUND, "b" * 32, ("genuine", "same-bytes", 1, 1)),
        ("9" * 64, BROKEN, "c" * 32, ("altered", "broken-seal", None, None)),
        ("9" * 64, BROKEN, None, ("altered", "broken-seal", None, None)),
        ("9" * 64, NONE, None, ("not-ours", "unknown", None, None)),
        ("9" * 64, FOREIGN, "c" * 32, ("not-ours", "unknown", None, None)),
        ("9" * 64, NONE, "c" * 32, ("not-ours", "unknown", None, None)),
    ],
)
def test_the_page_says_one_of_five_things(
    sha256: str, verdict: SealVerdict, token: str | None, expected: tuple[Any, ...]
) -> None:
    told = judge(sha256, verdict, token, KNOWN)
    assert (told.outcome, told.reason, told.revision, told.latest) == expected


def test_cleos_paper_is_genuine_until_one_byte_changes(
    sealed: bytes, unsealed: bytes, key: seal_key.SealKey
) -> None:
    known = [KnownRevision(TOKEN, 1, digest_of(sealed))]

    def asked(pdf: bytes) -> str:
        verdict = inspect(pdf, [key.certificate])
        return judge(digest_of(pdf), verdict, read_token(pdf), known).outcome

    assert asked(sealed) == "genuine"
    assert asked(flipped(sealed, len(sealed) // 2)) == "altered"
    assert asked(unsealed) == "altered"
    assert asked(sealed + b"\n") == "altered"
    newer = [*known, KnownRevision(TOKEN, 2, "2" * 64)]
    verdict = inspect(sealed, [key.certificate])
    assert judge(digest_of(sealed), verdict, TOKEN, newer).outcome == "superseded"


def test_the_data_in_the_sealed_paper_can_be_read_back(sealed: bytes) -> None:
    with pikepdf.open(io.BytesIO(sealed)) as document:
        data = json.loads(document.attachments["visit.json"].get_file().read_bytes())
    assert data["token"] == TOKEN
    assert data["snapshot"] == day_paper()["snapshot"]
