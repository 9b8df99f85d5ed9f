"""The paper of a visit: when it is sealed, what stands on it, and what never stops it."""

import functools
import hashlib
import http.server
import io
import json
import stat
import subprocess
import threading
from datetime import UTC, datetime

import pikepdf
import pytest
from PIL import Image
from sqlalchemy import select

from fieldapp import blobs, jobs, reports
from fieldapp.models import Blob, Contact, Customer, Organisation, Report, Site, Visit, db
from fieldapp.perform import unit
from fieldapp.rendering import RenderPool
from fieldapp.verify import verdict_of
from sync import catalogue, seal
from sync.canonical import canonical, sha256
from sync.snapshot import snapshot_text
from tests import cast
from tests.phones import CLEO, PAGE, at_desk, flags_of, signature


@pytest.fixture(scope="module")
def render_pool():
    """One process for all papers of this file: it takes seconds to start."""
    with RenderPool(1, seconds=60) as pool:
        yield pool


@pytest.fixture
def app(app, render_pool):
    """The office with its key; it waits for no photo unless a test says so."""
    app.config["PHOTO_PATIENCE_SECONDS"] = 0
    app.extensions["render_pool"] = render_pool
    with app.app_context():
        reports.prepare_key(datetime.now(UTC))
    return app


@pytest.fixture
def work(app):
    """``work()`` does every waiting job and says how many there were."""

    def do():
        with app.app_context():
            return jobs.perform_waiting()

    return do


def papers(app, visit_id):
    """(revision, PDF) of everything sealed for a visit; what is kept is what is registered."""
    with app.app_context():
        found = []
        for row in db.session.scalars(
            select(Report).where(Report.visit_id == visit_id).order_by(Report.revision)
        ):
            pdf = blobs.read(row.org_id, reports.paper_name(visit_id, row.revision))
            assert seal.digest_of(pdf) == row.sha256
            found.append((row.revision, pdf))
        return found


def revisions(app, visit_id):
    return [revision for revision, _ in papers(app, visit_id)]


def row_of(app, visit_id):
    """The newest registered revision."""
    with app.app_context():
        rows = select(Report).where(Report.visit_id == visit_id).order_by(Report.revision.desc())
        return db.session.scalars(rows).first()


def text_of(pdf):
    done = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True
    )
    return " ".join(done.stdout.decode().split())


def newest_text(app, visit_id):
    return text_of(papers(app, visit_id)[-1][1])


def inside(pdf, name="visit.json"):
    """A file attached to the paper."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        return document.attachments[name].get_file().read_bytes()


def outcome(app, pdf):
    with app.app_context():
        return verdict_of(pdf).outcome


def resigned(body, change):
    """A signature whose snapshot ``change`` was done to, with the digest of what it is now."""
    snapshot = json.loads(body["value"]["snapshot"])
    change(snapshot)
    text = snapshot_text(snapshot["facts"], snapshot["context"])
    return body["value"] | {"snapshot": text, "digest": sha256(text)}


def measure(phone, visit_id, text="replaced the power board", **more):
    value = {"text": text, "completed_at": "2026-03-10T03:20:00Z"}
    return phone.operation("measure", visit_id, value, **more)


def photo(phone, visit_id, data, caption="the board"):
    name = hashlib.sha256(data).hexdigest()
    return phone.operation("photo", visit_id, {"sha256": name, "caption": caption})


def upload(phone, data):
    response = phone.wire.put(
        f"/sync/blobs/{hashlib.sha256(data).hexdigest()}",
        data=data,
        headers=phone.headers
        | {
            "Content-Type": "application/octet-stream",
            "Upload-Offset": "0",
            "Upload-Length": str(len(data)),
        },
    )
    assert response.json["complete"], response.text


def picture(size=(64, 48), kind="JPEG", mode="RGB"):
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind)
    return out.getvalue()


@pytest.fixture
def signed(erin_phone, visit, work):
    """The id of Erin's visit, signed by Cleo and sealed."""
    erin_phone.push(measure(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit))
    work()
    return visit


# When a paper is due


def test_a_visit_nobody_signed_has_no_paper(app, visit, erin_phone, work):
    erin_phone.push(measure(erin_phone, visit))
    work()
    assert papers(app, visit) == []


