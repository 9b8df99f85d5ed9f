"""What was called saved is there: after a kill, on a full phone, beside another tab or version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from disk import Disk, signed_in
from phone import Phone
from PIL import Image
from playwright.sync_api import Browser, expect
from server import Server

import fieldapp
from fieldapp.models import Visit, db


def note_texts(server: Server, visit: str) -> list[str]:
    with server.office():
        entries = db.session.get_one(Visit, visit).state["entries"]
        return [entry["value"]["text"] for entry in entries if entry["kind"] == "note"]


def database(server: Server) -> str:
    with server.office():
        return f"fieldapp-{server.person('liqiang').id}"


def test_what_was_saved_survives_the_kill_of_the_browser(
    chromium: Browser, server: Server, tmp_path: Path
):
    visit = server.visit_of("liqiang")
    disk = Disk(chromium, tmp_path / "profile")
    page = signed_in(disk.start(), server)
    server.stop()
    page.goto(f"{server.url}/visits/{visit}/notes")
    page.fill("[name=text]", "断电之前")
    page.click("form.entry-form button.save")
    expect(page.locator("#entries")).to_contain_text("断电之前")
    disk.kill()

    context = disk.start()
    page = context.pages[0]
    page.goto(f"{server.url}/visits/{visit}")
    expect(page.locator("#entries")).to_contain_text("断电之前")
    server.start()
    page.goto(f"{server.url}/visits/sync")
    page.click("#standing button.save")
    expect(page.locator("#unsent")).to_contain_text("您的记录公司均已收到")
    assert note_texts(server, visit) == ["断电之前"]
    context.close()


def test_two_tabs_save_and_send_everything_once(liqiang_phone: Phone, server: Server):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    tabs = [phone.page, phone.context.new_page()]
    for index in range(3):
        for tab in tabs:
            tab.goto(f"{server.url}/visits/{visit}/notes")
            tab.fill("[name=text]", f"{tabs.index(tab)}-{index}")
        for tab in tabs:
            tab.click("form.entry-form button.save", no_wait_after=True)
        for tab in tabs:
            expect(tab).to_have_url(f"{server.url}/visits/{visit}")
    for tab in tabs:
        tab.evaluate("navigator.serviceWorker.controller.postMessage({type: 'sync'})")
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    assert sorted(note_texts(server, visit)) == ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"]
    counters = [row["n"] for row in phone.outbox("liqiang")]
    assert counters == [1, 2, 3, 4, 5, 6]


FULL = """(left) => {
  const { put, delete: drop } = IDBObjectStore.prototype
  const sizeOf = (value) => value?.bytes?.byteLength ?? JSON.stringify(value ?? "").length
  self.left = left
  IDBObjectStore.prototype.put = function (value, ...key) {
    if (sizeOf(value) > self.left) throw new DOMException("full", "QuotaExceededError")
    return put.call(this, value, ...key)
  }
  IDBObjectStore.prototype.delete = function (key) {
    if (key === "ballast") self.left += 2 * 1024 * 1024
    return drop.call(this, key)
  }
}"""
"""A phone with so many bytes left.  Chromium 156 takes Storage.overrideQuotaForOrigin and lets
IndexedDB write on: so the refusal itself is made here, as the standard words it."""


def test_a_full_phone_refuses_photos_in_words_and_goes_on_saving(
    liqiang_phone: Phone, server: Server, tmp_path: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    photo = tmp_path / "board.jpg"
    Image.effect_noise((800, 600), 90).convert("RGB").save(photo, quality=90)
    phone.sync_now()
    phone.open(f"/visits/{visit}/photos")
    worker = phone.context.service_workers[0]
    worker.evaluate(FULL, 20_000)
    phone.page.set_input_files("[data-photo-file]", str(photo))
    said = phone.page.locator("[data-photo-said]")
    expect(said).to_contain_text("本机空间不足，无法再存照片")
    assert phone.page.locator("input[name=sha256]").input_value() == ""
    phone.record(visit, "notes", text="没有照片的记录")
    # Not even that finds room: what was laid by for it is given up.
    worker.evaluate("() => { self.left = 10 }")
    phone.record(visit, "notes", text="最后一条")
    worker.evaluate("() => { self.left = 1e9 }")
    phone.sync_now()
    assert note_texts(server, visit) == ["没有照片的记录", "最后一条"]
    phone.take_photo(visit, photo, "现在放得下")
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    assert server.journal_kinds(visit, "liqiang") == ["note", "note", "photo"]


def test_what_finds_no_room_at_all_is_not_called_saved(liqiang_phone: Phone, server: Server):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}/notes")
    worker = phone.context.service_workers[0]
    worker.evaluate(FULL, -3 * 1024 * 1024)
    phone.fill("text", "放不下的记录")
    phone.page.locator("form.entry-form button.save").click()
    phone.sees("本机已没有空间，此内容未保存")
    worker.evaluate("() => { self.left = 1e9 }")
    phone.page.go_back()
    expect(phone.page.locator("[name=text]")).to_have_value("放不下的记录")
    phone.save(visit)
    phone.sync_now()
    assert note_texts(server, visit) == ["放不下的记录"]


def test_a_store_that_a_later_version_made_still_opens(liqiang_phone: Phone, server: Server):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.record(visit, "notes", text="旧版本")
    # The page upgrades as a later version would: the worker's connection must give way.
    phone.page.evaluate(
        """async (names) => {
          for (const name of names) {
            const db = await new Promise((resolve, reject) => {
              const asked = indexedDB.open(name, 7)
              asked.onupgradeneeded = () => asked.result.createObjectStore("later")
              asked.onsuccess = () => resolve(asked.result)
              asked.onerror = () => reject(asked.error)
            })
            db.close()
          }
        }""",
        ["fieldapp", database(server)],
    )
    phone.record(visit, "notes", text="降级之后")
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    assert note_texts(server, visit) == ["旧版本", "降级之后"]


def test_a_window_that_holds_the_store_back_is_named(liqiang_phone: Phone, server: Server):
    phone = liqiang_phone
    phone.open("/visits")
    held = phone.context.new_page()
    held.goto(f"{server.url}/static/icons/icon.svg")
    held.evaluate(
        """async (name) => {
          self.held = await new Promise((resolve) => {
            const asked = indexedDB.open(name)
            asked.onsuccess = () => resolve(asked.result)
          })
          indexedDB.open(name, 7) // waits for `held`, and whoever comes after waits behind it
        }""",
        database(server),
    )
    phone.open("/visits")
    phone.sees("本应用的另一个窗口造成阻碍")
    held.close()
    phone.open("/visits")
    phone.sees("今天")


def test_a_new_worker_waits_while_a_form_is_half_typed(liqiang_phone: Phone, server: Server):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}/notes")
    phone.fill("text", "写到一半")
    server.stop()
    server.start(version="99.0")
    waiting = "async () => Boolean((await navigator.serviceWorker.getRegistration()).waiting)"
    phone.page.evaluate("navigator.serviceWorker.getRegistration().then((each) => each.update())")
    phone.until(lambda: phone.page.evaluate(waiting))
    phone.page.evaluate("dispatchEvent(new Event('online'))")  # looks for something to let in
    assert phone.page.evaluate(waiting)
    assert phone.page.locator("[name=text]").input_value() == "写到一半"
    phone.save(visit)

    def is_taken_over() -> bool:
        """Chromium lets the old worker finish what it has begun, for minutes if need be."""
        phone.page.goto("about:blank")
        phone.open(f"/visits/{visit}")
        return not phone.page.evaluate(waiting)

    phone.until(is_taken_over, 120)
    phone.sees("写到一半")
    phone.sync_now()
    assert note_texts(server, visit) == ["写到一半"]
    phone.record(visit, "notes", text="新版本的记录")
    apps = [row["body"]["app"] for row in phone.outbox("liqiang")]
    assert apps == [fieldapp.__version__, "99.0"]


def test_a_fault_of_the_app_is_not_taken_for_a_lost_line(liqiang_phone: Phone, server: Server):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.record(visit, "notes", text="应用出错时的记录")

    def broken(route: Any) -> None:
        route.fulfill(
            status=200,
            content_type="application/vnd.fieldapp.sync+json",
            body='{"protocol": 1, "receipts": null, "changed": null, "now": 1}',
        )

    phone.context.route("**/sync/p*", broken)
    phone.sync_now()
    phone.sees("应用出了问题")
    expect(phone.page.locator("#unsent li, #unsent p")).not_to_have_count(0)
    phone.context.unroute("**/sync/p*")
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    assert note_texts(server, visit) == ["应用出错时的记录"]


def test_a_page_of_the_sign_in_is_no_answer_when_the_session_ended(
    liqiang_phone: Phone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")

    def to_sign_in(route: Any) -> None:
        route.fulfill(status=302, headers={"Location": "/sign-in"})

    phone.context.route("**/sync/p*", to_sign_in)
    phone.record(visit, "notes", text="转到登录页")
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(1)
    phone.sees("应答的不是公司")
    phone.context.unroute("**/sync/p*")
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    assert note_texts(server, visit) == ["转到登录页"]
