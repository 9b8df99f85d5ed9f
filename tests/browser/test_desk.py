"""陈经理 at his desk: the board follows the phones, and every form under the strict policy."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from server import Server

from fieldapp import phones
from fieldapp.access import enrol_device
from fieldapp.ids import mint_id
from fieldapp.models import Visit, db
from fieldapp.perform import unit
from sync.canonical import hash_of
from sync.protocol import MEDIA_TYPE, PROTOCOL

DESK, PHONE = (1280, 800), (390, 844)
EVERY_MS = 10_000


class Desk:
    """A browser at the desk.  It fails its test when a page logs an error."""

    def __init__(self, browser: Browser, server: Server, size: tuple[int, int], lang: str) -> None:
        self.server = server
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            locale="en-GB" if lang == "en" else "zh-CN",
        )
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.polls: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._listen)
        self.page.on("request", self._count)
        self.page.goto(f"{server.url}/sign-in")
        self.page.fill("#account", "chen")
        self.page.fill("#password", server.accounts["chen"].password)
        self.page.click("main button")
        self.page.wait_for_url("**/desk")
        if (self.page.get_attribute("html", "lang") == "en") != (lang == "en"):
            with self.page.expect_navigation():
                self.page.click("form.language button")

    def _listen(self, message: Any) -> None:
        # an answer of 4xx is logged by the browser itself and is meant
        if message.type == "error" and "status of 4" not in message.text:
            self.errors.append(message.text)

    def _count(self, request: Any) -> None:
        if "/desk/board" in request.url:
            self.polls.append(request.url)

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.server.url}{path}")
        return self.page

    def close(self) -> None:
        self.context.close()
        assert self.errors == []


@pytest.fixture
def chen_desk(chromium: Browser, server: Server) -> Iterator[Desk]:
    desk = Desk(chromium, server, DESK, "en")
    yield desk
    desk.close()


class PushingPhone:
    """李强's phone as the server hears it."""

    def __init__(self, server: Server) -> None:
        self.server, now = server, datetime.now(UTC)
        with server.office():
            person = server.person("liqiang")
            device, self.credential = enrol_device(person, "iPhone", now)
            self.device, self.author, self.count = device.id, person.id, 0
            db.session.commit()

    def operation(self, visit: str, kind: str, value: Any, supersedes: Any = None) -> Any:
        now = datetime.now(UTC)
        self.count += 1
        body = {
            "id": mint_id(now), "v": 1, "visit": visit, "device": self.device, "n": self.count,
            "author": self.author, "kind": kind, "value": value, "supersedes": supersedes or {},
            "wall": int(now.timestamp() * 1000), "mono": 0, "boot": "b", "skew": 0, "app": "1",
        }  # fmt: skip
        return body | {"hash": hash_of(body)}

    def push(self, visit: str, kind: str, value: Any, supersedes: Any = None) -> None:
        body = self.operation(visit, kind, value, supersedes)
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        push = {"protocol": PROTOCOL, "now": now_ms, "high": self.count, "operations": [body]}
        request = urllib.request.Request(
            f"{self.server.url}/sync/push",
            json.dumps(push).encode(),
            {"Content-Type": MEDIA_TYPE, "Authorization": f"Device {self.credential}"},
        )
        with urllib.request.urlopen(request) as answer:
            (receipt,) = json.load(answer)["receipts"]
        assert receipt["id"] == body["id"]


def test_the_board_follows_a_push_by_itself(chen_desk: Desk, server: Server) -> None:
    visit = server.visit_of("liqiang")
    phone = PushingPhone(server)
    page = chen_desk.open("/desk")
    card = page.locator(f"#card-{visit}")
    expect(card).to_contain_text("Planned")
    page.evaluate("document.body.dataset.mark = 'same page'")
    card.focus()
    phone.push(visit, "arrival", {"outcome": "present"})
    expect(card).to_contain_text("On site", timeout=2 * EVERY_MS)
    assert page.get_attribute("body", "data-mark") == "same page"
    # whoever reads on with the keyboard stays where he is
    assert page.evaluate("document.activeElement.id") == f"card-{visit}"
    polls = len(chen_desk.polls)
    page.wait_for_timeout(2 * EVERY_MS + 1000)
    assert len(chen_desk.polls) - polls == 2, "one poll in ten seconds, also after a refresh"
    phone.push(visit, "leaving", {"next_text": ""})
    expect(card).to_contain_text("Under review", timeout=2 * EVERY_MS)


