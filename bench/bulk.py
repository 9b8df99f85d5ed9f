"""``python -m bench.bulk``: a thousand signed work orders wait, and people go on asking for pages.

One server with its queue and its render processes, as ``fieldapp serve`` starts them.  While it
seals, an engineer opens a visit, his phone pushes a note and the desk looks at the board; then the
same once more, when nothing is left to seal.  ``ORDERS`` in the environment makes it smaller.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bench.client import Client
from bench.databases import database, installation
from bench.office import Office, make_office
from bench.ours import phone, timed
from bench.paper import ink, picture
from bench.rows import Row, at_most, p95, spread
from bench.server import serving
from bench.workload import body, values_of
from fieldapp import blobs, reports
from fieldapp.handover import sign
from fieldapp.models import Person, Report, Visit, db
from fieldapp.perform import unit
from fieldapp.presentation import present

ORDERS = 1000
ENGINEERS = 20
"""Who did the work; one more goes on working while it is sealed."""

DAYS = 10
PAUSE_SECONDS = 0.5
"""Between two rounds of an engineer's page, a push and the board."""

IDLE_ROUNDS = 100
BUDGET = 2.0
SECONDS_EACH = 5
"""Longest that a work order may take on the average before the run is given up."""


@dataclass
class Askers:
    """Who goes on working; ``ms`` are the figures by what was asked."""

    engineer: Client
    desk: Client
    visits: Sequence[str]
    count: int = 0
    ms: dict[str, list[float]] = field(default_factory=dict)

    def ask(self) -> None:
        """Everything once."""
        visit = self.visits[self.count % len(self.visits)]
        self.count += 1
        note = body(
            "note", {"text": "已联系客户，明日上午复查"}, visit=visit, author=self.engineer.person,
            device=self.engineer.device, now=datetime.now(UTC), n=self.count,
        )  # fmt: skip
        self._note("engineer's page", lambda: self.engineer.get(f"/visits/{visit}"))
        self._note("push", lambda: self.engineer.push([note]))
        self._note("board", lambda: self.desk.get("/desk"))

    def _note(self, what: str, work: Callable[[], object]) -> None:
        self.ms.setdefault(what, []).append(timed(work))


def bulk_rows(orders: int, idle_rounds: int = IDLE_ROUNDS, workers: int = 1) -> Iterator[Row]:
    """A row for each page, and what the sealing took."""
    with tempfile.TemporaryDirectory(prefix="fieldapp-bulk-") as name:
        folder = Path(name)
        with database("SQLite", folder) as url, installation(folder, url):
            engineers = min(ENGINEERS, orders)
            each = orders // engineers
            office = make_office(engineers + 1, each, datetime.now(UTC), DAYS)
            *accounts, asker = office.visits
            waiting = [visit for account in accounts for visit in office.visits[account]]
            for account in accounts:
                _work_and_sign(office, account)
            db.session.remove()
            start = time.monotonic()
            with serving(folder, url, RENDER_WORKERS=workers) as server:
                askers = _askers(server.port, office, asker)
                limit = start + 60 + SECONDS_EACH * len(waiting)
                while (sealed := _sealed()) < len(waiting) and time.monotonic() < limit:
                    askers.ask()
                    threading.Event().wait(PAUSE_SECONDS)
                seconds = time.monotonic() - start
                busy, askers.ms = askers.ms, {}
                for _ in range(idle_rounds):
                    askers.ask()
                    threading.Event().wait(PAUSE_SECONDS)
                askers.engineer.close()
                askers.desk.close()
            yield _sealing_row(sealed, waiting, seconds)
            yield from _page_rows(busy, askers.ms, len(waiting))


def _work_and_sign(office: Office, account: str) -> None:
    """What one engineer did on his visits an hour ago, and the customers' signatures."""
    now = datetime.now(UTC) - timedelta(hours=1)
    person = db.session.scalars(select(Person).filter_by(account=account)).one()
    author, shot = person.id, picture("power board", "#3f6b4f")
    name = sha256(shot).hexdigest()
    blobs.store(office.org_id, name, shot, now)
    if blobs.read(office.org_id, f"{name}.jpg") is None:
        reports.make_print_copy(office.org_id, name)
    ids = office.visits[account]
    with unit(office.org_id, now) as opened:
        opened.receive([each for visit in ids for each in _done(visit, author, name, now)], None, 0)
    visits = db.session.scalars(select(Visit).where(Visit.id.in_(ids))).all()
    person = db.session.get_one(Person, author)
    signed = []
    for state in present(visits, person, now):
        said = {"name": "王女士", "role": "contact", "opinion": "处理及时", "strokes": ink()}
        value = sign(state, said)
        signed.append(body("signature", value, visit=state["visit"]["id"], author=author, now=now))
    with unit(office.org_id, now) as opened:
        opened.receive(signed, None, 0)


def _done(visit: str, author: str, shot: str, now: datetime) -> list[dict[str, Any]]:
    """All but the leaving, with a photo that is here already."""
    made = []
    for step, (kind, value) in enumerate(values_of(0, now)[:-1]):
        said = value | {"sha256": shot} if kind == "photo" else value
        paths = value if kind in ("diagnosis", "outcome") else ()
        at = now - timedelta(minutes=10 - step)
        made.append(body(kind, said, visit=visit, author=author, now=at, paths=paths))
    return made


def _askers(port: int, office: Office, account: str) -> Askers:
    desk = Client(port)
    desk.sign_in(office.dispatcher, "bench-only")
    askers = Askers(phone(port, account), desk, office.visits[account])
    for _ in range(3):  # what a server loads on its first requests is nobody's page
        askers.ask()
    askers.ms = {}
    return askers


def _sealed() -> int:
    """Visits that have a sealed paper."""
    count = db.session.scalar(select(func.count(Report.visit_id.distinct()))) or 0
    db.session.rollback()
    return count


def _sealing_row(sealed: int, waiting: Sequence[str], seconds: float) -> Row:
    details = f"{seconds:.0f} s, {60 * sealed / seconds:.0f} a minute"
    name = f"work orders left unsealed of {len(waiting):,}"
    return at_most(name, len(waiting) - sealed, 0, "orders", details)


def _page_rows(
    busy: dict[str, list[float]], idle: dict[str, list[float]], orders: int
) -> Iterator[Row]:
    for what, ms in busy.items():
        details = f"{spread(ms)}, idle {spread(idle[what])}; {len(ms)} times"
        name = f"{what} while {orders:,} are sealed"
        yield at_most(name, p95(ms) / p95(idle[what]), BUDGET, "×", details)


def main() -> int:
    """Print every row."""
    orders = int(os.environ.get("ORDERS", ORDERS))
    workers = int(os.environ.get("FIELDAPP_RENDER_WORKERS", "1"))
    print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for row in bulk_rows(orders, workers=workers):
        print(row, flush=True)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    start = time.monotonic()
    code = main()
    print(f"{time.monotonic() - start:.0f} s")
    sys.exit(code)
