"""What the seal of a paper says, whole and after somebody touched it."""

from __future__ import annotations

import datetime as dt
import io
import random

import pytest
from pyhanko.pdf_utils import embed
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers

from bench.paper import SEALED_AT
from sync import seal, seal_check, seal_key
from sync.seal_check import SealVerdict, inspect
from sync.verdict import KnownRevision, digest_of, judge, read_token
from tests.tampering import cut_off, flipped, flips, page_replaced


def sealed_by(pdf: bytes, key: seal_key.SealKey, signed_at: dt.datetime = SEALED_AT) -> bytes:
    return seal.seal(pdf, key, reason="工单", location="上海", signed_at=signed_at)


# whole


def test_our_own_check_finds_the_seal_sound(sealed: bytes, key: seal_key.SealKey) -> None:
    expected = SealVerdict(True, True, "", SEALED_AT, seal_key.name_of(key.certificate))
    assert inspect(sealed, [key.certificate]) == expected
    assert not seal_check.has_timestamp(sealed)


def test_a_certificate_made_by_itself_seals_as_before_there_were_roots(unsealed: bytes) -> None:
    key = seal_key.make_key("Office", from_at=SEALED_AT)
    assert inspect(sealed_by(unsealed, key), [key.certificate]).is_sound


def test_an_old_certificate_keeps_its_old_papers(
    sealed: bytes, key: seal_key.SealKey, root: seal_key.SealKey
) -> None:
    newer = seal_key.make_key("Office", from_at=SEALED_AT + dt.timedelta(days=4000), root=root)
    assert inspect(sealed, [newer.certificate, key.certificate]).is_sound


def test_the_root_alone_makes_nothing_ours(
    sealed: bytes, key: seal_key.SealKey, root: seal_key.SealKey
) -> None:
    """An authority's root issues to others too: certificates are asked for one by one."""
    sister = seal_key.make_key("Office", from_at=SEALED_AT, root=root)
    for trusted in ([root.certificate], [sister.certificate], []):
        verdict = inspect(sealed, trusted)
        assert (verdict.is_sound, verdict.reason) == (False, "other-certificate")


def test_a_paper_sealed_after_the_certificate_ended_is_refused(
    unsealed: bytes, root: seal_key.SealKey
) -> None:
    short = seal_key.make_key("Office", from_at=SEALED_AT, root=root, years=1)
    late = sealed_by(unsealed, short, SEALED_AT + dt.timedelta(days=400))
    verdict = inspect(late, [short.certificate])
    assert (verdict.is_sound, verdict.is_ours, verdict.reason) == (False, True, "expired")


# touched


def test_no_one_of_two_hundred_flipped_bits_goes_unseen(
    sealed: bytes, key: seal_key.SealKey
) -> None:
    """The seal sees what it covers; what it does not (its padding) is seen by the register."""
    known = [KnownRevision(read_token(sealed) or "", 1, digest_of(sealed))]
    whole = inspect(sealed, [key.certificate])
    assert judge(digest_of(sealed), whole, read_token(sealed), known).outcome == "genuine"
    places = flips(sealed)
    assert len(set(places)) == 200
    wrong, unseen = [], []
    for place in places:
        part, at, bit = place
        touched = flipped(sealed, at, bit)
        verdict = inspect(touched, [key.certificate])
        if judge(digest_of(touched), verdict, read_token(touched), known).outcome != "altered":
            wrong.append(place)
        if part.startswith("signed") and verdict.is_sound:
            unseen.append(place)
    assert (wrong, unseen) == ([], [])


def test_bytes_after_the_end_are_seen(sealed: bytes, key: seal_key.SealKey) -> None:
    for more in (b"\n", b"\n% a note by Olly\n"):
        assert inspect(sealed + more, [key.certificate]).reason == "appended"