def test_nothing_is_sealed_before_all_that_cleo_signed_is_here(app, visit, erin_phone, work):
    late = measure(erin_phone, visit)
    erin_phone.push(signature(erin_phone, visit, late))
    work()
    assert papers(app, visit) == []
    erin_phone.push(late)
    work()
    ((_, pdf),) = papers(app, visit)
    assert row_of(app, visit).verdict == "verified"
    assert "replaced the power board" in text_of(pdf)
    assert "The office holds exactly what was signed." in text_of(pdf)
    assert outcome(app, pdf) == "genuine"


def test_a_signature_that_waits_does_not_hold_up_the_one_before(app, signed, erin_phone, work):
    late = erin_phone.note(signed, "and a fuse")
    erin_phone.push(signature(erin_phone, signed, late, opinion="again"))
    work()
    assert revisions(app, signed) == [1]
    erin_phone.push(late)
    work()
    assert "again" in newest_text(app, signed)
    assert inside(papers(app, signed)[-1][1]).count(b"and a fuse") == 1


def test_the_same_again_seals_nothing(app, signed, work):
    with app.app_context():
        assert reports.make_report(signed) is None
    work()
    assert revisions(app, signed) == [1]


def test_a_visit_that_is_not_here_has_no_paper(app):
    with app.app_context():
        assert reports.make_report("01900000-0000-7000-8000-00000000dead") is None


def test_the_phone_hears_of_the_paper(app, visit, erin_phone, work):
    erin_phone.push(signature(erin_phone, visit))
    erin_phone.pull()
    before = erin_phone.revisions[visit]
    work()
    erin_phone.pull()
    assert erin_phone.revisions[visit] > before


@pytest.mark.parametrize(
    "operation",
    [
        ("remark", {"text": "the key is back"}),
        ("review", {"verdict": "accepted", "reason": ""}),
        ("appointment", {"at": "2026-03-11T02:00:00Z"}),
        ("cancellation", {"reason": "by mistake"}),
    ],
)
def test_what_the_office_says_to_itself_makes_no_revision(app, signed, dana, work, operation):
    at_desk(app, dana, signed, operation)
    work()
    assert revisions(app, signed) == [1]


def test_leaving_makes_no_revision(app, signed, erin_phone, work):
    erin_phone.push(erin_phone.operation("leaving", signed, {}))
    work()
    assert revisions(app, signed) == [1]


# Photos on their way


def test_the_paper_waits_a_little_for_a_photo(app, visit, erin_phone, work):
    app.config["PHOTO_PATIENCE_SECONDS"] = 3600
    data = picture()
    erin_phone.push(photo(erin_phone, visit, data))
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert papers(app, visit) == []
    assert [task.args for task in app.extensions["huey"].scheduled()] == [("report", visit)]
    upload(erin_phone, data)
    work()
    assert revisions(app, visit) == [1]
    assert "Still on the phone" not in newest_text(app, visit)


def test_a_late_photo_is_named_first_and_completes_the_paper_later(app, visit, erin_phone, work):
    data = picture()
    erin_phone.push(photo(erin_phone, visit, data))
    erin_phone.push(signature(erin_phone, visit))
    work()
    ((_, first),) = papers(app, visit)
    assert "Still on the phone: follows with the next revision." in text_of(first)
    assert pictures_in(first) == 0

    upload(erin_phone, data)
    work()
    (_, (revision, second)) = papers(app, visit)
    assert revision == 2
    assert "Still on the phone" not in text_of(second)
    assert pictures_in(second) == 1
    assert inside(second, "previous.pdf") == first
    told = json.loads(inside(second))
    assert told["previous_sha256"] == seal.digest_of(first)
    assert told["revision"] == 2
    assert (outcome(app, first), outcome(app, second)) == ("superseded", "genuine")
    work()
    assert revisions(app, visit) == [1, 2]


def pictures_in(pdf):
    with pikepdf.open(io.BytesIO(pdf)) as document:
        return len(
            {image.objgen for page in document.pages for image in page.get_images().values()}
        )


