"""The phone in the customer's hand, in nobody's hand, and after the office revoked it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from day import Day
from disk import Disk, signed_in
from phone import NOTE, Phone, draw_on, go
from playwright.sync_api import Browser, Error, Page, Route, expect
from server import Server
from sqlalchemy import select

from fieldapp import phones
from fieldapp.models import Device, Person, Visit, db
from sync.protocol import MEDIA_TYPE, PROTOCOL

PIN = "2580"

STORED = """async () => {
  const found = []
  for (const { name } of await indexedDB.databases()) {
    const db = await new Promise((resolve) => {
      const asked = indexedDB.open(name)
      asked.onsuccess = () => resolve(asked.result)
    })
    for (const store of db.objectStoreNames) {
      const rows = db.transaction(store).objectStore(store)
      const [keys, values] = await Promise.all([rows.getAllKeys(), rows.getAll()].map((asked) =>
        new Promise((resolve) => { asked.onsuccess = () => resolve(asked.result) })))
      keys.forEach((key, at) => found.push([`${name} ${store} ${key}`, JSON.stringify(values[at])]))
    }
    db.close()
  }
  for (const name of await caches.keys()) {
    const cache = await caches.open(name)
    for (const request of await cache.keys()) {
      const text = await (await cache.match(request)).text()
      found.push([`cache ${new URL(request.url).pathname}`, text])
    }
  }
  for (const [name, storage] of Object.entries({ localStorage, sessionStorage })) {
    for (let at = 0; at < storage.length; at += 1) {
      found.push([`${name} ${storage.key(at)}`, storage.getItem(storage.key(at))])
    }
  }
  return found
}"""
"""Everything that a browser keeps for this site, by where it lies."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """One server with a visit in every state, for all tests here."""
    server = Server(tmp_path_factory.mktemp("locks") / "instance")
    day = Day(server)
    server.start()
    yield day
    server.stop()


@pytest.fixture
def phone(chromium: Browser, day: Day) -> Iterator[Phone]:
    """李强's phone."""
    phone = Phone(chromium, day.server)
    phone.sign_in("liqiang")
    yield phone
    phone.close()


def choose_pin(page: Page, url: str, pin: str = PIN) -> None:
    go(page, f"{url}/visits/pin")
    page.fill("#pin", pin)
    page.fill("#repeat", pin)
    page.click("button.save")
    expect(page.locator("#has-pin")).to_be_visible()


def type_pin(page: Page, pin: str = PIN) -> None:
    page.fill("#pin", pin)
    page.click("button.save")


def leave_it(phone: Phone, minutes: int = 16) -> None:
    """The phone lay about for ``minutes``."""
    at = int(datetime.now(UTC).timestamp() * 1000) - minutes * 60_000
    phone.note("liqiang", used_at=at)


def gives_way(phone: Phone, path: str) -> None:
    """The open page goes to ``path`` by itself.  It is asked again and again: a sync that runs
    already may have looked before there was anything to see."""

    def is_there() -> bool:
        if re.search(path, phone.page.url):
            return True
        with contextlib.suppress(Error):  # it goes just now
            phone.page.evaluate("navigator.serviceWorker.controller.postMessage({type: 'sync'})")
        return False

    phone.until(is_there)


def is_handed(page: Page, url: str, visit: str) -> None:
    expect(page).to_have_url(f"{url}/visits/{visit}/signatures")
    expect(page.locator(".handover")).to_be_visible()
    assert page.locator(".bar").count() == 0


