"""Unsent work that a phone saved as a file is taken in at the desk."""

import base64
import hashlib
import io
import json
from datetime import UTC, datetime

import pytest

from fieldapp import blobs
from fieldapp.models import Blob, Device, Person, Visit, db
from fieldapp.perform import journal_of
from tests.fieldapp.desk.forms import enrol, hidden, open_flags, push, pushed, state_of

URL = "/desk/phones/import"
PHOTO = b"\xff\xd8\xff" + b"7" * 40
SHA = hashlib.sha256(PHOTO).hexdigest()


@pytest.fixture
def phone(erin):
    return enrol(erin, datetime.now(UTC), high=3, unsent=3)


@pytest.fixture
def work(visit, erin, phone):
    """What Erin's phone saved: two notes and a photo with its picture."""
    return {
        "format": "fieldapp.unsent",
        "version": 1,
        "person": {"id": erin.id, "name": erin.name},
        "device": phone.id,
        "exported_at": "2026-03-10T02:48:00Z",
        "operations": [
            pushed(visit, erin, "note", {"text": "wet floor"}, phone, 1),
            pushed(visit, erin, "note", {"text": "mended"}, phone, 2),
            pushed(visit, erin, "photo", {"sha256": SHA, "caption": ""}, phone, 3),
        ],
        "photos": [picture(visit)],
    }


def picture(visit, data=PHOTO, **more):
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "visit": visit.id,
        "type": "image/jpeg",
        "base64": base64.b64encode(data).decode(),
    } | more


def upload(client, work):
    data = work if isinstance(work, bytes) else json.dumps(work).encode()
    return client.post(URL, data={"file": (io.BytesIO(data), "unsent.json")})


def take(client, page):
    return client.post(URL, data={"sha256": hidden(page, "import", "sha256")})


def taken(client, work):
    answer = upload(client, work)
    assert answer.status_code == 200, answer.text
    answer = take(client, answer.text)
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


def notes(visit):
    entries = state_of(visit)["entries"]
    return sorted(entry["value"]["text"] for entry in entries if entry["kind"] == "note")


def resealed(body, **more):
    """``body`` changed by somebody who knows how to hash."""
    from sync.canonical import hash_of

    body = {key: value for key, value in body.items() if key != "hash"} | more
    return body | {"hash": hash_of(body)}


def test_the_file_is_shown_before_anything_is_taken(visit, work, dana_desk):
    answer = upload(dana_desk, work)
    assert answer.status_code == 200
    page = " ".join(answer.text.split())
    for said in ("<dd>Erin Ng</dd>", "<dt>Entries</dt><dd>3</dd>", "<dt>Visits</dt><dd>1</dd>",
                 "<dt>Photos</dt><dd>1</dd>", "2026-03-10 10:48"):  # fmt: skip
        assert said in page
    assert notes(visit) == []
    assert db.session.get(Blob, (visit.org_id, SHA)) is None


def test_what_is_in_the_file_is_taken_and_flagged(visit, work, dana_desk):
    page = taken(dana_desk, work)
    assert "3 entries taken, 0 were here already; 1 new photo." in page
    assert f'href="/desk/visits/{visit.id}"' in page
    assert notes(visit) == ["mended", "wet floor"]
    assert open_flags(visit) == ["operation.from-file"] * 3
    assert blobs.read(visit.org_id, SHA) == PHOTO


def test_a_file_taken_twice_does_nothing_more(visit, work, phone, erin, dana_desk):
    push(phone, work["operations"][0])
    assert "2 entries taken, 1 was here already; 1 new photo." in taken(dana_desk, work)
    before = len(journal_of(visit))
    assert "0 entries taken, 3 were here already; 0 new photos." in taken(dana_desk, work)
    assert len(journal_of(visit)) == before
    # and the phone that gets through after all adds nothing
    assert [receipt.state for receipt in push(phone, *work["operations"])] == ["duplicate"] * 3
    assert notes(visit) == ["mended", "wet floor"]


def test_what_came_in_the_file_is_no_longer_missed(work, phone, dana_desk):
    taken(dana_desk, work)
    db.session.rollback()
    device = db.session.get(Device, phone.id, populate_existing=True)
    assert (device.unsent, device.received) == (0, 3)


def test_a_file_decides_nothing_that_is_the_desks_to_decide(visit, work, dana, eli, dana_desk):
    forged = pushed(visit, dana, "assignment", {"engineer": eli.id}, None, 0)
    work["person"]["id"] = dana.id
    work["operations"] = [forged]
    taken(dana_desk, work)
    assert state_of(visit)["fields"]["assignment"]["value"]["engineer"] != eli.id
    assert open_flags(visit) == ["operation.from-file"]


def test_what_is_under_another_name_is_kept_apart(visit, work, eli, dana_desk):
    work["operations"][0] = resealed(work["operations"][0], author=eli.id)
    taken(dana_desk, work)
    assert notes(visit) == ["mended"]
    (apart,) = state_of(visit)["quarantine"]
    assert (apart["author"], apart["code"]) == (eli.id, "author.not-owner")


def test_somebody_from_elsewhere_is_kept_apart_and_out_of_scope(visit, work, olly, dana_desk):
    work["operations"] = [resealed(work["operations"][0], author=olly.id)]
    taken(dana_desk, work)
    assert set(open_flags(visit)) == {
        "author.not-owner",
        "author.out-of-scope",
        "operation.from-file",
    }
    assert notes(visit) == []


