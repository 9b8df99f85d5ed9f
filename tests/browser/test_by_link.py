"""王丽 is not there: 李强 asks for her signature from the cellar, and she gives it on her own phone."""

from __future__ import annotations

import re

from day import Day
from desk import Desk
from phone import Phone, draw_on
from playwright.sync_api import Page, expect
from server import Server
from visitor import look_until, scanned


def test_a_signature_asked_for_without_signal_is_given_on_another_phone(
    server: Server, liqiang_phone: Phone, visitor: Page
):
    phone, visit = liqiang_phone, Day(server).visits["ready"]
    phone.sync_now()
    phone.open(f"/visits/{visit}")
    server.stop()
    phone.page.locator(".sheet > summary").click()
    phone.page.get_by_role("link", name="客户通过链接签字").click()
    expect(phone.page.locator("[name=name]")).not_to_have_value("")  # the contact's, to begin with
    phone.fill("name", "王丽")
    phone.fill("role", "contact")
    phone.save(visit)
    link = scanned(phone.page)
    assert link.startswith(f"{server.url}/sign/{visit}/")
    assert phone.page.locator(".link .serial").inner_text() == link
    expect(phone.page.locator("#steps")).to_contain_text("已发链接")
    expect(phone.page.locator(".next")).to_contain_text("离场")  # nothing more keeps him here
    phone.record(visit, "leavings")

    server.start()
    phone.sync_now()
    look_until(visitor, link, "请核对")
    expect(visitor.locator("main")).to_contain_text("Glass-break detector")
    visitor.get_by_role("button", name="签字").click()
    expect(visitor.locator(".finding").first).to_be_visible()  # nothing was drawn
    expect(visitor.locator("[name=name]")).to_have_value("王丽")
    draw_on(visitor)
    visitor.fill("[name=opinion]", "已看过，没有问题")
    visitor.get_by_role("button", name="签字").click()
    expect(visitor.locator("h1")).to_have_text("谢谢")
    visitor.reload()
    expect(visitor.locator("canvas")).to_have_count(0)  # a link serves once
    papers = visitor.locator("a", has_text="您的页面").get_attribute("href")
    assert papers is not None
    look_until(visitor, server.url + papers, "此工单已登记")
    expect(visitor.locator("#facts")).to_contain_text("王丽")

    phone.sync_now()
    phone.open(f"/visits/{visit}")
    expect(phone.page.locator("#entries")).to_contain_text("已看过，没有问题")
    expect(phone.page.locator(".qr")).to_have_count(0)
    desk = Desk(phone, server)
    desk.open(visit)
    expect(desk.page.locator("main")).to_contain_text("通过链接，在自己的设备上")
    expect(desk.page.locator("main")).to_contain_text("公司所存与签字内容一致")
    desk.close()


def test_the_link_is_sent_by_what_the_phone_sends_things_with(server: Server, liqiang_phone: Phone):
    phone, visit = liqiang_phone, Day(server).visits["ready"]
    phone.page.add_init_script("navigator.share = async (told) => { window.shared = told.url }")
    phone.sync_now()
    phone.record(visit, "signature-requests", name="王丽", role="contact")
    phone.page.get_by_role("button", name="发送链接").click()
    assert re.match(f"{server.url}/sign/{visit}/[0-9a-f]{{32}}$", phone.page.evaluate("shared"))


def test_where_nothing_sends_the_link_is_copied(server: Server, liqiang_phone: Phone):
    phone, visit = liqiang_phone, Day(server).visits["ready"]
    phone.page.add_init_script("delete Navigator.prototype.share")
    phone.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    phone.sync_now()
    phone.record(visit, "signature-requests", name="王丽", role="contact")
    phone.page.get_by_role("button", name="发送链接").click()
    phone.sees("链接已复制")
    held = phone.page.evaluate("navigator.clipboard.readText()")
    assert held == phone.page.locator(".link .serial").inner_text()


def test_a_link_that_cannot_be_copied_is_to_be_read(server: Server, liqiang_phone: Phone):
    phone, visit = liqiang_phone, Day(server).visits["ready"]
    phone.page.add_init_script(
        "delete Navigator.prototype.share; Clipboard.prototype.writeText = () => Promise.reject(new Error())"
    )
    phone.sync_now()
    phone.record(visit, "signature-requests", name="王丽", role="contact")
    phone.page.get_by_role("button", name="发送链接").click()
    phone.sees("链接无法复制")
