"""A month's papers in one file: whole, in order, told honestly, and for its own office alone."""

import csv
import io
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from fieldapp import blobs, bundles, bundling, jobs, reports
from fieldapp.bundling import safe_name
from fieldapp.cli import main
from fieldapp.models import Bundle, Customer, Report, Visit, WorkOrder, db
from fieldapp.verify import verdict_of
from sync.verdict import digest_of
from tests.fieldapp.reports.papers import noted
from tests.phones import PAGE, signature

NOVEMBER = datetime(2026, 11, 10, 4, tzinfo=UTC)
HEADINGS = [
    "Work order", "Customer", "Site", "Job type", "Engineer", "Arrived (time at the site)",
    "Left (time at the site)", "Revision", "Paper", "Sealed (time at the office)", "Signature",
    "Superseded", "SHA-256", "File", "Missing",
]  # fmt: skip


def seal_at(app, visit_id, at):
    """The papers of a visit were sealed then."""
    with app.app_context():
        for row in db.session.scalars(select(Report).where(Report.visit_id == visit_id)):
            row.sealed_at = at
        db.session.commit()


@pytest.fixture
def november(app, signed):
    """The id of Erin's visit, whose papers were sealed in November 2026."""
    seal_at(app, signed, NOVEMBER)
    return signed


@pytest.fixture
def desk(dana, client_of):
    return client_of(dana)


def start(desk, month="2026-11"):
    return desk.post("/desk/bundles", data={"month": month}, headers=PAGE)


def newest(app):
    with app.app_context():
        return db.session.scalars(select(Bundle).order_by(Bundle.id.desc())).first()


def file_from(app, desk):
    """What the finished page hands out."""
    page = desk.get("/desk/bundles").text
    path = f"/desk/bundles/{newest(app).id}.zip"
    assert path in page
    response = desk.get(path)
    assert (response.status_code, response.mimetype) == (200, "application/zip")
    assert int(response.headers["Content-Length"]) == len(response.data)
    return response.data


def index_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        assert bundle.testzip() is None
        raw = bundle.read("index.csv")
    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.endswith(b"\r\n")
    first, *rows = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    assert first == HEADINGS
    return [dict(zip(first, row, strict=True)) for row in rows]


def registered(app):
    with app.app_context():
        return set(db.session.scalars(select(Report.sha256)))


def written(app, owner_id, month="2026-11", language="en"):
    """The index of a month as the command writes it."""
    with app.app_context():
        owner = db.session.get_one(bundling.Organisation, owner_id)
        out = io.BytesIO()
        bundling.write_bundle(out, owner, month, language, lambda *_: None)
    return out.getvalue()


def test_a_months_papers_come_in_one_file_with_an_index(app, november, desk, work, tmp_path):
    assert start(desk).location == "/desk/bundles"
    assert "0 of 1 papers" in desk.get("/desk/bundles").text
    assert work() == 1
    data = file_from(app, desk)
    (tmp_path / "papers.zip").write_bytes(data)
    tested = subprocess.run(["unzip", "-t", tmp_path / "papers.zip"], capture_output=True)
    assert tested.returncode == 0, tested.stdout
    (row,) = index_of(data)
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        assert bundle.namelist() == ["PG-1_r1_Fault-dispatch-order.pdf", "index.csv"]
        pdf = bundle.read(row["File"])
    assert {row["SHA-256"]} == {digest_of(pdf)} == registered(app)
    with app.app_context():
        assert verdict_of(pdf).outcome == "genuine"
    assert row | {"SHA-256": "", "Arrived (time at the site)": ""} == {
        "Work order": "PG-1", "Customer": "Customer C1", "Site": "Main hall",
        "Job type": "Repair", "Engineer": "Erin Ng", "Arrived (time at the site)": "",
        "Left (time at the site)": "", "Revision": "1", "Paper": "Fault dispatch order",
        "Sealed (time at the office)": "2026-11-10 12:00",
        "Signature": "The office holds what was signed", "Superseded": "no", "SHA-256": "",
        "File": "PG-1_r1_Fault-dispatch-order.pdf", "Missing": "",
    }  # fmt: skip


def test_nobody_else_gets_it(app, november, desk, work, erin, olly, client_of, anybody):
    start(desk)
    work()
    id_ = newest(app).id
    for path in ("", f"/{id_}", f"/{id_}.zip"):
        assert client_of(erin).get(f"/desk/bundles{path}").status_code == 403
        assert anybody.get(f"/desk/bundles{path}").location == "/sign-in"
    stranger = client_of(olly)
    assert id_ not in stranger.get("/desk/bundles").text
    for path in (f"/{id_}", f"/{id_}.zip"):
        response = stranger.get(f"/desk/bundles{path}")
        assert response.status_code == 404
        assert "PG-1" not in response.text
    assert stranger.post(f"/desk/bundles/{id_}/tries", headers=PAGE).status_code == 404
    assert start(stranger).status_code == 422
    assert start(client_of(erin)).status_code == 403
    with app.app_context():
        assert len(db.session.scalars(select(Bundle)).all()) == 1


