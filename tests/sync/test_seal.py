"""The seal with real certificates: made here, found good by poppler, qpdf and openssl."""

from __future__ import annotations

import datetime as dt
import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from bench.paper import SEALED_AT
from sync import seal, seal_key
from sync.lint import lint
from sync.problems import Problem
from sync.seal_check import inspect
from tests.authority import Authority
from tests.tampering import cut_off, flipped, page_replaced, parts, ranges

LATER = SEALED_AT + dt.timedelta(days=1)


def sealed_with(pdf: bytes, key: seal_key.SealKey, **options: Any) -> bytes:
    given = {"reason": "工单", "location": "上海", "signed_at": SEALED_AT} | options
    return seal.seal(pdf, key, **given)


def pdfsig(pdf: bytes, folder: Path) -> str:
    """What poppler says.  Its exit code is 0 for an invalid signature: the text decides."""
    path = folder / "paper.pdf"
    path.write_bytes(pdf)
    # it would look into a browser's certificates in the home folder
    done = subprocess.run(
        ["pdfsig", "-nocert", str(path)],
        capture_output=True,
        text=True,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
    )
    return done.stdout + done.stderr


def openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)


def cms_of(pdf: bytes) -> bytes:
    """The signature as it stands in the file."""
    where = parts(pdf)["cms"]
    return bytes.fromhex(pdf[where.start : where.stop].decode())


def signed_bytes(pdf: bytes) -> bytes:
    start, length, start2, length2 = ranges(pdf)
    return pdf[start : start + length] + pdf[start2 : start2 + length2]


# as others see it


def test_poppler_finds_the_seal_valid(sealed: bytes, tmp_path: Path) -> None:
    told = pdfsig(sealed, tmp_path)
    assert "Signature is Valid" in told
    assert "Total document signed" in told
    assert "Not total document signed" not in told
    assert "ETSI.CAdES.detached" in told


