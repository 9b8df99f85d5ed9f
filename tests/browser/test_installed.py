"""On the home screen: what a phone is offered, what it is told, and how a new version comes."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import icons
import pytest
from phone import SIZE, Phone, draw_on
from PIL import Image, ImageChops
from playwright.sync_api import Browser, BrowserContext, Page, expect
from server import Server

MARK = """async () => {
  window.here = true
  window.before = (await navigator.serviceWorker.getRegistration()).active
}"""
IS_MARKED = "window.here === true"
UPDATE = "navigator.serviceWorker.getRegistration().then((each) => each.update())"
WAITING = "async () => Boolean((await navigator.serviceWorker.getRegistration()).waiting)"
FETCHED = """async () => {
  const { waiting, active } = await navigator.serviceWorker.getRegistration()
  return Boolean(waiting) || active !== window.before
}"""
NEWEST = """async () => {
  const { installing, waiting, active } = await navigator.serviceWorker.getRegistration()
  return !installing && !waiting && active.state === "activated"
}"""
OFFER = """(outcome) => {
  const offer = new Event("beforeinstallprompt", { cancelable: true })
  offer.prompt = async () => ({ outcome })
  dispatchEvent(offer)
  return offer.defaultPrevented
}"""
"""What a browser says when it could install; a headless one never does by itself."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the module."""
    server = Server(tmp_path_factory.mktemp("installed") / "instance")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def phone(chromium: Browser, office: Server) -> Iterator[Phone]:
    """李强's phone, in a tab."""
    phone = Phone(chromium, office)
    phone.sign_in("liqiang")
    yield phone
    phone.close()


@pytest.fixture
def stranger(chromium: Browser) -> Iterator[Page]:
    """A browser that nobody signed in to before."""
    context = chromium.new_context(viewport=SIZE, locale="zh-CN")
    yield context.new_page()
    context.close()


def sign_in(page: Page, office: Server) -> None:
    page.goto(f"{office.url}/sign-in")
    page.fill("#account", "liqiang")
    page.fill("#password", office.accounts["liqiang"].password)
    page.click("main button")


@pytest.fixture
def app(chromium: Browser, office: Server, tmp_path: Path) -> Iterator[Page]:
    """The sign-in page in a window of its own, as from an icon."""
    opened: BrowserContext = chromium.browser_type.launch_persistent_context(
        tmp_path,
        executable_path=shutil.which("chromium"),
        args=["--no-sandbox", "--disable-gpu", f"--app={office.url}/sign-in"],
        no_viewport=True,
    )
    yield opened.pages[0]
    opened.close()


# ------------------------------------------------------------------------------- what is installed


def test_the_browser_finds_nothing_that_keeps_the_app_from_being_installed(
    app: Page, office: Server
):
    sign_in(app, office)
    app.wait_for_url("**/visits")  # an installed app is not told to install itself
    browser = app.context.new_cdp_session(app)
    assert browser.send("Page.getInstallabilityErrors") == {"installabilityErrors": []}
    assert browser.send("Page.getAppManifest")["errors"] == []
    assert browser.send("Page.getAppId")["appId"] == f"{office.url}/visits"
    expect(app.locator("h1")).to_be_visible()
    assert not app.locator("a[href='/visits/install']").is_visible()
    app.goto(f"{office.url}/visits/install")
    expect(app.locator("#installed")).to_be_visible()
    for guide in app.locator("[data-platform]").all():
        assert not guide.is_visible()


def test_it_starts_without_signal_and_without_a_session(phone: Phone, office: Server):
    manifest = phone.page.evaluate("fetch('/app.webmanifest').then((answer) => answer.json())")
    starts = [manifest["start_url"], *(each["url"] for each in manifest["shortcuts"])]
    phone.context.clear_cookies()
    phone.page.goto("about:blank")
    office.stop()
    try:
        for path in starts:
            phone.open(path)
            assert "/sign-in" not in phone.page.url
            expect(phone.page.locator("h1")).to_be_visible()
        assert len({*starts}) == 3
        phone.open("/visits/install")
        expect(phone.page.locator("[data-platform]")).to_have_count(4)
    finally:
        office.start()


@pytest.mark.parametrize("name", icons.ICONS)
def test_a_picture_is_the_drawing_and_stays_whole_when_it_is_cut(name: str, chromium: Browser):
    width, scale = icons.ICONS[name]
    kept = (icons.FOLDER / name).read_bytes()
    picture = Image.open(io.BytesIO(kept)).convert("RGB")
    drawn = Image.open(io.BytesIO(icons.draw(chromium, width, scale))).convert("RGB")
    assert picture.size == (width, width)
    off = ImageChops.difference(picture, drawn).convert("L").histogram()
    assert sum(off[48:]) < width, "draw it anew: python tests/browser/icons.py"
    ground = picture.getpixel((0, 0))
    assert picture.getpixel((width - 1, width - 1)) == ground
    if name.startswith("maskable"):
        box = ImageChops.difference(picture, Image.new("RGB", picture.size, ground)).getbbox()
        assert box is not None
        reach = max(abs(x - width / 2) ** 2 + abs(y - width / 2) ** 2
                    for x in box[::2] for y in box[1::2])  # fmt: skip
        assert reach**0.5 < 0.4 * width


