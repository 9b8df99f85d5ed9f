"""Push and pull over HTTP: nothing is refused, nothing is lost, everybody gets what is his."""

import itertools
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from fieldapp.ids import mint_id
from fieldapp.models import Device, Organisation, Person, Visit, WorkOrder, db
from fieldapp.perform import received_of, unit
from sync import merge
from sync.canonical import hash_of
from sync.protocol import MEDIA_TYPE, digest
from sync.tables import journal, sync_clock, visit_scope
from tests import cast
from tests.phones import PAGE, at_desk, flags_of, now_ms, state_of

MINUTE = 60_000


def held(app, **columns):
    """Rows of the journal as (id, kind, problems)."""
    with app.app_context():
        statement = select(journal)
        for name, value in columns.items():
            statement = statement.where(journal.c[name] == value)
        return list(db.session.execute(statement))


def kinds(app, visit_id):
    return sorted(entry["kind"] for entry in state_of(app, visit_id)["entries"])


def quarantine(app, visit_id):
    return [(apart["kind"], apart["code"]) for apart in state_of(app, visit_id)["quarantine"]]


def rev_of(app, visit_id):
    with app.app_context():
        return db.session.get_one(Visit, visit_id).rev


def change(app, table, id_, **values):
    with app.app_context():
        row = db.session.get_one(table, id_)
        for name, value in values.items():
            setattr(row, name, value)
        db.session.commit()


# Receipts


def test_erins_note_is_merged_and_shown(app, visit, erin_phone):
    assert erin_phone.receipts(erin_phone.note(visit)) == [("merged", [])]
    assert kinds(app, visit) == ["note"]


def test_receipts_name_the_operations_in_their_order(visit, erin_phone):
    notes = [erin_phone.note(visit, f"note {number}") for number in range(5)]
    told = erin_phone.push(*notes).json["receipts"]
    assert [receipt["id"] for receipt in told] == [note["id"] for note in notes]


def test_push_repeated_after_a_lost_answer_adds_nothing(app, visit, erin_phone):
    note = erin_phone.note(visit)
    erin_phone.push(note)
    rev = rev_of(app, visit)
    assert erin_phone.receipts(note, note) == [("duplicate", []), ("duplicate", [])]
    assert len(held(app, id=note["id"])) == 1
    assert rev_of(app, visit) == rev


def test_the_same_operation_twice_in_a_batch_counts_once(app, visit, erin_phone):
    note = erin_phone.note(visit)
    assert erin_phone.receipts(note, note) == [("merged", []), ("duplicate", [])]
    assert len(held(app, id=note["id"])) == 1


def test_two_unseen_values_are_a_conflict_for_the_second(app, visit, dana, erin_phone):
    head = state_of(app, visit)["fields"]["fault/text"]["heads"]
    at_desk(app, dana, visit, ("fault", {"text": "dead since 08:10"}, {"fault/text": head}))
    body = erin_phone.operation("fault", visit, {"fault/text": "no power"}, {"fault/text": head})
    assert erin_phone.receipts(body) == [("conflict", [])]
    sides = state_of(app, visit)["fields"]["fault/text"]["sides"]
    assert {side["value"] for side in sides} == {"dead since 08:10", "no power"}


def test_an_equal_unseen_value_is_no_conflict(app, visit, erin_phone):
    body = erin_phone.operation("fault", visit, {"fault/text": "dead since 08:40"})
    assert erin_phone.receipts(body) == [("merged", [])]


def test_an_unknown_kind_is_stored_whole(app, visit, erin_phone):
    body = erin_phone.operation("teleport", visit, {"to": "site"}, colour="blue")
    assert erin_phone.receipts(body) == [("opaque", ["operation.unknown-kind"])]
    (row,) = held(app, id=body["id"])
    assert json.loads(row.body) == body


def test_an_unknown_kind_is_folded_once_a_newer_version_knows_it(app, visit, erin_phone):
    body = erin_phone.note(visit)
    erin_phone.push(body)
    with app.app_context():
        db.session.execute(journal.update().values(problems="operation.unknown-kind=note"))
        db.session.commit()
        with unit(erin_phone.person.org_id, datetime.now(UTC)) as opened:
            opened.refresh(visit)
    assert kinds(app, visit) == ["note"]
    assert flags_of(app, visit) == []


def test_fields_of_a_newer_version_are_stored_whole(app, visit, erin_phone):
    body = erin_phone.operation("note", visit, {"text": "wet floor", "mood": "calm"}, colour="blue")
    assert erin_phone.receipts(body) == [("merged", [])]
    assert json.loads(held(app, id=body["id"])[0].body) == body


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("note", {}, "field.missing"),
        ("note", {"text": "x" * 4001}, "field.too-long"),
        ("note", {"text": "bell\u0007"}, "field.control-characters"),
        ("note", {"text": 7}, "field.wrong-type"),
        ("arrival", {"outcome": "asleep"}, "field.not-a-choice"),
        ("arrival", {"outcome": "present", "position": [1, 2]}, "field.not-a-position"),
        ("photo", {"sha256": "../etc"}, "field.not-a-hash"),
        ("measure", {"text": "x", "completed_at": "noon"}, "field.not-a-moment"),
        ("note", ["text"], "operation.malformed"),
        ("void", {"entry": "nobody's", "reason": "wrong"}, None),
    ],
)
def test_what_a_form_would_stop_is_kept_and_flagged(app, visit, erin_phone, kind, value, reason):
    body = erin_phone.operation(kind, visit, value)
    ((state, reasons),) = erin_phone.receipts(body)
    assert state == "flagged"
    assert reasons == ([reason] if reason else [])
    assert json.loads(held(app, id=body["id"])[0].body) == body
    assert (reason or "operation.dangling") in flags_of(app, visit)


