"""What breaks a phone or its server, and how each is made whole: emptied, revoked, damaged, restored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from phone import Phone
from PIL import Image
from playwright.sync_api import expect
from server import Server
from sqlalchemy import select

from fieldapp.models import Blob, Device, Visit, db
from fieldapp.perform import journal_of

EMPTY = """async (names) => {
  for (const registration of await navigator.serviceWorker.getRegistrations()) {
    await registration.unregister()
  }
  for (const { name } of await indexedDB.databases()) {
    await new Promise((resolve) => {
      const asked = indexedDB.deleteDatabase(name)
      asked.onsuccess = asked.onerror = resolve
    })
  }
  for (const name of await caches.keys()) await caches.delete(name)
}"""
"""What a browser does to a site when the phone is short of space."""

CHANGE = """async ([name, rows]) => {
  const db = await new Promise((resolve) => {
    const asked = indexedDB.open(name)
    asked.onsuccess = () => resolve(asked.result)
  })
  await new Promise((resolve) => {
    const tx = db.transaction("visits", "readwrite")
    const visits = tx.objectStore("visits")
    tx.oncomplete = resolve
    for (const [visit, value] of Object.entries(rows)) {
      if (value === null) visits.delete(visit)
      else visits.get(visit).onsuccess = ({ target: { result } }) =>
        visits.put({ ...result, ...value, visit })
    }
  })
  db.close()
}"""
"""One transaction: the phone syncs by itself, and must not find half of the damage."""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "board.jpg"
    Image.effect_mandelbrot((320, 240), (-2, -1.5, 1, 1.5), 40).convert("RGB").save(path)
    return path


def devices(server: Server) -> Iterator[Device]:
    """李强's phones, in the order of their enrolment."""
    person = server.person("liqiang")
    query = select(Device).where(Device.person_id == person.id).order_by(Device.enrolled_at)
    return iter(db.session.scalars(query).all())


def damage(phone: Phone, rows: dict[str, Any]) -> None:
    """Change visits in 李强's store, all at once; delete those that are None."""
    with phone.server.office():
        name = f"fieldapp-{phone.server.person('liqiang').id}"
    phone.page.evaluate(CHANGE, [name, rows])


