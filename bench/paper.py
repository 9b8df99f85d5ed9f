"""What the paper costs: signed against plain PDF, two render workers against one.

Ratios within one run, taken turn by turn, so that a noisy machine slows both sides alike.
:func:`day_paper` is the paper of one believable visit; the tests use it too.
"""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import functools
import hashlib
import io
import itertools
import os
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any, Literal

import rfc8785
from PIL import Image, ImageDraw

from fieldapp import rendering, sealing
from sync import glyphs, lint, photos, report, seal, seal_check, seal_key
from sync.papers import DISPATCH_ORDER

SEALED_AT = dt.datetime(2026, 3, 10, 4, 13, tzinfo=dt.UTC)


def _id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def picture(name: str, colour: str) -> bytes:
    """A picture as large and as grainy as a photograph, the same everywhere."""
    noise = hashlib.shake_256(name.encode()).digest(400 * 300)
    grain = Image.frombytes("L", (400, 300), noise).resize((1600, 1200), Image.Resampling.BICUBIC)
    light = Image.linear_gradient("L").resize((1600, 1200))
    wall = Image.blend(light, grain, 0.12).convert("RGB")
    draw = ImageDraw.Draw(wall)
    draw.rounded_rectangle([520, 260, 1080, 980], 30, fill=colour, outline="#20262c", width=10)
    draw.rectangle([600, 340, 1000, 560], fill="#0d1512", outline="#5b6673", width=6)
    for x in range(620, 1000, 90):
        draw.ellipse([x, 660, x + 44, 704], fill="#8a2f1d")
    picture = Image.blend(wall, Image.merge("RGB", (grain, grain, grain)), 0.08)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return out.getvalue()


@functools.cache
def _shots() -> dict[str, bytes]:
    """Two print copies by the SHA-256 of their originals."""
    raws = [picture("control room", "#d7dce0"), picture("power board", "#3f6b4f")]
    return {hashlib.sha256(raw).hexdigest(): photos.print_copy(raw) for raw in raws}


def _entry(kind: str, wall: str, person: str, /, **value: Any) -> dict[str, Any]:
    return {
        "id": _id(f"{kind}{wall}{value.get('caption', '')}"),
        "kind": kind,
        "author": _id(person),
        "wall_at": f"2026-03-10T{wall}Z",
        "value": value,
    }


def _words() -> dict[str, dict[str, dict[str, str]]]:
    lists = {
        "job_types": {"repair": ("故障维修", "Repair")},
        "fault_levels": {"severe": ("严重故障", "Severe fault")},
        "channels": {"phone": ("电话", "by phone")},
        "arrival_outcomes": {"present": ("客户在场", "Contact present")},
        "checklists": {"conduct": ("言行规范", "Conduct"), "closing": ("收尾检查", "Closing")},
        "checklist": {
            "badge": ("佩戴工牌", "Badge worn"),
            "shoe-covers": ("穿鞋套", "Shoe covers"),
            "cleaned": ("现场已清理", "Site cleaned"),
        },
        "verdicts": {"agrees": ("一致", "Agrees")},
        "causes": {"product": ("产品自身故障", "Product fault")},
        "categories": {"power": ("电源", "Power supply")},
        "repairs": {"factory": ("返厂维修", "Return to factory")},
        "fates": {"factory": ("带回返厂", "Taken to the factory"), "left": ("客户留存", "Left")},
        "results": {"loaner": ("备机代用，系统已恢复", "Running on a loaner")},
        "signatory_roles": {"contact": ("现场负责人", "Responsible person on site")},
        "refusal_reasons": {"disagrees": ("对处理结果有异议", "Disagrees with the result")},
        "test_results": {"passed": ("检测合格", "Test passed")},
    }
    return {
        name: {key: {"zh": zh, "en": en} for key, (zh, en) in words.items()}
        for name, words in lists.items()
    }


