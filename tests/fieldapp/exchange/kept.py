"""What the office keeps of what phones sent, read past HTTP."""

from sqlalchemy import select

from fieldapp.models import Visit, db
from sync.tables import journal
from tests.phones import state_of


def held(app, **columns):
    """Rows of the journal with these values."""
    with app.app_context():
        statement = select(journal)
        for name, value in columns.items():
            statement = statement.where(journal.c[name] == value)
        return list(db.session.execute(statement))


def kinds(app, visit_id):
    return sorted(entry["kind"] for entry in state_of(app, visit_id)["entries"])


def rev_of(app, visit_id):
    with app.app_context():
        return db.session.get_one(Visit, visit_id).rev


def change(app, table, id_, **values):
    with app.app_context():
        row = db.session.get_one(table, id_)
        for name, value in values.items():
            setattr(row, name, value)
        db.session.commit()
