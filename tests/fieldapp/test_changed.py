"""What the customer signed was changed: everybody sees it, and she is asked to sign again."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from fieldapp.models import Person, Visit, db
from tests.phones import PAGE, at_desk, signature, state_of

MARK = "Changed after the signature"
SWAP = {"part_name": "board", "removed_serial": "A-1", "installed_serial": "B-2", "fate": "scrap"}
DONE = (
    ("arrival", {"outcome": "present"}),
    ("step", {"list": "conduct", "done": ["badge", "explained"]}),
    ("identification", {"serial": "WAH200-C1", "verdict": "agrees"}),
    ("measure", {"text": "replaced the board", "completed_at": "2026-03-10T03:20:00Z"}),
    ("step", {"list": "closing", "done": ["tested"]}),
    ("swap", SWAP),
)
SAID = {"diagnosis/text": "board burnt", "diagnosis/cause": "quality", "diagnosis/repair": "site"}


@pytest.fixture
def signed(visit, erin_phone):
    """The id of Erin's visit with everything on it, signed by Cleo."""
    erin_phone.push(
        *(erin_phone.operation(kind, visit, value) for kind, value in DONE),
        erin_phone.operation("diagnosis", visit, SAID),
        erin_phone.operation("outcome", visit, {"outcome/result": "repaired"}),
    )
    erin_phone.push(signature(erin_phone, visit))
    return visit


def changes(app, visit_id):
    """What the state says, and that the column says the same."""
    with app.app_context():
        found = db.session.get_one(Visit, visit_id)
        assert found.is_changed is bool(found.state["visit"]["changes"])
        return [tuple(item.values()) for item in found.state["visit"]["changes"]]


def swap_of(app, visit_id):
    entries = state_of(app, visit_id)["entries"]
    return next(entry["id"] for entry in entries if entry["kind"] == "swap")


def diagnose(phone, visit_id, text="board was wet"):
    with phone.app.app_context():
        cell = db.session.get_one(Visit, visit_id).state["fields"]["diagnosis/text"]
    value = {"diagnosis/text": text}
    phone.push(phone.operation("diagnosis", visit_id, value, {"diagnosis/text": cell["heads"]}))


def correct(phone, visit_id, serial="B-3"):
    entry = swap_of(phone.app, visit_id)
    path = f"entries/{entry}/installed_serial"
    phone.push(phone.operation("correction", visit_id, {path: serial}, {path: [entry]}))


def strike(phone, visit_id, reason="never done"):
    value = {"entry": swap_of(phone.app, visit_id), "reason": reason}
    phone.push(phone.operation("void", visit_id, value))


def page(client, path):
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text
    return answer.text


def section(html):
    """The text of what a page says of the changes."""
    found = re.search(r'<section[^>]*id="changed".*?</section>', html, re.S)
    return " ".join(unescape(re.sub("<[^>]*>", " ", found[0])).split()) if found else ""


def posted(html):
    """What the button that sends back posts."""
    form = re.search(r'<section[^>]*id="changed".*?(<form.*?</form>)', html, re.S)[1]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    fields["reason"] = re.search(r"<textarea[^>]*>(.*?)</textarea>", form, re.S)[1]
    return {name: unescape(value) for name, value in fields.items()}


def leave(phone, visit_id):
    phone.push(phone.operation("leaving", visit_id, {}))


@pytest.mark.parametrize(
    ("change", "found", "told"),
    [
        (diagnose, ("diagnosis", "", "text"),
         "Diagnosis · Fault cause When signed: board burnt Now: board was wet"),
        (correct, ("swap", "swap", "installed_serial"),
         "Part swap · Serial number installed When signed: B-2 Now: B-3"),
        (strike, ("swap", "swap", ""), "Part swap Void: never done"),
    ],
)  # fmt: skip
def test_a_change_of_what_cleo_signed_is_shown_everywhere(
    app, signed, erin, erin_phone, dana, client_of, change, found, told
):
    assert changes(app, signed) == []
    desk, seen_by_erin = client_of(dana), client_of(erin)
    for path in ("/desk", f"/desk/visits/{signed}"):
        assert MARK not in page(desk, path)
    assert MARK not in page(seen_by_erin, f"/visits/{signed}")
    kind, entry, field = found
    entry = swap_of(app, signed) if entry else ""
    change(erin_phone, signed)
    assert changes(app, signed) == [(kind, entry, field)]
    assert page(desk, "/desk").count(MARK) == 1
    said = section(page(desk, f"/desk/visits/{signed}"))
    assert told in said
    assert "Erin Ng" in said
    mine = page(seen_by_erin, f"/visits/{signed}")
    assert "Please ask the customer to sign again." in section(mine)
    assert "签字后有改动" in page(client_of(dana, language="zh_CN"), "/desk")
    assert "请客户重新签字。" in page(client_of(erin, language="zh_CN"), f"/visits/{signed}")


