"""sync.signing: what the customer signed is what was on the screen, or somebody looks at it."""

from __future__ import annotations

import json

import pytest
from operations import DANA, VISIT, envelope, received

from sync.canonical import canonical, hash_of, sha256
from sync.catalogue import ON_PAPER
from sync.merge import fold
from sync.operation import Received
from sync.signing import check_signatures, verify
from sync.snapshot import facts, frontier, snapshot_text

CONTEXT = {"site": {"name": "一期主楼"}, "contact": {"language": "zh_CN"}}
SERVED = {sha256(canonical(CONTEXT)): canonical(CONTEXT)}

ARRIVAL = envelope(1, "arrival", {"outcome": "present"})
FAULT = envelope(2, "fault", {"fault/text": "主机不亮"}, minute=1)
NOTE = envelope(3, "note", {"text": "wet flor"}, minute=2)
PATH = f"entries/{NOTE['id']}/text"
BETTER = envelope(4, "correction", {PATH: "wet floor"}, minute=3, supersedes={PATH: []})
PHOTO = envelope(5, "photo", {"sha256": "a" * 64}, minute=4)
VOID = envelope(6, "void", {"entry": PHOTO["id"], "reason": "blurred"}, minute=5)
REMARK = envelope(7, "remark", {"text": "hurry"}, minute=6, author=DANA, device="server")
VISITED = [ARRIVAL, FAULT, NOTE, BETTER, PHOTO, VOID, REMARK]


def items(*bodies) -> list[Received]:
    return [received(body) for body in bodies]


def signed(*bodies, context=CONTEXT, **changes):
    """What a phone that shows ``bodies`` writes when the customer signs."""
    state = fold(items(*bodies), VISIT)
    text = snapshot_text(facts(state, ON_PAPER), context)
    value = {
        "name": "王丽",
        "frontier": frontier(state, ON_PAPER),
        "snapshot": text,
        "digest": sha256(text),
        "context_sha256": sha256(canonical(context)),
    }
    return value | changes


def with_snapshot(text: str):
    return signed(*VISITED, snapshot=text, digest=sha256(text))


def verdict(value, *bodies, served=SERVED):
    return verify(value, items(*bodies), served, VISIT)


def test_a_signature_on_what_the_office_holds_is_verified():
    assert verdict(signed(*VISITED), *VISITED) == "verified"


def test_an_empty_visit_can_be_signed():
    assert verdict(signed(), REMARK) == "verified"


def test_what_came_later_changes_nothing():
    later = envelope(8, "note", {"text": "key returned"}, minute=9)
    other = envelope(9, "fault", {"fault/text": "beeps"}, minute=9,
                     supersedes={"fault/text": [FAULT["id"]]})  # fmt: skip
    strike = envelope(10, "void", {"entry": ARRIVAL["id"], "reason": "?"}, minute=9)
    assert verdict(signed(*VISITED), *VISITED, later, other, strike) == "verified"


def test_the_order_of_arrival_and_the_office_s_clock_change_nothing():
    held = [received(body, corrected_ms=0) for body in reversed(VISITED)]
    assert verify(signed(*VISITED), held, SERVED, VISIT) == "verified"


def test_a_conflict_signed_with_both_its_sides_is_verified():
    other = envelope(8, "fault", {"fault/text": "beeps"}, minute=1, author=DANA)
    assert verdict(signed(*VISITED, other), other, *VISITED) == "verified"


@pytest.mark.parametrize("absent", [ARRIVAL, FAULT, NOTE, BETTER, PHOTO, VOID])
def test_while_an_operation_is_still_to_come_it_is_pending(absent):
    held = [body for body in VISITED if body is not absent]
    assert verdict(signed(*VISITED), *held) == "pending"


def test_what_is_not_on_paper_need_not_have_come():
    assert (
        verdict(signed(*VISITED), *[body for body in VISITED if body is not REMARK]) == "verified"
    )


def test_one_letter_of_the_snapshot_changed_is_a_mismatch():
    value = signed(*VISITED)
    value["snapshot"] = value["snapshot"].replace("wet floor", "wet flour")
    assert verdict(value, *VISITED) == "mismatch"


@pytest.mark.parametrize("digest", ["", "0" * 64, None, 7, ["x"]])
def test_another_digest_is_a_mismatch(digest):
    assert verdict(signed(*VISITED, digest=digest), *VISITED) == "mismatch"


def test_a_digest_in_capitals_is_a_mismatch():
    value = signed(*VISITED)
    assert verdict(value | {"digest": value["digest"].upper()}, *VISITED) == "mismatch"


def test_a_context_that_was_never_served_is_a_mismatch():
    invented = {"site": {"name": "二期"}}
    assert verdict(signed(*VISITED, context=invented), *VISITED) == "mismatch"
    assert verdict(signed(*VISITED), *VISITED, served={}) == "mismatch"


def test_an_older_context_that_was_served_is_verified():
    older = {"site": {"name": "旧楼"}}
    served = SERVED | {sha256(canonical(older)): canonical(older)}
    assert verdict(signed(*VISITED, context=older), *VISITED, served=served) == "verified"


