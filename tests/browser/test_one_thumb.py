"""李强 works with one thumb: the next step, the way, numbers, phrases and moments without typing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from day import ENGINEER, Day
from phone import Phone
from playwright.sync_api import Browser, expect
from server import Server

ADDRESS = "上海市黄浦区外马路318号"
HOSTILE = '1 Quay Rd & <b>"x"</b>\'#?a=b/../%20é'
PHRASE = "接线端子松动、氧化"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """One server for all of them."""
    server = Server(tmp_path_factory.mktemp("thumb") / "instance")
    day = Day(server)
    server.start()
    yield day
    server.stop()


@pytest.fixture
def phone(chromium: Browser, day: Day) -> Iterator[Phone]:
    """A phone that has never been used."""
    phone = Phone(chromium, day.server)
    phone.sign_in(ENGINEER)
    yield phone
    phone.close()


def test_from_one_button_to_the_next(phone: Phone, day: Day):
    page, visit = phone.page, day.visits["planned"]
    phone.open(f"/visits/{visit}")
    expect(page.locator(".next")).to_have_text("出发")
    box = page.locator(".next").bounding_box()
    assert box is not None
    assert box["y"] > 844 * 2 / 3  # where the thumb is, however long the page
    assert box["height"] >= 56
    page.locator(".next").click()
    page.locator("label", has_text="30 分钟后").click()
    phone.fill("told_name", "王丽")
    phone.fill("told_by", "phone")
    before = int(datetime.now(UTC).timestamp())
    phone.save(visit)
    after = int(datetime.now(UTC).timestamp())
    row = phone.outbox(ENGINEER)[-1]["body"]
    eta = datetime.fromisoformat(row["value"]["eta_at"]).timestamp()
    assert before + 1800 <= eta <= after + 1800
    expect(page.locator(".next")).to_have_text("到达签到")
    page.locator(".sheet > summary").click()
    expect(page.locator(".sheet-body")).to_be_visible()
    page.mouse.click(200, 60)  # beside the sheet
    expect(page.locator(".sheet-body")).to_be_hidden()
    page.locator(".sheet > summary").click()
    page.locator(".sheet-body").get_by_text("现场记录").click()
    phone.fill("text", "保安室登记")
    phone.save(visit)
    expect(page.locator(".sheet-body")).to_be_hidden()


def test_the_way_is_one_tap_from_the_second_time_on(phone: Phone, day: Day):
    page = phone.page
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    phone.open(f"/visits/{day.visits['on-site']}")
    expect(page.locator("[data-map-go]")).to_be_hidden()
    page.locator(".maps summary").click()
    links = {
        link.get_attribute("data-map"): link.get_attribute("href") or ""
        for link in page.locator("[data-map]").all()
    }
    assert set(links) == {"geo", "apple", "amap", "baidu", "tencent", "google", "osm"}
    for href in links.values():
        assert ADDRESS in [
            text for texts in parse_qs(urlsplit(href).query).values() for text in texts
        ]
    expect(page.locator("[data-map=apple]")).to_be_hidden()  # this phone is none of Apple's
    assert [url for url in asked if not url.startswith(day.server.url)] == []
    page.context.route(re.compile("amap.com"), lambda route: route.fulfill(body="map"))
    with page.context.expect_page() as opened:
        page.locator("[data-map=amap]").click()
    assert opened.value.url == links["amap"]
    opened.value.close()
    phone.open(f"/visits/{day.visits['planned']}")
    expect(page.locator("[data-map-go]")).to_contain_text("高德地图")
    with page.context.expect_page() as opened:
        page.locator("[data-map-go]").click()
    assert opened.value.url.startswith("https://uri.amap.com/search?keyword=%E4")


def test_a_hostile_address_stays_an_address(phone: Phone):
    page = phone.page
    phone.open("/visits/new")
    for name, value in {
        "customer": "临港冷库", "site": HOSTILE, "contact_name": "王丽", "job_type": "repair",
        "text": "警号长鸣",
    }.items():  # fmt: skip
        phone.fill(name, value)
    page.locator("form.entry-form button.save").click()
    expect(page.locator(".visit-head")).to_be_visible()
    for link in page.locator("[data-map]").all():
        parts = urlsplit(link.get_attribute("href") or "")
        assert parts.fragment == ""
        assert HOSTILE in [text for texts in parse_qs(parts.query).values() for text in texts]
        assert parts.scheme in ("geo", "https")
    assert page.locator("main b").count() == 0


def test_a_number_is_copied_and_that_is_said(phone: Phone, day: Day):
    page = phone.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=day.server.url)
    phone.open(f"/visits/{day.visits['on-site']}")
    page.locator(".visit-head .copy").click()
    expect(page.locator("[data-said]")).to_contain_text("已复制： PG-")
    number = page.locator(".visit-head .number").inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == number


def test_what_cannot_be_copied_is_selected(phone: Phone, day: Day):
    page = phone.page
    phone.open(f"/visits/{day.visits['on-site']}")
    page.evaluate(
        """() => {
          navigator.clipboard.writeText = () => Promise.reject(new Error("no"))
          document.execCommand = () => false
        }"""
    )
    page.locator(".visit-head .copy").click()
    expect(page.locator("[data-said]")).to_contain_text("文字已选中")
    selected = page.evaluate("getSelection().toString()")
    assert selected == page.locator(".visit-head .number").inner_text()


def test_a_phrase_is_added_where_the_cursor_is_and_comes_first_the_next_time(
    phone: Phone, day: Day
):
    page, visit = phone.page, day.visits["on-site"]
    phone.open(f"/visits/{visit}/diagnoses")
    text = page.locator("[name=text]")
    first = page.locator(".phrase").first.inner_text()
    assert first != PHRASE
    text.fill("前面后面")
    text.evaluate("(field) => field.setSelectionRange(2, 2)")
    page.locator(".phrase", has_text=PHRASE).click()
    expect(text).to_have_value(f"前面；{PHRASE}后面")
    page.locator(".phrase").first.click()
    expect(text).to_have_value(f"前面；{PHRASE}；{first}后面")
    text.fill("x" * 3995)
    page.locator(".phrase", has_text=PHRASE).click()
    expect(text).to_have_value("x" * 3995)
    expect(page.locator("[data-said]")).to_contain_text("放不下")
    text.fill(PHRASE)
    phone.fill("cause", "product")
    phone.fill("repair", "on-site")
    phone.save(visit)
    phone.open(f"/visits/{day.visits['planned']}/diagnoses")
    expect(page.locator(".phrase").first).to_have_text(PHRASE)
    assert page.locator(".phrase", has_text=PHRASE).count() == 1
    page.locator(".phrase").first.click()  # nobody touched the field: at its end
    expect(page.locator("[name=text]")).to_have_value(PHRASE)


def test_what_he_wrote_is_forgotten_when_he_signs_out(phone: Phone, day: Day):
    page, visit = phone.page, day.visits["on-site"]
    phone.record(visit, "measures", text="换保险")
    kept = "Object.entries(localStorage).filter(([name]) => name.startsWith('recent')).map(([, text]) => text)"
    assert ["换保险" in text for text in page.evaluate(kept)] == [True]
    phone.open("/visits")
    page.locator(".sign-out button").click()
    page.wait_for_url("**/sign-in")
    assert page.evaluate(kept) == []


def test_parts_he_used_lately_stand_before_the_vans(phone: Phone, day: Day):
    page, visit = phone.page, day.visits["on-site"]
    phone.open(f"/visits/{visit}/swaps")
    van = page.locator("[data-recent='swap/part_name'] .phrase").all_inner_texts()
    assert len(van) > 1
    name = page.locator("[name=part_name]")
    last = page.locator("[data-recent='swap/part_name'] .phrase").last
    part = last.get_attribute("data-phrase") or ""
    name.fill("别的")
    last.click()
    expect(name).to_have_value(part)  # one part is chosen, not added
    page.locator("[data-phrases=field-removed_serial] .phrase").click()
    expect(page.locator("[name=removed_serial]")).not_to_have_value("")
    phone.fill("installed_serial", "BAT-1")
    phone.fill("fate", "scrap")
    phone.save(visit)
    phone.open(f"/visits/{visit}/swaps")
    first = page.locator("[data-recent='swap/part_name'] .phrase").first
    assert first.get_attribute("data-phrase") == part


def test_the_clock_is_asked_for_only_when_now_is_wrong(phone: Phone, day: Day):
    page, visit = phone.page, day.visits["on-site"]
    phone.open(f"/visits/{visit}/measures")
    typed = page.locator("[type=datetime-local]")
    expect(typed).to_be_hidden()
    expect(page.locator("[name=completed_at][value=now]")).to_be_checked()
    phone.fill("text", "换保险")
    page.reload()  # the draft comes back with the choice
    expect(page.locator("[name=text]")).to_have_value("换保险")
    expect(page.locator("[name=completed_at][value=now]")).to_be_checked()
    expect(typed).to_be_hidden()
    page.locator("label", has_text="其他时间").click()
    page.locator("form.entry-form button.save").click()
    expect(page.locator("#finding-completed_at")).to_be_visible()  # said, and nothing lost
    expect(page.locator("[name=text]")).to_have_value("换保险")
    phone.fill("completed_at", "2026-03-10T11:55")
    page.reload()
    expect(typed).to_be_visible()
    phone.fill("completed_at", "2026-03-10T11:55")
    phone.save(visit)
    row = phone.outbox(ENGINEER)[-1]["body"]
    assert row["value"]["completed_at"] == "2026-03-10T03:55:00Z"