def test_an_operation_that_does_not_match_its_hash_is_flagged(app, visit, erin_phone):
    body = erin_phone.note(visit) | {"value": {"text": "damaged on the way"}}
    assert erin_phone.receipts(body) == [("flagged", ["operation.hash-mismatch"])]
    assert kinds(app, visit) == ["note"]


def test_the_whole_copy_is_not_shut_out_by_a_damaged_one(app, visit, erin_phone):
    body = erin_phone.note(visit, "as Erin wrote it")
    erin_phone.push(body | {"value": {"text": "damaged"}})
    assert erin_phone.receipts(body) == [("flagged", ["operation.same-id"])]
    (entry,) = state_of(app, visit)["entries"]
    assert entry["value"]["text"] == "as Erin wrote it"
    assert len(held(app, id=body["id"])) == 2


def test_the_same_id_with_other_content_keeps_both(app, visit, erin_phone):
    first = erin_phone.note(visit, "first")
    second = erin_phone.note(visit, "second", id=first["id"])
    assert erin_phone.receipts(first, second)[1] == ("flagged", ["operation.same-id"])
    assert erin_phone.receipts(second, first) == [("duplicate", []), ("duplicate", [])]
    assert len(held(app, id=first["id"])) == 2


def test_eli_cannot_replace_what_erin_wrote_under_its_id(app, visit, erin_phone, eli, phone_of):
    first = erin_phone.note(visit, "first")
    erin_phone.push(first)
    phone = phone_of(eli)
    for number in range(20):  # some of these hashes sort before Erin's
        phone.push(phone.note(visit, f"forged {number}", id=first["id"], author=first["author"]))
    (entry,) = state_of(app, visit)["entries"]
    assert entry["value"]["text"] == "first"
    assert "operation.same-id" in flags_of(app, visit)


def test_an_author_who_does_not_own_the_phone_is_flagged(app, visit, eli, erin_phone):
    body = erin_phone.note(visit, author=eli.id)
    ((state, reasons),) = erin_phone.receipts(body)
    assert (state, set(reasons)) == ("flagged", {"author.not-owner", "author.out-of-scope"})
    assert kinds(app, visit) == []
    assert quarantine(app, visit) == [("note", "author.not-owner")]


def test_an_author_who_never_had_the_visit_is_flagged(app, visit, eli, phone_of):
    phone = phone_of(eli)
    assert phone.receipts(phone.note(visit)) == [("flagged", ["author.out-of-scope"])]
    assert kinds(app, visit) == ["note"]


def test_an_author_whose_visit_went_to_somebody_else_is_not(app, visit, dana, eli, erin_phone):
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    assert erin_phone.receipts(erin_phone.note(visit)) == [("merged", [])]


def test_a_revoked_phone_is_stored_and_flagged(app, visit, erin_phone):
    change(app, Device, erin_phone.device, revoked_at=datetime.now(UTC))
    assert erin_phone.receipts(erin_phone.note(visit)) == [("flagged", ["device.revoked"])]
    assert kinds(app, visit) == []
    assert quarantine(app, visit) == [("note", "device.revoked")]


def test_what_the_desk_releases_counts(app, visit, dana, erin_phone):
    change(app, Device, erin_phone.device, revoked_at=datetime.now(UTC))
    note = erin_phone.note(visit)
    erin_phone.receipts(note)
    at_desk(app, dana, visit, ("release", {"entry": note["id"], "reason": "she called"}))
    assert (kinds(app, visit), quarantine(app, visit)) == (["note"], [])


def test_a_phone_releases_nothing(app, visit, eli, erin_phone):
    note = erin_phone.note(visit, author=eli.id)
    release = erin_phone.operation("release", visit, {"entry": note["id"], "reason": "trust me"})
    erin_phone.receipts(note, release)
    assert kinds(app, visit) == []


def test_the_phone_of_somebody_who_left_is_stored_and_flagged(app, visit, erin, erin_phone):
    change(app, Person, erin.id, left_at=datetime.now(UTC))
    assert erin_phone.receipts(erin_phone.note(visit)) == [("flagged", ["device.revoked"])]


def test_an_unknown_visit_is_kept_until_the_office_knows_it(app, erin, erin_phone):
    unknown = mint_id(datetime.now(UTC))
    assert erin_phone.receipts(erin_phone.note(unknown)) == [("flagged", ["visit.unknown"])]
    assert kinds(app, unknown) == ["note"]
    assert erin_phone.pull()["changed"] == []


