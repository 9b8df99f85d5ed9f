"""Every released schema, with a day's work in it, becomes today's and loses nothing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from fieldapp import create_app, migrations
from fieldapp.migrations import FIRST, WrongSchema, config_for, standing, upgrade
from fieldapp.models import Device, Person, Visit, db
from fieldapp.perform import received_of, unit
from sync import merge
from sync.protocol import MEDIA_TYPE
from sync.tables import journal
from tests.cast import MORNING
from tests.databases import disconnect
from tests.phones import Phone, Somebody, client_of, state_of

RELEASED = Path(__file__).parent / "released"
VERSIONS = sorted(path.name.removesuffix(".data.sql") for path in RELEASED.glob("*.data.sql"))
REWRITTEN = {("visit", "state"), ("visit", "rev"), ("sync_clock", "rev")}
"""What a revision writes anew because it is derived from other rows, or bumps."""


@pytest.fixture
def bare(databases, tmp_path):
    """An application whose database has no tables."""
    url = databases.bare(tmp_path)
    app = create_app({"INSTANCE": str(tmp_path), "DATABASE_URL": url})
    yield app
    disconnect(app)
    databases.give_back(url)


@pytest.fixture(params=VERSIONS)
def released(bare, request):
    """An application whose database was left behind by a release."""
    fill(bare, request.param)
    return bare


def fill(app, version):
    """Let a release's tables and rows be what the database of ``app`` holds."""
    with app.app_context():
        kind = db.engine.dialect.name
        with db.engine.begin() as connection:
            for part in (kind, "data"):
                for statement in statements_in(RELEASED / f"{version}.{part}.sql"):
                    connection.exec_driver_sql(statement)


def statements_in(path):
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("--")]
    return re.split(r";\n", "\n".join(lines) + "\n")[:-1]


def rows_of(connection, table):
    """The rows of ``table`` as sorted texts; the driver's values, whatever reads them later."""
    columns = [column["name"] for column in inspect(connection).get_columns(table)]
    names = ", ".join(columns)
    rows = connection.execute(text(f"SELECT {names} FROM {table}")).mappings()  # noqa: S608
    return sorted(({key: written(row[key]) for key in columns} for row in rows), key=str)


def written(value):
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def contents(app):
    """Everything a database holds, by table; a column that is derived anew is left out."""
    with app.app_context(), db.engine.connect() as connection:
        return {
            table: [
                {key: value for key, value in row.items() if (table, key) not in REWRITTEN}
                for row in rows_of(connection, table)
            ]
            for table in inspect(connection).get_table_names()
        }


def shape(app):
    """Tables with their columns, keys and indexes, as the database tells them."""
    with app.app_context(), db.engine.connect() as connection:
        inspector = inspect(connection)
        return {
            table: [
                sorted(
                    (column["name"], str(column["type"]), column["nullable"], column["default"])
                    for column in inspector.get_columns(table)
                ),
                *(
                    sorted((key["name"], key["column_names"]) for key in keys(table))
                    for keys in (inspector.get_indexes, inspector.get_unique_constraints)
                ),
                sorted(
                    (key["constrained_columns"], key["referred_table"])
                    for key in inspector.get_foreign_keys(table)
                ),
            ]
            for table in sorted(inspector.get_table_names())
        }


def bring_up_to_date(app):
    with app.app_context():
        return upgrade()


def where(app):
    with app.app_context():
        return standing()


def test_the_newest_revision_makes_the_tables_of_the_models(bare):
    """Where they differ, what is printed is the beginning of the next revision."""
    bring_up_to_date(bare)
    with bare.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"target_metadata": db.metadata, "compare_type": True}
        )
        missing = produce_migrations(context, db.metadata).upgrade_ops
    assert missing.is_empty(), render_python_code(missing)


def test_what_upgrades_make_is_what_a_new_installation_has(released, databases, tmp_path):
    bring_up_to_date(released)
    url = databases.bare(tmp_path / "new")
    new = create_app({"INSTANCE": str(tmp_path / "new"), "DATABASE_URL": url})
    bring_up_to_date(new)
    assert shape(released) == shape(new)
    disconnect(new)
    databases.give_back(url)


def test_a_new_database_gets_every_table(bare):
    assert where(bare).kind == "empty"
    assert bring_up_to_date(bare).kind == "empty"
    assert where(bare).kind == "current"
    assert set(contents(bare)) == {*db.metadata.tables, "alembic_version"}


