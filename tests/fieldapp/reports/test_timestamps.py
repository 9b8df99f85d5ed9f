"""Timestamps that come later: asked for again, added once, and both files stay genuine."""

import io

import pytest
from sqlalchemy import select

from fieldapp import blobs, jobs, keys, reports, timestamps
from fieldapp.models import Report, ReportFile, db
from fieldapp.verify import verdict_of
from sync.seal_check import inspect
from sync.seal_key import pem_of
from sync.verdict import digest_of
from tests.authority import Authority
from tests.fieldapp.reports.papers import make, noted, outcome, papers, row_of
from tests.phones import signature
from tests.tampering import flipped


@pytest.fixture
def authority(app, tmp_path_factory):
    """An authority that this office trusts, silent until a test says otherwise."""
    with Authority(tmp_path_factory.mktemp("authority")) as authority:
        app.config["TIMESTAMP_URL"] = authority.url
        app.config["TIMESTAMP_CERTIFICATES"] = str(authority.folder / "root.crt.pem")
        authority.is_silent = True
        yield authority


@pytest.fixture
def waiting(authority, signed):
    """The id of a visit whose paper was sealed while the authority was silent."""
    return signed


def sweep(app):
    with app.app_context():
        return timestamps.add_timestamps()


def paper(app, visit_id):
    return papers(app, visit_id)[-1][1]


def trust(app, pdf):
    with app.app_context():
        return inspect(pdf, keys.certificates(), keys.timestamp_certificates()).timestamp


def files(app):
    with app.app_context():
        return set(db.session.scalars(select(ReportFile.sha256)))


def test_an_authority_that_answers_is_asked_at_once(app, authority, visit, erin_phone, work):
    authority.is_silent = False
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert trust(app, paper(app, visit)) == "trusted"
    assert not row_of(app, visit).awaits_timestamp
    assert sweep(app) == 0
    assert files(app) == set()


def test_without_an_authority_nothing_waits_for_it(app, signed):
    assert not row_of(app, signed).awaits_timestamp
    assert sweep(app) == 0


def test_a_silent_authority_holds_no_paper_up(app, waiting, authority):
    before = paper(app, waiting)
    assert row_of(app, waiting).awaits_timestamp
    assert trust(app, before) == "none"
    assert outcome(app, before) == "genuine"
    assert sweep(app) == 0
    assert paper(app, waiting) == before


def test_the_timestamp_comes_later_and_both_files_are_genuine(app, waiting, authority):
    before = paper(app, waiting)
    authority.is_silent = False
    assert sweep(app) == 1
    after = paper(app, waiting)
    assert after.startswith(before)
    assert after != before
    assert (trust(app, before), trust(app, after)) == ("none", "trusted")
    for pdf in (before, after):
        assert outcome(app, pdf) == "genuine"
        assert outcome(app, flipped(pdf, 5000)) == "altered"
    assert outcome(app, after + b"\n") == "altered"
    assert outcome(app, after[: len(before) + 100]) == "altered"
    assert files(app) == {digest_of(before), digest_of(after)}
    assert sweep(app) == 0
    assert paper(app, waiting) == after


def test_what_is_said_of_the_timestamp_depends_on_whom_the_office_trusts(app, waiting, authority):
    authority.is_silent = False
    sweep(app)
    with app.app_context():
        found = verdict_of(paper(app, waiting))
        assert (found.outcome, found.timestamp) == ("genuine", "trusted")
        assert found.timestamp_at >= found.signed_at
        app.config["TIMESTAMP_CERTIFICATES"] = ""
        assert verdict_of(paper(app, waiting)).timestamp == "unknown"


@pytest.mark.usefixtures("fresh_limits")
def test_the_page_names_the_timestamp(app, waiting, authority, anybody):
    def page():
        file = io.BytesIO(paper(app, waiting))
        return anybody.post("/verify", data={"file": (file, "paper.pdf")}).text

    assert "Timestamp" not in page()
    authority.is_silent = False
    sweep(app)
    assert "by an authority that this office trusts" in page()
    app.config["TIMESTAMP_CERTIFICATES"] = ""
    assert "by an authority that this office does not know" in page()


def test_a_revision_after_the_timestamp_takes_both_files_places(
    app, waiting, authority, erin_phone, work
):
    before = paper(app, waiting)
    authority.is_silent = False
    sweep(app)
    after = paper(app, waiting)
    noted(erin_phone, waiting)
    work()
    assert [outcome(app, pdf) for pdf in (before, after)] == ["superseded", "superseded"]
    newest = papers(app, waiting)[-1]
    assert newest[0] == 2
    assert outcome(app, newest[1]) == "genuine"


