"""Two signatures, a withdrawn one, a refusal, and one that signs something else."""

import json

import pytest
from sqlalchemy import select

from fieldapp.models import Contact, db
from sync.canonical import canonical, sha256
from sync.catalogue import ON_PAPER
from sync.snapshot import facts, snapshot_text
from tests.fieldapp.reports.papers import (
    REFUSAL,
    entry_of,
    inside,
    make,
    measure,
    newest_text,
    noted,
    outcome,
    papers,
    revisions,
    row_of,
    text_of,
    withdraw,
)
from tests.phones import CLEO, at_desk, flags_of, signature


def test_the_data_inside_are_what_was_signed_and_what_the_api_gives(app, signed, erin_phone):
    erin_phone.pull()
    state = erin_phone.visits[signed]["state"]
    ((_, pdf),) = papers(app, signed)
    told = json.loads(inside(pdf))
    assert told["snapshot"]["facts"] == facts(state, ON_PAPER)
    (given,) = state["signatures"]
    assert sha256(canonical(told["snapshot"])) == given["value"]["digest"]
    (printed,) = told["signatures"]
    assert {name: printed[name] for name in CLEO} == {name: given["value"][name] for name in CLEO}


def test_the_newer_of_two_signatures_makes_the_paper(app, signed, erin_phone, work):
    noted(erin_phone, signed)
    work()
    erin_phone.push(signature(erin_phone, signed, name="Cleo Ash-Brook", opinion="now all is well"))
    work()
    assert revisions(app, signed) == [1, 2, 3]
    text = newest_text(app, signed)
    assert "Cleo Ash-Brook" in text
    assert "Addendum" not in text
    assert "the siren is loose" in text
    tokens = {json.loads(inside(pdf))["token"] for _, pdf in papers(app, signed)}
    assert len(tokens) == 1


def test_what_the_customer_signed_is_printed_also_when_erin_signs_after_it(
    app, signed, erin_phone, work
):
    entry = entry_of(erin_phone, signed, "measure")
    path = f"entries/{entry}/text"
    erin_phone.push(
        erin_phone.operation("correction", signed, {path: "replaced the fuse"}, {path: [entry]})
    )
    erin_phone.push(signature(erin_phone, signed, name="Erin Ng", role="engineer"))
    work()
    text = newest_text(app, signed)
    before, _, after = text.partition("Addendum")
    assert "replaced the power board" in before
    assert "replaced the fuse" in after
    assert "Signed a later state of this visit" in before
    paper = json.loads(inside(papers(app, signed)[-1][1]))
    assert [(one["name"], one["covers"]) for one in paper["signatures"]] == [
        ("Erin Ng", "later"),
        ("Cleo Ash", "same"),
    ]


def test_a_typed_name_stands_on_the_paper_with_its_witness(app, signed, erin_phone, work):
    noted(erin_phone, signed)
    seen = {"witness_name": "Erin Ng", "witness_role": "the engineer"}
    erin_phone.push(signature(erin_phone, signed, strokes=None, **seen))
    work()
    text = newest_text(app, signed)
    assert "Signed by typed name, witnessed by Erin Ng (the engineer)." in text
    assert "The drawing cannot be shown" not in text
    printed = json.loads(inside(papers(app, signed)[-1][1]))["signatures"][-1]
    assert {name: printed[name] for name in seen} == seen
    assert flags_of(app, signed) == []


def test_a_drawn_signature_says_nothing_of_a_witness(app, signed):
    assert "witness" not in newest_text(app, signed)
    assert "witness" not in json.dumps(json.loads(inside(papers(app, signed)[0][1]))["signatures"])


def test_erins_signature_makes_the_paper_when_nobody_else_signed(app, visit, erin_phone, work):
    erin_phone.push(signature(erin_phone, visit, name="Erin Ng", role="engineer"))
    work()
    assert "Erin Ng" in newest_text(app, visit)


def test_everybody_who_refused_stands_on_the_paper(app, visit, erin_phone, work):
    for words, witness in (("the data were lost", "Bo Reed"), ("nobody came", "Ada Fenn")):
        erin_phone.push(
            erin_phone.operation(
                "refusal",
                visit,
                {"reason": "disputes", "text": words, "witness_name": witness},
            )
        )
    erin_phone.push(erin_phone.operation("leaving", visit, {}))
    work()
    text = newest_text(app, visit)
    for told in ("the data were lost", "Bo Reed", "nobody came", "Ada Fenn"):
        assert text.count(told) == 1, told


