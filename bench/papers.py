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


def main() -> None:
    """Write the pictures."""
    folder = Path(sys.argv[1])
    # before the renderer is loaded: fontconfig looks once
    os.environ["FONTCONFIG_FILE"] = str(glyphs.FONTS_CONF)
    from fieldapp.rendering import report_environment

    for paper in PAPERS:
        pdf = report.render_report(whole_paper(paper.name), report_environment("zh_CN"))
        with pymupdf.open(stream=pdf) as document:
            document[0].get_pixmap(dpi=DPI).save(folder / f"{paper.name}.png")


if __name__ == "__main__":
    main()