@pytest.mark.parametrize(
    ("month", "said"),
    [("2026-10", "No paper was sealed in that month"), ("2026-13", "That is no month"),
     ("", "That is no month"), ("../..", "That is no month"), ("9999-12", "That is no month")],
)  # fmt: skip
def test_a_month_without_papers_or_none_at_all_starts_nothing(app, november, desk, month, said):
    response = start(desk, month)
    assert response.status_code == 422
    assert said in response.text
    assert newest(app) is None


def test_the_command_writes_the_same_file(app, november, tmp_path):
    runner = app.test_cli_runner()
    out = tmp_path / "papers.zip"
    done = runner.invoke(main, ["papers", "2026-11", "--out", str(out)], env={"LANG": "en_GB"})
    assert (done.exit_code, done.output) == (0, "papers of 2026-11: 1, of which missing: 0\n")
    assert [row["Work order"] for row in index_of(out.read_bytes())] == ["PG-1"]
    assert [path.name for path in tmp_path.glob("papers*")] == ["papers.zip"]
    wrong = runner.invoke(main, ["papers", "November", "--out", str(out)])
    assert wrong.exit_code == 1
    assert "a month looks like 2026-11" in wrong.output


# What is in it


@pytest.fixture
def seal_another(app, visit_of, erin, erin_phone, work):
    """``seal_another("PG-2")``: the id of another visit whose papers were sealed in November."""

    def make(number):
        visit_id = visit_of(erin, number)
        erin_phone.push(signature(erin_phone, visit_id))
        work()
        seal_at(app, visit_id, NOVEMBER)
        return visit_id

    return make


def change(app, row_type, id_, **values):
    with app.app_context():
        row = db.session.get_one(row_type, id_)
        for key, value in values.items():
            setattr(row, key, value)
        db.session.commit()


def test_every_revision_stands_in_the_month_of_its_seal_and_says_whether_it_counts(
    app, november, organisation, erin_phone, work
):
    noted(erin_phone, november)
    work()
    with app.app_context():
        first, second = db.session.scalars(select(Report).order_by(Report.revision))
        ids = first.id, second.id
    change(app, Report, ids[0], sealed_at=datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC))
    change(app, Report, ids[1], sealed_at=datetime(2026, 11, 30, 16, tzinfo=UTC))
    (in_november,) = index_of(written(app, organisation))
    (in_december,) = index_of(written(app, organisation, "2026-12"))
    told = [(row["Revision"], row["Superseded"]) for row in (in_november, in_december)]
    assert told == [("1", "yes"), ("2", "no")]
    assert in_november["Sealed (time at the office)"] == "2026-11-30 23:59"
    change(app, Report, ids[1], sealed_at=NOVEMBER)
    assert [row["Revision"] for row in index_of(written(app, organisation))] == ["2", "1"]


def test_a_lost_and_a_damaged_file_are_named_and_stop_nothing(
    app, november, seal_another, desk, work, tmp_path
):
    lost, damaged = seal_another("PG-2"), seal_another("PG-3")
    with app.app_context():
        for row in db.session.scalars(select(Report).where(Report.visit_id.in_([lost, damaged]))):
            file = reports.paper_file(row.visit_id, row.revision, row.name)
            whole = blobs.read(row.org_id, file)
            if row.visit_id == lost:
                blobs.remove(row.org_id, file)
            else:
                blobs.write(row.org_id, file, whole[:-1])
    start(desk)
    work()
    assert "3 papers" in (page := desk.get("/desk/bundles").text)
    assert "2 missing: the index names them" in page
    data = file_from(app, desk)
    rows = {row["Work order"]: row for row in index_of(data)}
    assert {number: (row["File"], row["Missing"]) for number, row in rows.items()} == {
        "PG-1": ("PG-1_r1_Fault-dispatch-order.pdf", ""),
        "PG-2": ("", "The file of this paper is lost."),
        "PG-3": ("", "The file of this paper is damaged: it is not what was sealed."),
    }
    assert {row["SHA-256"] for row in rows.values()} == registered(app)
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        assert bundle.namelist() == ["PG-1_r1_Fault-dispatch-order.pdf", "index.csv"]
    out = str(tmp_path / "papers.zip")
    done = app.test_cli_runner().invoke(main, ["papers", "2026-11", "--out", out])
    assert (done.exit_code, done.output) == (1, "papers of 2026-11: 3, of which missing: 2\n")


