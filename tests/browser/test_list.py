"""李强 looks for a visit among many with one thumb, without signal."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from day import Day
from phone import Phone
from playwright.sync_api import Browser, expect
from server import Server


@pytest.fixture(scope="module")
def phone(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """A phone with a day on it whose server is gone."""
    server = Server(tmp_path_factory.mktemp("list") / "instance")
    server.visits = Day(server).visits  # type: ignore[attr-defined]
    server.start()
    phone = Phone(chromium, server)
    phone.sign_in("liqiang")
    server.stop()
    yield phone
    phone.close()


def names(phone: Phone) -> list[str]:
    return phone.page.locator("#found .visit-customer").all_inner_texts()


def test_the_list_follows_while_he_types_and_the_cursor_stays(phone: Phone):
    page = phone.page
    phone.open("/visits")
    assert len(set(names(phone))) > 3
    page.locator("[name=q]").click()
    page.keyboard.type("恒达物流", delay=20)
    expect(page.locator("#found [role=status]")).to_contain_text("找到")
    assert set(names(phone)) == {"青浦恒达物流园有限公司"}
    assert page.evaluate("[document.activeElement.name, document.activeElement.selectionEnd]") == [
        "q",
        4,
    ]
    page.keyboard.type("x")
    expect(page.locator("#found .empty")).to_be_visible()
    assert names(phone) == []
    page.keyboard.press("Backspace")
    expect(page.locator("#found .visit-customer").first).to_be_visible()
    assert page.locator("[name=q]").input_value() == "恒达物流"


def test_what_he_looks_for_stands_in_the_address_and_comes_back(phone: Phone):
    page = phone.page
    phone.open("/visits")
    page.locator("label", has_text="待完成").click()
    expect(page).to_have_url(re.compile("show=finish"))
    page.locator("[name=state]").select_option("sent-back")
    expect(page).to_have_url(re.compile("state=sent-back"))
    expect(page.locator("a.visit")).to_have_count(1)
    page.locator("a.visit").click()
    expect(page.locator(".visit-head")).to_contain_text("退回")
    page.go_back()
    expect(page.locator("a.visit")).to_have_count(1)
    expect(page.locator("[name=show][value=finish]")).to_be_checked()
    expect(page.locator("[name=state]")).to_have_value("sent-back")


def test_a_serial_number_is_found_however_it_is_written(phone: Phone):
    visit = phone.server.visits["signed"]  # type: ignore[attr-defined]
    phone.open("/visits?q=ｗａｈ１００ 2309")
    found = phone.page.locator("a.visit").evaluate_all("(all) => all.map((each) => each.pathname)")
    assert f"/visits/{visit}" in found
    assert len(found) == 2
    phone.open("/visits?q=wah1002310")
    assert names(phone) == []
