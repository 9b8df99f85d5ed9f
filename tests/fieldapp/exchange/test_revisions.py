"""The clock of an organisation: every unit has its revision, and many at once lose nothing."""

import itertools
import threading
import time

from sqlalchemy import event, func, select

from fieldapp.models import Visit, db
from fieldapp.perform import received_of
from sync import merge
from sync.tables import journal, sync_clock, visit_scope
from tests.fieldapp.exchange.kept import held, rev_of
from tests.phones import at_desk, state_of


def statements_of(app, work):
    """Every statement that ``work`` sent, in order; commits and rollbacks included."""
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", lambda _: sent.append("COMMIT"))
    try:
        work()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return sent


def clock_of(app, org_id):
    with app.app_context():
        return db.session.scalar(select(sync_clock.c.rev).where(sync_clock.c.org_id == org_id))


def test_the_revision_rises_with_every_unit(app, organisation, visit, dana, erin_phone):
    seen = [clock_of(app, organisation)]
    for number in range(3):
        erin_phone.push(erin_phone.note(visit, f"note {number}"))
        assert rev_of(app, visit) == clock_of(app, organisation)
        at_desk(app, dana, visit, ("remark", {"text": "thanks"}))
        seen.append(clock_of(app, organisation))
    assert all(later >= earlier + 2 for earlier, later in itertools.pairwise(seen))


def test_a_unit_that_changes_nothing_leaves_the_clock(app, organisation, visit, erin_phone):
    note = erin_phone.note(visit)
    erin_phone.push(note)
    rev = clock_of(app, organisation)
    erin_phone.push(note)
    erin_phone.push()
    assert clock_of(app, organisation) == rev


def test_visit_journal_and_scope_share_the_revision(app, visit, dana, eli):
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    with app.app_context():
        scopes = dict(
            db.session.execute(
                select(visit_scope.c.active, visit_scope.c.rev).where(
                    visit_scope.c.visit_id == visit
                )
            ).all()
        )
        newest = db.session.scalar(
            select(func.max(journal.c.rev)).where(journal.c.visit_id == visit)
        )
        assert db.session.scalar(select(func.min(journal.c.rev))) > 0
    assert scopes == {True: newest, False: newest} == {True: rev_of(app, visit), False: newest}


def test_behind_the_clock_there_is_only_its_stamp(app, visit, dana, eli):
    sent = statements_of(
        app,
        lambda: at_desk(
            app, dana, visit, ("assignment", {"engineer": eli.id}), ("remark", {"text": "yours"})
        ),
    )
    bumps = [at for at, text in enumerate(sent) if text.startswith("UPDATE sync_clock")]
    assert len(bumps) == 1
    behind = [" ".join(text.split()) for text in sent[bumps[0] + 1 :]]
    behind = behind[: behind.index("COMMIT")]
    stamps = ("UPDATE visit SET rev=", "UPDATE visit_scope SET rev=", "INSERT INTO visit_scope",
              "UPDATE journal SET rev=")  # fmt: skip
    assert behind
    assert [text for text in behind if not text.startswith(stamps)] == []


def test_a_writer_takes_sqlites_lock_before_it_reads(app, sqlite, visit, dana):
    sent = statements_of(app, lambda: at_desk(app, dana, visit, ("remark", {"text": "yours"})))
    behind = sent[sent.index("BEGIN IMMEDIATE") + 1 :]
    assert any(text.startswith("UPDATE sync_clock") for text in behind)
    assert "BEGIN" not in behind[: behind.index("COMMIT")]


def test_twelve_writers_and_a_poller_lose_nothing(app, visit_of, erin, erin_phone, phone_of):
    """Twelve phones push while one pulls; at the end it holds what the server holds."""
    visits = [visit_of(erin, f"PG-{number}") for number in range(6)]
    writers = [phone_of(erin) for _ in range(12)]
    failed, until = [], time.monotonic() + 3

    def write(phone, number):
        count = 0
        while time.monotonic() < until and count < 8:
            count += 1
            body = phone.note(visits[(number + count) % 6], f"{number}.{count}")
            for _ in range(5):
                response = phone.push(body)
                if response.status_code != 503:
                    break
            if response.status_code != 200:
                failed.append((response.status_code, response.text))

    threads = [
        threading.Thread(target=write, args=(phone, number)) for number, phone in enumerate(writers)
    ]
    for thread in threads:
        thread.start()
    polls = 0
    while any(thread.is_alive() for thread in threads):
        told = erin_phone.pull()
        polls += 1
    for thread in threads:
        thread.join()
    told = erin_phone.pull()
    assert failed == []
    assert polls  # it read while they wrote, on however slow a machine
    assert told["digest"] == erin_phone.digest
    pulled = {
        entry["id"] for item in erin_phone.visits.values() for entry in item["state"]["entries"]
    }
    assert pulled == {row.id for row in held(app, kind="note")}
    assert len(pulled) >= 12


def test_twenty_edits_at_once_from_phone_and_desk_lose_no_value(
    app, visit, dana, erin_phone, client_of
):
    head = {"fault/text": state_of(app, visit)["fields"]["fault/text"]["heads"]}
    texts = [f"text {number}" for number in range(20)]
    failed = []

    def by_phone(text):
        body = erin_phone.operation("fault", visit, {"fault/text": text}, head)
        if erin_phone.push(body).status_code != 200:
            failed.append(text)

    def by_desk(text):
        at_desk(app, dana, visit, ("fault", {"text": text}, head))

    threads = [
        threading.Thread(target=by_phone if number % 2 else by_desk, args=(text,))
        for number, text in enumerate(texts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    cell = state_of(app, visit)["fields"]["fault/text"]
    assert sorted(side["value"] for side in cell["sides"]) == sorted(texts)
    assert cell["conflict"]
    with app.app_context():
        row = db.session.get_one(Visit, visit)
        assert row.conflict_count == 1
        assert merge.fold(received_of(row), visit)["fields"]["fault/text"] == cell
    review = client_of(dana).get(f"/desk/visits/{visit}").text
    assert [text for text in texts if f">{text}</span>" not in review] == []
