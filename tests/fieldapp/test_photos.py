"""Photos of one form at the server: several at once, taken again, drawn on, small for a strip."""

from __future__ import annotations

import hashlib
import io
import re

import pytest
from PIL import Image
from sqlalchemy import select

from fieldapp.models import BlobReference, db
from fieldapp.reports import make_print_copy
from tests.fieldapp.test_engineer import PAGE, state_of

FIRST, SECOND, THIRD = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2", b"3"))


@pytest.fixture
def client(client_of, erin):
    return client_of(erin)


@pytest.fixture
def save(client, visit):
    """Save the form of photos, as the page posts it."""

    def post(photos, query="", **fields):
        data = {"sha256": photos, "unmarked": ""} | fields
        return client.post(f"/visits/{visit}/photos{query}", data=data, headers=PAGE)

    return post


def photos_of(app, visit):
    return [entry for entry in state_of(app, visit)["entries"] if entry["kind"] == "photo"]


def test_three_photos_of_one_form_are_three_operations_with_the_same_words(app, visit, save):
    assert save(f"{FIRST} {SECOND} {THIRD}", slot="before", caption="board").status_code == 303
    values = [entry["value"] for entry in photos_of(app, visit)]
    assert sorted(value["sha256"] for value in values) == sorted([FIRST, SECOND, THIRD])
    assert {(value["slot"], value["caption"]) for value in values} == {("before", "board")}


def test_one_name_that_is_none_keeps_all_of_them_in_the_form(app, visit, save):
    refused = save(f"{FIRST} nonsense", slot="before")
    assert refused.status_code == 422
    assert f'value="{FIRST} nonsense"' in refused.text
    assert "does not name a photo" in refused.text
    assert photos_of(app, visit) == []


@pytest.mark.parametrize("unmarked", ["nonsense", f"{SECOND}:{THIRD}", SECOND.upper()])
def test_what_is_no_photo_without_marks_is_refused_and_said(app, visit, save, unmarked):
    refused = save(f"{FIRST}:{unmarked}", slot="before")
    assert refused.status_code == 422
    assert "Without the marks does not name a photo" in refused.text
    assert f'value="{FIRST}:{unmarked}"' in refused.text
    assert photos_of(app, visit) == []


def test_whoever_signs_reads_that_a_photo_was_drawn_on(visit, client, save):
    save(f"{FIRST}:{SECOND} {THIRD}", slot="before")
    page = client.get(f"/visits/{visit}/signatures").text
    said = f"Drawn on; without the marks: SHA-256 {SECOND[:12]}…"
    assert page.count("Drawn on") == page.count(said) == 1


def test_a_form_sent_twice_is_saved_once_and_other_words_are_another_photo(app, visit, save):
    for caption in ("a", "a", "b"):
        assert save(f"{FIRST} {SECOND}", caption=caption).status_code == 303
    captions = sorted(entry["value"]["caption"] for entry in photos_of(app, visit))
    assert captions == ["a", "a", "b", "b"]


def test_the_photo_without_marks_is_waited_for_too(app, visit, save):
    save(f"{FIRST}:{SECOND}", caption="the burnt one")
    (entry,) = photos_of(app, visit)
    assert entry["value"] == {"sha256": FIRST, "unmarked": SECOND, "caption": "the burnt one"}
    with app.app_context():
        rows = db.session.scalars(select(BlobReference.sha256))
        assert sorted(rows) == sorted([FIRST, SECOND])
        assert state_of(app, visit)["entries"][0]["kind"] == "photo"


def test_a_photo_taken_again_strikes_the_old_one_out(app, visit, client, save):
    save(FIRST, slot="nameplate", caption="plate")
    (old,) = photos_of(app, visit)
    query = f"?entry={old['id']}"
    shown = client.get(f"/visits/{visit}/photos{query}").text
    assert f"/visits/{visit}/photos/{FIRST}" in shown
    assert re.search('value="nameplate" checked', shown)
    assert 'name="reason" value="Taken again"' in shown
    refused = save(SECOND, query, slot="nameplate", caption="plate", reason=" ")
    assert refused.status_code == 422
    assert 'id="finding-reason"' in refused.text
    assert f'value="{SECOND}"' in refused.text
    assert len(photos_of(app, visit)) == 1
    assert save(SECOND, query, slot="nameplate", reason="glare").status_code == 303
    entries = {entry["value"]["sha256"]: entry for entry in photos_of(app, visit)}
    assert [void["reason"] for void in entries[FIRST]["voids"]] == ["glare"]
    assert entries[SECOND]["voids"] == []
    assert '<form class="entry-form"' not in client.get(f"/visits/{visit}/photos{query}").text


def test_the_same_picture_taken_again_with_others_stands_in_its_own_place(app, visit, save):
    save(FIRST, slot="nameplate")
    (old,) = photos_of(app, visit)
    again = save(f"{FIRST} {SECOND}", f"?entry={old['id']}", slot="nameplate", reason="one more")
    assert again.status_code == 303
    standing = [entry["value"]["sha256"] for entry in photos_of(app, visit) if not entry["voids"]]
    assert sorted(standing) == sorted([FIRST, SECOND])


@pytest.mark.parametrize("entry", ["note", "nothing"])
def test_only_a_photo_is_taken_again(app, visit, client, save, entry):
    client.post(f"/visits/{visit}/notes", data={"text": "a note"}, headers=PAGE)
    (note,) = state_of(app, visit)["entries"]
    query = f"?entry={note['id'] if entry == 'note' else 'nothing'}"
    assert client.get(f"/visits/{visit}/photos{query}").status_code == 404
    assert save(FIRST, query, reason="x").status_code == 404
    (kept,) = state_of(app, visit)["entries"]
    assert kept["voids"] == []


def test_a_photo_is_never_corrected(app, visit, client, save):
    save(f"{FIRST}:{SECOND}", caption="before")
    (photo,) = photos_of(app, visit)
    address = f"/visits/{visit}/corrections?entry={photo['id']}"
    changed = {"sha256": f"{FIRST} {THIRD}", "caption": "after", "entry": photo["id"]}
    for answer in (client.get(address), client.post(address, data=changed, headers=PAGE)):
        assert answer.status_code == 404
        assert "entry.not-found" in answer.text
    (kept,) = photos_of(app, visit)
    assert kept["value"] == photo["value"]


def test_a_strip_gets_a_small_picture_once_there_is_a_copy(app, visit, client, save, erin):
    file = io.BytesIO()
    Image.effect_noise((1600, 1200), 60).convert("RGB").save(file, "JPEG")
    data = file.getvalue()
    name = hashlib.sha256(data).hexdigest()
    url = f"/visits/{visit}/photos/{name}"
    assert client.put(url, data=data, headers=PAGE).status_code == 204
    save(name)
    assert client.get(f"{url}?small").data == data, "nothing foreign is decoded for a page"
    with app.app_context():
        make_print_copy(erin.org_id, name)
    small = client.get(f"{url}?small")
    assert Image.open(io.BytesIO(small.data)).size == (320, 240)
    assert Image.open(io.BytesIO(client.get(url).data)).size == (1600, 1200)
    assert client.get(f"/visits/{visit}/photos/{FIRST}?small").status_code == 404


def test_the_office_sees_the_photo_without_marks_too(visit, save, client_of, dana):
    save(f"{FIRST}:{SECOND}", slot="before")
    page = client_of(dana).get(f"/desk/visits/{visit}").text
    assert "Without the marks" in page
    assert page.count("The photo is still to come.") == 2
    save(THIRD)
    assert client_of(dana).get(f"/desk/visits/{visit}").text.count("Without the marks") == 1