@pytest.mark.parametrize(
    ("data", "flag"),
    [
        (b"this is no picture", "photo.unreadable"),
        (picture((10_000, 10_000), "PNG", "1"), "photo.too-many-pixels"),
    ],
    ids=["no picture", "100 megapixels"],
)
def test_a_photo_nobody_can_show_is_kept_flagged_and_named(
    app, visit, erin_phone, work, data, flag
):
    erin_phone.push(photo(erin_phone, visit, data, "the cellar"))
    upload(erin_phone, data)
    work()
    assert flag in flags_of(app, visit)
    erin_phone.push(signature(erin_phone, visit))
    work()
    text = newest_text(app, visit)
    assert "the cellar" in text
    assert "Cannot be shown: the file is kept as evidence." in text
    with app.app_context():
        kept = blobs.read(erin_phone.person.org_id, hashlib.sha256(data).hexdigest())
    assert kept == data


def test_a_photo_whose_own_job_was_lost_does_not_stop_the_paper(app, visit, erin_phone, work):
    good, bad = picture(), b"this is no picture"
    erin_phone.push(photo(erin_phone, visit, good), photo(erin_phone, visit, bad, "the cellar"))
    upload(erin_phone, good)
    upload(erin_phone, bad)
    app.extensions["huey"].storage.flush_queue()
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert revisions(app, visit) == [1]
    assert pictures_in(papers(app, visit)[0][1]) == 1
    assert "Cannot be shown" in newest_text(app, visit)
    assert "photo.unreadable" in flags_of(app, visit)


def test_a_photo_that_storage_lost_does_not_stop_the_paper(app, visit, erin_phone, work):
    name = "ab" * 32
    erin_phone.push(erin_phone.operation("photo", visit, {"sha256": name}))
    with app.app_context():
        now = datetime.now(UTC)
        db.session.add(
            Blob(org_id=erin_phone.person.org_id, sha256=name, size=9, received=9, complete_at=now)
        )
        db.session.commit()
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert revisions(app, visit) == [1]


# After the signature


def noted(phone, visit_id):
    phone.push(phone.note(visit_id, "the siren is loose"))
    return "the siren is loose"


def corrected(phone, visit_id):
    entry = entry_of(phone, visit_id, "measure")
    path = f"entries/{entry}/text"
    phone.push(
        phone.operation("correction", visit_id, {path: "replaced the fuse"}, {path: [entry]})
    )
    return "replaced the fuse"


def voided(phone, visit_id):
    entry = entry_of(phone, visit_id, "measure")
    phone.push(phone.operation("void", visit_id, {"entry": entry, "reason": "wrong cabinet"}))
    return "wrong cabinet"


def changed(phone, visit_id):
    with phone.app.app_context():
        heads = db.session.get_one(Visit, visit_id).state["fields"]["fault/text"]["heads"]
    body = phone.operation(
        "fault", visit_id, {"fault/text": "dead since 08:10"}, {"fault/text": heads}
    )
    phone.push(body)
    return "dead since 08:10"


def entry_of(phone, visit_id, kind):
    with phone.app.app_context():
        entries = db.session.get_one(Visit, visit_id).state["entries"]
    return next(entry["id"] for entry in entries if entry["kind"] == kind)


@pytest.mark.parametrize("later", [noted, corrected, voided, changed])
def test_what_erin_adds_after_the_signature_is_an_addendum(app, signed, erin_phone, work, later):
    told = later(erin_phone, signed)
    work()
    ((_, first), (_, second)) = papers(app, signed)
    assert "Addendum" not in text_of(first)
    before, _, after = text_of(second).partition("Addendum")
    assert told in after
    assert told not in before
    assert "replaced the power board" in before
    assert "dead since 08:40" in before
    assert inside(second, "previous.pdf") == first
    work()
    assert revisions(app, signed) == [1, 2]


def test_an_addendum_that_is_withdrawn_does_not_vanish(app, signed, erin_phone, work):
    noted(erin_phone, signed)
    work()
    about = entry_of(erin_phone, signed, "note")
    erin_phone.push(erin_phone.operation("void", signed, {"entry": about, "reason": "it was not"}))
    work()
    _, _, after = newest_text(app, signed).partition("Addendum")
    assert "the siren is loose" in after
    assert "Void: Note" in after
    assert "it was not" in after


