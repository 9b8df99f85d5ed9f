"""The same promises on SQLite and on PostgreSQL."""

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import BigInteger, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.schema import CreateIndex, CreateTable

from fieldapp.database import begin_reading, begin_writing, driver_url, insert_new, queue_up
from fieldapp.models import Customer, Organisation, Person, db
from sync.tables import context_block, metadata, sync_clock
from tests import cast


def pragma(name):
    return db.session.execute(text(f"PRAGMA {name}")).scalar()


def test_sqlite_keeps_what_it_confirmed(app, sqlite):
    with app.app_context():
        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == 2
        assert pragma("foreign_keys") == 1
        assert pragma("busy_timeout") >= 5000


def test_postgresql_waits_and_reads_as_writers_and_readers_need(app, postgresql):
    def told(name):
        return db.session.execute(text(f"SHOW {name}")).scalar()

    with app.app_context():
        begin_writing()
        assert told("transaction_isolation") == "read committed"
        assert told("transaction_read_only") == "off"
        begin_reading()
        assert told("transaction_isolation") == "repeatable read"
        assert told("transaction_read_only") == "on"
        begin_writing()
        assert told("transaction_read_only") == "off"


@pytest.mark.parametrize("usual", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_name_of_postgresql_means_psycopg(usual):
    assert driver_url(f"{usual}://erin@db/jobs") == "postgresql+psycopg://erin@db/jobs"


@pytest.mark.parametrize("url", ["sqlite:///postgres://", "postgresql+pg8000://db/jobs", ""])
def test_other_addresses_stay_as_they_are(url):
    assert driver_url(url) == url


def test_text_that_no_database_need_take_is_kept_readable(app, organisation):
    """PostgreSQL knows no NUL; what came with one is stored and found all the same."""
    with app.app_context():
        name = "Brook\0Alarms"
        db.session.add(Customer(id="c", org_id=organisation, code="C1", name=name))
        db.session.commit()
        kept = db.session.scalar(select(Customer.name).where(Customer.name == name))
        assert kept.replace("\N{REPLACEMENT CHARACTER}", "\0") == name


def test_who_queues_up_waits_until_the_other_is_done(app, organisation):
    """Those of one name count on from each other; one of another name does not stop them."""
    with app.app_context():
        db.session.execute(sync_clock.insert().values(org_id=organisation, rev=0))
        db.session.commit()

    def count_up():
        with app.app_context():
            for _ in range(25):
                begin_writing()
                queue_up("count")
                rev = db.session.scalar(select(sync_clock.c.rev))
                db.session.execute(sync_clock.update().values(rev=rev + 1))
                db.session.commit()

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    with app.app_context():
        begin_reading()
        queue_up("something else")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        db.session.commit()
        assert db.session.scalar(select(sync_clock.c.rev)) == 100


@pytest.mark.parametrize("number", [2**31, 2**63, 10**30])
def test_a_number_that_fits_nowhere_is_an_address_of_nothing(app, visit, dana, client_of, number):
    desk = client_of(dana)
    assert desk.get(f"/desk/visits/{visit}/reports/{number}/dispatch-order").status_code == 404


def test_a_row_that_points_nowhere_is_refused(app, organisation):
    with app.app_context():
        person = cast.make_person("erin", db.session.get_one(Organisation, organisation))
        person.org_id = "nowhere"
        with pytest.raises(IntegrityError):
            db.session.commit()


def test_two_writers_who_read_first_wait_for_each_other(app, organisation):
    """Reading and then writing in one transaction: the second waits and loses nothing."""
    with app.app_context():
        db.session.execute(sync_clock.insert().values(org_id=organisation, rev=0))
        db.session.commit()
    failed = []

    def count_up():
        with app.app_context():
            for _ in range(25):
                try:
                    begin_writing()
                    rev = db.session.scalar(select(sync_clock.c.rev).with_for_update())
                    db.session.execute(sync_clock.update().values(rev=rev + 1))
                    db.session.commit()
                except OperationalError as error:
                    failed.append(error)

    threads = [threading.Thread(target=count_up) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with app.app_context():
        assert failed == []
        assert db.session.scalar(select(sync_clock.c.rev)) == 150


def test_a_reader_sees_one_moment(app, organisation):
    with app.app_context():
        begin_reading()
        first = db.session.scalar(select(Organisation.name))

        def rename():
            with app.app_context():
                db.session.get_one(Organisation, organisation).name = "Other"
                db.session.commit()

        thread = threading.Thread(target=rename)
        thread.start()
        thread.join()
        assert db.session.scalar(select(Organisation.name)) == first
        begin_reading()
        assert db.session.scalar(select(Organisation.name)) == "Other"


def test_what_is_there_already_stays(app, organisation):
    row = {"org_id": organisation, "sha256": "a" * 64, "visit_id": "v", "served_ms": 1, "size": 2}
    with app.app_context():
        for body in ("first", "second"):
            db.session.execute(insert_new(context_block), [row | {"body": body}])
            db.session.commit()
        assert db.session.scalars(select(context_block.c.body)).all() == ["first"]


def test_times_come_back_as_utc_and_naive_ones_are_refused(app, erin):
    with app.app_context():
        person = db.session.get_one(Person, erin.id)
        person.left_at = cast.MORNING.astimezone(UTC)
        db.session.commit()
        assert person.left_at == cast.MORNING
        assert person.left_at.tzinfo is not None
        person.left_at = datetime(2026, 3, 10, 9, 0)  # noqa: DTZ001
        with pytest.raises(StatementError, match="without its zone"):
            db.session.commit()


@pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite.dialect()], ids=lambda d: d.name)
def test_every_table_can_be_made_on_both_databases(app, dialect):
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))


def test_milliseconds_and_revisions_have_room(app):
    """PostgreSQL's INTEGER ends at 25 days of ms; a phone with a wild clock must get through."""
    narrow = [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name.endswith("_ms") or column.name in ("high", "n", "rev")
        if not isinstance(column.type, BigInteger)
    ]
    assert narrow == []


def test_every_table_of_an_organisation_says_so(app):
    without = [
        table.name
        for table in metadata.sorted_tables
        if "org_id" not in table.columns and table.name != "organisation"
    ]
    assert without == []


@pytest.mark.parametrize(
    ("table", "column"),
    [("service_request", "site_id"), ("service_request", "customer_id"),
     ("service_request", "asset_id"), ("service_request", "contact_id"),
     ("work_order", "request_id"), ("visit", "work_order_id"), ("site", "customer_id")],
)  # fmt: skip
def test_what_contexts_look_up_is_indexed(app, table, column):
    indexes = metadata.tables[table].indexes
    assert any([item.name for item in index.columns] == [column] for index in indexes)


def test_two_customers_cannot_share_a_code(app, organisation):
    with app.app_context():
        for name in ("one", "two"):
            db.session.add(Customer(id=name, org_id=organisation, code="C1", name=name))
        with pytest.raises(IntegrityError):
            db.session.commit()