def test_ollys_push_never_touches_erins_visit(app, visit, olly, phone_of):
    phone = phone_of(olly)
    before, rev = state_of(app, visit), rev_of(app, visit)
    bodies = [phone.note(visit), phone.operation("review", visit, {"verdict": "accepted"})]
    assert phone.receipts(*bodies) == [("flagged", ["visit.unknown"])] * 2
    assert (state_of(app, visit), rev_of(app, visit)) == (before, rev)
    assert {row.org_id for row in held(app, visit_id=visit, author_id=olly.id)} == {olly.org_id}


def test_ollys_operation_under_erins_id_changes_nothing_of_hers(
    app, visit, erin_phone, olly, phone_of
):
    body = erin_phone.operation("photo", visit, {"sha256": "ab" * 32})
    erin_phone.push(body)
    before = state_of(app, visit)
    phone = phone_of(olly)
    elsewhere = mint_id(datetime.now(UTC))
    phone.push(phone.operation("photo", elsewhere, {"sha256": "ab" * 32}, id=body["id"]))
    assert state_of(app, visit) == before
    assert erin_phone.pull()["changed"][0]["state"]["sync"]["photos"] == 1


# Who may decide


DECISIONS = [
    ("assignment", {"engineer": "eli"}),
    ("review", {"verdict": "accepted"}),
    ("cancellation", {"reason": "I am tired"}),
    ("appointment", {"appointment/at": "2026-03-10T02:00:00Z"}),
    ("resolution", {"fault/text": "nothing"}),
]


@pytest.mark.parametrize(("kind", "value"), DECISIONS)
@pytest.mark.parametrize("author", ["erin", "dana", "nobody"])
def test_a_phone_cannot_decide_what_the_desk_decides(
    app, visit, erin, eli, dana, erin_phone, kind, value, author
):
    value = {name: eli.id if item == "eli" else item for name, item in value.items()}
    named = {"erin": erin.id, "dana": dana.id, "nobody": "nobody"}[author]
    before = state_of(app, visit)
    seen = {path: cell["heads"] for path, cell in before["fields"].items()}
    body = erin_phone.operation(kind, visit, value, seen, author=named)
    ((state, reasons),) = erin_phone.receipts(body)
    after = state_of(app, visit)
    assert state == "flagged"
    assert set(reasons) & {"author.role", "author.not-owner"}
    assert (after["fields"], after["visit"]) == (before["fields"], before["visit"])
    assert {flag["code"] for flag in after["flags"]} >= set(reasons)
    assert len(held(app, id=body["id"])) == 1


def test_a_fault_cannot_carry_a_review_past_the_desk(app, visit, erin_phone):
    value = {"fault/text": "no power", "review": {"verdict": "accepted"}, "assignment": "me"}
    heads = {"fault/text": state_of(app, visit)["fields"]["fault/text"]["heads"]}
    erin_phone.receipts(erin_phone.operation("fault", visit, value, heads))
    state = state_of(app, visit)
    assert state["visit"]["status"] == "planned"
    assert state["fields"]["fault/text"]["value"] == "no power"
    assert "review" not in state["fields"]
    assert flags_of(app, visit) == ["operation.malformed"]


def test_the_desk_decides(app, visit, dana, eli, erin_phone):
    erin_phone.push(erin_phone.operation("leaving", visit, {}))
    at_desk(app, dana, visit, ("review", {"verdict": "accepted"}))
    assert state_of(app, visit)["visit"]["status"] == "accepted"


# Poison: one bad operation blocks nothing