def test_eli_who_had_not_seen_the_signature_is_on_the_addendum_too(
    app, visit, erin_phone, eli, dana, phone_of, work
):
    value = {"diagnosis/text": "the board is dead", "diagnosis/cause": "product"}
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    elis = phone_of(eli)
    early = elis.operation("diagnosis", visit, {"diagnosis/text": "the fuse is dead"})
    early = elis.operation(
        "diagnosis", visit, {"diagnosis/text": "the fuse is dead"}, wall=early["wall"] - 3_600_000
    )
    erin_phone.push(erin_phone.operation("diagnosis", visit, value))
    at_desk(app, dana, visit, ("assignment", {"engineer": erin_phone.person.id}))
    erin_phone.push(signature(erin_phone, visit))
    work()
    elis.push(early)
    work()
    before, _, after = newest_text(app, visit).partition("Addendum")
    assert "the board is dead" in before
    assert "the fuse is dead" in after
    assert "the board is dead" not in after

    heads = erin_phone.pull() and erin_phone.visits[visit]["state"]["fields"]["diagnosis/text"]
    at_desk(
        app,
        dana,
        visit,
        (
            "resolution",
            {"diagnosis/text": "the board is dead"},
            {"diagnosis/text": heads["heads"]},
        ),
    )
    work()
    assert revisions(app, visit) == [1, 2]


# Two signatures, a withdrawn one, none


def test_the_newer_of_two_signatures_makes_the_paper(app, signed, erin_phone, work):
    noted(erin_phone, signed)
    work()
    erin_phone.push(signature(erin_phone, signed, name="Cleo Ash-Brook", opinion="now all is well"))
    work()
    assert revisions(app, signed) == [1, 2, 3]
    text = newest_text(app, signed)
    assert "Cleo Ash-Brook" in text
    assert "Addendum" not in text
    assert "the siren is loose" in text
    tokens = {json.loads(inside(pdf))["token"] for _, pdf in papers(app, signed)}
    assert len(tokens) == 1


def test_what_only_the_other_signature_covers_is_not_lost(
    app, visit, dana, erin_phone, eli, phone_of, work
):
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    elis = phone_of(eli)
    note = elis.note(visit, "the horn is cracked")
    hers = signature(elis, visit, note, name="Cleo at noon")
    hers = elis.operation("signature", visit, hers["value"], wall=hers["wall"] - 3_600_000)
    at_desk(app, dana, visit, ("assignment", {"engineer": erin_phone.person.id}))
    erin_phone.push(measure(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit, name="Cleo at two"))
    elis.push(note, hers)
    work()
    before, _, after = newest_text(app, visit).partition("Addendum")
    assert "Cleo at two" in before
    assert "the horn is cracked" in after


def withdraw(phone, visit_id, reason="the wrong person signed"):
    with phone.app.app_context():
        entry = db.session.get_one(Visit, visit_id).state["signatures"][-1]
    phone.push(phone.operation("void", visit_id, {"entry": entry["id"], "reason": reason}))


def make(app, visit_id):
    """What the job does, asked for by hand."""
    with app.app_context():
        return reports.make_report(visit_id)


def test_a_withdrawn_signature_makes_no_paper(app, visit, erin_phone, work):
    erin_phone.push(signature(erin_phone, visit))
    withdraw(erin_phone, visit)
    work()
    assert make(app, visit) is None
    assert papers(app, visit) == []


def test_a_signature_withdrawn_after_the_seal_is_said_in_a_new_revision(
    app, signed, erin_phone, work
):
    withdraw(erin_phone, signed)
    work()
    make(app, signed)
    ((_, first), (_, second)) = papers(app, signed)
    before, _, after = text_of(second).partition("Addendum")
    assert "Not signed." in before
    assert "replaced the power board" in before
    assert "Cleo Ash" in after
    assert "Void: Signature" in after
    assert "the wrong person signed" in after
    assert inside(second, "previous.pdf") == first
    assert json.loads(inside(second))["signature"] is None
    assert row_of(app, signed).verdict == "withdrawn"
    assert (outcome(app, first), outcome(app, second)) == ("superseded", "genuine")
    assert make(app, signed) is None


def test_a_new_signature_after_a_withdrawn_one_stands(app, signed, erin_phone, work):
    withdraw(erin_phone, signed)
    make(app, signed)
    erin_phone.push(signature(erin_phone, signed, name="Cleo herself"))
    work()
    text = newest_text(app, signed)
    assert "Cleo herself" in text
    assert "wrong person" not in text
    assert revisions(app, signed) == [1, 2, 3]


REFUSAL = {"reason": "disputes", "text": "it was dead before", "witness_name": "Mo Lin"}


