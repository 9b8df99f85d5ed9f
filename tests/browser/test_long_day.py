"""A day without signal: thirty visits, two hundred photos, and a line that breaks while they travel."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from day import ZONE
from phone import Phone
from PIL import Image
from playwright.sync_api import Browser, Request, Route, expect
from server import Server
from sqlalchemy import func, select

from fieldapp import blobs
from fieldapp.demo import DISPATCHER, FOLDER
from fieldapp.importing import import_directory
from fieldapp.models import Blob, Visit, db
from sync.tables import journal

ENGINEER = "liqiang"
VISITS = 30
PHOTOS = 200
LARGE = 60
"""Every so many photos there is one that does not go in one piece."""

LONG_SECONDS = 120


class LongDay:
    """李强's phone and server; ``taken`` are the photos of each visit, as the camera gave them."""

    def __init__(self, phone: Phone, server: Server) -> None:
        self.phone, self.server = phone, server
        self.visits = [server.visit_of(ENGINEER, index) for index in range(VISITS)]
        self.taken: dict[str, list[bytes]] = {visit: [] for visit in self.visits}

    @property
    def count(self) -> int:
        """How many photos were taken."""
        return sum(len(shots) for shots in self.taken.values())

    def work(self, visit: str, count: int) -> None:
        """A note and ``count`` photos, by thumb."""
        phone, page = self.phone, self.phone.page
        phone.record(visit, "notes", text=f"第{self.visits.index(visit) + 1}处：蓄电池已更换")
        phone.open(f"/visits/{visit}/photos")
        shots = [shot(self.count + each) for each in range(count)]
        page.set_input_files(
            "[data-photo-file][multiple]",
            files=[
                {"name": f"机房{each}.jpg", "mimeType": "image/jpeg", "buffer": data}
                for each, data in enumerate(shots)
            ],
        )
        names = " ".join(map(sha256, shots))
        expect(page.locator("[name=sha256]")).to_have_value(names, timeout=60_000)
        expect(page.locator(".save").first).to_be_enabled()
        phone.save(visit)
        self.taken[visit] += shots

    def whole(self) -> set[str]:
        """Names of the photos that the office holds to the last byte."""
        with self.server.office():
            found = db.session.scalars(select(Blob.sha256).where(Blob.complete_at.is_not(None)))
            return set(found) & {sha256(data) for shots in self.taken.values() for data in shots}

    def journal(self) -> list[Any]:
        """What the journal holds of phones."""
        with self.server.office():
            return list(db.session.execute(select(journal).where(journal.c.n > 0)).all())

    def send(self) -> None:
        """As the button of the sync page does."""
        self.phone.sync_now()


