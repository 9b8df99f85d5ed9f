"""A day of 李强's with a visit in every state there is, so that every screen has something to show."""

from __future__ import annotations

import csv
import hashlib
import io
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from PIL import Image
from server import Server
from sqlalchemy import select

from fieldapp import blobs, hindrances
from fieldapp.handover import sign
from fieldapp.importing import import_directory
from fieldapp.models import Person, Visit, WorkOrder, db
from fieldapp.perform import unit
from fieldapp.presentation import present
from sync.operation import iso
from sync.problems import Problem

ZONE = ZoneInfo("Asia/Shanghai")
ENGINEER, OTHER, DISPATCHER, MANAGER = "liqiang", "zhoukai", "chen", "fang"

LONG_WORD = "WAH200250800173" * 12
LONG_TEXT = "走廊尽头第三间控制室的主机反复重启，<b>不要断电</b> & “先拍照”。" * 12 + LONG_WORD
STROKES = [
    [40, 90, 0, 70, 40, 60, 100, 95, 120, 130, 50, 180, 165, 92, 240],
    [190, 60, 420, 230, 88, 480, 280, 52, 560, 340, 80, 640],
]

_ORDER = {
    "number": "", "request_number": "", "customer": "KH001", "site": "ZD001", "contact": "LX001",
    "asset_serial": "WAH200-2508-00173", "job_type": "repair", "level": "major", "channel": "phone",
    "fault_text": "主机面板无显示，探测器失去布防", "fault_location": "一楼消控室",
    "engineer": ENGINEER, "carry": "万用表；蓄电池",
}  # fmt: skip
_ORDERS: dict[str, dict[str, str]] = {
    "conflict": {},
    "ready": {"customer": "KH004", "site": "ZD005", "contact": "LX005",
              "asset_serial": "WGB10-2412-00307", "level": "accessory",
              "fault_text": "Glass-break detector at the east door reports low battery every night",
              "fault_location": "East door, ground floor"},
    "signed": {"customer": "KH002", "site": "ZD003", "contact": "LX003",
               "asset_serial": "WAH100-2309-00052"},
    "sent-back": {"site": "ZD002", "contact": "LX002", "asset_serial": "WIR30-2401-00415"},
    "cancelled": {"customer": "KH005", "site": "ZD006", "contact": "LX006",
                  "asset_serial": "WAH200-2411-00086"},
    "accepted": {"customer": "KH003", "site": "ZD004", "contact": "LX004",
                 "asset_serial": "WAH200-2506-00120"},
    "unsigned": {"customer": "KH003", "site": "ZD004", "contact": "LX004",
                 "asset_serial": "WSD20-2506-00733"},
    "long": {"customer": "KH900", "site": "ZD900", "contact": "LX900", "asset_serial": "",
             "fault_text": LONG_TEXT, "fault_location": LONG_WORD},
    "changed": {"customer": "KH002", "site": "ZD003", "contact": "LX003",
                "asset_serial": "WAH100-2309-00052"},
}  # fmt: skip
_PLACES = {
    "customers": "code,name\nKH900,长三角一体化示范区（上海）跨境电子商务与现代物流产业发展集团股份有限公司\n",
    "sites": "code,customer,name,address,distance,access_text\n"
    "ZD900,KH900,第二期标准厂房东北角地下二层高低压配电室旁弱电间,"
    "上海市青浦区华新镇华徐公路3029弄28号中国北斗产业技术创新基地一期东区,county,"
    f"先到南门岗亭换证；{LONG_WORD}\n",
    "contacts": "code,site,name,phone,role_text,language\n"
    "LX900,ZD900,Maximiliana Featherstonehaugh-Cholmondeley,+86 138-0000-9900,"
    "Deputy head of facility management and security,en\n",
}