@pytest.fixture
def refused(erin_phone, visit, work):
    """The id of a visit that Cleo refused to sign and Erin left."""
    erin_phone.push(measure(erin_phone, visit))
    erin_phone.push(erin_phone.operation("refusal", visit, REFUSAL))
    work()
    assert papers(erin_phone.app, visit) == []
    erin_phone.push(erin_phone.operation("leaving", visit, {}))
    work()
    return visit


def test_a_refusal_gets_its_paper_once_erin_left(app, refused):
    ((_, pdf),) = papers(app, refused)
    text = text_of(pdf)
    assert "Refusal to sign" in text
    assert "it was dead before" in text
    assert "Mo Lin" in text
    assert "The signature stands for everything" not in text
    assert row_of(app, refused).verdict == "refused"
    assert outcome(app, pdf) == "genuine"


def test_what_the_office_knows_better_alone_revises_no_refusal(app, refused, erin, dana, work):
    with app.app_context():
        for contact in db.session.scalars(select(Contact)):
            contact.phone = "139-0000-0009"
        db.session.commit()
    at_desk(app, dana, refused, ("remark", {"text": "called back"}))
    work()
    assert revisions(app, refused) == [1]


def test_what_erin_adds_to_a_refused_visit_is_a_new_revision(app, refused, erin_phone, work):
    noted(erin_phone, refused)
    work()
    assert revisions(app, refused) == [1, 2]
    assert "the siren is loose" in newest_text(app, refused)


def test_a_refusal_withdrawn_after_the_seal_is_said_in_a_new_revision(app, refused, erin_phone):
    entry = entry_of(erin_phone, refused, "refusal")
    erin_phone.push(
        erin_phone.operation("void", refused, {"entry": entry, "reason": "a misunderstanding"})
    )
    make(app, refused)
    before, _, after = newest_text(app, refused).partition("Addendum")
    assert "Not signed." in before
    assert "it was dead before" not in before
    assert "Void: Refusal to sign" in after
    assert "a misunderstanding" in after
    assert make(app, refused) is None


def test_cleo_may_sign_after_she_refused(app, refused, erin_phone, work):
    erin_phone.push(signature(erin_phone, refused))
    work()
    assert "The signature stands for everything above this line." in newest_text(app, refused)
    assert revisions(app, refused) == [1, 2]


# What differs, what cannot be read, what is hostile


def test_a_signature_on_something_else_is_sealed_as_it_was_signed(app, visit, erin_phone, work):
    erin_phone.push(measure(erin_phone, visit))
    body = signature(erin_phone, visit)

    def another_text(snapshot):
        (entry,) = snapshot["facts"]["entries"]
        entry["value"]["text"] = "what Cleo saw"

    value = resigned(body, another_text)
    erin_phone.push(erin_phone.operation("signature", visit, value))
    work()
    assert flags_of(app, visit) == ["signature.mismatch"]
    ((_, pdf),) = papers(app, visit)
    text = text_of(pdf)
    assert "what Cleo saw" in text
    assert "What the office holds differs from what was signed" in text
    assert canonical(json.loads(inside(pdf))["snapshot"]) == value["snapshot"]
    assert row_of(app, visit).verdict == "mismatch"


def drop(*path):
    def change(snapshot):
        for name in path[:-1]:
            snapshot = snapshot[name]
        del snapshot[path[-1]]

    return change


def put(value, *path):
    def change(snapshot):
        for name in path[:-1]:
            snapshot = snapshot[name]
        snapshot[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        drop("facts", "entries"),
        put(5, "facts", "fields"),
        put([5], "facts", "entries"),
        put("soon", "facts", "entries", 0, "wall_at"),
        put(["fault/text"], "facts", "fields", 0, "values", 0),
        drop("context", "site"),
        put("here", "context", "site"),
        put([["x", []]], "context", "site", "offsets"),
        put([7], "context", "people"),
        put([], "context"),
        put([], "facts"),
    ],
)
def test_a_signed_text_that_is_no_visit_stops_no_queue(app, visit, erin_phone, work, change):
    erin_phone.push(measure(erin_phone, visit))
    body = signature(erin_phone, visit)
    erin_phone.push(erin_phone.operation("signature", visit, resigned(body, change)))
    work()
    assert "signature.mismatch" in flags_of(app, visit)
    assert [task.args for task in app.extensions["huey"].scheduled()] == []
    assert len(papers(app, visit)) <= 1


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"facts": 1.5, "context": {}}', None])
def test_a_signed_text_nobody_can_read_makes_no_paper(app, visit, erin_phone, work, text):
    value = CLEO | {"frontier": {"operations": [], "photos": []}, "snapshot": text, "token": "x"}
    value["digest"] = sha256(text or "")
    erin_phone.push(erin_phone.operation("signature", visit, value))
    work()
    assert "signature.mismatch" in flags_of(app, visit)
    assert papers(app, visit) == []
    assert [task.args for task in app.extensions["huey"].scheduled()] == []
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert revisions(app, visit) == [1]