# ------------------------------------------------------------------------------------ what is told


def test_a_new_phone_is_shown_once_how_to_install_and_may_go_on(stranger: Page, office: Server):
    sign_in(stranger, office)
    stranger.wait_for_url("**/visits/install", timeout=30_000)
    stranger.locator(".save-bar a").click()
    expect(stranger).to_have_url(re.compile("/visits$"))
    stranger.locator("a[href='/visits/install']").click()
    expect(stranger.locator("[data-platform]")).to_have_count(4)
    stranger.locator(".sync a").click()
    stranger.locator("#storage a").click()
    expect(stranger.locator("[data-platform]")).to_have_count(4)
    stranger.goto(f"{office.url}/visits")
    stranger.locator("form.sign-out button").click()
    stranger.wait_for_url("**/sign-in")
    sign_in(stranger, office)
    stranger.wait_for_url("**/visits", timeout=30_000)


def test_without_scripts_every_way_is_open(chromium: Browser, office: Server):
    context = chromium.new_context(java_script_enabled=False, locale="en")
    page = context.new_page()
    sign_in(page, office)
    page.goto(f"{office.url}/visits/install")
    expect(page.locator("details[open]")).to_have_count(4)
    assert not page.locator("[data-install-ask]").is_visible()
    assert not page.locator("[data-storage-ask]").is_visible()
    assert not page.locator("#installed").is_visible()
    context.close()


IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 14; 2211133C) AppleWebKit/537.36 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
BROWSERS = [
    (f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1", 5, "ios"),
    (f"{IPHONE} CriOS/140.0 Mobile/15E148 Safari/604.1", 5, "ios"),
    (f"{MAC} Version/18.5 Safari/605.1.15", 5, "ios"),  # an iPad says that it is a Mac
    (f"{MAC} Version/18.5 Safari/605.1.15", 0, "desktop"),
    (f"{IPHONE} Mobile/15E148 MicroMessenger/8.0.50 NetType/WIFI Language/zh_CN", 5, "in-app"),
    (f"{IPHONE} Mobile/15E148", 5, "in-app"),
    (f"{ANDROID} Chrome/140.0.0.0 Mobile Safari/537.36", 5, "android"),
    (f"{ANDROID} Chrome/140.0.0.0 Mobile Safari/537.36 EdgA/140.0", 5, "android"),
    (f"{ANDROID} Version/4.0 Chrome/120.0 Mobile Safari/537.36 MiuiBrowser/19.2", 5, "android"),
    ("Mozilla/5.0 (Phone; OpenHarmony 5.0; HarmonyOS 5.0) ArkWeb/4.1 Mobile", 5, "android"),
    (f"{ANDROID} Version/4.0 Chrome/130.0 Mobile Safari/537.36; wv)", 5, "in-app"),
    (f"{ANDROID} Version/4.0 Chrome/116.0 MMWEBID/1 MicroMessenger/8.0 Weixin", 5, "in-app"),
    (f"{ANDROID} Chrome/120.0 Mobile Safari/537.36 AliApp(DingTalk/7.6)", 5, "in-app"),
    (f"{ANDROID} Chrome/120.0 MQQBrowser/6.2 Mobile Safari/537.36 V1_AND QQ/9.0.1", 5, "in-app"),
    (f"{ANDROID} Chrome/120.0 MQQBrowser/15.0 Mobile Safari/537.36", 5, "android"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36 Edg/140", 0, "desktop"),
]  # fmt: skip


def test_the_way_of_each_browser(module_page: Page):
    found = module_page.evaluate(
        """async (browsers) => {
          const { platformOf } = await import("/page/install.js")
          return browsers.map(([userAgent, maxTouchPoints]) => platformOf({ userAgent, maxTouchPoints }))
        }""",
        BROWSERS,
    )
    assert [(*browser[:2], way) for browser, way in zip(BROWSERS, found, strict=True)] == BROWSERS


def test_the_way_of_this_browser_is_open_and_stays_as_its_reader_left_it(phone: Phone):
    phone.open("/visits/install")
    opened = phone.page.locator("details[open]")
    expect(opened).to_have_count(1)
    expect(opened).to_have_attribute("data-platform", "desktop")
    phone.page.locator("[data-platform=ios] summary").click()
    phone.page.evaluate("dispatchEvent(new Event('beforeinstallprompt'))")
    expect(opened).to_have_count(2)


@pytest.mark.parametrize(
    ("outcome", "said"), [("accepted", "已安装"), ("dismissed", "这次没有安装")]
)
def test_the_browsers_offer_becomes_a_button_for_one_tap(phone: Phone, outcome: str, said: str):
    page = phone.page
    phone.open("/visits")
    assert page.evaluate(OFFER, outcome), "the browser's own bar does not come as well"
    page.locator("a[href='/visits/install']").click()  # by htmx: the offer is still the same page's
    button = page.locator("[data-install-ask]")
    button.click()
    expect(page.locator("[data-install-said]")).to_contain_text(said)
    expect(button).to_be_hidden()


def test_the_browser_is_asked_to_keep_the_storage_and_its_answer_is_said(app: Page, office: Server):
    said, button = app.locator("[data-storage-said]"), app.locator("[data-storage-ask]")
    sign_in(app, office)
    app.wait_for_url("**/visits", timeout=30_000)
    app.goto(f"{office.url}/visits/install")
    expect(button).to_be_visible()
    expect(said).to_contain_text(re.compile("可能会清空|may empty it"))
    button.click()
    expect(said).to_contain_text(re.compile("还没答应|No promise yet"))
    expect(button).to_be_visible()
    grant: Any = {"origin": office.url, "permissions": ["durableStorage"]}
    app.context.new_cdp_session(app).send("Browser.grantPermissions", grant)
    button.click()
    expect(said).to_contain_text(re.compile("已承诺|has promised"))
    expect(button).to_be_hidden()


# --------------------------------------------------------------------------------- a new version


def publish(phone: Phone, version: str) -> None:
    """Another build of the worker is at the office, and this phone looks for it."""
    phone.page.evaluate(MARK)
    phone.server.stop()
    phone.server.start(version=version)
    phone.page.evaluate(UPDATE)


def let_in(phone: Phone, path: str) -> None:
    """The new version comes in by itself, and answers ``path``.

    Chromium lets the old worker finish what it has begun, for minutes if need be: no page holds it.
    """

    def is_newest() -> bool:
        phone.page.goto("about:blank")
        phone.open(path)
        return bool(phone.page.evaluate(NEWEST))

    phone.until(is_newest, 120)


def look(phone: Phone) -> None:
    """What the page does every minute and whenever signal comes back."""
    phone.page.evaluate("dispatchEvent(new Event('online'))")


def test_an_idle_page_lets_the_new_version_in_and_stays_as_it_is(phone: Phone, office: Server):
    phone.open("/visits")
    publish(phone, "97.0")
    phone.until(lambda: bool(phone.page.evaluate(FETCHED)), 60)
    look(phone)
    assert phone.page.evaluate(IS_MARKED), "nothing was loaded anew"
    expect(phone.page.locator("[data-new-version]")).to_be_hidden()
    let_in(phone, "/visits")
    phone.record(office.visit_of("liqiang", 1), "notes", text="新版本")
    assert phone.outbox("liqiang")[-1]["body"]["app"] == "97.0"


def test_a_half_typed_form_is_said_to_hold_the_new_version_until_it_is_saved(
    phone: Phone, office: Server
):
    page, visit = phone.page, office.visit_of("liqiang", 1)
    line = page.locator("[data-new-version]")
    phone.open(f"/visits/{visit}/notes")
    expect(line).to_be_hidden()
    phone.fill("text", "写到一半")
    publish(phone, "98.0")
    expect(line).to_be_visible()
    expect(line).to_contain_text("保存后启用")
    look(phone)
    assert page.evaluate(WAITING)
    assert page.evaluate(IS_MARKED)
    assert page.locator("[name=text]").input_value() == "写到一半"
    phone.save(visit)
    expect(line).to_be_hidden()
    assert page.evaluate(IS_MARKED), "saving swapped the page, nothing loaded it anew"
    let_in(phone, f"/visits/{visit}")
    assert [row["body"]["value"]["text"] for row in phone.outbox("liqiang")][-1:] == ["写到一半"]


def test_a_signature_that_is_drawn_holds_the_new_version_and_keeps_its_strokes(
    phone: Phone, office: Server
):
    page, visit = phone.page, office.visit_of("liqiang", 2)
    phone.open(f"/visits/{visit}/refusals")
    phone.open(f"/visits/{visit}/consents")
    pads = page.locator("[data-pad] canvas")
    expect(pads).to_be_visible()
    draw_on(page)
    strokes = page.locator("[name=strokes]").input_value()
    assert strokes
    publish(phone, "99.0")
    phone.until(lambda: bool(page.evaluate(WAITING)))
    look(phone)
    assert page.evaluate(WAITING)
    assert page.evaluate(IS_MARKED)
    assert page.locator("[name=strokes]").input_value() == strokes
    page.locator("[data-pad-clear]").click()
    look(phone)
    assert page.evaluate(IS_MARKED)
    let_in(phone, f"/visits/{visit}")
