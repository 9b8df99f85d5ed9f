"""The demo day: believable, and only once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from fieldapp.access import check_password
from fieldapp.context import context_of
from fieldapp.demo import ACCOUNTS, ORGANISATION, make_demo
from fieldapp.models import Asset, Organisation, Person, Site, Visit, WorkOrder, db
from fieldapp.policies import load_policy
from sync.missing import missing
from sync.tables import journal
from tests import cast

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
"""Already the 23rd in Shanghai."""

ALARM = load_policy("alarm")


@pytest.fixture(scope="module")
def made(databases, tmp_path_factory):
    """An application with the demo day, for tests that only look."""
    with databases.application(tmp_path_factory.mktemp("made")) as app:
        with app.app_context():
            assert make_demo(NOW) == ACCOUNTS
        yield app


@pytest.fixture
def demo_day(made):
    with made.app_context():
        yield made
        db.session.remove()


@pytest.fixture
def empty(app):
    with app.app_context():
        yield app


def visit_of(number):
    return db.session.scalars(
        select(Visit)
        .join(WorkOrder, WorkOrder.id == Visit.work_order_id)
        .where(WorkOrder.number == number)
    ).one()


def count(table):
    return db.session.scalar(select(func.count()).select_from(table))


def test_everybody_can_sign_in(demo_day):
    for account in ACCOUNTS:
        person = db.session.scalar(select(Person).where(Person.account == account.account))
        assert check_password(person, account.password)
        assert not check_password(person, account.password + "x")
        assert person.roles == {account.role}


def test_two_engineers_have_six_visits_today_spread_over_the_day(demo_day):
    start = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
    today = db.session.scalars(
        select(Visit)
        .where(Visit.appointment_at >= start, Visit.appointment_at < start + timedelta(days=1))
        .order_by(Visit.appointment_at)
    ).all()
    assert [visit.engineer.name for visit in today].count("李强") == 3
    assert [visit.engineer.name for visit in today].count("周凯") == 3
    assert len({visit.appointment_at for visit in today}) == 6
    assert {visit.status for visit in today} == {"planned"}
    assert [visit.flag_count for visit in today] == [0] * 6
    job_types = [visit.work_order.job_type for visit in today]
    assert sorted(job_types) == ["repair"] * 5 + ["return"]
    sites = db.session.scalars(select(Site)).all()
    assert {site.distance for site in sites} == {"urban", "county"}


def test_the_first_visit_is_wang_lis_dead_host(demo_day):
    visit = visit_of("PG-20261123-001")
    context = context_of(visit, ALARM, NOW)
    assert context["customer"]["name"].startswith("上海浦江文创园")
    assert context["contact"]["name"] == "王丽"
    assert context["people"][0]["name"] == "李强"
    assert context["asset"]["serial"] == "WAH200-2508-00173"
    assert context["asset"]["verdict"]["covered"]
    assert "SP-WAH200-0007" in [item["serial"] for item in context["van"]]
    assert context["carry"][0] == "备用报警主机"
    assert context["targets"][1] == {
        "name": "arrival", "due_at": "2026-11-23T03:00:00Z", "minutes": 120,
    }  # fmt: skip
    (earlier,) = context["history"]
    assert earlier["engineer_name"] == "李强"
    assert earlier["summary_text"].startswith("蓄电池")


def test_the_return_visit_finds_the_loaner_that_is_out(demo_day):
    context = context_of(visit_of("PG-20261123-004"), ALARM, NOW)
    (loaner,) = context["loaners"]
    assert loaner["loaner_serial"] == "SP-WCP80-20261123"
    assert loaner["removed_serial"] == context["asset"]["serial"] == "WCP80-20261123-01"
    assert loaner["issued_on"] == "2026-11-10"
    assert context["contact"]["language"] == "en"


def test_a_county_visit_is_out_of_warranty(demo_day):
    context = context_of(visit_of("PG-20261123-005"), ALARM, NOW)
    assert context["site"]["distance"] == "county"
    assert context["asset"]["verdict"]["reason"] == "expired"
    assert context["targets"][1]["minutes"] == 720


def test_earlier_visits_look_finished(demo_day):
    for number in ("PG-20260823-901", "PG-20261110-902"):
        visit = visit_of(number)
        assert visit.status == "accepted"
        assert visit.state["flags"] == []
        assert visit.state["signatures"][0]["verdict"] == "verified"
        assert visit.arrived_at < visit.appointment_at
        assert visit.state["fields"]["fault/text"]["at"] < visit.state["entries"][0]["at"]
        assert missing(visit.state | {"context": context_of(visit, ALARM, NOW)}, ALARM.data) == []


def test_the_same_day_twice_changes_nothing(empty):
    make_demo(NOW)
    spare = db.session.scalars(select(Asset).where(Asset.serial == "SP-WAH200-0007")).one()
    spare.holder = "site"  # installed meanwhile
    db.session.commit()
    before = count(journal), count(Visit), count(Asset), count(Person)
    make_demo(NOW + timedelta(hours=5))
    assert (count(journal), count(Visit), count(Asset), count(Person)) == before
    db.session.expire_all()
    assert spare.holder == "site"


def test_another_day_adds_that_days_visits(empty):
    make_demo(NOW)
    make_demo(NOW + timedelta(days=1))
    assert count(Organisation) == 1
    assert count(Visit) == 15  # six a day, the loaner's visit of each day, one old repair
    second = context_of(visit_of("PG-20261124-004"), ALARM, NOW)
    assert [item["loaner_serial"] for item in second["loaners"]] == ["SP-WCP80-20261124"]
    host = db.session.scalars(select(Asset).where(Asset.serial == "WAH200-2508-00173")).one()
    assert host.commissioned_on.isoformat() == "2026-05-31"  # counted from the first day


def test_accounts_of_somebody_else_are_not_taken_over(empty):
    cast.make_person("chen", cast.make_organisation("Elsewhere"))
    db.session.commit()
    with pytest.raises(ValueError, match="another organisation"):
        make_demo(NOW)
    names = db.session.scalars(select(Organisation.name)).all()
    assert ORGANISATION["name"] not in names
