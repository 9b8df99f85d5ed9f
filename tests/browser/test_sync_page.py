"""The sync page: what is still to be sent, what the office last said, and a way out on a file."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from phone import Phone
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from server import Server

from sync.canonical import hash_of
from sync.protocol import MEDIA_TYPE


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "board.jpg"
    Image.effect_mandelbrot((640, 480), (-2, -1.5, 1, 1.5), 40).convert("RGB").save(path)
    return path


def test_it_names_every_item_that_waits_and_then_none(
    liqiang_phone: Phone, server: Server, picture: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}")
    server.stop()
    phone.record(visit, "arrivals", outcome="present")
    phone.record(visit, "steps", list_="conduct", done=["badge"])
    phone.take_photo(visit, picture, "电源板")
    phone.page.click(".sync a")
    unsent = phone.page.locator("#unsent li")
    expect(unsent).to_have_count(4)
    for text in ("到达", "言行规范", "1 张照片"):
        expect(phone.page.locator("#unsent")).to_contain_text(text)
    expect(unsent.first).to_contain_text("上海浦江文创园")
    phone.page.click("#standing button.save")
    phone.sees("无法联系任何一方")

    server.start()
    phone.sync_now()
    phone.sees("您的记录公司均已收到")
    expect(unsent).to_have_count(0)
    expect(phone.page.locator("#storage")).to_contain_text("MB")
    assert phone.page.locator("a[href='/visits/sync/file']").count() == 0


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (timedelta(minutes=7, seconds=30), "慢 7 分钟，公司会自动校正"),
        (-timedelta(hours=2, minutes=5), "快 125 分钟，公司会自动校正"),
        (timedelta(seconds=50), "准确（误差不到一分钟）"),
    ],
)
def test_it_says_what_became_of_what_arrived_and_how_far_the_clock_is_off(
    liqiang_phone: Phone, server: Server, ahead: timedelta, said: str
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")

    def line(route: Route) -> None:
        """The office's clock is ahead of the phone's by so much."""
        answer = route.fetch()
        told = answer.json()
        told["now"] += ahead // timedelta(milliseconds=1)
        route.fulfill(response=answer, body=json.dumps(told))

    phone.context.route("**/sync/pull", line)
    phone.record(visit, "notes", text="钥匙在门卫处")
    phone.record(visit, "arrivals", outcome="present")
    phone.sync_now()
    expect(phone.page.locator("#clock")).to_have_text(said)
    arrived = phone.page.locator("#arrived")
    arrived.locator("summary").click()
    expect(arrived.locator("li")).to_have_count(2)
    expect(arrived.locator(".chip-good")).to_have_count(2)
    expect(arrived.locator("li").first).to_contain_text("到达")


def test_what_the_office_cannot_take_says_why_and_how_much_of_a_photo_is_there(
    liqiang_phone: Phone, server: Server, picture: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.context.route("**/sync/push", lambda route: route.fulfill(
        status=413, content_type="text/html", body="<h1>too large</h1>"
    ))  # fmt: skip
    phone.context.route("**/sync/blobs/*", lambda route: route.abort())
    phone.take_photo(visit, picture, "电源板")
    phone.sync_now()
    unsent = phone.page.locator("#unsent li")
    expect(unsent.first.locator(".finding")).to_contain_text("公司没能收下")
    expect(unsent.last).to_contain_text(f"已发送 0 / {-(-picture.stat().st_size // 1000)} KB")
    expect(unsent.last.locator("progress")).to_be_visible()
    phone.context.unroute("**/sync/push")
    phone.context.unroute("**/sync/blobs/*")
    phone.sync_now()
    expect(unsent).to_have_count(0)


def test_unsent_work_is_saved_whole_to_a_file_and_goes_on_waiting(
    liqiang_phone: Phone, server: Server, picture: Path, tmp_path: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}")
    server.stop()
    phone.record(visit, "notes", text="<b>钥匙</b>在 “门卫” 处")
    phone.take_photo(visit, picture, "电源板")
    phone.open("/visits/sync")
    with phone.page.expect_download() as download:
        phone.page.click("a[href='/visits/sync/file']")
    path = tmp_path / "unsent.json"
    download.value.save_as(path)
    assert "李强" in download.value.suggested_filename
    told = json.loads(path.read_text("utf-8"))
    assert [told["format"], told["version"]] == ["fieldapp.unsent", 1]
    assert told["person"]["name"] == "李强"
    assert told["exported_at"].endswith("Z")
    assert [body["kind"] for body in told["operations"]] == ["note", "photo"]
    for body in told["operations"]:
        assert body["hash"] == hash_of({key: body[key] for key in body if key != "hash"})
        assert body["device"] == told["device"]
    (photo,) = told["photos"]
    data = base64.b64decode(photo["base64"])
    assert hashlib.sha256(data).hexdigest() == photo["sha256"]
    assert photo["sha256"] == told["operations"][1]["value"]["sha256"]
    assert (photo["visit"], photo["type"]) == (visit, "image/jpeg")

    server.start()
    phone.sync_now()
    phone.sees("您的记录公司均已收到")
    assert server.journal_kinds(visit, "liqiang") == ["note", "photo"]


STRANGERS = {
    "a hotel's page": ("text/html", "<html><title>Hotel</title><h1>Welcome</h1></html>"),
    "nothing of ours": (MEDIA_TYPE, "{}"),
    "no object": (MEDIA_TYPE, "null"),
    "another version": (MEDIA_TYPE, '{"protocol": 2}'),
    "half of it": (MEDIA_TYPE, '{"protocol": 1, "rece'),
    "no receipt": (MEDIA_TYPE, '{"protocol": 1, "receipts": [], "epoch": "x", "now": 1}'),
}
"""What answers with 200 and confirms nothing: media type and body."""


def test_whatever_a_stranger_answers_confirms_nothing(liqiang_phone: Phone, server: Server):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    saying = list(STRANGERS.values())
    said = saying[0]
    phone.context.route(
        "**/sync/*",
        lambda route: route.fulfill(status=200, content_type=said[0], body=said[1]),
    )
    phone.record(visit, "notes", text="酒店里的记录")
    phone.sync_now()
    phone.sees("应答的不是公司")
    for said in saying:  # noqa: B007 - the route above answers it
        phone.sync_now()
        expect(phone.page.locator("#unsent li")).to_have_count(1)
    phone.context.unroute("**/sync/*")
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    assert server.journal_kinds(visit, "liqiang") == ["note"]


def test_an_operation_the_server_cannot_take_does_not_hold_up_the_others(
    liqiang_phone: Phone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")

    def proxy(route: Route) -> None:
        """A proxy in between that takes nothing in which the word stands."""
        if "大" in (route.request.post_data or ""):
            route.fulfill(status=413, content_type="text/html", body="<h1>too large</h1>")
        else:
            route.continue_()

    phone.open(f"/visits/{visit}")
    server.stop()
    for text in ("一", "大", "三"):
        phone.record(visit, "notes", text=text)
    phone.page.locator(".entry", has_text="大").locator("a[href*='voids']").click()
    phone.fill("reason", "写错")
    phone.save(visit)
    phone.context.route("**/sync/push", proxy)
    server.start()
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(1)
    assert server.journal_kinds(visit, "liqiang") == ["note", "note", "void"]
    # The office cannot say what became of an entry that it has not: the phone still shows it.
    phone.open(f"/visits/{visit}")
    phone.sees("写错")
    phone.context.unroute("**/sync/push")
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    assert len(server.journal_kinds(visit, "liqiang")) == 4


def test_a_copy_damaged_on_its_way_goes_again_whole(liqiang_phone: Phone, server: Server):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    spoilt: list[str] = []

    def line(route: Route) -> None:
        text = route.request.post_data or ""
        if "保险管" in text and not spoilt:
            spoilt.append(text)
            route.continue_(post_data=text.replace("保险管", "保险箱"))
        else:
            route.continue_()

    phone.context.route("**/sync/push", line)
    phone.record(visit, "notes", text="更换保险管")
    phone.sync_now()
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    assert spoilt
    phone.open(f"/visits/{visit}")
    phone.sees("更换保险管")
    expect(phone.page.locator("body")).not_to_contain_text("保险箱")


def test_what_a_phone_sends_with_each_push_and_pull_tells_what_is_left(
    liqiang_phone: Phone, server: Server, picture: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}")
    server.stop()
    phone.record(visit, "notes", text="一")
    phone.take_photo(visit, picture, "二")
    server.start()
    said: list[tuple[str, int, int]] = []

    def listen(route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        said.append((route.request.url.rsplit("/", 1)[1], body["high"], body["unsent"]))
        route.continue_()

    for noun in ("push", "pull"):
        phone.context.route(f"**/sync/{noun}", listen)
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    # The photo is still to come while the pull asks; afterwards nothing is.
    assert said[:3] == [("push", 2, 1), ("pull", 2, 1), ("pull", 2, 0)]


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_without_a_worker_the_page_says_that_this_browser_holds_nothing(
    chromium: Browser, server: Server, locale: str
):
    context = chromium.new_context(locale=locale, service_workers="block")
    page: Page = context.new_page()
    page.goto(f"{server.url}/sign-in")
    page.fill("#account", "liqiang")
    page.fill("#password", server.accounts["liqiang"].password)
    page.click("main button")
    page.wait_for_url("**/welcome")
    for path in ("/visits/sync", "/visits/sync/file"):
        page.goto(server.url + path)
        assert page.url.endswith("/visits/sync")
        expect(page.locator("main")).to_contain_text("此浏览器中没有需要发送的内容")
    context.close()
