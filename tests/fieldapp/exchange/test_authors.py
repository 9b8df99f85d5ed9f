"""Whose word counts: the author, the phone he has, his role and his organisation."""

import json
from datetime import UTC, datetime

import pytest

from fieldapp.ids import mint_id
from fieldapp.models import Device, Person
from tests.fieldapp.exchange.kept import change, held, kinds, rev_of
from tests.phones import at_desk, flags_of, state_of


def quarantine(app, visit_id):
    return [(apart["kind"], apart["code"]) for apart in state_of(app, visit_id)["quarantine"]]


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


def test_eli_cannot_replace_what_erin_wrote_under_its_id(app, visit, erin_phone, eli, phone_of):
    first = erin_phone.note(visit, "first")
    erin_phone.push(first)
    phone = phone_of(eli)
    for number in range(20):  # some of these hashes sort before Erin's
        phone.push(phone.note(visit, f"forged {number}", id=first["id"], author=first["author"]))
    (entry,) = state_of(app, visit)["entries"]
    assert entry["value"]["text"] == "first"
    assert "operation.same-id" in flags_of(app, visit)


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


# Another organisation


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


def test_names_of_another_organisation_do_not_leak(app, visit, olly, erin_phone):
    erin_phone.push(erin_phone.note(visit, author=olly.id))
    told = erin_phone.pull()
    assert olly.name not in json.dumps(told)
