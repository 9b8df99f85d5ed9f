"""The workload of the peers through fieldapp itself: two phones of one engineer, one server."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.client import Client
from bench.databases import database, installation
from bench.office import PASSWORD, make_office
from bench.server import serving
from bench.workload import bodies_of, body

ACCOUNT = "engineer-0"
PATH = "diagnosis/text"


def measure(kind: str, visits: int, edited: int) -> dict[str, float]:
    """Milliseconds of push, pull and idle pull; conflicts and added notes that were kept."""
    with tempfile.TemporaryDirectory(prefix="fieldapp-ours-") as name:
        folder = Path(name)
        with database(kind, folder) as url:
            now = datetime.now(UTC)
            with installation(folder, url):
                ids = make_office(1, visits + 1, now).visits[ACCOUNT]
            with serving(folder, url) as server, contextlib.ExitStack() as stack:
                phones = [phone(server.port) for _ in range(3)]
                for each in phones:
                    stack.callback(each.close)
                return _measure(phones, ids, edited, now)


def phone(port: int, account: str = ACCOUNT) -> Client:
    """A phone that was just enrolled."""
    client = Client(port)
    client.sign_in(account, PASSWORD)
    client.enrol()
    return client


def _measure(phones: list[Client], ids: list[str], edited: int, now: datetime) -> dict[str, float]:
    one, two, other = phones
    # What a server loads on its first requests is nobody's push.
    warm, *visits = ids
    other.push(bodies_of([warm], other.person, other.device, now))
    other.pull()
    bodies = bodies_of(visits, one.person, one.device, now)
    receipts: list[dict[str, str]] = []
    found = {"push": timed(lambda: receipts.extend(one.push(bodies)))}
    assert [each["id"] for each in receipts] == [each["id"] for each in bodies]
    assert {each["state"] for each in receipts} == {"merged"}
    found["pull"] = timed(two.pull)
    assert two.held.keys() == set(ids)
    found["idle"] = timed(two.pull)
    for client in (one, two):
        client.push(_edits(client, visits[:edited], two, len(bodies), now))
    two.pull()
    states = [two.held[visit]["state"] for visit in visits[:edited]]
    found["conflicts"] = sum(state["fields"][PATH]["conflict"] for state in states)
    found["kept"] = sum(
        str(entry["value"].get("text")).startswith("note of ")
        for state in states
        for entry in state["entries"]
    )
    return found


def _edits(
    client: Client, visits: list[str], reader: Client, high: int, now: datetime
) -> list[dict[str, object]]:
    """One field changed and one note added to each visit, as ``reader`` saw it."""
    made = []
    for number, visit in enumerate(visits):
        heads = reader.held[visit]["state"]["fields"][PATH]["heads"]
        common = {"visit": visit, "author": client.person, "device": client.device, "now": now}
        n = high + 2 * number
        cause = {PATH: f"cause as seen by {client.device}"}
        note = {"text": f"note of {client.device}"}
        made += [
            body("diagnosis", cause, n=n + 1, paths=[PATH], seen=heads, **common),
            body("note", note, n=n + 2, **common),
        ]
    return made


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that ``work`` takes."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)
