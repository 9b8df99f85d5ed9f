"""The bench's own plumbing: what it prints is measured on work that was really done."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from bench import archive, bulk, ours
from bench.bulk import bulk_rows
from bench.databases import installation
from bench.growth import growth_rows
from bench.memory import resident_over
from bench.office import make_office
from bench.storm import storm_rows
from fieldapp.models import Visit, db
from fieldapp.perform import journal_of, unit
from sync.tables import visit_scope

NOW = datetime(2026, 3, 10, 2, 48, tzinfo=UTC)


def test_a_storm_of_three_phones_loses_nothing():
    first, *_, last = storm_rows("SQLite", 3)
    assert first.startswith("SQLite, 3 phones in 0 s: ")
    assert "; 0 errors; " in first
    assert last.split("journal once")[1].split() == [
        "60", "of", "60", "operations;", "whole:", "6", "of", "6", "photos", "ok",
    ]  # fmt: skip


def test_every_figure_of_the_growth_has_its_row():
    rows = list(growth_rows("SQLite", [75, 80], 1))
    assert [row.name for row in rows] == [
        f"SQLite, {what}, 80 visits"
        for what in ("push of 10 operations", "pull of one change", "idle pull", "board", "inbox")
    ]
    assert all(row.ok is not None for row in rows)


def test_every_work_order_is_sealed_while_people_ask_for_pages():
    first, *pages = bulk_rows(3, 2)
    assert (first.name, first.ok) == ("work orders left unsealed of 3", True)
    assert [row.name.partition(" while ")[0] for row in pages] == [
        "engineer's page", "push", "board",
    ]  # fmt: skip


def test_work_orders_that_nobody_seals_are_counted(monkeypatch):
    monkeypatch.setattr(bulk, "SECONDS_EACH", -20)  # given up at once
    monkeypatch.setattr(bulk, "_sealed", lambda: 1)
    (row,) = bulk_rows(3, 0)
    assert row.measured.startswith("2.00 orders")
    assert row.ok is False


def test_the_memory_of_one_process_is_read():
    found = resident_over(2)
    assert 50 < found["early_mb"] <= found["peak_mb"] < 2000


def test_the_workload_of_the_peers_finds_every_conflict_and_keeps_every_note():
    found = ours.measure("SQLite", 3, 2)
    assert (found["conflicts"], found["kept"]) == (2, 4)


@pytest.fixture
def office(tmp_path):
    with installation(tmp_path, f"sqlite:///{tmp_path / 'fieldapp.sqlite'}"):
        made = make_office(2, 1, NOW)
        archive.fill(made, 4, NOW)
        yield made


def by_id(entries):
    return {entry["id"]: entry for entry in entries}


def test_a_copied_visit_is_what_folding_its_journal_gives(office):
    archived = db.session.scalars(select(Visit).where(Visit.status == "accepted")).all()
    assert len(archived) == 5
    for visit in archived:
        assert len(journal_of(visit)) == 10
        before = visit.state
        with unit(office.org_id, NOW) as opened:
            opened.refresh(visit.id)
        assert visit.status == "accepted"
        assert by_id(visit.state["entries"]).keys() == by_id(before["entries"]).keys()
        assert visit.state["fields"].keys() == before["fields"].keys()


def test_a_copied_visit_left_the_phone(office):
    rows = db.session.execute(
        select(visit_scope.c.visit_id, visit_scope.c.active, visit_scope.c.reason)
    ).all()
    copied = [row for row in rows if row.reason == "closed"]
    assert len(copied) == 4
    assert not any(row.active for row in copied)
