"""One unit: all of it or nothing of it, and what a folded visit writes for lists and phones."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from fieldapp import context, jobs
from fieldapp.models import Notice, Organisation, Person, Visit, db
from fieldapp.perform import SERVER, journal_of, received_of, unit
from sync import merge
from sync.tables import journal, sync_clock, visit_scope
from tests import cast
from tests.phones import at_desk, flags_of, state_of

NOW = datetime(2026, 3, 10, 2, 48, tzinfo=UTC)


@pytest.fixture
def asked(monkeypatch):
    """The background jobs that were asked for."""
    found = []
    monkeypatch.setattr(jobs, "enqueue", lambda *job, **_: found.append(job))
    return found


def row(app, visit):
    with app.app_context():
        found = db.session.get_one(Visit, visit)
        db.session.expunge(found)
        return found


def scope_of(app, visit):
    with app.app_context():
        rows = db.session.execute(select(visit_scope).where(visit_scope.c.visit_id == visit))
        return {line.person_id: (line.active, line.reason) for line in rows}


def counted_rows(app):
    with app.app_context():
        return len(db.session.execute(select(journal)).all())


def perform_and_fail(author, visit, work):
    with unit(author.org_id, NOW) as opened:
        for kind, value in work:
            opened.perform(kind, visit, db.session.get_one(Person, author.id), value)
        raise ZeroDivisionError


# All or nothing


def test_a_unit_that_fails_leaves_nothing(app, visit, dana, asked):
    before, rows = state_of(app, visit), counted_rows(app)
    signature = {"name": "Cleo", "role": "contact", "strokes": [[1, 1, 1, 2, 2, 2]]}
    with app.app_context():
        work = [("remark", {"text": "half"}), ("signature", signature)]
        with pytest.raises(ZeroDivisionError):
            perform_and_fail(dana, visit, work)
    assert (state_of(app, visit), counted_rows(app)) == (before, rows)
    assert asked == []


def test_jobs_start_only_when_their_facts_are_stored(app, visit, erin, monkeypatch):
    seen = []

    def look(job, key, **_):
        other = []

        def read():
            with app.app_context():
                other.append(len(db.session.get_one(Visit, key).state["entries"]))

        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        seen.append((job, key, *other))

    monkeypatch.setattr(jobs, "enqueue", look)
    at_desk(app, erin, visit, ("refusal", {"reason": "absent"}), ("leaving", {}))
    assert seen == [("report", visit, 2)]


def test_a_unit_of_another_organisation_cannot_touch_the_visit(app, visit, olly):
    before, rev = state_of(app, visit), row(app, visit).rev
    (receipt,) = at_desk(app, olly, visit, ("remark", {"text": "mine now"}))
    with app.app_context(), unit(olly.org_id, NOW) as opened:
        opened.touch(visit)
    assert receipt.state == "flagged"
    assert (state_of(app, visit), row(app, visit).rev) == (before, rev)


# Performing here


def test_what_is_performed_here_comes_from_the_server(app, visit, dana):
    at_desk(app, dana, visit, ("remark", {"text": "hurry"}), now=NOW)
    (entry,) = state_of(app, visit)["entries"]
    assert (entry["device"], entry["author"]) == (SERVER, dana.id)
    assert entry["at"] == entry["wall_at"] == "2026-03-10T02:48:00Z"
    assert flags_of(app, visit) == []


def test_the_author_is_taken_to_have_seen_what_is_there(app, visit, dana):
    at_desk(app, dana, visit, ("fault", {"text": "beeps"}))
    assert not state_of(app, visit)["fields"]["fault/text"]["conflict"]


def test_an_author_who_saw_nothing_makes_a_conflict(app, visit, dana):
    (receipt,) = at_desk(app, dana, visit, ("fault", {"text": "beeps"}, {}))
    assert receipt.state == "conflict"
    assert row(app, visit).conflict_count == 1


def test_a_resolution_settles_a_conflict(app, visit, dana):
    at_desk(app, dana, visit, ("fault", {"text": "beeps"}, {}))
    heads = state_of(app, visit)["fields"]["fault/text"]["heads"]
    at_desk(
        app, dana, visit, ("resolution", {"fault/text": "beeps since 08:40"}, {"fault/text": heads})
    )
    cell = state_of(app, visit)["fields"]["fault/text"]
    assert (cell["value"], cell["conflict"]) == ("beeps since 08:40", False)
    assert row(app, visit).conflict_count == 0


def test_several_operations_of_one_unit_build_on_each_other(app, visit, dana, eli):
    at_desk(
        app,
        dana,
        visit,
        ("fault", {"text": "one"}),
        ("fault", {"text": "two"}),
        ("assignment", {"engineer": eli.id}),
    )
    fields = state_of(app, visit)["fields"]
    assert (fields["fault/text"]["value"], fields["fault/text"]["conflict"]) == ("two", False)
    assert row(app, visit).engineer_id == eli.id


def test_what_an_engineer_decides_at_the_desk_is_flagged_and_decides_nothing(app, visit, erin, eli):
    (receipt,) = at_desk(app, erin, visit, ("assignment", {"engineer": eli.id}))
    assert receipt.state == "flagged"
    assert receipt.reasons == ("author.role",)
    assert row(app, visit).engineer_id == erin.id


# What a visit writes for others


def test_columns_follow_the_fold(app, visit, dana, erin):
    appointment = ("appointment", {"at": "2026-03-10T02:00:00Z"})
    at_desk(app, dana, visit, appointment, now=NOW - timedelta(hours=1))
    at_desk(app, erin, visit, ("arrival", {"outcome": "present"}), now=NOW)
    at_desk(app, erin, visit, ("diagnosis", {"text": "fuse " * 100, "cause": "product"}), now=NOW)
    found = row(app, visit)
    assert found.status == "on-site"
    assert found.arrived_at == NOW
    assert found.appointment_at == datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
    assert found.due_at == cast.MORNING + timedelta(minutes=120)
    assert found.summary_text.startswith("fuse fuse")
    assert len(found.summary_text) == 120


@pytest.mark.parametrize(
    "at",
    ["soon", "", None, 7, "2026-03-10T02:00:00", ["x"], "9999-12-31T23:59:59-14:00",
     "0001-01-01T00:00:00+14:00"],
)  # fmt: skip
def test_an_appointment_that_is_no_time_leaves_the_column_empty(app, visit, dana, at):
    at_desk(app, dana, visit, ("appointment", {"at": at}))
    assert row(app, visit).appointment_at is None
    assert state_of(app, visit)["fields"]["appointment/at"]["value"] == at


def test_an_appointment_in_another_offset_is_kept_as_utc(app, visit, dana):
    at_desk(app, dana, visit, ("appointment", {"at": "2026-03-10T10:00:00+08:00"}))
    assert row(app, visit).appointment_at == datetime(2026, 3, 10, 2, 0, tzinfo=UTC)


def test_a_helper_holds_the_visit_too(app, visit, dana, erin, eli):
    at_desk(app, dana, visit, ("assignment", {"engineer": erin.id, "helpers": [eli.id]}))
    assert row(app, visit).engineer_id == erin.id
    assert scope_of(app, visit) == {erin.id: (True, "assigned"), eli.id: (True, "assigned")}
    at_desk(app, dana, visit, ("assignment", {"engineer": erin.id, "helpers": []}))
    assert scope_of(app, visit) == {erin.id: (True, "assigned"), eli.id: (False, "reassigned")}


def test_while_two_assignments_stand_both_hold_the_visit(app, visit, dana, erin, eli):
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}, {"assignment": []}))
    assert scope_of(app, visit) == {erin.id: (True, "assigned"), eli.id: (True, "assigned")}


@pytest.mark.parametrize("helpers", [None, "eli", {"a": 1}, [7, None], ["nobody"]])
def test_helpers_who_are_none_are_nobody(app, visit, dana, erin, helpers):
    at_desk(app, dana, visit, ("assignment", {"engineer": erin.id, "helpers": helpers}))
    assert scope_of(app, visit) == {erin.id: (True, "assigned")}


def test_a_helper_of_another_organisation_gets_nothing(app, visit, dana, erin, olly):
    at_desk(app, dana, visit, ("assignment", {"engineer": erin.id, "helpers": [olly.id]}))
    assert scope_of(app, visit) == {erin.id: (True, "assigned")}


@pytest.mark.parametrize("engineer", ["nobody", "", None, ["x"], {"a": 1}, "\0"])
def test_an_assignment_to_nobody_takes_the_visit_from_everybody(app, visit, dana, erin, engineer):
    at_desk(app, dana, visit, ("assignment", {"engineer": engineer}))
    assert row(app, visit).engineer_id is None
    assert scope_of(app, visit) == {erin.id: (False, "unassigned")}


def test_a_visit_cannot_be_assigned_to_another_organisations_engineer(app, visit, dana, olly):
    at_desk(app, dana, visit, ("assignment", {"engineer": olly.id}))
    assert row(app, visit).engineer_id is None
    assert olly.id not in scope_of(app, visit)


def test_a_new_engineer_gets_the_visit_and_the_old_one_a_reason(app, visit, dana, erin, eli):
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    assert scope_of(app, visit) == {
        erin.id: (False, "reassigned"),
        eli.id: (True, "assigned"),
    }


def test_performing_reads_no_context(app, visit, dana, monkeypatch):
    """Only the targets are needed; a whole context was nearly half of the time."""

    def refuse(*_):
        raise AssertionError("a context was made")

    monkeypatch.setattr(context, "contexts_of", refuse)
    monkeypatch.setattr(context, "context_of", refuse)
    at_desk(app, dana, visit, ("fault", {"level": "accessory"}), ("remark", {"text": "x"}))
    assert row(app, visit).due_at is not None
    assert flags_of(app, visit) == []


def test_the_journal_folds_to_what_is_stored(app, visit, dana, erin):
    at_desk(app, erin, visit, ("arrival", {"outcome": "present"}), ("note", {"text": "wet"}))
    at_desk(app, dana, visit, ("fault", {"text": "beeps"}, {}))
    with app.app_context():
        found = db.session.get_one(Visit, visit)
        assert merge.fold(received_of(found), visit) == found.state
        times = [line.corrected_ms for line in journal_of(found)]
        assert times == sorted(times)
        assert len(times) == 5


def test_the_first_unit_of_an_organisation_starts_its_clock(app, organisation, erin):
    with app.app_context():
        assert db.session.execute(select(sync_clock)).all() == []
        with unit(organisation, NOW) as opened:
            opened.touch("no such visit")
        assert opened.rev == 1


# Numbers


def issue(app, author, visit, *serials, now=NOW):
    value = {"removed_serial": "W-1", "reason_text": "bench", "told_text": "Friday"}
    at_desk(
        app,
        author,
        visit,
        *(("loaner", value | {"loaner_serial": item}) for item in serials),
        now=now,
    )
    return [
        entry["notice"] for entry in state_of(app, visit)["entries"] if entry["kind"] == "loaner"
    ]


def test_notices_count_within_a_day_of_the_organisation(app, visit, erin):
    # half past eleven at night and half past midnight in Shanghai: the same day in UTC
    late, early = (datetime(2026, 3, 10, hour, 30, tzinfo=UTC) for hour in (15, 16))
    assert sorted(issue(app, erin, visit, "SP-1", "SP-2", now=late)) == [
        "TH-20260310-001",
        "TH-20260310-002",
    ]
    assert issue(app, erin, visit, "SP-3", now=early)[-1] == "TH-20260311-001"


def test_two_loaners_at_once_get_two_numbers(app, visit_of, erin):
    visits = [visit_of(erin, f"PG-{number}") for number in range(6)]
    threads = [threading.Thread(target=issue, args=(app, erin, visit, "SP-1")) for visit in visits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with app.app_context():
        numbers = db.session.scalars(select(Notice.number)).all()
    assert sorted(numbers) == [f"TH-20260310-{count:03}" for count in range(1, 7)]


def test_a_failed_unit_uses_up_no_number(app, visit, erin):
    value = {"removed_serial": "W", "loaner_serial": "S", "reason_text": "r", "told_text": "t"}
    with app.app_context(), pytest.raises(ZeroDivisionError):
        perform_and_fail(erin, visit, [("loaner", value)])
    assert issue(app, erin, visit, "SP-1") == ["TH-20260310-001"]


def test_a_note_has_no_notice(app, visit, erin):
    at_desk(app, erin, visit, ("note", {"text": "wet"}))
    assert all("notice" not in entry for entry in state_of(app, visit)["entries"])


def test_the_policy_of_the_organisation_is_asked(app, organisation, visit):
    with app.app_context(), unit(organisation, NOW) as opened:
        assert opened.policy.code == db.session.get_one(Organisation, organisation).policy


def test_visits_beside_each_other_never_wait_in_a_circle(app, visit_of, dana, erin, phone_of):
    """What happens at one is told in the others' contexts, so each write takes several visits."""
    visits = [visit_of(erin, f"PG-{number}") for number in range(4)]
    failed = []

    def from_phone(phone, turn):
        for count in range(5):
            ours = visits[turn:] + visits[:turn]
            bodies = [
                phone.operation("arrival", visit, {"outcome": "present", "at_gate": count})
                for visit in ours
            ]
            response = phone.push(*bodies)
            if response.status_code != 200:
                failed.append(response.text)

    def from_desk(visit):
        for count in range(5):
            try:
                at_desk(app, dana, visit, ("fault", {"text": f"dead since {count}"}))
            except Exception as error:
                failed.append(error)

    phones = [phone_of(erin) for _ in visits]
    threads = [
        *(threading.Thread(target=from_phone, args=(phones[turn], turn)) for turn in range(4)),
        *(threading.Thread(target=from_desk, args=(visit,)) for visit in visits),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for visit in visits:
        state = state_of(app, visit)
        assert sum(entry["kind"] == "arrival" for entry in state["entries"]) == 20
        assert len(state["fields"]["fault/text"]["heads"]) == 1