def test_a_pin_is_asked_for_chosen_changed_and_never_kept_in_the_clear(phone: Phone):
    page, url = phone.page, phone.server.url
    page.locator("#asks-pin a").click()
    expect(page.locator("#repeat")).to_be_visible()
    for pin, repeat, said in (
        ("123", "123", "4 到 8 位数字"),
        ("12a4", "12a4", "4 到 8 位数字"),
        ("2580", "2581", "不一致"),
        ("", "", "4 到 8 位数字"),
    ):
        page.fill("#pin", pin)
        page.fill("#repeat", repeat)
        page.click("button.save")
        expect(page.locator(".finding")).to_contain_text(said)
    choose_pin(page, url, "２５８０")  # as a Chinese keyboard may give them
    phone.open("/visits")
    assert page.locator("#asks-pin").count() == 0
    stored = dict(page.evaluate(STORED))
    assert not [key for key, value in stored.items() if f'"{PIN}"' in value and "meta" in key]

    phone.open("/visits/pin")
    page.fill("#current", "0000")
    page.fill("#pin", "1379")
    page.fill("#repeat", "1379")
    page.click("button.save")
    expect(page.locator(".finding")).to_contain_text("PIN 码不正确")
    page.fill("#current", PIN)
    page.fill("#pin", "1379")
    page.fill("#repeat", "1379")
    page.click("button.save")
    expect(page.locator("#has-pin")).to_be_visible()
    leave_it(phone)
    go(page, f"{phone.server.url}/visits")
    type_pin(page, PIN)
    expect(page.locator(".finding")).to_contain_text("PIN 码不正确")
    type_pin(page, "1379")
    expect(page).to_have_url(f"{url}/visits")


def test_later_asks_again_only_after_the_next_password(phone: Phone):
    phone.page.click("#asks-pin button")
    phone.open("/visits")
    assert phone.page.locator("#asks-pin").count() == 0
    phone.page.locator("form.sign-out button").click()
    phone.page.wait_for_url("**/sign-in")
    phone.sign_in("liqiang")
    expect(phone.page.locator("#asks-pin")).to_be_visible()


def test_the_customer_comes_to_nothing_but_his_own_page(phone: Phone, day: Day):
    page, url, visit = phone.page, phone.server.url, day.visits["ready"]
    choose_pin(page, url)
    phone.open(f"/visits/{visit}")
    page.locator(f"a[href^='/visits/{visit}/signatures']").first.click()
    is_handed(page, url, visit)
    page.go_back()
    expect(page.locator(".handover")).to_be_visible()
    assert page.locator(".bar").count() == 0
    for path in ("/visits", f"/visits/{visit}", f"/visits/{day.visits['signed']}", "/", "/welcome",
                 "/sign-in", "/visits/sync", "/visits/sync/file", f"/visits/{visit}/notes",
                 f"/visits/{day.visits['signed']}/signatures", "/visits/pin"):  # fmt: skip
        go(page, url + path)
        is_handed(page, url, visit)
    page.reload()
    is_handed(page, url, visit)
    other = phone.context.new_page()
    go(other, f"{url}/visits")
    is_handed(other, url, visit)
    other.close()
    before = len(phone.outbox("liqiang"))
    status, said = page.evaluate(
        """async (path) => {
          const body = new URLSearchParams({ text: "not mine" })
          const answer = await fetch(path, { method: "POST", body })
          return [answer.status, await answer.text()]
        }""",
        f"/visits/{visit}/notes",
    )
    assert status == 423
    assert "本机已锁定" in said
    go(page, f"{url}/visits/{visit}/photos")
    is_handed(page, url, visit)
    assert len(phone.outbox("liqiang")) == before

    phone.fill("name", "Alice Wong")
    phone.fill("role", "contact")
    draw_on(page)
    page.locator("form.entry-form button.save").click()
    expect(page.locator("#thanks")).to_contain_text("Alice Wong")
    expect(page.locator(".qr svg")).to_be_visible()
    page.locator("#stars button[value='4']").click()
    expect(page.locator("#rated")).to_be_visible()
    assert page.locator("#stars").count() == 0
    kinds = [row["body"]["kind"] for row in phone.outbox("liqiang")]
    assert kinds[-2:] == ["signature", "rating"]

    page.locator(".leave").click()
    page.locator("form + a").click()
    is_handed(page, url, visit)
    page.locator(".leave").click()
    type_pin(page, "9999")
    expect(page.locator(".finding")).to_be_visible()
    go(page, f"{url}/visits")
    is_handed(page, url, visit)
    page.locator(".leave").click()
    type_pin(page)
    expect(page).to_have_url(f"{url}/visits/{visit}")
    expect(page.locator(".bar")).to_be_visible()


