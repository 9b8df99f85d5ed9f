"""When a paper is sealed: once, whoever works on it and whatever was lost meanwhile."""

import threading
from datetime import UTC, datetime

import pytest

from fieldapp import jobs, reports
from fieldapp.models import Report, Visit, db
from fieldapp.perform import unit
from tests.fieldapp.reports.papers import (
    REFUSAL,
    inside,
    measure,
    newest_text,
    noted,
    outcome,
    papers,
    revisions,
    row_of,
    text_of,
    withdraw,
)
from tests.phones import PAGE, at_desk, signature


def test_a_visit_nobody_signed_has_no_paper(app, visit, erin_phone, work):
    erin_phone.push(measure(erin_phone, visit))
    work()
    assert papers(app, visit) == []


def test_nothing_is_sealed_before_all_that_cleo_signed_is_here(app, visit, erin_phone, work):
    late = measure(erin_phone, visit)
    erin_phone.push(signature(erin_phone, visit, late))
    work()
    assert papers(app, visit) == []
    erin_phone.push(late)
    work()
    ((_, pdf),) = papers(app, visit)
    assert row_of(app, visit).verdict == "verified"
    assert "replaced the power board" in text_of(pdf)
    assert "The office holds exactly what was signed." in text_of(pdf)
    assert outcome(app, pdf) == "genuine"


def test_a_signature_that_waits_does_not_hold_up_the_one_before(app, signed, erin_phone, work):
    late = erin_phone.note(signed, "and a fuse")
    erin_phone.push(signature(erin_phone, signed, late, opinion="again"))
    work()
    assert revisions(app, signed) == [1]
    erin_phone.push(late)
    work()
    assert "again" in newest_text(app, signed)
    assert inside(papers(app, signed)[-1][1]).count(b"and a fuse") == 1


def test_the_same_again_seals_nothing(app, signed, work):
    with app.app_context():
        assert reports.make_report(signed) == []
    work()
    assert revisions(app, signed) == [1]


def test_a_visit_that_is_not_here_has_no_paper(app):
    with app.app_context():
        assert reports.make_report("01900000-0000-7000-8000-00000000dead") == []


def test_the_phone_hears_of_the_paper(app, visit, erin_phone, work):
    erin_phone.push(signature(erin_phone, visit))
    erin_phone.pull()
    before = erin_phone.revisions[visit]
    work()
    erin_phone.pull()
    assert erin_phone.revisions[visit] > before


@pytest.mark.parametrize(
    "operation",
    [
        ("remark", {"text": "the key is back"}),
        ("review", {"verdict": "accepted", "reason": ""}),
        ("appointment", {"at": "2026-03-11T02:00:00Z"}),
        ("cancellation", {"reason": "by mistake"}),
    ],
)
def test_what_the_office_says_to_itself_makes_no_revision(app, signed, dana, work, operation):
    at_desk(app, dana, signed, operation)
    work()
    assert revisions(app, signed) == [1]


def test_leaving_makes_no_revision(app, signed, erin_phone, work):
    erin_phone.push(erin_phone.operation("leaving", signed, {}))
    work()
    assert revisions(app, signed) == [1]


def test_a_refresh_of_the_visit_seals_nothing_new(app, signed, erin, work):
    with app.app_context(), unit(erin.org_id, datetime.now(UTC)) as opened:
        opened.refresh(signed)
    assert work() == 1
    assert revisions(app, signed) == [1]


# Several workers, a crash, a queue that is gone


def test_two_workers_at_once_leave_one_revision(app, visit, erin_phone, render_pool):
    erin_phone.push(signature(erin_phone, visit))
    app.extensions["huey"].storage.flush_queue()
    both = threading.Barrier(2, timeout=60)

    class Together:
        """A pool that gives nobody his paper before both asked for it."""

        def render_sealed(self, *args, **options):
            pdf = render_pool.render_sealed(*args, **options)
            both.wait()
            return pdf

    app.extensions["render_pool"] = Together()
    made, failed = [], []

    def work():
        try:
            with app.app_context():
                made.append(bool(reports.make_report(visit)))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    app.extensions["render_pool"] = render_pool
    assert failed == []
    assert sorted(made) == [False, True]
    ((_, pdf),) = papers(app, visit)
    assert outcome(app, pdf) == "genuine"


