"""Visits that are over leave the phones, and nothing else does."""

from datetime import UTC, datetime, timedelta

from fieldapp import jobs
from fieldapp.closing import close_visits
from fieldapp.models import Visit, db
from tests.phones import at_desk

NOW = datetime.now(UTC)
WEEK = timedelta(days=7, hours=1)


def close(app, now):
    with app.app_context():
        return close_visits(now)


def review(app, dana, visit, verdict):
    at_desk(app, dana, visit, ("review", {"verdict": verdict, "reason": "as agreed"}))


def test_an_accepted_visit_leaves_a_week_later(app, visit, dana, erin_phone):
    review(app, dana, visit, "accepted")
    erin_phone.pull()
    assert close(app, NOW + timedelta(days=6)) == 0
    erin_phone.pull()
    assert visit in erin_phone.visits
    assert close(app, NOW + WEEK) == 1
    told = erin_phone.pull()
    assert erin_phone.removed == {visit: "closed"}
    assert told["digest"] == erin_phone.digest


def test_a_cancelled_visit_leaves_too(app, visit, dana, erin_phone):
    at_desk(app, dana, visit, ("cancellation", {"reason": "shop closed"}))
    assert close(app, NOW + WEEK) == 1
    assert close(app, NOW + WEEK) == 0


def test_what_is_not_over_stays(app, visit, dana, erin_phone):
    review(app, dana, visit, "sent-back")
    assert close(app, NOW + timedelta(days=400)) == 0


def test_a_remark_does_not_bring_it_back(app, visit, dana, erin_phone):
    review(app, dana, visit, "accepted")
    close(app, NOW + WEEK)
    at_desk(app, dana, visit, ("remark", {"text": "invoice sent"}))
    erin_phone.pull()
    assert erin_phone.visits == {}


def test_a_visit_sent_back_comes_back(app, visit, dana, erin_phone):
    review(app, dana, visit, "accepted")
    close(app, NOW + WEEK)
    review(app, dana, visit, "sent-back")
    erin_phone.pull()
    assert visit in erin_phone.visits


def test_what_the_phone_still_sends_for_it_is_taken(app, visit, dana, erin_phone):
    review(app, dana, visit, "accepted")
    close(app, NOW + WEEK)
    ((state, reasons),) = erin_phone.receipts(erin_phone.note(visit))
    assert (state, reasons) in [
        ("flagged", ["review.later-entries"]),
        ("flagged", []),
        ("merged", []),
    ]
    with app.app_context():
        assert len(db.session.get_one(Visit, visit).state["entries"]) == 1


def test_the_days_are_a_setting(app, visit, dana, erin_phone):
    app.config["CLOSED_DAYS"] = 0
    review(app, dana, visit, "accepted")
    assert close(app, NOW + timedelta(hours=1)) == 1


def test_it_is_a_job_of_every_hour(app, visit, dana, erin_phone):
    app.config["CLOSED_DAYS"] = 0
    review(app, dana, visit, "accepted")
    with app.app_context():
        db.session.get_one(Visit, visit).closed_at = NOW - timedelta(days=1)
        db.session.commit()
        jobs.perform_job("close", "")
    erin_phone.pull()
    assert erin_phone.removed == {visit: "closed"}
