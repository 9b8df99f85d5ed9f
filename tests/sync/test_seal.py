"""The seal with real certificates: made, checked by ourselves and by poppler, and broken."""

from __future__ import annotations

import datetime as dt
import functools
import http.server
import io
import json
import os
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from asn1crypto import keys as asn1_keys
from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper

from bench.paper import SEALED_AT, day_paper
from fieldapp.rendering import report_environment
from sync import glyphs, report, seal
from sync.problems import Problem
from sync.seal import KnownRevision, SealVerdict, inspect, judge

os.environ["FONTCONFIG_FILE"] = str(glyphs.FONTS_CONF)

TOKEN = day_paper()["token"]


@pytest.fixture(scope="module")
def key() -> seal.SealKey:
    """The office's key."""
    return seal.make_key("安报通技术服务有限公司", from_at=SEALED_AT)


@pytest.fixture(scope="module")
def unsealed() -> bytes:
    return report.render_report(day_paper(), report_environment("zh_CN"))


def sealed_with(pdf: bytes, key: seal.SealKey, **options: Any) -> bytes:
    given = {"reason": "工单", "location": "上海", "signed_at": SEALED_AT} | options
    return seal.seal(pdf, key, **given)


@pytest.fixture(scope="module")
def sealed(unsealed: bytes, key: seal.SealKey) -> bytes:
    return sealed_with(unsealed, key)


def flipped(pdf: bytes, at: int) -> bytes:
    return pdf[:at] + bytes([pdf[at] ^ 1]) + pdf[at + 1 :]


def ranges(pdf: bytes) -> list[int]:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        fields_: Any = document.Root.AcroForm.Fields
        return [int(number) for number in fields_[0].V.ByteRange]


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


# a sealed paper


def test_our_own_check_finds_the_seal_sound(sealed: bytes, key: seal.SealKey) -> None:
    verdict = inspect(sealed, [key.certificate])
    assert verdict == SealVerdict(True, True, "", SEALED_AT, "安报通技术服务有限公司", "none")


def test_poppler_finds_the_seal_valid(sealed: bytes, tmp_path: Path) -> None:
    told = pdfsig(sealed, tmp_path)
    assert "Signature is Valid" in told
    assert "Total document signed" in told
    assert "Not total document signed" not in told
    assert "ETSI.CAdES.detached" in told