def test_a_release_is_recognised_and_loses_no_row(released):
    before = contents(released)
    assert all(before[table] for table in before), "a table without rows shows nothing"
    assert where(released) == migrations.Standing("behind", FIRST, where(released).newest)
    assert bring_up_to_date(released).kind == "behind"
    after = contents(released)
    for table, rows in before.items():
        columns = rows[0].keys()
        kept = [{key: row[key] for key in columns} for row in after[table]]
        assert sorted(kept, key=str) == rows, table
    assert set(after) == {*db.metadata.tables, "alembic_version"}


def test_the_second_time_changes_nothing(released):
    bring_up_to_date(released)
    after = contents(released), shape(released)
    assert bring_up_to_date(released).kind == "current"
    assert (contents(released), shape(released)) == after


def test_a_database_that_notes_its_revision_goes_on_from_there(released):
    with released.app_context(), db.engine.begin() as connection:
        command.stamp(config_for(connection), FIRST)
    assert where(released).kind == "behind"
    bring_up_to_date(released)
    assert where(released).kind == "current"


def test_an_old_phone_goes_on_after_the_upgrade(released):
    """It held everything before: it pulls what the upgrade wrote, and what it pushes is merged."""
    bring_up_to_date(released)
    phone = old_phone(released)
    phone.pull()
    states = {id_: change["state"] for id_, change in phone.visits.items()}
    assert {state["visit"]["status"] for state in states.values()} >= {"under-review", "accepted"}
    signed = next(id_ for id_, state in states.items() if state["signatures"])
    before = {entry["id"] for entry in states[signed]["entries"]}
    late = phone.note(signed, "found after the upgrade")
    assert phone.receipts(late, late) == [("merged", []), ("duplicate", [])]
    assert phone.pull()["digest"] == phone.digest
    entries = phone.visits[signed]["state"]["entries"]
    assert {entry["id"] for entry in entries} == before | {late["id"]}


def old_phone(app):
    """Erin's phone, enrolled long ago."""
    phone = Phone.__new__(Phone)
    with app.app_context():
        device = db.session.scalars(select(Device)).one()
        person = Somebody.of(db.session.get_one(Person, device.person_id))
        high = device.high
        phone.device = device.id
    phone.app, phone.person, phone.count = app, person, high
    phone.browser, phone.wire = client_of(app, person), app.test_client(use_cookies=False)
    phone.headers = {
        "Authorization": "Device erins-phone-of-0.1.0",
        "Content-Type": MEDIA_TYPE,
    }
    phone.cursor, phone.visits, phone.removed = "", {}, {}
    return phone


def test_the_desk_shows_every_visit_of_an_old_release(released):
    bring_up_to_date(released)
    with released.app_context():
        dana = Somebody.of(db.session.scalars(select(Person).where(Person.account == "dana")).one())
        visits = list(db.session.scalars(select(Visit.id)))
    desk = client_of(released, dana)
    assert desk.get("/desk").status_code == 200
    for id_ in visits:
        page = desk.get(f"/desk/visits/{id_}")
        assert page.status_code == 200
        assert "dead since 08:40" in page.text


def test_what_was_folded_before_has_the_shape_of_today(released):
    """All that a visit says stands there as if it had been folded now, but for what is new."""
    bring_up_to_date(released)
    with released.app_context():
        for visit in db.session.scalars(select(Visit)):
            today = merge.fold(received_of(visit), visit.id)
            assert visit.state.keys() == today.keys()
            for path, cell in today["fields"].items():
                for side, kept in zip(
                    cell["sides"], visit.state["fields"][path]["sides"], strict=True
                ):
                    assert side.keys() == kept.keys()
            for flag in visit.state["flags"]:
                assert flag.keys() == {"code", "operation", "args", "dismissed"}


def test_a_phone_of_before_is_known_to_hold_nothing_more(released):
    """What arrived of its counters is counted: otherwise the desk would wait for all of it."""
    bring_up_to_date(released)
    with released.app_context():
        device = db.session.scalars(select(Device)).one()
        counters = set(
            db.session.scalars(select(journal.c.n).where(journal.c.device_id == device.id))
        )
        assert device.received == len(counters) == device.high
        assert device.unsent == 0


