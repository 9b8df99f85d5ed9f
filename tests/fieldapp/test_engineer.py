"""The engineer's pages when the server answers: one form, one operation."""

import hashlib
import html
import json
import re

import pytest

from fieldapp import create_app
from fieldapp.forms import write_form
from fieldapp.models import Visit, db
from fieldapp.pages import CATALOGUE
from sync import problems
from tests.phones import PAGE, at_desk, flags_of, state_of

NAME = hashlib.sha256(b"photo").hexdigest()
STROKES = json.dumps([[10, 10, 0, 20, 20, 40, 30, 10, 80]])

FORMS = {
    "departure": {"eta_at": "2026-03-10T11:00", "told_name": "Cleo", "told_by": "phone"},
    "arrival": {
        "outcome": "present",
        "late_reason": "ferry",
        "position": '{"latitude":31230000,"longitude":121470000,"accuracy":12}',
    },
    "step": {"list": "conduct", "done": ["badge", "shoe-covers"]},
    "identification": {
        "serial": "WAH200-C1",
        "model": "WAH-200",
        "verdict": "differs",
        "difference_text": "another\nlabel",
    },
    "fault": {"text": "no power", "level": "accessory", "location": "hall"},
    "diagnosis": {
        "text": "fuse\nblown",
        "cause": "product",
        "category": "power",
        "repair": "on-site",
    },
    "downtime": {"event": "start", "at": "2026-03-10T10:55"},
    "measure": {"text": "fuse replaced", "completed_at": "2026-03-10T11:30"},
    "swap": {
        "part_name": "fuse",
        "removed_serial": "F-1",
        "installed_serial": "F-2",
        "fate": "scrap",
    },
    "loaner": {
        "removed_serial": "WAH200-C1",
        "loaner_serial": "SP-1",
        "reason_text": "bench test",
        "told_text": "back on Friday",
    },
    "take-back": {"loaner_serial": "SP-1", "refitted_serial": "WAH200-C1", "test_result": "passed"},
    "training": {"text": "stock taking", "names": "吴芳\n钱伟"},
    "reading": {"item": "supply voltage", "value": "13.6", "unit": "V", "verdict": "normal"},
    "backup-statement": {"statement": "done", "name": "Cleo Ash"},
    "quote": {"text": "a new board", "amount": "680.50", "warranty_text": "three months"},
    "charge": {
        "category": "labour",
        "text": "repair on site",
        "quantity": "2",
        "unit_price": "120.00",
    },
    "invoice": {"number": "FP-18", "paid_by": "cash"},
    "photo": {"sha256": NAME, "slot": "nameplate", "caption": "nameplate"},
    "note": {"text": "试机正常"},
    "outcome": {"result": "solved", "next_text": "none"},
    "refusal": {"reason": "absent", "text": "went home", "witness_name": "guard"},
    "signature-request": {"name": "Cleo Ash", "role": "contact"},
    "leaving": {"next_text": "depot"},
    "proposal": {"text": "the gate is on Quay Road"},
}
"""A form of every kind that an engineer fills in, as a browser posts it."""

OFFSETS = [["2025-01-01T00:00:00Z", 480]]


def post(client, visit, noun, form, **more):
    return client.post(f"/visits/{visit}/{noun}", data=form | more, headers=PAGE)


