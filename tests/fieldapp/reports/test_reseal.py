"""A lost paper comes back the same, or is refused; what was handed out before stays genuine."""

import re

import pytest
from sqlalchemy import select

from fieldapp import blobs, reports, timestamps
from fieldapp.cli import main
from fieldapp.letterhead import change_letterhead, keep_logo
from fieldapp.models import Organisation, Report, ReportSource, db
from fieldapp.rendering import RenderPool, report_environment
from sync.verdict import digest_of
from tests.authority import Authority
from tests.fieldapp.reports.papers import (
    inside,
    measure,
    noted,
    outcome,
    papers,
    photo,
    picture,
    row_of,
    text_of,
    upload,
)
from tests.phones import loaner, signature

AGAIN = "made again, the same before the seal, and sealed anew; both files are genuine."


@pytest.fixture
def reseal(app):
    """``reseal("PG-1")``: how the command ended and what it said."""

    def run(*arguments):
        done = app.test_cli_runner().invoke(main, ["reseal", *arguments])
        return done.exit_code, done.output

    return run


@pytest.fixture
def rich(app, erin_phone, visit, work):
    """Erin's visit with pictures on its papers, signed and sealed."""
    with app.app_context():
        owner = db.session.get_one(Organisation, erin_phone.person.org_id)
        keep_logo(owner, picture((40, 20), "PNG"))
        db.session.commit()
    data = picture()
    erin_phone.push(
        measure(erin_phone, visit, "replaced 䶮"),
        photo(erin_phone, visit, data),
    )
    upload(erin_phone, data)
    erin_phone.push(signature(erin_phone, visit))
    work()
    return visit


def rows(app, visit_id):
    with app.app_context():
        asked = select(Report).where(Report.visit_id == visit_id)
        return db.session.scalars(asked.order_by(Report.revision, Report.name)).all()


def file_of(row):
    return row.org_id, reports.paper_file(row.visit_id, row.revision, row.name)


def kept(app, row):
    with app.app_context():
        return blobs.read(*file_of(row))


def lose(app, row):
    """The file is gone; what it was."""
    with app.app_context():
        whole = blobs.read(*file_of(row))
        blobs.remove(*file_of(row))
    return whole


def unsealed(pdf, sha256):
    """What the seal was put on: the beginning of ``pdf`` with this SHA-256."""
    ends = [match.end() for match in re.finditer(rb"%%EOF\n?", pdf)]
    return next(pdf[:end] for end in ends if digest_of(pdf[:end]) == sha256)


def test_a_lost_paper_is_made_again_and_both_files_are_genuine(app, rich, reseal):
    (row,) = rows(app, rich)
    before = lose(app, row)
    assert reseal("PG-1") == (0, f"revision 1, Fault dispatch order: {AGAIN}\n")
    ((_, after),) = papers(app, rich)
    assert after != before
    original = unsealed(before, row.unsealed_sha256)
    assert unsealed(after, row_of(app, rich).unsealed_sha256) == original
    assert before.startswith(original)
    assert after.startswith(original)
    assert [outcome(app, pdf) for pdf in (before, after)] == ["genuine", "genuine"]
    assert outcome(app, after[:-1] + b" ") == "altered"
    assert "䶮" in text_of(after)


def test_what_changed_meanwhile_does_not_stand_on_it(app, rich, reseal, erin_phone):
    """The head, the words and the visit are those of the day of the seal."""
    (row,) = rows(app, rich)
    before = lose(app, row)
    with app.app_context():
        owner = db.session.get_one(Organisation, row.org_id)
        change_letterhead(owner, {"name": "Brook and Sons", "policy": "software"})
        owner.logo = ""
        db.session.commit()
    noted(erin_phone, rich)
    assert reseal(rich)[0] == 0
    after = kept(app, row)
    assert unsealed(after, row.unsealed_sha256) == unsealed(before, row.unsealed_sha256)
    assert "Brook and Sons" not in text_of(after)


def test_every_paper_of_a_revision_comes_back(app, visit, erin_phone, work, reseal):
    with app.app_context():
        db.session.get_one(Organisation, erin_phone.person.org_id).policy = "multi"
        db.session.commit()
    erin_phone.push(measure(erin_phone, visit), loaner(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit))
    work()
    every = rows(app, visit)
    assert len(every) > 1
    before = {row.name: lose(app, row) for row in every}
    code, told = reseal("PG-1", "--revision", "1")
    assert (code, told.count(AGAIN)) == (0, len(every))
    for row in rows(app, visit):
        after = kept(app, row)
        assert digest_of(after) == row.sha256
        assert unsealed(after, row.unsealed_sha256) == unsealed(
            before[row.name], row.unsealed_sha256
        )
        assert [outcome(app, pdf) for pdf in (before[row.name], after)] == ["genuine"] * 2


def test_a_damaged_file_counts_as_lost_and_is_kept_aside(app, rich, reseal):
    (row,) = rows(app, rich)
    before = lose(app, row)
    damaged = before[:-1]
    with app.app_context():
        blobs.write(*file_of(row), damaged)
    code, told = reseal("PG-1")
    assert code == 0
    aside = re.search(r"The damaged file is kept as (\S+)\.$", told)[1]
    with app.app_context():
        assert blobs.read(row.org_id, aside) == damaged
    assert outcome(app, damaged) == "altered"
    assert [outcome(app, pdf) for pdf in (before, kept(app, row))] == ["genuine", "genuine"]


