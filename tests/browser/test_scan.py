"""Numbers read by the camera, in a cellar too, and compared at once with what the office knows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from barcodes import film, picture, png
from phone import Phone
from playwright.sync_api import Browser, Page, expect, sync_playwright
from server import Server

from fieldapp.models import Visit, db
from fieldapp.offline.build import later_files
from fieldapp.presentation import present

KEPT = "async () => (await (await caches.open('later')).keys()).map(({ url }) => new URL(url).pathname)"
TRACKS = """() => {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)
  window.tracks = []
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await ask(wanted)
    window.wanted = JSON.stringify(wanted)
    window.tracks.push(...stream.getTracks())
    return stream
  }
}"""
NATIVE = """window.BarcodeDetector = class {
  static getSupportedFormats() {
    return Promise.resolve(["code_128", "code_39", "ean_13", "ean_8", "upc_a", "qr_code", "data_matrix"])
  }
  async detect({ width, height }) {
    const boundingBox = { x: width / 2 - 20, y: height / 2 - 20, width: 40, height: 40 }
    return [{ rawValue: "READ-BY-THE-BROWSER-1", format: "qr_code", boundingBox }]
  }
}"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film that the false camera plays; it is opened anew with every stream."""
    path = tmp_path_factory.mktemp("film") / "seen.y4m"
    film(picture(("QRCode", "nothing yet")), path)
    return path


@pytest.fixture(scope="module")
def camera(seen: Path) -> Iterator[Browser]:
    """Chromium with a camera in front of which a test holds a label."""
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={seen}",
    ]
    executable = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with the demo day for all tests here."""
    running = Server(tmp_path_factory.mktemp("scan") / "instance")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def liqiang(camera: Browser, shared: Server) -> Iterator[Phone]:
    """李强's phone, allowed to use its camera, with everything fetched that is fetched for later."""
    phone = Phone(camera, shared)
    phone.context.grant_permissions(["camera"])
    phone.sign_in("liqiang")
    phone.until(lambda: set(phone.page.evaluate(KEPT)) == set(later_files()))
    yield phone
    phone.close()


@pytest.fixture
def phone(liqiang: Phone, shared: Server) -> Phone:
    if shared.process is None:
        shared.start()
    liqiang.context.grant_permissions(["camera"])
    return liqiang


@pytest.fixture
def visit(shared: Server) -> str:
    return shared.visit_of("liqiang")


@pytest.fixture
def known(shared: Server, visit: str) -> dict[str, Any]:
    """What the office knows of the visit: its machine, the van, the parts."""
    with shared.office():
        row, person = db.session.get_one(Visit, visit), shared.person("liqiang")
        context: dict[str, Any] = present([row], person, datetime.now(UTC))[0]["context"]
        return context


def scan(phone: Phone, field: str) -> None:
    phone.page.click(f'[data-scan="field-{field}"]')


def hint(page: Page, field: str) -> Any:
    return expect(page.locator(f"#known-{field}"))


def test_in_a_cellar_the_label_of_the_machine_is_read_and_named(
    phone: Phone, shared: Server, visit: str, known: dict[str, Any], seen: Path
):
    film(picture(("Code128", known["asset"]["serial"])), seen)
    phone.open(f"/visits/{visit}/identifications")
    phone.page.evaluate(TRACKS)
    shared.stop()
    scan(phone, "serial")
    expect(phone.page.locator("[name=serial]")).to_have_value(known["asset"]["serial"])
    hint(phone.page, "serial").to_have_text("就是工单上的这台设备。")
    expect(phone.page.locator("[data-scan-sheet]")).to_be_hidden()
    phone.until(lambda: phone.page.evaluate("tracks.map((t) => t.readyState).join()") == "ended")
    assert '"environment"' in phone.page.evaluate("wanted")
    phone.fill("verdict", "agrees")
    phone.save(visit)


def test_another_machine_is_said_and_saved_as_it_was_read(
    phone: Phone, shared: Server, visit: str, known: dict[str, Any], seen: Path
):
    address = "https://label.example/wah/WAH200-2508-99999?lot=7"
    film(picture(("QRCode", address)), seen)
    phone.open(f"/visits/{visit}/identifications")
    scan(phone, "serial")
    expect(phone.page.locator("[name=serial]")).to_have_value("WAH200-2508-99999")
    said = re.compile(f"{re.escape(address)}.*不是工单上的设备.*{known['asset']['serial']}", re.S)
    hint(phone.page, "serial").to_have_text(said)
    phone.fill("verdict", "differs")
    phone.save(visit)
    serials = [row["body"]["value"].get("serial") for row in phone.outbox("liqiang")]
    assert "WAH200-2508-99999" in serials


