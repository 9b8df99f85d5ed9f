"""What a customer's signature is given besides its strokes."""

import re

import pytest

from fieldapp.handover import sign
from sync import merge
from sync.canonical import canonical, sha256
from sync.catalogue import ON_PAPER
from sync.signing import verify
from sync.snapshot import facts
from tests.operations import VISIT, envelope, received

VALUE = {"name": "Cleo Ash", "role": "contact", "opinion": "", "strokes": [[0, 0, 0, 5, 5, 9]]}
CONTEXT = {"contact": {"language": "en"}, "work_order": {"number": "PG-1"}}
MEASURE = envelope(1, "measure", {"text": "new board", "completed_at": "2026-03-10T03:20:00Z"})
NOTE = envelope(2, "note", {"text": "wet floor"}, minute=1)
PHOTO = envelope(3, "photo", {"sha256": "ab" * 32}, minute=2)
LEAVING = envelope(4, "leaving", {}, minute=3)


def state_of(*bodies, context=CONTEXT):
    return merge.fold([received(body) for body in bodies], VISIT) | {"context": context}


def verdict(value, *bodies, context=CONTEXT):
    text = canonical(context)
    return verify(value, [received(body) for body in bodies], {sha256(text): text}, VISIT)


def test_a_signature_covers_what_stands_on_the_paper_and_nothing_else():
    value = sign(state_of(MEASURE, NOTE, PHOTO, LEAVING), VALUE)
    ids = sorted(body["id"] for body in (MEASURE, NOTE, PHOTO))
    assert value["frontier"] == {"operations": ids, "photos": ["ab" * 32]}
    assert {key: value[key] for key in VALUE} == VALUE


def test_a_signature_carries_exactly_what_its_digest_is_of():
    state = state_of(MEASURE)
    value = sign(state, VALUE)
    assert value["digest"] == sha256(value["snapshot"])
    assert value["snapshot"] == canonical({"facts": facts(state, ON_PAPER), "context": CONTEXT})
    assert value["context_sha256"] == sha256(canonical(CONTEXT))


def test_the_office_that_holds_the_same_says_verified():
    assert verdict(sign(state_of(MEASURE, NOTE), VALUE), NOTE, MEASURE) == "verified"


def test_the_office_that_holds_less_waits():
    assert verdict(sign(state_of(MEASURE, NOTE), VALUE), MEASURE) == "pending"


def test_the_office_that_holds_something_else_says_so():
    value = sign(state_of(MEASURE), VALUE)
    other = envelope(1, "measure", MEASURE["value"] | {"text": "new fuse"})
    assert verdict(value, other) == "mismatch"
    assert verdict(value | {"digest": "0" * 64}, MEASURE) == "mismatch"
    assert verdict(value, MEASURE, context=CONTEXT | {"asset": None}) == "mismatch"


def test_a_voided_entry_is_not_signed_but_its_void_is():
    void = envelope(5, "void", {"entry": NOTE["id"], "reason": "wrong"}, minute=4)
    value = sign(state_of(MEASURE, NOTE, void), VALUE)
    assert "wet floor" not in value["snapshot"]
    assert void["id"] in value["frontier"]["operations"]


def test_every_signature_has_a_token_of_its_own():
    tokens = {sign(state_of(MEASURE), VALUE)["token"] for _ in range(50)}
    assert len(tokens) == 50
    assert all(re.fullmatch("[0-9a-f]{32}", token) for token in tokens)


def test_a_token_in_the_form_is_not_believed():
    value = sign(state_of(MEASURE), VALUE | {"token": "mine", "digest": "mine", "frontier": {}})
    assert "mine" not in (value["token"], value["digest"])
    assert value["frontier"]["operations"]


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_the_language_is_the_contacts(language):
    context = CONTEXT | {"contact": {"language": language}}
    assert sign(state_of(MEASURE, context=context), VALUE)["language"] == language