def test_what_is_only_added_is_an_addendum(app, signed, erin_phone, dana, client_of):
    note = erin_phone.note(signed, "the siren is loose")
    erin_phone.push(note, erin_phone.operation("photo", signed, {"sha256": "a" * 64}))
    erin_phone.push(erin_phone.operation("void", signed, {"entry": note["id"], "reason": "no"}))
    at_desk(app, dana, signed, ("remark", {"text": "well done"}))
    at_desk(app, dana, signed, ("appointment", {"at": "2026-03-11T02:00:00Z"}))
    leave(erin_phone, signed)
    assert changes(app, signed) == []
    assert MARK not in page(client_of(dana), "/desk")


def test_the_desk_changes_what_was_signed_too(app, signed, dana, client_of):
    at_desk(app, dana, signed, ("fault", {"text": "never worked"}))
    assert changes(app, signed) == [("fault", "", "text")]
    said = section(page(client_of(dana), f"/desk/visits/{signed}"))
    assert "When signed: dead since 08:40 Now: never worked Dana Roy" in said


def test_a_quarrel_that_the_desk_settles_for_the_signed_value_is_over(
    app, signed, eli, phone_of, dana
):
    phone = phone_of(eli)
    at_desk(app, dana, signed, ("assignment", {"engineer": eli.id}))
    text, late = {"diagnosis/text": "board was wet"}, {"diagnosis/text": []}
    phone.push(phone.operation("diagnosis", signed, text, late))
    assert changes(app, signed) == [("diagnosis", "", "text")]
    heads = {"diagnosis/text": state_of(app, signed)["fields"]["diagnosis/text"]["heads"]}
    signed_text = {"diagnosis/text": "board burnt"}
    at_desk(app, dana, signed, ("resolution", signed_text, heads))
    assert changes(app, signed) == []
    heads = {"diagnosis/text": state_of(app, signed)["fields"]["diagnosis/text"]["heads"]}
    at_desk(app, dana, signed, ("resolution", text, heads))
    assert changes(app, signed) == [("diagnosis", "", "text")]


def test_a_new_signature_that_covers_the_change_ends_the_mark(
    app, signed, erin_phone, dana, client_of
):
    correct(erin_phone, signed)
    erin_phone.push(signature(erin_phone, signed, role="engineer", name="Erin Ng"))
    assert changes(app, signed) != []
    erin_phone.push(signature(erin_phone, signed, opinion="now it is right"))
    assert changes(app, signed) == []
    assert MARK not in page(client_of(dana), "/desk")
    assert section(page(client_of(dana), f"/desk/visits/{signed}")) == ""


def test_without_the_signature_nothing_is_changed(app, signed, erin_phone):
    correct(erin_phone, signed)
    entry = state_of(app, signed)["signatures"][0]["id"]
    erin_phone.push(
        erin_phone.operation("void", signed, {"entry": entry, "reason": "the wrong person signed"})
    )
    assert changes(app, signed) == []


# Signing again


def test_erin_is_asked_for_the_signature_again_while_she_is_there(
    app, signed, erin, erin_phone, dana, client_of
):
    browser = client_of(erin)
    sign_path = f"/visits/{signed}/signatures"
    next_is = 'class="button next" href="'
    assert f'{next_is}{sign_path}"' not in page(browser, f"/visits/{signed}")
    assert "Thank you" in page(browser, sign_path)
    correct(erin_phone, signed)
    visit_page = page(browser, f"/visits/{signed}")
    assert f'{next_is}{sign_path}"' in visit_page
    assert f'<a class="step" href="{sign_path}"' in visit_page
    form = page(browser, sign_path)
    assert "Thank you" not in form
    assert "Your signature" in form
    desk = page(client_of(dana), f"/desk/visits/{signed}")
    assert "the phone asks for the signature again" in section(desk)
    assert "<form" not in desk.split('id="changed"')[1].split("</section>")[0]
    erin_phone.push(signature(erin_phone, signed))
    assert "Thank you" in page(browser, sign_path)
    assert f'{next_is}{sign_path}"' not in page(browser, f"/visits/{signed}")


def test_dana_sends_the_visit_back_to_be_signed_again(
    app, signed, erin, erin_phone, dana, client_of
):
    leave(erin_phone, signed)
    correct(erin_phone, signed)
    diagnose(erin_phone, signed)
    desk, path = client_of(dana), f"/desk/visits/{signed}"
    fields = posted(page(desk, path))
    assert fields["reason"] == (
        "This was changed after the customer signed: Diagnosis · Fault cause / Part swap · Serial "
        "number installed. Please ask the customer to sign again."
    )
    answer = desk.post(f"{path}/reviews", data=fields, headers=PAGE)
    assert (answer.status_code, answer.location) == (303, path)
    state = state_of(app, signed)
    assert state["visit"]["status"] == "sent-back"
    assert state["fields"]["review"]["value"] == {
        "verdict": "sent-back", "reason": fields["reason"],
    }  # fmt: skip
    back = page(desk, path)
    assert "The visit was sent back" in section(back)
    assert "again-reason" not in back
    mine = page(client_of(erin), f"/visits/{signed}")
    assert "Part swap · Serial number installed. Please ask" in mine
    assert f'class="button next" href="/visits/{signed}/signatures"' in mine
    erin_phone.push(signature(erin_phone, signed))
    assert changes(app, signed) == []
    assert section(page(desk, path)) == section(page(client_of(erin), f"/visits/{signed}")) == ""


