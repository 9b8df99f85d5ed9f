"""sync.merge: a set of operations has one state, whatever order it came in."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operations import DANA, ELI, ERIN, VISIT, envelope, histories, make_id, received

from sync.merge import fold


def state_of(*bodies):
    return fold([received(body) for body in bodies], VISIT)


def flags_of(state):
    return sorted(flag["code"] for flag in state["flags"])


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_any_order_and_any_repeats_fold_to_the_same_state(bodies, chance: random.Random):
    items = [received(body) for body in bodies]
    shuffled = items + chance.choices(items, k=len(items) // 2)
    chance.shuffle(shuffled)
    assert fold(shuffled, VISIT) == fold(items, VISIT)


@given(histories())
@settings(max_examples=300, deadline=None)
def test_every_operation_can_be_found_again(bodies):
    state = state_of(*bodies)
    found = {entry["id"] for entry in state["entries"] + state["signatures"]}
    found |= {void["operation"] for entry in state["entries"] + state["signatures"]
              for void in entry["voids"]}  # fmt: skip
    found |= {head for cell in state["fields"].values() for head in cell["heads"]}
    found |= {flag["operation"] for flag in state["flags"]}
    seen = {head for body in bodies for heads in body["supersedes"].values() for head in heads}
    assert {body["id"] for body in bodies} <= found | seen


@given(histories())
@settings(max_examples=200, deadline=None)
def test_a_state_is_plain_json_without_floats(bodies):
    text = json.dumps(state_of(*bodies), allow_nan=False)
    assert not any(isinstance(number, float) for number in _numbers(json.loads(text)))


def _numbers(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def test_erin_changes_what_she_saw_and_there_is_no_conflict():
    first = envelope(1, "fault", {"fault/text": "dead"})
    second = envelope(
        2, "fault", {"fault/text": "dead since 8"}, supersedes={"fault/text": [first["id"]]}
    )
    cell = state_of(second, first)["fields"]["fault/text"]
    assert (cell["value"], cell["heads"], cell["conflict"]) == ("dead since 8", [make_id(2)], False)


def test_two_unseen_values_are_a_conflict_with_both_sides():
    erin = envelope(1, "fault", {"fault/text": "dead"}, minute=1)
    dana = envelope(2, "fault", {"fault/text": "beeps"}, author=DANA, minute=2)
    cell = state_of(erin, dana)["fields"]["fault/text"]
    assert cell["conflict"]
    assert [(side["author"], side["value"]) for side in cell["sides"]] == [
        (ERIN, "dead"),
        (DANA, "beeps"),
    ]
    assert cell["value"] == "beeps"  # the later one is shown


def test_two_unseen_values_that_agree_are_no_conflict():
    erin = envelope(1, "fault", {"fault/text": "dead"})
    dana = envelope(2, "fault", {"fault/text": "dead"}, author=DANA)
    cell = state_of(erin, dana)["fields"]["fault/text"]
    assert not cell["conflict"]
    assert cell["heads"] == [make_id(1), make_id(2)]


def test_a_resolution_that_names_all_heads_ends_the_conflict():
    erin = envelope(1, "fault", {"fault/text": "dead"})
    dana = envelope(2, "fault", {"fault/text": "beeps"}, author=DANA)
    heads = {"fault/text": [erin["id"], dana["id"]]}
    settled = envelope(3, "resolution", {"fault/text": "both"}, author=DANA, supersedes=heads)
    cell = state_of(erin, dana, settled)["fields"]["fault/text"]
    assert (cell["value"], cell["conflict"]) == ("both", False)


def test_a_resolution_that_saw_one_side_leaves_the_other_in_conflict():
    erin = envelope(1, "fault", {"fault/text": "dead"})
    dana = envelope(2, "fault", {"fault/text": "beeps"}, author=DANA)
    settled = envelope(
        3, "resolution", {"fault/text": "x"}, supersedes={"fault/text": [erin["id"]]}, minute=9
    )
    cell = state_of(erin, dana, settled)["fields"]["fault/text"]
    assert cell["conflict"]
    assert cell["heads"] == [make_id(2), make_id(3)]


def test_twenty_edits_on_both_sides_lose_no_value():
    bodies = [
        envelope(n, "fault", {"fault/text": f"text {n}"}, author=ERIN if n % 2 else DANA)
        for n in range(1, 21)
    ]
    sides = state_of(*bodies)["fields"]["fault/text"]["sides"]
    assert {side["value"] for side in sides} == {f"text {n}" for n in range(1, 21)}


def test_a_correction_shows_in_its_entry_and_keeps_the_original_id():
    note = envelope(1, "note", {"text": "wet flor"})
    path = f"entries/{note['id']}/text"
    better = envelope(2, "correction", {path: "wet floor"}, supersedes={path: [note["id"]]})
    entry = state_of(better, note)["entries"][0]
    assert (entry["id"], entry["value"]["text"], entry["corrected"]) == (
        note["id"], "wet floor", ["text"],
    )  # fmt: skip


def test_a_correction_of_nothing_is_flagged():
    path = f"entries/{make_id(9)}/text"
    assert flags_of(state_of(envelope(1, "correction", {path: "x"}))) == ["operation.dangling"]


def test_a_void_strikes_the_entry_and_deletes_nothing():
    note = envelope(1, "note", {"text": "wrong visit"})
    void = envelope(2, "void", {"entry": note["id"], "reason": "wrong visit"})
    entry = state_of(void, note)["entries"][0]
    assert entry["value"] == {"text": "wrong visit"}
    assert [each["reason"] for each in entry["voids"]] == ["wrong visit"]


def test_a_void_of_nothing_is_flagged():
    void = envelope(1, "void", {"entry": make_id(9), "reason": "?"})
    assert flags_of(state_of(void)) == ["operation.dangling"]


def test_two_arrivals_are_both_kept_and_flagged():
    erin = envelope(1, "arrival", {"outcome": "present"}, minute=3)
    eli = envelope(2, "arrival", {"outcome": "present"}, author=ELI, minute=1)
    state = state_of(erin, eli)
    assert [entry["author"] for entry in state["entries"]] == [ELI, ERIN]
    assert state["visit"]["arrived_at"] == "2026-03-10T02:49:00Z"
    assert flags_of(state) == ["arrival.several"]


@pytest.mark.parametrize(("minutes", "expected"), [(15, []), (16, ["arrival.several"])])
def test_one_author_arriving_twice_is_flagged_beyond_fifteen_minutes(minutes, expected):
    first = envelope(1, "arrival", {"outcome": "present"})
    again = envelope(2, "arrival", {"outcome": "present"}, minute=minutes)
    assert flags_of(state_of(first, again)) == expected


def test_one_serial_installed_twice_is_flagged_and_both_swaps_are_kept():
    value = {"part_name": "探测器", "removed_serial": "A", "installed_serial": "B", "fate": "scrap"}
    state = state_of(envelope(1, "swap", value), envelope(2, "swap", value, author=ELI))
    assert len(state["entries"]) == 2
    assert flags_of(state) == ["part.serial-twice"]


def test_a_loaner_taken_back_without_a_passed_test_is_flagged():
    value = {"loaner_serial": "SP-1", "refitted_serial": "W-1", "test_result": "failed"}
    assert flags_of(state_of(envelope(1, "take-back", value))) == ["loaner.untested"]
    assert flags_of(state_of(envelope(1, "take-back", value | {"test_result": "passed"}))) == []


def test_work_on_a_cancelled_visit_shows_both():
    cancelled = envelope(1, "cancellation", {"reason": "customer called off"}, author=DANA)
    assert state_of(cancelled)["visit"]["status"] == "cancelled"
    state = state_of(cancelled, envelope(2, "arrival", {"outcome": "present"}))
    assert state["visit"]["status"] == "on-site"
    assert flags_of(state) == ["visit.work-on-cancelled"]


def test_the_status_follows_what_is_present():
    bodies = [
        envelope(1, "departure", {"eta_at": "2026-03-10T02:50:00Z"}),
        envelope(2, "arrival", {"outcome": "present"}, minute=1),
        envelope(3, "signature", {"name": "王丽", "frontier": {"operations": []}}, minute=2),
        envelope(4, "leaving", {}, minute=3),
        envelope(5, "review", {"verdict": "sent-back", "reason": "photo"}, author=DANA, minute=4),
        envelope(6, "note", {"text": "photo added"}, minute=5),
        envelope(7, "review", {"verdict": "accepted"}, author=DANA, minute=6,
                 supersedes={"review": [make_id(5)]}),
    ]  # fmt: skip
    statuses = [state_of(*bodies[:count])["visit"]["status"] for count in range(8)]
    assert statuses == [
        "planned", "departed", "on-site", "signed", "under-review", "sent-back", "under-review",
        "accepted",
    ]  # fmt: skip


def test_asking_for_a_signature_and_no_longer_asking_is_no_work():
    bodies = [
        envelope(1, "leaving", {}),
        envelope(2, "review", {"verdict": "sent-back", "reason": "photo"}, author=DANA, minute=1),
        envelope(3, "signature-request", {"name": "王丽", "role": "contact"}, minute=2),
        envelope(4, "void", {"entry": make_id(3), "reason": "wrong person"}, minute=3),
    ]
    for count in (2, 3, 4):
        assert state_of(*bodies[:count])["visit"]["status"] == "sent-back"
    work = envelope(5, "note", {"text": "photo added"}, minute=4)
    assert state_of(*bodies, work)["visit"]["status"] == "under-review"


def test_entries_after_acceptance_are_flagged():
    accepted = envelope(1, "review", {"verdict": "accepted"}, author=DANA)
    late = envelope(2, "note", {"text": "late"}, minute=1)
    assert flags_of(state_of(accepted, late)) == ["review.later-entries"]


def test_downtime_counts_whole_minutes_between_stop_and_start():
    start = envelope(1, "downtime", {"event": "start", "at": "2026-03-10T03:20:00Z"})
    stop = envelope(2, "downtime", {"event": "stop", "at": "2026-03-10T03:55:00Z"}, minute=1)
    assert state_of(start)["visit"]["downtime_open"]
    visit = state_of(stop, start)["visit"]
    assert (visit["downtime_minutes"], visit["downtime_open"]) == (35, False)


def test_what_came_after_the_signature_says_so():
    note = envelope(1, "note", {"text": "before"})
    frontier = {"operations": [note["id"]], "photos": []}
    signed = envelope(2, "signature", {"name": "王丽", "frontier": frontier}, minute=1)
    late = envelope(3, "note", {"text": "after"}, minute=2)
    left = envelope(4, "leaving", {}, minute=3)
    entries = state_of(note, signed, late, left)["entries"]
    assert [(entry["kind"], entry["after"]) for entry in entries] == [
        ("note", False), ("note", True), ("leaving", False),
    ]  # fmt: skip


def test_a_voided_signature_covers_nothing():
    note = envelope(1, "note", {"text": "before"})
    signed = envelope(2, "signature", {"name": "x", "frontier": {"operations": []}}, minute=1)
    void = envelope(3, "void", {"entry": signed["id"], "reason": "wrong person"}, minute=2)
    assert not state_of(note, signed, void)["entries"][0]["after"]


def test_an_unknown_kind_is_flagged_and_disturbs_nothing():
    state = state_of(envelope(1, "teleport", {"to": "site"}), envelope(2, "note", {"text": "x"}))
    assert flags_of(state) == ["operation.unknown-kind"]
    assert len(state["entries"]) == 1


def test_one_id_with_two_contents_folds_alike_on_every_server():
    one = envelope(1, "note", {"text": "one"})
    two = envelope(1, "note", {"text": "two"})
    states = [fold([received(a), received(b)], VISIT) for a, b in ((one, two), (two, one))]
    assert states[0] == states[1]


def test_the_example_of_the_documentation_is_what_the_fold_says():
    example = json.loads(
        (Path(__file__).parent.parent / "vectors" / "state.json").read_text("utf-8")
    )
    state = fold([received(body) for body in example["operations"]], example["visit"])
    assert state == {key: example["state"][key] for key in state}


def test_an_operation_that_failed_to_fold_is_left_out_and_flagged():
    note = envelope(1, "note", {"text": "x"})
    state = fold([received(note, "operation.fold-failed")], VISIT)
    assert (state["entries"], flags_of(state)) == ([], ["operation.fold-failed"])


def test_a_clock_beyond_all_calendars_stops_no_fold():
    early = envelope(1, "note", {"text": "x"}, wall=-(2**53 - 1))
    late = envelope(2, "note", {"text": "y"}, wall=2**53 - 1)
    state = fold([received(early), received(late)], VISIT)
    assert [entry["wall_at"] for entry in state["entries"]] == [
        "1970-01-01T00:00:00Z", "9998-12-31T23:59:59Z",
    ]  # fmt: skip


def test_a_take_back_without_a_serial_number_is_flagged_all_the_same():
    assert flags_of(state_of(envelope(1, "take-back", {"test_result": "failed"}))) == [
        "loaner.untested"
    ]


@pytest.mark.parametrize("number", range(1, 9))
def test_a_whole_copy_in_doubt_goes_before_a_damaged_one(number: int):
    note = envelope(number, "note", {"text": "the fuse is blown"})
    damaged = received(note | {"value": {"text": "the f\ufffdse"}}, "operation.hash-mismatch")
    whole = received(note, "author.out-of-scope", "operation.same-id")
    for order in ([damaged, whole], [whole, damaged]):
        (entry,) = fold(order, VISIT)["entries"]
        assert entry["value"] == {"text": "the fuse is blown"}
