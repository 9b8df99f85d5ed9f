"""A customer calls: request, work order and visit in one form."""

import json
import re
from datetime import UTC, datetime
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from fieldapp.desk.work_orders import next_number
from fieldapp.ids import mint_id
from fieldapp.models import Contact, ServiceRequest, Site, Visit, WorkOrder, db
from fieldapp.perform import journal_of, unit
from tests import cast

URL = "/desk/work-orders/new"


def today():
    return f"{datetime.now(UTC).astimezone(ZoneInfo('Asia/Shanghai')):%Y%m%d}"


@pytest.fixture
def form(dana_desk, place, erin):
    """What Dana types while Cleo is on the telephone."""
    page = dana_desk.get(URL).text
    return {
        "id": re.search(r'name="id" value="([^"]+)"', page)[1],
        "customer": place.customer.id,
        "site": place.site.id,
        "contact": place.contact.id,
        "asset": place.asset.id,
        "job_type": "repair",
        "channel": "phone",
        "reported_at": "2026-03-10T09:00",
        "text": "host dead since 08:40\n40 detectors unguarded",
        "level": "major",
        "location": "control room",
        "appointment_at": "2026-03-10T10:50",
        "engineer": erin.id,
        "carry": "spare host\n\n multimeter \n",
    }


def count(table):
    return db.session.scalar(select(func.count()).select_from(table))


def test_one_form_opens_request_work_order_and_visit(form, place, dana, erin, dana_desk, browse):
    answer = dana_desk.post(URL, data=form)
    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        f"/desk/work-orders/{form['id']}",
    )
    order = db.session.get(WorkOrder, form["id"])
    request = order.request
    assert (request.number, order.number) == (f"BX-{today()}-001", f"PG-{today()}-001")
    assert (request.site_id, request.asset_id, request.channel) == (
        place.site.id, place.asset.id, "phone",
    )  # fmt: skip
    assert request.reported_at == datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
    assert order.carry == ["spare host", "multimeter"]
    (visit,) = db.session.scalars(select(Visit).where(Visit.work_order_id == order.id))
    assert visit.engineer_id == erin.id
    assert visit.appointment_at == datetime(2026, 3, 10, 2, 50, tzinfo=UTC)
    assert visit.due_at == datetime(2026, 3, 10, 3, 0, tzinfo=UTC)  # urban: two hours
    assert {row.author_id for row in journal_of(visit)} == {dana.id}
    assert not visit.flag_count
    assert "40 detectors unguarded" in browse(erin).get(f"/visits/{visit.id}").text
    assert "spare host" in dana_desk.get(answer.headers["Location"]).text


def test_the_same_form_sent_twice_opens_one_work_order(form, dana_desk):
    dana_desk.post(URL, data=form)
    again = dana_desk.post(URL, data=form)
    assert again.headers["Location"] == f"/desk/work-orders/{form['id']}"
    assert (count(WorkOrder), count(ServiceRequest), count(Visit)) == (1, 1, 1)


def test_an_id_of_another_house_is_not_taken(form, olly, dana_desk):
    theirs = cast.make_visit(cast.make_place(olly.organisation), "PG-9").work_order
    form["id"] = theirs.id
    location = dana_desk.post(URL, data=form).headers["Location"]
    assert theirs.id not in location
    assert dana_desk.get(location).status_code == 200


def test_numbers_count_on_by_the_day_and_skip_what_is_taken(organisation, place, dana, perform):
    day = today()
    for number in (f"PG-{day}-001", f"PG-{day}-003", f"PG-{day}-901"):
        cast.make_visit(place, number)
    db.session.commit()
    with unit(organisation.id, datetime.now(UTC)) as opened:
        assert next_number(opened, "work_order", WorkOrder.number) == f"PG-{day}-002"
    cast.make_visit(place, f"PG-{day}-002")
    db.session.commit()
    with unit(organisation.id, datetime.now(UTC)) as opened:
        assert next_number(opened, "work_order", WorkOrder.number) == f"PG-{day}-004"