def test_a_withdrawn_signature_makes_no_paper(app, visit, erin_phone, work):
    erin_phone.push(signature(erin_phone, visit))
    withdraw(erin_phone, visit)
    work()
    assert make(app, visit) == []
    assert papers(app, visit) == []


def test_a_signature_withdrawn_after_the_seal_is_said_in_a_new_revision(
    app, signed, erin_phone, work
):
    withdraw(erin_phone, signed)
    work()
    make(app, signed)
    ((_, first), (_, second)) = papers(app, signed)
    before, _, after = text_of(second).partition("Addendum")
    assert "Not signed." in before
    assert "replaced the power board" in before
    assert "Cleo Ash" in after
    assert "Void: Signature" in after
    assert "the wrong person signed" in after
    assert inside(second, "previous.pdf") == first
    assert json.loads(inside(second))["signatures"] == []
    assert row_of(app, signed).verdict == "withdrawn"
    assert (outcome(app, first), outcome(app, second)) == ("superseded", "genuine")
    assert make(app, signed) == []


def test_a_new_signature_after_a_withdrawn_one_stands(app, signed, erin_phone, work):
    withdraw(erin_phone, signed)
    make(app, signed)
    erin_phone.push(signature(erin_phone, signed, name="Cleo herself"))
    work()
    text = newest_text(app, signed)
    assert "Cleo herself" in text
    assert "wrong person" not in text
    assert revisions(app, signed) == [1, 2, 3]


# Refusals


@pytest.fixture
def refused(erin_phone, visit, work):
    """The id of a visit that Cleo refused to sign and Erin left."""
    erin_phone.push(measure(erin_phone, visit))
    erin_phone.push(erin_phone.operation("refusal", visit, REFUSAL))
    work()
    assert papers(erin_phone.app, visit) == []
    erin_phone.push(erin_phone.operation("leaving", visit, {}))
    work()
    return visit


def test_a_refusal_gets_its_paper_once_erin_left(app, refused):
    ((_, pdf),) = papers(app, refused)
    text = text_of(pdf)
    assert "Refusal to sign" in text
    assert "it was dead before" in text
    assert "Mo Lin" in text
    assert "The signature stands for everything" not in text
    assert row_of(app, refused).verdict == "refused"
    assert outcome(app, pdf) == "genuine"


def test_a_refusal_of_which_only_the_reason_is_known_gets_its_paper(app, visit, erin_phone, work):
    erin_phone.push(
        erin_phone.operation("refusal", visit, {"reason": "disputes"}),
        erin_phone.operation("leaving", visit, {}),
    )
    work()
    ((_, pdf),) = papers(app, visit)
    assert "Refusal to sign" in text_of(pdf)


def test_what_the_office_knows_better_alone_revises_no_refusal(app, refused, erin, dana, work):
    with app.app_context():
        for contact in db.session.scalars(select(Contact)):
            contact.phone = "139-0000-0009"
        db.session.commit()
    at_desk(app, dana, refused, ("remark", {"text": "called back"}))
    work()
    assert revisions(app, refused) == [1]


def test_what_erin_adds_to_a_refused_visit_is_a_new_revision(app, refused, erin_phone, work):
    noted(erin_phone, refused)
    work()
    assert revisions(app, refused) == [1, 2]
    assert "the siren is loose" in newest_text(app, refused)


def test_a_refusal_withdrawn_after_the_seal_is_said_in_a_new_revision(app, refused, erin_phone):
    entry = entry_of(erin_phone, refused, "refusal")
    erin_phone.push(
        erin_phone.operation("void", refused, {"entry": entry, "reason": "a misunderstanding"})
    )
    make(app, refused)
    before, _, after = newest_text(app, refused).partition("Addendum")
    assert "Not signed." in before
    assert "it was dead before" not in before
    assert "Void: Refusal to sign" in after
    assert "a misunderstanding" in after
    assert make(app, refused) == []


