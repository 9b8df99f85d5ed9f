"""A serial number is put right after the signature, without signal: 王丽 is asked to sign again."""

from __future__ import annotations

from day import Day
from phone import Phone
from playwright.sync_api import expect
from server import Server
from sqlalchemy import select

from fieldapp.models import Visit, db

MARK = "签字后有改动"


def test_who_changes_what_was_signed_is_asked_for_the_signature_again(
    server: Server, liqiang_phone: Phone
):
    phone, visit = liqiang_phone, Day(server).visits["ready"]
    page, next_is = phone.page, f".next-bar .next[href='/visits/{visit}/signatures']"
    phone.sync_now()
    phone.open("/visits")
    server.stop()

    phone.sign(visit, "王丽")
    expect(page.locator(next_is)).to_have_count(0)
    expect(page.locator("#changed")).to_have_count(0)
    phone.record(visit, "notes", text="钥匙已交还保安室")
    expect(page.locator("#changed")).to_have_count(0)

    page.locator("article", has_text="BAT-2606-0812").get_by_text("更正").click()
    phone.fill("installed_serial", "BAT-2606-0813")
    phone.save(visit)
    expect(page.locator("#changed")).to_contain_text("装上件序列号")
    expect(page.locator(next_is)).to_be_visible()

    phone.sign(visit, "王丽")
    expect(page.locator("#changed")).to_have_count(0)
    expect(page.locator(next_is)).to_have_count(0)
    phone.record(visit, "diagnoses", text="蓄电池与充电电路均已老化。")
    expect(page.locator("#changed")).to_contain_text(MARK)
    mine = page.locator("#changed").inner_text()

    server.start()
    phone.sync_now()
    phone.open(f"/visits/{visit}")
    assert page.locator("#changed").inner_text() == mine
    with server.office():
        found = db.session.scalars(select(Visit).where(Visit.id == visit)).one()
        assert found.is_changed
        assert found.state["visit"]["changes"] == [
            {"kind": "diagnosis", "entry": "", "field": "text"}
        ]
        assert [entry["verdict"] for entry in found.state["signatures"]] == ["verified"] * 2