def ink() -> list[list[int]]:
    lines = [
        [(40, 60), (140, 55)],
        [(45, 100), (135, 96)],
        [(30, 150), (155, 143)],
        [(90, 58), (92, 148)],
        [(215, 40), (300, 34), (290, 60), (225, 160)],
        [(205, 80), (250, 90), (330, 78)],
        [(225, 62), (245, 120), (300, 150), (345, 158)],
    ]
    strokes, at = [], 0
    for line in lines:
        flat: list[int] = []
        for (x1, y1), (x2, y2) in itertools.pairwise(line):
            for step in range(9):
                bend = (step * (8 - step)) // 4
                flat += [x1 + (x2 - x1) * step // 8, y1 + (y2 - y1) * step // 8 + bend, at]
                at += 16
        strokes.append(flat)
        at += 180
    return strokes


def day_paper(
    language: Literal["zh_CN", "en", "both"] = "zh_CN", name: str = DISPATCH_ORDER
) -> report.Paper:
    """The paper of a visit with a loaner: two photos, a signature, one late note. A fresh copy."""
    shots = _shots()
    first, second = shots
    entries = [
        _entry(
            "departure",
            "01:55:00",
            "erin",
            eta_at="2026-03-10T02:50:00Z",
            told_name="王丽",
            told_by="phone",
        ),
        _entry("arrival", "02:48:00", "erin", outcome="present"),
        _entry("step", "02:50:00", "erin", list="conduct", done=["badge", "shoe-covers"]),
        _entry(
            "identification",
            "02:55:00",
            "erin",
            serial="WAH200-2508-00173",
            model="WAH-200",
            verdict="agrees",
        ),
        _entry("photo", "02:58:00", "erin", sha256=first, caption="一层消控室主机，面板无显示"),
        _entry("photo", "03:05:00", "erin", sha256=second, caption="电源板烧蚀，保险管完好"),
        _entry("downtime", "03:20:00", "erin", event="start", at="2026-03-10T03:20:00Z"),
        _entry(
            "swap",
            "03:30:00",
            "erin",
            part_name="后备电池 12 V 7 Ah",
            removed_serial="BAT-2307-118",
            installed_serial="BAT-2602-044",
            fate="factory",
        ),
        _entry(
            "loaner",
            "03:40:00",
            "erin",
            removed_serial="WAH200-2508-00173",
            loaner_serial="SP-WAH200-0007",
            reason_text="电源板损坏，现场无法修复，须返厂维修",
            told_text="主机带回工厂维修，约两周；期间使用备机，不收费用，原机保修期不变。",
        ),
        _entry("downtime", "03:55:00", "erin", event="stop", at="2026-03-10T03:55:00Z"),
        _entry(
            "measure",
            "03:55:30",
            "erin",
            completed_at="2026-03-10T03:55:00Z",
            text="拆下故障主机，安装备机并导入 40 个探测器的地址，逐一触发测试，"
            "接警中心收到全部信号。"
            "清理现场，向王丽说明备机的使用注意事项。",
        ),
        _entry("step", "03:56:00", "erin", list="closing", done=["cleaned"]),
        _entry("note", "03:57:00", "erin", text="消控室空调出风口正对机柜，建议客户调整风向。"),
    ]
    snapshot: dict[str, Any] = {
        "facts": {
            "visit": _id("visit"),
            "fields": [
                {"path": "diagnosis/category", "values": ["power"]},
                {"path": "diagnosis/cause", "values": ["product"]},
                {"path": "diagnosis/repair", "values": ["factory"]},
                {
                    "path": "diagnosis/text",
                    "values": ["主机电源板 DC-DC 模块击穿，无 12 V 输出；市电与后备电池正常。"],
                },
                {"path": "fault/level", "values": ["severe"]},
                {"path": "fault/location", "values": ["A 座一层消防控制室"]},
                {
                    "path": "fault/text",
                    "values": [
                        "报警主机 08:40 起无显示、无响应，40 个探测器失去监视，已重启两次。"
                    ],
                },
                {
                    "path": "outcome/next_text",
                    "values": ["返厂修复并检测合格后，凭派工单换回原机。"],
                },
                {"path": "outcome/result", "values": ["loaner"]},
            ],
            "entries": entries,
        },
        "context": {
            "organisation": {
                "id": _id("org"),
                "name": "安报通技术服务有限公司",
                "zone": "Asia/Shanghai",
                "currency": "CNY",
                "phone": "400-820-0000",
            },
            "request": {
                "id": _id("request"),
                "number": "BX-20260310-001",
                "reported_at": "2026-03-10T01:00:00Z",
                "channel": "phone",
            },
            "work_order": {"id": _id("order"), "number": "PG-20260310-001", "job_type": "repair"},
            "customer": {"id": _id("customer"), "name": "上海浦江文创园管理有限公司"},
            "site": {
                "id": _id("site"),
                "name": "浦江文创园 A 座",
                "address": "上海市黄浦区滨江大道 1200 号",
                "distance": "urban",
                "access_text": "北门登记",
                "zone": "Asia/Shanghai",
                "offsets": [["2025-01-01T00:00:00Z", 480]],
            },
            "contact": {
                "id": _id("cleo"),
                "name": "王丽",
                "phone": "138-0000-2210",
                "role_text": "物业主管",
                "language": language,
            },
            "asset": {
                "id": _id("asset"),
                "serial": "WAH200-2508-00173",
                "model": "WAH-200",
                "name": "无线报警主机",
                "verdict": {"covered": True, "until_on": "2026-09-14", "reason": "within"},
            },
            "history": [],
            "carry": ["备用主机", "万用表", "蓄电池"],
            "van": [],
            "parts": [],
            "loaners": [],
            "people": [{"id": _id("erin"), "name": "李强"}],
            "targets": [],
            "policy": {"code": "alarm", "version": "1"},
        },
    }
    token = hashlib.sha256(b"day paper").hexdigest()[:32]
    late = _entry("note", "04:05:00", "erin", text="已与物业电话确认北门夜间钥匙存放位置。")
    return {
        "name": name,
        "language": language,
        "revision": 1,
        "previous_sha256": None,
        "previous_pdf": None,
        "token": token,
        "verify_url": f"https://service.example/verify/{token}/1",
        "sealed_at": SEALED_AT.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "organisation": {
            "name": "安报通技术服务有限公司",
            "phone": "400-820-0000",
            "address": "上海市闵行区浦江镇联航路 1588 号 12 幢",
            "logo": None,
        },
        "snapshot": snapshot,
        "signatures": [
            {
                "name": "王丽",
                "role": "contact",
                "opinion": "响应及时，解释清楚，同意使用备机。",
                "strokes": ink(),
                "wall_at": "2026-03-10T04:00:00Z",
                "digest": hashlib.sha256(rfc8785.dumps(snapshot)).hexdigest(),
                "verdict": "verified",
                "covers": "same",
            }
        ],
        "refusal": None,
        "corrected": [
            {
                "entry": entries[1]["id"],
                "wall_at": "2026-03-10T02:48:00Z",
                "corrected_at": "2026-03-10T02:46:20Z",
            }
        ],
        "addenda": [late | {"at": "2026-03-10T04:05:00Z"}],
        "photos": {sha256: {"state": "shown", "jpeg": jpeg} for sha256, jpeg in shots.items()},
        "words": _words(),
        "notices": {entries[8]["id"]: "TH-20260310-001"},
    }


# measuring


def seal_job() -> sealing.SealJob:
    """A fresh key of our own, for papers that nobody keeps."""
    key = seal_key.make_key("bench", from_at=SEALED_AT)
    return sealing.SealJob(
        key.private_pem(), key.certificate_pem(), SEALED_AT, reason="bench", location="bench"
    )


def signed_against_plain(runs: int = 20) -> dict[str, float]:
    """Sealed PDF/A-3b with its data against the same page as plain PDF, taken in turns.

    Returns ``signed_ms``, ``plain_ms`` (medians), ``ratio``, ``seal_ms``, ``inspect_ms``,
    ``lint_ms`` and ``kilobytes`` of the sealed file.  ``plain`` is the renderer alone: same HTML,
    same fonts and styles, no PDF/A, no attachment, no seal.
    """
    os.environ["FONTCONFIG_FILE"] = str(glyphs.FONTS_CONF)
    paper, environment = day_paper(), rendering.report_environment("zh_CN")
    key = seal_key.make_key("bench", from_at=SEALED_AT)
    times: dict[str, list[float]] = {
        "signed": [],
        "plain": [],
        "seal": [],
        "inspect": [],
        "lint": [],
    }
    sealed = b""

    def timed(name: str, action: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = action()
        times[name].append((time.perf_counter() - start) * 1000)
        return result

    def signed() -> bytes:
        pdf = report.render_report(paper, environment)
        sealing = functools.partial(seal.seal, reason="bench", location="bench")
        return bytes(timed("seal", lambda: sealing(pdf, key, signed_at=SEALED_AT)))

    report.render_report(paper, environment)
    for _ in range(runs):
        sealed = timed("signed", signed)
        timed("plain", lambda: report.render_plain(paper, environment))
        timed("inspect", functools.partial(seal_check.inspect, sealed, [key.certificate]))
        timed("lint", functools.partial(lint.lint, sealed))
    medians = {f"{name}_ms": statistics.median(values) for name, values in times.items()}
    ratio = medians["signed_ms"] / medians["plain_ms"]
    return medians | {"ratio": ratio, "kilobytes": len(sealed) / 1000}


def two_workers_against_one(papers: int = 24, rounds: int = 3) -> dict[str, float]:
    """Sealed papers a second from one render process and from two, taken in turns.

    Returns ``one_per_second``, ``two_per_second`` (medians of ``rounds``) and ``ratio``.
    """
    paper, job = day_paper(), seal_job()

    def rate(pool: rendering.RenderPool, threads: int, count: int = papers) -> float:
        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(threads) as executor:
            list(executor.map(lambda _: pool.render(paper, job), range(count)))
        return count / (time.perf_counter() - start)

    rates: dict[int, list[float]] = {1: [], 2: []}
    with rendering.RenderPool(1) as one, rendering.RenderPool(2) as two:
        for pool, workers in ((one, 1), (two, 2)):
            rate(pool, workers, 2 * workers)  # the first papers pay for starting the processes
        for _ in range(rounds):
            rates[1].append(rate(one, 1))
            rates[2].append(rate(two, 2))
    first, second = statistics.median(rates[1]), statistics.median(rates[2])
    return {"one_per_second": first, "two_per_second": second, "ratio": second / first}


if __name__ == "__main__":
    print(signed_against_plain())
    print(two_workers_against_one())
