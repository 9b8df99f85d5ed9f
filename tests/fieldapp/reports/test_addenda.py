"""What came after the signature, or beside it, stands below it."""

import io
import json

import pikepdf
import pytest

from fieldapp import blobs
from fieldapp.models import Visit, db
from fieldapp.reports import paper_file, read_paper
from tests.fieldapp.reports.papers import (
    entry_of,
    inside,
    measure,
    newest_text,
    noted,
    papers,
    revisions,
    row_of,
    text_of,
)
from tests.phones import at_desk, signature


def corrected(phone, visit_id):
    entry = entry_of(phone, visit_id, "measure")
    path = f"entries/{entry}/text"
    phone.push(
        phone.operation("correction", visit_id, {path: "replaced the fuse"}, {path: [entry]})
    )
    return "replaced the fuse"


def voided(phone, visit_id):
    entry = entry_of(phone, visit_id, "measure")
    phone.push(phone.operation("void", visit_id, {"entry": entry, "reason": "wrong cabinet"}))
    return "wrong cabinet"


def changed(phone, visit_id):
    with phone.app.app_context():
        heads = db.session.get_one(Visit, visit_id).state["fields"]["fault/text"]["heads"]
    body = phone.operation(
        "fault", visit_id, {"fault/text": "dead since 08:10"}, {"fault/text": heads}
    )
    phone.push(body)
    return "dead since 08:10"


@pytest.mark.parametrize("later", [noted, corrected, voided, changed])
def test_what_erin_adds_after_the_signature_is_an_addendum(app, signed, erin_phone, work, later):
    told = later(erin_phone, signed)
    work()
    ((_, first), (_, second)) = papers(app, signed)
    assert "Addendum" not in text_of(first)
    before, _, after = text_of(second).partition("Addendum")
    assert told in after
    assert told not in before
    assert "replaced the power board" in before
    assert "dead since 08:40" in before
    assert inside(second, "previous.pdf") == first
    work()
    assert revisions(app, signed) == [1, 2]


@pytest.mark.parametrize("left", [b"%PDF-1.7 nobody sealed this", None])
def test_an_earlier_paper_that_is_damaged_or_lost_does_not_go_along(
    app, signed, erin_phone, work, left
):
    with app.app_context():
        first = row_of(app, signed)
        file = first.org_id, paper_file(signed, first.revision, first.name)
        blobs.remove(*file) if left is None else blobs.write(*file, left)
    noted(erin_phone, signed)
    work()
    with app.app_context():
        second = read_paper(row_of(app, signed))
    assert json.loads(inside(second))["previous_sha256"] == first.sha256
    with pikepdf.open(io.BytesIO(second)) as document:
        assert set(document.attachments) == {"visit.json"}


def test_an_addendum_that_is_withdrawn_does_not_vanish(app, signed, erin_phone, work):
    noted(erin_phone, signed)
    work()
    about = entry_of(erin_phone, signed, "note")
    erin_phone.push(erin_phone.operation("void", signed, {"entry": about, "reason": "it was not"}))
    work()
    _, _, after = newest_text(app, signed).partition("Addendum")
    assert "the siren is loose" in after
    assert "Void: Note" in after
    assert "it was not" in after


def test_eli_who_had_not_seen_the_signature_is_on_the_addendum_too(
    app, visit, erin_phone, eli, dana, phone_of, work
):
    value = {"diagnosis/text": "the board is dead", "diagnosis/cause": "product"}
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    elis = phone_of(eli)
    early = elis.operation("diagnosis", visit, {"diagnosis/text": "the fuse is dead"})
    early = elis.operation(
        "diagnosis", visit, {"diagnosis/text": "the fuse is dead"}, wall=early["wall"] - 3_600_000
    )
    erin_phone.push(erin_phone.operation("diagnosis", visit, value))
    at_desk(app, dana, visit, ("assignment", {"engineer": erin_phone.person.id}))
    erin_phone.push(signature(erin_phone, visit))
    work()
    elis.push(early)
    work()
    before, _, after = newest_text(app, visit).partition("Addendum")
    assert "the board is dead" in before
    assert "the fuse is dead" in after
    assert "the board is dead" not in after

    heads = erin_phone.pull() and erin_phone.visits[visit]["state"]["fields"]["diagnosis/text"]
    at_desk(
        app,
        dana,
        visit,
        (
            "resolution",
            {"diagnosis/text": "the board is dead"},
            {"diagnosis/text": heads["heads"]},
        ),
    )
    work()
    assert revisions(app, visit) == [1, 2]


def test_what_only_the_other_signature_covers_is_not_lost(
    app, visit, dana, erin_phone, eli, phone_of, work
):
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    elis = phone_of(eli)
    note = elis.note(visit, "the horn is cracked")
    hers = signature(elis, visit, note, name="Cleo at noon")
    hers = elis.operation("signature", visit, hers["value"], wall=hers["wall"] - 3_600_000)
    at_desk(app, dana, visit, ("assignment", {"engineer": erin_phone.person.id}))
    erin_phone.push(measure(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit, name="Cleo at two"))
    elis.push(note, hers)
    work()
    before, _, after = newest_text(app, visit).partition("Addendum")
    assert "Cleo at two" in before
    assert "the horn is cracked" in after
