"""CSV files come in whole or not at all."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from fieldapp.importing import import_directory
from fieldapp.models import (
    Asset,
    Contact,
    Customer,
    Part,
    ServiceRequest,
    Site,
    VanStock,
    Visit,
    WorkOrder,
    db,
)
from fieldapp.perform import unit
from fieldapp.sheets import REASONS, BadLine, ImportRefused
from sync.tables import journal, sync_clock, visit_scope
from tests import cast
from tests.cast import MORNING

GOOD = {
    "customers.csv": "code,name\nKH1,上海浦江文创园管理有限公司\nKH2,青浦恒达物流园\n",
    "sites.csv": (
        "code,customer,name,address,distance,zone,access_text\n"
        'ZD1,KH1,1号楼,上海市黄浦区滨江路1号,urban,,"门禁找保安\n地下停车"\n'
        "ZD2,KH2,北库,上海市青浦区恒达路8号,county,Asia/Shanghai,\n"
    ),
    "contacts.csv": (
        "code,site,name,phone,role_text,language\n"
        "LX1,ZD1,王丽,138-0000-0001,物业,zh_CN\n"
        "LX2,ZD2,Cleo Ash,+86 (21) 5550 0101转12,,en\n"
    ),
    "assets.csv": (
        "serial,model,name,part_code,holder,holder_code,commissioned_on,warranty_months\n"
        "WAH200-2508-00173,WAH-200,无线报警主机,WAH-200,site,ZD1,2025-09-15,12\n"
        "WSR50-2312-00988,WSR-50,无线信号中继器,,site,ZD2,2024-01-08,12\n"
        "SP-WAH200-0007,WAH-200,备用主机,WAH-200,van,erin,,\n"
        "OLD-1,WAH-100,旧主机,,factory,,,\n"
    ),
    "parts.csv": "code,name\nBAT-12,蓄电池 12V\nFUSE-2,保险管\n",
    "van_stock.csv": "engineer,part,count\nerin,BAT-12,4\nerin,FUSE-2,0\n",
    "work_orders.csv": (
        "number,request_number,customer,site,contact,asset_serial,job_type,level,channel,"
        "reported_at,fault_text,fault_location,engineer,appointment_at,carry\n"
        "PG-1,BX-1,KH1,ZD1,LX1,WAH200-2508-00173,repair,major,phone,2026-03-10T09:00,"
        "主机无反应,一楼控制室,erin,2026-03-10T10:50,备用主机；万用表;电池\n"
        "PG-2,BX-2,KH2,ZD2,LX2,,repair,,night-line,2026-03-10 08:00:30,无信号,,,,\n"
    ),
}


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
    row = cast.make_organisation()
    for account in ("erin", "eli", "dana"):
        cast.make_person(account, row)
    db.session.commit()
    return row


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "csv"
    path.mkdir()
    write(path, GOOD)
    return path


def write(folder, files, encoding="utf-8"):
    for name, text in files.items():
        (folder / name).write_bytes(text.encode(encoding))


def change(folder, file, before, after):
    text = (folder / file).read_text("utf-8")
    assert before in text
    (folder / file).write_text(text.replace(before, after, 1), "utf-8")


def run(folder, organisation, now=MORNING):
    dana = person("dana")
    return import_directory(folder, organisation, now=now, author=dana)


def person(account):
    from fieldapp.models import Person

    return db.session.scalar(select(Person).where(Person.account == account))


def refused(folder, organisation):
    """What the run was refused for; nothing of it may be stored."""
    before = counts()
    with pytest.raises(ImportRefused) as raised:
        run(folder, organisation)
    assert counts() == before
    return [(line.file, line.line, line.reason) for line in raised.value.lines]


def counts():
    tables = (Customer, Site, Contact, Asset, Part, VanStock, ServiceRequest, WorkOrder, Visit)
    found = [db.session.scalar(select(func.count()).select_from(table)) for table in tables]
    return [*found, db.session.scalar(select(func.count()).select_from(journal))]


def revs():
    clock = db.session.scalar(select(sync_clock.c.rev))
    return clock, dict(db.session.execute(select(Visit.id, Visit.rev)).all())


def test_everything_arrives(folder, organisation):
    report = run(folder, organisation)
    assert report.created == {
        "customers": 2, "sites": 2, "contacts": 2, "assets": 4, "parts": 2, "van_stock": 2,
        "requests": 2, "work_orders": 2,
    }  # fmt: skip
    assert report.changed == {}
    erin = person("erin")
    site = db.session.scalar(select(Site).where(Site.code == "ZD1"))
    assert site.zone == "Asia/Shanghai"
    assert site.access_text == "门禁找保安\n地下停车"
    spare = db.session.scalar(select(Asset).where(Asset.serial == "SP-WAH200-0007"))
    assert (spare.holder, spare.holder_id) == ("van", erin.id)
    host = db.session.scalar(select(Asset).where(Asset.serial == "WAH200-2508-00173"))
    assert (host.holder_id, host.commissioned_on) == (site.id, date(2025, 9, 15))
    assert db.session.scalar(select(Asset.holder_id).where(Asset.serial == "OLD-1")) is None
    visit = db.session.get(Visit, report.visits[0])
    assert visit.engineer_id == erin.id
    assert visit.appointment_at == datetime(2026, 3, 10, 2, 50, tzinfo=UTC)
    assert visit.work_order.carry == ["备用主机", "万用表", "电池"]
    assert visit.work_order.request.reported_at == datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
    assert visit.state["fields"]["fault/level"]["value"] == "major"
    assert visit.state["fields"]["fault/location"]["value"] == "一楼控制室"
    assert visit.state["flags"] == []
    assert visit.due_at == datetime(2026, 3, 10, 3, 0, tzinfo=UTC)
    in_scope = select(visit_scope.c.visit_id).where(visit_scope.c.person_id == erin.id)
    assert db.session.scalars(in_scope).all() == [visit.id]
    unassigned = db.session.get(Visit, report.visits[1])
    assert unassigned.engineer_id is None
    assert "fault/level" not in unassigned.state["fields"]
    assert unassigned.work_order.request.reported_at.second == 30


def test_the_same_files_twice_change_nothing(folder, organisation):
    run(folder, organisation)
    before = counts(), revs()
    report = run(folder, organisation, MORNING + timedelta(hours=1))
    assert (report.created_count, report.changed_count, report.visits) == (0, 0, [])
    assert str(report) == "0 created, 0 changed"
    assert (counts(), revs()) == before


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-8"])
def test_each_encoding_gives_the_same_names(folder, organisation, encoding):
    write(folder, GOOD, encoding)
    run(folder, organisation)
    assert db.session.scalar(select(Contact.name).where(Contact.code == "LX1")) == "王丽"
    assert (
        db.session.scalar(select(Customer.name).where(Customer.code == "KH2")) == "青浦恒达物流园"
    )


def test_windows_line_ends_blank_lines_and_spaces_do_not_matter(folder, organisation):
    text = "\ufeffcode , name\r\n\r\n KH1 , 　e\u0301cole　\r\n"
    write(folder, {"customers.csv": text})
    for name in set(GOOD) - {"customers.csv"}:
        (folder / name).unlink()
    run(folder, organisation)
    assert db.session.scalar(select(Customer.name)) == "\u00e9cole"


def test_a_folder_without_files_is_no_fault(tmp_path, organisation):
    report = run(tmp_path, organisation)
    assert (report.created_count, report.changed_count) == (0, 0)


def test_a_new_phone_number_is_told_to_the_phones_that_hold_it(folder, organisation):
    run(folder, organisation)
    clock, before = revs()
    change(folder, "contacts.csv", "138-0000-0001", "139-0000-0002")
    report = run(folder, organisation, MORNING + timedelta(hours=2))
    assert report.changed == {"contacts": 1}
    assert str(report) == "1 contacts changed"
    assert db.session.scalar(select(Contact.phone).where(Contact.code == "LX1")) == "139-0000-0002"
    later, after = revs()
    changed = [id_ for id_ in before if after[id_] != before[id_]]
    assert [db.session.get(Visit, id_).work_order.number for id_ in changed] == ["PG-1"]
    assert after[changed[0]] == later > clock


def test_a_spare_that_leaves_erins_van_is_told_to_erins_phone(folder, organisation):
    run(folder, organisation)
    _, before = revs()
    change(folder, "assets.csv", "WAH-200,van,erin", "WAH-200,van,eli")
    assert run(folder, organisation).changed == {"assets": 1}
    _, after = revs()
    assert sum(after[id_] != before[id_] for id_ in before) == 1


def test_a_work_order_that_exists_is_left_to_its_journal(folder, organisation):
    run(folder, organisation)
    change(folder, "work_orders.csv", "主机无反应", "别的故障")
    change(folder, "work_orders.csv", "2026-03-10T10:50", "2026-03-10T15:00")
    before = counts(), revs()
    report = run(folder, organisation)
    assert (report.created_count, report.changed_count) == (0, 0)
    assert (counts(), revs()) == before


def test_a_second_work_order_joins_the_request(folder, organisation):
    run(folder, organisation)
    change(folder, "work_orders.csv", "PG-1,", "PG-3,")
    report = run(folder, organisation)
    assert report.created == {"work_orders": 1}
    orders = db.session.scalars(
        select(WorkOrder).join(ServiceRequest).where(ServiceRequest.number == "BX-1")
    )
    assert {order.number for order in orders} == {"PG-1", "PG-3"}


ORDER = "PG-1,BX-1,KH1,ZD1,LX1,WAH200-2508-00173,repair,major,phone,2026-03-10T09:00"
REFUSALS = [
    ("customers.csv", "code,name", "code,name,fax", 1, "import.column-unknown"),
    ("customers.csv", "code,name", "code", 1, "import.column-missing"),
    ("customers.csv", "code,name", "code,code", 1, "import.column-twice"),
    ("customers.csv", "KH1,", "KH1,x,", 2, "import.cells"),
    ("customers.csv", "KH1,", ",", 2, "import.empty"),
    ("customers.csv", "KH1,", "KH 1,", 2, "import.characters"),
    ("customers.csv", "KH2,青浦", "KH1,青浦", 3, "import.twice"),
    ("customers.csv", "青浦恒达", "青" * 201, 3, "import.long"),
    ("customers.csv", "青浦恒达", "青浦\x07恒达", 3, "import.control"),
    ("customers.csv", "青浦恒达", "青浦\u202e恒达", 3, "import.control"),
    ("customers.csv", "青浦恒达物流园", '"青浦\n恒达"', 3, "import.control"),
    ("customers.csv", "青浦恒达", '"青浦', 3, "import.csv"),
    ("sites.csv", "ZD2,KH2", "ZD2,KH9", 4, "import.unknown"),
    ("sites.csv", "county", "moon", 4, "import.choice"),
    ("sites.csv", "Asia/Shanghai", "Shanghai", 4, "import.zone"),
    ("contacts.csv", "138-0000-0001", "138-OOOO-0001", 2, "import.characters"),
    ("contacts.csv", "138-0000-0001", "138", 2, "import.characters"),
    ("contacts.csv", "138-0000-0001", "１３８００００００１", 2, "import.characters"),
    ("contacts.csv", "zh_CN", "Chinese", 2, "import.long"),
    ("contacts.csv", "zh_CN", "ZH", 2, "import.characters"),
    ("contacts.csv", "LX1,ZD1", "LX1,ZD9", 2, "import.unknown"),
    ("assets.csv", "OLD-1", "旧机1", 5, "import.characters"),
    ("assets.csv", "OLD-1", "O" * 65, 5, "import.long"),
    ("assets.csv", "OLD-1", "SP-WAH200-0007", 5, "import.twice"),
    ("assets.csv", "factory,", "factory,ZD1", 5, "import.holder"),
    ("assets.csv", "van,erin", "van,", 4, "import.holder"),
    ("assets.csv", "van,erin", "van,dana", 4, "import.unknown"),
    ("assets.csv", "van,erin", "car,erin", 4, "import.choice"),
    ("assets.csv", "site,ZD2", "site,ZD9", 3, "import.unknown"),
    ("assets.csv", "2024-01-08", "2024-02-30", 3, "import.date"),
    ("assets.csv", "2024-01-08", "8.1.2024", 3, "import.date"),
    ("assets.csv", "2024-01-08", "0024-01-08", 3, "import.date"),
    ("assets.csv", "08,12", "08,-12", 3, "import.number"),
    ("assets.csv", "08,12", "08,1201", 3, "import.number"),
    ("assets.csv", "08,12", "08,١٢", 3, "import.number"),
    ("van_stock.csv", "erin,BAT-12,4", "erin,BAT-12,4.5", 2, "import.number"),
    ("van_stock.csv", "erin,BAT-12,4", "erin,BAT-13,4", 2, "import.unknown"),
    ("van_stock.csv", "erin,BAT-12,4", "dana,BAT-12,4", 2, "import.unknown"),
    ("van_stock.csv", "FUSE-2", "BAT-12", 3, "import.twice"),
    ("work_orders.csv", "PG-2,BX-2", "PG-1,BX-2", 3, "import.twice"),
    ("work_orders.csv", "BX-1,KH1", "BX-1,KH2", 2, "import.not-of"),
    ("work_orders.csv", "KH1,ZD1", "KH1,ZD9", 2, "import.unknown"),
    ("work_orders.csv", "ZD1,LX1", "ZD1,LX2", 2, "import.not-of"),
    ("work_orders.csv", "WAH200-2508-00173", "WSR50-2312-00988", 2, "import.not-of"),
    ("work_orders.csv", "WAH200-2508-00173", "WAH200-9", 2, "import.unknown"),
    ("work_orders.csv", "repair,major", "cleaning,major", 2, "import.choice"),
    ("work_orders.csv", "repair,major", "repair,huge", 2, "import.choice"),
    ("work_orders.csv", "major,phone", "major,pigeon", 2, "import.choice"),
    ("work_orders.csv", "2026-03-10T09:00", "2026-03-10", 2, "import.moment"),
    ("work_orders.csv", "2026-03-10T09:00", "2026-03-10T25:00", 2, "import.moment"),
    ("work_orders.csv", "2026-03-10T09:00", "2026-03-10T09:00Z", 2, "import.moment"),
    ("work_orders.csv", "主机无反应", "", 2, "import.empty"),
    ("work_orders.csv", "主机无反应", "主" * 4001, 2, "import.long"),
    ("work_orders.csv", "erin,2026", "olga,2026", 2, "import.unknown"),
    ("work_orders.csv", "2026-03-10T10:50", "", 2, "import.pair"),
    ("work_orders.csv", "万用表", "万" * 201, 2, "import.long"),
    ("work_orders.csv", "BX-2,KH2", "BX-1,KH2", 3, "import.request-differs"),
]


@pytest.mark.parametrize(("file", "before", "after", "line", "reason"), REFUSALS)
def test_a_bad_line_is_named_and_nothing_is_stored(
    folder, organisation, file, before, after, line, reason
):
    change(folder, file, before, after)
    assert (file, line, reason) in refused(folder, organisation)


def test_every_reason_can_happen():
    tried = {reason for *_, reason in REFUSALS}
    assert tried | {"import.encoding", "import.moment-skipped"} == set(REASONS)


@pytest.mark.parametrize(
    "raw",
    [
        "code,name\nKH1,上海".encode("utf-16"),
        b"code,name\nKH1,\xff\xff\n",
        # UTF-8 with one damaged byte: GB18030 would read it, as nonsense
        "code,name\nKH1,上海浦江文创园管理有限公司".encode()[:-1] + b"\xff\n",
        b"\xef\xbb\xbfcode,name\nKH1,\xc9\xcf\n",
    ],
)
def test_an_unreadable_encoding_is_named(folder, organisation, raw):
    (folder / "customers.csv").write_bytes(raw)
    assert refused(folder, organisation) == [("customers.csv", 1, "import.encoding")]


def test_a_local_time_that_the_clocks_skipped_is_named(folder, organisation):
    change(folder, "sites.csv", "county,Asia/Shanghai", "county,Europe/Berlin")
    change(folder, "work_orders.csv", "2026-03-10 08:00:30", "2026-03-29 02:30:00")
    assert refused(folder, organisation) == [("work_orders.csv", 3, "import.moment-skipped")]


def test_a_local_time_is_the_sites(folder, organisation):
    change(folder, "sites.csv", "county,Asia/Shanghai", "county,Europe/Berlin")
    visit = db.session.get(Visit, run(folder, organisation).visits[1])
    assert visit.work_order.request.reported_at == datetime(2026, 3, 10, 7, 0, 30, tzinfo=UTC)


def test_a_duplicate_names_both_lines(folder, organisation):
    change(folder, "customers.csv", "KH2,", "KH1,")
    with pytest.raises(ImportRefused) as raised:
        run(folder, organisation)
    (twice,) = [line for line in raised.value.lines if line.reason == "import.twice"]
    assert str(twice) == "customers.csv, line 3: KH1 already stands on line 2."


def test_a_bad_line_does_not_make_those_that_refer_to_it_bad(folder, organisation):
    change(folder, "customers.csv", "青浦恒达", "青浦\x07恒达")
    change(folder, "sites.csv", "county", "moon")
    assert refused(folder, organisation) == [
        ("customers.csv", 3, "import.control"),
        ("sites.csv", 4, "import.choice"),
    ]


def test_bad_lines_of_all_files_are_named_up_to_fifty(folder, organisation):
    lines = "".join(f"KH{n},\n" for n in range(10, 90))
    write(folder, {"customers.csv": GOOD["customers.csv"] + lines})
    change(folder, "parts.csv", "BAT-12,蓄电池 12V", "BAT-12,")
    with pytest.raises(ImportRefused) as raised:
        run(folder, organisation)
    assert len(raised.value.lines) == 50
    assert raised.value.count == 81
    assert raised.value.lines[0] == BadLine("customers.csv", 4, "import.empty")
    assert "customers.csv, line 4: name is empty." in str(raised.value)


def test_work_orders_of_one_request_must_agree_about_it(folder, organisation):
    run(folder, organisation)
    change(folder, "work_orders.csv", "PG-1,", "PG-3,")
    change(folder, "work_orders.csv", "2026-03-10T09:00", "2026-03-10T09:01")
    with pytest.raises(ImportRefused) as raised:
        run(folder, organisation)
    (differs,) = raised.value.lines
    assert (differs.reason, differs.args["column"]) == ("import.request-differs", "reported_at")


def test_another_organisations_rows_are_not_seen(folder, organisation):
    elsewhere = cast.make_organisation("Elsewhere")
    cast.make_person("olly", elsewhere, roles_text="engineer dispatcher")
    db.session.commit()
    run(folder, organisation)
    (folder / "customers.csv").unlink()
    with pytest.raises(ImportRefused) as raised:
        import_directory(folder, elsewhere, now=MORNING, author=person("olly"))
    assert BadLine("sites.csv", 2, "import.unknown") in raised.value.lines


def test_an_accepted_visit_is_not_told_of_changes(folder, organisation):
    visit_id = run(folder, organisation).visits[0]
    with unit(organisation.id, MORNING + timedelta(hours=3)) as opened:
        opened.perform("review", visit_id, person("dana"), {"verdict": "accepted"})
    _, before = revs()
    change(folder, "contacts.csv", "138-0000-0001", "139-0000-0002")
    run(folder, organisation, MORNING + timedelta(hours=4))
    assert revs()[1] == before