HOSTILE = '=HYPERLINK("http://e.example/","x")'


def test_hostile_numbers_and_names_stay_text(app, november, organisation, seal_another):
    numbers = ["../../etc/passwd", HOSTILE, "\t-2+3", "\u202e//工单\\1号", "." * 40]
    visits = [november, *(seal_another(f"PG-{n}") for n in range(2, 2 + len(numbers) - 1))]
    with app.app_context():
        orders = [db.session.get_one(Visit, visit_id).work_order_id for visit_id in visits]
        customer = db.session.scalars(select(Customer)).one().id
    change(app, Customer, customer, name='@SUM(A1) "quoted",\r\nsecond line')
    for order, number in zip(orders, numbers, strict=True):
        change(app, WorkOrder, order, number=number)
    data = written(app, organisation)
    rows = index_of(data)
    assert {row["Work order"] for row in rows} == {
        "../../etc/passwd", f"'{HOSTILE}", "'\t-2+3", "\u202e//工单\\1号", "." * 40
    }  # fmt: skip
    assert {row["Customer"] for row in rows} == {'\'@SUM(A1) "quoted",\r\nsecond line'}
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        names = bundle.namelist()
    assert {row["File"] for row in rows} == set(names) - {"index.csv"}
    safe = "_r1_Fault-dispatch-order.pdf"
    assert set(names) == {
        f"etc-passwd{safe}", f"HYPERLINK-http-e-example-x{safe}", f"2-3{safe}",
        f"工单-1号{safe}", f"{visits[4]}{safe}", "index.csv",
    }  # fmt: skip


def test_numbers_that_look_alike_do_not_take_each_others_file(
    app, november, organisation, seal_another
):
    second, third = seal_another("PG 1"), seal_another("pg-1")
    data = written(app, organisation)
    # a system that knows no capitals sees three files
    assert {row["File"].casefold() for row in index_of(data)} == {
        f"pg-1_r1_fault-dispatch-order{which}.pdf" for which in ("", "_2", "_3")
    }
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        found = {row["Work order"]: digest_of(bundle.read(row["File"])) for row in index_of(data)}
    with app.app_context():
        for visit_id, number in ((november, "PG-1"), (second, "PG 1"), (third, "pg-1")):
            asked = select(Report.sha256).where(Report.visit_id == visit_id)
            assert found[number] == db.session.scalar(asked)


def test_a_name_is_no_longer_than_a_system_takes():
    assert len(f"{safe_name('单' * 300)}_r1_{safe_name('单' * 300)}.pdf".encode()) <= 255
    assert safe_name("..") == safe_name("\0/") == ""


def test_who_reads_chinese_gets_it_in_chinese(app, november, dana, client_of, work, tmp_path):
    desk = client_of(dana, "zh_CN")
    page = desk.post("/desk/bundles", data={"month": "2026-11"}, headers=PAGE)
    assert page.status_code == 303
    work()
    data = desk.get(f"/desk/bundles/{newest(app).id}.zip").data
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        name, index = bundle.namelist()
        rows = list(csv.reader(io.StringIO(bundle.read(index).decode("utf-8-sig"))))
    assert name == "PG-1_r1_故障处理派工单.pdf"
    assert rows[0][:4] == ["工单编号", "客户", "现场", "工作类型"]
    assert rows[1][3] == "维修"
    assert rows[1][11] == "否"


# How it is made


def test_the_page_says_how_far_it_is_while_it_is_made(
    app, november, seal_another, desk, work, monkeypatch
):
    seal_another("PG-2")
    monkeypatch.setattr(bundling, "AT_ONCE", 1)
    read, seen = blobs.read, []

    def look(org_id, name):
        with ThreadPoolExecutor(1) as somebody:  # who is not inside the job's own context
            part = somebody.submit(desk.get, f"/desk/bundles/{id_}").result().text
        seen.append((part.count('value="0"') + 2 * part.count('value="1"'), "every 2s" in part))
        return read(org_id, name)

    start(desk)
    id_ = newest(app).id
    monkeypatch.setattr(blobs, "read", look)
    work()
    assert seen == [(1, True), (2, True)]
    part = desk.get(f"/desk/bundles/{newest(app).id}").text
    assert "Ready" in part
    assert "every 2s" not in part