@pytest.mark.parametrize("token", ["../../etc", "", "A" * 32, "f" * 400, 7, None])
def test_a_token_that_is_none_is_replaced(app, visit, erin_phone, work, token):
    body = signature(erin_phone, visit)
    erin_phone.push(erin_phone.operation("signature", visit, body["value"] | {"token": token}))
    work()
    row = row_of(app, visit)
    page = app.test_client().get(f"/verify/{row.token}/1")
    assert page.status_code == 200


def test_two_visits_with_one_token_both_get_a_paper(app, visit_of, erin, erin_phone, work):
    one, other = visit_of(erin, "PG-1"), visit_of(erin, "PG-2")
    for visit_id in (one, other):
        body = signature(erin_phone, visit_id)
        value = body["value"] | {"token": "ab" * 16}
        erin_phone.push(erin_phone.operation("signature", visit_id, value))
    work()
    assert row_of(app, one).token == "ab" * 16
    assert row_of(app, other).token != "ab" * 16
    assert outcome(app, papers(app, other)[0][1]) == "genuine"


def test_an_emoji_does_not_stop_the_paper(app, visit, erin_phone, work):
    erin_phone.push(erin_phone.note(visit, "all well \U0001f600"))
    erin_phone.push(signature(erin_phone, visit))
    work()
    ((_, pdf),) = papers(app, visit)
    assert "all well [U+1F600]" in text_of(pdf)
    assert "all well \U0001f600" in inside(pdf).decode()


@pytest.fixture
def listener():
    """Somebody who would notice if a paper asked him for anything: ``(url, requests)``."""
    heard = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", heard
        server.shutdown()
        thread.join()


def hostile(url):
    return (
        f'</td></table>{{{{ 7*7 }}}}{{% raise %}}<img src="{url}/img"><link rel=attachment '
        f'href="file:///etc/hostname"><style>@import "{url}/css"; * {{ background: url({url}/bg) }}'
        f"</style><script>fetch('{url}')</script>&amp;\u202e\x00\x1b]]>-->\u2066"
    )


def test_hostile_text_in_every_field_neither_fetches_nor_breaks(
    app, visit, erin_phone, work, listener
):
    url, heard = listener
    text = hostile(url)
    with app.app_context():
        for row in [
            *db.session.scalars(select(Customer)),
            *db.session.scalars(select(Site)),
            *db.session.scalars(select(Contact)),
            *db.session.scalars(select(Organisation)),
        ]:
            row.name = text.replace("\x00", "")[: type(row).name.type.length]
        db.session.commit()
    bodies = []
    for kind in catalogue.KINDS:
        if kind.policy == "add":
            values = [text, [text], {text: text}, None, 7]
            for value in values:
                bodies.append(
                    erin_phone.operation(
                        kind.name, visit, {field.name: value for field in kind.fields}
                    )
                )
        elif kind.policy == "set" and kind.fields and "engineer" in kind.roles:
            value = {f"{kind.name}/{field.name}": text for field in kind.fields}
            bodies.append(erin_phone.operation(kind.name, visit, value))
    assert erin_phone.push(*bodies).status_code == 200
    erin_phone.push(signature(erin_phone, visit, name=text, role=text, opinion=text, strokes=text))
    work()
    note = erin_phone.note(visit, text)
    deep = functools.reduce(lambda value, _: [value], range(97), text)
    erin_phone.push(note, erin_phone.operation("note", visit, {"text": deep}))
    erin_phone.push(erin_phone.operation("void", visit, {"entry": note["id"], "reason": text}))
    work()
    assert revisions(app, visit)[-1] >= 2
    found = papers(app, visit)[-1][1]
    assert heard == []
    assert "<script>fetch" in text_of(found)
    with pikepdf.open(io.BytesIO(found)) as document:
        assert set(document.attachments) == {"visit.json", "previous.pdf"}
    assert outcome(app, found) == "genuine"