def test_what_is_half_typed_in_another_tab_is_there_again_after_the_customer_signed(
    phone: Phone, day: Day
):
    page, url, visit = phone.page, phone.server.url, day.visits["ready"]
    choose_pin(page, url)
    other = phone.context.new_page()
    go(other, f"{url}/visits/{visit}/notes")
    other.fill("[name=text]", "钥匙在门卫处")
    phone.open(f"/visits/{visit}/signatures")
    is_handed(page, url, visit)
    go(other, f"{url}/visits/{visit}")
    is_handed(other, url, visit)
    page.locator(".leave").click()
    type_pin(page)
    expect(page).to_have_url(f"{url}/visits/{visit}")
    go(other, f"{url}/visits/{visit}/notes")
    expect(other.locator("[name=text]")).to_have_value("钥匙在门卫处")
    other.close()


def test_a_clock_that_was_set_back_makes_nobody_wait_for_it(phone: Phone):
    page, url = phone.page, phone.server.url
    choose_pin(page, url)
    now = int(datetime.now(UTC).timestamp() * 1000)
    phone.note("liqiang", used_at=0, tries={"count": 6, "at": now + 86_400_000})
    go(page, f"{phone.server.url}/visits")
    type_pin(page)
    expect(page.locator(".finding")).to_contain_text("40")  # seconds, by the clock there is now
    kept = [
        json.loads(value) for key, value in page.evaluate(STORED) if key.endswith(" meta tries")
    ]
    assert [tries["count"] for tries in kept] == [6]
    assert kept[0]["at"] < now + 3_600_000
    phone.note("liqiang", tries={"count": 6, "at": now - 3_600_000})
    type_pin(page)
    expect(page).to_have_url(f"{url}/visits")


def test_without_a_pin_a_held_button_is_the_way_out(phone: Phone, day: Day):
    visit = day.visits["long"]
    phone.open(f"/visits/{visit}/signatures")
    phone.leave_the_handover(visit)
    phone.open("/visits")


def test_what_was_entered_survives_a_browser_that_was_killed_and_only_on_the_same_page(
    chromium: Browser, day: Day, tmp_path: Path
):
    server, visit = day.server, day.visits["long"]
    disk = Disk(chromium, tmp_path / "profile")
    page = signed_in(disk.start(), server)
    choose_pin(page, server.url)
    go(page, f"{server.url}/visits/{visit}/signatures")
    page.fill("[name=name]", "Maxi F.")
    page.fill("[name=opinion]", "quick work")
    draw_on(page)
    drawn = page.locator("[name=strokes]").input_value()
    assert len(json.loads(drawn)) == 2
    page.wait_for_timeout(300)
    disk.kill()

    page = disk.start().pages[0]
    go(page, server.url)
    is_handed(page, server.url, visit)
    expect(page.locator("[name=name]")).to_have_value("Maxi F.")
    expect(page.locator("[name=opinion]")).to_have_value("quick work")
    assert page.locator("[name=strokes]").input_value() == drawn
    inked = page.evaluate(
        """() => { const canvas = document.querySelector("[data-pad] canvas")
             const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
             return data.some((value, at) => at % 4 === 3 && value) }"""
    )
    assert inked

    # drawn on a page that showed something else: he signs nothing he has not seen
    with server.office():
        person = server.person("liqiang").id
    page.evaluate("sessionStorage.clear()")
    fields = {"name": "Maxi F.", "strokes": drawn}
    draft = {"seen": "0" * 64, "signed": "0", "fields": fields}
    page.evaluate(NOTE, [f"fieldapp-{person}", {"handover": {"visit": visit, "draft": draft}}])
    page.reload()
    expect(page.locator("[name=name]")).to_have_value("Maxi F.")
    assert page.locator("[name=strokes]").input_value() == ""
    page.locator(".leave").click()
    type_pin(page)
    expect(page).to_have_url(f"{server.url}/visits/{visit}")
    # what he did not sign does not wait for the next customer
    page.evaluate("sessionStorage.clear()")
    go(page, f"{server.url}/visits/{visit}/signatures")
    expect(page.locator("[name=name]")).to_have_value("")
    page.context.close()