def test_cleo_may_sign_after_she_refused(app, refused, erin_phone, work):
    erin_phone.push(signature(erin_phone, refused))
    work()
    assert "The signature stands for everything above this line." in newest_text(app, refused)
    assert revisions(app, refused) == [1, 2]


# What differs from what the office holds, and what cannot be read


def resigned(body, change):
    """A signature whose snapshot ``change`` was done to, with the digest of what it is now."""
    snapshot = json.loads(body["value"]["snapshot"])
    change(snapshot)
    text = snapshot_text(snapshot["facts"], snapshot["context"])
    return body["value"] | {"snapshot": text, "digest": sha256(text)}


def test_a_signature_on_something_else_is_sealed_as_it_was_signed(app, visit, erin_phone, work):
    erin_phone.push(measure(erin_phone, visit))
    body = signature(erin_phone, visit)

    def another_text(snapshot):
        (entry,) = snapshot["facts"]["entries"]
        entry["value"]["text"] = "what Cleo saw"

    value = resigned(body, another_text)
    erin_phone.push(erin_phone.operation("signature", visit, value))
    work()
    assert flags_of(app, visit) == ["signature.mismatch"]
    ((_, pdf),) = papers(app, visit)
    text = text_of(pdf)
    assert "what Cleo saw" in text
    assert "What the office holds differs from what was signed" in text
    assert canonical(json.loads(inside(pdf))["snapshot"]) == value["snapshot"]
    assert row_of(app, visit).verdict == "mismatch"


def drop(*path):
    def change(snapshot):
        for name in path[:-1]:
            snapshot = snapshot[name]
        del snapshot[path[-1]]

    return change


def put(value, *path):
    def change(snapshot):
        for name in path[:-1]:
            snapshot = snapshot[name]
        snapshot[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        drop("facts", "entries"),
        put(5, "facts", "fields"),
        put([5], "facts", "entries"),
        put("soon", "facts", "entries", 0, "wall_at"),
        put(["fault/text"], "facts", "fields", 0, "values", 0),
        drop("context", "site"),
        put("here", "context", "site"),
        put([["x", []]], "context", "site", "offsets"),
        put([7], "context", "people"),
        put([], "context"),
        put([], "facts"),
    ],
)
def test_a_signed_text_that_is_no_visit_stops_no_queue(app, visit, erin_phone, work, change):
    erin_phone.push(measure(erin_phone, visit))
    body = signature(erin_phone, visit)
    erin_phone.push(erin_phone.operation("signature", visit, resigned(body, change)))
    work()
    assert "signature.mismatch" in flags_of(app, visit)
    assert [task.args for task in app.extensions["huey"].scheduled()] == []
    assert len(papers(app, visit)) <= 1


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"facts": 1.5, "context": {}}', None])
def test_a_signed_text_nobody_can_read_makes_no_paper(app, visit, erin_phone, work, text):
    value = CLEO | {"frontier": {"operations": [], "photos": []}, "snapshot": text, "token": "x"}
    value["digest"] = sha256(text or "")
    erin_phone.push(erin_phone.operation("signature", visit, value))
    work()
    assert "signature.mismatch" in flags_of(app, visit)
    assert papers(app, visit) == []
    assert [task.args for task in app.extensions["huey"].scheduled()] == []
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert revisions(app, visit) == [1]


@pytest.mark.parametrize("token", ["../../etc", "", "A" * 32, "f" * 400, 7, None])
def test_a_token_that_is_none_is_replaced(app, visit, erin_phone, work, token):
    body = signature(erin_phone, visit)
    erin_phone.push(erin_phone.operation("signature", visit, body["value"] | {"token": token}))
    work()
    row = row_of(app, visit)
    page = app.test_client().get(f"/verify/{row.token}/1")
    assert page.status_code == 200


def test_two_visits_with_one_token_both_get_a_paper(app, visit_of, erin, erin_phone, work):
    one, other = visit_of(erin, "PG-1"), visit_of(erin, "PG-2")
    for visit_id in (one, other):
        body = signature(erin_phone, visit_id)
        value = body["value"] | {"token": "ab" * 16}
        erin_phone.push(erin_phone.operation("signature", visit_id, value))
    work()
    assert row_of(app, one).token == "ab" * 16
    assert row_of(app, other).token != "ab" * 16
    assert outcome(app, papers(app, other)[0][1]) == "genuine"