def test_the_day_of_a_number_is_the_organisations(organisation):
    org_id = organisation.id
    db.session.commit()
    with unit(org_id, datetime(2026, 3, 10, 15, 59, 59, tzinfo=UTC)) as opened:
        assert next_number(opened, "request", ServiceRequest.number) == "BX-20260310-001"
    with unit(org_id, datetime(2026, 3, 10, 16, 0, tzinfo=UTC)) as opened:
        assert next_number(opened, "request", ServiceRequest.number) == "BX-20260311-001"


def test_another_houses_numbers_are_not_counted(form, olly, dana_desk):
    cast.make_visit(cast.make_place(olly.organisation), f"PG-{today()}-001")
    dana_desk.post(URL, data=form)
    assert db.session.get(WorkOrder, form["id"]).number == f"PG-{today()}-001"


def test_without_time_and_engineer_the_visit_waits_unassigned(form, dana_desk):
    form |= {"appointment_at": "", "engineer": "", "asset": "", "level": "", "carry": ""}
    dana_desk.post(URL, data=form)
    visit = db.session.scalars(select(Visit)).one()
    assert (visit.engineer_id, visit.appointment_at) == (None, None)
    assert [row.kind for row in journal_of(visit)] == ["fault"]
    assert "host dead" in dana_desk.get("/desk").text


def test_a_new_visit_may_have_a_helper(form, erin, eli, dana_desk):
    dana_desk.post(URL, data=form | {"helpers": [eli.id]})
    visit = db.session.scalars(select(Visit)).one()
    assert visit.state["fields"]["assignment"]["value"] == {
        "engineer": erin.id,
        "helpers": [eli.id],
    }
    more = {"job_type": "second-day", "text": "again", "engineer": eli.id, "helpers": [erin.id]}
    answer = dana_desk.post(f"/desk/work-orders/{form['id']}/visits", data=more)
    assert answer.status_code == 303
    second = db.session.scalars(select(Visit).where(Visit.id != visit.id)).one()
    assert second.state["fields"]["assignment"]["value"]["helpers"] == [erin.id]


@pytest.mark.parametrize(
    ("engineer", "helper", "said"),
    [
        ("", "eli", "Engineer is missing."),
        ("erin", "dana", "Also on this visit is not one of the choices."),
        ("erin", "x", "Also on this visit is not one of the choices."),
    ],
)
def test_a_helper_is_an_engineer_who_helps_somebody(
    engineer, helper, said, form, erin, eli, dana, dana_desk
):
    ids = {"erin": erin.id, "eli": eli.id, "dana": dana.id}
    trip = {"engineer": ids.get(engineer, engineer), "helpers": [ids.get(helper, helper)]}
    answer = dana_desk.post(URL, data=form | trip)
    assert answer.status_code == 422
    assert said in answer.text
    assert count(Visit) == 0
    if helper == "eli":  # what was ticked stays ticked
        assert re.search(rf'name="helpers" value="{eli.id}" checked', answer.text)


NEW = {
    "contact": "new",
    "contact_name": "Zhao Min",
    "contact_phone": "135-0000-1122",
    "contact_role_text": "night shift",
    "contact_language": "zh_CN",
}


def test_an_unknown_caller_becomes_a_contact(form, place, dana_desk):
    dana_desk.post(URL, data=form | NEW)
    contact = db.session.get(WorkOrder, form["id"]).request.contact
    assert (contact.name, contact.phone, contact.language) == (
        "Zhao Min", "135-0000-1122", "zh_CN",
    )  # fmt: skip
    assert contact.site_id == place.site.id


