"""One phone, several people: nobody's work is shown, lost or sent under another name."""

from __future__ import annotations

import pytest
from phone import Phone
from playwright.sync_api import expect
from server import Server

from fieldapp.models import Device, Visit, db
from fieldapp.perform import journal_of

LIQIANG, ZHOUKAI = "liqiang", "zhoukai"


def who_sent(server: Server, visit: str) -> list[tuple[str, str]]:
    """Account of author and of the phone's owner, for each operation of a phone on the visit."""
    with server.office():
        people = {server.person(account).id: account for account in (LIQIANG, ZHOUKAI)}
        sent = []
        for row in journal_of(db.session.get_one(Visit, visit)):
            device = db.session.get(Device, row.device_id)
            if device is not None:
                sent.append((people[row.author_id], people[device.person_id]))
        return sent


@pytest.fixture
def visits(server: Server) -> dict[str, str]:
    return {account: server.visit_of(account) for account in (LIQIANG, ZHOUKAI)}


def leave_work_behind(phone: Phone, visit: str) -> None:
    """李强 writes two notes without signal and signs out."""
    phone.open(f"/visits/{visit}")
    phone.server.stop()
    phone.record(visit, "notes", text="李强的第一条")
    phone.record(visit, "notes", text="李强的第二条")
    phone.open("/visits")
    expect(phone.page.locator("#locked")).to_contain_text("还有 2 条待发送")
    expect(phone.page.locator("#locked")).to_contain_text("以您的名义锁定在本机")
    phone.page.locator("form.sign-out button").click()
    phone.page.wait_for_load_state()


def test_work_of_one_goes_out_under_his_name_while_the_other_is_signed_in(
    liqiang_phone: Phone, server: Server, visits: dict[str, str]
):
    phone = liqiang_phone
    leave_work_behind(phone, visits[LIQIANG])
    server.start()
    phone.sign_in(ZHOUKAI)
    phone.record(visits[ZHOUKAI], "notes", text="周凯的记录")
    phone.sync_now()
    phone.sees("您的记录公司均已收到")
    assert who_sent(server, visits[LIQIANG]) == [(LIQIANG, LIQIANG)] * 2
    assert who_sent(server, visits[ZHOUKAI]) == [(ZHOUKAI, ZHOUKAI)]
    phone.page.goto(f"{server.url}/visits/{visits[LIQIANG]}")
    phone.sees("您名下没有此上门任务")

    phone.context.clear_cookies()
    phone.sign_in(LIQIANG)
    phone.open(f"/visits/{visits[LIQIANG]}")
    phone.sees("李强的第二条")
    phone.waits_for_sync("2/2")
    assert who_sent(server, visits[LIQIANG]) == [(LIQIANG, LIQIANG)] * 2


def test_what_cannot_go_out_yet_waits_locked_and_only_its_number_is_told(
    liqiang_phone: Phone, server: Server, visits: dict[str, str]
):
    phone = liqiang_phone
    leave_work_behind(phone, visits[LIQIANG])
    phone.context.route("**/sync/push", lambda route: route.abort())
    server.start()
    phone.sign_in(ZHOUKAI)
    phone.record(visits[ZHOUKAI], "notes", text="周凯的记录")
    phone.sync_now()
    expect(phone.page.locator("[data-other]")).to_contain_text("李强还有 2 条留在本机待发送")
    expect(phone.page.locator("#unsent li")).to_have_count(1)
    for path in ("/visits/sync", "/visits", f"/visits/{visits[ZHOUKAI]}"):
        phone.open(path)
        expect(phone.page.locator("body")).not_to_contain_text("李强的")
    assert who_sent(server, visits[LIQIANG]) == []

    phone.context.clear_cookies()
    phone.context.unroute("**/sync/push")
    phone.sign_in(LIQIANG)
    phone.open(f"/visits/{visits[LIQIANG]}")
    phone.waits_for_sync("2/2")
    assert who_sent(server, visits[LIQIANG]) == [(LIQIANG, LIQIANG)] * 2
    assert who_sent(server, visits[ZHOUKAI]) == [(ZHOUKAI, ZHOUKAI)]


def test_locked_work_goes_out_from_the_sign_in_page(
    liqiang_phone: Phone, server: Server, visits: dict[str, str]
):
    phone = liqiang_phone
    leave_work_behind(phone, visits[LIQIANG])
    server.start()
    phone.page.goto(f"{server.url}/sign-in")
    expect(phone.page.locator("#account")).to_be_visible()
    phone.until(lambda: who_sent(server, visits[LIQIANG]) == [(LIQIANG, LIQIANG)] * 2)


def test_without_unsent_work_nothing_is_said_at_the_door(liqiang_phone: Phone):
    liqiang_phone.open("/visits")
    assert liqiang_phone.page.locator("#locked").count() == 0
    liqiang_phone.open("/visits/sync")
    assert liqiang_phone.page.locator("[data-other]").count() == 0
