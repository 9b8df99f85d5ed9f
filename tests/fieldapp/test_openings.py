"""A visit that an engineer opens on site, of which the office learns by a push."""

import subprocess
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, select

from fieldapp import jobs, reports
from fieldapp.ids import mint_id
from fieldapp.models import Device, Report, Visit, db
from sync import merge
from sync.canonical import canonical, sha256
from sync.operation import Received, read_operation
from sync.tables import context_block
from tests.phones import CLEO, OPENING, PAGE, at_desk, flags_of, sign, state_of


@pytest.fixture
def new():
    """The id of a visit that a phone mints."""
    return mint_id(datetime.now(UTC))


@pytest.fixture
def opened(new, erin_phone):
    """The id of a visit that Erin opened, and the office has heard of."""
    body = erin_phone.operation("opening", new, OPENING)
    assert erin_phone.receipts(body) == [("merged", [])]
    return new


def openings(app, visit_id):
    return [entry for entry in state_of(app, visit_id)["entries"] if entry["kind"] == "opening"]


def test_it_is_hers_with_all_that_she_records_on_it(app, new, erin, erin_phone):
    bodies = [
        erin_phone.operation("opening", new, OPENING),
        erin_phone.operation("arrival", new, {"outcome": "present"}),
        erin_phone.note(new),
    ]
    assert erin_phone.receipts(*bodies) == [("merged", [])] * 3
    assert erin_phone.receipts(erin_phone.note(new, "later")) == [("merged", [])]
    told = erin_phone.pull()
    assert erin_phone.digest == told["digest"]
    state = erin_phone.visits[new]["state"]
    kinds = sorted(entry["kind"] for entry in state["entries"])
    assert kinds == ["arrival", "note", "note", "opening"]
    assert (state["flags"], state["context"]["work_order"]["id"]) == ([], "")
    with app.app_context():
        visit = db.session.get_one(Visit, new)
        assert (visit.engineer_id, visit.status, visit.work_order_id) == (erin.id, "on-site", None)
        assert visit.summary_text == "Harbour Cold Store · horn sounds without an alarm"


def test_nobody_else_holds_it(opened, eli, phone_of):
    phone = phone_of(eli)
    phone.pull()
    assert opened not in phone.visits
    assert phone.receipts(phone.note(opened)) == [("flagged", ["author.out-of-scope"])]


def test_the_desk_gives_it_to_somebody_else(app, opened, dana, eli, erin_phone, phone_of):
    erin_phone.pull()
    at_desk(app, dana, opened, ("assignment", {"engineer": eli.id}))
    erin_phone.pull()
    assert erin_phone.removed[opened] == "reassigned"
    phone = phone_of(eli)
    phone.pull()
    assert opened in phone.visits


def test_what_came_before_the_opening_is_looked_at_and_kept(app, new, erin_phone):
    assert erin_phone.receipts(erin_phone.note(new)) == [("flagged", ["visit.unknown"])]
    assert erin_phone.receipts(erin_phone.operation("opening", new, OPENING)) == [("merged", [])]
    erin_phone.pull()
    kinds = {entry["kind"] for entry in erin_phone.visits[new]["state"]["entries"]}
    assert kinds == {"note", "opening"}
    assert flags_of(app, new) == ["visit.unknown"]


def test_nobody_gets_a_visit_that_is_there_by_opening_it(app, visit, eli, phone_of):
    phone = phone_of(eli)
    body = phone.operation("opening", visit, OPENING)
    assert phone.receipts(body) == [("flagged", ["author.out-of-scope"])]
    phone.pull()
    assert (phone.visits, openings(app, visit)) == ({}, [])


def test_nobody_gets_an_opened_visit_by_opening_it_again(app, opened, eli, phone_of):
    phone = phone_of(eli)
    body = phone.operation("opening", opened, OPENING)
    assert phone.receipts(body) == [("flagged", ["author.out-of-scope"])]
    phone.pull()
    assert (phone.visits, len(openings(app, opened))) == ({}, 1)


def test_a_visit_with_a_work_order_and_nobody_on_it_cannot_be_opened(
    app, organisation, erin, visit, dana, eli, phone_of
):
    at_desk(app, dana, visit, ("assignment", {"engineer": None}))
    phone = phone_of(eli)
    body = phone.operation("opening", visit, OPENING)
    assert phone.receipts(body) == [("flagged", ["author.out-of-scope"])]
    assert openings(app, visit) == []


def test_somebody_elses_organisation_is_not_entered_by_opening(app, visit, olly, phone_of):
    phone = phone_of(olly)
    body = phone.operation("opening", visit, OPENING)
    assert phone.receipts(body) == [("flagged", ["visit.unknown"])]
    phone.pull()
    assert (phone.visits, openings(app, visit)) == ({}, [])


def test_who_is_no_engineer_opens_none(app, new, dana, phone_of, erin_phone):
    body = erin_phone.operation("opening", new, OPENING, author=dana.id)
    ((state, reasons),) = erin_phone.receipts(body)
    assert (state, sorted(reasons)) == ("flagged", ["author.not-owner", "author.role"])
    assert openings(app, new) == []


