"""``python -m bench.storm``: a thousand phones come back online within a minute.

Each pushes 20 operations and two photos.  ``PHONES`` in the environment makes the storm smaller;
phones then come back at the same pace.
"""

from __future__ import annotations

import io
import math
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path

from PIL import Image
from sqlalchemy import func, select

from bench.client import Client
from bench.databases import KINDS, database, installation
from bench.office import make_office
from bench.rows import NotMeasured
from bench.server import Server, serving
from bench.workload import bodies_of, body
from fieldapp import blobs
from fieldapp.access import enrol_device
from fieldapp.models import Blob, Person, db
from sync.tables import journal

PHONES = 1000
MINUTE = 60.0
PHOTO_BYTES = 150_000
PHOTOS = 2
VISITS_EACH = 2
STOP_SECONDS = 600
"""A storm that is not over by then is told as it stands."""


@dataclass
class Told:
    """What one phone met: seconds of its push and of each photo, answers that said "later"."""

    push: list[float] = field(default_factory=list)
    photos: list[float] = field(default_factory=list)
    busy: int = 0
    lost: int = 0
    error: str = ""


@dataclass
class Storm:
    """The server's side, ready for ``phones`` clients of 20 operations each."""

    server: Server
    clients: list[Client]
    operations: list[list[dict[str, object]]]
    photos: list[list[bytes]]
    started: float = 0

    def run(self) -> list[Told]:
        """Every phone at its own moment of the minute; what each met, those that came in time."""
        moment = random.Random(7)
        window = MINUTE * len(self.clients) / PHONES
        self.started = time.monotonic()
        with ThreadPoolExecutor(len(self.clients)) as pool:
            waiting = [
                pool.submit(self._come, number, moment.uniform(0, window))
                for number in range(len(self.clients))
            ]
            return [each.result() for each in waiting]

    def _come(self, number: int, after: float) -> Told:
        told, client = Told(), self.clients[number]
        client.deadline = self.started + STOP_SECONDS
        threading.Event().wait(max(0, self.started + after - time.monotonic()))
        try:
            start = time.monotonic()
            receipts = client.push(self.operations[number])
            told.push.append(time.monotonic() - start)
            wanted = [each["id"] for each in self.operations[number]]
            if [each["id"] for each in receipts] != wanted:
                told.error = "a receipt is missing"
            for photo in self.photos[number]:
                start = time.monotonic()
                client.send_photo(photo)
                told.photos.append(time.monotonic() - start)
        except Exception as error:
            told.error = f"{type(error).__name__}: {error}"
        finally:
            client.close()
        told.busy, told.lost = client.busy, client.lost
        return told


def storm_rows(kind: str, phones: int) -> Iterator[str]:
    """What a storm of ``phones`` did on a database of ``kind``, a line each."""
    with tempfile.TemporaryDirectory(prefix="fieldapp-storm-") as name:
        folder = Path(name)
        with database(kind, folder) as url, installation(folder, url):
            now = datetime.now(UTC)
            office = make_office(phones, VISITS_EACH, now)
            people = {person.account: person for person in db.session.scalars(select(Person)).all()}
            devices = {
                account: enrol_device(people[account], "bench", now) for account in office.visits
            }
            enrolled = {
                account: (people[account].id, device.id, credential)
                for account, (device, credential) in devices.items()
            }
            db.session.commit()
            with serving(folder, url) as server:
                storm = Storm(server, [], [], [])
                for account, visits in office.visits.items():
                    person, device, credential = enrolled[account]
                    client = Client(server.port, person=person, device=device)
                    client.credential = credential
                    storm.clients.append(client)
                    work, photos = _work(visits, person, device, now)
                    storm.operations.append(work)
                    storm.photos.append(photos)
                before = server.resident_mb
                told = storm.run()
                seconds = time.monotonic() - storm.started
                peak = server.peak_mb
            yield from _lines(kind, told, seconds, before, peak)
            yield _complete(kind, office.org_id, storm)


