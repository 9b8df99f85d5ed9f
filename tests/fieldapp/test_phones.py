"""What the office knows of phones: when they were heard, what they still hold, what they replace."""

from datetime import UTC, datetime, timedelta

import pytest

from fieldapp import phones
from fieldapp.models import Device, db
from tests.phones import PAGE, flags_of


def device(app, phone):
    with app.app_context():
        return db.session.get_one(Device, phone.device)


def still_there(app, phone):
    return phones.still_there(device(app, phone))


def push(phone, bodies, high, unsent=None):
    body = {"protocol": 1, "now": 1, "high": high, "operations": bodies}
    return phone.send("/sync/push", body if unsent is None else body | {"unsent": unsent})


# What it still holds


def test_what_has_not_arrived_is_counted(app, visit, erin_phone):
    first, _, third = (erin_phone.note(visit) for _ in range(3))
    push(erin_phone, [first, third], 3)
    assert still_there(app, erin_phone) == 1


def test_nothing_is_counted_twice(app, visit, erin_phone):
    note, late = erin_phone.note(visit), erin_phone.note(visit)
    for bodies in ([note], [note, note], [note]):
        push(erin_phone, bodies, 2)
    assert still_there(app, erin_phone) == 1
    push(erin_phone, [late], 2)
    assert still_there(app, erin_phone) == 0


def test_a_phone_that_says_more_than_its_counter_is_believed(app, visit, erin_phone):
    push(erin_phone, [erin_phone.note(visit)], 1, unsent=3)  # photos
    assert still_there(app, erin_phone) == 3
    push(erin_phone, [], 1, unsent=0)
    assert still_there(app, erin_phone) == 0


@pytest.mark.parametrize("unsent", [-1, "3", 1.5, True, None, 2**60, []])
def test_what_is_no_number_says_nothing(app, visit, erin_phone, unsent):
    response = push(erin_phone, [erin_phone.note(visit)], 1, unsent)
    assert response.status_code == 200
    assert still_there(app, erin_phone) == 0


def test_a_number_beyond_all_columns_is_a_great_number(app, visit, erin_phone):
    push(erin_phone, [], 0, unsent=2**50)
    assert still_there(app, erin_phone) == 1_000_000


def test_a_pull_tells_too(app, visit, erin_phone):
    erin_phone.pull(unsent=2)
    assert still_there(app, erin_phone) == 2
    erin_phone.pull(unsent=0)
    assert still_there(app, erin_phone) == 0


# When it was heard


def test_a_phone_that_only_asks_is_heard(app, visit, erin_phone):
    before = datetime.now(UTC)
    erin_phone.pull()
    assert device(app, erin_phone).heard_at >= before


def test_asking_again_within_the_minute_writes_nothing(app, visit, erin_phone):
    erin_phone.pull(unsent=0)
    heard_at = device(app, erin_phone).heard_at
    erin_phone.pull(unsent=0)
    assert device(app, erin_phone).heard_at == heard_at


def test_asking_after_a_minute_is_noted():
    now = datetime.now(UTC)
    heard = Device(heard_at=now - timedelta(seconds=61), unsent=0)
    assert phones.is_news(heard, None, now)
    assert not phones.is_news(Device(heard_at=now, unsent=0), None, now)


# Whose place it took


def enrol(client, **told):
    return client.post("/sync/devices", json=told, headers=PAGE).json["device"]


def test_a_phone_whose_storage_was_emptied_names_the_one_it_was(app, erin, client_of, erin_phone):
    new = enrol(client_of(erin), replaces=erin_phone.device, reason="evicted")
    with app.app_context():
        row = db.session.get_one(Device, new)
        assert (row.replaces_id, row.replaces_reason) == (erin_phone.device, "evicted")


@pytest.mark.parametrize("told", [{}, {"replaces": "nobody"}, {"replaces": 7}, {"replaces": "\0"}])
def test_a_phone_of_nobody_is_not_replaced(app, erin, client_of, erin_phone, told):
    new = enrol(client_of(erin), **told)
    with app.app_context():
        assert db.session.get_one(Device, new).replaces_id is None


def test_nobody_replaces_the_phone_of_another(app, eli, client_of, erin_phone):
    new = enrol(client_of(eli), replaces=erin_phone.device, reason="evicted")
    with app.app_context():
        assert db.session.get_one(Device, new).replaces_id is None


# Copies


def test_one_number_for_two_entries_is_a_copied_phone(app, visit, erin_phone):
    erin_phone.receipts(erin_phone.note(visit, "mine", n=1))
    assert erin_phone.receipts(erin_phone.note(visit, "the copy's", n=1)) == [
        ("flagged", ["device.counter-twice"])
    ]
    assert flags_of(app, visit) == ["device.counter-twice"]


def test_a_copy_is_found_within_one_push(app, visit, erin_phone):
    bodies = [erin_phone.note(visit, text, n=1) for text in ("mine", "the copy's")]
    assert [reasons for _, reasons in erin_phone.receipts(*bodies)] == [
        [],
        ["device.counter-twice"],
    ]


def test_two_phones_may_count_alike(app, visit, erin, erin_phone, phone_of):
    other = phone_of(erin)
    erin_phone.receipts(erin_phone.note(visit, n=1))
    assert other.receipts(other.note(visit, n=1)) == [("merged", [])]