def test_the_camera_stops_when_the_sheet_is_left_and_when_the_page_is(
    phone: Phone, visit: str, seen: Path
):
    film(picture(("Aztec", "NOT-OF-THE-TRADE")), seen)
    page = phone.page
    phone.open(f"/visits/{visit}/swaps")
    page.evaluate(TRACKS)
    for leave in ("[data-scan-type]", "Escape"):
        scan(phone, "removed_serial")
        expect(page.locator("[data-scan-said]")).to_have_text("把码对准框内。")
        assert page.evaluate("tracks.at(-1).readyState") == "live"
        page.click(leave) if leave.startswith("[") else page.keyboard.press(leave)
        phone.until(lambda: page.evaluate("tracks.at(-1).readyState") == "ended")
    scan(phone, "removed_serial")
    expect(page.locator("[data-scan-said]")).to_have_text("把码对准框内。")
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); delete document.hidden }"
    )
    phone.until(lambda: page.evaluate("tracks.at(-1).readyState") == "ended")
    expect(page.locator("[data-scan-sheet]")).to_be_hidden()
    scan(phone, "removed_serial")
    expect(page.locator("[data-scan-said]")).to_have_text("把码对准框内。")
    page.evaluate("document.querySelector('.back').click()")
    expect(page.locator("ol.steps")).to_be_visible()
    phone.until(lambda: page.evaluate("tracks.at(-1).readyState") == "ended")
    assert page.evaluate("tracks.length") == 4


def test_van_and_parts_are_compared_as_soon_as_they_are_typed(
    phone: Phone, visit: str, known: dict[str, Any]
):
    page = phone.page
    item, part = known["van"][0], known["parts"][0]
    phone.open(f"/visits/{visit}/swaps")
    for value, said in (
        (item["serial"], f"随车备件：{item['name']} {item['model']}"),
        (known["asset"]["serial"], "随车备件里没有这一件。就是工单上的这台设备。"),
        (
            item["serial"].replace("-", " "),
            f"与 {item['serial']} 很像，请逐字核对。",
        ),
        ("ELSE-1", "随车备件里没有这一件。"),
        ("", ""),
    ):
        page.fill("[name=installed_serial]", value)
        page.locator("[name=installed_serial]").blur()
        hint(page, "installed_serial").to_have_text(said)
        expect(page.locator("[name=installed_serial]")).to_have_value(value)
    page.fill("[name=part_name]", part["name"])
    page.locator("[name=part_name]").blur()
    hint(page, "part_name").to_have_text(re.compile(f"随车备件：{part['code']} × {part['count']}"))
    page.fill("[name=removed_serial]", "OLD-1")
    page.locator("[name=removed_serial]").blur()
    hint(page, "removed_serial").to_have_text("")  # a part of the machine: nobody noted its number


def test_the_code_of_a_part_becomes_its_name(
    phone: Phone, visit: str, known: dict[str, Any], seen: Path
):
    part = known["parts"][0]
    film(picture(("Code39", part["code"])), seen)
    phone.open(f"/visits/{visit}/swaps")
    scan(phone, "part_name")
    expect(phone.page.locator("[name=part_name]")).to_have_value(part["name"])
    hint(phone.page, "part_name").to_have_text(re.compile(f"{part['code']}.*随车备件", re.S))


PICTURES = [
    ([("Code128", "WAH200-2508-00173")], "WAH200-2508-00173", ""),
    ([("Code39", "BAT-2606-0812")], "BAT-2606-0812", ""),
    ([("QRCode", "SN: PSU-88/7\nDate 2026-01")], "PSU-88/7", "SN: PSU-88/7"),
    ([("QRCode", "https://x.example/a?sn=KP-41")], "KP-41", "https://x.example/a"),
    ([("DataMatrix", "DM-2606-7")], "DM-2606-7", ""),
    ([("EAN13", "6901234567892")], "6901234567892", "商品条码"),
    ([("QRCode", "SN12345")], "SN12345", ""),
    ([("QRCode", "序列号丢失")], "", "这个码里没有序列号"),
]


@pytest.mark.parametrize(
    ("codes", "value", "said"), PICTURES, ids=[each[1] or "none" for each in PICTURES]
)
def test_without_leave_for_the_camera_a_picture_of_the_code_is_read(
    phone: Phone, visit: str, codes: list[tuple[str, str]], value: str, said: str
):
    page = phone.page
    phone.context.clear_permissions()
    phone.open(f"/visits/{visit}/swaps")
    scan(phone, "removed_serial")
    expect(page.locator("[data-scan-said]")).to_contain_text("没有摄像头或未允许使用")
    page.evaluate("document.querySelector('[name=removed_serial]').value = ''")  # no draft
    give(page, png(picture(*codes)))
    expect(page.locator("[data-scan-sheet]")).to_be_hidden()
    expect(page.locator("[name=removed_serial]")).to_have_value(value)
    hint(page, "removed_serial").to_contain_text(said)


