"""A visit without signal in WebKit and in Firefox, and what else each engine has its own ways with.

Posts, files, IndexedDB, streams and the change of a worker differ between engines, so the journeys
are driven through them once more; what the pages say is tested in Chromium.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import firefox
import pytest
import webkit
from barcodes import picture, png
from phone import OPENING
from server import Server
from sqlalchemy import select
from webdriver_phone import WebDriverPhone

from fieldapp import __version__, blobs
from fieldapp.models import Blob, Visit, db
from fieldapp.offline.build import later_files
from fieldapp.perform import journal_of

ENGINES = {"webkit": webkit.browser, "firefox": firefox.browser}
KINDS = ["arrival", "step", "identification", "diagnosis", "swap", "photo", "measure", "step",
         "outcome", "signature", "leaving"]  # fmt: skip
PIN = "2580"
NEXT = "98.0"


@pytest.fixture(scope="module", params=ENGINES)
def signed_in(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebDriverPhone]:
    """李强's phone in one engine, signed in to a server of its own and enrolled."""
    server = Server(tmp_path_factory.mktemp(request.param) / "instance")
    with ENGINES[request.param]() as browser:
        server.start()
        try:
            phone = WebDriverPhone(browser, server)
            phone.sign_in("liqiang")
            yield phone
        finally:
            server.stop()


@pytest.fixture
def server(signed_in: WebDriverPhone) -> Server:
    """The server of this engine; whatever became of it before, it answers."""
    if not signed_in.server.answers():
        signed_in.server.start()
    return signed_in.server


@pytest.fixture
def liqiang_phone(signed_in: WebDriverPhone, server: Server) -> WebDriverPhone:
    """His phone, on the list, with nothing half-typed."""
    signed_in.browser.execute_script("sessionStorage.clear()")
    signed_in.open("/visits")
    return signed_in


def work_without_signal(phone: WebDriverPhone, visit: str, photo: Path) -> None:
    """What 李强 does on site: the swap, and what is asked for before the customer may sign."""
    phone.record(visit, "arrivals", outcome="present")
    phone.record(visit, "steps", list_="conduct", done=["badge"])
    phone.record(visit, "identifications", serial="WAH200-2508-00173", verdict="agrees")
    phone.record(
        visit, "diagnoses", text="蓄电池鼓包，电源板正常", cause="product", repair="on-site"
    )
    phone.record(
        visit,
        "swaps",
        part_name="12V7Ah 蓄电池",
        removed_serial="CTL-7781",
        installed_serial="CTL-9015",
        fate="company",
    )
    phone.take_photo(visit, photo, "旧蓄电池")
    assert "旧蓄电池" in str(phone.find("#photos").get_property("textContent"))
    phone.until(lambda: phone.loaded(".shot img"), "a small picture made by the worker")
    phone.record(visit, "measures", text="换上新蓄电池，试机正常")
    phone.record(visit, "steps", list_="closing", done=["cleaned", "tested"])
    phone.record(visit, "outcomes", result="solved")
    phone.sign(visit, "王丽")
    stay_with_the_customer(phone, visit)
    phone.record(visit, "leavings")


def stay_with_the_customer(phone: WebDriverPhone, visit: str) -> None:
    """He looks at his page once more; with a PIN nothing leads off it but the PIN."""
    phone.choose_pin(PIN)
    phone.open(f"/visits/{visit}")
    phone.press(f"a[href^='/visits/{visit}/signatures']")
    phone.arrives(f"/visits/{visit}/signatures")
    for leave in (phone.back, phone.reload, lambda: phone.open("/visits")):
        leave()
        phone.until(phone.is_handed_over, "the customer's page")
    assert phone.keeps_its_room(".handover img.photo"), "the pad would move under the finger"
    phone.leave_with_pin(visit, PIN)