def test_strokes_survive_a_turn_and_a_call_in_the_middle_of_one(phone: Phone, day: Day):
    page = phone.page
    phone.open(f"/visits/{day.visits['long']}/signatures")
    pad = page.locator("[data-pad] canvas")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 90, steps=8)
    page.set_viewport_size({"width": 844, "height": 390})
    page.wait_for_timeout(200)
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 60)
    page.mouse.move(box["x"] + 400, box["y"] + 120, steps=8)
    page.mouse.up()
    strokes = json.loads(page.locator("[name=strokes]").input_value())
    assert len(strokes) == 2  # no line leads from where the pad was to where it is
    assert strokes[0][:2] == [18, 38]
    page.set_viewport_size({"width": 390, "height": 844})
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 30, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 80, box["y"] + 130, steps=4)
    pad.dispatch_event("pointercancel", {"pointerId": 1})
    page.mouse.move(box["x"] + 200, box["y"] + 130, steps=4)
    page.mouse.up()
    strokes = json.loads(page.locator("[name=strokes]").input_value())
    assert len(strokes) == 3
    assert max(strokes[2][0::3]) < 200  # what came after the call is no part of it
    page.mouse.move(box["x"] + 30, box["y"] + 160)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 170, steps=4)
    page.evaluate(
        """() => { Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true })
             document.dispatchEvent(new Event("visibilitychange"))
             delete document.visibilityState }"""
    )
    assert len(json.loads(page.locator("[name=strokes]").input_value())) == 4
    page.mouse.up()


def test_a_phone_that_lay_about_asks_for_the_pin_and_gives_everything_back(phone: Phone, day: Day):
    page, url, visit = phone.page, phone.server.url, day.visits["on-site"]
    choose_pin(page, url)
    phone.open(f"/visits/{visit}/notes")
    phone.server.stop()
    page.fill("[name=text]", "half a sentence")
    leave_it(phone, minutes=14)
    page.evaluate("navigator.serviceWorker.controller.postMessage({type: 'sync'})")
    page.wait_for_timeout(500)
    expect(page.locator("[name=text]")).to_have_value("half a sentence")  # not yet
    leave_it(phone)
    gives_way(phone, r"/visits/lock\?")
    for path in ("/visits", f"/visits/{visit}", "/", "/welcome", "/visits/sync/file"):
        go(page, url + path)
        expect(page).to_have_url(re.compile("/visits/lock"))
        expect(page.locator("body")).not_to_contain_text("上海")
    go(page, f"{url}/visits/{visit}/notes")
    for count in range(4):
        type_pin(page, "9999")
        expect(page.locator(".finding")).to_contain_text("等待" if count == 3 else "不正确")
    type_pin(page)
    expect(page.locator(".finding")).to_contain_text("等待")  # the right one waits too
    page.reload()
    type_pin(page)
    expect(page.locator(".finding")).to_contain_text("等待")  # and knows it after a start
    phone.note("liqiang", tries={"count": 3, "at": 0})
    phone.server.start()
    type_pin(page)
    expect(page).to_have_url(f"{url}/visits/{visit}/notes")
    expect(page.locator("[name=text]")).to_have_value("half a sentence")
    phone.save(visit)


def test_work_is_sent_while_the_phone_is_locked(phone: Phone, day: Day):
    page, visit = phone.page, day.visits["on-site"]
    choose_pin(page, phone.server.url)
    phone.open(f"/visits/{visit}")
    phone.server.stop()
    phone.record(visit, "notes", text="sent behind the lock")
    leave_it(phone)
    go(page, f"{phone.server.url}/visits")
    phone.server.start()
    page.evaluate("navigator.serviceWorker.controller.postMessage({type: 'sync'})")
    phone.until(lambda: all(row["state"] != "unsent" for row in phone.outbox("liqiang")))
    expect(page.locator("#pin")).to_be_visible()


