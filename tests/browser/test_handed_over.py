"""A visit that was given to somebody else, while its first engineer works on without signal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from phone import Phone
from PIL import Image
from playwright.sync_api import expect
from server import Server

from fieldapp.models import Visit, db
from fieldapp.perform import unit
from sync.protocol import MEDIA_TYPE, PROTOCOL

DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "board.jpg"
    Image.effect_mandelbrot((320, 240), (-2, -1.5, 1, 1.5), 40).convert("RGB").save(path)
    return path


def reassign(server: Server, visit: str, account: str) -> None:
    """陈经理 gives the visit to somebody else; to nobody with an empty account."""
    with server.office():
        chen = server.person("chen")
        engineer = server.person(account).id if account else ""
        with unit(chen.org_id, datetime.now(UTC)) as office:
            office.perform("assignment", visit, chen, {"engineer": engineer})


def office_texts(server: Server, visit: str) -> list[str]:
    """The texts of the notes that the office holds of a visit."""
    with server.office():
        entries = db.session.get_one(Visit, visit).state["entries"]
        return [entry["value"]["text"] for entry in entries if entry["kind"] == "note"]


def block(phone: Phone, path: str) -> None:
    """The server is too busy for whatever goes to ``path``."""
    body = json.dumps({"protocol": PROTOCOL, "problem": "server.busy"})
    phone.context.route(
        f"**{path}",
        lambda route: route.fulfill(status=503, content_type=MEDIA_TYPE, body=body),
    )


def database(phone: Phone, account: str) -> str:
    """The name of a person's database on the phone."""
    with phone.server.office():
        return f"fieldapp-{phone.server.person(account).id}"


def rows(phone: Phone, store: str, account: str = "liqiang") -> list[Any]:
    """What one store of a person's database holds on the phone."""
    found: list[Any] = phone.page.evaluate(
        """async ([name, store]) => {
          const db = await new Promise((resolve, reject) => {
            const asked = indexedDB.open(name)
            asked.onsuccess = () => resolve(asked.result)
            asked.onerror = () => reject(asked.error)
          })
          const rows = await new Promise((resolve) => {
            const asked = db.transaction(store).objectStore(store).getAll()
            asked.onsuccess = () => resolve(asked.result)
          })
          db.close()
          return JSON.parse(JSON.stringify(rows))
        }""",
        [database(phone, account), store],
    )
    return found


def photos(phone: Phone) -> list[Any]:
    """The photos whose bytes the phone holds."""
    return [row for row in rows(phone, "blobs") if row["sha256"] != "ballast"]