def test_qpdf_finds_the_file_clean(sealed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "paper.pdf"
    path.write_bytes(sealed)
    done = subprocess.run(["qpdf", "--check", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "No syntax or stream encoding errors" in done.stdout


def test_the_seal_is_added_after_the_last_byte(sealed: bytes, unsealed: bytes) -> None:
    assert sealed.startswith(unsealed)


def test_the_seal_draws_nothing_and_certifies(sealed: bytes) -> None:
    with pikepdf.open(io.BytesIO(sealed)) as document:
        fields_: Any = document.Root.AcroForm.Fields
        assert [float(edge) for edge in fields_[0].Rect] == [0, 0, 0, 0]
        assert "/DocMDP" in document.Root.Perms
        assert fields_[0].V.Reference[0].TransformParams.P == 2


def test_the_time_of_signing_is_the_one_handed_in(sealed: bytes) -> None:
    with pikepdf.open(io.BytesIO(sealed)) as document:
        fields_: Any = document.Root.AcroForm.Fields
        assert str(fields_[0].V.M).startswith("D:20260310041300")


def test_an_rsa_key_seals_as_well(unsealed: bytes) -> None:
    rsa_key = seal.make_key("Office", from_at=SEALED_AT, algorithm="rsa")
    assert inspect(sealed_with(unsealed, rsa_key), [rsa_key.certificate]).is_sound


def test_an_old_certificate_keeps_its_old_papers(sealed: bytes, key: seal.SealKey) -> None:
    newer = seal.make_key("Office", from_at=SEALED_AT + dt.timedelta(days=4000))
    assert inspect(sealed, [newer.certificate, key.certificate]).is_sound


def test_a_paper_sealed_after_the_certificate_ended_is_refused(unsealed: bytes) -> None:
    short = seal.make_key("Office", from_at=SEALED_AT - dt.timedelta(days=1000), years=1)
    verdict = inspect(sealed_with(unsealed, short), [short.certificate])
    assert (verdict.is_sound, verdict.is_ours, verdict.reason) == (False, True, "expired")


# a sealed paper that was touched


def test_seal_breaks_when_one_byte_changes(
    sealed: bytes, key: seal.SealKey, tmp_path: Path
) -> None:
    touched = flipped(sealed, len(sealed) // 3)
    verdict = inspect(touched, [key.certificate])
    assert not verdict.is_sound
    assert verdict.reason == "changed"
    assert "Signature is Valid" not in pdfsig(touched, tmp_path)


def test_no_flipped_bit_in_the_signed_bytes_goes_unseen(sealed: bytes, key: seal.SealKey) -> None:
    start, length, start2, length2 = ranges(sealed)
    dice = random.Random(7)
    places = [start + dice.randrange(length) for _ in range(40)]
    places += [start2 + dice.randrange(length2) for _ in range(20)]
    unseen = [at for at in places if inspect(flipped(sealed, at), [key.certificate]).is_sound]
    assert unseen == []


def test_bytes_after_the_end_are_seen(sealed: bytes, key: seal.SealKey, tmp_path: Path) -> None:
    longer = sealed + b"\n% a note by Olly\n"
    assert inspect(longer, [key.certificate]).reason == "appended"
    assert "Not total document signed" in pdfsig(longer, tmp_path)


def test_a_page_replaced_by_an_update_is_seen(
    sealed: bytes, key: seal.SealKey, tmp_path: Path
) -> None:
    writer = IncrementalPdfFileWriter(io.BytesIO(sealed))
    pages = writer.root["/Pages"]["/Kids"]
    page = pages[0].get_object()
    page["/Contents"] = pages[1].get_object()["/Contents"]
    writer.update_container(page)
    out = io.BytesIO()
    writer.write(out)
    verdict = inspect(out.getvalue(), [key.certificate])
    assert not verdict.is_sound
    assert verdict.is_ours
    assert "Not total document signed" in pdfsig(out.getvalue(), tmp_path)


def test_a_file_attached_afterwards_is_seen(sealed: bytes, key: seal.SealKey) -> None:
    from pyhanko.pdf_utils import embed

    writer = IncrementalPdfFileWriter(io.BytesIO(sealed))
    extra = embed.EmbeddedFileObject.from_file_data(writer, b"Olly's data")
    embed.embed_file(writer, embed.FileSpec("extra.txt", embedded_data=extra))
    out = io.BytesIO()
    writer.write(out)
    assert not inspect(out.getvalue(), [key.certificate]).is_sound


def test_a_paper_without_its_seal_has_none(unsealed: bytes, key: seal.SealKey) -> None:
    assert inspect(unsealed, [key.certificate]).reason == "no-signature"


def test_a_damaged_kind_of_signature_counts_as_none(sealed: bytes, key: seal.SealKey) -> None:
    touched = sealed.replace(b"/ETSI.CAdES.detached", b"/ETSI.CAdES.detacheX")
    assert touched != sealed
    assert not inspect(touched, [key.certificate]).is_sound


def test_ollys_seal_on_our_paper_is_not_ours(unsealed: bytes, key: seal.SealKey) -> None:
    olly = seal.make_key("安报通技术服务有限公司", from_at=SEALED_AT)
    verdict = inspect(sealed_with(unsealed, olly), [key.certificate])
    assert (verdict.is_sound, verdict.is_ours, verdict.reason) == (
        False,
        False,
        "other-certificate",
    )


def test_a_second_seal_by_olly_under_ours_keeps_ours_first(
    sealed: bytes, key: seal.SealKey
) -> None:
    """P=2 lets a customer counter-sign; the first signature is still the one that counts."""
    cleo = seal.make_key("Cleo", from_at=SEALED_AT)
    meta = signers.PdfSignatureMetadata(field_name="Customer", md_algorithm="sha256")
    out = io.BytesIO()
    signers.PdfSigner(
        meta,
        signer=seal._ParsedKeySigner(cleo),
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
def test_hostile_files_are_answered_not_raised(odd: bytes, key: seal.SealKey) -> None:
    verdict = inspect(odd, [key.certificate])
    assert not verdict.is_sound
    assert verdict.reason in ("unreadable", "no-signature")
    assert seal.read_token(odd) is None


def test_cut_papers_are_answered_not_raised(sealed: bytes, key: seal.SealKey) -> None:
    for part in range(1, 12):
        cut = sealed[: len(sealed) * part // 12]
        assert not inspect(cut, [key.certificate]).is_sound
        seal.read_token(cut)


# timestamps


@pytest.fixture(scope="module")
def authority() -> tuple[x509.Certificate, DummyTimeStamper]:
    """A timestamp authority of our own."""
    private = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Time")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(5)
        .not_valid_before(SEALED_AT - dt.timedelta(days=9))
        .not_valid_after(SEALED_AT + dt.timedelta(days=900))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .sign(private, hashes.SHA256())
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    private_der = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    stamper = DummyTimeStamper(
        asn1_x509.Certificate.load(der),
        asn1_keys.PrivateKeyInfo.load(private_der),
        fixed_dt=SEALED_AT,
    )
    return certificate, stamper


class _Authority(http.server.BaseHTTPRequestHandler):
    def __init__(self, stamper: DummyTimeStamper, *rest: Any) -> None:
        self.stamper = stamper
        super().__init__(*rest)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.stamper.request_tsa_response(tsp.TimeStampReq.load(body)).dump()
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def authority_url(authority: tuple[x509.Certificate, DummyTimeStamper]) -> Iterator[str]:
    handler = functools.partial(_Authority, authority[1])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_a_timestamp_is_trusted_when_its_authority_is_known(
    unsealed: bytes,
    key: seal.SealKey,
    authority: tuple[x509.Certificate, DummyTimeStamper],
    authority_url: str,
) -> None:
    stamped = sealed_with(unsealed, key, timestamp_url=authority_url)
    known = inspect(stamped, [key.certificate], [authority[0]])
    assert (known.is_sound, known.timestamp) == (True, "trusted")
    unknown = inspect(stamped, [key.certificate])
    assert (unknown.is_sound, unknown.timestamp) == (True, "unknown")
    assert not inspect(flipped(stamped, 5000), [key.certificate], [authority[0]]).is_sound


def test_an_authority_that_is_down_is_named(unsealed: bytes, key: seal.SealKey) -> None:
    with pytest.raises(Problem) as refused:
        sealed_with(unsealed, key, timestamp_url="http://127.0.0.1:1/", timestamp_seconds=2)
    assert refused.value.code == "seal.no-timestamp"


def test_a_document_timestamp_added_later_keeps_the_seal(
    sealed: bytes, key: seal.SealKey, authority: tuple[x509.Certificate, DummyTimeStamper]
) -> None:
    out = io.BytesIO()
    signers.PdfTimeStamper(authority[1]).timestamp_pdf(
        IncrementalPdfFileWriter(io.BytesIO(sealed)), "sha256", output=out
    )
    assert inspect(out.getvalue(), [key.certificate]).is_sound
    assert not inspect(out.getvalue() + b"\n", [key.certificate]).is_sound


# keys


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_key_comes_back_from_pem(key: seal.SealKey, passphrase: bytes | None) -> None:
    again = seal.load_key(key.private_pem(passphrase), key.certificate_pem(), passphrase)
    assert again.certificate == key.certificate
    assert again.private.public_key() == key.private.public_key()


@pytest.mark.parametrize("wrong", [None, b"", b"battery staple"])
def test_a_wrong_passphrase_is_refused(key: seal.SealKey, wrong: bytes | None) -> None:
    with pytest.raises(Problem) as refused:
        seal.load_key(key.private_pem(b"correct horse"), key.certificate_pem(), wrong)
    assert refused.value.code == "seal.key-unreadable"


def test_a_certificate_of_another_key_is_refused(key: seal.SealKey) -> None:
    other = seal.make_key("Office", from_at=SEALED_AT)
    with pytest.raises(Problem):
        seal.load_key(key.private_pem(), other.certificate_pem())


def test_an_encrypted_key_shows_nothing(key: seal.SealKey) -> None:
    assert b"ENCRYPTED" in key.private_pem(b"correct horse")


def test_the_certificate_says_what_it_is_for(key: seal.SealKey) -> None:
    usage = key.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.content_commitment
    assert not usage.key_cert_sign
    lasts = key.certificate.not_valid_after_utc - SEALED_AT
    assert lasts.days == 3652


@pytest.mark.parametrize(
    "options",
    [
        {"organisation_name": " "},
        {"years": 0},
        {"from_at": SEALED_AT.replace(tzinfo=None)},
    ],
)
def test_a_key_without_name_or_time_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="make_key"):
        seal.make_key(**({"organisation_name": "Office", "from_at": SEALED_AT} | options))


# the token


def test_the_token_is_read_from_the_metadata(sealed: bytes) -> None:
    assert seal.read_token(sealed) == TOKEN


def test_the_token_is_read_from_the_data_when_the_metadata_are_gone(unsealed: bytes) -> None:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(unsealed)) as document:
        del document.docinfo["/Keywords"]
        document.save(out)
    assert seal.read_token(out.getvalue()) == TOKEN


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "../etc"}'])
def test_odd_data_hold_no_token(data: bytes) -> None:
    out = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.attachments["visit.json"] = data
        document.save(out)
    assert seal.read_token(out.getvalue()) is None


# the answer of the public page

SOUND = SealVerdict(True, True, "")
BROKEN = SealVerdict(False, True, "changed")
NONE = SealVerdict(False, False, "no-signature")
FOREIGN = SealVerdict(False, False, "other-certificate")
KNOWN = [
    KnownRevision("a" * 32, 1, "1" * 64),
    KnownRevision("a" * 32, 2, "2" * 64),
    KnownRevision("b" * 32, 1, "3" * 64),
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
        ("9" * 64, SOUND, "c" * 32, ("genuine", "seal-only", None, None)),
        ("9" * 64, BROKEN, "c" * 32, ("altered", "broken-seal", None, None)),
        ("9" * 64, BROKEN, None, ("altered", "broken-seal", None, None)),
        ("9" * 64, NONE, None, ("not-ours", "unknown", None, None)),
        ("9" * 64, FOREIGN, "c" * 32, ("not-ours", "unknown", None, None)),
        ("9" * 64, NONE, "c" * 32, ("not-ours", "unknown", None, None)),
    ],
)
def test_the_page_says_one_of_four_things(
    sha256: str, verdict: SealVerdict, token: str | None, expected: tuple[Any, ...]
) -> None:
    told = judge(sha256, verdict, token, KNOWN)
    assert (told.outcome, told.reason, told.revision, told.latest) == expected


def test_cleos_paper_is_genuine_until_one_byte_changes(
    sealed: bytes, unsealed: bytes, key: seal.SealKey
) -> None:
    known = [KnownRevision(TOKEN, 1, seal.digest_of(sealed))]

    def asked(pdf: bytes) -> str:
        verdict = inspect(pdf, [key.certificate])
        return judge(seal.digest_of(pdf), verdict, seal.read_token(pdf), known).outcome

    assert asked(sealed) == "genuine"
    assert asked(flipped(sealed, len(sealed) // 2)) == "altered"
    assert asked(unsealed) == "altered"
    assert asked(sealed + b"\n") == "altered"
    newer = [*known, KnownRevision(TOKEN, 2, "2" * 64)]
    verdict = inspect(sealed, [key.certificate])
    assert judge(seal.digest_of(sealed), verdict, TOKEN, newer).outcome == "superseded"


def test_the_data_in_the_sealed_paper_can_be_read_back(sealed: bytes) -> None:
    with pikepdf.open(io.BytesIO(sealed)) as document:
        data = json.loads(document.attachments["visit.json"].get_file().read_bytes())
    assert data["token"] == TOKEN
    assert data["snapshot"] == day_paper()["snapshot"]