@pytest.mark.parametrize(
    ("change", "english", "chinese"),
    [
        ({"customer": ""}, "Customer is missing.", "客户"),
        ({"site": ""}, "Site is missing.", "现场"),
        ({"contact": ""}, "Contact is missing.", "联系人"),
        ({"asset": "gone"}, "Asset is not one of the choices.", "设备"),
        ({"text": ""}, "Fault symptom is missing.", "故障现象"),
        ({"text": "x" * 4001}, "Fault symptom is longer than 4000 characters.", "4000"),
        ({"level": "dreadful"}, "Fault level is not one of the choices.", "故障级别"),
        ({"job_type": ""}, "Job type is missing.", "工作类型"),
        ({"job_type": "holiday"}, "Job type is not one of the choices.", "工作类型"),
        ({"channel": "smoke"}, "Reported by is not one of the choices.", "报修渠道"),
        ({"reported_at": ""}, "Reported at is missing.", "报修时间"),
        ({"reported_at": "nine"}, "Reported at is not a date and time.", "报修时间"),
        ({"appointment_at": "2026-02-30T10:00"}, "is not a date and time.", "约定上门时间"),
        ({"engineer": "x"}, "Engineer is not one of the choices.", "工程师"),
        ({"carry": "x" * 201}, "To carry is longer than 200 characters.", "携带物品"),
        (NEW | {"contact_name": ""}, "Name is missing.", "姓名"),
        (NEW | {"contact_phone": ""}, "Telephone is missing.", "电话"),
        (NEW | {"contact_phone": "call me"}, "Telephone has an unexpected form.", "电话"),
        (NEW | {"contact_language": "xx"}, "Language of the papers is not one", "单据语言"),
    ],
)
def test_what_is_wrong_is_said_in_both_languages_and_nothing_is_lost(
    change, english, chinese, form, place, dana, dana_desk, browse
):
    # an only site or contact would be chosen by itself
    extra = {"id": mint_id(cast.MORNING), "org_id": place.site.org_id, "code": "C1b"}
    cast.add(Contact(site_id=place.site.id, name="Bo", phone="1234", **extra))
    if change == {"site": ""}:
        common = {"name": "Annex", "address": "", "distance": "urban", "zone": "Asia/Shanghai"}
        cast.add(Site(customer_id=place.customer.id, **extra, **common))
    form |= {"location": "control <room>"} | change
    contacts = count(Contact)
    for client, said in ((dana_desk, english), (browse(dana, "zh_CN"), chinese)):
        answer = client.post(URL, data=form)
        assert answer.status_code == 422
        findings = re.findall(r'class="finding"[^>]*>(.*?)</p>', answer.text)
        assert any(said in unescape(text) for text in findings), findings
        assert "control &lt;room&gt;" in answer.text
        for name in ("text", "carry", "contact_name"):
            if change.get(name):
                assert change[name] in answer.text
    assert (count(WorkOrder), count(ServiceRequest), count(Contact)) == (0, 0, contacts)


def test_sites_and_contacts_of_others_are_not_taken(form, organisation, olly, dana_desk):
    elsewhere = cast.make_place(organisation, "C2", contact_name="Ben Lee")
    theirs = cast.make_place(olly.organisation, "C3")
    # the customer's only site and contact are chosen instead, never another customer's
    dana_desk.post(
        URL, data=form | {"site": elsewhere.site.id, "contact": elsewhere.contact.id, "asset": ""}
    )
    request = db.session.get(WorkOrder, form["id"]).request
    assert (request.site_id, request.contact_id) == (form["site"], form["contact"])
    answer = dana_desk.post(URL, data=form | {"id": "", "customer": theirs.customer.id})
    assert answer.status_code == 404


def test_a_second_day_is_another_visit_of_the_same_work_order(form, eli, dana_desk):
    dana_desk.post(URL, data=form)
    page = dana_desk.get(f"/desk/work-orders/{form['id']}").text
    assert "host dead since 08:40" in page  # the fault goes along
    more = {
        "id": re.search(r'name="id" value="([^"]+)"', page)[1],
        "job_type": "second-day",
        "text": "host dead since 08:40",
        "level": "major",
        "appointment_at": "2026-03-11T09:00",
        "engineer": eli.id,
    }
    url = f"/desk/work-orders/{form['id']}/visits"
    answer = dana_desk.post(url, data=more)
    assert answer.headers["Location"] == f"/desk/work-orders/{form['id']}"
    assert dana_desk.post(url, data=more).status_code == 303  # sent twice
    assert (count(WorkOrder), count(Visit)) == (1, 2)
    assert db.session.get(Visit, more["id"]).engineer_id == eli.id


