"""Whose value lost at the desk is told on his phone, and nobody else is."""

from __future__ import annotations

from datetime import UTC, datetime

from phone import Phone
from playwright.sync_api import Browser, expect
from server import Server

from fieldapp.models import Visit, db
from fieldapp.perform import unit


def quarrel(server: Server, visit: str) -> None:
    """周凯 wrote another diagnosis without having seen 李强's; 陈经理 decided for 周凯."""
    with server.office():
        zhoukai, chen = server.person("zhoukai"), server.person("chen")
        with unit(chen.org_id, datetime.now(UTC)) as office:
            office.perform("diagnosis", visit, zhoukai, {"text": "主板故障"}, {})
        with unit(chen.org_id, datetime.now(UTC)) as office:
            office.perform("resolution", visit, chen, {"diagnosis/text": "主板故障"})


def test_the_engineer_whose_value_lost_reads_both(liqiang_phone: Phone, server: Server):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.record(visit, "diagnoses", text="电源板烧毁", cause="product", repair="factory")
    phone.waits_for_sync("1/1")
    quarrel(server, visit)
    phone.sync_now()
    phone.open(f"/visits/{visit}")
    told = phone.page.locator("[data-over]")
    expect(told).to_have_count(1)
    expect(told).to_contain_text("公司采用了“主板故障”，未采用您的“电源板烧毁”")
    # Also with something of his own on top that is not sent yet.
    server.stop()
    phone.record(visit, "notes", text="已知悉")
    expect(told).to_have_count(1)


def test_who_won_and_who_wrote_nothing_are_told_nothing(
    liqiang_phone: Phone, chromium: Browser, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    with server.office():
        chen = server.person("chen")
        with unit(chen.org_id, datetime.now(UTC)) as office:
            office.perform("diagnosis", visit, chen, {"text": "电源板烧毁"}, {})
    quarrel(server, visit)
    with server.office():
        chen, zhoukai = server.person("chen"), server.person("zhoukai")
        engineers = {"engineer": server.person("liqiang").id, "helpers": [zhoukai.id]}
        with unit(chen.org_id, datetime.now(UTC)) as office:
            office.perform("assignment", visit, chen, engineers)
        sides = db.session.get_one(Visit, visit).state["fields"]["diagnosis/text"]["sides"]
        assert [lost["value"] for lost in sides[0]["over"]] == ["电源板烧毁"]
    phone.sync_now()
    phone.open(f"/visits/{visit}")
    phone.sees("主板故障")
    assert phone.page.locator("[data-over]").count() == 0
    other = Phone(chromium, server)
    other.sign_in("zhoukai")
    other.open(f"/visits/{visit}")
    other.sees("主板故障")
    assert other.page.locator("[data-over]").count() == 0
    other.close()