def hidden(page, name):
    """What the page carries in a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return html.unescape(found[1])


def entry_id(app, visit, kind="note"):
    return next(entry["id"] for entry in state_of(app, visit)["entries"] if entry["kind"] == kind)


@pytest.fixture
def client(client_of, erin):
    return client_of(erin)


def test_every_kind_of_the_engineer_has_a_form_here():
    by_engineer = {name for name, kind in CATALOGUE.items() if "engineer" in kind["roles"]}
    own_tests = {"opening", "consent", "signature", "void", "correction", "rating"}
    assert set(FORMS) | own_tests == by_engineer


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_is_shown_filled_in_and_becomes_one_operation(app, visit, client, kind):
    url = f"/visits/{visit}/{CATALOGUE[kind]['noun']}"
    shown = client.get(url + ("?list=conduct" if kind == "step" else ""))
    assert shown.status_code == 200
    title = "Conduct" if kind == "step" else CATALOGUE[kind]["label"]
    assert title in shown.text
    more = {name: hidden(shown.text, name) for name in ("heads", "was")}
    response = client.post(url, data=FORMS[kind] | more, headers=PAGE)
    assert (response.status_code, response.location) == (303, f"/visits/{visit}")
    state = state_of(app, visit)
    value = next((entry["value"] for entry in state["entries"] if entry["kind"] == kind), None)
    if CATALOGUE[kind]["policy"] == "set":
        start = f"{kind}/"
        value = {
            path.removeprefix(start): cell["value"]
            for path, cell in state["fields"].items()
            if path.startswith(start)
        }
    wanted = {field["name"]: "" for field in CATALOGUE[kind]["fields"]} | FORMS[kind]
    assert write_form(CATALOGUE[kind]["fields"], value, OFFSETS) == wanted
    assert not any(cell["conflict"] for cell in state["fields"].values())
    assert client.get(f"/visits/{visit}").status_code == 200


def bad_fields():
    """Every way to fill in one field wrongly: (kind, field, text, code)."""
    for kind, form in FORMS.items():
        for field in CATALOGUE[kind]["fields"]:
            type_, name = field["type"], field["name"]
            if field["required"]:
                code = "field.missing"
                yield kind, name, [] if isinstance(form[name], list) else "", code
                if type_ in ("text", "paragraph"):
                    yield kind, name, " \u3000\n ", code
            if type_ in ("text", "paragraph", "serial"):
                yield kind, name, "x" * (field["limit"] + 1), "field.too-long"
                yield kind, name, "x\u0007y", "field.control-characters"
                yield kind, name, "x\u202ey", "field.control-characters"
            if type_ == "serial":
                yield kind, name, "A#1", "field.not-a-serial"
            if type_ in ("text", "paragraph"):
                yield kind, name, "\U0001f525", "field.glyph"
            if type_ == "count":
                for text in ("0", "-1", "1.5", "two", "10000", "1234567890"):
                    yield kind, name, text, "field.not-a-count"
            if type_ == "money":
                for text in ("-1", "1,200", "¥12", "12.345", "much"):
                    yield kind, name, text, "field.not-an-amount"
            if type_ == "choice":
                yield kind, name, "no-such", "field.not-a-choice"
            if type_ == "ticks":
                yield kind, name, ["badge", "no-such"], "field.not-a-choice"
            if type_ == "moment":
                yield kind, name, "tomorrow", "field.not-a-moment"
            if type_ == "photo":
                yield kind, name, "photo.jpg", "field.not-a-hash"
            if type_ == "position":
                yield kind, name, "{}", "field.not-a-position"


def sentence(app, language, code, field, text):
    from fieldapp.pages import explain_in

    with app.app_context():
        limit = {"field.too-long": field["limit"]}.get(code, "")
        args = {"field": field["label"], "limit": limit, "character": text}
        return explain_in(language, code, args)


BAD = list(bad_fields())


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_stays(
    app, visit, client_of, erin, language
):
    client = client_of(erin, language)
    wrong = []
    for kind, name, text, code in BAD:
        field = next(field for field in CATALOGUE[kind]["fields"] if field["name"] == name)
        form = FORMS[kind] | {name: text}
        response = post(client, visit, CATALOGUE[kind]["noun"], form)
        page = html.unescape(response.text)
        said = html.unescape(sentence(app, language, code, field, text))
        kept = [
            item
            for other, item in form.items()
            if other != name and isinstance(item, str) and item not in page
        ]
        is_listed = field["type"] in ("choice", "ticks")  # only what is offered can be shown
        typed = is_listed or text.strip(" \u3000\n") in page
        is_shown = field["type"] in ("hidden", "position") or said in page
        if response.status_code != 422 or kept or not typed or not is_shown:
            wrong.append((kind, name, text[:20], response.status_code, said, kept, typed, is_shown))
    assert wrong == []
    assert state_of(app, visit)["entries"] == []


def test_a_longest_text_is_taken(app, visit, client):
    assert post(client, visit, "notes", {"text": "x" * 4000}).status_code == 303
    assert post(client, visit, "notes", {"text": "电" * 4000}).status_code == 303


def test_windows_lines_and_spaces_around_are_tidied(app, visit, client):
    post(client, visit, "notes", {"text": " a\r\nb \u3000"})
    assert state_of(app, visit)["entries"][0]["value"] == {"text": "a\nb"}


def test_a_form_too_large_is_refused(app, visit, client):
    app.config["FORM_BYTES"] = 1000
    response = post(client, visit, "notes", {"text": "x" * 2000})
    assert response.status_code == 413
    assert "Send it in parts" in response.text
    assert post(client, visit, "notes", {"text": "x" * 200}).status_code == 303


# Which pages there are


@pytest.mark.parametrize(
    "noun",
    ["reviews", "assignments", "cancellations", "appointments", "remarks", "resolutions", "note",
     "nonsense", "signature"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["get", "post"])
def test_nouns_of_the_desk_and_of_nobody_are_not_here(visit, client, noun, method):
    response = getattr(client, method)(f"/visits/{visit}/{noun}", headers=PAGE)
    assert response.status_code == 404
    assert "page.unknown" in response.text


@pytest.mark.parametrize("visit_id", ["nonsense", "01900000-0000-7000-8000-000000000001", "%00"])
def test_an_unknown_visit_is_not_found(client, visit, visit_id):
    for path in ("", "/notes"):
        assert client.get(f"/visits/{visit_id}{path}").status_code == 404
    assert post(client, visit_id, "notes", {"text": "x"}).status_code == 404


def test_the_list_of_an_engineer_without_visits_is_a_page(client):
    response = client.get("/visits")
    assert response.status_code == 200


def test_the_list_shows_erins_visits_and_not_elis(visit, visit_of, eli, client):
    visit_of(eli, "PG-77")
    page = client.get("/visits").text
    assert f"/visits/{visit}" in page
    assert "PG-77" not in page


# Fields several people write


def test_only_what_was_changed_is_set(app, visit, dana, client):
    shown = client.get(f"/visits/{visit}/faults").text
    more = {name: hidden(shown, name) for name in ("heads", "was")}
    at_desk(app, dana, visit, ("fault", {"level": "accessory"}))
    post(client, visit, "faults", {"text": "no power", "level": "major"}, **more)
    fields = state_of(app, visit)["fields"]
    assert fields["fault/text"]["value"] == "no power"
    assert fields["fault/level"]["value"] == "accessory"
    assert not fields["fault/text"]["conflict"]


def test_what_somebody_wrote_meanwhile_is_a_conflict_that_shows_both(app, visit, dana, client):
    shown = client.get(f"/visits/{visit}/faults").text
    more = {name: hidden(shown, name) for name in ("heads", "was")}
    at_desk(app, dana, visit, ("fault", {"text": "beeps at night"}))
    post(client, visit, "faults", {"text": "no power", "level": "major"}, **more)
    assert state_of(app, visit)["fields"]["fault/text"]["conflict"]
    page = client.get(f"/visits/{visit}/faults").text
    assert "beeps at night" in page
    assert "no power" in page


def test_saving_without_a_change_performs_nothing(app, visit, client):
    shown = client.get(f"/visits/{visit}/faults").text
    more = {name: hidden(shown, name) for name in ("heads", "was")}
    before = state_of(app, visit)
    form = {"text": "dead since 08:40", "level": "major"}
    assert post(client, visit, "faults", form, **more).status_code == 303
    assert state_of(app, visit) == before


@pytest.mark.parametrize("carried", ["", "nonsense", "[]", '{"fault/text": 7}', "{" * 3000])
def test_hidden_fields_that_cannot_be_read_do_not_lose_what_was_typed(app, visit, client, carried):
    response = post(client, visit, "faults", {"text": "no power"}, heads=carried, was=carried)
    assert response.status_code == 303
    sides = state_of(app, visit)["fields"]["fault/text"]["sides"]
    assert "no power" in {side["value"] for side in sides}


# Voids and corrections


def test_an_entry_is_struck_out_with_a_reason(app, visit, client):
    post(client, visit, "notes", FORMS["note"])
    entry = entry_id(app, visit)
    shown = client.get(f"/visits/{visit}/voids?entry={entry}").text
    assert hidden(shown, "entry") == entry
    form = {"entry": entry, "reason": "wrong visit"}
    assert post(client, visit, "voids", form).status_code == 303
    (note,) = state_of(app, visit)["entries"]
    assert [void["reason"] for void in note["voids"]] == ["wrong visit"]


def test_striking_out_needs_a_reason(app, visit, client):
    post(client, visit, "notes", FORMS["note"])
    entry = entry_id(app, visit)
    response = post(client, visit, "voids", {"entry": entry, "reason": ""})
    assert response.status_code == 422
    assert "Reason is missing" in response.text
    assert hidden(response.text, "entry") == entry
    assert state_of(app, visit)["entries"][0]["voids"] == []


@pytest.mark.parametrize("noun", ["voids", "corrections"])
@pytest.mark.parametrize("entry", ["", "nonsense", "01900000-0000-7000-8000-000000000001"])
def test_an_entry_that_is_not_there_is_neither_struck_out_nor_corrected(
    app, visit, client, noun, entry
):
    shown = client.get(f"/visits/{visit}/{noun}?entry={entry}")
    posted = post(client, visit, noun, {"entry": entry, "reason": "x", "text": "x"})
    for response in (shown, posted):
        assert response.status_code == 404
        assert "entry.not-found" in response.text
    assert flags_of(app, visit) == []


def test_an_entry_of_another_visit_is_not_there(app, visit, visit_of, erin, client):
    other = visit_of(erin, "PG-2")
    post(client, other, "notes", FORMS["note"])
    entry = entry_id(app, other)
    form = {"entry": entry, "reason": "x"}
    assert post(client, visit, "voids", form).status_code == 404


def test_a_correction_changes_one_field_and_says_so(app, visit, client):
    post(client, visit, "swaps", FORMS["swap"])
    entry = entry_id(app, visit, "swap")
    shown = client.get(f"/visits/{visit}/corrections?entry={entry}").text
    more = {name: hidden(shown, name) for name in ("heads", "was", "entry")}
    form = FORMS["swap"] | {"installed_serial": "F-3"}
    assert post(client, visit, "corrections", form, **more).status_code == 303
    (swap,) = state_of(app, visit)["entries"]
    assert swap["value"]["installed_serial"] == "F-3"
    assert swap["corrected"] == ["installed_serial"]
    assert flags_of(app, visit) == []


def test_two_corrections_of_the_same_text_are_a_conflict(app, visit, client):
    post(client, visit, "notes", FORMS["note"])
    entry = entry_id(app, visit)
    shown = client.get(f"/visits/{visit}/corrections?entry={entry}").text
    more = {name: hidden(shown, name) for name in ("heads", "was", "entry")}
    for text in ("first", "second"):
        post(client, visit, "corrections", {"text": text}, **more)
    cell = state_of(app, visit)["fields"][f"entries/{entry}/text"]
    assert cell["conflict"]
    assert {side["value"] for side in cell["sides"]} == {"first", "second"}


def test_a_correction_is_checked_like_its_entry(app, visit, client):
    post(client, visit, "notes", FORMS["note"])
    entry = entry_id(app, visit)
    response = post(client, visit, "corrections", {"entry": entry, "text": ""})
    assert response.status_code == 422
    assert "Note is missing" in response.text
    assert hidden(response.text, "entry") == entry


# Signatures


def do_everything(client, visit):
    for kind in ("arrival", "step", "identification", "diagnosis", "measure", "outcome"):
        assert post(client, visit, CATALOGUE[kind]["noun"], FORMS[kind]).status_code == 303
    closing = {"list": "closing", "done": ["cleaned"]}
    assert post(client, visit, "steps", closing).status_code == 303


def sign(client, visit, **more):
    page = client.get(f"/visits/{visit}/signatures").text
    form = {"name": "Cleo Ash", "role": "contact", "strokes": STROKES}
    return post(client, visit, "signatures", form, **{"seen": hidden(page, "seen")} | more)


def test_cleo_signs_what_she_saw(app, visit, client):
    do_everything(client, visit)
    assert sign(client, visit).status_code == 303
    state = state_of(app, visit)
    (signature,) = state["signatures"]
    assert signature["verdict"] == "verified"
    assert state["visit"]["status"] == "signed"
    assert len(signature["value"]["token"]) == 32
    assert state["flags"] == []


@pytest.mark.parametrize("seen", ["", "0" * 64])
def test_what_cleo_did_not_see_is_shown_first(app, visit, client, seen):
    do_everything(client, visit)
    response = sign(client, visit, seen=seen)
    assert response.status_code == 422
    assert "Somebody else changed this meanwhile" in response.text
    assert "Cleo Ash" in response.text
    assert state_of(app, visit)["signatures"] == []


def test_a_change_between_looking_and_signing_is_shown_first(app, visit, client, dana):
    do_everything(client, visit)
    page = client.get(f"/visits/{visit}/signatures").text
    at_desk(app, dana, visit, ("fault", {"text": "beeps at night"}))
    old = sign(client, visit, seen=hidden(page, "seen"))
    assert old.status_code == 422
    assert "beeps at night" in old.text
    again = sign(client, visit, seen=hidden(old.text, "seen"))
    assert again.status_code == 303
    assert state_of(app, visit)["signatures"][0]["verdict"] == "verified"


def test_a_remark_of_the_office_does_not_stand_between_cleo_and_her_pen(app, visit, client, dana):
    do_everything(client, visit)
    page = client.get(f"/visits/{visit}/signatures").text
    at_desk(app, dana, visit, ("remark", {"text": "please hurry"}))
    assert sign(client, visit, seen=hidden(page, "seen")).status_code == 303


@pytest.mark.parametrize(
    "strokes", ["", "[]", "[[1,1,1]]", "scribble", "[[1,2]]", '[["a",1,1,2,2,2]]']
)
def test_a_signature_without_a_stroke_is_none(app, visit, client, strokes):
    do_everything(client, visit)
    response = sign(client, visit, strokes=strokes)
    assert response.status_code == 422
    assert "Please sign with a finger" in response.text
    assert state_of(app, visit)["signatures"] == []


def test_a_signature_is_struck_out_and_never_corrected(app, visit, client):
    do_everything(client, visit)
    sign(client, visit)
    (signature,) = state_of(app, visit)["signatures"]
    corrected = {"entry": signature["id"], "name": "Mallory"}
    assert client.get(f"/visits/{visit}/corrections?entry={signature['id']}").status_code == 404
    assert post(client, visit, "corrections", corrected).status_code == 404
    void = {"entry": signature["id"], "reason": "wrong person"}
    assert post(client, visit, "voids", void).status_code == 303
    assert state_of(app, visit)["visit"]["status"] == "on-site"


def test_what_comes_after_the_signature_is_marked(app, visit, client):
    do_everything(client, visit)
    sign(client, visit)
    post(client, visit, "notes", FORMS["note"])
    state = state_of(app, visit)
    assert [entry["after"] for entry in state["entries"] if entry["kind"] == "note"] == [True]
    assert state["signatures"][0]["verdict"] == "verified"
    assert client.get(f"/visits/{visit}").status_code == 200


def test_a_customer_who_refuses_gets_a_paper_too(app, visit, client, monkeypatch):
    from fieldapp import jobs

    asked = []
    monkeypatch.setattr(jobs, "enqueue", lambda *job, **_: asked.append(job))
    post(client, visit, "notes", FORMS["note"])
    assert asked == []
    post(client, visit, "refusals", FORMS["refusal"])
    post(client, visit, "leavings", FORMS["leaving"])
    assert asked[-1] == ("report", visit)
    assert state_of(app, visit)["visit"]["status"] == "under-review"


def test_who_cannot_draw_signs_by_his_typed_name_before_a_witness(app, visit, client):
    do_everything(client, visit)
    seen = {"witness_name": "Erin Ng", "witness_role": "engineer"}
    response = sign(client, visit, strokes="", **seen)
    assert (response.status_code, response.location) == (303, f"/visits/{visit}/signatures")
    (signature,) = state_of(app, visit)["signatures"]
    assert {name: signature["value"][name] for name in seen} == seen
    assert (signature["value"]["strokes"], signature["verdict"]) == (None, "verified")
    assert flags_of(app, visit) == []
    assert "Erin Ng · engineer" in client.get(f"/visits/{visit}").text


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"witness_name": "Erin Ng"}, "Who the witness is is missing"),
        ({"witness_role": "engineer"}, "sign with a finger"),
        ({"witness_name": " \u3000", "witness_role": "engineer"}, "Witness is missing"),
        ({"witness_name": "Erin \U0001f525", "witness_role": "x"}, "cannot be printed"),
    ],
)
def test_half_a_witness_is_none_and_nothing_typed_is_lost(app, visit, client, seen, said):
    do_everything(client, visit)
    response = sign(client, visit, strokes="", **seen)
    assert response.status_code == 422
    assert said in response.text
    assert 'value="Cleo Ash"' in response.text
    assert '<details class="witness" open>' in response.text
    assert state_of(app, visit)["signatures"] == []


def test_a_customer_disagrees_on_a_page_of_his_own_and_gets_thanks(app, visit, client):
    do_everything(client, visit)
    url = f"/visits/{visit}/refusals?by=customer"
    page = client.get(url).text
    assert "I do not agree" in page
    assert 'class="bar"' not in page
    refused = client.post(url, data={"text": "it still rings"}, headers=PAGE)
    assert refused.status_code == 422
    assert "it still rings" in refused.text
    assert 'class="bar"' not in refused.text
    form = {"reason": "disputes", "text": "it still rings"}
    response = client.post(url, data=form, headers=PAGE)
    assert (response.status_code, response.location) == (303, f"/visits/{visit}/signatures")
    thanks = client.get(response.location).text
    assert "You did not sign" in thanks
    assert "it still rings" in thanks
    assert "data-pad" not in thanks
    # he may think better of it
    assert "data-pad" in client.get(f"/visits/{visit}/signatures?list=more").text


def test_the_engineers_own_word_that_nobody_signs_is_a_form_like_others(client, visit):
    page = client.get(f"/visits/{visit}/refusals").text
    assert 'class="bar"' in page
    assert "I do not agree" not in page


def test_one_tap_rates_and_nobody_takes_it_back(app, visit, client):
    do_everything(client, visit)
    sign(client, visit)
    page = client.get(f"/visits/{visit}/signatures").text
    assert 'name="stars" value="5"' in page
    response = post(client, visit, "ratings", {"stars": "5"})
    assert (response.status_code, response.location) == (303, f"/visits/{visit}/signatures")
    thanks = client.get(response.location).text
    assert "Your rating: 5 – very satisfied" in thanks
    assert 'name="stars"' not in thanks
    assert state_of(app, visit)["visit"]["changes"] == []
    entry = entry_id(app, visit, "rating")
    for noun in ("voids", "corrections"):
        assert client.get(f"/visits/{visit}/{noun}?entry={entry}").status_code == 404
    assert "/voids?entry=" + entry not in client.get(f"/visits/{visit}").text


def test_a_rating_of_nothing_is_asked_for_again(app, visit, client):
    for stars in ("", "6", "<b>"):
        response = post(client, visit, "ratings", {"stars": stars, "opinion": "kind"})
        assert response.status_code == 422
        assert "kind" in response.text
    assert [e for e in state_of(app, visit)["entries"] if e["kind"] == "rating"] == []


def test_the_hand_over_answers_the_customers_questions_in_their_order(app, visit, client):
    for kind in ("arrival", "diagnosis", "measure", "swap", "charge", "outcome", "step"):
        post(client, visit, CATALOGUE[kind]["noun"], FORMS[kind])
    page = client.get(f"/visits/{visit}/signatures").text
    said = ["Erin Ng was here", "What was wrong", "fuse\nblown", "What was done", "fuse replaced",
            "What was swapped", "F-2", "What it costs", "240.00", "What remains", "Course of the visit",
            "ferry"]  # fmt: skip
    places = [page.index(each) for each in said]
    assert places == sorted(places)


def test_a_browser_without_a_phone_has_no_pin_and_no_lock(client, visit):
    page = client.get("/visits/pin").text
    assert "The office itself answers here" in page
    assert "<input" not in page.partition("<main>")[2]
    for path, to in (("/visits/pin", "/visits/pin"), ("/visits/lock", "/visits")):
        response = client.post(path, data={"pin": "2580"}, headers=PAGE)
        assert (response.status_code, response.location) == (303, to)
    for path in ("/visits/lock", "/visits/revoked"):
        assert client.get(path).location == "/visits"
    assert "data-hold" in client.get(f"/visits/{visit}/signatures").text


# The same pages on both sides


def test_flask_and_the_worker_answer_the_same_urls(tmp_path):
    from pathlib import Path

    from tests.conftest import ROOT

    source = (Path(ROOT) / "static/phone/engineer.js").read_text("utf-8")
    by_worker = {
        (method.upper(), rule)
        for method, rule in re.findall(r'^(get|post|put)\("([^"]+)"', source, re.MULTILINE)
    }
    app = create_app({"INSTANCE": str(tmp_path)})
    by_flask = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("engineer.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert by_worker == by_flask


def test_every_problem_of_a_form_has_a_chinese_sentence(app):
    from fieldapp.pages import explain_in

    with app.app_context():
        untold = [
            kind.code
            for kind in problems.KINDS
            if explain_in("zh_CN", kind.code) == explain_in("en", kind.code)
        ]
    assert untold == []


def test_a_visit_page_opens_whatever_the_journal_holds(app, visit, client, erin_phone):
    """Opaque, malformed and flagged operations stand on the page and do not break it."""
    erin_phone.push(
        erin_phone.operation("teleport", visit, {"to": "site"}),
        erin_phone.operation("note", visit, {"text": 7, "more": [1]}),
        erin_phone.operation("arrival", visit, {"outcome": {"a": 1}}),
        erin_phone.operation("departure", visit, {"eta_at": "soon"}),
        erin_phone.operation("step", visit, {"list": "none", "done": "all"}),
        erin_phone.operation("downtime", visit, {"event": "start", "at": 5}),
        erin_phone.operation("outcome", visit, {"outcome/result": ["x"], "outcome/odd": None}),
        erin_phone.operation("loaner", visit, {}),
        erin_phone.operation("photo", visit, {"sha256": None}),
        erin_phone.operation("signature", visit, {"frontier": [], "strokes": "x"}),
        {"id": "x", "visit": visit},
    )
    assert client.get(f"/visits/{visit}").status_code == 200
    assert client.get("/visits").status_code == 200
    with app.app_context():
        assert db.session.get_one(Visit, visit).flag_count > 8


def test_a_form_that_was_open_when_the_visit_went_to_eli_is_still_kept(
    app, client_of, erin, eli, dana, visit
):
    client = client_of(erin)
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    answer = post(client, visit, "notes", {"text": "half-written"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/visits")
    assert "half-written" in [
        entry["value"].get("text") for entry in state_of(app, visit)["entries"]
    ]
    # What a form would have sent back is kept too; nothing of the visit is shown any more.
    assert post(client, visit, "notes", {"text": ""}).status_code == 303
    for path in ("", "/notes"):
        assert client.get(f"/visits/{visit}{path}").status_code == 404
    assert post(client, visit, "signatures", {"name": "Cleo", "role": "contact"}).status_code == 404


def test_who_never_had_the_visit_writes_nothing_on_it(client_of, eli, olly, visit):
    for other in (eli, olly):
        assert post(client_of(other), visit, "notes", {"text": "mine?"}).status_code == 404