def test_a_forgotten_pin_goes_with_the_password_and_with_nothing_less(phone: Phone):
    page, url = phone.page, phone.server.url
    choose_pin(page, url)
    leave_it(phone)
    go(page, f"{phone.server.url}/visits")
    page.click(".lock summary")
    page.click(".lock details button")
    page.wait_for_url("**/sign-in")
    for path in ("/visits", "/welcome", "/"):
        go(page, url + path)
        expect(page.locator("#password")).to_be_visible()
    phone.sign_in("liqiang")
    expect(page.locator("#asks-pin")).to_be_visible()
    choose_pin(page, url, "8642")


REVOKED: dict[str, Any] = {"protocol": PROTOCOL, "problem": "access.revoked", "retry": False,
                           "text": {"zh_CN": "x", "en": "x"}}  # fmt: skip

IMPOSTORS: list[tuple[str, int, str, Callable[[str], str]]] = [
    ("a portal's page", 200, "text/html", lambda _: "<h1>Welcome to the hotel</h1>"),
    ("a portal that forbids", 403, "text/html", lambda _: "access.revoked"),
    ("another type", 403, "application/json",
     lambda own: json.dumps(REVOKED | {"args": {"device": own}})),
    ("another protocol", 403, MEDIA_TYPE,
     lambda own: json.dumps(REVOKED | {"protocol": 9, "args": {"device": own}})),
    ("half an answer", 403, MEDIA_TYPE,
     lambda own: json.dumps(REVOKED | {"args": {"device": own}})[:-9]),
    ("no device", 403, MEDIA_TYPE, lambda _: json.dumps(REVOKED)),
    ("another's device", 403, MEDIA_TYPE,
     lambda _: json.dumps(REVOKED | {"args": {"device": "0190000e-0000-7000-8000-000000000001"}})),
    ("a phone nobody knows", 401, MEDIA_TYPE,
     lambda own: json.dumps(REVOKED | {"problem": "access.missing-device", "args": {"device": own}})),
    ("a broken server", 500, MEDIA_TYPE,
     lambda own: json.dumps(REVOKED | {"problem": "server.failed", "args": {"device": own}})),
]  # fmt: skip


def saying(status: int, kind: str, text: str) -> Callable[[Route], None]:
    """Somebody who answers in the office's place."""
    return lambda route: route.fulfill(status=status, headers={"Content-Type": kind}, body=text)


def sync_now(page: Page) -> None:
    page.evaluate(
        """async () => { const body = new URLSearchParams({ back: "/visits/sync" })
             await (await fetch("/visits/sync", { method: "POST", body })).text() }"""
    )