def test_poppler_sees_what_was_touched(sealed: bytes, tmp_path: Path) -> None:
    assert "Signature is Valid" not in pdfsig(flipped(sealed, len(sealed) // 3), tmp_path)
    for touched in (sealed + b"\n% a note by Olly\n", page_replaced(sealed)):
        assert "Not total document signed" in pdfsig(touched, tmp_path)


def test_qpdf_finds_the_file_clean(sealed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "paper.pdf"
    path.write_bytes(sealed)
    done = subprocess.run(["qpdf", "--check", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "No syntax or stream encoding errors" in done.stdout


@pytest.mark.parametrize("is_known", [True, False])
def test_whoever_trusts_the_root_needs_nothing_else_of_us(
    sealed: bytes, root: seal_key.SealKey, tmp_path: Path, is_known: bool
) -> None:
    """The chain is in the file: openssl checks it with the root alone."""
    other = seal_key.make_root("Else", from_at=SEALED_AT)
    (tmp_path / "root.pem").write_bytes((root if is_known else other).certificate_pem())
    (tmp_path / "paper.cms").write_bytes(cms_of(sealed))
    (tmp_path / "paper.signed").write_bytes(signed_bytes(sealed))
    done = openssl(
        tmp_path, "cms", "-verify", "-inform", "DER", "-in", "paper.cms", "-binary",
        "-content", "paper.signed", "-CAfile", "root.pem", "-purpose", "any", "-cades",
        "-attime", str(int(LATER.timestamp())), "-out", "said",
    )  # fmt: skip
    assert (done.returncode == 0) is is_known, done.stderr


# how it is made


def test_the_seal_is_added_after_the_last_byte(sealed: bytes, unsealed: bytes) -> None:
    assert sealed.startswith(unsealed)
    assert cut_off(sealed) == unsealed


def test_the_seal_draws_nothing_and_certifies(sealed: bytes) -> None:
    with pikepdf.open(io.BytesIO(sealed)) as document:
        fields: Any = document.Root.AcroForm.Fields
        assert [float(edge) for edge in fields[0].Rect] == [0, 0, 0, 0]
        assert "/DocMDP" in document.Root.Perms
        assert fields[0].V.Reference[0].TransformParams.P == 2


def test_the_time_of_signing_is_the_one_handed_in(sealed: bytes) -> None:
    with pikepdf.open(io.BytesIO(sealed)) as document:
        fields: Any = document.Root.AcroForm.Fields
        assert str(fields[0].V.M).startswith("D:20260310041300")


def test_an_rsa_key_seals_as_well(unsealed: bytes, root: seal_key.SealKey) -> None:
    key = seal_key.make_key("Office", from_at=SEALED_AT, root=root, algorithm="rsa")
    assert inspect(sealed_with(unsealed, key), [key.certificate]).is_sound


# timestamps


def test_a_seal_with_a_timestamp_is_trusted_when_its_authority_is_known(
    unsealed: bytes, key: seal_key.SealKey, authority: Authority
) -> None:
    stamped = sealed_with(unsealed, key, timestamp_url=authority.url)
    known = inspect(stamped, [key.certificate], [authority.certificate])
    assert (known.is_sound, known.timestamp) == (True, "trusted")
    assert known.timestamp_at is not None
    assert known.timestamp_at > SEALED_AT
    for strangers in ([], [key.certificate]):
        unknown = inspect(stamped, [key.certificate], strangers)
        assert (unknown.is_sound, unknown.timestamp) == (True, "unknown")
    assert not inspect(flipped(stamped, 5000), [key.certificate], [authority.certificate]).is_sound
    assert lint(stamped) == []


def test_a_timestamp_added_later_keeps_the_seal_and_the_bytes(
    sealed: bytes, key: seal_key.SealKey, authority: Authority, tmp_path: Path
) -> None:
    stamped = seal.add_timestamp(sealed, authority.url)
    assert stamped.startswith(sealed)
    assert len(stamped) > len(sealed)
    known = inspect(stamped, [key.certificate], [authority.certificate])
    assert (known.is_sound, known.signed_at, known.timestamp) == (True, SEALED_AT, "trusted")
    assert inspect(stamped, [key.certificate]).timestamp == "unknown"
    assert inspect(stamped + b"\n", [key.certificate]).reason == "appended"
    assert inspect(sealed, [key.certificate], [authority.certificate]).timestamp == "none"
    assert lint(stamped) == []
    told = pdfsig(stamped, tmp_path)
    assert "Signature is Valid" in told
    assert "Total document signed" in told


def test_no_flipped_bit_around_a_later_timestamp_goes_unseen(
    sealed: bytes, key: seal_key.SealKey, authority: Authority
) -> None:
    stamped = seal.add_timestamp(sealed, authority.url)
    places = [len(sealed) // 2, len(sealed) + 40, stamped.index(b"/DocTimeStamp", len(sealed)) + 3]
    for at in places:
        assert not inspect(flipped(stamped, at), [key.certificate]).is_sound, at


def test_a_second_paper_asks_the_authority_once(
    unsealed: bytes, key: seal_key.SealKey, authority: Authority
) -> None:
    """The first paper of a process asks twice: it has to learn how long an answer is."""
    sealed_with(unsealed, key, timestamp_url=authority.url)
    before = authority.asked
    sealed_with(unsealed, key, timestamp_url=authority.url)
    assert authority.asked == before + 1


@pytest.fixture
def silenced(authority: Authority) -> Any:
    authority.is_silent = True
    yield authority.url
    authority.is_silent = False


@pytest.mark.parametrize("ask", ["seal", "add", "time"])
def test_an_authority_that_does_not_answer_is_named(
    unsealed: bytes, sealed: bytes, key: seal_key.SealKey, silenced: str, ask: str
) -> None:
    for url in (silenced, "http://127.0.0.1:1/"):
        with pytest.raises(Problem) as refused:
            if ask == "seal":
                sealed_with(unsealed, key, timestamp_url=url, timestamp_seconds=5)
            elif ask == "add":
                seal.add_timestamp(sealed, url)
            else:
                seal.ask_authority(url)
        assert refused.value.code == "seal.no-timestamp"
        assert refused.value.args_["reason"]


def test_an_answer_to_another_question_is_none(
    sealed: bytes, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    from asn1crypto import tsp

    answer = authority.answer

    def about_something_else(question: bytes) -> bytes:
        asked = tsp.TimeStampReq.load(question)
        asked["message_imprint"]["hashed_message"] = hashlib.sha256(b"else").digest()
        return answer(asked.dump(force=True))

    monkeypatch.setattr(authority, "answer", about_something_else)
    with pytest.raises(Problem) as refused:
        seal.add_timestamp(sealed, authority.url)
    assert refused.value.args_["reason"] == "it is for something else"


def test_the_authority_says_what_time_it_is(authority: Authority) -> None:
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    assert before <= seal.ask_authority(authority.url) <= dt.datetime.now(dt.UTC)
