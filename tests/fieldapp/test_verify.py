"""Anybody asks whether a work order is genuine; nobody learns more than the paper says."""

import io
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pikepdf
import pytest
from PIL import Image
from sqlalchemy import select

from fieldapp import blobs, jobs, rates, reports, verify
from fieldapp.handover import sign
from fieldapp.models import Report, db
from fieldapp.rendering import RenderPool
from sync import seal
from sync.problems import Problem
from tests.phones import PAGE

CLEO = {"name": "Cleo Ash", "role": "contact", "opinion": "", "strokes": [[40, 90, 0, 70, 40, 60]]}


@pytest.fixture
def app(app, render_pool):
    app.extensions["render_pool"] = render_pool
    with app.app_context():
        reports.prepare_key(datetime.now(UTC))
    return app


@pytest.fixture(autouse=True)
def _fresh_limits():
    """Every test is another minute to the limits of addresses."""
    yield
    rates.limiter.reset()


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
            blobs.read(row.org_id, reports.paper_name(visit, row.revision))
            for row in db.session.scalars(select(Report).order_by(Report.revision))
        ]
    return body["value"]["token"], *pdfs


@pytest.fixture
def anybody(app):
    """A browser of somebody unknown, in English."""
    client = app.test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


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


# The page behind the QR code


def test_the_newest_revision_is_registered(anybody, two):
    token, _, second = two
    text = page(anybody, f"/verify/{token}/2")
    assert "This work order is registered" in text
    assert "Brook Alarms" in text
    assert "PG-1" in text
    assert seal.digest_of(second) in text
    assert "This work order is registered" in page(anybody, f"/verify/{token}")


def test_an_older_revision_is_superseded(anybody, two):
    token, first, second = two
    text = page(anybody, f"/verify/{token}/1")
    assert "Superseded" in text
    assert "There is a newer revision: 2." in text
    assert seal.digest_of(first) in text
    assert seal.digest_of(second) not in text


@pytest.mark.parametrize("end", ["3", "0", "99999999999999999999"])
def test_a_revision_that_never_was_is_not_ours(anybody, two, end):
    text = page(anybody, f"/verify/{two[0]}/{end}", 404)
    assert "Not ours" in text
    assert "registered" not in text


@pytest.mark.parametrize(
    "token", ["0" * 32, "nonsense", "'; drop table report", "A" * 32, "%00", "0" * 4000]
)
def test_an_unknown_code_is_not_ours(anybody, two, token):
    assert "There is no work order with this code here." in page(anybody, f"/verify/{token}", 404)


def test_the_page_tells_nothing_of_the_customer(anybody, two, visit, erin):
    token = two[0]
    for path in (f"/verify/{token}", f"/verify/{token}/1", "/verify"):
        text = page(anybody, path)
        for secret in ("Customer C1", "Cleo", "138-0000-0001", "Quay", "Main hall", "WAH",
                       "dead since", "siren", "Erin", erin.id, visit, "signed"):  # fmt: skip
            assert secret not in text, secret


def test_the_page_speaks_both_languages(app, anybody, two):
    token = two[0]
    chinese = app.test_client()
    assert "此工单已登记" in page(chinese, f"/verify/{token}")
    assert "已有新版本：第 2 版。" in page(chinese, f"/verify/{token}/1")
    assert "此处没有该编号的工单。" in page(chinese, f"/verify/{'0' * 32}", 404)
    assert "registered" not in page(chinese, f"/verify/{token}")
    assert "registered" in page(anybody, f"/verify/{token}")


def test_an_address_asks_only_so_often(app, anybody, two):
    app.config["VERIFY_PER_MINUTE"] = 3
    for _ in range(3):
        page(anybody, f"/verify/{two[0]}")
    assert "Too many attempts" in page(anybody, f"/verify/{two[0]}", 429)
    other = app.test_client()
    other.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    page(other, f"/verify/{two[0]}")


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


def stripped(pdf):
    """The paper written anew without its seal, by a tool anybody has."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as document:
        del document.Root.AcroForm
        del document.Root.Perms
        for sheet in document.pages:
            if "/Annots" in sheet:
                del sheet.Annots
        document.save(out)
    return out.getvalue()


ALTERATIONS = {
    "a flipped bit": lambda pdf: pdf[:3000] + bytes([pdf[3000] ^ 1]) + pdf[3001:],
    "a flipped bit at the end": lambda pdf: pdf[:-9] + bytes([pdf[-9] ^ 1]) + pdf[-8:],
    "a stripped seal": stripped,
    "a newline behind": lambda pdf: pdf + b"\n",
    "another end": lambda pdf: pdf + b"%%EOF\n",
    "without the seal's revision": lambda pdf: pdf[: pdf.rindex(b"%%EOF", 0, -10) + 6],
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
    foreign = seal.make_key("Brook Alarms", from_at=datetime(2026, 1, 1, tzinfo=UTC))
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
    return subprocess.run(
        [sys.executable, "-c", "from fieldapp.cli import run; run()", "verify", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {
            "FIELDAPP_INSTANCE": str(app.config["INSTANCE"]),
            "DATABASE_URL": app.config["DATABASE_URL"],
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )


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
        assert found["sha256"] == seal.digest_of(data)
        assert set(found) == {
            "outcome", "reason", "revision", "latest", "sha256", "signer_name", "signed_at",
        }  # fmt: skip
    assert token not in told.stdout
    missing = console(app, str(tmp_path / "nowhere.pdf"))
    assert missing.returncode == 2
    assert "does not exist" in missing.stderr