def test_a_file_is_no_way_round_a_revoked_phone(visit, work, phone, dana_desk):
    db.session.get(Device, phone.id).revoked_at = datetime.now(UTC)
    taken(dana_desk, work)
    assert notes(visit) == []
    assert {apart["code"] for apart in state_of(visit)["quarantine"]} == {"device.revoked"}


def test_who_left_hands_in_what_is_kept_apart(visit, work, erin, dana_desk):
    db.session.get(Person, erin.id).left_at = datetime.now(UTC)
    taken(dana_desk, work)
    assert notes(visit) == []


def test_the_file_of_an_unknown_phone_is_taken_and_that_is_said(visit, work, eli, dana_desk):
    work["device"] = enrol(eli).id  # not Erin's
    assert "does not know the phone this came from" in upload(dana_desk, work).text
    taken(dana_desk, work)
    assert notes(visit) == ["mended", "wet floor"]


def test_a_visit_of_another_house_is_not_written_to(visit, work, olly, dana_desk):
    from tests import cast

    theirs = cast.make_visit(cast.make_place(olly.organisation, "X1"), "PG-X")
    work["operations"][0] = resealed(work["operations"][0], visit=theirs.id)
    page = taken(dana_desk, work)
    assert theirs.id not in page
    assert journal_of(db.session.get(Visit, theirs.id)) == []
    assert notes(visit) == ["mended"]


def test_a_damaged_operation_is_kept_and_flagged(visit, work, dana_desk):
    work["operations"][0]["value"] = {"text": "changed by somebody"}
    work["operations"].append("no operation at all")
    taken(dana_desk, work)
    assert "changed by somebody" in notes(visit)
    assert "operation.hash-mismatch" in open_flags(visit)
    assert db.session.get(Visit, visit.org_id) is not None  # where the unreadable is filed


DAMAGED = {
    "no JSON": (b'{"format":', 422, "damaged or no JSON", "已损坏"),
    "no text": (b"\xff\xfe", 422, "damaged or no JSON", "已损坏"),
    "too deep": (b"[" * 5000, 422, "damaged or no JSON", "已损坏"),
    "a number that is none": (b'{"version": NaN}', 422, "damaged or no JSON", "已损坏"),
    "something else": (b"[]", 422, "no file of unsent work", "不是手机保存的未发送记录文件"),
    "another format": ({"format": "x"}, 422, "no file of unsent work", "不是手机保存的"),
    "a newer version": ({"version": 2}, 422, "one too new", "版本过新"),
    "no operations": ({"operations": {}}, 422, "no file of unsent work", "不是手机保存的"),
    "no photos": ({"photos": None}, 422, "no file of unsent work", "不是手机保存的"),
    "nobody": ({"person": None}, 422, "no file of unsent work", "不是手机保存的"),
    "a stranger": ({"person": {"id": "x"}}, 422, "does not work here", "不是本公司人员"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_cannot_be_taken_says_why_and_takes_nothing(
    name, visit, work, dana, dana_desk, browse
):
    content, status, english, chinese = DAMAGED[name]
    file = content if isinstance(content, bytes) else work | content
    before = len(journal_of(visit))
    for client, said in ((dana_desk, english), (browse(dana, "zh_CN"), chinese)):
        answer = upload(client, file)
        assert answer.status_code == status
        assert said in answer.text
    assert len(journal_of(visit)) == before


@pytest.mark.parametrize(
    "more",
    [{"sha256": "0" * 64}, {"sha256": "x"}, {"base64": "?"}, {"base64": 7}, {"base64": "AAAA"}],
)
def test_one_damaged_photo_and_nothing_is_taken(more, visit, work, dana_desk):
    work["photos"].append(picture(visit, b"another", **more))
    answer = upload(dana_desk, work)
    assert answer.status_code == 422
    assert "A photo in this file is damaged." in answer.text
    assert "Nothing was taken." in answer.text
    assert db.session.get(Blob, (visit.org_id, SHA)) is None


def test_another_houses_file_is_refused(work, olly, browse):
    answer = upload(browse(olly), work)
    assert answer.status_code == 422
    assert "does not work here" in answer.text
    assert "Erin" not in answer.text


@pytest.mark.parametrize(("limit", "status"), [(1000, 413), (100_000, 200)])
def test_a_file_beyond_the_limit_is_refused(limit, status, app, work, dana_desk, monkeypatch):
    monkeypatch.setitem(app.config, "UNSENT_BYTES", limit)
    work["photos"][0]["type"] = "x" * 2000
    assert upload(dana_desk, work).status_code == status


def test_without_a_file_nothing_happens(dana_desk):
    answer = dana_desk.post(URL, data={})
    assert answer.status_code == 422
    assert "Choose the file" in answer.text


def test_only_what_was_shown_is_taken(visit, work, dana_desk):
    first = upload(dana_desk, work).text
    work["operations"] = work["operations"][:1]
    second = upload(dana_desk, work).text
    answer = take(dana_desk, first)
    assert answer.status_code == 409
    assert "Choose it again." in answer.text
    assert notes(visit) == []
    assert take(dana_desk, second).status_code == 200
    assert notes(visit) == ["wet floor"]
    assert take(dana_desk, second).status_code == 409  # it is not kept


def test_nobody_takes_what_somebody_else_was_shown(visit, work, dana, olly, dana_desk, browse):
    page = upload(dana_desk, work).text
    assert take(browse(olly), page).status_code == 409
    assert notes(visit) == []


def test_only_the_desk_takes_files_in(work, erin, browse, dana_desk):
    assert browse(erin).get(URL).status_code == 403
    assert upload(browse(erin), work).status_code == 403
    assert dana_desk.get(URL).status_code == 200