def test_what_a_revoked_phone_opened_waits_for_its_release(
    app, new, dana, erin, erin_phone, phone_of
):
    with app.app_context():
        db.session.get_one(Device, erin_phone.device).revoked_at = datetime.now(UTC)
        db.session.commit()
    body = erin_phone.operation("opening", new, OPENING)
    assert erin_phone.receipts(body) == [("flagged", ["device.revoked"])]
    phone = phone_of(erin)
    phone.pull()
    assert phone.visits == {}
    at_desk(app, dana, new, ("release", {"entry": body["id"], "reason": "she called"}))
    phone.pull()
    assert new in phone.visits


def test_the_blank_visit_is_told_once(erin_phone):
    blank = erin_phone.pull()["blank"]
    assert blank["sha256"] == sha256(canonical(blank["state"]))
    assert blank["state"]["visit"]["id"] == ""
    assert blank["state"]["context"]["organisation"]["name"] == "Brook Alarms"
    assert erin_phone.pull(blank=blank["sha256"])["blank"] is None
    assert erin_phone.pull(blank="0" * 64)["blank"] == blank


def test_the_blank_visit_of_who_has_others_is_looked_up_when_they_change(
    app, visit, dana, erin_phone
):
    blank = erin_phone.pull()["blank"]
    at_desk(app, dana, visit, ("remark", {"text": "call first"}))
    assert erin_phone.pull(blank=blank["sha256"])["blank"] is None
    assert erin_phone.pull(blank="0" * 64)["blank"] is None
    at_desk(app, dana, visit, ("remark", {"text": "call first, please"}))
    assert erin_phone.pull(blank="0" * 64)["blank"] == blank


def test_a_signature_given_before_the_office_knew_is_verified(app, new, erin_phone):
    blank = erin_phone.pull()["blank"]["state"]
    first = erin_phone.operation("opening", new, OPENING)
    state = merge.fold([Received(read_operation(first), first["wall"])], new)
    signed = sign(state | {"context": blank["context"]}, CLEO)
    body = erin_phone.operation("signature", new, signed)
    assert erin_phone.receipts(first, body) == [("merged", [])] * 2
    (signature,) = state_of(app, new)["signatures"]
    assert signature["verdict"] == "verified"


# The pages when the server answers


def test_a_form_opens_it_once(app, erin, client_of):
    browser = client_of(erin)
    path = browser.get("/visits/new").location
    assert path.endswith("/openings")
    page = browser.get(path).text
    assert "Open a visit" in page
    for _ in range(2):
        answer = browser.post(path, data=OPENING)
        assert (answer.status_code, answer.location) == (303, path.removesuffix("/openings"))
    assert browser.get(path).status_code == 303
    page = browser.get(answer.location).text
    assert "Harbour Cold Store" in page
    assert "The office has not given this visit a work order yet" in page
    assert len(openings(app, path.split("/")[2])) == 1


def test_what_is_missing_is_said_and_what_was_entered_stays(app, erin, client_of, new):
    browser = client_of(erin)
    answer = browser.post(f"/visits/{new}/openings", data=OPENING | {"customer": ""})
    assert answer.status_code == 422
    assert 'id="finding-customer"' in answer.text
    assert OPENING["site"] in answer.text
    with app.app_context():
        assert db.session.get(Visit, new) is None


def test_the_form_opens_nothing_of_somebody_else(visit, eli, olly, client_of):
    for person in (eli, olly):
        browser = client_of(person)
        assert browser.get(f"/visits/{visit}/openings").status_code == 404
        assert browser.post(f"/visits/{visit}/openings", data=OPENING).status_code == 404


def test_what_is_no_id_opens_nothing(erin, client_of):
    assert client_of(erin).get("/visits/tomorrow/openings").status_code == 404


def test_the_paper_says_what_was_signed_and_the_number_that_came_later(
    app, new, dana, erin_phone, visit, client_of, sealing
):
    blank = erin_phone.pull()["blank"]["state"]
    first = erin_phone.operation("opening", new, OPENING)
    state = merge.fold([Received(read_operation(first), first["wall"])], new)
    signed = sign(state | {"context": blank["context"]}, CLEO)
    erin_phone.push(first, erin_phone.operation("signature", new, signed))
    with app.app_context():
        jobs.perform_waiting()
        assert db.session.scalars(select(Report)).all() == []  # it waits for its number
        number = db.session.get_one(Visit, visit).work_order.number
        desk = client_of(dana)
        answer = desk.post(f"/desk/visits/{new}/work-orders", data={"number": number}, headers=PAGE)
        assert answer.status_code == 303
        jobs.perform_waiting()
        (paper,) = db.session.scalars(select(Report)).all()
        pdf = reports.read_paper(paper)
    said = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True
    )
    text = " ".join(said.stdout.decode().split())
    for part in (number, "Harbour Cold Store", "Gate 3, 8 Quay Road", "138-0000-0001", "Cleo Ash"):
        assert part in text