def test_the_worker_who_came_second_looks_again(app, visit, erin_phone, render_pool, work):
    erin_phone.push(signature(erin_phone, visit))

    class Late:
        """A pool that is so slow that somebody else seals an older state of the visit."""

        def render_sealed(self, *args, **options):
            app.extensions["render_pool"] = render_pool
            with app.app_context():
                found = db.session.get_one(Visit, visit)
                row = Report(
                    id="older", org_id=found.org_id, visit_id=visit, revision=1,
                    name="dispatch-order", sha256="0" * 64,
                    token=found.state["signatures"][0]["value"]["token"],
                    content_sha256="0" * 64, sealed_at=datetime.now(UTC), verdict="verified",
                )  # fmt: skip
                db.session.add(row)
                db.session.commit()
            return render_pool.render_sealed(*args, **options)

    app.extensions["render_pool"] = Late()
    work()
    assert row_of(app, visit).revision == 2


def test_a_job_lost_between_commit_and_queue_is_found_at_the_next_start(
    app, visit_of, erin, erin_phone, work
):
    lost, sealed, unsigned = (visit_of(erin, f"PG-{number}") for number in (1, 2, 3))
    for visit_id in (lost, sealed):
        erin_phone.push(measure(erin_phone, visit_id))
        erin_phone.push(signature(erin_phone, visit_id))
        if visit_id == lost:
            app.extensions["huey"].storage.flush_queue()
    erin_phone.push(measure(erin_phone, unsigned))
    work()
    assert (revisions(app, lost), revisions(app, sealed)) == ([], [1])
    with app.app_context():
        assert reports.find_due(datetime.now(UTC)) == [lost]
        jobs.enqueue("due", "")
    work()
    assert (revisions(app, lost), revisions(app, sealed)) == ([1], [1])
    assert papers(app, unsigned) == []
    with app.app_context():
        assert reports.find_due(datetime.now(UTC)) == []


@pytest.mark.parametrize("later", [noted, withdraw])
def test_a_lost_addendum_is_found_too(app, signed, erin_phone, work, later):
    later(erin_phone, signed)
    app.extensions["huey"].storage.flush_queue()
    with app.app_context():
        jobs.enqueue("due", "")
    work()
    assert revisions(app, signed) == [1, 2]


def test_what_the_office_says_to_itself_is_not_due(app, signed, dana):
    at_desk(app, dana, signed, ("review", {"verdict": "accepted", "reason": ""}))
    with app.app_context():
        assert reports.find_due(datetime.now(UTC)) == []


def test_a_refused_visit_that_was_left_is_due(app, visit, erin_phone):
    erin_phone.push(erin_phone.operation("refusal", visit, REFUSAL))
    with app.app_context():
        assert reports.find_due(datetime.now(UTC)) == [visit]


def test_a_phone_that_pushes_while_the_queue_is_gone_gets_its_receipts(
    app, visit, erin_phone, monkeypatch
):
    def gone(*_):
        raise ConnectionError("no Redis")

    body = signature(erin_phone, visit)
    monkeypatch.setitem(app.extensions, "run_job", gone)
    assert erin_phone.receipts(body) == [("merged", [])]


# Whose it is


def test_a_paper_the_desk_opens_is_the_registered_file(app, signed, dana, client_of):
    response = client_of(dana).get(f"/desk/visits/{signed}/reports/1/dispatch-order", headers=PAGE)
    assert response.data == papers(app, signed)[0][1]
    assert client_of(dana).get(f"/desk/visits/{signed}/reports/2").status_code == 404


def test_ollys_organisation_seals_nothing_of_erins(app, signed, olly, client_of, phone_of, work):
    phone = phone_of(olly)
    phone.push(phone.note(signed, "forged"))
    work()
    assert revisions(app, signed) == [1]
    assert client_of(olly).get(f"/desk/visits/{signed}/reports/1/dispatch-order").status_code == 404
