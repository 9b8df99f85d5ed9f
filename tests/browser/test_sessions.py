"""An expired session, a revoked phone, a locked phone: work goes on, nothing is lost or shown."""

from __future__ import annotations

from datetime import UTC, datetime

from phone import Phone
from playwright.sync_api import expect
from server import Server
from sqlalchemy import select

from fieldapp.models import Device, Visit, db


def test_work_and_push_go_on_when_the_session_has_expired(liqiang_phone: Phone, server: Server):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.context.clear_cookies()
    phone.record(visit, "arrivals", outcome="present")
    phone.waits_for_sync("1/1")
    phone.sees("重新登录前收不到公司的新内容")
    assert server.journal_kinds(visit, "liqiang") == ["arrival"]

    phone.sign_in("liqiang")
    phone.open(f"/visits/{visit}")
    expect(phone.page.locator("body")).not_to_contain_text("重新登录前")
    with server.office():
        assert len(db.session.scalars(select(Device)).all()) == 1  # no second enrolment


def test_a_revoked_phone_is_told_and_what_it_holds_is_kept_with_a_flag(
    liqiang_phone: Phone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}/notes")
    phone.page.fill("[name=text]", "最后一条记录")
    with server.office():
        db.session.scalars(select(Device)).one().revoked_at = datetime.now(UTC)
        db.session.commit()
    phone.page.click("form.entry-form button.save")
    phone.page.wait_for_url("**/visits/revoked")
    phone.sees("没有待上传的内容")
    with server.office():
        flags = db.session.get_one(Visit, visit).state["flags"]
        assert [flag["code"] for flag in flags] == ["device.revoked"]


def test_a_phone_signed_out_without_signal_shows_nothing_and_loses_nothing(
    liqiang_phone: Phone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}")
    server.stop()
    phone.record(visit, "notes", text="离线记录")
    phone.open("/visits")
    phone.page.locator("form.sign-out button").click()
    phone.page.wait_for_timeout(500)
    response = phone.page.goto(f"{server.url}/visits/{visit}")
    assert response is not None
    assert response.status == 401
    expect(phone.page.locator("body")).not_to_contain_text("离线记录")

    server.start()
    phone.sign_in("liqiang")
    phone.open(f"/visits/{visit}")
    phone.waits_for_sync("1/1")
    assert server.journal_kinds(visit, "liqiang") == ["note"]


def test_a_wrong_entry_and_a_wrong_noun_get_a_page_on_the_phone(
    liqiang_phone: Phone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.record(visit, "notes", text="试")
    for address in ("voids?entry=nobody", "corrections?entry=nobody", "no-such-noun"):
        phone.open(f"/visits/{visit}/{address}")
        assert phone.page.locator("h1").count() == 1
        assert "遇到问题" in phone.page.inner_text("h1")
