"""Every paper of one believable visit with everything on it; ``python -m bench.papers FOLDER``
writes a picture of each first page."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Literal

import pymupdf

from bench.paper import day_paper
from fieldapp.policies import load_policy
from sync import glyphs, report
from sync.papers import PAPERS

RARE_NAME = "䶮𬭚𠮷"
"""A name of characters that most fonts lack."""

DPI = 80


def whole_paper(name: str, language: Literal["zh_CN", "en", "both"] = "zh_CN") -> report.Paper:
    """The day's visit with a quotation, its costs, readings and two signatures. A fresh copy."""
    paper = day_paper(language, name)
    author = paper["snapshot"]["context"]["people"][0]["id"]
    ink = paper["signatures"][0]["strokes"]

    def entry(number: int, kind: str, clock: str, /, **value: Any) -> dict[str, Any]:
        return {
            "id": f"00000000-0000-7000-8000-{number:012d}",
            "kind": kind,
            "author": author,
            "wall_at": f"2026-03-10T{clock}Z",
            "value": value,
        }

    readings = [
        ("主机供电电压", "13.6", "V", "normal"),
        ("蓄电池内阻", "38", "mΩ", "deviates"),
        ("探测器触发", "12/12", "路", "normal"),
        ("通信延时", "420", "ms", "normal"),
    ]
    paper["snapshot"]["facts"]["entries"] += [
        entry(1, "quote", "02:57:00", text="更换 DC-DC 电源模块", amount=68_000,
              warranty_text="维修部分质保 3 个月"),
        entry(2, "consent", "02:59:00", decision="accepts", name="王丽", strokes=ink),
        entry(3, "backup-statement", "03:00:00", statement="done", name="王丽"),
        entry(4, "charge", "03:41:00", category="labour", text="上门检修", quantity=2,
              unit_price=12_000),
        entry(5, "charge", "03:42:00", category="material", text="DC-DC 电源模块", quantity=1,
              unit_price=44_000),
        entry(6, "invoice", "03:43:00", number="FP-20260310-18", paid_by="mobile"),
        entry(7, "training", "03:44:00", text="备机的操作与布防、撤防", names="王丽\n䶮𬭚"),
        *(
            entry(number, "reading", "03:40:00", item=item, value=value, unit=unit, verdict=verdict)
            for number, (item, value, unit, verdict) in enumerate(readings, 10)
        ),
    ]  # fmt: skip
    first = paper["signatures"][0]
    guard = first | {"name": RARE_NAME, "role": "guard", "opinion": "", "covers": "same"}
    paper["signatures"] = [guard, first]
    paper["words"] = load_policy("alarm").vocabulary | paper["words"]
    return paper


TRAINEES = ("吴芳", "钱伟", "丁磊")
"""Who signs the acceptance list before the responsible person."""


def taught_paper(
    name: str,
    language: Literal["zh_CN", "en", "both"] = "zh_CN",
    trainees: tuple[str, ...] = TRAINEES,
) -> report.Paper:
    """A software house's installation and training, signed by all ``trainees``. A fresh copy."""
    paper = day_paper(language, name)
    snapshot, ink = paper["snapshot"], paper["signatures"][0]
    author = snapshot["context"]["people"][0]["id"]
    done: list[tuple[str, dict[str, Any]]] = [
        ("departure", {"eta_at": "2026-03-10T02:50:00Z", "told_name": "沈主任",
                       "told_by": "phone"}),
        ("arrival", {"outcome": "present"}),
        ("backup-statement", {"statement": "none", "name": "沈主任"}),
        ("step", {"list": "installation", "done": ["installed", "imported", "start-agreed"]}),
        ("measure", {"completed_at": "2026-03-10T03:30:00Z",
                     "text": "安装仓储管理软件，导入库位与物料，测试标签打印。"}),
        ("training", {"text": "入库、出库与盘点", "names": "\n".join(trainees)}),
        ("step", {"list": "training", "done": ["plan-followed", "practised", "handbook"]}),
    ]  # fmt: skip
    snapshot["facts"]["entries"] = [
        {
            "id": f"00000000-0000-7000-8000-{number:012d}",
            "kind": kind,
            "author": author,
            "wall_at": f"2026-03-10T03:{number:02}:00Z",
            "value": value,
        }
        for number, (kind, value) in enumerate(done)
    ]
    snapshot["facts"]["fields"] = [
        {"path": "outcome/next_text", "values": ["三月二十六日启用。"]},
        {"path": "outcome/result", "values": ["accepted"]},
    ]
    context = snapshot["context"]
    context["work_order"] |= {"number": "SM-20260310-004", "job_type": "implementation"}
    context["request"] |= {"number": "KF-20260302-001", "reported_at": None}
    context["customer"] |= {"name": "绍兴越华纺织有限公司"}
    context["site"] |= {"name": "越华纺织 二号仓库", "address": "绍兴市柯桥区"}
    context["contact"] |= {"name": "沈主任", "phone": "135-0000-7710", "role_text": "信息科"}
    context["asset"] |= {"name": "启擎 WMS", "model": "3.2", "serial": "WMS-2026-0311"}
    paper["addenda"], paper["corrected"], paper["photos"] = [], [], {}
    signed = [(one, "trainee") for one in trainees] + [("沈主任", "responsible")]
    paper["signatures"] = [
        ink | {"name": one, "role": role, "opinion": "", "covers": "same"} for one, role in signed
    ]
    paper["organisation"] |= {"name": "启擎软件有限公司", "address": "宁波市江北区"}
    paper["words"] = load_policy("software").vocabulary
    return paper


def trade_paper(name: str, language: Literal["zh_CN", "en", "both"] = "zh_CN") -> report.Paper:
    """The paper called ``name``, of a visit of the trade it belongs to."""
    taught = name in load_policy("software").papers("implementation")[:2]
    return (taught_paper if taught else whole_paper)(name, language)


def main() -> None:
    """Write the pictures."""
    folder = Path(sys.argv[1])
    # before the renderer is loaded: fontconfig looks once
    os.environ["FONTCONFIG_FILE"] = str(glyphs.FONTS_CONF)
    from fieldapp.rendering import report_environment

    for paper in PAPERS:
        pdf = report.render_report(trade_paper(paper.name), report_environment("zh_CN"))
        with pymupdf.open(stream=pdf) as document:
            document[0].get_pixmap(dpi=DPI).save(folder / f"{paper.name}.png")


if __name__ == "__main__":
    main()