def give(page: Page, data: bytes) -> None:
    file: Any = {"name": "铭牌.png", "mimeType": "image/png", "buffer": data}
    page.set_input_files("[data-scan-sheet] [type=file]", file)


def test_of_several_codes_on_a_plate_the_person_chooses(phone: Phone, visit: str):
    page = phone.page
    phone.context.clear_permissions()
    phone.open(f"/visits/{visit}/swaps")
    scan(phone, "removed_serial")
    give(page, png(picture(("Code128", "PN-1100"), ("Code128", "SN-2200"))))
    expect(page.locator("[data-scan-choices] button")).to_have_count(2)
    page.click("text=SN-2200")
    expect(page.locator("[name=removed_serial]")).to_have_value("SN-2200")


def test_a_picture_without_a_code_is_said_and_the_number_is_typed(phone: Phone, visit: str):
    page = phone.page
    phone.context.clear_permissions()
    phone.open(f"/visits/{visit}/swaps")
    scan(phone, "removed_serial")
    blurred = picture(("Code128", "WAH200-2508-00173")).resize((40, 30)).resize((640, 480))
    for data in (png(blurred), b"no picture"):
        give(page, data)
        expect(page.locator("[data-scan-said]")).to_contain_text("图片里没有找到码")
    page.click("[data-scan-type]")
    page.fill("[name=removed_serial]", "TYPED-1")
    expect(page.locator("[data-scan-sheet]")).to_be_hidden()
    expect(page.locator("[name=removed_serial]")).to_have_value("TYPED-1")


def test_a_phone_without_a_camera_says_so(phone: Phone, visit: str):
    phone.open(f"/visits/{visit}/swaps")
    phone.page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError')) }"
    )
    scan(phone, "removed_serial")
    expect(phone.page.locator("[data-scan-said]")).to_contain_text("没有摄像头或未允许使用")
    expect(phone.page.locator("[data-scan-view] video")).to_be_hidden()
    phone.page.click("[data-scan-type]")


def test_a_browser_that_reads_codes_by_itself_does_so(
    camera: Browser, shared: Server, visit: str, phone: Phone
):
    page = phone.page
    phone.open(f"/visits/{visit}/swaps")
    page.evaluate(f"() => {{ {NATIVE} }}")
    scan(phone, "removed_serial")
    expect(page.locator("[name=removed_serial]")).to_have_value("READ-BY-THE-BROWSER-1")
    assert page.workers == []


def test_a_reader_that_never_came_is_said_offline_and_comes_with_the_next_sync(
    phone: Phone, shared: Server, visit: str, seen: Path
):
    page = phone.page
    film(picture(("Code128", "LATE-1")), seen)
    phone.open(f"/visits/{visit}/swaps")
    for gone in (["zxing"], ["scan.js"]):
        shared.start() if shared.process is None else None
        page.evaluate(DROP, gone)
        phone.open(f"/visits/{visit}/swaps")
        page.evaluate(DROP, gone)
        shared.stop()
        scan(phone, "removed_serial")
        expect(
            page.locator(".known:visible, [data-scan-said]:visible")
            .filter(has_text="第一次使用需要联网")
            .first
        ).to_be_visible()
        page.keyboard.press("Escape")
    shared.start()
    page.reload()
    phone.until(lambda: set(page.evaluate(KEPT)) == set(later_files()))
    scan(phone, "removed_serial")
    expect(page.locator("[name=removed_serial]")).to_have_value("LATE-1")


DROP = """async (names) => {
  const cache = await caches.open("later")
  for (const each of await cache.keys()) if (names.some((name) => each.url.includes(name))) await cache.delete(each)
}"""


def test_a_newer_worker_keeps_the_reader_and_lets_go_of_strangers(
    phone: Phone, shared: Server, visit: str
):
    page = phone.page
    phone.open(f"/visits/{visit}")
    page.evaluate(
        "async () => (await caches.open('later')).put('/static/page/scan.js?older', new Response(''))"
    )
    shared.stop()
    shared.start(version="98.0")
    asked: list[str] = []
    phone.context.on("request", lambda request: asked.append(request.url))
    page.reload()
    phone.until(lambda: len(page.evaluate(KEPT)) == len(later_files()))
    assert set(page.evaluate(KEPT)) == set(later_files())
    assert not [url for url in asked if "zxing" in url]