def test_liqiang_finishes_a_visit(liqiang_phone: WebDriverPhone, server: Server, board_photo: Path):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}")
    server.stop()

    work_without_signal(phone, visit, board_photo)
    phone.reload()
    for text in ("CTL-7781", "CTL-9015", "蓄电池鼓包，电源板正常", "王丽"):
        phone.sees(text)
    assert "旧蓄电池" in str(phone.find("#photos").get_property("textContent"))
    assert "待发送 11 条" in phone.sync_line()

    server.start()
    phone.waits_for_sync("公司已收到 11/11 条", but_not="待到达")
    assert server.journal_kinds(visit, "liqiang") == KINDS
    with server.office():
        state = db.session.get_one(Visit, visit).state
        assert [entry["verdict"] for entry in state["signatures"]] == ["verified"]
        assert state["flags"] == []
        values = {entry["kind"]: entry["value"] for entry in state["entries"]}
        assert values["swap"]["removed_serial"] == "CTL-7781"
        assert values["swap"]["installed_serial"] == "CTL-9015"
        photo = db.session.scalars(select(Blob)).one()
        assert photo.sha256 == values["photo"]["sha256"]
        assert photo.complete_at is not None
        whole = blobs.read(photo.org_id, photo.sha256)
        assert hashlib.sha256(whole).hexdigest() == photo.sha256


def test_who_did_not_agree_agrees_after_all_and_has_his_name_typed(
    liqiang_phone: WebDriverPhone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}")
    server.stop()
    phone.record(visit, "arrivals", outcome="present")
    phone.record(visit, "steps", list_="conduct", done=["badge"])
    phone.record(visit, "identifications", serial="WDT-1", verdict="agrees")
    phone.record(visit, "diagnoses", text="探测器失灵", cause="product", repair="on-site")
    phone.record(visit, "measures", text="清洁后试机正常")
    phone.record(visit, "steps", list_="closing", done=["cleaned"])
    phone.record(visit, "outcomes", result="solved")

    phone.open(f"/visits/{visit}/signatures")
    phone.press("a[href$='/refusals?by=customer']")
    phone.fill("reason", "disputes")
    phone.fill("text", "探测器仍会误报")
    phone.press("form.entry-form button.save")
    phone.find("#thanks")
    phone.sees("探测器仍会误报")
    phone.press("#thanks a[href$='list=more']")
    phone.fill("name", "王丽")
    phone.fill("role", "contact")
    phone.press("details.witness summary")
    phone.fill("witness_name", "赵敏")
    phone.fill("witness_role", "同事")
    phone.press("form.entry-form button.save")
    phone.find("#thanks")
    phone.sees("王丽")
    phone.take_back(visit, PIN)

    server.start()
    phone.waits_for_sync("公司已收到 9/9 条", but_not="待到达")
    assert server.journal_kinds(visit, "liqiang")[-2:] == ["refusal", "signature"]
    with server.office():
        state = db.session.get_one(Visit, visit).state
        (signature,) = state["signatures"]
        assert signature["verdict"] == "verified"
        assert not signature["value"].get("strokes")
        assert (signature["value"]["name"], signature["value"]["witness_name"]) == ("王丽", "赵敏")