def test_an_open_board_survives_a_server_that_fails(chen_desk: Desk) -> None:
    page = chen_desk.open("/desk")
    page.route("**/desk/board*", lambda route: route.fulfill(status=503, body="<p>broken</p>"))
    with page.expect_response("**/desk/board*", timeout=2 * EVERY_MS):
        pass
    page.wait_for_timeout(300)
    assert page.locator(".column").count() > 1
    assert page.get_by_text("broken").count() == 0
    chen_desk.errors.clear()  # the browser logs the 503


def test_who_signed_out_elsewhere_is_asked_to_sign_in(chen_desk: Desk) -> None:
    page = chen_desk.open("/desk")
    # an answer still on its way would bring the cookie back
    page.wait_for_load_state("networkidle")
    chen_desk.context.clear_cookies()
    page.wait_for_url("**/sign-in", timeout=2 * EVERY_MS)


def test_a_work_order_is_opened_for_an_unknown_caller(chen_desk: Desk) -> None:
    page = chen_desk.open("/desk/work-orders/new")
    page.fill("#text", "beeps every minute")
    page.fill("#location", "control room")
    page.locator("#q").press_sequentially("WAH200-2508")
    page.locator("#found button").first.click()
    expect(page.locator("#asset option:checked")).to_contain_text("WAH200-2508-00173")
    page.select_option("#contact", "new")
    page.fill("#contact_name", "Zhao Min")
    page.select_option("#engineer", label="李强")
    page.click(".save")
    expect(page.locator(".finding")).to_have_count(2)  # telephone and language
    expect(page.locator("#text")).to_have_value("beeps every minute")
    expect(page.locator("#contact_name")).to_have_value("Zhao Min")
    expect(page.locator("#asset option:checked")).to_contain_text("WAH200-2508-00173")
    page.fill("#contact_phone", "135-0000-1122")
    page.select_option("#contact_language", "zh_CN")
    page.dblclick(".save")
    page.wait_for_url(lambda url: "/new" not in url)
    expect(page.locator("main")).to_contain_text("Zhao Min")
    expect(page.locator("a.visit")).to_have_count(1)


def test_a_conflict_is_settled_and_the_visit_sent_back(chen_desk: Desk, server: Server) -> None:
    visit = server.visit_of("liqiang")
    with server.office():
        chen, row = server.person("chen"), db.session.get_one(Visit, visit)
        heads = {"fault/text": row.state["fields"]["fault/text"]["heads"]}
        org_id = row.org_id
        with unit(org_id, datetime.now(UTC)) as opened:
            opened.perform("fault", visit, chen, {"text": "power board"}, heads)
    phone = PushingPhone(server)
    phone.push(visit, "fault", {"fault/text": "no light <b>at all</b>"}, heads)
    phone.push(visit, "leaving", {"next_text": ""})
    page = chen_desk.open(f"/desk/visits/{visit}")
    conflict = page.locator("#conflict-1")
    conflict.get_by_text("no light <b>at all</b>").click()
    conflict.locator("button").click()
    expect(conflict).to_have_count(0)
    page.select_option("#reviews-verdict", "sent-back")
    page.get_by_role("button", name="Save the review").click()
    expect(page.locator("#reviews-reason-said")).to_have_text("Reason is missing.")
    page.fill("#reviews-reason", "which board?")
    page.get_by_role("button", name="Save the review").dblclick()
    expect(page.locator(".visit-head")).to_contain_text("Sent back")
    assert page.url.endswith(f"/desk/visits/{visit}")
    assert server.journal_kinds(visit, "chen").count("review") == 1


def test_the_inbox_is_emptied_without_leaving_it(chen_desk: Desk, server: Server) -> None:
    visit = server.visit_of("liqiang")
    with server.office():
        chen, row = server.person("chen"), db.session.get_one(Visit, visit)
        heads = {"fault/text": row.state["fields"]["fault/text"]["heads"]}
        with unit(row.org_id, datetime.now(UTC)) as opened:
            opened.perform("fault", visit, chen, {"text": "power board"}, heads)
    phone = PushingPhone(server)
    phone.push(visit, "fault", {"fault/text": "no light"}, heads)
    swap = {"part_name": "x", "removed_serial": "A", "installed_serial": "B", "fate": "scrap"}
    phone.push(visit, "swap", swap)
    phone.push(visit, "swap", swap)
    page = chen_desk.open("/desk/inbox")
    number = page.locator("nav [aria-current] .chip")
    before = int(number.inner_text())
    conflict = page.locator(".conflict", has_text="no light")
    conflict.get_by_text("Neither; what I write below").click()
    conflict.locator("summary").click()
    conflict.locator("textarea").fill("no light: the power board")
    conflict.locator("button").click()
    expect(conflict).to_have_count(0)
    assert page.url.endswith("/desk/inbox")
    expect(number).to_have_text(str(before - 1))
    flag = page.locator("article", has_text="was installed more than once")
    flag.locator("summary").click()
    flag.locator("button").dblclick()
    expect(page.locator(".finding", has_text="Reason is missing.")).to_be_visible()
    reason = page.locator("#flags details[open] input[name=reason]")
    reason.fill("two boards of one number")
    reason.press("Enter")
    page.wait_for_url("**/desk/inbox")
    lately = page.locator("#lately article", has_text="two boards of one number")
    expect(lately).to_be_visible()
    lately.locator("summary").click()
    lately.locator("input[name=reason]").fill("it was a mistake")
    lately.locator("button").click()
    expect(page.locator("#lately")).to_contain_text("it was a mistake")
    expect(page.locator("article", has_text="was installed more than once").first).to_be_visible()


