"""A month's papers in one file: whole, in order, told honestly, and for its own office alone."""

import csv
import io
import subprocess
import zipfile
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from fieldapp import bundling
from fieldapp.cli import main
from fieldapp.models import Bundle, Report, db
from fieldapp.verify import verdict_of
from sync.verdict import digest_of
from tests.phones import PAGE

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