def shot(number: int) -> bytes:
    """A photo of its own for each number, small enough to stay as it is."""
    file = io.BytesIO()
    size = (1600, 1200) if number % LARGE == LARGE - 1 else (160, 120)
    image = Image.effect_noise(size, 90).convert("RGB")
    image.save(file, "JPEG", quality=90, comment=f"photo {number}".encode())
    return file.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def plan(server: Server) -> None:
    """The office gives 李强 so many visits today that he has thirty."""
    with server.office(), tempfile.TemporaryDirectory() as name:
        engineer, chen = server.person(ENGINEER), server.person(DISPATCHER)
        mine = select(func.count()).where(
            Visit.engineer_id == engineer.id, Visit.status == "planned"
        )
        missing = VISITS - (db.session.scalar(mine) or 0)
        now = datetime.now(UTC)
        local = now.astimezone(ZONE)
        with (FOLDER / "work_orders.csv").open(encoding="utf-8", newline="") as file:
            order = next(csv.DictReader(file))
        with (Path(name) / "work_orders.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(order))
            writer.writeheader()
            for index in range(missing):
                number = f"{local:%Y%m%d}-2{index:02}"
                writer.writerow(
                    order
                    | {"number": f"PG-{number}", "request_number": f"BX-{number}"}
                    | {"reported_at": f"{local:%Y-%m-%d}T07:30"}
                    | {
                        "appointment_at": f"{local:%Y-%m-%d}T{8 + index // 4:02}:{index % 4 * 15:02}"
                    }
                )
        at = now - timedelta(hours=5)
        import_directory(Path(name), engineer.organisation, now=at, author=chen)


@pytest.fixture
def day(chromium: Browser, tmp_path: Path) -> Iterator[LongDay]:
    server = Server(tmp_path / "instance")
    plan(server)
    server.start()
    phone = Phone(chromium, server)
    phone.sign_in(ENGINEER)
    yield LongDay(phone, server)
    phone.close()
    server.stop()


def test_two_hundred_photos_of_thirty_visits_arrive_whole_and_once(day: LongDay):
    phone, server = day.phone, day.server
    phone.open("/visits")
    server.stop()
    for number, visit in enumerate(day.visits):
        day.work(visit, PHOTOS // VISITS + (number < PHOTOS % VISITS))
    assert day.count == PHOTOS
    phone.open("/visits/sync")
    expect(phone.page.locator("#unsent")).to_contain_text("7 张照片")

    cut(day, "**/sync/push", lambda request: len(day.journal()) >= 100, is_taken=True)
    assert 100 < len(day.journal()) < VISITS + PHOTOS
    assert len(day.journal()) > sum(row["state"] != "unsent" for row in phone.outbox(ENGINEER))
    cut(day, "**/sync/blobs/*", is_second_piece, is_taken=False)
    assert 0 < len(day.whole()) < PHOTOS
    cut(day, "**/sync/blobs/*", is_second_piece, is_taken=True)
    assert 0 < len(day.whole()) < PHOTOS
    server.start()
    day.send()
    phone.until(lambda: len(day.whole()) == PHOTOS, LONG_SECONDS)
    with server.office():
        author = server.person(ENGINEER).id
        mine = select(func.count()).where(journal.c.author_id == author)
        count = db.session.scalar(mine)  # with what he did on other days
    phone.until(lambda: said(phone) == f"公司已收到 {count}/{count} 条", LONG_SECONDS)
    check_journal(day)
    check_photos(day)
    check_phone(day)


def said(phone: Phone) -> str:
    """What the sync line says after one more try, of photos too."""
    phone.sync_now()
    return phone.sync_line()


def is_second_piece(request: Request) -> bool:
    """Whether a photo is half at the office."""
    return request.method == "PUT" and request.headers["upload-offset"] != "0"


def cut(day: LongDay, where: str, is_moment: Any, *, is_taken: bool) -> None:
    """The server comes back and dies again at the first such request: before it, or before its answer."""
    cuts = []

    def line(route: Route, request: Request) -> None:
        if cuts or not is_moment(request):
            route.continue_()
            return
        cuts.append(request.url)
        if is_taken:
            assert route.fetch().ok
        day.server.stop()
        route.abort()

    day.server.start()
    day.phone.context.route(where, line)
    day.send()
    day.phone.until(lambda: bool(cuts), LONG_SECONDS)
    day.phone.context.unroute(where)
    assert not day.server.answers()


def check_journal(day: LongDay) -> None:
    """Every operation is there once, under the counter that the phone gave it."""
    outbox, kept = day.phone.outbox(ENGINEER), day.journal()
    assert [row["n"] for row in outbox] == list(range(1, VISITS + PHOTOS + 1))
    assert sorted((row.id, row.n) for row in kept) == sorted(
        (row["id"], row["n"]) for row in outbox
    )
    for visit, shots in day.taken.items():
        assert day.server.journal_kinds(visit, ENGINEER) == ["note"] + ["photo"] * len(shots)


def check_photos(day: LongDay) -> None:
    """Each visit has the photos that were taken there, to the byte, and no other."""
    assert day.count == len(day.whole()) == PHOTOS
    with day.server.office():
        for visit, shots in day.taken.items():
            row = db.session.get_one(Visit, visit)
            entries = [entry for entry in row.state["entries"] if entry["kind"] == "photo"]
            names = [entry["value"]["sha256"] for entry in entries]
            assert sorted(names) == sorted(map(sha256, shots))
            for data in shots:
                assert blobs.read(row.org_id, sha256(data)) == data


def check_phone(day: LongDay) -> None:
    """It says that everything arrived, and still shows all of it by itself."""
    phone, page = day.phone, day.phone.page
    phone.open("/visits/sync")
    expect(page.locator("#unsent li")).to_have_count(0)
    expect(page.locator("#unsent")).to_contain_text("您的记录公司均已收到")
    day.server.stop()
    phone.open("/visits")
    listed = page.locator("a.visit").evaluate_all("(all) => all.map((each) => each.pathname)")
    assert {f"/visits/{visit}" for visit in day.visits} <= set(listed)
    for visit in (day.visits[0], day.visits[-1]):
        page.goto(f"{day.server.url}/visits")
        page.locator(f"a.visit[href='/visits/{visit}']").first.click()
        expect(page).to_have_url(re.compile(f"/visits/{visit}$"))
        small = page.locator("#photos .shot img")
        expect(small).to_have_count(len(day.taken[visit]))
        small.first.scroll_into_view_if_needed()
        expect(small.first).not_to_have_js_property("naturalWidth", 0)