def _work(
    visits: Sequence[str], person: str, device: str, now: datetime
) -> tuple[list[dict[str, object]], list[bytes]]:
    """Twenty operations on two visits; the photos that two of them speak of."""
    picture = _picture()
    photos = [picture + random.randbytes(PHOTO_BYTES - len(picture)) for _ in range(PHOTOS)]
    work = bodies_of(visits, person, device, now)
    taken = iter(photos)
    for place, made in enumerate(work):
        if made["kind"] == "photo":
            value = {"sha256": sha256(next(taken)).hexdigest(), "caption": "更换后的电池仓"}
            work[place] = body(
                "photo", value, visit=made["visit"], author=person, device=device, now=now,
                n=made["n"],
            )  # fmt: skip
    return work, photos


@cache
def _picture() -> bytes:
    """A photo as the phone makes it smaller; bytes behind its end make each another one."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((1600, 1200)).convert("RGB").save(file, "JPEG", quality=80)
    return file.getvalue()


def _lines(
    kind: str, told: Sequence[Told], seconds: float, before: float, peak: float
) -> Iterator[str]:
    errors = [each.error for each in told if each.error]
    yield (
        f"{kind}, {len(told)} phones in {MINUTE * len(told) / PHONES:.0f} s: all done after"
        f" {seconds:.0f} s; {len(errors)} errors; {sum(each.busy for each in told)} times busy,"
        f" {sum(each.lost for each in told)} connections lost"
    )
    for error in sorted(set(errors))[:3]:
        yield f"  {errors.count(error)} × {error[:100]}"
    for what, times in (
        ("push of 20 operations", [one for each in told for one in each.push]),
        ("photo of 150 KB", [one for each in told for one in each.photos]),
    ):
        if times:
            yield f"  {what:24}{_quantiles(times)}"
    yield f"  memory of the server     {before:.0f} MB before, {peak:.0f} MB at its highest"


def _quantiles(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    found = {f"p{each}": ordered[math.ceil(each / 100 * len(ordered)) - 1] for each in (50, 95, 99)}
    texts = [f"{name} {1000 * value:.0f} ms" for name, value in found.items()]
    return "  ".join([*texts, f"mean {1000 * statistics.fmean(ordered):.0f} ms"])


def _complete(kind: str, org_id: str, storm: Storm) -> str:
    """Whether every operation is in the journal once and every photo is whole."""
    db.session.commit()
    rows = db.session.execute(
        select(journal.c.id, func.count())
        .where(journal.c.org_id == org_id, journal.c.n > 0)
        .group_by(journal.c.id)
    ).all()
    sent = {str(each["id"]) for work in storm.operations for each in work}
    once = {row[0] for row in rows if row[1] == 1}
    whole = set(db.session.scalars(select(Blob.sha256).where(Blob.complete_at.is_not(None))))
    photos = {sha256(photo).hexdigest(): photo for work in storm.photos for photo in work}
    kept = sum(name in whole and blobs.read(org_id, name) == photos[name] for name in photos)
    verdict = "ok" if once == sent and len(rows) == len(sent) and kept == len(photos) else "LOST"
    return (
        f"  in the journal once      {len(once & sent):,} of {len(sent):,} operations;"
        f" whole: {kept:,} of {len(photos):,} photos  {verdict}"
    )


def main() -> int:
    """Print the storm on each database."""
    phones = int(os.environ.get("PHONES", PHONES))
    print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for kind in os.environ.get("DATABASES", ",".join(reversed(KINDS))).split(","):
        try:
            for line in storm_rows(kind, phones):
                print(line, flush=True)
        except NotMeasured as reason:
            print(f"{kind}: not measured: {reason}", flush=True)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    start = time.monotonic()
    code = main()
    print(f"{time.monotonic() - start:.0f} s")
    sys.exit(code)