@pytest.mark.parametrize("also", ["", "localStorage.clear()"])
def test_a_phone_whose_storage_was_emptied_says_so_and_the_office_is_told(
    liqiang_phone: Phone, server: Server, also: str
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.record(visit, "notes", text="已发送")
    phone.waits_for_sync("1/1")
    phone.context.route("**/sync/push", lambda route: route.abort())
    phone.record(visit, "notes", text="未发送")
    phone.sync_now()
    phone.until(lambda: "1" in str(phone.page.evaluate(NOTED)))
    phone.page.goto(f"{server.url}/static/icons/icon.svg")
    phone.page.evaluate(EMPTY)
    if also:
        phone.page.evaluate(also)  # Safari takes this too; the server's cookie stays
    phone.context.unroute("**/sync/push")

    # Whoever opens the app next finds a phone like new, still signed in.
    phone.page.goto(f"{server.url}/visits")
    expect(phone.page.locator("h1")).to_be_visible()
    phone.until(lambda: phone.page.evaluate("!!navigator.serviceWorker.controller"))
    phone.open("/visits")
    phone.sees("本机存储已被清空")
    phone.sees("之前未发送的内容已丢失")
    if not also:
        phone.sees("上次打开时还有 1 条待发送")
    with server.office():
        first, second = devices(server)
        assert (second.replaces_id, second.replaces_reason) == (first.id, "evicted")
    phone.open(f"/visits/{visit}")
    phone.sees("已发送")

    phone.open("/visits")
    phone.page.click("button[name=read]")
    expect(phone.page.locator("body")).not_to_contain_text("本机存储已被清空")
    phone.record(visit, "notes", text="补录")
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    assert server.journal_kinds(visit, "liqiang") == ["note", "note"]


NOTED = "() => Object.values(localStorage).map((text) => JSON.parse(text).unsent).join()"


def test_a_new_phone_was_never_emptied(liqiang_phone: Phone, server: Server):
    liqiang_phone.open("/visits")
    expect(liqiang_phone.page.locator("body")).not_to_contain_text("已被清空")
    with server.office():
        (only,) = devices(server)
        assert only.replaces_id is None


def test_a_phone_revoked_in_the_middle_of_a_visit_is_enrolled_anew_by_signing_in(
    liqiang_phone: Phone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.record(visit, "notes", text="停用之前")
    phone.waits_for_sync("1/1")
    phone.open(f"/visits/{visit}")
    server.stop()
    for text in ("停用之后，一", "停用之后，二"):
        phone.record(visit, "notes", text=text)
    with server.office():
        (first,) = devices(server)
        first.revoked_at = datetime.now(UTC)
        db.session.commit()
    phone.context.route("**/sync/push", busy)
    server.start()
    phone.page.evaluate("navigator.serviceWorker.controller.postMessage({type: 'sync'})")
    phone.page.wait_for_url("**/visits/revoked")
    phone.sees("本机已被停用")
    phone.sees("有 2 项公司尚未确认的内容仍保留")
    phone.page.click("form[action='/sign-out'] button")
    phone.page.wait_for_url("**/sign-in")
    phone.sign_in("liqiang")
    phone.context.unroute("**/sync/push")
    phone.record(visit, "notes", text="重新登记之后")
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    expect(phone.page.locator("body")).not_to_contain_text("停用")
    with server.office():
        old, new = devices(server)
        assert (new.replaces_id, new.replaces_reason) == (old.id, "revoked")
        notes = journal_of(db.session.get_one(Visit, visit))
        mine = [row for row in notes if row.kind == "note"]
        assert [row.device_id for row in mine] == [old.id, old.id, old.id, new.id]
    phone.open(f"/visits/{visit}")
    texts = phone.page.locator("#entries .paragraph").all_inner_texts()
    assert texts == ["停用之前", "停用之后，一", "停用之后，二", "重新登记之后"]


def busy(route: Any) -> None:
    route.fulfill(
        status=503,
        content_type="application/vnd.fieldapp.sync+json",
        body='{"protocol": 1, "problem": "server.busy"}',
    )


def test_what_was_damaged_in_the_phones_store_comes_again(liqiang_phone: Phone, server: Server):
    phone = liqiang_phone
    first, second, third = (server.visit_of("liqiang", index) for index in range(3))
    phone.record(first, "notes", text="未发送")
    phone.waits_for_sync("1/1")
    asked: list[str] = []
    phone.context.route("**/sync/pull", lambda route: (asked.append(route.request.post_data or ""),
                                                       route.continue_()))  # fmt: skip
    stranger = "01900000-0000-7000-8000-0000000000aa"
    damage(
        phone,
        {first: None, second: {"rev": 1}, stranger: {"rev": 7, "state": state_of(phone, third)}},
    )
    phone.sync_now()
    differences = [text for text in asked if '"held":{' in text]
    assert len(differences) == 1  # one question, and the exact difference
    phone.open("/visits")
    for visit in (first, second, third):
        expect(phone.page.locator(f"a[href='/visits/{visit}']")).to_have_count(1)
    expect(phone.page.locator(f"a[href='/visits/{stranger}']")).to_have_count(0)
    phone.open(f"/visits/{first}")
    phone.sees("未发送")
    asked.clear()
    phone.sync_now()
    assert not any('"held":{' in text for text in asked)


def state_of(phone: Phone, visit: str) -> Any:
    """The state of a visit as 李强's store holds it."""
    with phone.server.office():
        name = f"fieldapp-{phone.server.person('liqiang').id}"
    return phone.page.evaluate(
        """async ([name, visit]) => {
          const db = await new Promise((resolve) => {
            const asked = indexedDB.open(name)
            asked.onsuccess = () => resolve(asked.result)
          })
          const row = await new Promise((resolve) => {
            const asked = db.transaction("visits").objectStore("visits").get(visit)
            asked.onsuccess = () => resolve(asked.result)
          })
          db.close()
          return row.state
        }""",
        [name, visit],
    )


def test_a_server_restored_from_a_backup_gets_everything_again_and_nothing_twice(
    liqiang_phone: Phone, server: Server, picture: Path, tmp_path: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.record(visit, "notes", text="在备份中")
    phone.waits_for_sync("1/1")
    server.stop()
    backup = tmp_path / "backup"
    shutil.copytree(server.instance, backup)
    server.start()
    phone.record(visit, "notes", text="备份之后")
    phone.record(visit, "diagnoses", text="电源板烧毁", cause="product", repair="factory")
    phone.take_photo(visit, picture, "电源板")
    phone.waits_for_sync("4/4")
    phone.sync_now()

    server.stop()
    with server.office():
        db.engine.dispose()
    shutil.rmtree(server.instance)
    shutil.copytree(backup, server.instance)
    assert server.run("restored").returncode == 0
    server.start()
    assert server.journal_kinds(visit, "liqiang") == ["note"]
    phone.sync_now()
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    assert server.journal_kinds(visit, "liqiang") == ["note", "note", "diagnosis", "photo"]
    with server.office():
        assert [blob.complete_at is not None for blob in db.session.scalars(select(Blob))] == [True]
        state = db.session.get_one(Visit, visit).state
        assert not any(cell["conflict"] for cell in state["fields"].values())
        assert [flag["code"] for flag in state["flags"]] == []
    phone.open(f"/visits/{visit}")
    expect(phone.page.locator(".shot")).to_have_count(1)
    assert "4/4" in phone.sync_line()
