"""What a push answers: every operation is kept, and none stands in the way of another."""

import json
from datetime import UTC, datetime

import pytest

from fieldapp.ids import mint_id
from fieldapp.models import db
from fieldapp.perform import unit
from sync import merge
from sync.canonical import hash_of
from sync.tables import journal
from tests.fieldapp.exchange.kept import held, kinds, rev_of
from tests.phones import at_desk, flags_of, now_ms, state_of

MINUTE = 60_000


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


def test_an_unknown_visit_is_kept_until_the_office_knows_it(app, erin, erin_phone):
    unknown = mint_id(datetime.now(UTC))
    assert erin_phone.receipts(erin_phone.note(unknown)) == [("flagged", ["visit.unknown"])]
    assert kinds(app, unknown) == ["note"]
    assert erin_phone.pull()["changed"] == []


def test_five_hundred_operations_go_in_one_push(app, visit_of, erin, erin_phone):
    visits = [visit_of(erin, f"PG-{number}") for number in range(10)]
    bodies = [erin_phone.note(visits[number % 10], f"note {number}") for number in range(500)]
    assert erin_phone.receipts(*bodies) == [("merged", [])] * 500
    assert [len(kinds(app, visit_id)) for visit_id in visits] == [50] * 10


def test_hash_of_what_is_stored_is_its_key(app, visit, erin_phone):
    body = erin_phone.note(visit)
    erin_phone.push(body)
    assert held(app, id=body["id"])[0].hash == hash_of(body) == body["hash"]


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


def test_a_copy_damaged_the_same_way_twice_is_not_taken_for_the_whole_one(app, visit, erin_phone):
    body = erin_phone.note(visit, "as Erin wrote it")
    damaged = body | {"value": {"text": "damaged"}}
    erin_phone.push(damaged)
    assert erin_phone.receipts(damaged) == [("duplicate", ["operation.hash-mismatch"])]
    erin_phone.push(body)
    assert erin_phone.receipts(body) == [("duplicate", [])]
    (entry,) = state_of(app, visit)["entries"]
    assert entry["value"]["text"] == "as Erin wrote it"
