"""Cleo decides on a quotation: exactly on the one that is on the screen."""

import pytest

from sync.consent import agreed
from tests.fieldapp.test_engineer import FORMS, STROKES, entry_id, hidden, post
from tests.phones import at_desk, state_of


@pytest.fixture
def client(client_of, erin):
    return client_of(erin)


def decide(client, visit, **more):
    page = client.get(f"/visits/{visit}/consents").text
    form = {"decision": "accepts", "name": "Cleo Ash", "strokes": STROKES}
    shown = {name: hidden(page, name) for name in ("quote", "agreed")}
    return post(client, visit, "consents", form | shown, **more)


def consents(app, visit):
    return [entry for entry in state_of(app, visit)["entries"] if entry["kind"] == "consent"]


def test_cleo_agrees_to_what_she_saw(app, visit, client):
    post(client, visit, "quotes", FORMS["quote"])
    page = client.get(f"/visits/{visit}/consents").text
    assert "¥680.50" in page
    assert "a new board" in page
    assert decide(client, visit).status_code == 303
    (consent,) = consents(app, visit)
    quote = entry_id(app, visit, "quote")
    assert consent["value"]["quote"] == quote
    assert consent["value"]["agreed"] == agreed(state_of(app, visit), quote)
    assert state_of(app, visit)["flags"] == []


def test_what_cleo_decided_is_struck_out_and_never_corrected(app, visit, client):
    post(client, visit, "quotes", FORMS["quote"])
    decide(client, visit)
    (consent,) = consents(app, visit)
    assert client.get(f"/visits/{visit}/corrections?entry={consent['id']}").status_code == 404
    corrected = {"entry": consent["id"], "name": "Mallory"}
    assert post(client, visit, "corrections", corrected).status_code == 404
    void = {"entry": consent["id"], "reason": "wrong person"}
    assert post(client, visit, "voids", void).status_code == 303


def test_cleo_declines(app, visit, client):
    post(client, visit, "quotes", FORMS["quote"])
    assert decide(client, visit, decision="declines").status_code == 303
    post(client, visit, "swaps", FORMS["swap"])
    assert [flag["code"] for flag in state_of(app, visit)["flags"]] == ["consent.part-first"]


def test_without_a_quotation_there_is_nothing_to_decide(app, visit, client):
    page = client.get(f"/visits/{visit}/consents")
    assert "There is no quotation to decide on" in page.text
    assert decide(client, visit).status_code == 422
    assert consents(app, visit) == []


def test_a_quotation_that_changed_meanwhile_is_shown_first(app, visit, client):
    post(client, visit, "quotes", FORMS["quote"])
    page = client.get(f"/visits/{visit}/consents").text
    quote = entry_id(app, visit, "quote")
    dearer = FORMS["quote"] | {"amount": "990.00", "entry": quote}
    was = hidden(client.get(f"/visits/{visit}/corrections?entry={quote}").text, "was")
    assert post(client, visit, "corrections", dearer, was=was).status_code == 303
    answer = decide(client, visit, agreed=hidden(page, "agreed"))
    assert answer.status_code == 422
    assert "Somebody else changed this meanwhile" in answer.text
    assert "¥990.00" in answer.text
    assert consents(app, visit) == []


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("decision", "maybe", "not one of the choices"),
        ("decision", "", "missing"),
        ("name", "", "missing"),
        ("strokes", "", "sign with a finger"),
    ],
)
def test_half_a_decision_is_none(app, visit, client, field, text, says):
    post(client, visit, "quotes", FORMS["quote"])
    answer = decide(client, visit, **{field: text})
    assert answer.status_code == 422
    assert says in answer.text
    assert "¥680.50" in answer.text
    assert consents(app, visit) == []


def test_the_costs_are_added_up_before_the_customer_signs(visit, client):
    post(client, visit, "charges", FORMS["charge"])
    post(client, visit, "charges", FORMS["charge"] | {"quantity": "1", "unit_price": "0.5"})
    for page in (f"/visits/{visit}", f"/visits/{visit}/signatures"):
        assert "¥240.50" in client.get(page).text


@pytest.mark.parametrize("quantity", [2**53 - 1, 10_000, 0, -5, "2", None, [2]])
def test_numbers_that_no_form_takes_are_shown_and_not_added(visit, client, erin_phone, quantity):
    value = {"category": "labour", "text": "odd", "quantity": quantity, "unit_price": 2**53 - 1}
    erin_phone.push(erin_phone.operation("charge", visit, value))
    post(client, visit, "charges", FORMS["charge"])
    for page in (f"/visits/{visit}", f"/visits/{visit}/signatures"):
        answer = client.get(page)
        assert answer.status_code == 200
        assert '<strong class="amount">¥240.00</strong>' in answer.text


def test_a_hundred_great_charges_still_make_a_page(visit, client, erin_phone):
    value = {"category": "labour", "text": "x", "quantity": 9_999, "unit_price": 10**10}
    erin_phone.push(*[erin_phone.operation("charge", visit, value) for _ in range(100)])
    assert client.get(f"/visits/{visit}").status_code == 200


def test_a_decision_on_a_visit_handed_over_meanwhile_is_kept_when_it_is_whole(
    app, visit, client, dana, eli
):
    post(client, visit, "quotes", FORMS["quote"])
    page = client.get(f"/visits/{visit}/consents").text
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    form = {"decision": "accepts", "name": "Cleo Ash", "strokes": STROKES}
    assert post(client, visit, "consents", form).status_code == 404
    assert consents(app, visit) == []
    shown = {name: hidden(page, name) for name in ("quote", "agreed")}
    assert post(client, visit, "consents", form | shown).status_code == 303
    assert len(consents(app, visit)) == 1
