"""A visit without signal in WebKit: arrival, swap, photo, signature, and everything delivered.

Posts, files, IndexedDB and streams are where WebKit has its own ways, so the journey is driven
through them once more; what the pages say is tested in Chromium.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from barcodes import picture, png
from phone import OPENING
from PIL import Image
from server import Server
from sqlalchemy import select
from webkit import WebKitPhone, browser, screen, until

from fieldapp.models import Blob, Visit, db
from fieldapp.offline.build import later_files

KINDS = ["arrival", "step", "identification", "diagnosis", "swap", "photo", "measure", "step",
         "outcome", "signature", "leaving"]  # fmt: skip


@pytest.fixture
def liqiang_phone(server: Server) -> Iterator[WebKitPhone]:
    """李强's phone, signed in and enrolled."""
    with screen() as display, browser(display) as opened:
        phone = WebKitPhone(opened, server)
        phone.sign_in("liqiang")
        yield phone


@pytest.fixture
def board_photo(tmp_path: Path) -> Path:
    """A picture of a power board, larger than the phone keeps."""
    path = tmp_path / "板.jpg"
    Image.effect_mandelbrot((2000, 1500), (-2, -1.5, 1, 1.5), 60).convert("RGB").save(path)
    return path


def work_without_signal(phone: WebKitPhone, visit: str, photo: Path) -> None:
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
    phone.record(visit, "measures", text="换上新蓄电池，试机正常")
    phone.record(visit, "steps", list_="closing", done=["cleaned", "tested"])
    phone.record(visit, "outcomes", result="solved")
    phone.sign(visit, "王丽")
    phone.record(visit, "leavings")


def test_liqiang_finishes_a_visit_in_webkit(
    liqiang_phone: WebKitPhone, server: Server, board_photo: Path
):
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


def test_without_signal_a_label_is_read_and_a_photo_is_drawn_on_in_webkit(
    liqiang_phone: WebKitPhone, server: Server, board_photo: Path, tmp_path: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    label = tmp_path / "铭牌.png"
    label.write_bytes(png(picture(("Code128", "CTL-9015-77"))))
    until(lambda: set(phone.kept_for_later()) == set(later_files()), "what is kept for later")
    server.stop()
    phone.open(f"/visits/{visit}/swaps")
    phone.press("[data-scan=field-installed_serial]")
    phone.find("[data-scan-sheet][open] [type=file]").send_keys(str(label))
    number = phone.find("[name=installed_serial]")
    until(lambda: number.get_property("value") == "CTL-9015-77", "the number in the form")
    said = phone.find("#known-installed_serial")
    until(lambda: "随车备件里没有这一件" in str(said.get_property("textContent")), "the hint")

    phone.open(f"/visits/{visit}/photos")
    phone.find("[data-photo-file]").send_keys(str(board_photo))
    name = phone.find("input[name=sha256]")
    until(lambda: len(str(name.get_property("value"))) == 64, "a kept photo")
    phone.press("[data-photo-mark]")
    phone.draw("[data-mark][open] [data-mark-canvas]")
    phone.press("[data-mark-keep]")
    until(lambda: len(str(name.get_property("value"))) == 129, "a photo that was drawn on")
    phone.save(visit)
    until(lambda: phone.loaded(".shot img"), "a small picture made by the worker")


def test_a_visit_is_opened_in_webkit_and_named_as_unsent(
    liqiang_phone: WebKitPhone, server: Server
):
    phone = liqiang_phone
    server.stop()
    phone.press("a[href='/visits/new']")
    until(lambda: phone.path.endswith("/openings"), "the form")
    for name, value in OPENING.items():
        phone.fill(name, value)
    phone.press("form.entry-form button.save")
    until(lambda: not phone.path.endswith("/openings"), "the visit")
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