def test_one_that_is_being_made_is_not_begun_a_second_time(app, november, desk, work):
    start(desk)
    start(desk)
    assert work() == 1
    with app.app_context():
        assert len(db.session.scalars(select(Bundle)).all()) == 1
    start(desk)
    assert work() == 1
    with app.app_context():
        bundles.make_bundle(newest(app).id, datetime.now(UTC))
    assert newest(app).tries == 1


def test_one_that_fails_says_why_and_is_begun_again(app, november, desk, work, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device <b>")

    monkeypatch.setattr(bundling.zipfile.ZipFile, "writestr", full)
    start(desk)
    work()
    page = desk.get("/desk/bundles").text
    assert (
        "The file could not be made: OSError: [Errno 28] No space left on device &lt;b&gt;" in page
    )
    id_ = newest(app).id
    assert desk.get(f"/desk/bundles/{id_}.zip").status_code == 404
    with app.app_context():
        assert blobs.read(newest(app).org_id, f"bundles/{id_}-1.zip") is None
    monkeypatch.undo()
    assert desk.post(f"/desk/bundles/{id_}/tries", headers=PAGE).location == "/desk/bundles"
    work()
    assert len(index_of(file_from(app, desk))) == 1
    assert desk.post(f"/desk/bundles/{id_}/tries", headers=PAGE).status_code == 303
    assert work() == 0


def long_ago(app):
    silent = timedelta(seconds=bundles.LOST_SECONDS + 1)
    change(app, Bundle, newest(app).id, seen_at=datetime.now(UTC) - silent)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("waiting", "Nobody has begun it: other work comes first."),
        ("running", "The server stopped before it was finished."),
    ],
)
def test_one_whose_job_is_lost_says_so_and_is_begun_again(app, november, desk, work, state, said):
    start(desk)
    app.extensions["huey"].storage.flush_queue()
    id_ = newest(app).id
    change(app, Bundle, id_, state=state)
    assert "Start again" not in desk.get("/desk/bundles").text
    long_ago(app)
    page = desk.get("/desk/bundles").text
    assert said in page
    assert "every 2s" not in page
    desk.post(f"/desk/bundles/{id_}/tries", headers=PAGE)
    assert work() == 1
    assert len(index_of(file_from(app, desk))) == 1


def test_one_that_nobody_began_is_found_every_hour(app, november, desk, work):
    start(desk)
    app.extensions["huey"].storage.flush_queue()
    with app.app_context():
        jobs.perform_job("bundles", "")
    assert work() == 0
    long_ago(app)
    with app.app_context():
        jobs.perform_job("bundles", "")
    assert work() == 1
    assert newest(app).state == "ready"


@pytest.mark.parametrize("has_written", [False, True])
def test_who_was_thought_lost_and_goes_on_spoils_nothing(
    app, november, organisation, desk, monkeypatch, has_written
):
    """Slow storage: a second try is begun and ends before the first has written, or just after."""
    start(desk)
    id_ = newest(app).id
    write, tries = bundling.write_bundle, []

    def slow(out, *given):
        tries.append(id_)
        if len(tries) > 1:
            return write(out, *given)
        done = write(out, *given) if has_written else None
        out.write(b"more than a file")
        long_ago(app)
        desk.post(f"/desk/bundles/{id_}/tries", headers=PAGE)
        bundles.make_bundle(id_, datetime.now(UTC))
        return done or write(out, *given)

    monkeypatch.setattr(bundles, "write_bundle", slow)
    with app.app_context():
        bundles.make_bundle(id_, datetime.now(UTC))
    assert (len(tries), newest(app).tries, newest(app).state) == (2, 2, "ready")
    assert len(index_of(file_from(app, desk))) == 1
    with app.app_context():
        assert blobs.read(organisation, f"bundles/{id_}-1.zip") is None


def test_files_are_forgotten_after_their_days(app, november, desk, work):
    start(desk)
    work()
    bundle = newest(app)
    now = datetime.now(UTC)
    with app.app_context():
        half = f"bundles/{bundle.id}-1.zip.0123456789abcdef.new"  # of a server that was killed
        blobs.write(bundle.org_id, half, b"half a file")
        assert bundles.forget_old(now + timedelta(days=6)) == 0
        assert blobs.read(bundle.org_id, f"bundles/{bundle.id}-1.zip")
        assert bundles.forget_old(now + timedelta(days=8)) == 1
        assert blobs.read(bundle.org_id, f"bundles/{bundle.id}-1.zip") is None
        assert blobs.read(bundle.org_id, half) is None
    assert desk.get(f"/desk/bundles/{bundle.id}.zip").status_code == 404
    assert bundle.id not in desk.get("/desk/bundles").text