def test_what_is_not_lost_is_left_alone(app, rich, reseal):
    before = papers(app, rich)
    code, told = reseal("PG-1")
    assert (code, told) == (1, "Error: No paper of PG-1 is lost: all are what was sealed.\n")
    assert papers(app, rich) == before


@pytest.mark.parametrize(
    ("called", "said"),
    [
        (["PG-404"], "No visit and no work order is called PG-404."),
        (["PG-1", "--revision", "7"], "No such paper of PG-1 was ever sealed."),
        (["PG-1", "--organisation", "Elsewhere"], "No visit and no work order is called PG-1."),
        (["PG-1", "--organisation", "Nobody"], "there is no such organisation"),
    ],
)
def test_what_nobody_knows_is_refused(app, rich, olly, reseal, called, said):
    (row,) = rows(app, rich)
    lose(app, row)
    if "--organisation" not in called:
        called = [*called, "--organisation", "Brook Alarms"]
    code, told = reseal(*called)
    assert code == 1
    assert said in told
    assert kept(app, row) is None


def test_an_earlier_revision_is_put_back_from_the_later_one_that_carries_it(
    app, signed, erin_phone, work, reseal
):
    noted(erin_phone, signed)
    work()
    noted(erin_phone, signed)
    work()
    before = papers(app, signed)
    first, second, _ = rows(app, signed)
    lose(app, first)
    lose(app, second)
    code, told = reseal("PG-1")
    assert code == 0
    assert told.splitlines() == [
        f"revision {n}, Fault dispatch order: "
        f"put back as it was, from revision {n + 1}, which carries it."
        for n in (1, 2)
    ]
    assert papers(app, signed) == before


def test_what_carries_a_file_that_is_gone_for_ever_is_not_made_up(
    app, signed, erin_phone, work, reseal
):
    noted(erin_phone, signed)
    work()
    first, second = rows(app, signed)
    old = lose(app, first)
    lose(app, second)
    code, told = reseal("PG-1")
    assert code == 1
    assert told.splitlines() == [
        f"revision 1, Fault dispatch order: {AGAIN}",
        "revision 2, Fault dispatch order: still lost. "
        "What belongs on it is lost or damaged too: previous.pdf.",
    ]
    assert outcome(app, old) == outcome(app, kept(app, first)) == "superseded"
    assert kept(app, second) is None


def test_an_earlier_paper_that_got_its_timestamp_meanwhile_goes_along_without(
    app, visit, erin_phone, work, reseal, tmp_path_factory
):
    with Authority(tmp_path_factory.mktemp("authority")) as authority:
        app.config["TIMESTAMP_URL"] = authority.url
        authority.is_silent = True
        erin_phone.push(signature(erin_phone, visit))
        work()
        noted(erin_phone, visit)
        work()
        (_, first), (_, second) = papers(app, visit)
        authority.is_silent = False
        with app.app_context():
            assert timestamps.add_timestamps() == 2
        row = rows(app, visit)[1]
        lose(app, row)
        assert reseal("PG-1")[0] == 0
        after = kept(app, row)
    assert unsealed(after, row.unsealed_sha256) == unsealed(second, row.unsealed_sha256)
    assert inside(after, "previous.pdf") == first
    assert outcome(app, after) == "genuine"


def test_a_print_copy_is_made_again_from_its_photo_but_not_from_nothing(app, rich, reseal):
    (row,) = rows(app, rich)
    lose(app, row)
    name = digest_of(picture())
    with app.app_context():
        original = blobs.read(row.org_id, name)
        blobs.remove(row.org_id, f"{name}.jpg")
        blobs.remove(row.org_id, name)
    code, told = reseal("PG-1")
    assert code == 1
    assert f"What belongs on it is lost or damaged too: {name}.jpg." in told
    assert kept(app, row) is None
    with app.app_context():
        blobs.write(row.org_id, name, original)
    assert reseal("PG-1")[0] == 0


def environment_of_tomorrow(language):
    """An upgrade: the papers say one word otherwise."""
    environment = report_environment(language)
    say = environment.globals["say"]
    environment.globals["say"] = lambda message: say(message).upper()
    return environment


def test_a_paper_that_would_be_another_today_is_refused(app, rich, reseal, monkeypatch):
    (row,) = rows(app, rich)
    before = lose(app, row)
    with app.app_context():
        db.session.scalars(select(ReportSource)).one().made_by = "0.1.9"
        db.session.commit()
    with RenderPool(1, seconds=60, environment=environment_of_tomorrow) as tomorrow:
        monkeypatch.setitem(app.extensions, "render_pool", tomorrow)
        code, told = reseal("PG-1")
    assert code == 1
    assert "still lost. It was made by fieldapp 0.1.9; made by this one," in told
    assert kept(app, row) is None
    assert outcome(app, before) == "genuine"
    monkeypatch.undo()
    assert reseal("PG-1")[0] == 0


def test_a_paper_of_before_sources_were_kept_is_refused(app, rich, reseal):
    (row,) = rows(app, rich)
    lose(app, row)
    with app.app_context():
        db.session.delete(db.session.scalars(select(ReportSource)).one())
        db.session.commit()
    code, told = reseal("PG-1")
    assert code == 1
    assert "It was sealed by a fieldapp that did not keep what it says." in told
    assert kept(app, row) is None