def test_a_file_is_looked_at_and_then_taken_in(chen_desk: Desk, server: Server) -> None:
    visit = server.visit_of("liqiang")
    phone = PushingPhone(server)
    body = phone.operation(visit, "note", {"text": "wet floor"})
    work = {
        "format": "fieldapp.unsent", "version": 1, "person": {"id": phone.author, "name": "李强"},
        "device": phone.device, "exported_at": "2026-03-10T02:48:00Z", "operations": [body],
        "photos": [],
    }  # fmt: skip
    page = chen_desk.open("/desk/phones/import")

    def choose(content: bytes) -> None:
        page.set_input_files(
            "#file", {"name": "a.json", "mimeType": "application/json", "buffer": content}
        )
        page.get_by_role("button", name="Look at it").click()

    choose(b"{")
    expect(page.get_by_role("alert")).to_contain_text("damaged or no JSON")
    choose(json.dumps(work).encode())
    page.get_by_role("button", name="Take it in").dblclick()
    expect(page.get_by_role("status")).to_contain_text("1 entry taken, 0 were here already")
    assert server.journal_kinds(visit, "liqiang").count("note") == 1


MEASURE = """() => {
  const found = []
  const say = (what, element) =>
    found.push([what, element.tagName, element.className, element.textContent.trim().slice(0, 40)])
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page is wider")
  const touched = "a, button, select, textarea, summary, input:not([type=hidden], [type=radio], " +
    "[type=checkbox])"
  for (const element of document.querySelectorAll(touched)) {
    const box = element.getBoundingClientRect()
    if (box.width && box.height && box.height < 43.5) say("small", element)
  }
  for (const element of document.querySelectorAll("header *, main *")) {
    const box = element.getBoundingClientRect()
    if (box.width && box.right > innerWidth + 1 && !element.closest(".board")) say("out", element)
    const clips = getComputedStyle(element).overflowX !== "visible"
    if (clips && element.scrollWidth > element.clientWidth + 1 &&
        !element.matches("select, input, textarea, .board")) say("clipped", element)
  }
  return found
}"""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_fits_and_can_be_touched(
    chromium: Browser, server: Server, size: tuple[int, int], lang: str
) -> None:
    visit = server.visit_of("liqiang")
    with server.office():
        order = db.session.get_one(Visit, visit).work_order
        assert order is not None
        paths = [
            "/desk",
            f"/desk/visits/{visit}",
            "/desk/work-orders/new",
            f"/desk/work-orders/new?customer={order.request.customer_id}"
            f"&site={order.request.site_id}&contact=new",
            f"/desk/work-orders/{order.id}",
            "/desk/customers",
            f"/desk/customers/{order.request.customer_id}",
            f"/desk/contacts/{order.request.contact_id}",
            "/desk/inbox",
            "/desk/phones",
            "/desk/phones/import",
        ]
        heads = {
            "fault/text": db.session.get_one(Visit, visit).state["fields"]["fault/text"]["heads"]
        }
    phone = PushingPhone(server)
    revoked = PushingPhone(server)
    with server.office():
        phones.revoke(server.person("chen"), revoked.device, datetime.now(UTC))
    revoked.push(visit, "note", {"text": "W" * 300})
    phone.push(visit, "arrival", {"outcome": "present"})
    phone.push(visit, "photo", {"sha256": "a" * 64, "caption": "W" * 200})
    phone.push(visit, "swap", swap := {"part_name": "x", "removed_serial": "9" * 64,
                                       "installed_serial": "8" * 64, "fate": "scrap"})  # fmt: skip
    phone.push(visit, "swap", swap)
    phone.push(visit, "fault", {"fault/text": "Ж" * 300}, heads)
    phone.push(visit, "fault", {"fault/text": "Щ" * 300}, heads)
    desk = Desk(chromium, server, size, lang)
    for path in paths:
        page = desk.open(path)
        for details in page.locator("main details").all():
            details.evaluate("element => element.open = true")
        assert page.evaluate(MEASURE) == [], path
    desk.close()
