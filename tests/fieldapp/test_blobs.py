"""Photos arrive in pieces, are checked against their name and kept unopened."""

import hashlib
import json
import threading

import pytest

from fieldapp import blobs, jobs
from fieldapp.models import Blob, db
from sync.protocol import MEDIA_TYPE
from tests.phones import PAGE, client_of

DATA = b"\xff\xd8\xff" + bytes(range(256)) * 40
NAME = hashlib.sha256(DATA).hexdigest()
SIZE = len(DATA)


@pytest.fixture
def queued(monkeypatch):
    """The background jobs that were asked for, none of them done."""
    found = []
    monkeypatch.setattr(jobs, "enqueue", lambda *job, **_: found.append(job))
    return found


def put(phone, data, offset=0, size=SIZE, name=NAME):
    return phone.wire.put(
        f"/sync/blobs/{name}",
        data=data,
        headers=phone.headers
        | {
            "Content-Type": "application/octet-stream",
            "Upload-Offset": str(offset),
            "Upload-Length": str(size),
        },
    )


def head(phone, name=NAME):
    response = phone.wire.head(f"/sync/blobs/{name}", headers=phone.headers)
    assert response.headers["Fieldapp-Protocol"] == "1"
    return int(response.headers["Upload-Offset"]), response.headers["Upload-Complete"]


def stored(app, phone, name=NAME):
    with app.app_context():
        return blobs.read(phone.person.org_id, name)


def test_a_photo_goes_in_one_piece(app, erin_phone, queued):
    assert head(erin_phone) == (0, "0")
    told = put(erin_phone, DATA).json
    assert (told["received"], told["complete"], told["sha256"]) == (len(DATA), True, NAME)
    assert head(erin_phone) == (len(DATA), "1")
    assert stored(app, erin_phone) == DATA
    assert queued == [("photo", f"{erin_phone.person.org_id}/{NAME}")]


def test_a_photo_goes_on_where_the_signal_was_lost(app, erin_phone, queued):
    for offset in range(0, len(DATA), 4000):
        assert head(erin_phone) == (offset, "0")
        assert put(erin_phone, DATA[offset : offset + 4000], offset).status_code == 200
    assert stored(app, erin_phone) == DATA
    with app.app_context():
        files, root = blobs._storage()
        assert not files.exists(f"{root}/{erin_phone.person.org_id}/{NAME}.part")


def test_a_wrong_offset_says_where_to_go_on(erin_phone, queued):
    put(erin_phone, DATA[:4000])
    for offset in (4001, 8000, 3999):
        response = put(erin_phone, DATA[offset:], offset)
        assert (response.status_code, response.json["problem"]) == (409, "blob.offset")
        assert response.json["args"]["offset"] == 4000
        assert response.mimetype == MEDIA_TYPE
    assert head(erin_phone) == (4000, "0")


def test_a_piece_sent_again_after_a_lost_answer_is_accepted(app, erin_phone, queued):
    put(erin_phone, DATA[:4000])
    put(erin_phone, DATA[4000:8000], 4000)
    again = put(erin_phone, DATA[4000:8000], 4000)
    assert (again.status_code, again.json["received"]) == (200, 8000)
    put(erin_phone, DATA[8000:], 8000)
    assert stored(app, erin_phone) == DATA


def test_a_damaged_photo_is_forgotten_and_may_come_again(app, erin_phone, queued):
    put(erin_phone, b"x" * 4000)
    response = put(erin_phone, DATA[4000:], 4000)
    assert (response.status_code, response.json["problem"]) == (422, "blob.hash-mismatch")
    assert response.json["retry"] is True
    assert head(erin_phone) == (0, "0")
    assert stored(app, erin_phone) is None
    assert put(erin_phone, DATA).json["complete"] is True
    assert stored(app, erin_phone) == DATA


def test_pieces_of_another_length_do_not_stand_in_the_way(app, erin_phone, queued):
    put(erin_phone, b"abc", 0, 5)
    assert put(erin_phone, DATA).json["complete"] is True
    assert stored(app, erin_phone) == DATA


def test_a_photo_that_is_here_is_accepted_again(app, erin_phone, eli, phone_of, queued):
    put(erin_phone, DATA)
    assert put(phone_of(eli), DATA[:10]).json["complete"] is True
    assert stored(app, erin_phone) == DATA
    assert len(queued) == 1


def test_ollys_organisation_keeps_its_own_copy(app, erin_phone, olly, phone_of, queued):
    put(erin_phone, DATA)
    phone = phone_of(olly)
    assert head(phone) == (0, "0")
    assert stored(app, phone) is None


def test_a_photo_over_the_limit_is_refused(app, erin_phone, queued):
    app.config["BLOB_BYTES"] = 5000
    for data, offset, size in (
        (DATA, 0, len(DATA)),
        (DATA[:10], 0, 5001),
        (DATA[:10], 4995, 5000),
        (DATA[:100], 0, 50),
    ):
        response = put(erin_phone, data, offset, size)
        assert (response.status_code, response.json["problem"]) == (413, "content.too-large")
    assert head(erin_phone) == (0, "0")


@pytest.mark.parametrize("name", ["x", NAME.upper(), NAME[:-1], f"{NAME}0", "..%2f..%2fetc"])
def test_a_name_that_is_no_hash_is_refused(erin_phone, name):
    response = put(erin_phone, DATA, name=name)
    assert response.status_code in (400, 404)
    assert response.json["problem"] in ("photo.not-a-hash", "page.unknown")


