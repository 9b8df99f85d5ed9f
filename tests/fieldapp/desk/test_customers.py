"""Looking customers up, and a contact that two people change."""

import re
from html import unescape

import pytest

from fieldapp.desk.customers import find_places, place_of
from fieldapp.models import Contact, Customer, Visit, db
from tests import cast

PART = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.mark.parametrize(
    "text", ["customer c1", "C1", "Main", "cleo", "138-0000-0001", "13800000001", "0001",
             "WAH200-C1", "wah200-c1"],
)  # fmt: skip
def test_cleos_site_is_found_by_whatever_she_says(text, organisation, place):
    cast.make_place(organisation, "ZZ", contact_name="Ben Lee", name="Annex").contact.phone = "999"
    db.session.flush()
    found = find_places(organisation.id, text)
    assert {item.site.id for item in found} == {place.site.id}


@pytest.mark.parametrize("text", ["nobody", "%", "_", "\\", "13", "' OR 1=1 --"])
def test_nobody_else_is_found(text, organisation, place):
    assert find_places(organisation.id, text) == []


def test_the_contact_or_asset_it_was_found_by_is_chosen(place, dana_desk):
    page = dana_desk.get("/desk/customers?q=cleo", headers=PART).text
    assert f"site={place.site.id}&amp;contact={place.contact.id}" in page
    page = dana_desk.get("/desk/customers?q=WAH200", headers=PART).text
    assert f"&amp;asset={place.asset.id}" in page
    assert "<html" not in page


def test_a_look_up_answers_a_part_or_a_page(place, dana_desk):
    assert "<html" in dana_desk.get("/desk/customers?q=C1").text
    assert dana_desk.get("/desk/customers", headers=PART).text.strip() == ""
    assert "Nobody found" in dana_desk.get("/desk/customers?q=nobody", headers=PART).text


def test_a_customer_without_a_site_can_be_seen_but_not_chosen(organisation, dana_desk):
    customer = cast.add(Customer(id="n" * 36, org_id=organisation.id, code="N", name="Newcomer"))
    assert "Newcomer" in dana_desk.get("/desk/customers?q=Newcomer").text
    assert "Newcomer" not in dana_desk.get("/desk/customers?q=Newcomer", headers=PART).text
    assert "no site yet" in dana_desk.get(f"/desk/customers/{customer.id}").text


def test_an_only_site_and_an_only_contact_are_chosen_by_themselves(place):
    chosen = place_of(place.customer, {})
    assert (chosen.site_id, chosen.contact_id, chosen.asset_id) == (
        place.site.id, place.contact.id, "",
    )  # fmt: skip


def test_what_belongs_elsewhere_is_not_chosen(organisation, place):
    other = cast.make_place(organisation, "C2")
    other.site.customer_id = place.customer.id  # two sites now: none chooses itself
    db.session.flush()
    assert place_of(place.customer, {}).site_id == ""
    chosen = place_of(
        place.customer,
        {"site": place.site.id, "contact": other.contact.id, "asset": other.asset.id},
    )
    assert (chosen.contact_id, chosen.asset_id) == (place.contact.id, "")


def test_a_new_contact_is_asked_for_when_chosen(place, dana_desk):
    url = f"/desk/customers/{place.customer.id}/place"
    assert "contact_name" not in dana_desk.get(url).text
    assert "contact_name" in dana_desk.get(f"{url}?contact=new").text


def test_the_customers_page_has_sites_contacts_assets_and_visits(visit, place, dana_desk):
    page = dana_desk.get(f"/desk/customers/{place.customer.id}").text
    for text in ("Main hall", "Cleo Ash", "WAH200-C1", "2026-09-14", "PG-1", "dead since"):
        assert text in page


# A contact changes

SHOWN = {"name": "Cleo Ash", "phone": "138-0000-0001", "role_text": "Property", "language": "en"}


@pytest.fixture
def open_form(place, dana_desk):
    """``open_form()``: the contact's form as somebody has it on the screen."""

    def open_():
        page = dana_desk.get(f"/desk/contacts/{place.contact.id}?back=/desk").text
        was = unescape(re.search(r'name="was" value="([^"]*)"', page)[1])
        return SHOWN | {"was": was, "back": "/desk"}

    return open_


def contact_of(place):
    db.session.rollback()
    return db.session.get(Contact, place.contact.id, populate_existing=True)


def revs():
    db.session.rollback()
    return {visit.id: visit.rev for visit in db.session.query(Visit).populate_existing()}