def test_without_signal_a_label_is_read_and_a_photo_is_drawn_on(
    liqiang_phone: WebDriverPhone, server: Server, board_photo: Path, tmp_path: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang", -1)
    label = tmp_path / "铭牌.png"
    label.write_bytes(png(picture(("Code128", "CTL-9015-77"))))
    phone.until(lambda: set(phone.kept_for_later()) == set(later_files()), "what is kept for later")
    server.stop()
    phone.open(f"/visits/{visit}/swaps")
    phone.press("[data-scan=field-installed_serial]")
    phone.find("[data-scan-sheet][open] [type=file]").send_keys(str(label))
    number = phone.find("[name=installed_serial]")
    phone.until(lambda: number.get_property("value") == "CTL-9015-77", "the number in the form")
    said = phone.find("#known-installed_serial")
    phone.until(lambda: "随车备件里没有这一件" in str(said.get_property("textContent")), "the hint")

    phone.open(f"/visits/{visit}/photos")
    phone.find("[data-photo-file]").send_keys(str(board_photo))
    name = phone.find("input[name=sha256]")
    phone.until(lambda: len(str(name.get_property("value"))) == 64, "a kept photo")
    phone.press("[data-photo-mark]")
    phone.draw("[data-mark][open] [data-mark-canvas]")
    phone.press("[data-mark-keep]")
    phone.until(lambda: len(str(name.get_property("value"))) == 129, "a photo that was drawn on")
    phone.save(visit)
    phone.until(lambda: phone.loaded(".shot img"), "a small picture made by the worker")


def test_what_is_said_of_a_number_moves_nothing_away_under_the_next_tap(
    liqiang_phone: WebDriverPhone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang", -1)
    phone.open(f"/visits/{visit}/swaps")
    said, aim = phone.find("#known-installed_serial"), phone.find("label:has([name=fate])")
    before = phone.top_of(aim)
    phone.fill("installed_serial", "CTL-9015-77")
    phone.press("[name=removed_serial]")
    phone.until(lambda: said.get_property("textContent"), "what is known of the number")
    assert phone.top_of(aim) == before


def test_a_form_that_was_saved_leaves_no_draft_and_no_conflict_with_oneself(
    liqiang_phone: WebDriverPhone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang", -1)
    for text in ("蓄电池鼓包", "蓄电池鼓包，电源板正常"):
        phone.record(visit, "diagnoses", text=text, cause="product", repair="on-site")
    phone.open(f"/visits/{visit}/diagnoses")
    assert phone.find("[name=text]").get_property("value") == "蓄电池鼓包，电源板正常"
    assert "两人填写的内容不一致" not in phone.text


def test_a_visit_is_opened_and_named_as_unsent(liqiang_phone: WebDriverPhone, server: Server):
    phone = liqiang_phone
    server.stop()
    phone.press("a[href='/visits/new']")
    phone.until(lambda: phone.path.endswith("/openings"), "the form")
    for name, value in OPENING.items():
        phone.fill(name, value)
    phone.press("form.entry-form button.save")
    phone.until(lambda: not phone.path.endswith("/openings"), "the visit")
    visit = phone.path.rsplit("/", 1)[1]
    phone.record(visit, "notes", text="警号已断电")
    phone.open("/visits/sync")
    for text in (OPENING["customer"], "现场开单", "现场记录"):
        phone.sees(text)

    server.start()
    phone.open(f"/visits/{visit}")
    phone.waits_for_sync("公司已收到 2/2 条", but_not="待发送")
    assert server.journal_kinds(visit, "liqiang") == ["opening", "note"]
    with server.office():
        assert db.session.get_one(Visit, visit).state["flags"] == []


def test_a_half_typed_form_holds_the_new_version_which_then_works_without_signal(
    liqiang_phone: WebDriverPhone, server: Server
):
    phone, visit = liqiang_phone, server.visit_of("liqiang", -1)
    phone.open(f"/visits/{visit}/notes")
    phone.fill("text", "写到一半")
    phone.browser.execute_script("window.here = true")
    server.stop()
    server.start(version=NEXT)
    phone.looks_for_update()
    line = phone.find("[data-new-version]")
    phone.until(line.is_displayed, "the line of the new version")
    assert "保存后启用" in phone.text
    assert phone.find("[name=text]").get_property("value") == "写到一半"

    phone.save(visit)
    phone.until(phone.has_newest, "the new version")
    assert phone.browser.execute_script("return window.here"), "nothing was loaded anew"
    assert "保存后启用" not in phone.text

    server.stop()
    phone.record(visit, "notes", text="新版本，无信号")
    phone.reload()
    for text in ("写到一半", "新版本，无信号"):
        phone.sees(text)
    server.start(version=NEXT)
    phone.waits_for_sync("公司已收到", but_not="待发送")
    with server.office():
        notes = [row for row in journal_of(db.session.get_one(Visit, visit)) if row.kind == "note"]
        assert [json.loads(row.body)["app"] for row in notes] == [__version__, NEXT]
