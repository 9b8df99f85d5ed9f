"""As many histories as fit, on every core; ``make simulate`` plays more of them."""

from __future__ import annotations

import pytest

from tests.simulator.history import draw, tell
from tests.simulator.network import FAULTS
from tests.simulator.play import a_server, play, search, shrink
from tests.simulator.world import Violation, World, versions

LEAST, SECONDS = 100, 15


@pytest.fixture(scope="module")
def server(databases):
    with a_server(databases) as opened:
        yield opened


def test_every_history_comes_to_rest_with_nothing_lost(databases):
    *_, (played, failures) = search(databases, 0, least=LEAST, seconds=SECONDS)
    assert failures == [], "make simulate SEEDS=1 FIRST=<seed> shortens it"
    assert played >= LEAST


def test_a_seed_is_one_history(server):
    assert draw(7) == draw(7)
    books = [book_of(server, 7) for _ in range(2)]
    assert books[0] == books[1]
    assert books[0] != book_of(server, 8)


def book_of(server, seed):
    """Everything a history leaves behind that could differ from run to run."""
    history = draw(seed)
    with versions():
        world = World(server, history)
        world.play(history["events"])
        with server.app.app_context():
            backup = server.backup()
    rows = {
        table.name: sorted(str(sorted(row.items())) for row in rows)
        for table, rows in backup.rows.items()
    }
    return rows, sorted(world.owed), world.network.carried


def test_the_histories_hold_what_is_hard():
    histories = [draw(seed) for seed in range(300)]
    events = [event for history in histories for event in history["events"]]
    assert {fault for event in events for fault in event.get("faults", ()) if fault} == set(FAULTS)
    for name in ("crash", "evict", "clone", "jump", "restore", "revoke", "learn", "deliver"):
        assert sum(event["do"] == name for event in events) > 20, name
    acts = {event["act"] for event in events if "act" in event}
    assert {"assign", "unassign", "help", "cancel", "resolve", "undo", "sign", "photo"} <= acts
    assert any(history["narrow"] for history in histories)
    assert any(0 < event.get("steps", 0) < 12 for event in events)


def test_what_fails_is_shortened_to_what_it_needs(server):
    """As if whoever restores after a photo was taken were the fault."""
    history = draw(3)
    needed = [event for event in history["events"] if event["do"] in ("sync", "desk")][:2]

    def fails(other):
        return all(event in other["events"] for event in needed)

    assert shrink(history, fails)["events"] == needed


def test_a_violation_names_what_does_not_hold(server, monkeypatch):
    monkeypatch.setattr("tests.simulator.naive.conflicts", lambda items: {"fault/text"})
    violation = play(server, draw(1))
    assert isinstance(violation, Violation)
    assert violation.name == "conflicts"


def test_a_history_can_be_read():
    lines = tell(draw(1))
    assert len(lines) == len(draw(1)["events"]) + 1
    assert "desk" in lines[1]
