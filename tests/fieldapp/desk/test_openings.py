"""A visit that an engineer opened on site gets its work order at the desk."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest
from sqlalchemy import func, select

from fieldapp.desk.openings import give_work_order
from fieldapp.ids import mint_id
from fieldapp.models import ServiceRequest, Visit, WorkOrder, db
from fieldapp.perform import unit
from sync.problems import Problem
from tests import cast

SAID = {
    "customer": "Customer C1",
    "site": "Gate 3 <b>",
    "contact_name": "Cleo Ash",
    "contact_phone": "138-0000-0008",
    "job_type": "return",
    "text": "horn sounds without an alarm",
}


@pytest.fixture
def opened(organisation, erin):
    """The id of a visit that Erin opened."""
    visit_id, org_id, erin_id = mint_id(datetime.now(UTC)), organisation.id, erin.id
    db.session.commit()
    with unit(org_id, datetime.now(UTC)) as work:
        work.perform("opening", visit_id, db.session.get_one(type(erin), erin_id), SAID)
    return visit_id


@pytest.fixture
def order(place):
    """A work order that was there before, with a visit of its own."""
    made = cast.make_visit(place, "PG-7").work_order
    db.session.commit()
    return made.id


def form_of(page):
    """What the form on a page of a new work order would post as it stands."""
    hidden = re.findall(r'<input type="hidden" name="(id|visit|heads|was)" value="([^"]+)"', page)
    found = {name: unescape(text) for name, text in hidden}
    found["text"] = re.search(r"<textarea[^>]*name=\"text\"[^>]*>\s*([^<]*)<", page)[1]
    for name in ("job_type", "engineer", "channel"):
        block = re.search(rf'<select[^>]*name="{name}".*?</select>', page, re.DOTALL)[0]
        found[name] = re.search(r'value="([^"]*)" selected', block)[1]
    found["reported_at"] = re.search(r'name="reported_at"[^>]*value="([^"]+)"', page)[1]
    return found


def test_the_board_and_its_page_say_what_was_said_on_site(opened, erin, dana_desk):
    board = dana_desk.get("/desk").text
    assert "Customer C1 · horn sounds without an alarm" in board
    assert "Erin Ng" in board
    page = dana_desk.get(f"/desk/visits/{opened}").text
    for text in ("Customer C1", "Gate 3 &lt;b&gt;", "138-0000-0008", "Open a work order for it"):
        assert text in page
    assert f'<option value="{erin.id}" selected' in page  # nobody takes it away by mistake


def test_it_becomes_one_more_of_a_work_order_by_its_number(opened, order, erin, dana_desk):
    path = f"/desk/visits/{opened}/work-orders"
    answer = dana_desk.post(path, data={"number": " PG-7 "})
    assert (answer.status_code, answer.location) == (303, f"/desk/visits/{opened}")
    visit = db.session.get_one(Visit, opened)
    assert (visit.work_order_id, visit.engineer_id) == (order, erin.id)
    assert visit.due_at is not None  # what the request was promised
    page = dana_desk.get(f"/desk/visits/{opened}").text
    assert "PG-7" in page
    assert 'id="opening"' not in page
    assert dana_desk.post(path, data={"number": "PG-7"}).status_code == 303  # sent twice


@pytest.mark.parametrize("number", ["", "PG-0", "<b>"])
def test_a_number_that_nobody_gave_is_said(opened, order, dana_desk, number):
    answer = dana_desk.post(f"/desk/visits/{opened}/work-orders", data={"number": number})
    assert answer.status_code == 422
    assert "There is no work order of this number." in answer.text
    assert db.session.get_one(Visit, opened).work_order_id is None


def test_another_organisations_work_order_is_nobodys(opened, olly, dana_desk):
    there = cast.make_place(olly_organisation(olly), code="X1")
    cast.make_visit(there, "XX-1")
    db.session.commit()
    answer = dana_desk.post(f"/desk/visits/{opened}/work-orders", data={"number": "XX-1"})
    assert answer.status_code == 422


def olly_organisation(olly):
    return olly.organisation


def test_an_outsider_and_an_engineer_may_not(opened, order, olly, erin, browse):
    path = f"/desk/visits/{opened}/work-orders"
    assert browse(olly).post(path, data={"number": "PG-7"}).status_code == 404
    assert browse(olly).get(f"/desk/work-orders/new?visit={opened}").status_code == 404
    assert browse(erin).post(path, data={"number": "PG-7"}).status_code == 403
    assert db.session.get_one(Visit, opened).work_order_id is None


def test_a_new_work_order_takes_over_what_was_said(opened, place, erin, dana_desk):
    page = dana_desk.get(f"/desk/work-orders/new?visit={opened}").text
    assert "Gate 3 &lt;b&gt;" in page
    assert "Customer C1 · Main hall" in page  # looked up by the name that was said
    form = form_of(page)
    assert (form["visit"], form["job_type"], form["engineer"]) == (opened, "return", erin.id)
    assert form["text"] == SAID["text"]
    form |= {"customer": place.customer.id, "site": place.site.id, "contact": place.contact.id}
    before = db.session.scalar(select(func.count()).select_from(Visit))
    answer = dana_desk.post("/desk/work-orders/new", data=form | {"asset": ""})
    assert (answer.status_code, answer.location) == (303, f"/desk/work-orders/{form['id']}")
    assert db.session.scalar(select(func.count()).select_from(Visit)) == before
    visit = db.session.get_one(Visit, opened)
    assert (visit.work_order_id, visit.engineer_id) == (form["id"], erin.id)
    assert visit.work_order.job_type == "return"
    assert [entry["kind"] for entry in visit.state["entries"]] == ["opening"]
    assert visit.state["fields"]["fault/text"]["value"] == SAID["text"]
    again = dana_desk.post("/desk/work-orders/new", data=form | {"id": mint_id(datetime.now(UTC))})
    assert again.location == f"/desk/work-orders/{form['id']}"
    assert db.session.scalar(select(func.count()).select_from(ServiceRequest)) == 1


def test_a_form_with_something_missing_keeps_the_visit(opened, place, dana_desk):
    form = form_of(dana_desk.get(f"/desk/work-orders/new?visit={opened}").text)
    answer = dana_desk.post("/desk/work-orders/new", data=form)
    assert answer.status_code == 422
    assert form_of(answer.text)["visit"] == opened
    assert "Gate 3 &lt;b&gt;" in answer.text


def test_of_two_who_give_it_a_work_order_the_first_is_right(opened, order, organisation, place):
    org_id = organisation.id
    other = cast.make_visit(place, "PG-8").work_order.id
    db.session.commit()
    with unit(org_id, datetime.now(UTC)) as work:
        give_work_order(work, opened, db.session.get_one(WorkOrder, order))
    with pytest.raises(Problem, match=r"form\.stale"), unit(org_id, datetime.now(UTC)) as work:
        give_work_order(work, opened, db.session.get_one(WorkOrder, other))
    assert db.session.get_one(Visit, opened).work_order_id == order


def test_it_becomes_history_for_the_visits_beside_it(opened, order, organisation, erin):
    org_id = organisation.id
    beside = db.session.scalar(select(Visit).where(Visit.work_order_id == order))
    rev = beside.rev
    with unit(org_id, datetime.now(UTC)) as work:
        person = db.session.get_one(type(erin), erin.id)
        work.perform("arrival", opened, person, {"outcome": "present"})
    with unit(org_id, datetime.now(UTC)) as work:
        give_work_order(work, opened, db.session.get_one(WorkOrder, order))
    assert db.session.get_one(Visit, beside.id, populate_existing=True).rev > rev


def test_what_the_engineer_said_since_is_shown_and_not_overwritten(opened, place, erin, dana_desk):
    def says(text, heads):
        with unit(org_id, datetime.now(UTC)) as work:
            person = db.session.get_one(type(erin), erin_id)
            work.perform("fault", opened, person, {"text": text}, {"fault/text": heads})

    org_id, erin_id = erin.org_id, erin.id
    says("smoke in the switch room", [])
    form = form_of(dana_desk.get(f"/desk/work-orders/new?visit={opened}").text)
    assert form["text"] == "smoke in the switch room"
    head = db.session.get_one(Visit, opened).state["fields"]["fault/text"]["heads"]
    says("fire in the switch room", head)
    form |= {"customer": place.customer.id, "site": place.site.id, "contact": place.contact.id}
    assert dana_desk.post("/desk/work-orders/new", data=form | {"asset": ""}).status_code == 303
    cell = db.session.get_one(Visit, opened).state["fields"]["fault/text"]
    assert (cell["value"], cell["conflict"]) == ("fire in the switch room", False)


def test_what_both_said_at_once_stands_side_by_side(opened, place, erin, dana_desk):
    org_id, erin_id = erin.org_id, erin.id
    form = form_of(dana_desk.get(f"/desk/work-orders/new?visit={opened}").text)
    with unit(org_id, datetime.now(UTC)) as work:
        person = db.session.get_one(type(erin), erin_id)
        work.perform("fault", opened, person, {"text": "smoke in the switch room"}, {})
    form |= {"customer": place.customer.id, "site": place.site.id, "contact": place.contact.id}
    assert dana_desk.post("/desk/work-orders/new", data=form | {"asset": ""}).status_code == 303
    cell = db.session.get_one(Visit, opened).state["fields"]["fault/text"]
    assert cell["conflict"]
    assert {side["value"] for side in cell["sides"]} == {SAID["text"], "smoke in the switch room"}