@pytest.mark.parametrize("offset", ["", "-1", "one", "1.5", "9" * 13, "\u0663"])
def test_an_offset_that_is_none_is_refused(erin_phone, offset):
    response = put(erin_phone, DATA, offset.encode().decode("latin-1"))
    assert (response.status_code, response.json["problem"]) == (400, "content.unreadable")


@pytest.mark.parametrize("method", ["head", "put"])
def test_photos_need_the_credential(app, erin, method):
    client = client_of(app, erin)
    response = getattr(client, method)(f"/sync/blobs/{NAME}", headers=PAGE)
    assert response.status_code == 401


def test_pieces_from_two_tabs_at_once_make_one_photo(app, erin, phone_of, queued):
    phones = [phone_of(erin) for _ in range(4)]
    failed = []

    def send(phone):
        for _ in range(40):
            offset, complete = head(phone)
            if complete == "1":
                return
            response = put(phone, DATA[offset : offset + 2000], offset)
            if response.status_code not in (200, 409, 503):
                failed.append(response.text)

    threads = [threading.Thread(target=send, args=(phone,)) for phone in phones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert stored(app, phones[0]) == DATA


def test_a_photo_counts_as_to_come_until_it_is_here(visit, erin_phone, queued):
    erin_phone.push(erin_phone.operation("photo", visit, {"sha256": NAME}))
    erin_phone.pull()
    assert erin_phone.visits[visit]["state"]["sync"]["photos"] == 1
    put(erin_phone, DATA[:100])
    erin_phone.visits.clear()
    erin_phone.cursor = ""
    erin_phone.pull()
    assert erin_phone.visits[visit]["state"]["sync"]["photos"] == 1
    put(erin_phone, DATA[100:], 100)
    # with its next pull, whenever the copies are made: their jobs may be many, or lost
    erin_phone.pull()
    assert erin_phone.visits[visit]["state"]["sync"]["photos"] == 0


# Through a page, when there is no worker


def page_put(client, visit, data, name=NAME):
    return client.put(f"/visits/{visit}/photos/{name}", data=data, headers=PAGE)


def test_a_page_stores_a_photo_and_shows_it_once_an_entry_speaks_of_it(
    visit, client_of, erin, queued
):
    client = client_of(erin)
    url = f"/visits/{visit}/photos/{NAME}"
    assert page_put(client, visit, DATA).status_code == 204
    assert client.get(url).status_code == 404
    client.post(f"/visits/{visit}/photos", data={"sha256": NAME}, headers=PAGE)
    shown = client.get(url)
    assert (shown.data, shown.mimetype) == (DATA, "image/jpeg")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_completes_what_a_phone_began(app, visit, client_of, erin, erin_phone, queued):
    put(erin_phone, DATA[:4000])
    assert page_put(client_of(erin), visit, DATA).status_code == 204
    assert head(erin_phone) == (len(DATA), "1")


def test_a_damaged_photo_from_a_page_leaves_a_phones_pieces_alone(
    visit, client_of, erin, erin_phone, queued
):
    put(erin_phone, DATA[:4000])
    response = page_put(client_of(erin), visit, b"other")
    assert response.status_code == 422
    assert "arrived damaged" in response.text
    assert head(erin_phone) == (4000, "0")


def test_a_file_that_is_no_image_is_kept_and_not_shown(
    app, visit, client_of, erin, erin_phone, queued
):
    data = b"<script>alert(1)</script>"
    name = hashlib.sha256(data).hexdigest()
    client = client_of(erin)
    assert page_put(client, visit, data, name).status_code == 204
    client.post(f"/visits/{visit}/photos", data={"sha256": name}, headers=PAGE)
    assert stored(app, erin_phone, name) == data
    response = client.get(f"/visits/{visit}/photos/{name}")
    assert response.status_code == 404
    assert data not in response.data


def test_photos_of_another_visit_are_not_found(visit, visit_of, eli, client_of, erin, queued):
    mine, his = client_of(erin), client_of(eli)
    page_put(mine, visit, DATA)
    mine.post(f"/visits/{visit}/photos", data={"sha256": NAME}, headers=PAGE)
    other = visit_of(eli, "PG-2")
    assert his.get(f"/visits/{visit}/photos/{NAME}").status_code == 404
    assert his.get(f"/visits/{other}/photos/{NAME}").status_code == 404
    assert page_put(his, visit, DATA).status_code == 404


def test_a_photo_still_on_its_way_is_not_shown(app, visit, client_of, erin, erin_phone, queued):
    erin_phone.push(erin_phone.operation("photo", visit, {"sha256": NAME}))
    put(erin_phone, DATA[:4000])
    with app.app_context():  # half written when the machine went down
        blobs.write(erin.org_id, NAME, DATA[:5000])
    assert client_of(erin).get(f"/visits/{visit}/photos/{NAME}").status_code == 404


def test_a_page_cannot_name_a_photo_by_anything_but_its_hash(visit, client_of, erin):
    assert page_put(client_of(erin), visit, DATA, "photo.jpg").status_code == 400


def test_a_photo_too_large_for_the_server_is_refused_by_the_page_too(app, visit, client_of, erin):
    app.config["BLOB_BYTES"] = 1000
    assert page_put(client_of(erin), visit, DATA).status_code == 413


def test_the_row_of_a_photo_says_what_is_here(app, erin_phone, queued):
    put(erin_phone, DATA[:4000])
    with app.app_context():
        row = db.session.get_one(Blob, (erin_phone.person.org_id, NAME))
        assert (row.received, row.size, row.complete_at) == (4000, len(DATA), None)


def test_an_answer_about_a_photo_is_json_of_ours(erin_phone, queued):
    response = put(erin_phone, DATA)
    assert response.mimetype == MEDIA_TYPE
    assert json.loads(response.data)["protocol"] == 1
