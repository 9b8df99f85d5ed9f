"""王丽 scans the code on 李强's phone in the cellar, and has her say when she is back upstairs."""

from __future__ import annotations

import json

from day import Day
from desk import Desk
from phone import Phone
from playwright.sync_api import Page, expect
from server import Server
from visitor import look_until, scanned

from sync.protocol import MEDIA_TYPE, PROTOCOL


def test_a_link_from_the_cellar_tells_what_was_done_and_takes_a_word_back(
    server: Server, liqiang_phone: Phone, visitor: Page
):
    phone, visit = liqiang_phone, Day(server).visits["ready"]
    phone.sync_now()
    phone.open(f"/visits/{visit}/signatures")
    server.stop()
    phone.fill("name", "王丽")
    phone.fill("role", "contact")
    phone.draw()
    phone.page.locator("form.entry-form button.save").click()
    expect(phone.page.locator("#thanks")).to_contain_text("王丽")
    link = scanned(phone.page)
    assert link.startswith(f"{server.url}/verify/")
    assert phone.page.locator(".link .serial").inner_text() == link

    busy = json.dumps({"protocol": PROTOCOL, "problem": "server.busy"})
    phone.context.route(
        "**/sync/push",
        lambda route: route.fulfill(status=503, content_type=MEDIA_TYPE, body=busy),
    )
    server.start()
    answer = visitor.goto(link)
    assert answer is not None
    assert answer.status == 404
    expect(visitor.locator("h1")).to_have_text("正在送达")

    phone.context.unroute("**/sync/push")
    phone.sync_now()
    look_until(visitor, link, "此工单已登记")
    facts = visitor.locator("#facts")
    expect(facts).to_contain_text("李强")
    expect(facts).to_contain_text("王丽")
    with visitor.expect_download() as paper:
        visitor.locator("#papers a").first.click()
    assert paper.value.path().read_bytes().startswith(b"%PDF")

    visitor.locator("#rating label", has_text="5 分").click()
    visitor.fill("#opinion", "师傅很耐心")
    visitor.click("#rating button")
    expect(visitor.get_by_role("status")).to_contain_text("您的评价已收到")
    expect(visitor.locator("#rating")).to_contain_text("5 分")
    visitor.fill("#text", "换下的主机什么时候送回？")
    visitor.fill("#reach", "139-0000-7777")
    visitor.click("#question button")
    expect(visitor.get_by_role("status")).to_contain_text("您的问题已送达")

    desk = Desk(phone, server)
    desk.page.goto(f"{server.url}/desk/inbox")
    waiting = desk.page.locator("article", has_text="换下的主机什么时候送回？")
    expect(waiting).to_contain_text("139-0000-7777")
    waiting.locator("summary").click()
    waiting.locator("[name=reason]").fill("已电话答复：周五送回")
    waiting.locator("form button").click()
    expect(desk.page.locator("#lately")).to_contain_text("已电话答复：周五送回")
    desk.open(visit)
    expect(desk.page.locator("#rating")).to_contain_text("师傅很耐心")
    desk.close()

    phone.sync_now()
    phone.open(f"/visits/{visit}")
    assert "139-0000-7777" not in phone.page.content()
    assert "师傅很耐心" not in phone.page.content()
