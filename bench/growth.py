"""``python -m bench.growth``: what a push, a pull and the desk cost beside a growing archive.

``FULL=1`` adds the row of 1,000,000 visits.  All sizes are measured in turns, so that a noisy
machine slows them alike; ratios are to the smallest.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.archive import fill
from bench.client import Client
from bench.databases import KINDS, database, installation
from bench.office import Office, make_office
from bench.ours import phone, timed
from bench.rows import NotMeasured, Row, at_most, spread
from bench.server import serving
from bench.workload import bodies_of

ENGINEERS, VISITS_EACH, DAYS = 25, 40, 10
"""Who holds what is open; everything else was put away."""

TURNS = 15
BUDGET = 1.5


@dataclass
class Place:
    """A server beside an archive of one size; ``ms`` are the figures by what was measured."""

    size: int
    office: Office
    one: Client
    two: Client
    desk: Client
    ms: dict[str, list[float]] = field(default_factory=dict)

    def take(self, turn: int, now: datetime) -> None:
        """Everything once."""
        visit = self.office.visits["engineer-0"][turn]
        first = 1 + 10 * turn
        bodies = bodies_of([visit], self.one.person, self.one.device, now, first)
        self._note("push of 10 operations", lambda: self.one.push(bodies))
        self._note("pull of one change", self.two.pull)
        self._note("idle pull", self.two.pull)
        self._note("board", lambda: self.desk.get("/desk"))
        self._note("inbox", lambda: self.desk.get("/desk/inbox"))

    def _note(self, what: str, work: Callable[[], object]) -> None:
        self.ms.setdefault(what, []).append(timed(work))


def growth_rows(kind: str, sizes: Sequence[int], turns: int) -> Iterator[Row]:
    """One row for each figure at each size but the first."""
    with contextlib.ExitStack() as stack:
        places = [_place(stack, kind, size) for size in sizes]
        for client in (each for place in places for each in (place.one, place.two, place.desk)):
            client.close()  # the server ends what was idle while the next archive was filled
            stack.callback(client.close)
        now = datetime.now(UTC)
        for turn in range(turns + 2):
            for place in places:
                place.take(turn, now)
        least = places[0]
        for what, first in least.ms.items():
            base = statistics.median(first[2:])  # behind what a server loads on first requests
            for place in places[1:]:
                ms = place.ms[what][2:]
                name = f"{kind}, {what}, {place.size:,} visits"
                details = f"{spread(ms)}; {least.size:,}: {spread(first[2:])}"
                yield at_most(name, statistics.median(ms) / base, BUDGET, "×", details)


def _place(stack: contextlib.ExitStack, kind: str, size: int) -> Place:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fieldapp-growth-")))
    url = stack.enter_context(database(kind, folder))
    start = time.monotonic()
    now = datetime.now(UTC)
    with installation(folder, url):
        each = min(VISITS_EACH, max(1, size // ENGINEERS))
        office = make_office(ENGINEERS, each, now, DAYS)
        archived = size - ENGINEERS * each
        if archived > 0:
            fill(office, archived - 1, now)
    print(f"{kind}: {size:,} visits in {time.monotonic() - start:.0f} s", file=sys.stderr)
    server = stack.enter_context(serving(folder, url))
    desk = Client(server.port)
    desk.sign_in(office.dispatcher, "bench-only")
    one, two = phone(server.port), phone(server.port)
    two.pull()
    return Place(size, office, one, two, desk)


def main() -> int:
    """Print every row."""
    sizes = [1000, 100_000] + [1_000_000] * bool(os.environ.get("FULL"))
    print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for kind in os.environ.get("DATABASES", ",".join(KINDS)).split(","):
        try:
            for row in growth_rows(kind, sizes, TURNS):
                print(row, flush=True)
        except NotMeasured as reason:
            print(Row(f"{kind}, growth", str(reason), "", None), flush=True)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    start = time.monotonic()
    code = main()
    print(f"{time.monotonic() - start:.0f} s")
    sys.exit(code)