BAD = {
    "no object": 7,
    "nothing": None,
    "empty": {},
    "no id": {"kind": "note", "value": {}},
    "an id that is too long": {"id": "x" * 50, "value": 1},
    "an id that is a number": {"id": 5},
    "a list as visit": {"id": "a-1", "visit": ["x"]},
    "half a character": {"id": "a-2", "value": {"text": "\ud800"}},
    "half a character as id": {"id": "\udfff", "visit": "\udfff", "kind": "\udfff"},
    "a zero in the kind": {"id": "a-3", "kind": "no\u0000te"},
    "a float": {"id": "a-4", "value": {"text": 1.5}},
    "a huge number": {"id": "a-5", "wall": 10**30},
    "deeply nested": {"id": "a-6", "value": json.loads("[" * 700 + "]" * 700)},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_something_malformed_is_kept_and_blocks_nothing(app, visit, erin_phone, bad):
    before, after = erin_phone.note(visit, "before"), erin_phone.note(visit, "after")
    first, (state, reasons), last = erin_phone.receipts(before, bad, after)
    assert (first, state, last) == (("merged", []), "opaque", ("merged", []))
    assert reasons[0] == "operation.malformed"
    assert kinds(app, visit) == ["note", "note"]
    # A phone that never got the answer sends it all again.
    assert [state for state, _ in erin_phone.receipts(before, bad, after)] == ["duplicate"] * 3
    (row,) = held(app, outcome="opaque")
    kept = json.loads(row.body)
    assert kept == (bad if isinstance(bad, dict) else {"value": bad})


@pytest.mark.parametrize("more", [
    {"wall": -(2**53) + 1},
    {"wall": 2**53 - 1},
    {"kind": "line\nbreak"},
    {"visit": "no\u0000visit"},
    {"device": "\u0000"},
])  # fmt: skip
def test_an_envelope_no_table_can_hold_is_kept_and_blocks_nothing(app, visit, erin_phone, more):
    bad, good = erin_phone.note(visit, **more), erin_phone.note(visit, "good")
    (state, reasons), other = erin_phone.receipts(bad, good)
    assert (state, reasons[0], other) == ("opaque", "operation.malformed", ("merged", []))
    assert json.loads(held(app, id=bad["id"])[0].body) == bad


def test_a_receipt_names_the_operation_as_its_sender_does(visit, erin_phone):
    told = erin_phone.push({"id": "x" * 50}).json["receipts"]
    assert told[0]["id"] == "x" * 50


def test_what_nobody_can_place_lies_with_the_organisation(app, organisation, erin_phone):
    assert erin_phone.receipts({"id": "a-1"}) == [("opaque", ["operation.malformed"])]
    assert flags_of(app, organisation) == ["operation.malformed"]


def test_an_impossible_time_does_not_block_the_batch(app, visit, dana, erin_phone):
    at = "0001-01-01T00:00:00+14:00"
    (receipt,) = at_desk(app, dana, visit, ("appointment", {"at": at}))
    assert receipt.state == "flagged"
    assert erin_phone.receipts(erin_phone.note(visit)) == [("merged", [])]


def test_a_phone_whose_clock_went_mad_is_heard(app, visit, erin_phone):
    assert erin_phone.receipts(erin_phone.note(visit), now=2**53 - 1) == [
        ("flagged", ["clock.skew"])
    ]
    assert kinds(app, visit) == ["note"]


def break_measures(monkeypatch):
    """Folding a measure raises, as a mistake of ours would."""
    take = merge._Folder.take

    def broken(self, item):
        if item.operation.kind == "measure" and "operation.fold-failed" not in item.problems:
            raise ZeroDivisionError("our mistake")
        return take(self, item)

    monkeypatch.setattr(merge._Folder, "take", broken)


def test_a_fold_that_raises_flags_that_operation_only(app, visit, erin_phone, monkeypatch):
    break_measures(monkeypatch)
    value = {"text": "cleaned", "completed_at": "2026-03-10T03:00:00Z"}
    bodies = [
        erin_phone.note(visit, "before"),
        erin_phone.operation("measure", visit, value),
        erin_phone.note(visit, "after"),
    ]
    assert erin_phone.receipts(*bodies) == [
        ("merged", []),
        ("flagged", ["operation.fold-failed"]),
        ("merged", []),
    ]
    assert kinds(app, visit) == ["note", "note"]
    assert flags_of(app, visit) == ["operation.fold-failed"]
    assert erin_phone.receipts(erin_phone.note(visit)) == [("merged", [])]


def test_an_old_operation_that_a_new_version_cannot_fold_blocks_nothing(
    app, visit, erin_phone, monkeypatch
):
    value = {"text": "cleaned", "completed_at": "2026-03-10T03:00:00Z"}
    erin_phone.push(erin_phone.operation("measure", visit, value))
    with monkeypatch.context() as patch:
        break_measures(patch)
        assert erin_phone.receipts(erin_phone.note(visit)) == [("merged", [])]
        assert flags_of(app, visit) == ["operation.fold-failed"]
    assert erin_phone.receipts(erin_phone.note(visit)) == [("merged", [])]
    assert kinds(app, visit) == ["measure", "note", "note"]
    assert flags_of(app, visit) == []


def test_a_projection_that_raises_flags_that_operation_only(app, visit, erin_phone, monkeypatch):
    from fieldapp import perform

    project = perform.project

    def broken(opened, row, state):
        if any(entry["value"].get("text") == "poison" for entry in state["entries"]):
            raise OverflowError("our mistake")
        return project(opened, row, state)

    monkeypatch.setattr(perform, "project", broken)
    states = erin_phone.receipts(erin_phone.note(visit, "poison"), erin_phone.note(visit, "good"))
    assert states == [("flagged", ["operation.fold-failed"]), ("merged", [])]
    assert [entry["value"]["text"] for entry in state_of(app, visit)["entries"]] == ["good"]


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


def test_five_hundred_operations_go_in_one_push(app, visit_of, erin, erin_phone):
    visits = [visit_of(erin, f"PG-{number}") for number in range(10)]
    bodies = [erin_phone.note(visits[number % 10], f"note {number}") for number in range(500)]
    assert erin_phone.receipts(*bodies) == [("merged", [])] * 500
    assert [len(kinds(app, visit_id)) for visit_id in visits] == [50] * 10


# Clocks


def test_a_wrong_clock_is_flagged_and_the_corrected_time_is_kept(app, visit, erin_phone):
    ahead = 20 * MINUTE + 30_000
    happened = now_ms() - 2 * MINUTE
    note = erin_phone.note(visit, wall=happened + ahead)
    assert erin_phone.receipts(note, now=now_ms() + ahead) == [("flagged", ["clock.skew"])]
    (row,) = held(app, id=note["id"])
    assert abs(row.corrected_ms - happened) < 5000
    erin_phone.push(note, now=now_ms() + 3 * ahead)
    (again,) = held(app, id=note["id"])
    assert (again.corrected_ms, again.problems) == (row.corrected_ms, "clock.skew=20")


def test_a_clock_a_minute_off_is_not_flagged(visit, erin_phone):
    assert erin_phone.receipts(erin_phone.note(visit), now=now_ms() + MINUTE) == [("merged", [])]


def test_nothing_happened_after_it_was_received(app, visit, erin_phone):
    note = erin_phone.note(visit, wall=now_ms() + 3 * 60 * MINUTE)
    erin_phone.push(note)
    assert held(app, id=note["id"])[0].corrected_ms <= now_ms()


# Refusals keep what is there and take nothing


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


# Pull


def test_erin_pulls_her_visit_with_its_context_and_the_policy_once(visit, erin_phone):
    told = erin_phone.pull()
    assert list(erin_phone.visits) == [visit]
    assert erin_phone.visits[visit]["state"]["context"]["work_order"]["number"] == "PG-1"
    assert told["digest"] == erin_phone.digest
    assert told["policy"]["code"] == "alarm"
    assert erin_phone.ask(policy=told["policy_version"]).json["policy"] is None


def test_a_pull_without_news_brings_nothing(visit, erin_phone):
    erin_phone.pull()
    told = erin_phone.pull()
    assert (told["changed"], told["removed"], told["more"]) == ([], [], False)
    assert told["digest"] == erin_phone.digest


def test_a_pull_needs_credential_and_session(app, visit, erin, eli, erin_phone, client_of):
    body = json.dumps({"protocol": 1})
    bare = erin_phone.wire.post("/sync/pull", data=body, headers=erin_phone.headers)
    assert (bare.status_code, bare.json["problem"]) == (401, "access.sign-in")
    of_eli = client_of(eli).post("/sync/pull", data=body, headers=erin_phone.headers | PAGE)
    assert (of_eli.status_code, of_eli.json["problem"]) == (401, "access.sign-in")
    cookie = client_of(erin).post(
        "/sync/pull", data=body, headers={"Content-Type": MEDIA_TYPE} | PAGE
    )
    assert (cookie.status_code, cookie.json["problem"]) == (401, "access.missing-device")


def test_an_old_session_pauses_the_pull_and_not_the_push(visit, erin_phone):
    with erin_phone.browser.session_transaction() as session:
        session["since"] = int(time.time()) - 31 * 24 * 3600
    assert erin_phone.ask().json["problem"] == "access.sign-in"
    assert erin_phone.receipts(erin_phone.note(visit)) == [("merged", [])]


def test_a_revoked_phone_pulls_nothing(app, visit, erin_phone):
    change(app, Device, erin_phone.device, revoked_at=datetime.now(UTC))
    response = erin_phone.ask()
    assert (response.status_code, response.json["problem"]) == (403, "access.revoked")


def test_a_pull_comes_in_pages(visit_of, erin, erin_phone, monkeypatch):
    from sync import scope

    visits = {visit_of(erin, f"PG-{number}") for number in range(7)}
    monkeypatch.setattr(scope.changes, "__defaults__", (3,))
    sizes = []
    more = True
    while more:
        told = erin_phone.ask().json
        erin_phone.cursor, more = told["cursor"], told["more"]
        sizes.append(len(told["changed"]))
        erin_phone.visits |= {item["visit"]: item for item in told["changed"]}
    assert sizes == [3, 3, 1]
    assert set(erin_phone.visits) == visits
    assert told["digest"] == erin_phone.digest


def test_pages_may_cut_through_one_revision(
    app, organisation, visit_of, erin, erin_phone, monkeypatch
):
    from sync import scope

    visits = {visit_of(erin, f"PG-{number}") for number in range(5)}
    erin_phone.pull()
    with app.app_context(), unit(organisation, datetime.now(UTC)) as opened:
        for visit_id in visits:
            opened.touch(visit_id)
    erin_phone.visits.clear()
    monkeypatch.setattr(scope.changes, "__defaults__", (2,))
    told = erin_phone.pull()
    assert set(erin_phone.visits) == visits
    assert told["digest"] == erin_phone.digest


def test_a_visit_assigned_without_any_other_change_arrives(app, visit, dana, eli, phone_of):
    phone = phone_of(eli)
    phone.pull()
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    told = phone.pull()
    assert list(phone.visits) == [visit]
    assert told["digest"] == phone.digest


def test_a_visit_that_went_to_eli_leaves_erin_with_a_reason(app, visit, dana, eli, erin_phone):
    erin_phone.pull()
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    told = erin_phone.pull()
    assert erin_phone.removed == {visit: "reassigned"}
    assert told["digest"] == erin_phone.digest == digest({})


def test_a_visit_that_comes_back_arrives_again(app, visit, dana, erin, eli, erin_phone):
    erin_phone.pull()
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    erin_phone.pull()
    at_desk(app, dana, visit, ("assignment", {"engineer": erin.id}))
    told = erin_phone.pull()
    assert list(erin_phone.visits) == [visit]
    assert told["digest"] == erin_phone.digest


def test_away_and_back_in_one_transaction_stays(app, visit, dana, erin, eli, erin_phone):
    at_desk(
        app,
        dana,
        visit,
        ("assignment", {"engineer": eli.id}),
        ("assignment", {"engineer": erin.id}),
    )
    assert erin_phone.pull()["digest"] == erin_phone.digest
    assert list(erin_phone.visits) == [visit]


def test_eli_is_told_nothing_of_erins_visit(visit, eli, phone_of):
    phone = phone_of(eli)
    told = phone.pull()
    assert (told["changed"], told["removed"]) == ([], [])
    assert phone.pull(held={visit: 1})["changed"] == []


def test_a_phone_that_lost_count_gets_exactly_the_difference(visit_of, erin, erin_phone):
    visits = [visit_of(erin, f"PG-{number}") for number in range(4)]
    erin_phone.pull()
    right = dict(erin_phone.revisions)
    wrong = right | {visits[0]: right[visits[0]] - 1, "gone": 3}
    del wrong[visits[1]]
    told = erin_phone.ask(held=wrong).json
    assert sorted(item["visit"] for item in told["changed"]) == sorted(visits[:2])
    assert told["removed"] == [{"visit": "gone", "reason": "unassigned"}]
    assert erin_phone.ask(held=right).json["changed"] == []


@pytest.mark.parametrize("odd", [{"a": None}, {"a": [1]}, {"a": "1"}, []])
def test_an_odd_difference_is_answered(visit, erin_phone, odd):
    assert erin_phone.ask(held=odd).status_code == 200


def test_another_epoch_starts_from_the_beginning(app, organisation, visit, erin_phone):
    erin_phone.pull()
    assert erin_phone.pull()["changed"] == []
    change(app, Organisation, organisation, epoch=mint_id(datetime.now(UTC)))
    erin_phone.visits.clear()
    erin_phone.pull()
    assert list(erin_phone.visits) == [visit]


@pytest.mark.parametrize("cursor", ["nonsense", "////", 7, None, {"a": 1}, "w7w="])
def test_an_unreadable_cursor_starts_from_the_beginning(visit, erin_phone, cursor):
    erin_phone.cursor = cursor
    assert [item["visit"] for item in erin_phone.ask().json["changed"]] == [visit]


def test_a_revision_belongs_to_the_state_beside_it(app, visit, dana, erin_phone, monkeypatch):
    """Somebody writes between reading the visits and answering."""
    from fieldapp import presentation

    remember = presentation._remember

    def slowly(*arguments):
        remember(*arguments)
        patch.setattr(presentation, "_remember", remember)
        thread = threading.Thread(
            target=at_desk, args=(app, dana, visit, ("remark", {"text": "hurry"}))
        )
        thread.start()
        thread.join()

    with monkeypatch.context() as patch:
        patch.setattr(presentation, "_remember", slowly)
        first = erin_phone.pull()["changed"][0]
    assert first["state"]["entries"] == []
    second = erin_phone.pull()["changed"][0]
    assert second["rev"] > first["rev"]
    assert [entry["kind"] for entry in second["state"]["entries"]] == ["remark"]


def test_a_visit_without_a_work_order_is_hers_when_the_desk_says_so(app, dana, erin, erin_phone):
    unknown = mint_id(datetime.now(UTC))
    erin_phone.push(erin_phone.note(unknown))
    assert erin_phone.pull()["digest"] == erin_phone.digest == digest({})
    at_desk(app, dana, unknown, ("assignment", {"engineer": erin.id}))
    assert erin_phone.pull()["digest"] == erin_phone.digest
    assert set(erin_phone.visits) == {unknown}


def test_names_of_another_organisation_do_not_leak(app, visit, olly, erin_phone):
    erin_phone.push(erin_phone.note(visit, author=olly.id))
    told = erin_phone.pull()
    assert olly.name not in json.dumps(told)


# What one visit tells of another


def other_visit(visit_of, eli):
    """A visit of Eli's at the same asset, two days on."""
    return visit_of(eli, "PG-2", appointment_at=datetime.now(UTC) + timedelta(days=2))


def loaner(phone, visit, serial="SP-1", **more):
    value = {
        "removed_serial": "WAH200-C1",
        "loaner_serial": serial,
        "reason_text": "no power",
        "told_text": "back on Friday",
    }
    return phone.operation("loaner", visit, value, **more)


def test_erins_loaner_reaches_elis_phone(visit, visit_of, eli, erin_phone, phone_of):
    later, phone = other_visit(visit_of, eli), phone_of(eli)
    phone.pull()
    erin_phone.push(loaner(erin_phone, visit))
    phone.pull()
    (shown,) = phone.visits[later]["state"]["context"]["loaners"]
    assert shown["loaner_serial"] == "SP-1"
    assert shown["notice"].startswith("TH-")


def test_erins_arrival_and_diagnosis_reach_elis_history(
    app, visit, dana, visit_of, eli, erin_phone, phone_of
):
    later, phone = visit_of(eli, "PG-2"), phone_of(eli)
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    at_desk(app, dana, later, ("appointment", {"at": tomorrow}))
    phone.pull()
    erin_phone.push(erin_phone.operation("arrival", visit, {"outcome": "present"}))
    phone.pull()
    (line,) = phone.visits[later]["state"]["context"]["history"]
    assert line["summary_text"] == "dead since 08:40"
    value = {"diagnosis/text": "fuse", "diagnosis/cause": "product", "diagnosis/repair": "on-site"}
    erin_phone.push(erin_phone.operation("diagnosis", visit, value))
    phone.pull()
    (line,) = phone.visits[later]["state"]["context"]["history"]
    assert line["summary_text"] == "fuse"


def test_what_no_other_visit_shows_touches_no_other_visit(app, visit, visit_of, eli, erin_phone):
    later = other_visit(visit_of, eli)
    rev = rev_of(app, later)
    value = {"diagnosis/text": "fuse", "diagnosis/cause": "product", "diagnosis/repair": "on-site"}
    erin_phone.push(
        erin_phone.note(visit),
        erin_phone.operation("departure", visit, {}),
        erin_phone.operation("diagnosis", visit, value),  # before any arrival: no history yet
    )
    assert rev_of(app, later) == rev
    arrival = erin_phone.operation("arrival", visit, {"outcome": "present"})
    erin_phone.push(arrival)
    assert rev_of(app, later) == rev_of(app, visit) > rev
    rev = rev_of(app, later)
    erin_phone.push(arrival, erin_phone.note(visit))
    assert rev_of(app, later) == rev


# Numbers of loaner notices


def notices(app, visit):
    return [
        entry["notice"] for entry in state_of(app, visit)["entries"] if entry["kind"] == "loaner"
    ]


def test_a_loaner_gets_its_notice_once_and_for_ever(app, organisation, visit, erin_phone):
    erin_phone.push(loaner(erin_phone, visit), loaner(erin_phone, visit, "SP-2"))
    given = notices(app, visit)
    day = datetime.now(UTC).astimezone(cast.MORNING.tzinfo)
    assert len(set(given)) == 2
    assert all(number.startswith("TH-") and number.endswith(("-001", "-002")) for number in given)
    assert day.year == int(given[0][3:7])
    with app.app_context(), unit(organisation, datetime.now(UTC)) as opened:
        opened.refresh(visit)
    assert notices(app, visit) == given


def test_a_loaner_struck_out_keeps_its_number_and_nobody_else_gets_it(app, visit, erin_phone):
    issue = loaner(erin_phone, visit)
    erin_phone.push(issue)
    (number,) = notices(app, visit)
    erin_phone.push(erin_phone.operation("void", visit, {"entry": issue["id"], "reason": "wrong"}))
    erin_phone.push(loaner(erin_phone, visit, "SP-2"))
    assert number in notices(app, visit)
    assert len(set(notices(app, visit))) == 2


def test_a_loaner_struck_out_before_it_arrived_needs_no_number(app, visit, erin_phone):
    issue = loaner(erin_phone, visit)
    void = erin_phone.operation("void", visit, {"entry": issue["id"], "reason": "wrong"})
    erin_phone.push(void, issue)
    assert notices(app, visit) == [None]


def test_notices_of_two_organisations_count_apart(app, visit, erin_phone, olly, phone_of):
    phone = phone_of(olly)
    elsewhere = mint_id(datetime.now(UTC))
    phone.push(loaner(phone, elsewhere, wall=now_ms()))
    erin_phone.push(loaner(erin_phone, visit, wall=now_ms()))
    assert notices(app, visit) == notices(app, elsewhere)


# The clock


def statements_of(app, work):
    """Every statement that ``work`` sent, in order; commits and rollbacks included."""
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", lambda _: sent.append("COMMIT"))
    try:
        work()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return sent


def clock_of(app, org_id):
    with app.app_context():
        return db.session.scalar(select(sync_clock.c.rev).where(sync_clock.c.org_id == org_id))


def test_the_revision_rises_with_every_unit(app, organisation, visit, dana, erin_phone):
    seen = [clock_of(app, organisation)]
    for number in range(3):
        erin_phone.push(erin_phone.note(visit, f"note {number}"))
        assert rev_of(app, visit) == clock_of(app, organisation)
        at_desk(app, dana, visit, ("remark", {"text": "thanks"}))
        seen.append(clock_of(app, organisation))
    assert all(later >= earlier + 2 for earlier, later in itertools.pairwise(seen))


def test_a_unit_that_changes_nothing_leaves_the_clock(app, organisation, visit, erin_phone):
    note = erin_phone.note(visit)
    erin_phone.push(note)
    rev = clock_of(app, organisation)
    erin_phone.push(note)
    erin_phone.push()
    assert clock_of(app, organisation) == rev


def test_visit_journal_and_scope_share_the_revision(app, visit, dana, eli):
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    with app.app_context():
        scopes = dict(
            db.session.execute(
                select(visit_scope.c.active, visit_scope.c.rev).where(
                    visit_scope.c.visit_id == visit
                )
            ).all()
        )
        newest = db.session.scalar(
            select(func.max(journal.c.rev)).where(journal.c.visit_id == visit)
        )
        assert db.session.scalar(select(func.min(journal.c.rev))) > 0
    assert scopes == {True: newest, False: newest} == {True: rev_of(app, visit), False: newest}


def test_behind_the_clock_there_is_only_its_stamp(app, visit, dana, eli):
    sent = statements_of(
        app,
        lambda: at_desk(
            app, dana, visit, ("assignment", {"engineer": eli.id}), ("remark", {"text": "yours"})
        ),
    )
    bumps = [at for at, text in enumerate(sent) if text.startswith("UPDATE sync_clock")]
    assert len(bumps) == 1
    behind = [" ".join(text.split()) for text in sent[bumps[0] + 1 :]]
    behind = behind[: behind.index("COMMIT")]
    stamps = ("UPDATE visit SET rev=", "UPDATE visit_scope SET rev=", "INSERT INTO visit_scope",
              "UPDATE journal SET rev=")  # fmt: skip
    assert behind
    assert [text for text in behind if not text.startswith(stamps)] == []


def test_a_writer_takes_sqlites_lock_before_it_reads(app, sqlite, visit, dana):
    sent = statements_of(app, lambda: at_desk(app, dana, visit, ("remark", {"text": "yours"})))
    behind = sent[sent.index("BEGIN IMMEDIATE") + 1 :]
    assert any(text.startswith("UPDATE sync_clock") for text in behind)
    assert "BEGIN" not in behind[: behind.index("COMMIT")]


def test_twelve_writers_and_a_poller_lose_nothing(app, visit_of, erin, erin_phone, phone_of):
    """Twelve phones push while one pulls; at the end it holds what the server holds."""
    visits = [visit_of(erin, f"PG-{number}") for number in range(6)]
    writers = [phone_of(erin) for _ in range(12)]
    failed, until = [], time.monotonic() + 3

    def write(phone, number):
        count = 0
        while time.monotonic() < until and count < 8:
            count += 1
            body = phone.note(visits[(number + count) % 6], f"{number}.{count}")
            for _ in range(5):
                response = phone.push(body)
                if response.status_code != 503:
                    break
            if response.status_code != 200:
                failed.append((response.status_code, response.text))

    threads = [
        threading.Thread(target=write, args=(phone, number)) for number, phone in enumerate(writers)
    ]
    for thread in threads:
        thread.start()
    polls = 0
    while any(thread.is_alive() for thread in threads):
        told = erin_phone.pull()
        polls += 1
    for thread in threads:
        thread.join()
    told = erin_phone.pull()
    assert failed == []
    assert polls  # it read while they wrote, on however slow a machine
    assert told["digest"] == erin_phone.digest
    pulled = {
        entry["id"] for item in erin_phone.visits.values() for entry in item["state"]["entries"]
    }
    assert pulled == {row.id for row in held(app, kind="note")}
    assert len(pulled) >= 12


def test_twenty_edits_at_once_from_phone_and_desk_lose_no_value(
    app, visit, dana, erin_phone, client_of
):
    head = {"fault/text": state_of(app, visit)["fields"]["fault/text"]["heads"]}
    texts = [f"text {number}" for number in range(20)]
    failed = []

    def by_phone(text):
        body = erin_phone.operation("fault", visit, {"fault/text": text}, head)
        if erin_phone.push(body).status_code != 200:
            failed.append(text)

    def by_desk(text):
        at_desk(app, dana, visit, ("fault", {"text": text}, head))

    threads = [
        threading.Thread(target=by_phone if number % 2 else by_desk, args=(text,))
        for number, text in enumerate(texts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    cell = state_of(app, visit)["fields"]["fault/text"]
    assert sorted(side["value"] for side in cell["sides"]) == sorted(texts)
    assert cell["conflict"]
    with app.app_context():
        row = db.session.get_one(Visit, visit)
        assert row.conflict_count == 1
        assert merge.fold(received_of(row), visit)["fields"]["fault/text"] == cell
    review = client_of(dana).get(f"/desk/visits/{visit}").text
    assert [text for text in texts if f">{text}</span>" not in review] == []


def test_a_visit_of_two_days_on_one_order_is_verified_on_both(
    app, visit, dana, erin, erin_phone, client_of
):
    """The second day's context is the first day's, byte for byte; it was served all the same."""
    with app.app_context():
        first = db.session.get_one(Visit, visit)
        order = db.session.get_one(WorkOrder, first.work_order_id)
        second = mint_id(datetime.now(UTC))
        db.session.add(Visit(id=second, org_id=order.org_id, work_order_id=order.id))
        db.session.commit()
    at_desk(
        app,
        dana,
        second,
        ("fault", {"text": "again", "level": "major"}),
        ("assignment", {"engineer": erin.id}),
    )
    erin_phone.pull()
    assert (
        erin_phone.visits[visit]["state"]["context"]
        == erin_phone.visits[second]["state"]["context"]
    )
    from fieldapp.handover import sign

    value = {"name": "Cleo Ash", "role": "contact", "strokes": [[1, 1, 1, 2, 2, 2]]}
    for visit_id in (visit, second):
        signed = sign(erin_phone.visits[visit_id]["state"], value)
        assert erin_phone.receipts(erin_phone.operation("signature", visit_id, signed)) == [
            ("merged", [])
        ]
        (signature,) = state_of(app, visit_id)["signatures"]
        assert signature["verdict"] == "verified"


def test_hash_of_what_is_stored_is_its_key(app, visit, erin_phone):
    body = erin_phone.note(visit)
    erin_phone.push(body)
    assert held(app, id=body["id"])[0].hash == hash_of(body) == body["hash"]
