"""Anybody asks whether a work order is genuine; nobody learns more than the paper says."""

import io
import json
import os
import shutil
import threading
from datetime import UTC, datetime

import pikepdf
import pytest
from cryptography import x509
from PIL import Image
from sqlalchemy import delete, select

from fieldapp import jobs, keys, reports, verify
from fieldapp.handover import sign
from fieldapp.models import Report, db
from fieldapp.rendering import RenderPool
from sync import seal, seal_key
from sync.problems import Problem
from sync.verdict import digest_of
from tests.forked import run
from tests.phones import PAGE
from tests.tampering import cut_off, flipped, stripped

pytestmark = pytest.mark.usefixtures("fresh_limits", "sealing")

CLEO = {"name": "Cleo Ash", "role": "contact", "opinion": "", "strokes": [[40, 90, 0, 70, 40, 60]]}


@pytest.fixture
def two(app, visit, erin_phone):
    """Token and both revisions of a work order: ``(token, first, second)``."""
    erin_phone.pull()
    body = erin_phone.operation("signature", visit, sign(erin_phone.visits[visit]["state"], CLEO))
    for operation in (body, erin_phone.note(visit, "the siren is loose")):
        erin_phone.push(operation)
        with app.app_context():
            jobs.perform_waiting()
    with app.app_context():
        pdfs = [
            reports.read_paper(row)
            for row in db.session.scalars(select(Report).order_by(Report.revision))
        ]
    return body["value"]["token"], *pdfs


def page(client, path, status=200):
    response = client.get(path)
    assert response.status_code == status
    return " ".join(response.text.split())


def check(client, data, name="work-order.pdf", headers=PAGE, status=200):
    """What the page says of an uploaded file."""
    # written by hand: the test client leaves the file of a large form open
    body = b"\r\n".join(
        [
            b"--line",
            f'Content-Disposition: form-data; name="file"; filename="{name}"'.encode(),
            b"Content-Type: application/pdf",
            b"",
            data,
            b"--line--",
            b"",
        ]
    )
    kind = "multipart/form-data; boundary=line"
    response = client.post("/verify", data=body, content_type=kind, headers=dict(headers))
    assert response.status_code == status, response.text
    return " ".join(response.text.split())


def test_an_address_uploads_only_so_often(app, anybody):
    app.config["VERIFY_PER_MINUTE"] = 2
    for _ in range(2):
        check(anybody, b"%PDF nothing")
    check(anybody, b"%PDF nothing", status=429)


# A file in the hand


def test_a_genuine_file_is_genuine(anybody, two):
    text = check(anybody, two[2])
    assert 'data-outcome="genuine"' in text
    assert "2 / 2" in text
    assert "Brook Alarms" in text


def test_the_earlier_file_is_superseded(anybody, two):
    text = check(anybody, two[1])
    assert 'data-outcome="superseded"' in text
    assert "1 / 2" in text


ALTERATIONS = {
    "a flipped bit": lambda pdf: flipped(pdf, 3000),
    "a flipped bit at the end": lambda pdf: flipped(pdf, len(pdf) - 9),
    "a stripped seal": stripped,
    "a newline behind": lambda pdf: pdf + b"\n",
    "another end": lambda pdf: pdf + b"%%EOF\n",
    "without the seal's revision": cut_off,
    "a second paper behind": lambda pdf: pdf + pdf,
}


@pytest.mark.parametrize("alter", ALTERATIONS.values(), ids=ALTERATIONS)
def test_an_altered_file_is_altered(anybody, two, alter):
    text = check(anybody, alter(two[2]))
    assert 'data-outcome="altered"' in text
    assert "Do not rely on it." in text


def other_pdf():
    out = io.BytesIO()
    pikepdf.new().save(out)
    return out.getvalue()


def png():
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


NOT_OURS = {
    "another PDF": other_pdf(),
    "an empty file": b"",
    "a picture": png(),
    "a text": b"%PDF-1.7 nothing of ours",
    "noise": os.urandom(5000),
    "30 MB": bytes(30_000_000),
}


