"""What the desk decides about single operations: dismissals, releases and reopenings."""

import itertools

import pytest
from operations import DANA, ELI, ERIN, VISIT, envelope, received

from sync.merge import fold

PATH = "diagnosis/text"


def folded(*items):
    """The state, the same for every order of arrival."""
    states = [fold(order, VISIT) for order in itertools.permutations(items)]
    assert all(state == states[0] for state in states)
    return states[0]


def diagnosis(number, text, author, *seen, minute=0):
    return envelope(
        number, "diagnosis", {PATH: text},
        author=author, minute=minute, supersedes={PATH: [body["id"] for body in seen]},
    )  # fmt: skip


def resolution(number, text, *seen):
    return envelope(
        number, "resolution", {PATH: text},
        author=DANA, device="server", minute=number, supersedes={PATH: [body["id"] for body in seen]},
    )  # fmt: skip


def judgement(number, kind, body, **value):
    value = {"entry": body["id"], "reason": "because", **value}
    return envelope(number, kind, value, author=DANA, device="server", minute=number)


FUSE, BOARD = diagnosis(1, "fuse", ERIN), diagnosis(2, "board", ELI, minute=1)


def lost(state):
    (side,) = state["fields"][PATH]["sides"]
    return [(each["author"], each["value"]) for each in side["over"]]


# Whose value lost


def test_whose_value_lost_is_named():
    state = folded(received(FUSE), received(BOARD), received(resolution(3, "fuse", FUSE, BOARD)))
    assert (state["fields"][PATH]["value"], lost(state)) == ("fuse", [(ELI, "board")])


def test_a_third_value_beats_both():
    state = folded(received(FUSE), received(BOARD), received(resolution(3, "cable", FUSE, BOARD)))
    assert lost(state) == [(ERIN, "fuse"), (ELI, "board")]


def test_a_second_resolution_is_over_the_people_and_not_over_the_first():
    first = resolution(3, "fuse", FUSE, BOARD)
    second = resolution(4, "board", first)
    state = folded(*map(received, (FUSE, BOARD, first, second)))
    assert lost(state) == [(ERIN, "fuse")]


def test_who_writes_with_the_resolution_in_sight_is_over_nobody():
    settled = resolution(3, "fuse", FUSE, BOARD)
    state = folded(*map(received, (FUSE, BOARD, settled, diagnosis(4, "relay", ELI, settled))))
    assert lost(state) == []


def test_resolutions_in_a_ring_end():
    one, two = resolution(3, "fuse", FUSE), resolution(4, "board", BOARD)
    one["supersedes"][PATH].append(two["id"])
    two["supersedes"][PATH].append(one["id"])
    state = folded(*map(received, (FUSE, BOARD, one, two)))
    assert state["fields"][PATH]["conflict"]


# Reopening


def test_a_reopened_resolution_is_a_conflict_again():
    settled = resolution(3, "fuse", FUSE, BOARD)
    again = judgement(4, "reopening", settled)
    state = folded(*map(received, (FUSE, BOARD, settled, again)))
    assert state["fields"][PATH]["conflict"]
    assert [side["value"] for side in state["fields"][PATH]["sides"]] == ["fuse", "board"]


def test_a_reopened_cancellation_is_none():
    cancelled = envelope(1, "cancellation", {"reason": "shop closed"}, author=DANA)
    assert folded(received(cancelled))["visit"]["status"] == "cancelled"
    state = folded(received(cancelled), received(judgement(2, "reopening", cancelled)))
    assert state["visit"]["status"] == "planned"


@pytest.mark.parametrize("kind", ["note", "diagnosis"])
def test_facts_are_not_reopened(kind):
    body = envelope(1, "note", {"text": "x"}) if kind == "note" else FUSE
    state = folded(received(body), received(judgement(2, "reopening", body)))
    assert len(state["entries"]) + len(state["fields"]) == 1


def test_a_reopening_by_somebody_who_may_not_changes_nothing():
    settled = resolution(3, "fuse", FUSE, BOARD)
    again = received(judgement(4, "reopening", settled), "author.role")
    state = folded(*map(received, (FUSE, BOARD, settled)), again)
    assert not state["fields"][PATH]["conflict"]


def test_a_judgement_of_something_that_has_not_arrived_is_flagged():
    state = folded(received(judgement(4, "reopening", FUSE)))
    assert [flag["code"] for flag in state["flags"]] == ["operation.dangling"]


# Flags


def test_a_dismissed_flag_says_who_and_why():
    late = received(envelope(1, "note", {"text": "x"}), "clock.skew=9")
    said = judgement(2, "dismissal", envelope(1, "note", {"text": "x"}), code="clock.skew")
    (flag,) = folded(late, received(said))["flags"]
    assert flag["dismissed"] == {
        "operation": said["id"], "author": DANA, "at": "2026-03-10T02:50:00Z", "reason": "because",
    }  # fmt: skip


def test_another_flag_of_the_same_operation_stays():
    late = received(envelope(1, "note", {"text": "x"}), "clock.skew=9", "author.out-of-scope")
    said = judgement(2, "dismissal", envelope(1, "note", {"text": "x"}), code="clock.skew")
    flags = folded(late, received(said))["flags"]
    assert {flag["code"]: bool(flag["dismissed"]) for flag in flags} == {
        "clock.skew": True, "author.out-of-scope": False,
    }  # fmt: skip


def test_a_dismissal_that_was_reopened_dismisses_nothing():
    late = received(envelope(1, "note", {"text": "x"}), "clock.skew=9")
    said = judgement(2, "dismissal", envelope(1, "note", {"text": "x"}), code="clock.skew")
    (flag,) = folded(late, received(said), received(judgement(3, "reopening", said)))["flags"]
    assert flag["dismissed"] is None


# Quarantine


@pytest.mark.parametrize("code", ["device.revoked", "author.not-owner"])
def test_what_may_be_forged_is_kept_apart_with_its_flag(code):
    state = folded(received(FUSE, code), received(BOARD))
    assert [(apart["id"], apart["code"]) for apart in state["quarantine"]] == [(FUSE["id"], code)]
    assert state["fields"][PATH]["value"] == "board"
    assert [flag["code"] for flag in state["flags"]] == [code]


def test_what_was_released_counts_and_keeps_its_flag():
    release = judgement(3, "release", FUSE)
    state = folded(received(FUSE, "device.revoked"), received(BOARD), received(release))
    assert (state["quarantine"], state["fields"][PATH]["conflict"]) == ([], True)
    assert [flag["code"] for flag in state["flags"]] == ["device.revoked"]


def test_a_rating_tapped_on_a_phone_counts_once_it_is_released_and_a_claimed_one_never():
    tapped = envelope(1, "rating", {"stars": "5"})
    claimed = envelope(2, "rating", {"stars": "1"}) | {"author": "customer"}
    releases = [judgement(3, "release", tapped), judgement(4, "release", claimed)]
    doubted = [received(body, "device.revoked") for body in (tapped, claimed)]
    state = folded(*doubted, *map(received, releases))
    assert [entry["id"] for entry in state["entries"]] == [tapped["id"]]
    assert state["quarantine"] == []


def test_a_release_that_was_reopened_releases_nothing():
    release = judgement(3, "release", FUSE)
    again = judgement(4, "reopening", release)
    state = folded(received(FUSE, "device.revoked"), received(release), received(again))
    assert (len(state["quarantine"]), state["fields"]) == (1, {})


def test_a_revoked_phone_releases_nothing():
    release = received(judgement(3, "release", FUSE), "device.revoked")
    state = folded(received(FUSE, "device.revoked"), release)
    assert len(state["quarantine"]) == 2
