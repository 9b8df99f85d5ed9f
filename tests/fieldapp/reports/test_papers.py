"""Which papers a visit yields, who signs them, and whose they are."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from fieldapp import hindrances, policies
from fieldapp.letterhead import change_letterhead, keep_logo
from fieldapp.models import Organisation, Report, Visit, db
from fieldapp.policies import load_policy
from sync.problems import Problem
from tests.fieldapp.reports.papers import (
    entry_of,
    inside,
    make,
    measure,
    newest_text,
    noted,
    outcome,
    papers,
    picture,
    pictures_in,
    revisions,
    text_of,
)
from tests.phones import loaner, signature


def owner():
    return db.session.scalars(select(Organisation)).one()


@pytest.fixture
def change_pack(monkeypatch):
    """``change_pack(**keys)`` gives the organisation's pack other values."""

    def change(**keys):
        pack = load_policy("alarm")
        changed = policies.Policy(pack.code, pack.version, pack.data | keys)
        for module in ("fieldapp.paper", "fieldapp.reports"):
            monkeypatch.setattr(f"{module}.load_policy", lambda _: changed)

    return change


@pytest.fixture
def lent(app, erin_phone, visit, work):
    """A visit on which a loaner was left, signed and sealed."""
    erin_phone.push(loaner(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit))
    work()
    return visit


def test_a_loaner_yields_a_notice_of_the_same_revision(app, lent):
    ((revision, order),) = papers(app, lent)
    ((same, notice),) = papers(app, lent, "replacement-notice")
    assert (revision, same) == (1, 1)
    assert "Spare-replacement notice" in text_of(notice)
    assert "back on Friday" in text_of(notice)
    assert "Fault dispatch order" in text_of(order)
    assert {outcome(app, order), outcome(app, notice)} == {"genuine"}
    assert inside(order) == inside(notice)


def test_a_visit_without_a_loaner_yields_no_notice(app, signed):
    assert len(papers(app, signed)) == 1
    assert papers(app, signed, "replacement-notice") == []


def test_every_paper_of_the_revision_before_is_superseded(app, lent, erin_phone, work):
    noted(erin_phone, lent)
    work()
    (_, old), (_, new) = papers(app, lent, "replacement-notice")
    assert (outcome(app, old), outcome(app, new)) == ("superseded", "genuine")
    assert inside(new, "previous.pdf") == old


def test_a_notice_whose_loaner_was_struck_out_stays_behind(app, lent, erin_phone, work):
    void = {"entry": entry_of(erin_phone, lent, "loaner"), "reason": "it was never left there"}
    erin_phone.push(erin_phone.operation("void", lent, void))
    erin_phone.push(signature(erin_phone, lent))
    work()
    assert revisions(app, lent) == [1, 2]
    ((revision, notice),) = papers(app, lent, "replacement-notice")
    assert (revision, outcome(app, notice)) == (1, "superseded")


def test_two_papers_are_sealed_together_or_not_at_all(app, visit, erin_phone, render_pool, work):
    erin_phone.push(loaner(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit))

    class Half:
        """Fails at every paper but the first."""

        def __init__(self):
            self.made = 0

        def render_sealed(self, *args, **options):
            self.made += 1
            if self.made > 1:
                raise Problem("report.timeout")
            return render_pool.render_sealed(*args, **options)

    app.extensions["render_pool"] = Half()
    assert make(app, visit) == []
    assert papers(app, visit) == []
    app.extensions["render_pool"] = render_pool
    with app.app_context():
        hindrances.try_again(db.session.get_one(Visit, visit), datetime.now(UTC))
    work()
    with app.app_context():
        names = db.session.scalars(select(Report.name).order_by(Report.name)).all()
    assert names == ["dispatch-order", "replacement-notice"]


