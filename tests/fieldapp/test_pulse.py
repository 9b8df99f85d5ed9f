"""Whether a node says that it can work."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError

from fieldapp.models import db


def test_a_node_with_its_database_is_well(app):
    answer = app.test_client().get("/health")
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_a_node_without_its_database_is_not_and_does_not_say_where_it_is(app, monkeypatch):
    def broken(*_args, **_kwargs):
        raise OperationalError("SELECT 1", {}, Exception("no route to db.internal"))

    monkeypatch.setattr(db.session, "execute", broken)
    answer = app.test_client().get("/health")
    assert (answer.status_code, answer.text) == (503, "database\n")