def test_the_reason_is_in_the_engineers_language(app, signed, erin, erin_phone, dana, client_of):
    leave(erin_phone, signed)
    correct(erin_phone, signed)
    with app.app_context():
        db.session.get_one(Person, erin.id).language = "zh_CN"
        db.session.commit()
    fields = posted(page(client_of(dana), f"/desk/visits/{signed}"))
    assert fields["reason"] == "客户签字后有改动：更换备件 · 装上件序列号。请客户重新签字。"


def test_what_changed_after_dana_looked_is_not_sent_back_unseen(
    app, signed, erin_phone, dana, client_of
):
    leave(erin_phone, signed)
    correct(erin_phone, signed)
    desk, path = client_of(dana), f"/desk/visits/{signed}"
    fields = posted(page(desk, path))
    erin_phone.push(signature(erin_phone, signed))
    assert desk.post(f"{path}/reviews", data=fields, headers=PAGE).status_code == 409
    assert "review" not in state_of(app, signed)["fields"]


def test_neither_erin_nor_olly_sends_back(app, signed, erin, erin_phone, dana, olly, client_of):
    leave(erin_phone, signed)
    correct(erin_phone, signed)
    fields = posted(page(client_of(dana), f"/desk/visits/{signed}"))
    for person, status in ((erin, 403), (olly, 404)):
        answer = client_of(person).post(f"/desk/visits/{signed}/reviews", data=fields, headers=PAGE)
        assert answer.status_code == status
    assert "review" not in state_of(app, signed)["fields"]
    assert MARK not in page(client_of(olly), "/desk")


def test_yesterdays_accepted_visit_is_on_the_board_until_it_is_signed_again(
    app, signed, erin_phone, dana, client_of
):
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    leave(erin_phone, signed)
    at_desk(app, dana, signed, ("appointment", {"at": yesterday}))
    at_desk(app, dana, signed, ("review", {"verdict": "accepted", "reason": ""}))
    desk, card = client_of(dana), f'id="card-{signed}"'
    assert card not in page(desk, "/desk")
    correct(erin_phone, signed)
    assert card in page(desk, "/desk")
    assert "again-reason" in page(desk, f"/desk/visits/{signed}")
    erin_phone.push(signature(erin_phone, signed))
    assert card not in page(desk, "/desk")


@pytest.mark.parametrize("snapshot", ["", "[]", '{"facts": 1}', '{"facts": {"fields": [1]}}'])
def test_a_signature_that_cannot_be_read_breaks_no_page(
    app, signed, erin_phone, dana, client_of, snapshot
):
    body = signature(erin_phone, signed, name="<b>Cleo")
    body = erin_phone.operation("signature", signed, body["value"] | {"snapshot": snapshot})
    erin_phone.push(body)
    diagnose(erin_phone, signed, text="<b>wet")
    html = page(client_of(dana), f"/desk/visits/{signed}")
    assert "When signed: – Now: <b>wet" in section(html)
    assert "<b>" not in html


def test_a_visit_folded_before_there_were_marks_is_shown_without_one(
    app, signed, erin, erin_phone, dana, client_of
):
    correct(erin_phone, signed)
    with app.app_context():
        found = db.session.get_one(Visit, signed)
        state = json.loads(json.dumps(found.state))
        del state["visit"]["changes"]
        found.state, found.is_changed = state, False
        db.session.commit()
    assert MARK not in page(client_of(dana), "/desk")
    assert section(page(client_of(dana), f"/desk/visits/{signed}")) == ""
    assert section(page(client_of(erin), f"/visits/{signed}")) == ""
    erin_phone.push(erin_phone.note(signed))
    assert changes(app, signed) != []


@pytest.mark.parametrize("name", ["fault/", "entries/{}/"])
def test_a_path_without_a_field_breaks_no_page(
    app, signed, erin, dana, erin_phone, client_of, name
):
    path = name.format(swap_of(app, signed))
    kind = "fault" if path == "fault/" else "correction"
    erin_phone.push(erin_phone.operation(kind, signed, {path: "x"}, {path: []}))
    assert changes(app, signed) == []
    assert client_of(dana).get(f"/desk/visits/{signed}").status_code == 200
    assert client_of(erin).get(f"/visits/{signed}").status_code == 200


def test_a_signed_text_with_half_a_character_breaks_no_page(
    app, signed, dana, erin_phone, client_of
):
    facts = {"fields": [{"path": "diagnosis/text", "values": ["\ud800"]}], "entries": []}
    snapshot = json.dumps({"facts": facts, "context": {}})
    whole = signature(erin_phone, signed)["value"]
    forged = erin_phone.operation("signature", signed, whole | {"snapshot": snapshot})
    erin_phone.push(forged)
    diagnose(erin_phone, signed)
    response = client_of(dana).get(f"/desk/visits/{signed}")
    assert response.status_code == 200
    assert MARK in response.text