def test_everybody_who_signed_stands_on_the_paper(app, visit, erin_phone, work):
    erin_phone.push(measure(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit, name="Ada Fenn", role="guard"))
    erin_phone.push(signature(erin_phone, visit, name="Bo Reed", role="responsible"))
    work()
    ((_, pdf),) = papers(app, visit)
    text = text_of(pdf)
    assert text.index("Ada Fenn") < text.index("Bo Reed")
    assert "Guard on duty" in text
    assert "earlier state" not in text
    told = json.loads(inside(pdf))["signatures"]
    assert [(one["name"], one["covers"]) for one in told] == [
        ("Ada Fenn", "same"),
        ("Bo Reed", "same"),
    ]


def test_a_signature_on_less_says_so(app, visit, erin_phone, work):
    erin_phone.push(signature(erin_phone, visit, name="Ada Fenn", role="guard"))
    erin_phone.push(measure(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit, name="Bo Reed", role="responsible"))
    work()
    ((_, pdf),) = papers(app, visit)
    assert "Signed an earlier state of this visit" in text_of(pdf)
    told = json.loads(inside(pdf))["signatures"]
    assert [one["covers"] for one in told] == ["earlier", "same"]


def test_a_paper_waits_for_all_who_must_sign_until_the_engineer_left(
    app, visit, erin_phone, work, change_pack
):
    jobs = load_policy("alarm").data["job_types"]
    both = [
        {"kind": "signature", "list": role, "needed": "leaving"}
        for role in ("guard", "responsible")
    ]
    change_pack(job_types={name: job | {"steps": both} for name, job in jobs.items()})
    erin_phone.push(signature(erin_phone, visit, name="Ada Fenn", role="guard"))
    work()
    assert papers(app, visit) == []
    erin_phone.push(erin_phone.operation("leaving", visit, {}))
    work()
    assert "Ada Fenn" in newest_text(app, visit)


def test_the_last_who_must_sign_makes_the_paper_due(app, visit, erin_phone, work, change_pack):
    jobs = load_policy("alarm").data["job_types"]
    both = [
        {"kind": "signature", "list": role, "needed": "leaving"}
        for role in ("guard", "responsible")
    ]
    change_pack(job_types={name: job | {"steps": both} for name, job in jobs.items()})
    erin_phone.push(signature(erin_phone, visit, name="Ada Fenn", role="guard"))
    erin_phone.push(signature(erin_phone, visit, name="Bo Reed", role="responsible"))
    work()
    assert revisions(app, visit) == [1]


def test_papers_in_both_languages_say_everything_twice(app, visit, erin_phone, work, change_pack):
    change_pack(paper_language="both")
    erin_phone.push(measure(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit))
    work()
    text = newest_text(app, visit)
    for words in ("故障处理派工单", "Fault dispatch order", "客户 Customer", "联系人 Contact"):
        assert words in text


def test_the_letterhead_stands_on_the_papers_sealed_from_now_on(app, signed, erin_phone, work):
    with app.app_context():
        change_letterhead(owner(), {"name": "North Alarms", "address": "12 Mill Lane"})
        keep_logo(owner(), picture((400, 100), "PNG", "RGBA"))
        db.session.commit()
    noted(erin_phone, signed)
    work()
    (_, before), (_, after) = papers(app, signed)
    assert "North Alarms · " in text_of(after)
    assert "12 Mill Lane" in text_of(after)
    assert "North Alarms" not in text_of(before)
    assert pictures_in(after) == pictures_in(before) + 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": " "}, "a name is not empty"),
        ({"address": "12 Mill Lane\nNorth"}, "one line"),
        ({"address": "x" * 301}, "300 characters"),
        ({"phone": "\U0001f4de 12"}, "cannot print"),
        ({"policy": "love"}, "no such policy pack"),
    ],
)
def test_a_letterhead_that_cannot_stand_is_refused(app, visit, given, says):
    with app.app_context(), pytest.raises(ValueError, match=says):
        change_letterhead(owner(), given)


def test_a_logo_that_is_no_picture_is_refused(app, visit):
    with app.app_context(), pytest.raises(Problem) as refused:
        keep_logo(owner(), b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert refused.value.code == "photo.unreadable"


def test_a_logo_whose_file_is_lost_is_left_out(app, visit, erin_phone, work):
    with app.app_context():
        owner().logo = "0" * 64
        db.session.commit()
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert revisions(app, visit) == [1]