class Day:
    """The visits by what they show, as ids."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.visits: dict[str, str] = {}
        self.entries: dict[str, str] = {}
        with server.office():
            self._begin(datetime.now(UTC))

    def _begin(self, now: datetime) -> None:
        self.now = now
        self.engineer, self.other, self.dispatcher, self.manager = (
            self.server.person(account) for account in (ENGINEER, OTHER, DISPATCHER, MANAGER)
        )
        self.org_id = self.engineer.org_id
        day = f"{now.astimezone(ZONE):%Y%m%d}"
        self._open_orders(day)
        orders = select(WorkOrder.number, Visit.id).join(Visit, Visit.work_order_id == WorkOrder.id)
        by_number = {row[0]: row[1] for row in db.session.execute(orders)}
        self.visits["planned"] = by_number[f"PG-{day}-001"]
        self.visits["on-site"] = by_number[f"PG-{day}-002"]
        self.visits["return"] = by_number[f"PG-{day}-004"]
        for index, name in enumerate(_ORDERS):
            self.visits[name] = by_number[f"PG-{day}-1{index:02}"]
        self._live()

    def _open_orders(self, day: str) -> None:
        local = self.now.astimezone(ZONE)
        with tempfile.TemporaryDirectory() as name:
            for noun, text in _PLACES.items():
                (Path(name) / f"{noun}.csv").write_text(text, "utf-8")
            with (Path(name) / "work_orders.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, [*_ORDER, "reported_at", "appointment_at"])
                writer.writeheader()
                for index, values in enumerate(_ORDERS.values()):
                    number = f"{day}-1{index:02}"
                    writer.writerow(
                        _ORDER
                        | {"number": f"PG-{number}", "request_number": f"BX-{number}"}
                        | {"reported_at": f"{local:%Y-%m-%d}T08:{10 + index}"}
                        | {"appointment_at": f"{local:%Y-%m-%d}T{10 + index}:30"}
                        | values
                    )
            at = self.now - timedelta(hours=5)
            organisation = self.engineer.organisation
            import_directory(Path(name), organisation, now=at, author=self.dispatcher)

    def _live(self) -> None:
        """Everybody's work of the day."""
        self.does("return", -300, "assignment", {"engineer": self.engineer.id}, self.dispatcher)
        for name in ("on-site", "conflict", "ready", "signed", "sent-back", "accepted"):
            self._arrive(name)
        for name in ("unsigned", "long", "changed"):
            self._arrive(name)
        for name in ("ready", "signed", "sent-back", "accepted", "unsigned", "long", "changed"):
            self._work(name)
        self._quarrel()
        for name in ("signed", "sent-back", "accepted", "changed"):
            self._sign(name)
        self._change()
        self.does("signed", -20, "note", {"text": "钥匙已交还保安室"})
        reason = {"reason": "checked", "text": "", "witness_name": "保安 老周"}
        self.does("unsigned", -30, "refusal", reason | {"reason": "disputes",
                  "text": "客户认为停机时间应从到场算起，要求先与公司核对。"})  # fmt: skip
        for name in ("sent-back", "accepted", "changed"):
            self.does(name, -25, "leaving", {"next_text": "青浦恒达物流园"})
        self.does("accepted", -10, "review", {"verdict": "accepted", "reason": ""}, self.manager)
        self.does("sent-back", -10, "review", {
            "verdict": "sent-back", "reason": "请补拍铭牌照片，并写明更换的蓄电池规格。",
        }, self.manager)  # fmt: skip
        self.does("cancelled", -60, "cancellation",
                  {"reason": "客户来电：故障已自行恢复，改日再约。"}, self.dispatcher)  # fmt: skip

    def does(
        self,
        visit: str,
        minutes: int,
        kind: str,
        value: Mapping[str, Any],
        author: Person | None = None,
        supersedes: Mapping[str, list[str]] | None = None,
    ) -> str:
        """Somebody performs an operation ``minutes`` from now; its id."""
        at = self.now + timedelta(minutes=minutes)
        with unit(self.org_id, at) as opened:
            receipt = opened.perform(
                kind, self.visits[visit], author or self.engineer, value, supersedes
            )
        return receipt.id

    def known(self, visit: str) -> dict[str, str]:
        """Numbers that the office knows of a visit: its ``asset``, and one thing in the ``van``."""
        with self.server.office():
            row, reader = (
                db.session.get_one(Visit, self.visits[visit]),
                self.server.person(ENGINEER),
            )
            context = present([row], reader, self.now)[0]["context"]
        return {"asset": context["asset"]["serial"], "van": context["van"][0]["serial"]}

    def _arrive(self, name: str) -> None:
        eta = self._iso(-170)
        self.does(name, -200, "departure", {"eta_at": eta, "told_name": "王丽", "told_by": "phone"})
        self.does(name, -172, "arrival", {
            "outcome": "present",
            "position": {"latitude": 31219300, "longitude": 121500200, "accuracy": 12},
        })  # fmt: skip
        self.does(name, -170, "step", {"list": "conduct", "done": ["badge", "shoe-covers"]})

    def _work(self, name: str) -> None:
        is_long = name == "long"
        self.does(name, -165, "identification", {
            "serial": "WGB10-2412-00307", "model": "WGB-10", "verdict": "agrees"})  # fmt: skip
        self.does(name, -150, "diagnosis", {
            "text": LONG_TEXT if is_long else "蓄电池老化，负载电压低于 11 V；充电电路正常。",
            "cause": "product", "category": "power", "repair": "on-site"})  # fmt: skip
        self.does(name, -140, "downtime", {"event": "start", "at": self._iso(-140)})
        self.does(name, -120, "downtime", {"event": "stop", "at": self._iso(-105)})
        self.does(name, -115, "swap", {
            "part_name": "蓄电池 12V 7Ah", "removed_serial": "BAT-2309-4471",
            "installed_serial": "BAT-2606-" + ("9" * 50 if is_long else "0812"),
            "fate": "company"})  # fmt: skip
        self.does(name, -112, "photo", self._photo(name))
        self.does(name, -110, "measure", {
            "text": LONG_TEXT if is_long else "更换蓄电池一只；断电试验，主机正常切换，逐区试警正常。",
            "completed_at": self._iso(-110)})  # fmt: skip
        self.does(
            name, -100, "step", {"list": "closing", "done": ["cleaned", "put-back", "tested"]}
        )
        self.does(name, -95, "outcome", {"result": "solved", "next_text": "半年后复测电压"})

    def _quarrel(self) -> None:
        """Conflicts, a void, a correction, a flag and a remark on one visit."""
        visit = db.session.get_one(Visit, self.visits["conflict"])
        seen = {path: cell["heads"] for path, cell in visit.state["fields"].items()}
        self.does("conflict", -160, "fault", {"text": "主机不亮，按键无反应"}, None, seen)
        self.does("conflict", -159, "fault", {"text": "主机不亮，报警接收机也在蜂鸣"},
                  self.dispatcher, seen)  # fmt: skip
        for text, author in (("电源板烧毁", None), ("主板故障", self.other)):
            self.does("conflict", -150, "diagnosis", {
                "text": text, "cause": "product", "repair": "factory"}, author, {})  # fmt: skip
        self.does("conflict", -140, "arrival", {"outcome": "present"}, self.other)
        self.entries["void"] = self.does("conflict", -130, "note", {"text": "写错楼层"})
        self.does("conflict", -129, "void",
                  {"entry": self.entries["void"], "reason": "应为地下一层"})  # fmt: skip
        measure = {"text": "更换保险管", "completed_at": self._iso(-120)}
        self.entries["measure"] = self.does("conflict", -120, "measure", measure)
        path = f"entries/{self.entries['measure']}/text"
        self.does("conflict", -118, "correction", {path: "更换保险管 2 A 两只"}, None,
                  {path: [self.entries["measure"]]})  # fmt: skip
        self.does("conflict", -100, "downtime", {"event": "start", "at": self._iso(-100)})
        self.does("conflict", -90, "remark", {"text": "王丽说报警接收机也在蜂鸣，请一并查看。"},
                  self.dispatcher)  # fmt: skip

    def _change(self) -> None:
        """What was signed is changed, and the paper that would say so cannot be made."""
        visit = db.session.get_one(Visit, self.visits["changed"])
        entries = {entry["kind"]: entry["id"] for entry in visit.state["entries"]}
        path = f"entries/{entries['swap']}/installed_serial"
        self.does("changed", -50, "correction", {path: "BAT-2606-0813"}, None,
                  {path: [entries["swap"]]})  # fmt: skip
        self.does("changed", -49, "diagnosis", {"text": "蓄电池与充电电路均已老化。"})
        self.does("changed", -48, "void", {"entry": entries["photo"], "reason": "拍错设备"})
        later = self.now + timedelta(seconds=1)  # than the photo
        hindrances.note(visit.id, Problem("report.lint", rule="fonts: 𬭚"), later)

    def _sign(self, name: str) -> None:
        at = self.now - timedelta(minutes=60)
        visit = db.session.get_one(Visit, self.visits[name])
        state = present([visit], self.engineer, at)[0]
        value = sign(state, {"name": "钱峰", "role": "responsible", "opinion": "处理及时，满意。",
                             "strokes": STROKES})  # fmt: skip
        self.entries[f"{name} signature"] = self.does(name, -60, "signature", value)

    def _photo(self, name: str) -> dict[str, Any]:
        file = io.BytesIO()
        Image.effect_mandelbrot((640, 480), (-2, -1.5, 1, 1.5), 40).convert("RGB").save(
            file, "JPEG"
        )
        data = file.getvalue() + name.encode()
        digest = hashlib.sha256(data).hexdigest()
        blobs.store(self.org_id, digest, data, self.now)
        db.session.commit()
        return {"sha256": digest, "caption": "更换后的蓄电池与铭牌"}

    def _iso(self, minutes: int) -> str:
        return iso(int((self.now + timedelta(minutes=minutes)).timestamp()) * 1000)
