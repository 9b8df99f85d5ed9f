"""A visit whose paper cannot be made fails alone, says why, and is tried again in measure."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from fieldapp import health, hindrances, jobs, keys, reports
from fieldapp.models import Hindrance, db
from fieldapp.rendering import RenderPool
from sync.problems import Problem
from tests.fieldapp.reports.papers import make, measure, noted, papers, picture, revisions, upload
from tests.fieldapp.reports.papers import photo as photo_of
from tests.fieldapp.reports.poison import DIES, EATS, FETCHES, HANGS, poisoned_environment
from tests.phones import PAGE, signature

A_PAPER_SECONDS = 60


@pytest.fixture(scope="module")
def harmful():
    """One process whose templates suffer from the words of the poison."""
    with RenderPool(1, seconds=A_PAPER_SECONDS, environment=poisoned_environment) as pool:
        yield pool


@pytest.fixture
def pool(app, harmful):
    """What makes the papers of this office."""
    app.extensions["render_pool"] = harmful
    return harmful


def sign(phone, visit_id, text="replaced the power board"):
    """Work is noted and Cleo signs it; the job waits."""
    phone.push(measure(phone, visit_id, text))
    phone.push(signature(phone, visit_id))


def hindrance_of(app, visit_id):
    with app.app_context():
        found = db.session.get(Hindrance, visit_id)
        if found is not None:
            db.session.expunge(found)
        return found


def let_pass(app, visit_id):
    """The time of the next try comes."""
    with app.app_context():
        found = db.session.get_one(Hindrance, visit_id)
        found.next_at = datetime.now(UTC)
        db.session.commit()


def due(app):
    with app.app_context():
        return reports.find_due(datetime.now(UTC))


def page(client, path):
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200
    return answer.text


@pytest.fixture
def poisoned(app, visit, erin_phone, pool, work):
    """The id of a visit that cannot be laid out, whatever is tried; tried once."""
    sign(erin_phone, visit, FETCHES)
    work()
    return visit


@pytest.mark.parametrize(
    ("word", "code", "said"),
    [
        (HANGS, "report.timeout", "Making the paper took too long."),
        (EATS, "report.failed", "Making the paper failed: memory"),
        (DIES, "report.failed", "Making the paper failed: exit -9"),
        (FETCHES, "report.fetch-denied",
         "The paper asked for a file from outside: http://127.0.0.1:9/canary"),
    ],
)  # fmt: skip
def test_a_poisoned_visit_fails_alone_and_the_board_says_why(
    app, visit_of, erin, erin_phone, dana, client_of, pool, work, word, code, said
):
    first, bad, last = (visit_of(erin, f"PG-{number}") for number in (1, 2, 3))
    sign(erin_phone, first)
    sign(erin_phone, bad, word)
    sign(erin_phone, last)
    if word == HANGS:
        pool.seconds = 0.5
        make(app, bad)
        pool.seconds = A_PAPER_SECONDS
    work()
    assert [revisions(app, each) for each in (first, bad, last)] == [[1], [], [1]]
    found = hindrance_of(app, bad)
    assert (found.problem, found.tries, found.org_id) == (code, 1, erin.org_id)
    assert hindrance_of(app, first) is hindrance_of(app, last) is None
    board = page(client_of(dana), "/desk")
    assert board.count("Paper not made") == 1
    card = board.split(f'id="card-{bad}"')[1].split("</a>")[0]
    assert said in card
    review = page(client_of(dana), f"/desk/visits/{bad}")
    assert said in review
    assert "Try again" in review
    assert "Try again" not in page(client_of(dana), f"/desk/visits/{first}")
    assert "单据未能生成" in page(client_of(dana, language="zh_CN"), "/desk")


def test_what_may_pass_is_tried_again_later_each_time_and_then_left(
    app, visit, erin_phone, pool, work
):
    sign(erin_phone, visit, DIES)
    work()
    waited = []
    while (found := hindrance_of(app, visit)).next_at is not None:
        waited.append(found.next_at - found.tried_at)
        assert due(app) == []
        let_pass(app, visit)
        assert due(app) == [visit]
        make(app, visit)
    assert waited == sorted(waited)
    assert len(waited) == len(hindrances.DELAYS_SECONDS) == found.tries - 1
    make(app, visit)
    assert due(app) == []
    assert hindrance_of(app, visit).tries == found.tries


def test_the_queue_itself_comes_back_when_the_next_try_is_due(app, visit, erin_phone, pool, work):
    sign(erin_phone, visit, DIES)
    work()
    (again,) = app.extensions["huey"].scheduled()
    assert again.args == ("report", visit)
    assert again.retries == jobs.RETRIES  # a job of its own, not the queue's second try


def test_what_would_come_out_the_same_is_not_tried_again(app, poisoned, work):
    assert hindrance_of(app, poisoned).next_at is None
    assert app.extensions["huey"].scheduled_count() == 0
    assert due(app) == []
    with app.app_context():
        jobs.enqueue("report", poisoned)
    work()
    assert hindrance_of(app, poisoned).tries == 1


def test_what_arrives_on_the_visit_has_it_tried_again(app, poisoned, erin_phone, work):
    at = hindrance_of(app, poisoned).tried_at
    noted(erin_phone, poisoned)
    assert due(app) == [poisoned]
    work()
    assert hindrance_of(app, poisoned).tried_at > at
    assert due(app) == []


def test_a_photo_that_arrives_has_it_tried_again(app, visit, erin_phone, pool, work):
    data = picture()
    erin_phone.push(photo_of(erin_phone, visit, data))
    sign(erin_phone, visit, FETCHES)
    work()
    assert due(app) == []
    upload(erin_phone, data)
    assert due(app) == [visit]


def test_while_a_photo_is_waited_for_the_trouble_stands(app, poisoned, erin_phone, work):
    app.config["PHOTO_PATIENCE_SECONDS"] = 3600
    erin_phone.push(photo_of(erin_phone, poisoned, picture()))
    erin_phone.push(signature(erin_phone, poisoned))
    work()
    assert revisions(app, poisoned) == []
    assert hindrance_of(app, poisoned) is not None


def test_what_the_office_says_to_itself_does_not(app, poisoned, dana, client_of, work):
    at = hindrance_of(app, poisoned).tried_at
    form = {"text": "call them", "heads": "{}", "was": "{}"}
    answer = client_of(dana).post(f"/desk/visits/{poisoned}/remarks", data=form, headers=PAGE)
    assert answer.status_code == 303
    work()
    assert hindrance_of(app, poisoned).tried_at == at


def test_another_release_tries_again_once(app, poisoned, monkeypatch, work):
    monkeypatch.setattr(hindrances, "__version__", "99")
    assert due(app) == [poisoned]
    with app.app_context():
        jobs.enqueue("due", "")
    work()
    assert hindrance_of(app, poisoned).release == "99"
    assert due(app) == []


def test_dana_tries_again_and_success_clears_it(app, poisoned, dana, client_of, render_pool, work):
    app.extensions["render_pool"] = render_pool  # whoever runs this has mended it
    answer = client_of(dana).post(f"/desk/visits/{poisoned}/attempts", headers=PAGE)
    assert (answer.status_code, answer.location) == (303, f"/desk/visits/{poisoned}#papers")
    assert "Tried again" in page(client_of(dana), f"/desk/visits/{poisoned}")
    assert work() == 1
    assert revisions(app, poisoned) == [1]
    assert hindrance_of(app, poisoned) is None
    assert "Paper not made" not in page(client_of(dana), "/desk")
    assert "Try again" not in page(client_of(dana), f"/desk/visits/{poisoned}")


def test_dana_tries_again_in_vain(app, poisoned, dana, client_of, work):
    at = hindrance_of(app, poisoned).tried_at
    client_of(dana).post(f"/desk/visits/{poisoned}/attempts", headers=PAGE)
    work()
    found = hindrance_of(app, poisoned)
    assert found.tried_at > at
    assert found.next_at is None


def test_a_visit_without_trouble_may_be_tried_again_too(app, signed, dana, client_of, work):
    answer = client_of(dana).post(f"/desk/visits/{signed}/attempts", headers=PAGE)
    assert answer.status_code == 303
    work()
    assert revisions(app, signed) == [1]
    assert hindrance_of(app, signed) is None


def test_neither_erin_nor_olly_tries_again(app, poisoned, erin, olly, client_of):
    before = hindrance_of(app, poisoned)
    for person, status in ((erin, 403), (olly, 404)):
        answer = client_of(person).post(f"/desk/visits/{poisoned}/attempts", headers=PAGE)
        assert answer.status_code == status
    assert app.extensions["huey"].pending_count() == 0
    assert hindrance_of(app, poisoned).next_at == before.next_at
    assert "Paper not made" not in page(client_of(olly), "/desk")


def test_an_open_board_hears_of_it(app, visit, erin_phone, dana, client_of, pool, work):
    sign(erin_phone, visit, FETCHES)
    desk = client_of(dana)
    seen = page(desk, "/desk").split('name="seen" value="')[1].split('"')[0]
    work()
    assert "Paper not made" in page(desk, f"/desk/board?seen={seen}")


def test_the_board_asks_no_query_more_for_it(app, poisoned, visit_of, erin, dana, client_of):
    visit_of(erin, "PG-9")
    statements = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    page(client_of(dana), "/desk")
    of_it = [text for text in statements if "hindrance" in text]
    assert of_it
    assert all("FROM visit" in text for text in of_it)


def test_yesterdays_accepted_visit_without_its_paper_is_still_on_the_board(
    app, poisoned, erin_phone, dana, client_of, work
):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    desk = client_of(dana)
    with app.app_context():
        found = db.session.get_one(reports.Visit, poisoned)
        found.appointment_at, found.status = yesterday, "accepted"
        db.session.commit()
    assert f'id="card-{poisoned}"' in page(desk, "/desk")
    with app.app_context():
        db.session.delete(db.session.get_one(Hindrance, poisoned))
        db.session.commit()
    assert f'id="card-{poisoned}"' not in page(desk, "/desk")


def test_a_busy_database_is_no_visits_fault(app, visit, erin_phone, monkeypatch, work):
    sign(erin_phone, visit)

    def busy(*_, **__):
        raise OperationalError("SELECT 1", {}, Exception("database is locked"))

    with monkeypatch.context() as patch:
        patch.setattr(reports, "content_of", busy)
        with pytest.raises(OperationalError):
            make(app, visit)
    assert hindrance_of(app, visit) is None
    assert due(app) == [visit]
    work()
    assert revisions(app, visit) == [1]


def test_a_key_that_cannot_be_read_is_asked_for_every_hour(app, visit, erin_phone, work):
    sign(erin_phone, visit)
    with app.app_context():
        key = keys.folder() / "seal.key.pem"
        kept = key.read_bytes()
        key.unlink()
    work()
    for tries in range(1, 9):
        found = hindrance_of(app, visit)
        assert (found.problem, found.tries) == ("seal.key-unreadable", tries)
        assert found.next_at - found.tried_at >= timedelta(seconds=hindrances.OFFICE_SECONDS)
        let_pass(app, visit)
        make(app, visit)
    key.write_bytes(kept)
    let_pass(app, visit)
    make(app, visit)
    assert revisions(app, visit) == [1]
    assert hindrance_of(app, visit) is None


@pytest.mark.parametrize(
    ("error", "told", "is_for_ever"),
    [
        (OSError(28, "No space left on device"), "OSError", True),
        (KeyError("site"), "KeyError: 'site'", False),
        (ValueError("\ud800 <b>"), "ValueError: ? <b>", False),
    ],
)
def test_what_nobody_foresaw_is_noted_too(
    app, visit, erin_phone, dana, client_of, monkeypatch, work, error, told, is_for_ever
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(reports, "content_of", fail)
    # the runner of these tests cannot pass on a log that holds half a character
    monkeypatch.setattr(reports.log, "disabled", True)
    sign(erin_phone, visit)
    work()
    for _ in hindrances.DELAYS_SECONDS:
        let_pass(app, visit)
        make(app, visit)
    found = hindrance_of(app, visit)
    assert found.problem == "report.failed"
    assert told in found.args["reason"]
    assert (found.next_at is not None) is is_for_ever
    assert "<b>" not in page(client_of(dana), f"/desk/visits/{visit}").split('id="papers"')[1]


def test_a_sealed_paper_stays_when_the_next_one_cannot_be_made(app, signed, erin_phone, pool, work):
    erin_phone.push(erin_phone.note(signed, FETCHES))
    work()
    assert revisions(app, signed) == [1]
    assert hindrance_of(app, signed).problem == "report.fetch-denied"
    ((_, pdf),) = papers(app, signed)
    assert pdf.startswith(b"%PDF")


def test_the_doctor_counts_them(app, poisoned):
    now = datetime.now(UTC)
    with app.app_context():
        bad = [finding.text for finding in health.examine(now) if not finding.is_good]
        assert bad == [
            "visits whose newest paper could not be made (report.fetch-denied): 1; "
            "look at the board, mend the cause and try again there"
        ]
        hindrances.clear(poisoned, now)
        assert all(finding.is_good for finding in health.examine(now))


def test_a_problem_of_a_newer_release_is_not_tried_again(app, visit, erin_phone, monkeypatch, work):
    def fail(*_, **__):
        raise Problem("report.singular")

    monkeypatch.setattr(reports, "content_of", fail)
    sign(erin_phone, visit)
    work()
    assert hindrance_of(app, visit).next_at is None