def test_it_is_asked_for_again_in_the_background_and_when_the_server_starts(
    app, waiting, authority, work
):
    with app.app_context():
        jobs.enqueue("timestamps", "")
    work()
    assert row_of(app, waiting).awaits_timestamp
    authority.is_silent = False
    with app.app_context():
        jobs.enqueue("timestamps", "")
    work()
    assert not row_of(app, waiting).awaits_timestamp
    assert trust(app, paper(app, waiting)) == "trusted"


def test_a_silent_authority_is_asked_once_however_many_wait(
    app, waiting, authority, visit_of, erin, erin_phone, work, monkeypatch
):
    second = visit_of(erin, "PG-2")
    erin_phone.push(signature(erin_phone, second))
    work()
    asked = []
    pool = app.extensions["render_pool"]
    add = pool.add_timestamp
    monkeypatch.setattr(pool, "add_timestamp", lambda *given: asked.append(1) or add(*given))
    assert sweep(app) == 0
    assert len(asked) == 1
    authority.is_silent = False
    assert sweep(app) == 2


def lose(app, visit_id):
    row = row_of(app, visit_id)
    with app.app_context():
        name = reports.paper_file(visit_id, row.revision, row.name)
        whole = blobs.read(row.org_id, name)
        blobs.write(row.org_id, name, whole[:-1])
    return row.org_id, name, whole


def test_a_file_that_is_not_the_registered_one_gets_none(
    app, waiting, authority, visit_of, erin, erin_phone, work
):
    """Its digest would become genuine; the papers behind it do not wait for it."""
    second = visit_of(erin, "PG-2")
    erin_phone.push(signature(erin_phone, second))
    work()
    org_id, name, whole = lose(app, waiting)
    authority.is_silent = False
    assert sweep(app) == 1
    assert row_of(app, waiting).awaits_timestamp
    assert not row_of(app, second).awaits_timestamp
    with app.app_context():
        assert blobs.read(org_id, name) == whole[:-1]
        blobs.write(org_id, name, whole)
    assert outcome(app, whole[:-1]) == "altered"
    assert sweep(app) == 1


@pytest.mark.parametrize("died", ["before the file", "between file and row"])
def test_a_process_that_died_on_the_way_leaves_only_genuine_files(
    app, waiting, authority, monkeypatch, died
):
    authority.is_silent = False
    before = paper(app, waiting)
    written = []
    write = blobs.write

    def die(*given):
        if died == "between file and row":
            write(*given)
        written.append(given[-1])
        raise ZeroDivisionError

    monkeypatch.setattr(blobs, "write", die)
    with pytest.raises(ZeroDivisionError):
        sweep(app)
    monkeypatch.undo()
    with app.app_context():
        row = db.session.scalars(select(Report)).one()
        held = reports.read_paper(row)
        assert row.awaits_timestamp
        assert row.sha256 == digest_of(before)
    assert held == (before if died == "before the file" else written[0])
    assert [outcome(app, pdf) for pdf in (before, held)] == ["genuine", "genuine"]
    asked = authority.asked
    assert sweep(app) == 1
    after = paper(app, waiting)
    if died == "between file and row":
        assert (after, authority.asked) == (held, asked)
    assert [outcome(app, pdf) for pdf in (before, after)] == ["genuine", "genuine"]


def test_of_two_who_stamp_at_once_one_writes(app, waiting, authority, monkeypatch):
    authority.is_silent = False
    before = paper(app, waiting)
    pool = app.extensions["render_pool"]
    add = pool.add_timestamp
    others = []

    def add_second(*given):
        if not others:
            others.append(None)
            others.append(sweep(app))  # somebody else is faster
        return add(*given)

    monkeypatch.setattr(pool, "add_timestamp", add_second)
    assert sweep(app) == 0
    assert others[1] == 1
    after = paper(app, waiting)
    assert trust(app, after) == "trusted"
    assert [outcome(app, pdf) for pdf in (before, after)] == ["genuine", "genuine"]
    assert make(app, waiting) == []


def test_certificates_come_from_the_file_that_the_setting_names(app, authority):
    with app.app_context():
        assert pem_of(keys.timestamp_certificates()) == pem_of([authority.certificate])
        app.config["TIMESTAMP_CERTIFICATES"] = ""
        assert keys.timestamp_certificates() == []
