"""sync.scope: whatever a phone's cursor says, every change arrives once and none is passed over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from operations import ELI, ERIN
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    insert,
    update,
)
from sqlalchemy.engine import Connection

from sync.protocol import Cursor, digest
from sync.scope import Move, changes, move, scope_of
from sync.tables import visit_scope

ORG, OTHER = "org-1", "org-2"
START = Cursor("e", 0, "")

visits = Table(
    "visit",
    MetaData(),
    Column("id", String(36), primary_key=True),
    Column("org_id", String(36)),
    Column("work_order_id", String(36)),
    Column("rev", Integer),
)


@pytest.fixture
def database() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        visits.create(connection)
        visit_scope.create(connection)
        yield connection
    engine.dispose()


def add(
    database: Connection, *ids: str, rev: int, org: str = ORG, order: str | None = "wo"
) -> None:
    rows = [{"id": id_, "org_id": org, "work_order_id": order, "rev": rev} for id_ in ids]
    database.execute(insert(visits), rows)


def assign(database: Connection, *ids: str, rev: int, person: str = ERIN, org: str = ORG) -> None:
    move(database, org, [Move(person, id_, True, "") for id_ in ids], rev)


def touch(database: Connection, *ids: str, rev: int) -> None:
    database.execute(update(visits).where(visits.c.id.in_(ids)).values(rev=rev))


def pull(database: Connection, cursor: Cursor = START, person: str = ERIN, most: int = 200):
    return changes(database, visits, ORG, person, cursor, most)


def read_all(database: Connection, cursor: Cursor, most: int) -> list[list[str]]:
    """What each page holds until there is no more."""
    pages = []
    while True:
        page = pull(database, cursor, most=most)
        pages.append(page.changed + [id_ for id_, _ in page.removed])
        cursor = page.cursor
        if not page.more:
            return pages


def test_nobody_has_nothing(database):
    page = pull(database)
    assert (page.changed, page.removed, page.cursor, page.more) == ([], [], START, False)


def test_visits_come_in_the_order_of_their_revisions(database):
    add(database, "c", rev=1)
    add(database, "a", rev=3)
    add(database, "b", rev=2)
    assign(database, "c", rev=1)
    assign(database, "a", rev=3)
    assign(database, "b", rev=2)
    page = pull(database)
    assert (page.changed, page.cursor) == (["c", "b", "a"], Cursor("e", 3, "a"))


def test_what_was_read_does_not_come_again(database):
    add(database, "a", "b", rev=1)
    assign(database, "a", "b", rev=1)
    after = pull(database).cursor
    assert pull(database, after).changed == []
    touch(database, "a", rev=2)
    assert pull(database, after).changed == ["a"]


@pytest.mark.parametrize("most", [1, 2, 3, 5, 7, 8])
def test_a_batch_that_shares_one_revision_is_cut_into_pages_without_loss(database, most):
    ids = [f"v-{number}" for number in range(7)]
    add(database, *reversed(ids), rev=5)
    assign(database, *ids, rev=5)
    pages = read_all(database, START, most)
    assert [id_ for page in pages for id_ in page] == ids
    assert all(len(page) <= most for page in pages)


def test_a_page_that_is_exactly_full_is_the_last(database):
    add(database, "a", "b", rev=1)
    assign(database, "a", "b", rev=1)
    page = pull(database, most=2)
    assert (page.changed, page.more) == (["a", "b"], False)


def test_a_visit_that_changes_while_pages_are_read_comes_at_the_end(database):
    add(database, "a", "b", "c", rev=1)
    assign(database, "a", "b", "c", rev=1)
    first = pull(database, most=2)
    assert (first.changed, first.more) == (["a", "b"], True)
    touch(database, "a", "c", rev=2)
    assert read_all(database, first.cursor, 2) == [["a", "c"]]


def test_a_visit_assigned_without_a_change_of_its_own_arrives(database):
    add(database, "old", rev=1)
    add(database, "new", rev=9)
    assign(database, "new", rev=9)
    after = pull(database).cursor
    assign(database, "old", rev=10)
    page = pull(database, after)
    assert (page.changed, page.cursor) == (["old"], Cursor("e", 10, "old"))
    assert pull(database, page.cursor).changed == []


def test_a_visit_taken_away_arrives_with_its_reason_and_once(database):
    add(database, "a", "b", rev=1)
    assign(database, "a", "b", rev=1)
    after = pull(database).cursor
    move(database, ORG, [Move(ERIN, "a", False, "reassigned")], 2)
    page = pull(database, after)
    assert (page.changed, page.removed) == ([], [("a", "reassigned")])
    assert pull(database, page.cursor).removed == []


def test_a_visit_taken_away_does_not_come_again_when_somebody_else_works_on_it(database):
    add(database, "a", rev=1)
    assign(database, "a", rev=1)
    move(database, ORG, [Move(ERIN, "a", False, "reassigned"), Move(ELI, "a", True, "")], 2)
    after = pull(database).cursor
    touch(database, "a", rev=3)
    assert pull(database, after).removed == []
    assert pull(database, after, person=ELI).changed == ["a"]


def test_a_visit_given_back_arrives_again(database):
    add(database, "a", rev=1)
    assign(database, "a", rev=1)
    move(database, ORG, [Move(ERIN, "a", False, "reassigned")], 2)
    after = pull(database).cursor
    assign(database, "a", rev=3)
    page = pull(database, after)
    assert (page.changed, page.removed) == (["a"], [])


def test_of_several_moves_at_once_the_last_counts(database):
    add(database, "a", rev=1)
    moves = [Move(ERIN, "a", True, ""), Move(ERIN, "a", False, "x"), Move(ERIN, "a", True, "")]
    move(database, ORG, moves, 2)
    assert pull(database).changed == ["a"]


def test_changes_and_removals_share_the_pages(database):
    add(database, "a", "b", "c", "d", rev=1)
    assign(database, "a", "b", "c", "d", rev=1)
    move(database, ORG, [Move(ERIN, "b", False, "x"), Move(ERIN, "d", False, "y")], 1)
    assert read_all(database, START, 1) == [["a"], ["b"], ["c"], ["d"]]


def test_olly_s_organisation_and_other_people_see_nothing_of_it(database):
    add(database, "a", rev=1)
    assign(database, "a", rev=1)
    add(database, "theirs", rev=1, org=OTHER)
    assign(database, "theirs", rev=1, org=OTHER)
    assert pull(database, person=ELI).changed == []
    assert pull(database).changed == ["a"]
    assert changes(database, visits, OTHER, ERIN, START).changed == ["theirs"]
    assert scope_of(database, visits, OTHER, ERIN) == {"theirs": 1}


def test_a_row_of_another_organisation_for_our_visit_opens_nothing(database):
    add(database, "a", rev=1)
    assign(database, "a", rev=1, org=OTHER)
    assert pull(database).changed == []
    assert changes(database, visits, OTHER, ERIN, START).changed == []


def test_a_visit_without_a_work_order_goes_to_who_opened_it(database):
    add(database, "a", rev=1, order=None)
    assert pull(database).changed == []
    assign(database, "a", rev=1)
    assert pull(database).changed == ["a"]
    assert scope_of(database, visits, ORG, ERIN) == {"a": 1}


def test_a_scope_row_whose_visit_is_gone_brings_nothing(database):
    add(database, "a", rev=1)
    assign(database, "a", rev=1)
    database.execute(delete(visits))
    assert pull(database).changed == []


def test_the_scope_is_what_a_phone_that_read_everything_holds(database):
    add(database, "a", "b", "c", rev=1)
    assign(database, "a", "b", "c", rev=2)
    move(database, ORG, [Move(ERIN, "b", False, "x")], 3)
    touch(database, "c", rev=4)
    held = scope_of(database, visits, ORG, ERIN)
    assert held == {"a": 1, "c": 4}
    assert set(held) == set(pull(database).changed)
    assert digest(held) == digest({"c": 4, "a": 1})
