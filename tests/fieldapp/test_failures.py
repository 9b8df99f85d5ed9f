"""What goes wrong becomes an answer a person or a phone can act on; nobody gets a bare 500."""

import pytest
from flask import abort
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from fieldapp.models import db
from fieldapp.pages import explain_in
from sync.problems import KINDS, Problem
from sync.protocol import MEDIA_TYPE
from tests.phones import PAGE


def raising(app, error, path="/broken"):
    """A page that raises ``error``."""

    def show_broken():
        raise error

    app.add_url_rule(path, path, show_broken, methods=["GET", "POST"])


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("en", "Nothing was lost; try again."), ("zh", "没有丢失")],
)
def test_a_handler_that_raises_gives_a_page(app, language, sentence):
    raising(app, ZeroDivisionError("secret detail"))
    response = app.test_client().get("/broken", headers={"Accept-Language": language})
    assert (response.status_code, response.mimetype) == (500, "text/html")
    assert "server.failed" in response.text
    assert sentence in response.text
    assert "secret detail" not in response.text
    assert "Traceback" not in response.text


def test_a_handler_that_raises_gives_a_phone_json(app):
    raising(app, ZeroDivisionError("secret detail"), "/sync/broken")
    response = app.test_client().get("/sync/broken")
    assert (response.status_code, response.mimetype) == (500, MEDIA_TYPE)
    assert response.json["problem"] == "server.failed"
    assert response.json["retry"] is True
    assert set(response.json["text"]) == {"zh_CN", "en"}
    assert "secret detail" not in response.text


@pytest.mark.parametrize("path", ["/broken", "/sync/broken"])
def test_a_busy_database_asks_to_try_again(app, path):
    raising(app, OperationalError("UPDATE", {}, Exception("database is locked")), path)
    response = app.test_client().get(path)
    assert response.status_code == 503
    assert "server.busy" in response.text
    assert "UPDATE" not in response.text


def test_a_page_without_the_database_is_still_a_page(app, erin, client_of):
    """Even the reader's name cannot be read any more."""
    client = client_of(erin)

    def gone(*_):
        raise OperationalError("SELECT", {}, Exception("disk I/O error"))

    def break_it():
        event.listen(db.engine, "before_cursor_execute", gone)
        db.session.rollback()
        raise OperationalError("SELECT", {}, Exception("disk I/O error"))

    from fieldapp.access import needs

    app.add_url_rule("/broken", "broken", needs("engineer")(break_it))
    response = client.get("/broken")
    with app.app_context():
        event.remove(db.engine, "before_cursor_execute", gone)
    assert response.status_code == 503
    assert "server.busy" in response.text
    assert erin.name not in response.text


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.type == "error"])
def test_every_error_has_its_status_and_two_sentences(app, kind):
    raising(app, Problem(kind.code, field="Note"), "/broken")
    raising(app, Problem(kind.code, field="Note"), "/sync/broken")
    client = app.test_client()
    # by POST: a page that only asks to sign in leads there
    page = client.post("/broken", headers=PAGE | {"Accept-Language": "en"})
    told = client.post("/sync/broken", headers=PAGE)
    assert page.status_code == told.status_code == kind.status
    assert 400 <= kind.status < 600
    assert kind.code in page.text
    with app.app_context():
        assert told.json["text"]["en"] == explain_in("en", kind.code)
        assert told.json["text"]["zh_CN"] != told.json["text"]["en"]
    assert told.json["retry"] is kind.retry


def test_a_code_of_a_newer_version_is_an_answer_too(app):
    raising(app, Problem("moon.full"))
    response = app.test_client().get("/broken")
    assert response.status_code == 500
    assert "moon.full" in response.text


@pytest.mark.parametrize(
    ("status", "shown", "code"),
    [(400, 400, "content.unreadable"), (404, 404, "page.unknown"), (405, 405, "method.not-allowed"),
     (413, 413, "content.too-large"), (415, 415, "content.wrong-type"),
     (416, 400, "content.unreadable"), (412, 400, "content.unreadable"),
     (409, 400, "content.unreadable"), (500, 500, "server.failed"), (503, 503, "server.busy"),
     (501, 500, "server.failed")],
)  # fmt: skip
def test_what_the_framework_refuses_is_said_in_our_words(app, status, shown, code):
    app.add_url_rule("/broken", "broken", lambda: abort(status))
    response = app.test_client().get("/broken")
    assert response.status_code == shown
    assert code in response.text


def test_a_range_beyond_a_static_file_is_no_failure_of_ours(app):
    response = app.test_client().get("/static/app.css", headers={"Range": "bytes=99999999-"})
    assert response.status_code < 500
    response.close()


def test_nothing_half_done_stays_after_a_failure(app, organisation):
    from fieldapp.models import Organisation

    def break_it():
        db.session.get_one(Organisation, organisation).name = "half done"
        db.session.flush()
        raise ZeroDivisionError

    app.add_url_rule("/broken", "broken", break_it)
    client = app.test_client()
    assert client.get("/broken").status_code == 500
    with app.app_context():
        assert db.session.get_one(Organisation, organisation).name == "Brook Alarms"


def test_a_problem_says_nothing_that_could_be_code(app):
    raising(app, Problem("field.too-long", field="<script>alert(1)</script>", limit=3))
    response = app.test_client().get("/broken")
    assert "<script>alert" not in response.text


def test_signing_in_is_where_a_page_leads_and_a_form_does_not(app):
    raising(app, Problem("access.sign-in"))
    client = app.test_client()
    assert client.get("/broken").location == "/sign-in"
    assert client.post("/broken", headers=PAGE).status_code == 401
