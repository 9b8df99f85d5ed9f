"""How the pages look and what they speak, chosen on the phone."""

from __future__ import annotations

from phone import Phone
from playwright.sync_api import expect
from server import Server

DARK = "link[href='/static/display/dark.css'][media=all]"


def test_a_look_chosen_without_signal_stays(liqiang_phone: Phone, server: Server):
    phone = liqiang_phone
    phone.open("/visits")
    server.stop()
    phone.open("/visits/settings")
    phone.page.click("button[name=display][value=dark]")
    chosen = phone.page.locator("button[name=display][aria-pressed=true]")
    expect(chosen).to_have_attribute("value", "dark")
    phone.open("/visits")
    assert phone.page.locator(DARK).count() == 1
    for display in ("neon", "DARK", "../dark"):
        phone.page.evaluate(
            """(display) => fetch("/visits/display", { method: "POST",
                 body: new URLSearchParams({ display, back: "/visits" }) })""",
            display,
        )
        phone.open("/visits")
        assert phone.page.locator(DARK).count() == 1, display


def test_a_look_leads_to_no_other_site(liqiang_phone: Phone, server: Server):
    for back in ("//elsewhere.example", "https://elsewhere.example/", ""):
        went = liqiang_phone.page.evaluate(
            """async (back) => (await fetch("/visits/display", { method: "POST",
                 body: new URLSearchParams({ display: "light", back }) })).url""",
            back,
        )
        assert went == f"{server.url}/visits", back