def test_a_return_trip_is_a_work_order_of_its_own_under_the_same_request(form, dana_desk):
    dana_desk.post(URL, data=form)
    more = {"job_type": "return", "text": "put the host back", "carry": "repaired host"}
    answer = dana_desk.post(f"/desk/work-orders/{form['id']}/visits", data=more)
    made = db.session.get(WorkOrder, answer.headers["Location"].rpartition("/")[2])
    assert (made.job_type, made.number) == ("return", f"PG-{today()}-002")
    assert made.request_id == db.session.get(WorkOrder, form["id"]).request_id
    assert made.carry == ["repaired host"]
    assert count(ServiceRequest) == 1
    assert made.number in dana_desk.get(f"/desk/work-orders/{form['id']}").text


@pytest.mark.parametrize("change", [{"text": ""}, {"job_type": "x"}, {"engineer": "x"}])
def test_another_visit_with_a_fault_in_its_form_is_not_opened(change, form, dana_desk):
    dana_desk.post(URL, data=form)
    more = {"job_type": "return", "text": "put the host back", "location": "cellar"} | change
    answer = dana_desk.post(f"/desk/work-orders/{form['id']}/visits", data=more)
    assert answer.status_code == 422
    assert 'value="cellar"' in answer.text
    assert (count(WorkOrder), count(Visit)) == (1, 1)


def test_times_are_read_on_the_clock_of_the_site(form, organisation, dana_desk):
    new_york = cast.make_place(organisation, "NY", zone="America/New_York")
    form |= {
        "customer": new_york.customer.id,
        "site": new_york.site.id,
        "contact": new_york.contact.id,
        "asset": "",
        "reported_at": "2026-03-08T01:30",  # half an hour before the clocks go forward
        "appointment_at": "2026-03-08T03:30",
    }
    dana_desk.post(URL, data=form)
    order = db.session.get(WorkOrder, form["id"])
    assert order.request.reported_at == datetime(2026, 3, 8, 6, 30, tzinfo=UTC)
    visit = db.session.scalars(select(Visit)).one()
    assert visit.appointment_at == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)


def test_neither_erin_nor_olly_opens_or_sees_a_work_order(form, erin, olly, dana_desk, browse):
    dana_desk.post(URL, data=form)
    url = f"/desk/work-orders/{form['id']}"
    for path in (URL, url):
        assert browse(erin).get(path).status_code == 403
    assert browse(erin).post(URL, data=form | {"id": ""}).status_code == 403
    assert browse(olly).get(url).status_code == 404
    assert browse(olly).post(f"{url}/visits", data={"job_type": "return"}).status_code == 404
    assert browse(olly).post(URL, data=form | {"id": ""}).status_code == 404
    assert count(WorkOrder) == 1


def test_all_or_nothing(form, dana_desk, monkeypatch):
    from fieldapp.perform import Unit

    def fail(*_, **__):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(Unit, "perform", fail)
    assert dana_desk.post(URL, data=form | NEW).status_code == 500
    db.session.rollback()
    assert (count(WorkOrder), count(ServiceRequest), count(Visit), count(Contact)) == (0, 0, 0, 1)


def test_the_body_of_an_operation_is_what_was_typed(form, dana_desk):
    dana_desk.post(URL, data=form)
    visit = db.session.scalars(select(Visit)).one()
    fault = next(json.loads(row.body) for row in journal_of(visit) if row.kind == "fault")
    assert fault["value"]["fault/text"] == "host dead since 08:40\n40 detectors unguarded"
    assert fault["device"] == "server"
