"""王丽 agrees to a price before the part is moved; then two people sign, all without signal."""

from __future__ import annotations

import pymupdf
from day import Day
from phone import Phone
from playwright.sync_api import expect
from server import Server
from sqlalchemy import select

from fieldapp.models import Report, Visit, db
from fieldapp.reports import read_paper

SEAL_SECONDS = 90


def test_a_price_is_agreed_to_before_the_part_and_two_people_sign(
    server: Server, liqiang_phone: Phone
):
    phone, visit = liqiang_phone, Day(server).visits["ready"]
    phone.sync_now()
    phone.open("/visits")
    server.stop()

    phone.open(f"/visits/{visit}/consents")
    expect(phone.page.locator("main a[href$='/quotes']")).to_be_visible()
    phone.record(visit, "quotes", text="更换电源模块", amount="680.5", warranty_text="三个月")
    phone.open(f"/visits/{visit}/consents")
    expect(phone.page.locator(".quote .amount")).to_have_text("¥680.50")
    phone.fill("decision", "accepts")
    phone.fill("name", "王丽")
    phone.draw()
    phone.save(visit)
    phone.record(
        visit,
        "swaps",
        part_name="电源模块",
        removed_serial="PSU-1",
        installed_serial="PSU-2",
        fate="company",
    )
    phone.record(
        visit, "charges", category="material", text="电源模块", quantity="2", unit_price="340.25"
    )
    expect(phone.page.locator(".total .amount")).to_have_text("¥680.50")

    page = phone.page
    phone.open(f"/visits/{visit}/signatures")
    expect(page.locator(".total .amount")).to_have_text("¥680.50")
    for name, role in (("赵敏", "guard"), ("王丽", "contact")):
        phone.fill("name", name)
        phone.fill("role", role)
        phone.draw()
        page.locator("form.entry-form button.save").click()
        expect(page.locator("#thanks")).to_contain_text(name)
        expect(page.locator("form.sign-form")).to_have_count(0)
        if role == "guard":
            page.locator("a[href$='?list=more']").click()
    expect(page.locator("#thanks")).to_contain_text("赵敏")
    phone.leave_the_handover(visit)

    server.start()
    phone.sync_now()
    with server.office():
        state = db.session.get_one(Visit, visit).state
    assert [entry["value"]["name"] for entry in state["signatures"]] == ["赵敏", "王丽"]
    assert {entry["verdict"] for entry in state["signatures"]} == {"verified"}
    assert [flag for flag in state["flags"] if flag["code"].startswith("consent.")] == []
    phone.until(lambda: bool(papers_of(server, visit)), SEAL_SECONDS)
    text = text_of(server, papers_of(server, visit)[-1])
    for words in ("¥680.50", "Agrees to the quotation", "赵敏", "电源模块", "Together"):
        assert words in text


def papers_of(server: Server, visit: str) -> list[Report]:
    """The dispatch orders sealed so far, the oldest first."""
    with server.office():
        found = select(Report).where(Report.visit_id == visit, Report.name == "dispatch-order")
        return list(db.session.scalars(found.order_by(Report.revision)))


def text_of(server: Server, paper: Report) -> str:
    with server.office():
        pdf = read_paper(paper)
    with pymupdf.open(stream=pdf) as document:
        return "".join(page.get_text() for page in document)