def test_a_claimed_hash_of_the_context_is_not_believed():
    value = signed(*VISITED, context={"site": {}}) | {"context_sha256": next(iter(SERVED))}
    assert verdict(value, *VISITED) == "mismatch"


def test_facts_that_differ_from_the_frontier_are_a_mismatch():
    shown = json.loads(signed(*VISITED)["snapshot"])
    shown["facts"]["entries"][0]["value"]["outcome"] = "nobody"
    assert verdict(with_snapshot(canonical(shown)), *VISITED) == "mismatch"


def test_facts_left_out_are_a_mismatch():
    shown = json.loads(signed(*VISITED)["snapshot"])
    shown["facts"]["entries"].pop()
    assert verdict(with_snapshot(canonical(shown)), *VISITED) == "mismatch"


def test_facts_of_another_visit_are_a_mismatch():
    assert verify(signed(*VISITED), items(*VISITED), SERVED, "another") == "mismatch"


def test_an_operation_changed_after_the_signature_is_a_mismatch():
    forged = {key: item for key, item in NOTE.items() if key != "hash"} | {"value": {"text": "dry"}}
    forged |= {"hash": hash_of(forged)}
    value = signed(ARRIVAL, NOTE)
    assert verdict(value, ARRIVAL, forged) == "mismatch"


@pytest.mark.parametrize("ids", [[ARRIVAL["id"]], []])
def test_a_frontier_smaller_than_its_facts_is_a_mismatch(ids):
    value = signed(*VISITED) | {"frontier": {"operations": ids, "photos": []}}
    assert verdict(value, *VISITED) == "mismatch"


@pytest.mark.parametrize(
    "text",
    ["", "{", "<p>", "null", "7", "true", '"x"', "[]", "{}", '{"facts":{}}', '{"context":{}}',
     '{"facts":{},"context":{},}', '{"facts":NaN,"context":{}}', '{"facts":{"a":0.5},"context":{}}',
     '{"facts":{"a":9007199254740992},"context":{}}', '{"facts":{"a":"\\ud842"},"context":{}}',
     '{"facts":{},"context":1e400}'],
)  # fmt: skip
def test_a_snapshot_that_cannot_be_read_is_a_mismatch(text):
    assert verdict(with_snapshot(text), *VISITED) == "mismatch"


@pytest.mark.parametrize("depth", [99, 500, 100_000])
def test_a_snapshot_nested_without_end_is_a_mismatch(depth):
    nested = "[" * depth + "]" * depth
    assert verdict(with_snapshot(f'{{"facts":{nested},"context":{{}}}}'), *VISITED) == "mismatch"


def test_a_snapshot_with_half_a_character_is_a_mismatch():
    value = signed(*VISITED)
    assert verdict(value | {"snapshot": value["snapshot"] + "\ud842"}, *VISITED) == "mismatch"


@pytest.mark.parametrize("name", ["snapshot", "frontier", "digest"])
@pytest.mark.parametrize("item", [None, 7, True, [], "x", {}])
def test_a_part_of_another_shape_is_a_mismatch(name, item):
    assert verdict(signed(*VISITED, **{name: item}), *VISITED) == "mismatch"


@pytest.mark.parametrize("ids", [None, "x", {}, 7, [7], [None], [[ARRIVAL["id"]]], [True]])
def test_a_frontier_of_another_shape_is_a_mismatch(ids):
    value = signed(*VISITED) | {"frontier": {"operations": ids, "photos": []}}
    assert verdict(value, *VISITED) == "mismatch"


def test_nothing_at_all_is_a_mismatch():
    assert verdict({}, *VISITED) == "mismatch"


def test_the_same_snapshot_written_with_spaces_stands_by_its_own_digest():
    # What the digest covers are the bytes that were shown; what they say is compared.
    text = json.dumps(json.loads(signed(*VISITED)["snapshot"]), indent=1)
    assert verdict(with_snapshot(text), *VISITED) == "verified"


# What the state says of it


def checked(*received_):
    return check_signatures(fold(received_, VISIT), received_, SERVED)


def test_a_mismatch_is_flagged_on_its_signature():
    good = envelope(20, "signature", signed(*VISITED), minute=10)
    bad = envelope(21, "signature", signed(*VISITED, digest=""), minute=11)
    early = envelope(22, "signature", signed(*VISITED, envelope(30, "note", {})), minute=12)
    state = checked(*items(*VISITED, good, bad, early))
    assert [entry["verdict"] for entry in state["signatures"]] == [
        "verified",
        "mismatch",
        "pending",
    ]
    assert [flag for flag in state["flags"] if flag["code"] == "signature.mismatch"] == [
        {"code": "signature.mismatch", "operation": bad["id"], "args": {}}
    ]


def test_of_two_signatures_with_one_id_the_one_that_is_shown_is_checked():
    good = envelope(20, "signature", signed(*VISITED), minute=10)
    bad = envelope(20, "signature", signed(*VISITED, digest="", name="x"), minute=10)
    both = sorted(items(good, bad), key=lambda item: item.operation.hash)
    shown = "verified" if both[0].operation.hash == good["hash"] else "mismatch"
    for order in (both, both[::-1]):
        state = checked(*items(*VISITED), *order)
        assert [entry["verdict"] for entry in state["signatures"]] == [shown]
