"""What is no push, or comes from nobody known: the refusal takes nothing and says why."""

import json

import pytest
from sqlalchemy.exc import OperationalError

from fieldapp.models import Device, db
from sync.protocol import MEDIA_TYPE
from tests.fieldapp.exchange.kept import held
from tests.phones import PAGE, now_ms


def refuse(app, response, status, code):
    assert response.status_code == status
    assert response.mimetype == MEDIA_TYPE
    assert response.json["problem"] == code
    assert response.json["protocol"] == 1
    assert response.json["text"]["en"]
    assert response.json["text"]["zh_CN"]
    assert held(app, kind="note") == []


def push_body(phone, *bodies, **more):
    return {"protocol": 1, "now": now_ms(), "high": 0, "operations": list(bodies)} | more


def test_too_many_operations_are_refused(app, visit, erin_phone):
    app.config["PUSH_OPERATIONS"] = 2
    notes = [erin_phone.note(visit) for _ in range(3)]
    refuse(app, erin_phone.push(*notes), 413, "content.too-large")
    assert erin_phone.receipts(*notes[:2]) == [("merged", [])] * 2


def test_too_large_a_push_is_refused(app, visit, erin_phone):
    note = erin_phone.note(visit, "x" * 3000)
    app.config["PUSH_BYTES"] = 2000
    refuse(app, erin_phone.push(note), 413, "content.too-large")
    app.config["PUSH_BYTES"] = 20_000
    assert erin_phone.receipts(note) == [("merged", [])]


@pytest.mark.parametrize(
    "text",
    ["{", "no", '{"a": NaN}', "[" * 5000, "[]", "7", "null", "[], []", "1] , [2"],
)
def test_what_is_no_json_object_is_refused(app, visit, erin_phone, text):
    refuse(app, erin_phone.send("/sync/push", text), 400, "push.not-json")


def test_bytes_that_are_no_text_are_refused(app, erin_phone):
    response = erin_phone.wire.post("/sync/push", data=b"\xff\xfe{", headers=erin_phone.headers)
    refuse(app, response, 400, "push.not-json")


@pytest.mark.parametrize("more", [
    {"operations": {}}, {"operations": None}, {"now": "noon"}, {"now": True}, {"now": -1},
    {"now": 2**53}, {"high": -1}, {"high": "5"},
])  # fmt: skip
def test_a_push_of_another_shape_is_refused(app, visit, erin_phone, more):
    body = push_body(erin_phone, erin_phone.note(visit)) | more
    refuse(app, erin_phone.send("/sync/push", body), 400, "push.not-json")


@pytest.mark.parametrize("version", [0, 2, None, "1", True, 1.5])
def test_another_protocol_is_refused(app, visit, erin_phone, version):
    body = push_body(erin_phone, erin_phone.note(visit), protocol=version)
    refuse(app, erin_phone.send("/sync/push", body), 426, "push.protocol")
    refuse(app, erin_phone.ask(protocol=version), 426, "push.protocol")


@pytest.mark.parametrize("type_", ["text/html", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_refused(app, visit, erin_phone, type_):
    body = push_body(erin_phone, erin_phone.note(visit))
    response = erin_phone.send("/sync/push", body, **{"Content-Type": type_})
    refuse(app, response, 415, "content.wrong-type")


@pytest.mark.parametrize(
    "authority", [None, "", "Device", "Device ", "Device wrong", "Bearer x", "Device \u00fc"]
)
def test_a_credential_nobody_was_given_is_refused(app, visit, erin_phone, authority):
    body = push_body(erin_phone, erin_phone.note(visit))
    headers = {"Content-Type": MEDIA_TYPE}
    if authority is not None:
        headers["Authorization"] = authority
    response = erin_phone.wire.post("/sync/push", data=json.dumps(body), headers=headers)
    refuse(app, response, 401, "access.missing-device")


def test_a_session_alone_pushes_nothing(app, visit, erin_phone):
    response = erin_phone.browser.post(
        "/sync/push",
        data=json.dumps(push_body(erin_phone, erin_phone.note(visit))),
        headers={"Content-Type": MEDIA_TYPE} | PAGE,
    )
    refuse(app, response, 401, "access.missing-device")


def test_a_server_that_fails_takes_nothing_and_says_so(app, visit, erin_phone, monkeypatch):
    from fieldapp.perform import Unit

    note = erin_phone.note(visit)
    with monkeypatch.context() as patch:
        patch.setattr(Unit, "finish", lambda _: 1 // 0)
        response = erin_phone.push(note)
    refuse(app, response, 500, "server.failed")
    assert response.json["retry"] is True
    assert erin_phone.receipts(note) == [("merged", [])]


def test_a_database_in_trouble_is_not_the_operations_fault(app, visit, erin_phone, monkeypatch):
    """A deadlock must not brand a note for ever: it comes again."""
    from fieldapp import perform

    def deadlock(*_):
        raise OperationalError("UPDATE", {}, Exception("deadlock detected"))

    note = erin_phone.note(visit)
    with monkeypatch.context() as patch:
        patch.setattr(perform, "project", deadlock)
        refuse(app, erin_phone.push(note), 503, "server.busy")
    assert erin_phone.receipts(note) == [("merged", [])]


# Enrolment


def test_the_credential_is_not_kept_in_the_clear(app, erin_phone):
    with app.app_context():
        device = db.session.get_one(Device, erin_phone.device)
        assert erin_phone.credential not in (device.credential_sha256, device.browser_text)


@pytest.mark.parametrize("who", ["dana", None])
def test_only_an_engineer_signed_in_enrols_a_phone(app, client_of, dana, who):
    client = client_of(dana) if who else app.test_client()
    response = client.post("/sync/devices", headers=PAGE)
    assert response.status_code == (403 if who else 401)
    assert response.mimetype == MEDIA_TYPE