@pytest.mark.parametrize("data", NOT_OURS.values(), ids=NOT_OURS)
def test_what_we_did_not_seal_is_not_ours(anybody, two, data):
    text = check(anybody, data)
    assert 'data-outcome="not-ours"' in text
    assert "was not sealed here" in text


def test_a_file_that_cannot_be_read_is_said_to_be_so(anybody):
    assert "It could not be read as a PDF" in check(anybody, png())
    assert "It could not be read as a PDF" not in check(anybody, other_pdf())


def test_a_paper_sealed_by_somebody_else_under_our_code_is_altered(anybody, two, render_pool):
    foreign = seal_key.make_key("Brook Alarms", from_at=datetime(2026, 1, 1, tzinfo=UTC))
    forged = seal.seal(
        stripped(two[2]), foreign, reason="x", location="x", signed_at=datetime.now(UTC)
    )
    assert 'data-outcome="altered"' in check(anybody, forged)


def test_too_large_a_file_is_a_sentence(anybody, monkeypatch):
    monkeypatch.setattr(verify, "UPLOAD_BYTES", 2_000_000)
    text = check(anybody, bytes(2_000_001), status=413)
    assert "This file is larger than 2 MB, more than this page takes." in text
    assert "in parts" not in text
    assert 'data-outcome="not-ours"' in check(anybody, bytes(1_900_000))


def test_a_paper_larger_than_a_photo_may_be_is_still_genuine(app, anybody, two):
    app.config["BLOB_BYTES"] = len(two[2]) // 2
    assert 'data-outcome="genuine"' in check(anybody, two[2])


def test_no_file_is_a_sentence(anybody):
    for data in ({}, {"file": (io.BytesIO(b""), "")}, {"file": "text"}):
        response = anybody.post(
            "/verify", data=data, headers=PAGE, content_type="multipart/form-data"
        )
        assert response.status_code == 422
        assert "Choose the PDF of the work order first." in response.text


def test_the_form_speaks_chinese_too(app):
    client = app.test_client()
    assert "非本公司" in check(client, b"nothing")
    response = client.post("/verify", data={}, headers=PAGE, content_type="multipart/form-data")
    assert "请先选择工单 PDF。" in response.text


def test_a_form_on_another_site_is_refused(anybody, two):
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
    assert "refused" in check(anybody, two[2], headers=headers, status=403)
    check(anybody, two[2], headers={"Origin": "https://elsewhere.example"}, status=403)
    assert 'data-outcome="genuine"' in check(anybody, two[2], headers={})  # a program


def test_the_name_of_the_file_is_not_repeated(anybody):
    name = "<script>alert(1)</script>.pdf"
    assert "alert(1)" not in check(anybody, b"nothing", name)


def test_the_file_is_not_kept(app, anybody):
    folder = app.config["INSTANCE"]
    before = sorted(folder.rglob("*"))
    check(anybody, other_pdf())
    assert sorted(folder.rglob("*")) == before


# What neither register nor seal says alone


def test_a_seal_without_the_register_is_unproven(app, anybody, two):
    """As after a restored backup."""
    with app.app_context():
        db.session.execute(delete(Report))
        db.session.commit()
    text = check(anybody, two[2])
    assert 'data-outcome="unproven"' in text
    assert "There may be a newer revision." in text
    assert "notice-good" not in text
    assert "无法证实" in check(app.test_client(), two[2])
    assert 'data-outcome="altered"' in check(anybody, flipped(two[2], 3000))


def test_the_register_without_the_seal_is_unproven(app, anybody, two):
    """As after the certificates were lost."""
    with app.app_context():
        shutil.rmtree(keys.folder())
        keys.prepare_key(datetime.now(UTC))
    text = check(anybody, two[2])
    assert 'data-outcome="unproven"' in text
    assert "its seal cannot be checked" in text
    assert "There may be" not in text


def test_a_forged_row_makes_nothing_genuine(app, anybody, two):
    """Whoever reaches the database but not the key registers a paper of his own."""
    olly = seal_key.make_key("Brook Alarms", from_at=datetime.now(UTC))
    forged = seal.seal(
        stripped(two[2]), olly, reason="x", location="x", signed_at=datetime.now(UTC)
    )
    with app.app_context():
        row = db.session.scalars(select(Report).where(Report.revision == 2)).one()
        row.sha256 = digest_of(forged)
        db.session.commit()
    assert 'data-outcome="unproven"' in check(anybody, forged)