def test_visits_that_were_over_say_since_when(released):
    bring_up_to_date(released)
    with released.app_context():
        closed = {visit.status: visit.closed_at for visit in db.session.scalars(select(Visit))}
    assert closed.pop("accepted") is not None
    assert closed.pop("cancelled") is not None
    assert set(closed.values()) == {None}


def test_a_failing_upgrade_leaves_everything_as_it_was(released, monkeypatch):
    """The last revision fails behind its last statement."""
    before = contents(released), shape(released)
    script = ScriptDirectory.from_config(config_for())
    newest = script.get_revision(script.get_current_head()).module
    finish = newest.upgrade

    def fail():
        finish()
        raise ZeroDivisionError

    monkeypatch.setattr(ScriptDirectory, "from_config", lambda _: script)
    monkeypatch.setattr(newest, "upgrade", fail)
    with pytest.raises(ZeroDivisionError):
        bring_up_to_date(released)
    assert (contents(released), shape(released)) == before
    assert where(released).kind == "behind"
    monkeypatch.undo()
    bring_up_to_date(released)
    assert where(released).kind == "current"


def test_a_row_that_would_point_to_nothing_stops_the_upgrade(released, sqlite, monkeypatch):
    """SQLite does not watch while tables are made anew, so it is asked at the end."""
    before = contents(released)
    script = ScriptDirectory.from_config(config_for())
    newest = script.get_revision(script.get_current_head()).module
    finish = newest.upgrade

    def lose_people():
        finish()
        newest.op.execute("DELETE FROM person")

    monkeypatch.setattr(ScriptDirectory, "from_config", lambda _: script)
    monkeypatch.setattr(newest, "upgrade", lose_people)
    with pytest.raises(WrongSchema, match="would point to nothing"):
        bring_up_to_date(released)
    assert contents(released) == before
    with released.app_context():
        assert db.session.execute(text("PRAGMA foreign_keys")).scalar() == 1


def leaves_alone(app, kind, sentence):
    """A database that stands at ``kind`` is refused with ``sentence`` and keeps every row."""
    before = contents(app)
    assert where(app).kind == kind
    with pytest.raises(WrongSchema, match=sentence):
        bring_up_to_date(app)
    assert contents(app) == before


def test_the_database_of_a_newer_fieldapp_is_left_alone(released):
    bring_up_to_date(released)
    with released.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    leaves_alone(released, "ahead", "revision 9999 of a newer fieldapp")


def test_tables_of_no_release_are_left_alone(released):
    with released.app_context(), db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE part ADD COLUMN colour VARCHAR(10)"))
    leaves_alone(released, "strange", "no release")


def test_the_clock_of_every_organisation_passes_what_the_upgrade_wrote(released):
    bring_up_to_date(released)
    with released.app_context():
        visit = db.session.scalars(select(Visit)).first()
        before, org_id, id_ = visit.rev, visit.org_id, visit.id
        with unit(org_id, MORNING) as opened:
            opened.touch(id_)
        assert db.session.get_one(Visit, id_, populate_existing=True).rev == before + 1
    assert state_of(released, id_)["visit"]


def test_revisions_follow_each_other_and_import_nothing_of_ours():
    script = ScriptDirectory.from_config(config_for())
    names = [revision.revision for revision in script.walk_revisions()]
    assert names == [f"{number:04}" for number in range(len(names), 0, -1)]
    for revision in script.walk_revisions():
        source = Path(revision.path).read_text("utf-8")
        assert not re.search(r"^\s*(from|import) (fieldapp|sync)", source, re.MULTILINE)


def test_nodes_that_start_at_once_upgrade_once(released):
    """The first does the work, the others wait for it and find it done."""
    settings = {
        "FIELDAPP_INSTANCE": str(released.config["INSTANCE"]),
        "DATABASE_URL": released.config["DATABASE_URL"],
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    nodes = [
        subprocess.Popen(
            [sys.executable, "-c", "from fieldapp.cli import run; run()", "upgrade"],
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(3)
    ]
    told = sorted(node.communicate()[0] for node in nodes)
    newest = where(released).newest
    done = f"the tables are at revision {newest}"
    assert told == [f"{done}\n", f"{done}\n", f"{done}, were at {FIRST}\n"]
    assert [node.returncode for node in nodes] == [0, 0, 0]
    assert where(released).kind == "current"