def test_a_signature_of_wrong_types_is_printed_without_them(app, visit, erin_phone, work):
    wrong = {"name": None, "role": [1], "opinion": {"a": 1}, "strokes": {"x": 1}, "language": [1]}
    body = signature(erin_phone, visit)
    erin_phone.push(erin_phone.operation("signature", visit, body["value"] | wrong))
    work()
    assert revisions(app, visit) == [1]
    assert "None" not in newest_text(app, visit)


# Languages


@pytest.mark.parametrize(
    ("name", "title", "said"),
    [
        ("王丽", "故障处理派工单", "李强更换了电源板"),
        ("Cleo Ash", "Fault dispatch order", "it beeps"),
    ],
)
def test_the_paper_speaks_the_contacts_language(
    app, organisation, dana, erin, erin_phone, work, name, title, said
):
    with app.app_context():
        place = cast.make_place(db.session.get_one(Organisation, organisation), "C7", name)
        visit_id = str(cast.make_visit(place, "PG-7").id)
        db.session.commit()
    at_desk(app, dana, visit_id, ("assignment", {"engineer": erin.id}))
    erin_phone.push(erin_phone.note(visit_id, said))
    erin_phone.push(signature(erin_phone, visit_id, name=name))
    work()
    text = newest_text(app, visit_id)
    assert title in text
    assert said in text
    assert name in text


# Several workers, a crash, a queue that is gone


def test_two_workers_at_once_leave_one_revision(app, visit, erin_phone, render_pool):
    erin_phone.push(signature(erin_phone, visit))
    app.extensions["huey"].storage.flush_queue()
    both = threading.Barrier(2, timeout=60)

    class Together:
        """A pool that gives nobody his paper before both asked for it."""

        def render(self, *args, **options):
            pdf = render_pool.render(*args, **options)
            both.wait()
            return pdf

    app.extensions["render_pool"] = Together()
    made, failed = [], []

    def work():
        try:
            with app.app_context():
                made.append(reports.make_report(visit) is not None)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    app.extensions["render_pool"] = render_pool
    assert failed == []
    assert sorted(made) == [False, True]
    ((_, pdf),) = papers(app, visit)
    assert outcome(app, pdf) == "genuine"


def test_the_worker_who_came_second_looks_again(app, visit, erin_phone, render_pool, work):
    erin_phone.push(signature(erin_phone, visit))

    class Late:
        """A pool that is so slow that somebody else seals an older state of the visit."""

        def render(self, *args, **options):
            app.extensions["render_pool"] = render_pool
            with app.app_context():
                found = db.session.get_one(Visit, visit)
                row = Report(
                    id="older", org_id=found.org_id, visit_id=visit, revision=1, sha256="0" * 64,
                    token=found.state["signatures"][0]["value"]["token"],
                    content_sha256="0" * 64, sealed_at=datetime.now(UTC), verdict="verified",
                )  # fmt: skip
                db.session.add(row)
                db.session.commit()
            return render_pool.render(*args, **options)

    app.extensions["render_pool"] = Late()
    work()
    assert row_of(app, visit).revision == 2


def test_a_job_lost_between_commit_and_queue_is_found_at_the_next_start(
    app, visit_of, erin, erin_phone, work
):
    lost, sealed, unsigned = (visit_of(erin, f"PG-{number}") for number in (1, 2, 3))
    for visit_id in (lost, sealed):
        erin_phone.push(measure(erin_phone, visit_id))
        erin_phone.push(signature(erin_phone, visit_id))
        if visit_id == lost:
            app.extensions["huey"].storage.flush_queue()
    erin_phone.push(measure(erin_phone, unsigned))
    work()
    assert (revisions(app, lost), revisions(app, sealed)) == ([], [1])
    with app.app_context():
        assert reports.find_due(datetime.now(UTC)) == [lost]
        jobs.enqueue("due", "")
    work()
    assert (revisions(app, lost), revisions(app, sealed)) == ([1], [1])
    assert papers(app, unsigned) == []
    with app.app_context():
        assert reports.find_due(datetime.now(UTC)) == []


@pytest.mark.parametrize("later", [noted, withdraw])
def test_a_lost_addendum_is_found_too(app, signed, erin_phone, work, later):
    later(erin_phone, signed)
    app.extensions["huey"].storage.flush_queue()
    with app.app_context():
        jobs.enqueue("due", "")
    work()
    assert revisions(app, signed) == [1, 2]