@pytest.mark.parametrize("left_out", ["contact_phone", "text", "customer"])
def test_what_was_not_said_breaks_no_page(app, new, erin, dana, erin_phone, client_of, left_out):
    said = {name: text for name, text in OPENING.items() if name != left_out}
    erin_phone.push(erin_phone.operation("opening", new, said))
    assert client_of(erin).get(f"/visits/{new}").status_code == 200
    desk = client_of(dana)
    for path in (f"/desk/visits/{new}", f"/desk/work-orders/new?visit={new}", "/desk/inbox"):
        assert desk.get(path).status_code == 200


@pytest.mark.parametrize("value", [None, ["a"], 7, {"b": 1}])
def test_what_a_broken_phone_says_breaks_no_page(
    app, new, erin, dana, erin_phone, client_of, value
):
    erin_phone.push(erin_phone.operation("opening", new, dict.fromkeys(OPENING, value)))
    assert client_of(erin).get(f"/visits/{new}").status_code == 200
    desk = client_of(dana)
    for path in (f"/desk/visits/{new}", f"/desk/work-orders/new?visit={new}", "/desk/inbox"):
        assert desk.get(path).status_code == 200


def test_the_organisations_own_id_is_no_visit_to_open(app, erin, eli, erin_phone, phone_of):
    phone = phone_of(eli)
    for each in (erin_phone, phone):
        body = each.operation("opening", erin.org_id, OPENING)
        ((state, reasons),) = each.receipts(body)
        assert (state, reasons) == ("flagged", ["visit.unknown"] if each is erin_phone else reasons)
        each.pull()
        assert each.visits == {}
    assert openings(app, erin.org_id) == []


def test_what_is_no_opening_vouches_for_nothing(app, new, erin_phone):
    broken = erin_phone.operation("opening", new, None)
    told = erin_phone.receipts(broken, erin_phone.note(new))
    assert told[1] == ("flagged", ["visit.unknown"])
    erin_phone.pull()
    assert erin_phone.visits == {}


def test_a_quarantined_opening_keeps_others_out(app, new, erin, eli, erin_phone, phone_of):
    with app.app_context():
        db.session.get_one(Device, erin_phone.device).revoked_at = datetime.now(UTC)
        db.session.commit()
    erin_phone.push(erin_phone.operation("opening", new, OPENING))
    phone = phone_of(eli)
    body = phone.operation("opening", new, OPENING)
    assert phone.receipts(body) == [("flagged", ["author.out-of-scope"])]
    assert openings(app, new) == []


def test_the_desk_cancels_what_was_opened_by_mistake(app, opened, dana):
    at_desk(app, dana, opened, ("cancellation", {"reason": "opened twice"}))
    state = state_of(app, opened)
    assert (state["visit"]["status"], state["flags"]) == ("cancelled", [])


def test_work_on_a_cancelled_visit_is_seen_all_the_same(app, opened, dana, erin_phone):
    at_desk(app, dana, opened, ("cancellation", {"reason": "opened twice"}))
    erin_phone.push(erin_phone.operation("arrival", opened, {"outcome": "present"}))
    assert flags_of(app, opened) == ["visit.work-on-cancelled"]


def test_the_customer_reads_what_the_engineer_reads_while_nobody_knows_better(
    app, opened, erin, client_of
):
    page = client_of(erin).get(f"/visits/{opened}/signatures").text
    assert '<html lang="en"' in page
    state = state_of(app, opened) | {"context": {"contact": {"language": ""}}}
    assert sign(state, CLEO, "en")["language"] == "en"


def test_a_visit_that_got_its_number_stays_among_todays_while_it_is_worked_on(
    app, opened, visit, dana, erin, erin_phone, client_of
):
    erin_phone.push(erin_phone.operation("arrival", opened, {"outcome": "present"}))
    client_of(dana).post(
        f"/desk/visits/{opened}/work-orders", data={"number": "PG-1"}, headers=PAGE
    )
    today, _, other = client_of(erin).get("/visits").text.partition("<h2>Coming")
    assert opened in today
    assert opened not in other


def test_a_signature_on_a_forgotten_blank_context_is_judged_again(app, new, dana, eli, erin_phone):
    """After a restored backup, also when the visit is somebody else's by the time of the pull."""
    blank = erin_phone.pull()["blank"]["state"]
    first = erin_phone.operation("opening", new, OPENING)
    state = merge.fold([Received(read_operation(first), first["wall"])], new)
    signed = sign(state | {"context": blank["context"]}, CLEO)
    with app.app_context():
        db.session.execute(delete(context_block))
        db.session.commit()
    erin_phone.push(first, erin_phone.operation("signature", new, signed))
    assert "signature.mismatch" in flags_of(app, new)
    at_desk(app, dana, new, ("assignment", {"engineer": eli.id}))
    erin_phone.pull()
    assert "signature.mismatch" not in flags_of(app, new)
    assert state_of(app, new)["signatures"][0]["verdict"] == "verified"
