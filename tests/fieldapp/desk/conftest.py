"""An organisation with a desk: Dana at it, Erin and Eli on the road, Cleo waiting at her site."""

from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from flask import g
from flask.testing import FlaskClient
from sqlalchemy import event

from fieldapp.models import Visit, db
from fieldapp.perform import unit
from tests import cast


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
    return cast.make_organisation()


@pytest.fixture
def erin(organisation):
    return cast.make_person("erin", organisation)


@pytest.fixture
def eli(organisation):
    return cast.make_person("eli", organisation)


@pytest.fixture
def dana(organisation):
    return cast.make_person("dana", organisation)


@pytest.fixture
def olly(app):
    return cast.make_olly()


@pytest.fixture
def place(organisation):
    return cast.make_place(organisation)


@pytest.fixture
def visit(place, dana, erin):
    """Erin's visit of today, its fault written by Dana."""
    made = cast.make_visit(place, "PG-1", reported_at=datetime.now(UTC))
    perform(
        made, dana, ("fault", {"text": "dead since 08:40"}), ("assignment", {"engineer": erin.id})
    )
    return made


@pytest.fixture
def browse(app):
    """``browse(dana)``: a browser in which she is signed in, in English unless told."""

    class Browser(FlaskClient):
        def open(self, *args, **kwargs):
            # the test's own application context outlives the request and would remember who asked
            g.pop("person", None)
            db.session.commit()
            return super().open(*args, **kwargs)

    def signed_in(person, language="en"):
        db.session.commit()
        client = Browser(app, app.response_class)
        with client.session_transaction() as session:
            session["person"] = person.id
            session["since"] = datetime.now(UTC).timestamp()
            session["language"] = language
        return client

    return signed_in


@pytest.fixture
def dana_desk(dana, browse):
    return browse(dana)


def perform(visit, author, *operations, at=None):
    """``operations`` are (kind, value) or (kind, value, heads)."""
    visit_id, org_id, author_id = visit.id, visit.org_id, author.id
    db.session.commit()
    with unit(org_id, at or datetime.now(UTC)) as opened:
        person = db.session.get(type(author), author_id)
        for kind, value, *heads in operations:
            opened.perform(kind, visit_id, person, value, *heads)
    return db.session.get(Visit, visit_id)


@pytest.fixture(name="perform")
def perform_fixture():
    return perform


@contextmanager
def counted():
    """The statements that run inside; the beginning of a transaction is none."""
    statements = []

    def note(_connection, _cursor, statement, *_):
        if not statement.startswith(("BEGIN", "PRAGMA")):
            statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture(name="counted")
def counted_fixture():
    return counted