# The root


def test_anybody_gets_the_root_and_its_fingerprint(app, anybody):
    answer = anybody.get("/verify/root.crt")
    assert (answer.status_code, answer.mimetype) == (200, "application/pkix-cert")
    assert "root.crt" in answer.headers["Content-Disposition"]
    root = x509.load_der_x509_certificate(answer.data)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    kept = (app.config["INSTANCE"] / "keys" / "root.crt.pem").read_bytes()
    assert seal_key.load_certificates(kept) == [root]
    text = page(anybody, "/verify")
    assert seal_key.name_of(root) in text
    assert seal_key.fingerprint(root) in text
    assert "Compare the fingerprint" in text
    chinese = page(app.test_client(), "/verify")
    assert "根证书" in chinese
    assert seal_key.fingerprint(root) in chinese


def test_an_installation_without_a_key_offers_no_root(app, anybody):
    shutil.rmtree(app.config["INSTANCE"] / "keys")
    assert anybody.get("/verify/root.crt").status_code == 404
    assert "root.crt" not in page(anybody, "/verify")


# Files made to be slow


class Slow:
    """A pool that finds every file too slow, as for a file made to be."""

    def inspect(self, *_):
        raise Problem("report.timeout")


def test_a_file_made_to_be_slow_is_given_up(app, anybody, two):
    app.extensions["render_pool"] = Slow()
    text = check(anybody, two[2] + b"slow")
    assert 'data-outcome="not-ours"' in text
    assert "within the limits of this page" in text


def test_a_process_with_no_time_gives_a_file_up(app, anybody, two):
    with RenderPool(1, seconds=0.001) as pool:
        app.extensions["render_pool"] = pool
        assert 'data-outcome="not-ours"' in check(anybody, two[2] + b"slow")


def test_a_genuine_file_does_not_wait_for_a_slow_one(app, anybody, two):
    started, done = threading.Event(), threading.Event()

    class Stuck:
        """A pool that is busy until the test is over."""

        def inspect(self, *_):
            started.set()
            done.wait(60)
            raise Problem("report.timeout")

    app.extensions["render_pool"] = Stuck()
    slow = threading.Thread(target=lambda: check(app.test_client(), b"%PDF slow"))
    slow.start()
    started.wait(60)
    try:
        assert 'data-outcome="genuine"' in check(anybody, two[2])
        assert "registered" in page(anybody, f"/verify/{two[0]}")
        assert "busy" in check(anybody, b"%PDF another", status=503)
    finally:
        done.set()
        slow.join()


# The console


def console(app, *arguments):
    environment = os.environ | {
        "FIELDAPP_INSTANCE": str(app.config["INSTANCE"]),
        "DATABASE_URL": app.config["DATABASE_URL"],
    }
    return run(["verify", *arguments], environment)


@pytest.mark.usefixtures("sqlite")  # many commands, one sentence each: alike on either database
def test_the_console_ends_with_what_it_found(app, two, tmp_path):
    token, first, second = two
    cases = [
        (second, 0, "genuine", "Genuine"),
        (first, 1, "superseded", "Superseded"),
        (second + b"\n", 1, "altered", "Altered"),
        (b"nothing", 2, "not-ours", "Not ours"),
    ]
    for number, (data, code, outcome, sentence) in enumerate(cases):
        file = tmp_path / f"{number}.pdf"
        file.write_bytes(data)
        done = console(app, str(file))
        assert (done.returncode, done.stderr) == (code, "")
        assert done.stdout.startswith(sentence)
        told = console(app, str(file), "--json")
        assert told.returncode == code
        found = json.loads(told.stdout)
        assert found["outcome"] == outcome
        assert found["sha256"] == digest_of(data)
        assert set(found) == {
            "outcome", "reason", "revision", "latest", "sha256", "signer_name", "signed_at",
            "timestamp", "timestamp_at",
        }  # fmt: skip
    assert token not in told.stdout
    missing = console(app, str(tmp_path / "nowhere.pdf"))
    assert missing.returncode == 2
    assert "does not exist" in missing.stderr