def test_a_revoked_phone_forgets_all_but_what_nobody_else_has(phone: Phone, day: Day):
    page, server = phone.page, phone.server
    visit = day.visits["conflict"]
    choose_pin(page, server.url)
    phone.record(visit, "notes", text="confirmed words")
    phone.open(f"/visits/{visit}/diagnoses")
    page.fill("[name=text]", "half typed words")
    sync_now(page)
    phone.until(lambda: all(row["state"] != "unsent" for row in phone.outbox("liqiang")))
    page.evaluate("localStorage.setItem('recent x', 'phrase that was used lately')")
    stored = "".join(value for _, value in page.evaluate(STORED))
    assert "confirmed words" in stored
    assert "half typed words" in stored
    with server.office():
        person = server.person("liqiang").id
        device = db.session.scalars(
            select(Device.id).where(Device.person_id == person).order_by(Device.enrolled_at.desc())
        ).first()
    assert device is not None

    # whoever else answers, nothing is forgotten
    for _, status, kind, body in IMPOSTORS:
        phone.context.route("**/sync/p*", saying(status, kind, body(device)))
        sync_now(page)
        phone.context.unroute("**/sync/p*")
        assert "confirmed words" in "".join(value for _, value in page.evaluate(STORED))
    refused = REVOKED | {"problem": "push.not-json", "args": {}}
    phone.context.route("**/sync/push", saying(400, MEDIA_TYPE, json.dumps(refused)))
    phone.record(visit, "notes", text="unsent words")
    go(page, f"{server.url}/visits/{visit}/diagnoses")
    page.fill("[name=text]", "half typed words")
    with server.office():
        admin = db.session.scalars(select(Person).where(Person.org_id == day.org_id)).first()
        assert admin is not None
        phones.revoke(admin, device, datetime.now(UTC))
    gives_way(phone, "/visits/revoked")
    expect(page.locator("#revoked")).to_contain_text("1")
    rows = page.evaluate(STORED)
    stored = "".join(value for key, value in rows if not key.startswith("cache "))
    assert "unsent words" in stored
    for words in ("confirmed words", "half typed words", "浦江", "offsets", "phrase that"):
        assert words not in stored, words
    outbox = [key for key, _ in rows if " outbox " in key]
    assert len(outbox) == 1
    assert not [key for key, _ in rows if " visits " in key or " blobs " in key]
    assert {key.split()[1] for key, _ in rows if key.startswith("cache ")} <= {
        *(f"/static/{name}" for name in _statics()), "/app.webmanifest"}  # fmt: skip
    for path in ("/visits", f"/visits/{visit}", "/visits/sync"):
        go(page, server.url + path)
        expect(page).to_have_url(f"{server.url}/visits/revoked")
    # the file of it lies behind the PIN
    page.click("a[href='/visits/sync/file']")
    expect(page.locator("#pin")).to_be_visible()

    phone.context.unroute("**/sync/push")
    go(page, f"{server.url}/visits/revoked")
    page.evaluate("navigator.serviceWorker.controller.postMessage({type: 'sync'})")
    phone.until(lambda: phone.outbox("liqiang") == [])
    page.reload()
    expect(page.locator("#revoked")).not_to_contain_text("尚未确认")
    stored = "".join(value for key, value in page.evaluate(STORED) if " meta " in key)
    assert "credential" not in "".join(key for key, _ in page.evaluate(STORED))
    with server.office():
        kept = db.session.get_one(Visit, visit).state["quarantine"]
        assert [item["value"] for item in kept] == [{"text": "unsent words"}]

    # it may be found again: a new phone, with everything
    page.click("#revoked button.button")
    page.wait_for_url("**/sign-in")
    phone.sign_in("liqiang")
    phone.open(f"/visits/{visit}")
    expect(page.locator("#entries")).to_contain_text("confirmed words")
    with server.office():
        newest = db.session.scalars(
            select(Device).where(Device.person_id == person).order_by(Device.enrolled_at.desc())
        ).first()
        assert newest is not None
        assert (newest.replaces_id, newest.replaces_reason) == (device, "revoked")


def test_a_phone_revoked_after_its_owner_signed_out_forgets_him_too(phone: Phone, day: Day):
    page, server = phone.page, phone.server
    with server.office():
        person = server.person("liqiang").id
        device = db.session.scalars(
            select(Device.id).where(Device.person_id == person).order_by(Device.enrolled_at.desc())
        ).first()
        assert device is not None
    phone.open("/visits")
    page.locator("form.sign-out button").click()
    page.wait_for_url("**/sign-in")
    assert [key for key, _ in page.evaluate(STORED) if " visits " in key]
    with server.office():
        phones.revoke(server.person("liqiang"), device, datetime.now(UTC))
    phone.note("liqiang", asked_at=0)

    def is_empty() -> bool:
        page.reload()
        return not [key for key, _ in page.evaluate(STORED) if " visits " in key]

    phone.until(is_empty)


def _statics() -> list[str]:
    root = Path(__file__).parents[2] / "static"
    return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
