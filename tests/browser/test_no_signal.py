"""Scenario S000-A, steps 3 to 5: a visit in a cellar without signal, to the sealed work order.

Offline means the server is stopped: no browser's promise is needed, and coming back is half the
risk.  The scenario is moved to today; its limits are tested elsewhere, with the time passed in.
"""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from desk import Desk
from phone import Phone
from server import Server
from sqlalchemy import select

from fieldapp.models import Contact, Report, Visit, db
from fieldapp.perform import unit


def work_without_signal(phone: Phone, visit: str, photo: Path) -> None:
    """What 李强 does in the control room, in the order of the scenario."""
    phone.record(visit, "departures", eta_at="2026-03-10T10:50", told_name="王丽", told_by="phone")
    phone.record(visit, "arrivals", outcome="present")
    phone.record(visit, "steps", list_="conduct", done=["badge", "shoe-covers"])
    phone.record(visit, "identifications", serial="WAH200-2508-00173", verdict="agrees")
    phone.record(
        visit,
        "diagnoses",
        text="电源板损坏，无法现场修复",
        cause="product",
        category="power",
        repair="factory",
    )
    phone.record(visit, "downtimes", event="start", at="2026-03-10T11:20")
    phone.record(
        visit, "loaners", removed_serial="WAH200-2508-00173", loaner_serial="SP-WAH200-0007",
        reason_text="电源板须返厂维修", told_text="原机返厂期间由备机代替，不另收费。",
    )  # fmt: skip
    phone.record(visit, "downtimes", event="stop", at="2026-03-10T11:55")
    phone.take_photo(visit, photo, "损坏的电源板")
    phone.record(visit, "measures", text="换上备机，试机正常", completed_at="2026-03-10T11:55")
    phone.record(visit, "steps", list_="closing", done=["cleaned", "precautions"])
    phone.record(visit, "outcomes", result="loaner-in-use", next_text="原机修复后上门换回")
    phone.sign(visit, "王丽")
    phone.record(visit, "leavings")


KINDS = ["departure", "arrival", "step", "identification", "diagnosis", "downtime", "loaner",
         "downtime", "photo", "measure", "step", "outcome", "signature", "leaving"]  # fmt: skip


def test_liqiang_finishes_a_visit_in_a_cellar(
    liqiang_phone: Phone, server: Server, board_photo: Path, tmp_path: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang")
    phone.open(f"/visits/{visit}")
    server.stop()

    work_without_signal(phone, visit, board_photo)
    phone.page.reload()
    phone.sees("电源板损坏，无法现场修复")
    phone.sees("0:35")
    phone.sees("王丽")
    assert "待发送 14 条" in phone.sync_line()

    with server.office():
        chen = server.person("chen")
        row = db.session.get_one(Visit, visit)
        contact = row.work_order.request.contact
        contact_id, org_id = contact.id, row.org_id
        with unit(org_id, datetime.now(UTC)) as office:
            db.session.get_one(Contact, contact_id).phone = "139-1111-2222"
            office.perform("remark", visit, chen, {"text": "报警接收机也在蜂鸣"})
            office.touch(visit)
    server.start()

    phone.waits_for_sync("公司已收到 14/14 条")
    assert server.journal_kinds(visit, "liqiang") == KINDS
    phone.page.reload()
    phone.sees("139-1111-2222")
    phone.sees("报警接收机也在蜂鸣")
    with server.office():
        state = db.session.get_one(Visit, visit).state
        assert [entry["verdict"] for entry in state["signatures"]] == ["verified"]
        assert [flag["code"] for flag in state["flags"]] == []

    desk = Desk(phone, server)
    paper = desk.paper_of(visit)
    desk.accept(visit)
    with server.office():
        assert db.session.get_one(Visit, visit).status == "accepted"
        reports = db.session.scalars(select(Report).where(Report.visit_id == visit)).all()
        assert {(report.revision, report.name) for report in reports} == {
            (1, "dispatch-order"),
            (1, "replacement-notice"),
        }

    file = tmp_path / "work-order.pdf"
    file.write_bytes(paper)
    text = run("pdftotext", "-layout", str(file), "-").stdout
    assert "电源板损坏，无法现场修复" in text
    assert "报警接收机也在蜂鸣" not in text
    assert run("qpdf", "--check", str(file)).returncode == 0
    told = run("pdfsig", str(file)).stdout
    assert "Signature is Valid" in told
    assert "Total document signed" in told
    assert server.verify(file) == (0, "genuine")

    altered = tmp_path / "altered.pdf"
    altered.write_bytes(flipped(paper))
    assert "Signature is Valid" not in run("pdfsig", str(altered)).stdout
    assert server.verify(altered) == (1, "altered")
    other = tmp_path / "other.pdf"
    other.write_bytes(b"%PDF-1.7 nothing of ours")
    assert server.verify(other) == (2, "not-ours")
    desk.close()


def test_liqiang_swaps_a_detector_on_his_second_visit(
    liqiang_phone: Phone, server: Server, tmp_path: Path
):
    phone, visit = liqiang_phone, server.visit_of("liqiang", 1)
    phone.open(f"/visits/{visit}")
    server.stop()
    phone.record(visit, "arrivals", outcome="present")
    phone.record(visit, "steps", list_="conduct", done=["badge"])
    phone.record(visit, "identifications", serial="WDT-1", verdict="agrees")
    phone.record(visit, "diagnoses", text="探测器失灵", cause="product", repair="on-site")
    phone.record(
        visit, "swaps", part_name="红外探测器", removed_serial="WDT-1", installed_serial="WDT-9",
        fate="company",
    )  # fmt: skip
    phone.record(visit, "measures", text="更换探测器，试机正常", completed_at="2026-03-10T15:00")
    phone.record(visit, "steps", list_="closing", done=["cleaned"])
    phone.open(f"/visits/{visit}/signatures")
    phone.sees("客户签字前还缺")  # the outcome: the customer may not sign yet
    assert phone.page.locator("[data-pad]").count() == 0
    phone.record(visit, "outcomes", result="solved")
    phone.sign(visit, "周主任", "responsible")
    phone.record(visit, "notes", text="钥匙已交还门卫")
    phone.sees("签字后")
    phone.record(visit, "leavings")
    server.start()
    phone.waits_for_sync("公司已收到 11/11 条")
    desk = Desk(phone, server)
    file = tmp_path / "swap.pdf"
    file.write_bytes(desk.paper_of(visit))
    text = run("pdftotext", "-layout", str(file), "-").stdout
    assert "WDT-9" in text
    assert server.verify(file) == (0, "genuine")
    desk.close()


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def flipped(pdf: bytes) -> bytes:
    """The file with one bit changed inside what the seal covers."""
    return pdf[:3000] + bytes([pdf[3000] ^ 1]) + pdf[3001:]