def test_a_new_number_goes_to_every_open_visit_and_to_no_other(
    visit, place, organisation, dana, erin, perform, open_form, dana_desk
):
    done = cast.make_visit(place, "PG-2")
    perform(done, erin, ("arrival", {"outcome": "present"}))
    perform(done, dana, ("review", {"verdict": "accepted"}))
    elsewhere = cast.make_visit(cast.make_place(organisation, "C2"), "PG-3")
    perform(elsewhere, dana, ("fault", {"text": "x"}))
    before = revs()
    answer = dana_desk.post(
        f"/desk/contacts/{place.contact.id}", data=open_form() | {"phone": "139-1111-2222"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/desk")
    after = revs()
    changed = {id_ for id_, rev in after.items() if rev != before[id_]}
    assert changed == {visit.id}
    assert after[visit.id] == max(before.values()) + 1
    assert contact_of(place).phone == "139-1111-2222"


def test_a_form_that_changes_nothing_moves_no_visit(visit, place, open_form, dana_desk):
    before = revs()
    url = f"/desk/contacts/{place.contact.id}"
    assert dana_desk.post(url, data=open_form()).status_code == 303
    assert revs() == before


def test_two_people_change_different_fields_and_both_stay(place, open_form, dana_desk):
    url = f"/desk/contacts/{place.contact.id}"
    one, two = open_form(), open_form()
    dana_desk.post(url, data=one | {"phone": "139-1111-2222"})
    dana_desk.post(url, data=two | {"role_text": "Head of property"})
    contact = contact_of(place)
    assert (contact.phone, contact.role_text) == ("139-1111-2222", "Head of property")


def test_the_second_to_change_the_same_field_is_told(place, open_form, dana_desk):
    url = f"/desk/contacts/{place.contact.id}"
    one, two = open_form(), open_form()
    dana_desk.post(url, data=one | {"phone": "139-1111-2222"})
    answer = dana_desk.post(url, data=two | {"phone": "139-3333-4444", "name": "Cleo Ashe"})
    assert answer.status_code == 409
    assert "Somebody else changed this meanwhile" in answer.text
    assert "139-1111-2222" in answer.text
    assert 'value="139-3333-4444"' in answer.text
    contact = contact_of(place)
    assert (contact.phone, contact.name) == ("139-1111-2222", "Cleo Ash")
    # having seen it, he may decide
    was = unescape(re.search(r'name="was" value="([^"]*)"', answer.text)[1])
    again = two | {"phone": "139-3333-4444", "was": was}
    assert dana_desk.post(url, data=again).status_code == 303
    assert contact_of(place).phone == "139-3333-4444"


def test_two_people_who_write_the_same_agree(place, open_form, dana_desk):
    url = f"/desk/contacts/{place.contact.id}"
    one, two = open_form(), open_form()
    for form in (one, two):
        assert dana_desk.post(url, data=form | {"phone": "139-1111-2222"}).status_code == 303


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "Name is missing."),
        ({"name": "x" * 101}, "Name is longer than 100 characters."),
        ({"phone": "later"}, "Telephone has an unexpected form."),
        ({"language": "xx"}, "Language of the papers is not one of the choices."),
    ],
)
def test_a_bad_contact_is_not_stored(change, said, visit, place, open_form, dana_desk):
    answer = dana_desk.post(f"/desk/contacts/{place.contact.id}", data=open_form() | change)
    assert answer.status_code == 422
    assert said in answer.text
    contact = contact_of(place)
    assert {name: getattr(contact, name) for name in SHOWN} == SHOWN


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:1"])
def test_the_way_back_stays_on_this_site(back, place, open_form, dana_desk):
    form = open_form() | {"back": back, "phone": "139-1111-2222"}
    answer = dana_desk.post(f"/desk/contacts/{place.contact.id}", data=form)
    assert answer.headers["Location"] == "/"


def test_neither_erin_nor_olly_sees_or_changes_cleo(place, open_form, erin, olly, browse):
    form = open_form() | {"phone": "139-1111-2222"}
    paths = [
        f"/desk/contacts/{place.contact.id}",
        f"/desk/customers/{place.customer.id}",
        f"/desk/customers/{place.customer.id}/place",
    ]
    for path in paths:
        assert browse(erin).get(path).status_code == 403
        assert browse(olly).get(path).status_code == 404
    assert browse(erin).post(paths[0], data=form).status_code == 403
    assert browse(olly).post(paths[0], data=form).status_code == 404
    assert browse(olly).get("/desk/customers?q=cleo").text.count("Cleo") == 0
    assert contact_of(place).phone == SHOWN["phone"]