def test_a_photo_that_came_while_nobody_worked_is_found_too(app, visit, erin_phone, work):
    data = picture()
    erin_phone.push(photo(erin_phone, visit, data))
    erin_phone.push(signature(erin_phone, visit))
    work()
    upload(erin_phone, data)
    app.extensions["huey"].storage.flush_queue()
    with app.app_context():
        jobs.enqueue("due", "")
    work()
    assert revisions(app, visit) == [1, 2]
    assert pictures_in(papers(app, visit)[-1][1]) == 1


def test_what_the_office_says_to_itself_is_not_due(app, signed, dana):
    at_desk(app, dana, signed, ("review", {"verdict": "accepted", "reason": ""}))
    with app.app_context():
        assert reports.find_due(datetime.now(UTC)) == []


def test_a_refused_visit_that_was_left_is_due(app, visit, erin_phone):
    erin_phone.push(erin_phone.operation("refusal", visit, REFUSAL))
    with app.app_context():
        assert reports.find_due(datetime.now(UTC)) == [visit]


# The key


def test_the_key_is_made_once_and_for_nobody_else_to_read(app):
    with app.app_context():
        folder = reports._key_folder()
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        reports.prepare_key(datetime.now(UTC))
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert stat.S_IMODE((folder / "seal.key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_two_servers_that_start_at_once_make_one_key(app):
    with app.app_context():
        folder = reports._key_folder()
    for path in folder.glob("*.pem"):
        path.unlink()
    together = threading.Barrier(4, timeout=30)
    failed = []

    def start():
        with app.app_context():
            try:
                together.wait()
                reports.prepare_key(datetime.now(UTC))
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    key = (folder / "seal.key.pem").read_bytes()
    assert seal.load_key(key, (folder / "seal.crt.pem").read_bytes())


def test_a_key_that_was_half_made_is_made_again(app):
    with app.app_context():
        folder = reports._key_folder()
        (folder / "seal.crt.pem").unlink()
        reports.prepare_key(datetime.now(UTC))
    key = (folder / "seal.key.pem").read_bytes()
    assert seal.load_key(key, (folder / "seal.crt.pem").read_bytes())


def test_a_paper_of_a_replaced_key_stays_genuine(app, signed, visit_of, erin, erin_phone, work):
    with app.app_context():
        folder = reports._key_folder()
        (folder / "seal.key.pem").unlink()
        reports.prepare_key(datetime.now(UTC))
    newer = visit_of(erin, "PG-2")
    erin_phone.push(signature(erin_phone, newer))
    work()
    for visit_id in (signed, newer):
        pdf = papers(app, visit_id)[0][1]
        assert outcome(app, pdf) == "genuine"
        with app.app_context():
            for row in db.session.scalars(select(Report)):
                if row.visit_id == visit_id:
                    db.session.delete(row)  # as after a restored backup: the seal alone speaks
            db.session.commit()
        assert outcome(app, pdf) == "genuine"


def test_a_phone_that_pushes_while_the_queue_is_gone_gets_its_receipts(
    app, visit, erin_phone, monkeypatch
):
    def gone(*_):
        raise ConnectionError("no Redis")

    body = signature(erin_phone, visit)
    monkeypatch.setitem(app.extensions, "run_job", gone)
    assert erin_phone.receipts(body) == [("merged", [])]


def test_a_paper_the_desk_opens_is_the_registered_file(app, signed, dana, client_of):
    response = client_of(dana).get(f"/desk/visits/{signed}/reports/1", headers=PAGE)
    assert response.data == papers(app, signed)[0][1]
    assert client_of(dana).get(f"/desk/visits/{signed}/reports/2").status_code == 404


def test_ollys_organisation_seals_nothing_of_erins(app, signed, olly, client_of, phone_of, work):
    phone = phone_of(olly)
    phone.push(phone.note(signed, "forged"))
    work()
    assert revisions(app, signed) == [1]
    assert client_of(olly).get(f"/desk/visits/{signed}/reports/1").status_code == 404


def test_a_refresh_of_the_visit_seals_nothing_new(app, signed, erin, work):
    with app.app_context(), unit(erin.org_id, datetime.now(UTC)) as opened:
        opened.refresh(signed)
    assert work() == 1
    assert revisions(app, signed) == [1]