def test_a_page_replaced_by_an_update_is_seen(sealed: bytes, key: seal_key.SealKey) -> None:
    verdict = inspect(page_replaced(sealed), [key.certificate])
    assert (verdict.is_sound, verdict.is_ours, verdict.reason) == (False, True, "changed")


def test_a_file_attached_afterwards_is_seen(sealed: bytes, key: seal_key.SealKey) -> None:
    writer = IncrementalPdfFileWriter(io.BytesIO(sealed))
    extra = embed.EmbeddedFileObject.from_file_data(writer, b"Olly's data")
    embed.embed_file(writer, embed.FileSpec("extra.txt", embedded_data=extra))
    out = io.BytesIO()
    writer.write(out)
    assert not inspect(out.getvalue(), [key.certificate]).is_sound


def test_a_paper_without_its_seal_has_none(
    sealed: bytes, unsealed: bytes, key: seal_key.SealKey
) -> None:
    for pdf in (unsealed, cut_off(sealed)):
        assert inspect(pdf, [key.certificate]).reason == "no-signature"


def test_a_damaged_kind_of_signature_counts_as_none(sealed: bytes, key: seal_key.SealKey) -> None:
    touched = sealed.replace(b"/ETSI.CAdES.detached", b"/ETSI.CAdES.detacheX")
    assert touched != sealed
    assert not inspect(touched, [key.certificate]).is_sound


def test_ollys_seal_on_our_paper_is_not_ours(unsealed: bytes, key: seal_key.SealKey) -> None:
    """He gives his root and his certificate our names; the keys are his."""
    name = seal_key.name_of(key.certificate)
    his_root = seal_key.make_root(name, from_at=SEALED_AT)
    olly = seal_key.make_key(name, from_at=SEALED_AT, root=his_root)
    assert (olly.certificate.subject, olly.certificate.issuer) == (
        key.certificate.subject,
        key.certificate.issuer,
    )
    verdict = inspect(sealed_by(unsealed, olly), [key.certificate])
    assert (verdict.is_sound, verdict.is_ours, verdict.reason) == (
        False,
        False,
        "other-certificate",
    )


def test_a_second_seal_by_olly_under_ours_keeps_ours_first(
    sealed: bytes, key: seal_key.SealKey
) -> None:
    """P=2 lets a customer counter-sign; the first signature is still the one that counts."""
    cleo = seal_key.make_key("Cleo", from_at=SEALED_AT)
    meta = signers.PdfSignatureMetadata(field_name="Customer", md_algorithm="sha256")
    out = io.BytesIO()
    signers.PdfSigner(
        meta,
        signer=seal.ParsedKeySigner(cleo),
        new_field_spec=fields.SigFieldSpec("Customer", on_page=-1),
    ).sign_pdf(IncrementalPdfFileWriter(io.BytesIO(sealed)), output=out)
    both = out.getvalue()
    assert inspect(both, [key.certificate]).is_sound
    assert inspect(both, [cleo.certificate]).reason == "other-certificate"
    assert not inspect(flipped(both, len(sealed) + 200), [key.certificate]).is_sound
    assert inspect(both + b"\n", [key.certificate]).reason == "appended"


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"%PDF-1.7",
        b"%PDF-1.7\n" + b"[" * 100_000,
        b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 1 0 R >>\nendobj\ntrailer << /Root 1 0 R >>",
        bytes(random.Random(3).randrange(256) for _ in range(20_000)),
    ],
    ids=["empty", "head", "nested", "loop", "noise"],
)
def test_hostile_files_are_answered_not_raised(odd: bytes, key: seal_key.SealKey) -> None:
    verdict = inspect(odd, [key.certificate])
    assert not verdict.is_sound
    assert verdict.reason in ("unreadable", "no-signature")
    assert read_token(odd) is None


def test_cut_papers_are_answered_not_raised(sealed: bytes, key: seal_key.SealKey) -> None:
    for part in range(1, 12):
        cut = sealed[: len(sealed) * part // 12]
        assert not inspect(cut, [key.certificate]).is_sound
        read_token(cut)
