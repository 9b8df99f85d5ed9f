"""A quotation, what the customer decided on it, and the part it pays for."""

from __future__ import annotations

from operations import ERIN, VISIT, envelope, make_id, received

from sync.consent import agreed
from sync.merge import fold

QUOTE = {"text": "a new board", "amount": 68_000}
SWAP = {"removed_serial": "B-1", "installed_serial": "B-2"}


def state_of(*bodies):
    return fold([received(body) for body in bodies], VISIT)


def doubts_of(*bodies):
    return [
        (flag["code"], flag["operation"])
        for flag in state_of(*bodies)["flags"]
        if flag["code"].startswith("consent.")
    ]


def quote(number=1, minute=0, **more):
    return envelope(number, "quote", QUOTE, minute=minute, **more)


def consent(number=2, minute=5, decision="accepts", text=None, about=1):
    text = agreed(state_of(quote()), make_id(1)) if text is None else text
    value = {"quote": make_id(about), "decision": decision, "name": "Cleo", "agreed": text}
    return envelope(number, "consent", value, minute=minute)


def swap(number=3, minute=10, kind="swap"):
    return envelope(number, kind, SWAP, minute=minute)


def test_a_part_after_the_consent_is_in_order():
    assert doubts_of(quote(), consent(), swap()) == []


def test_a_part_without_a_quotation_costs_nothing_and_asks_nobody():
    assert doubts_of(swap()) == []


def test_a_part_that_was_moved_before_the_quotation_asks_nobody():
    assert doubts_of(quote(minute=20), swap()) == []


def test_a_part_before_the_consent_is_flagged():
    late = consent(minute=15)
    assert doubts_of(quote(), swap(), late) == [("consent.part-first", make_id(3))]


def test_a_loaner_before_the_consent_is_flagged():
    assert doubts_of(quote(), swap(kind="loaner")) == [("consent.part-first", make_id(3))]


def test_a_part_although_the_customer_declined_is_flagged():
    declined = consent(decision="declines")
    assert doubts_of(quote(), declined, swap()) == [("consent.part-first", make_id(3))]


def test_a_quotation_corrected_after_the_consent_is_flagged():
    path = f"entries/{make_id(1)}/amount"
    dearer = envelope(4, "correction", {path: 99_000}, minute=7, supersedes={path: [make_id(1)]})
    assert doubts_of(quote(), consent(), dearer) == [("consent.quote-changed", make_id(2))]


def test_a_quotation_struck_out_after_the_consent_is_flagged():
    gone = envelope(4, "void", {"entry": make_id(1), "reason": "too dear"}, minute=7)
    assert doubts_of(quote(), consent(), gone) == [("consent.quote-changed", make_id(2))]


def test_a_consent_to_another_text_is_flagged():
    assert doubts_of(quote(), consent(text="{}")) == [("consent.quote-changed", make_id(2))]


def test_a_consent_to_nothing_is_flagged():
    assert doubts_of(consent(about=9)) == [("consent.quote-changed", make_id(2))]


def test_a_consent_struck_out_says_nothing():
    gone = envelope(4, "void", {"entry": make_id(2), "reason": "wrong person"}, minute=7)
    assert doubts_of(quote(), consent(text="{}"), gone) == []


def test_values_of_any_type_are_kept():
    odd = envelope(2, "consent", {"quote": ["x"], "decision": {}, "agreed": 7}, author=ERIN)
    half = envelope(5, "quote", {"text": {"a": []}, "amount": None})
    assert doubts_of(half, odd) == [("consent.quote-changed", make_id(2))]
