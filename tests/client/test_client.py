"""The document is enough: a client written from it alone loses nothing, and every answer fits it."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import werkzeug.serving
from openapi_spec_validator import validate as validate_document
from sqlalchemy import select

from fieldapp.ids import mint_id
from fieldapp.models import Blob, Device, Organisation, db
from sync import problems
from sync.protocol import MEDIA_TYPE
from sync.tables import journal
from tests.client.client import Client, NoAnswer
from tests.phones import OPENING, PASSWORD, at_desk, state_of

ROOT = Path(__file__).parents[2]
DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
PAGE = (ROOT / "docs" / "protocol.md").read_text("utf-8")
PHOTO = bytes(range(256)) * 10


@contextmanager
def serving(app) -> Iterator[str]:
    """``app`` over real HTTP on a free port."""
    server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def schema_of(path: str, method: str, part: str):
    """The schema of a request (``part`` is "request") or of the answer with a status."""
    names = {re.sub(r"\{\w+\}", "[^/]+", rule): rule for rule in DOCUMENT["paths"]}
    rule = next(rule for pattern, rule in names.items() if re.fullmatch(pattern, path))
    operation = DOCUMENT["paths"][rule][method.lower()]
    described = operation["requestBody"] if part == "request" else operation["responses"][part]
    content = described.get("content", {})
    return next((each["schema"] for each in content.values() if "schema" in each), None)


def fits(value, schema):
    jsonschema.validate(
        value,
        schema | {"components": DOCUMENT["components"]},
        cls=jsonschema.Draft202012Validator,
    )


class Checked(Client):
    """The client, with every request and answer held against the document."""

    def _request(self, method, path, data, headers):
        answer = super()._request(method, path, data, headers)
        if not path.startswith("/sync/"):
            return answer
        status, told, text = answer
        if data is not None and headers["Content-Type"] != "application/octet-stream":
            fits(json.loads(data), schema_of(path, method, "request"))
        schema = schema_of(path, method, str(status))
        if schema is not None and text:
            assert told["Content-Type"] == MEDIA_TYPE
            fits(json.loads(text), schema)
        return answer


@pytest.fixture
def url(app):
    with serving(app) as url:
        yield url


@pytest.fixture
def client(url, erin):
    client = Checked(url)
    client.sign_in(erin.account, PASSWORD)
    client.enrol()
    return client


def put(client, name, data, offset, size):
    headers = {
        "Content-Type": "application/octet-stream",
        "Upload-Offset": str(offset),
        "Upload-Length": str(size),
    }
    status, _, text = client._request(
        "PUT", f"/sync/blobs/{name}", data, client._credential() | headers
    )
    return status, json.loads(text)


def texts(app, visit):
    return [entry["value"].get("text") for entry in state_of(app, visit)["entries"]]


# The document itself


def test_the_document_is_an_openapi_document():
    validate_document(DOCUMENT)


def test_the_document_names_every_address_and_no_other(app):
    rules = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/sync/")
        for method in rule.methods - {"OPTIONS"}
        if method != "HEAD" or rule.methods == {"HEAD", "OPTIONS"}
    }
    named = {
        (path, method)
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert named == rules


def test_every_problem_that_the_page_names_exists():
    named = set(re.findall(r"`([a-z-]+\.[a-z-]+)`", PAGE))
    assert {"access.revoked", "blob.offset"} <= named
    assert named - {"docs/openapi.json"} <= set(problems.CATALOGUE)


@pytest.mark.parametrize("change", [{"states": "merged"}, {"protocol": 2}, {"now": "soon"}])
def test_an_answer_that_does_not_fit_would_be_found(change):
    told = {"protocol": 1, "receipts": [], "epoch": "e", "now": 1, "skew": 0} | change
    if "states" in change:
        told["receipts"] = [{"id": "x", "state": "rejected", "reasons": []}]
    with pytest.raises(jsonschema.ValidationError):
        fits(told, schema_of("/sync/push", "post", "200"))


# The client


def test_a_day_without_signal_arrives(app, visit, client):
    client.synchronise()
    assert list(client.saved["visits"]) == [visit]
    client.perform(visit, "arrival", {"outcome": "present"})
    seen = client.saved["visits"][visit]["state"]["fields"]["fault/text"]["heads"]
    client.perform(visit, "fault", {"fault/text": "fuse"}, {"fault/text": seen})
    name = client.take_photo(visit, PHOTO)
    assert len(client.unsent) == 3
    client.synchronise()
    assert client.unsent == []
    state = state_of(app, visit)
    assert sorted(entry["kind"] for entry in state["entries"]) == ["arrival", "photo"]
    assert (state["fields"]["fault/text"]["value"], state["flags"]) == ("fuse", [])
    with app.app_context():
        blob = db.session.scalars(select(Blob)).one()
        assert (blob.sha256, blob.complete_at is not None) == (name, True)
    pulled = client.saved["visits"][visit]["state"]
    assert pulled["fields"] == state["fields"]


def test_a_second_push_of_the_same_is_harmless(app, visit, client):
    client.perform(visit, "note", {"text": "wet floor"})
    before = client.saved
    client.push()
    client.saved = before  # the answer was lost
    client.push()
    assert (client.unsent, texts(app, visit)) == ([], ["wet floor"])


def test_two_clients_that_disagree_are_a_conflict_on_both(app, visit, client, url, erin):
    other = Checked(url)
    other.sign_in(erin.account, PASSWORD)
    other.enrol()
    for each in (client, other):
        each.synchronise()
    for each, text in ((client, "fuse"), (other, "board")):
        seen = each.saved["visits"][visit]["state"]["fields"]["fault/text"]["heads"]
        each.perform(visit, "fault", {"fault/text": text}, {"fault/text": seen})
    for each in (client, other, client):
        each.synchronise()
    cells = [
        each.saved["visits"][visit]["state"]["fields"]["fault/text"] for each in (client, other)
    ]
    assert cells[0] == cells[1]
    assert sorted(side["value"] for side in cells[0]["sides"]) == ["board", "fuse"]


def test_a_visit_that_went_to_somebody_else_is_removed_and_still_sent(
    app, visit, client, dana, eli
):
    client.synchronise()
    client.perform(visit, "note", {"text": "before I left"})
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    client.synchronise()
    assert (client.saved["visits"], texts(app, visit)) == ({}, ["before I left"])


def test_after_a_restored_backup_everything_is_sent_again(app, visit, client, erin):
    client.perform(visit, "note", {"text": "wet floor"})
    client.synchronise()
    with app.app_context():
        db.session.execute(journal.delete().where(journal.c.author_id == erin.id))
        db.session.get_one(Organisation, erin.org_id).epoch = "after the backup"
        db.session.commit()
    client.synchronise()
    client.synchronise()
    with app.app_context():
        kinds = select(journal.c.kind).where(journal.c.author_id == erin.id)
        assert list(db.session.scalars(kinds)) == ["note"]
    assert client.unsent == []


def test_a_damaged_store_heals_by_the_difference(app, visit, visit_of, client, erin):
    second = visit_of(erin, "PG-2")
    client.synchronise()
    client.saved["visits"].pop(visit)
    client.saved["visits"][second]["rev"] = 1
    client.synchronise()
    assert set(client.saved["visits"]) == {visit, second}


def test_a_revoked_client_signs_in_again_and_brings_everything(app, visit, erin, client):
    client.perform(visit, "note", {"text": "wet floor"})
    old = client.saved["device"]
    with app.app_context():
        db.session.get_one(Device, old).revoked_at = datetime.now(UTC)
        db.session.commit()
    with pytest.raises(NoAnswer) as told:
        client.pull()
    assert (told.value.status, told.value.problem) == (403, "access.revoked")
    with pytest.raises(NoAnswer) as told:
        client.enrol(replaces=old, reason="revoked")
    assert (told.value.status, told.value.problem) == (401, "access.sign-in")
    client.sign_in(erin.account, PASSWORD)
    client.enrol(replaces=old, reason="revoked")
    client.synchronise()
    assert texts(app, visit) == ["wet floor"]
    with app.app_context():
        assert db.session.get_one(Device, client.saved["device"]).replaces_id == old


def test_a_client_opens_a_visit_and_is_told_of_it(app, client):
    client.synchronise()
    visit = mint_id(datetime.now(UTC))
    client.perform(visit, "opening", OPENING)
    client.perform(visit, "note", {"text": "wet floor"})
    client.synchronise()
    assert client.unsent == []
    assert sorted(texts(app, visit)) == sorted([OPENING["text"], "wet floor"])
    assert client.saved["visits"][visit]["state"]["flags"] == []


def test_without_its_session_a_client_goes_on_pushing(app, visit, client):
    client.cookie = ""
    client.perform(visit, "note", {"text": "wet floor"})
    with pytest.raises(NoAnswer) as told:
        client.synchronise()
    assert (told.value.status, told.value.problem) == (401, "access.sign-in")
    assert (client.unsent, texts(app, visit)) == ([], ["wet floor"])


def test_a_stranger_is_nobody(url, erin):
    client = Checked(url)
    client.sign_in(erin.account, "guessed")
    with pytest.raises(NoAnswer) as told:
        client.enrol()
    assert told.value.status == 401


def test_a_push_that_is_too_large_goes_in_halves(app, visit, client):
    for number in range(9):
        client.perform(visit, "note", {"text": str(number)})
    app.config["PUSH_OPERATIONS"] = 2
    client.push()
    assert sorted(texts(app, visit)) == [str(number) for number in range(9)]


def test_a_photo_goes_on_where_it_stopped(app, visit, client):
    name = client.take_photo(visit, PHOTO)
    client.push()
    assert put(client, name, PHOTO[:1500], 0, len(PHOTO))[0] == 200
    status, told = put(client, name, PHOTO[2000:], 2000, len(PHOTO))
    assert (status, told["problem"], told["args"]) == (409, "blob.offset", {"offset": 1500})
    client.push_photos()
    with app.app_context():
        assert db.session.scalars(select(Blob)).one().complete_at is not None


def test_a_photo_that_is_another_is_refused_and_forgotten(app, client):
    name = hashlib.sha256(PHOTO).hexdigest()
    status, told = put(client, name, b"other", 0, 5)
    assert (status, told["problem"]) == (422, "blob.hash-mismatch")
