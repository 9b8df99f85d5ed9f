"""Tests share databases without noticing each other."""

from sqlalchemy import inspect, text

from fieldapp.models import Organisation, db
from tests import cast


def names(app):
    with app.app_context():
        return sorted(row.name for row in db.session.query(Organisation))


def found(app, name):
    with app.app_context():
        cast.make_organisation(name)
        db.session.commit()


def test_two_applications_at_once_have_two_databases(databases, tmp_path):
    with (
        databases.application(tmp_path / "one") as one,
        databases.application(tmp_path / "two") as two,
    ):
        found(one, "Brook")
        assert (names(one), names(two)) == (["Brook"], [])


def test_the_next_application_finds_nothing_of_the_one_before(databases, tmp_path):
    for number in range(3):
        with databases.application(tmp_path / str(number)) as app:
            assert names(app) == []
            found(app, "Brook")


def test_an_application_is_emptied_for_the_next_test(databases, tmp_path):
    with databases.application(tmp_path) as app:
        found(app, "Brook")
        databases.renew(app)
        assert names(app) == []
        found(app, "Brook")
        assert names(app) == ["Brook"]


def test_a_database_whose_tables_were_changed_is_not_used_again(databases, tmp_path):
    with databases.application(tmp_path / "one") as app, app.app_context():
        db.session.execute(text("DROP TABLE notice"))
        db.session.execute(text("ALTER TABLE part ADD COLUMN colour VARCHAR(10)"))
        db.session.commit()
    for number in "23":
        with databases.application(tmp_path / number) as app, app.app_context():
            inspector = inspect(db.engine)
            assert set(inspector.get_table_names()) >= set(db.metadata.tables)
            columns = [column["name"] for column in inspector.get_columns("part")]
            assert "colour" not in columns


def test_somebody_who_still_holds_a_row_does_not_stop_the_next(databases, tmp_path):
    """A thread that a test left behind may have a transaction open."""
    with databases.application(tmp_path / "one") as app:
        found(app, "Brook")
        with app.app_context():
            left = db.engine.connect()
        left.execute(text("UPDATE organisation SET name = 'Held'"))
    with databases.application(tmp_path / "two") as app:
        assert names(app) == []
    left.invalidate()
    left.close()
