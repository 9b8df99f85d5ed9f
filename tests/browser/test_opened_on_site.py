"""An engineer at the customer's opens a visit that the office knows nothing of, without signal."""

from __future__ import annotations

import re

from desk import Desk
from phone import OPENING, Phone
from playwright.sync_api import expect
from server import Server
from sqlalchemy import select

from fieldapp.models import Visit, WorkOrder, db


def open_visit(phone: Phone, **more: str) -> str:
    """Open a visit from the list; its id."""
    phone.open("/visits")
    phone.page.click("a[href='/visits/new']")
    expect(phone.page).to_have_url(re.compile("/openings$"))
    for name, value in (OPENING | more).items():
        phone.fill(name, value)
    phone.page.locator("form.entry-form button.save").click()
    expect(phone.page).to_have_url(re.compile(r"/visits/[0-9a-f-]{36}$"))
    phone.sees(OPENING["customer"])
    return phone.page.url.rsplit("/", 1)[1]


def test_it_is_worked_on_and_gets_its_number_later(liqiang_phone: Phone, server: Server):
    phone = liqiang_phone
    server.stop()
    visit = open_visit(phone)
    phone.sees("公司尚未给这次上门编工单")
    phone.record(visit, "arrivals", outcome="present")
    phone.open("/visits")
    phone.sees("新杨公路 8 号 3 号门")
    phone.sees("2 条待发送")
    phone.open(f"/visits/{visit}")
    steps = phone.page.locator("#missing .missing-item").all_inner_texts()
    assert "设备核对" in steps  # as for any repair

    server.start()
    phone.sync_now()
    expect(phone.page.locator("#unsent li")).to_have_count(0)
    with server.office():
        row = db.session.get_one(Visit, visit)
        assert (row.work_order_id, row.engineer_id) == (None, server.person("liqiang").id)
        assert row.state["flags"] == []

    desk = Desk(phone, server)
    desk.page.locator(f"a[href='/desk/visits/{visit}']").first.click()
    expect(desk.page.locator("#opening")).to_contain_text(OPENING["contact_phone"])
    with server.office():
        number = db.session.scalar(select(WorkOrder.number).order_by(WorkOrder.number.desc()))
    desk.page.fill("#order-number", "PG-0")
    desk.page.click("#opening form button")
    expect(desk.page.locator("#order-number-finding")).to_be_visible()
    desk.page.fill("#order-number", str(number))
    desk.page.click("#opening form button")
    expect(desk.page.locator("#opening")).to_have_count(0)
    desk.close()

    phone.sync_now()
    phone.open(f"/visits/{visit}")
    phone.sees(str(number))
    expect(phone.page.locator("body")).not_to_contain_text("公司尚未给这次上门编工单")
    phone.sees(OPENING["text"])


def test_what_was_typed_wrong_is_said_without_signal(liqiang_phone: Phone, server: Server):
    phone = liqiang_phone
    server.stop()
    phone.open("/visits")
    phone.page.click("a[href='/visits/new']")
    phone.fill("site", OPENING["site"])
    phone.page.locator("form.entry-form button.save").click()
    expect(phone.page.locator("#finding-customer")).to_be_visible()
    expect(phone.page.locator("[name=site]")).to_have_value(OPENING["site"])
    phone.open("/visits")
    assert phone.page.locator("a.visit", has_text="尚无工单").count() == 0


def test_a_phone_that_closes_right_after_saving_shows_the_visit_again(
    liqiang_phone: Phone, server: Server
):
    phone = liqiang_phone
    server.stop()
    visit = open_visit(phone)
    phone.page.close()
    phone.page = phone.context.new_page()
    phone.open("/visits")
    phone.page.click(f"a[href='/visits/{visit}']")
    phone.sees(OPENING["text"])