@pytest.mark.parametrize(
    ("to", "sentence"),
    [("zhoukai", "公司已将此次上门改派他人"), ("", "公司已将此次上门从您名下移除")],
)
def test_work_on_a_visit_that_went_to_somebody_else_is_sent_and_then_the_visit_goes(
    liqiang_phone: Phone, server: Server, to: str, sentence: str
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    block(phone, "/sync/push")
    phone.record(visit, "notes", text="电源板烧毁")
    phone.record(visit, "arrivals", outcome="present")
    reassign(server, visit, to)

    # The pull comes through, the push does not.
    phone.open("/visits/sync")
    phone.page.click("main form button.save")
    phone.open("/visits")
    handed = phone.page.locator("#handed-over")
    expect(handed).to_contain_text(sentence)
    expect(handed).to_contain_text("还有 2 条待发送")
    phone.open(f"/visits/{visit}")
    phone.sees("已移交")
    phone.sees("电源板烧毁")
    assert phone.page.locator(f"a[href^='/visits/{visit}/']").count() == 0

    phone.context.unroute("**/sync/push")
    phone.open("/visits/sync")
    phone.page.click("main form button.save")
    phone.sees("您的记录公司均已收到")
    phone.open("/visits")
    assert phone.page.locator("#handed-over").count() == 0
    assert phone.page.locator(f"a[href='/visits/{visit}']").count() == 0
    assert server.journal_kinds(visit, "liqiang") == ["note", "arrival"]


def test_a_visit_that_comes_back_is_worked_on_as_before(liqiang_phone: Phone, server: Server):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    block(phone, "/sync/push")
    phone.record(visit, "notes", text="电源板烧毁")
    reassign(server, visit, "zhoukai")
    phone.sync_now()
    phone.open(f"/visits/{visit}")
    phone.sees("已移交")
    reassign(server, visit, "liqiang")
    phone.sync_now()
    phone.open(f"/visits/{visit}")
    expect(phone.page.locator("#steps")).to_be_visible()
    expect(phone.page.locator("#handed-over")).to_have_count(0)
    phone.context.unroute("**/sync/push")
    phone.waits_for_sync("1/1")


def test_a_form_that_was_open_when_its_visit_left_is_still_kept(
    liqiang_phone: Phone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}/notes")
    phone.fill("text", "半途写下的记录")
    reassign(server, visit, "zhoukai")
    other = phone.context.new_page()
    other.goto(f"{server.url}/visits/sync")
    other.click("main form button.save")
    expect(other.locator("#unsent")).to_contain_text("您的记录公司均已收到")
    other.goto(f"{server.url}/visits")
    assert other.locator(f"a[href='/visits/{visit}']").count() == 0  # nothing of it to send

    phone.page.locator("form.entry-form button.save").click()
    phone.sees("已移交")
    phone.sync_now()
    assert office_texts(server, visit) == ["半途写下的记录"]


def test_a_photo_keeps_the_visit_until_it_has_arrived_and_its_bytes_go_after_a_month(
    liqiang_phone: Phone, server: Server, picture: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    block(phone, "/sync/blobs/*")
    phone.take_photo(visit, picture, "电源板")
    phone.waits_for_sync("1/1")
    reassign(server, visit, "zhoukai")
    phone.sync_now()
    phone.open("/visits")
    expect(phone.page.locator("#handed-over")).to_contain_text("还有 1 张照片待发送")
    assert len(photos(phone)) == 1

    phone.context.unroute("**/sync/blobs/*")
    phone.sync_now()
    phone.sees("您的记录公司均已收到")
    phone.open("/visits")
    assert phone.page.locator("#handed-over").count() == 0

    # A server restored from a backup may still ask for it, as for the operations.
    age_photos(phone, 29)
    phone.sync_now()
    assert len(photos(phone)) == 1
    age_photos(phone, 1)
    phone.sync_now()
    assert photos(phone) == []


def test_photos_stay_on_the_phone_while_their_visit_is_worked_on(
    liqiang_phone: Phone, server: Server, picture: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.take_photo(visit, picture, "电源板")
    phone.waits_for_sync("1/1")
    phone.sync_now()
    phone.sees("您的记录公司均已收到")
    age_photos(phone, 400)
    phone.sync_now()
    assert len(photos(phone)) == 1


def test_nothing_of_it_is_left_after_a_day_but_what_a_restored_server_would_ask_for(
    liqiang_phone: Phone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.record(visit, "notes", text="已发送的记录")
    phone.waits_for_sync("1/1")
    reassign(server, visit, "zhoukai")
    phone.sync_now()
    phone.open("/visits/sync")
    assert visit in {row["visit"] for row in rows(phone, "visits")}
    age(phone, "visits", "removed_at", 1)
    phone.sync_now()
    assert visit not in {row["visit"] for row in rows(phone, "visits")}
    age(phone, "outbox", "at", 29)
    phone.sync_now()
    assert len(rows(phone, "outbox")) == 1
    age(phone, "outbox", "at", 1)
    phone.sync_now()
    assert rows(phone, "outbox") == []


def age(phone: Phone, store: str, key: str, days: int) -> None:
    """Put the time ``key`` of every row ``days`` and a minute back."""
    phone.page.evaluate(
        """async ([name, store, key, ms]) => {
          const db = await new Promise((resolve) => {
            const asked = indexedDB.open(name)
            asked.onsuccess = () => resolve(asked.result)
          })
          await new Promise((resolve) => {
            const tx = db.transaction(store, "readwrite")
            tx.oncomplete = resolve
            tx.objectStore(store).openCursor().onsuccess = ({ target: { result: cursor } }) => {
              if (!cursor) return
              if (cursor.value[key]) cursor.update({ ...cursor.value, [key]: cursor.value[key] - ms })
              cursor.continue()
            }
          })
          db.close()
        }""",
        [database(phone, "liqiang"), store, key, days * DAY_MS + 60_000],
    )


def age_photos(phone: Phone, days: int) -> None:
    """Put the time since which the server holds each photo ``days`` and a minute back."""
    phone.page.evaluate(
        """async ([name, ms]) => {
          const db = await new Promise((resolve) => {
            const asked = indexedDB.open(name)
            asked.onsuccess = () => resolve(asked.result)
          })
          await new Promise((resolve) => {
            const tx = db.transaction("meta", "readwrite")
            tx.oncomplete = resolve
            tx.objectStore("meta").get("photos").onsuccess = ({ target: { result: photos } }) => {
              for (const photo of Object.values(photos)) photo.sent_at -= ms
              tx.objectStore("meta").put(photos, "photos")
            }
          })
          db.close()
        }""",
        [database(phone, "liqiang"), days * DAY_MS + 60_000],
    )
