"""What goes to the phone with a visit, and whose visits hold a row."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from fieldapp.context import context_of, contexts_of, targets_of, visits_holding
from fieldapp.models import Asset, Organisation, Part, VanStock, Visit, db
from fieldapp.perform import unit
from fieldapp.policies import load_policy
from sync.canonical import canonical
from tests import cast
from tests.cast import MORNING

ALARM = load_policy("alarm")
TEN_FIFTY = datetime(2026, 3, 10, 2, 50, tzinfo=UTC)


@pytest.fixture(scope="module")
def application(databases, tmp_path_factory):
    with databases.application(tmp_path_factory.mktemp("instance")) as app:
        yield app


@pytest.fixture
def app(application, databases):
    with application.app_context():
        yield application
    databases.renew(application)


@pytest.fixture
def organisation(app):
    return cast.make_organisation()


@pytest.fixture
def erin(organisation):
    return cast.make_person("erin", organisation)


@pytest.fixture
def dana(organisation):
    return cast.make_person("dana", organisation)


@pytest.fixture
def place(organisation):
    return cast.make_place(organisation)


def perform(organisation, author, visit, *operations, at=MORNING):
    db.session.commit()
    with unit(organisation.id, at) as opened:
        for kind, value in operations:
            opened.perform(kind, visit.id, author, value)


def assign(organisation, dana, engineer, visit, at=TEN_FIFTY):
    operations = (
        ("fault", {"text": "dead since 08:40", "level": "major"}),
        ("appointment", {"at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}),
        ("assignment", {"engineer": engineer.id}),
    )
    perform(organisation, dana, visit, *operations)


def test_the_whole_block(organisation, place, erin, dana):
    visit = cast.make_visit(place, "PG-1")
    cast.add(van_asset(organisation, erin, "SP-1"))
    part = cast.add(Part(id="p1", org_id=organisation.id, code="BAT-12", name="Battery"))
    stock = {"person_id": erin.id, "org_id": organisation.id}
    cast.add(VanStock(part_id=part.id, count=4, **stock))
    assign(organisation, dana, erin, visit)
    context = context_of(visit, ALARM, MORNING)
    offsets = context["site"]["offsets"]
    assert offsets[0][1] == 480
    assert offsets[0][0] <= "2024-12-01T00:00:00Z"
    request = visit.work_order.request
    assert context == {
        "organisation": {
            "id": organisation.id, "name": "Brook Alarms", "zone": "Asia/Shanghai",
            "currency": "CNY", "phone": "021-5550-0100", "offsets": offsets,
        },
        "request": {
            "id": request.id, "number": "BX-PG-1", "reported_at": "2026-03-10T01:00:00Z",
            "channel": "phone",
        },
        "work_order": {"id": visit.work_order_id, "number": "PG-1", "job_type": "repair"},
        "customer": {"id": place.customer.id, "name": "Customer C1"},
        "site": {
            "id": place.site.id, "name": "Main hall", "address": "1 Quay Road",
            "distance": "urban", "access_text": "", "zone": "Asia/Shanghai", "offsets": offsets,
        },
        "contact": {
            "id": place.contact.id, "name": "Cleo Ash", "phone": "138-0000-0001",
            "role_text": "Property", "language": "en",
        },
        "asset": {
            "id": place.asset.id, "serial": "WAH200-C1", "model": "WAH-200", "name": "Alarm host",
            "verdict": {"covered": True, "until_on": "2026-09-14", "reason": "within"},
        },
        "history": [],
        "carry": ["multimeter"],
        "van": [{"serial": "SP-1", "model": "WAH-200", "name": "Spare host"}],
        "parts": [{"code": "BAT-12", "name": "Battery", "count": 4}],
        "loaners": [],
        "people": [{"id": erin.id, "name": "Erin Ng"}],
        "targets": [
            {"name": "contact", "due_at": "2026-03-10T02:00:00Z", "minutes": 60},
            {"name": "arrival", "due_at": "2026-03-10T03:00:00Z", "minutes": 120},
            {"name": "fix", "due_at": "2026-03-12T01:00:00Z", "minutes": 2880},
            {"name": "repair", "due_at": None, "minutes": 4320},
            {"name": "downtime", "due_at": None, "minutes": 60},
        ],
        "policy": {"code": "alarm", "version": ALARM.version},
    }  # fmt: skip


def van_asset(organisation, engineer, serial):
    return Asset(
        id=serial, org_id=organisation.id, serial=serial, model="WAH-200", name="Spare host",
        holder="van", holder_id=engineer.id,
    )  # fmt: skip


def test_the_same_rows_give_the_same_bytes_whenever_asked(organisation, place, erin, dana):
    visit = cast.make_visit(place)
    assign(organisation, dana, erin, visit)
    first = canonical(context_of(visit, ALARM, MORNING))
    db.session.expire_all()
    assert canonical(context_of(visit, ALARM, MORNING + timedelta(days=500))) == first
    assert json.loads(first)


def test_going_on_with_the_work_changes_nothing(organisation, place, erin, dana):
    visit = cast.make_visit(place)
    assign(organisation, dana, erin, visit)
    first = canonical(context_of(visit, ALARM, MORNING))
    perform(
        organisation,
        erin,
        visit,
        ("arrival", {"outcome": "present"}),
        ("loaner", loaner("WAH200-C1", "SP-1")),
        at=TEN_FIFTY,
    )
    assert canonical(context_of(visit, ALARM, MORNING)) == first


@pytest.mark.parametrize(
    ("appointment_at", "covered"),
    [
        (datetime(2026, 9, 14, 15, 59, tzinfo=UTC), True),  # 23:59 at the site
        (datetime(2026, 9, 14, 16, 0, tzinfo=UTC), False),  # midnight at the site
    ],
)
def test_the_verdict_is_for_the_visits_day_at_the_site(place, appointment_at, covered):
    visit = cast.make_visit(place, appointment_at=appointment_at)
    assert context_of(visit, ALARM, MORNING)["asset"]["verdict"]["covered"] is covered


def test_the_offsets_are_those_of_the_appointments_year(organisation):
    place = cast.make_place(organisation, zone="Europe/Berlin")
    visit = cast.make_visit(place, appointment_at=datetime(2027, 7, 1, tzinfo=UTC))
    offsets = context_of(visit, ALARM, MORNING)["site"]["offsets"]
    assert ["2027-03-28T01:00:00Z", 120] in offsets
    assert ["2027-10-31T01:00:00Z", 60] in offsets


def test_a_visit_nobody_planned_keeps_the_shape(organisation, place):
    orphan = cast.add(Visit(id="v-orphan", org_id=organisation.id))
    full = context_of(cast.make_visit(place), ALARM, MORNING)
    context = context_of(orphan, ALARM, MORNING)
    assert context.keys() == full.keys()
    for key in ("request", "work_order", "customer", "site", "contact", "organisation"):
        assert context[key].keys() == full[key].keys()
    assert context["asset"] is None
    assert context["site"]["zone"] == "Asia/Shanghai"
    assert context["targets"] == []


def test_without_an_asset_there_is_no_verdict(place):
    assert context_of(cast.make_visit(place, asset=False), ALARM, MORNING)["asset"] is None


def arrived(place, number, days, engineer=None, **values):
    """An earlier visit, begun ``days`` before the morning."""
    at = MORNING - timedelta(days=days)
    return cast.make_visit(
        place,
        number,
        appointment_at=at,
        arrived_at=at,
        engineer_id=engineer.id if engineer else None,
        summary_text=f"fault of {number}",
        **values,
    )


def test_history_is_the_last_three_visits_of_the_asset_newest_first(place, erin):
    for days in (40, 10, 30, 20):
        arrived(place, f"PG-{days}", days, erin)
    arrived(place, "PG-site", 5, erin, asset=False)
    cast.make_visit(place, "PG-planned", appointment_at=MORNING - timedelta(days=1))
    arrived(place, "PG-later", -1, erin)
    visit = cast.make_visit(place, appointment_at=TEN_FIFTY)
    history = context_of(visit, ALARM, MORNING)["history"]
    assert [item["number"] for item in history] == ["PG-10", "PG-20", "PG-30"]
    assert history[0] == {
        "number": "PG-10",
        "on": "2026-02-28",
        "engineer_name": "Erin Ng",
        "summary_text": "fault of PG-10",
    }


def test_without_an_asset_history_is_the_sites(organisation, place):
    arrived(place, "PG-10", 10)
    arrived(cast.make_place(organisation, "C2"), "PG-elsewhere", 5)
    visit = cast.make_visit(place, asset=False, appointment_at=TEN_FIFTY)
    history = context_of(visit, ALARM, MORNING)["history"]
    assert [(item["number"], item["engineer_name"]) for item in history] == [("PG-10", "")]


def loaner(removed, issued):
    return {
        "removed_serial": removed,
        "loaner_serial": issued,
        "reason_text": "power board",
        "told_text": "two weeks",
    }


def take_back(issued, refitted, result="passed"):
    return {"loaner_serial": issued, "refitted_serial": refitted, "test_result": result}


def test_a_loaner_still_out_is_shown_to_the_return_visit(organisation, place, erin, dana):
    repair = cast.make_visit(place, "PG-1")
    later = cast.make_visit(place, "PG-2", request=repair.work_order.request)
    same_asset = cast.make_visit(place, "PG-3")
    elsewhere = cast.make_visit(cast.make_place(organisation, "C2"), "PG-4")
    assign(organisation, dana, erin, repair)
    late = datetime(2026, 3, 10, 16, 30, tzinfo=UTC)  # half past midnight at the site
    perform(organisation, erin, repair, ("loaner", loaner("WAH200-C1", "SP-1")), at=late)
    visits = [repair, later, same_asset, elsewhere]
    contexts = contexts_of(visits, ALARM, MORNING)
    (shown,) = contexts[later.id]["loaners"]
    assert shown == {
        "entry": repair.state["entries"][0]["id"],
        "notice": "TH-20260311-001",
        "loaner_serial": "SP-1",
        "removed_serial": "WAH200-C1",
        "issued_on": "2026-03-11",
    }
    assert contexts[same_asset.id]["loaners"] == [shown]
    assert contexts[repair.id]["loaners"] == []
    assert contexts[elsewhere.id]["loaners"] == []


@pytest.mark.parametrize(
    ("result", "open_serials"), [("passed", ["SP-2"]), ("failed", ["SP-1", "SP-2"])]
)
def test_only_a_take_back_after_a_passed_test_closes_the_notice(
    organisation, place, erin, dana, result, open_serials
):
    repair, later = cast.make_visit(place, "PG-1"), cast.make_visit(place, "PG-2")
    third = cast.make_visit(place, "PG-3")
    for visit in (repair, later):
        assign(organisation, dana, erin, visit)
    perform(organisation, erin, repair, ("loaner", loaner("WAH200-C1", "SP-1")))
    perform(
        organisation,
        erin,
        later,
        ("take-back", take_back("SP-1", "WAH200-C1", result)),
        ("loaner", loaner("WAH200-C1", "SP-2")),
        at=TEN_FIFTY,
    )
    shown = context_of(third, ALARM, MORNING)["loaners"]
    assert [item["loaner_serial"] for item in shown] == open_serials


def test_a_void_loaner_is_not_shown_and_one_issued_again_is(organisation, place, erin, dana):
    repair, later = cast.make_visit(place, "PG-1"), cast.make_visit(place, "PG-2")
    assign(organisation, dana, erin, repair)
    issue = ("loaner", loaner("WAH200-C1", "SP-1"))
    perform(organisation, erin, repair, issue)
    perform(organisation, erin, repair, ("take-back", take_back("SP-1", "WAH200-C1")), at=TEN_FIFTY)
    assert context_of(later, ALARM, MORNING)["loaners"] == []
    perform(organisation, erin, repair, issue, at=TEN_FIFTY + timedelta(hours=1))
    (shown,) = context_of(later, ALARM, MORNING)["loaners"]
    void = ("void", {"entry": shown["entry"], "reason": "wrong visit"})
    perform(organisation, erin, repair, void, at=TEN_FIFTY + timedelta(hours=2))
    assert context_of(later, ALARM, MORNING)["loaners"] == []


def test_an_engineer_sees_only_his_own_van(organisation, place, erin):
    eli = cast.make_person("eli", organisation)
    for owner, serial in ((erin, "SP-2"), (erin, "SP-1"), (eli, "SP-3")):
        cast.add(van_asset(organisation, owner, serial))
    part = cast.add(Part(id="p1", org_id=organisation.id, code="BAT-12", name="Battery"))
    cast.add(VanStock(person_id=erin.id, part_id=part.id, org_id=organisation.id, count=0))
    context = context_of(cast.make_visit(place, engineer_id=erin.id), ALARM, MORNING)
    assert [item["serial"] for item in context["van"]] == ["SP-1", "SP-2"]
    assert context["parts"] == []  # none left is none carried
    unassigned = context_of(cast.make_visit(place, "PG-2"), ALARM, MORNING)
    assert (unassigned["van"], unassigned["people"]) == ([], [])


ARCHIVE = (
    "INSERT INTO service_request"
    " (id, org_id, number, customer_id, site_id, contact_id, asset_id, channel, reported_at)"
    " SELECT 'request-' || i, site.org_id, 'BX-' || i, site.customer_id, site.id, contact.id,"
    " asset.id, 'phone', '2025-06-01 01:00:00'"
    " FROM earlier, site, contact, asset"
    " WHERE site.id = :site AND contact.id = :contact AND asset.id = :asset",
    "INSERT INTO work_order (id, org_id, request_id, number, job_type, carry)"
    " SELECT 'order-' || i, :org, 'request-' || i, 'WO-' || i, 'repair', '[]' FROM earlier",
    "INSERT INTO visit (id, org_id, work_order_id, arrived_at, status, rev, conflict_count,"
    " flag_count, is_changed, state, summary_text)"
    " SELECT 'visit-' || i, :org, 'order-' || i,"
    " '2025-06-01 03:00:00', 'accepted', 1, 0, 0, FALSE, '{\"entries\":[]}', 'fault ' || i FROM earlier",
    "INSERT INTO journal (org_id, id, hash, visit_id, device_id, author_id, kind, n, wall_ms,"
    " corrected_ms, received_ms, rev, outcome, problems, body)"
    " SELECT :org, 'operation-' || i, '', 'visit-' || i, 'server', '',"
    " CASE WHEN i <= :loans THEN 'loaner' ELSE 'note' END,"
    " 0, 0, 0, 0, 1, 'merged', '', '{}' FROM earlier",
)
EARLIER = (
    "WITH RECURSIVE earlier(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM earlier WHERE i < :last)"
)


def make_archive(place, requests, visits, loans=0):
    """Earlier ``requests`` of the asset, of which so many led to ``visits`` with an operation each.

    Of these operations the first ``loans`` lent something.
    """
    db.session.flush()
    values = {"site": place.site.id, "contact": place.contact.id, "asset": place.asset.id}
    values |= {"org": place.site.org_id, "loans": loans}
    for statement, last in zip(ARCHIVE, (requests, visits, visits, visits), strict=True):
        names = re.findall(r"(?<!\w):(\w+)", statement)
        named = {name: values[name] for name in names}
        db.session.execute(text(f"{EARLIER} {statement}"), named | {"last": last})
    if db.engine.dialect.name == "postgresql":  # as it does by itself, a minute later
        db.session.execute(text("ANALYZE"))
    db.session.commit()


def test_more_earlier_requests_than_values_can_be_bound(organisation, place, erin, dana):
    repair, later = cast.make_visit(place, "PG-1"), cast.make_visit(place, "PG-2")
    assign(organisation, dana, erin, repair)
    perform(organisation, erin, repair, ("loaner", loaner("WAH200-C1", "SP-1")))
    arrived(place, "PG-10", 10)
    make_archive(place, 66_000, 1000)
    context = context_of(later, ALARM, MORNING)
    assert [item["loaner_serial"] for item in context["loaners"]] == ["SP-1"]
    assert [item["number"] for item in context["history"]] == ["PG-10", "WO-999", "WO-998"]


@pytest.fixture
def statements(app):
    """What was sent to the database: pairs of a statement and its values."""
    sent = []

    def note(_connection, _cursor, statement, values, *_):
        sent.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    yield sent
    event.remove(db.engine, "before_cursor_execute", note)


def plan_of(statement, values):
    """How the database goes about it, a step a line."""
    explain = "EXPLAIN QUERY PLAN" if db.engine.dialect.name == "sqlite" else "EXPLAIN"
    rows = db.session.connection().exec_driver_sql(f"{explain} {statement}", values)
    return "\n".join(str(row[-1]) for row in rows)


def test_the_archive_of_others_is_not_walked_through(organisation, place, statements):
    make_archive(cast.make_place(organisation, "C2"), 3000, 3000, loans=300)
    visit = cast.make_visit(place)
    db.session.commit()
    statements.clear()
    context_of(visit, ALARM, MORNING)
    plans = [plan_of(*each) for each in list(statements) if each[0].startswith("SELECT")]
    walked = re.compile("(?:SCAN|Seq Scan on) (?:visit|journal|work_order|service_request)")
    assert not [plan for plan in plans if walked.search(plan)]
    assert len([plan for plan in plans if "journal_of_loans" in plan]) == 1, "\n\n".join(plans)


def test_many_visits_cost_no_more_queries_than_one(organisation, erin, app):
    visits = []
    for n in range(12):
        place = cast.make_place(organisation, f"C{n}")
        visits.append(cast.make_visit(place, f"PG-{n}", asset=n > 0, engineer_id=erin.id))
    db.session.commit()

    ids = [visit.id for visit in visits]
    statements = []

    def note(*args):
        statements.append(args[2])

    def queries(count):
        db.session.expunge_all()
        loaded = db.session.query(Visit).where(Visit.id.in_(ids[:count])).all()
        statements.clear()
        contexts_of(loaded, ALARM, MORNING)
        return len(statements)

    event.listen(db.engine, "before_cursor_execute", note)
    assert queries(2) == queries(12) <= 9
    event.remove(db.engine, "before_cursor_execute", note)


def test_targets_need_no_other_rows(organisation, place, erin, dana):
    visit = cast.make_visit(place)
    assign(organisation, dana, erin, visit)
    assert targets_of(visit, ALARM) == context_of(visit, ALARM, MORNING)["targets"]


def test_each_row_is_held_by_the_visits_that_show_it(organisation, place, erin, dana):
    mine = cast.make_visit(place, "PG-1", engineer_id=erin.id)
    beside = cast.make_visit(place, "PG-2", asset=False)
    other = cast.make_place(organisation, "C2")
    elsewhere = cast.make_visit(other, "PG-3")
    for status in ("accepted", "cancelled"):
        cast.make_visit(place, f"PG-{status}", status=status, engineer_id=erin.id)
    part = cast.add(Part(id="p1", org_id=organisation.id, code="BAT-12", name="Battery"))
    stock = cast.add(VanStock(person_id=erin.id, part_id="p1", org_id=organisation.id, count=1))
    spare = cast.add(van_asset(organisation, erin, "SP-1"))

    def held(row):
        found = visits_holding(db.session, row)
        assert found == sorted(found)
        return set(found)

    here = {mine.id, beside.id}
    assert held(place.customer) == held(place.site) == held(place.contact) == here
    assert held(place.asset) == {mine.id}
    assert held(part) == held(stock) == held(spare) == held(erin) == {mine.id}
    assert held(other.customer) == {elsewhere.id}
    assert held(mine.work_order) == held(mine.work_order.request) == {mine.id}
    assert held(db.session.get(Organisation, organisation.id)) == here | {elsewhere.id}
    assert held(mine) == {beside.id}
    assert held(dana) == set()
    with pytest.raises(TypeError):
        visits_holding(db.session, part.code)


def test_another_organisations_engineer_holds_nothing_here(organisation, place):
    cast.make_visit(place, engineer_id=None)
    assert visits_holding(db.session, cast.make_olly()) == []
