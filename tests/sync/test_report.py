"""The paper: what stands on it, what travels in it, and what it refuses to be."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pikepdf
import pymupdf
import pytest
import rfc8785
import zxingcpp
from babel.messages.pofile import read_po
from PIL import Image

import sync
from bench.paper import day_paper
from fieldapp import formats
from fieldapp.rendering import report_environment
from sync import catalogue, glyphs, paper_view, report
from sync.papers import DISPATCH_ORDER, PAPERS, paper_named
from sync.problems import Problem

os.environ["FONTCONFIG_FILE"] = str(glyphs.FONTS_CONF)

ROOT = Path(sync.__file__).parent.parent
CHINESE = report_environment("zh_CN")
ENGLISH = report_environment("en")


def made(paper: Any, **options: Any) -> bytes:
    environment = CHINESE if paper["language"] == "zh_CN" else ENGLISH
    return report.render_report(paper, environment, **options)


def text_of(pdf: bytes) -> str:
    """The text as poppler reads it, without the spaces and line ends of the layout."""
    done = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True
    )
    return re.sub(r"\s+", "", done.stdout.decode())


def printed(
    change: Callable[[Any], None] | None = None,
    language: Any = "zh_CN",
    name: str = DISPATCH_ORDER,
) -> str:
    paper = day_paper(language, name)
    if change:
        change(paper)
    return text_of(made(paper))


def picture_of(pdf: bytes, folder: Path, page: int = 1) -> Image.Image:
    subprocess.run(
        ["pdftoppm", "-r", "110", "-png", "-f", str(page), "-l", str(page), "-", str(folder / "p")],
        input=pdf,
        check=True,
    )
    return Image.open(next(folder.glob("p*.png")))


def entry(kind: str, number: int = 0, /, **value: Any) -> dict[str, Any]:
    paper = day_paper()
    author = paper["snapshot"]["context"]["people"][0]["id"]
    return {
        "id": f"00000000-0000-7000-8000-{number:012d}",
        "kind": kind,
        "author": author,
        "wall_at": "2026-03-10T03:59:00Z",
        "value": value,
    }


def facts(paper: Any) -> dict[str, Any]:
    found: dict[str, Any] = paper["snapshot"]["facts"]
    return found


def set_field(paper: Any, path: str, *values: Any) -> None:
    for field in facts(paper)["fields"]:
        if field["path"] == path:
            field["values"] = list(values)


@pytest.fixture(scope="module")
def day() -> bytes:
    """The paper of the day on which Erin (李强) left a loaner with Cleo (王丽)."""
    return made(day_paper())


@pytest.fixture(scope="module")
def day_text(day: bytes) -> str:
    return text_of(day)


# what stands on it


@pytest.mark.parametrize(
    "words",
    [
        "故障处理派工单",
        "PG-20260310-001",
        "BX-20260310-001",
        "上海浦江文创园管理有限公司",
        "王丽",
        "无线报警主机",
        "保修期内",
        "保修截止日2026-09-14",
        "报警主机08:40起无显示",
        "严重故障",
        "2026-03-1009:55",
        "2026-03-1010:50",
        "2026-03-1010:48",
        "35分钟",
        "言行规范",
        "佩戴工牌",
        "穿鞋套",
        "DC-DC模块击穿",
        "产品自身故障",
        "逐一触发测试",
        "BAT-2602-044",
        "带回返厂",
        "TH-20260310-001",
        "SP-WAH200-0007",
        "面板无显示",
        "备机代用",
        "响应及时",
        "现场负责人",
        "2026-03-1012:00",
        "后台数据与签字内容一致",
        "签字之后补充，客户未见",
        "2026-03-1010:46",
        "https://service.example/verify/",
        "1/3",
    ],
)
def test_the_work_order_says(day_text: str, words: str) -> None:
    assert words in day_text


def test_the_digest_stands_at_the_foot(day_text: str) -> None:
    (signature,) = day_paper()["signatures"]
    assert signature["digest"] in day_text


def test_what_the_customer_did_not_see_stands_after_the_signature(day_text: str) -> None:
    line = day_text.index("客户签字确认本行以上全部内容")
    assert day_text.index("北门夜间钥匙") > line
    assert day_text.index("时间更正") > line
    assert day_text.index("响应及时") < line


def test_an_english_contact_reads_english() -> None:
    text = printed(language="en")
    for words in ("Faultdispatchorder", "Inwarranty", "35minutes", "putinplace"):
        assert words in text
    assert "签字" not in text


def test_every_text_of_the_paper_has_a_chinese_translation() -> None:
    """Also the labels of the catalogue, which addenda of any kind may print."""
    folder = ROOT / "fieldapp" / "translations" / "zh_CN" / "LC_MESSAGES"
    known = set()
    for path in folder.glob("*.po"):
        with path.open("rb") as file:
            for message in read_po(file):
                ids = message.id if isinstance(message.id, tuple) else (message.id,)
                if message.string and all(message.string):
                    known.update(ids)
    folder = ROOT / "templates" / "report"
    template = "".join(path.read_text() for path in sorted(folder.glob("*.html")))
    asked = {paper.title for paper in PAPERS}
    asked |= set(re.findall(r'\b_\("([^"]+)"', template))
    asked |= set(re.findall(r'ngettext\(\s*"([^"]+)"', template))
    for kind in catalogue.KINDS:
        if kind.on_paper != "never":
            asked |= {kind.label, *(field.label for field in kind.fields if field.type != "hidden")}
    assert len(asked) > 90
    assert asked - known == set()


def test_numbers_the_server_has_not_given_are_dashes() -> None:
    def unnumbered(paper: Any) -> None:
        paper["snapshot"]["context"]["work_order"]["number"] = None
        paper["snapshot"]["context"]["request"]["number"] = None
        paper["notices"] = {}

    text = printed(unnumbered)
    assert "None" not in text
    assert "PG-" not in text
    assert "—" in text


def test_both_sides_of_a_conflict_are_printed(day_text: str) -> None:
    text = printed(lambda paper: set_field(paper, "diagnosis/text", "电源板击穿", "保险管熔断"))
    assert "电源板击穿" in text
    assert "保险管熔断" in text
    assert "同一项有两种记录" in text
    assert "同一项有两种记录" not in day_text


def test_a_refusal_is_an_equal_path(day_text: str) -> None:
    def refuse(paper: Any) -> None:
        paper["signatures"] = []
        paper["refusal"] = {
            "reason": "disagrees",
            "text": "我认为电源板早有问题",
            "witness_name": "陈经理",
        }
        facts(paper)["entries"].append(entry("refusal", **paper["refusal"]))

    text = printed(refuse)
    for words in ("拒绝签字", "对处理结果有异议", "我认为电源板早有问题", "陈经理"):
        assert words in text
        assert words not in day_text
    assert "签字人姓名" not in text


def test_a_visit_nobody_signed_says_so(day_text: str) -> None:
    assert "未签字。" in printed(lambda paper: paper.update(signatures=[]))
    assert "未签字。" not in day_text


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("pending", "部分已签字记录尚未上传"), ("mismatch", "以签字内容为准")],
)
def test_a_signature_that_is_not_verified_says_so(verdict: str, words: str, day_text: str) -> None:
    def judged(paper: Any) -> None:
        paper["signatures"][0]["verdict"] = verdict

    assert words in printed(judged)
    assert words not in day_text


def test_strokes_that_cannot_be_drawn_are_named_and_the_paper_is_made() -> None:
    def odd(paper: Any) -> None:
        paper["signatures"][0]["strokes"] = [["<svg onload=x>"]]

    assert "签字图形无法显示" in printed(odd)


def test_photos_that_cannot_be_shown_are_named() -> None:
    def travelling(paper: Any) -> None:
        first, second = paper["photos"]
        paper["photos"] = {first: {"state": "to-come"}, second: {"state": "unreadable"}}

    text = printed(travelling)
    assert "照片尚在手机中" in text
    assert "无法显示，原文件作为证据保存" in text
    assert "面板无显示" in text


def test_a_photo_that_does_not_decode_does_not_go_missing_in_silence() -> None:
    """The renderer leaves a broken picture out with a log line; the paper may not."""

    def broken(paper: Any) -> None:
        for photo in paper["photos"].values():
            photo["jpeg"] = b"no jpeg"

    assert printed(broken).count("无法显示") == 2


def test_a_loaner_taken_back_cites_its_notice() -> None:
    def come_back(paper: Any) -> None:
        facts(paper)["entries"] = [
            entry(
                "take-back",
                loaner_serial="SP-WAH200-0007",
                refitted_serial="WAH200-2508-00173",
                test_result="passed",
            )
        ]
        paper["snapshot"]["context"]["work_order"]["number"] = "PG-20260325-001"
        paper["snapshot"]["context"]["loaners"] = [
            {
                "notice": "TH-20260310-001",
                "entry": "e",
                "loaner_serial": "SP-WAH200-0007",
                "removed_serial": "WAH200-2508-00173",
                "issued_at": "2026-03-10T03:40:00Z",
            }
        ]

    assert "TH-20260310-001" in printed(come_back)
    text = printed(come_back, name="replacement-notice")
    for words in ("TH-20260310-001", "检测合格", "收回所凭派工单PG-20260325-001"):
        assert words in text


def test_a_visit_without_a_loaner_says_nothing_of_loaners() -> None:
    def plain(paper: Any) -> None:
        facts(paper)["entries"] = []

    assert "换上" not in printed(plain)


def test_an_asset_out_of_warranty_says_so_and_no_asset_is_no_block() -> None:
    def out(paper: Any) -> None:
        verdict = {"covered": False, "until_on": "2025-01-07", "reason": "expired"}
        paper["snapshot"]["context"]["asset"]["verdict"] = verdict

    text = printed(out)
    assert "保修期外" in text
    assert "保修截止日2025-01-07" in text

    def unknown(paper: Any) -> None:
        verdict = {"covered": False, "until_on": None, "reason": "unknown"}
        paper["snapshot"]["context"]["asset"]["verdict"] = verdict

    assert "保修期外" not in printed(unknown)

    def none(paper: Any) -> None:
        paper["snapshot"]["context"]["asset"] = None

    assert "保修截止日" not in printed(none)


def test_a_correction_before_the_signature_is_printed_in_place() -> None:
    def corrected(paper: Any) -> None:
        swap = next(one for one in facts(paper)["entries"] if one["kind"] == "swap")
        path = f"entries/{swap['id']}/installed_serial"
        facts(paper)["fields"].append({"path": path, "values": ["BAT-2602-999"]})

    text = printed(corrected)
    assert "BAT-2602-999" in text
    assert "BAT-2602-044" not in text


def test_later_voids_and_corrections_are_addenda() -> None:
    def later(paper: Any) -> None:
        swap = next(one for one in facts(paper)["entries"] if one["kind"] == "swap")
        paper["addenda"] = [
            entry("void", 1, entry=swap["id"], reason="记错了客户")
            | {"at": "2026-03-10T05:00:00Z"},
            entry("correction", 2, **{f"entries/{swap['id']}/removed_serial": "BAT-1"})
            | {"at": "2026-03-10T05:01:00Z"},
        ]

    text = printed(later)
    assert "撤销:更换备件" in text
    assert "记错了客户" in text
    assert "更正:更换备件" in text
    assert "拆下序列号BAT-1" in text
    # what was signed stays as it was signed
    assert "BAT-2307-118" in text


def test_an_entry_of_a_newer_version_is_not_lost() -> None:
    def newer(paper: Any) -> None:
        facts(paper)["entries"].append(entry("telemetry", unit="V", amount=12))

    text = printed(newer)
    assert "其他记录" in text
    assert "readingunit" in text.replace("李强·2026-03-1011:59", "") or "amount12" in text


def test_odd_values_of_any_type_are_printed_or_dashed() -> None:
    """The journal refuses nothing, so the paper may not either."""

    def odd(paper: Any) -> None:
        for at, kind in enumerate(catalogue.KINDS):
            if kind.policy == "add" and kind.on_paper == "signed":
                values = {field.name: [{"a": 1}, None][at % 2] for field in kind.fields}
                facts(paper)["entries"].append(entry(kind.name, 100 + at, **values))
                facts(paper)["entries"].append(entry(kind.name, 200 + at))

    assert printed(odd)


def test_after_200_rows_a_line_counts_the_rest(day_text: str) -> None:
    def many(paper: Any) -> None:
        facts(paper)["entries"] += [
            entry("swap", n, part_name=f"电池{n}", removed_serial="A", installed_serial="B")
            for n in range(229)
        ]

    text = printed(many)
    assert "另有30项，见附件visit.json" in text
    assert "电池198" in text
    assert "电池199" not in text
    assert "另有" not in day_text


def test_text_beyond_the_limit_is_cut_in_print_and_whole_in_the_data() -> None:
    paper: Any = day_paper()
    for number in range(30):
        facts(paper)["entries"].append(entry("note", number, text="长" * 4000))
    pdf = made(paper)
    assert text_of(pdf).count("长") < paper_view.TEXT + 4000
    with pikepdf.open(io.BytesIO(pdf)) as document:
        data = document.attachments["visit.json"].get_file().read_bytes().decode()
    assert data.count("长") == 30 * 4000


def test_a_downtime_that_never_ended_is_shown_open() -> None:
    def stopped(paper: Any) -> None:
        facts(paper)["entries"] = [entry("downtime", event="start", at="2026-03-10T03:20:00Z")]

    text = printed(stopped)
    assert "2026-03-1011:20–—" in text
    assert "分钟" not in text


# how it looks


def test_the_qr_code_leads_to_the_public_page(day: bytes, tmp_path: Path) -> None:
    found = zxingcpp.read_barcodes(picture_of(day, tmp_path))
    assert [one.text for one in found] == [day_paper()["verify_url"]]


def test_a_second_renderer_shows_the_same_ink(day: bytes, tmp_path: Path) -> None:
    """Fonts whose character ids are not glyph numbers look right in poppler and blank here."""
    with pymupdf.open(stream=day) as document:
        pixels = document[0].get_pixmap(dpi=110)
        assert "故障处理派工单" in document[0].get_text()
    other = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples).convert("L")
    poppler = picture_of(day, tmp_path).convert("L")
    title = (60, 80, 300, 120)

    def ink(image: Image.Image, box: tuple[int, int, int, int] | None = None) -> int:
        return sum((image.crop(box) if box else image).histogram()[:128])

    assert ink(other, title) > 500
    assert 0.8 < ink(other) / ink(poppler) < 1.25


def test_only_our_two_fonts_are_embedded(day: bytes) -> None:
    with pikepdf.open(io.BytesIO(day)) as document:
        names = {
            str(one.FontName).split("+")[1]
            for one in document.objects
            if isinstance(one, pikepdf.Dictionary) and one.get("/Type") == "/FontDescriptor"
        }
    assert names
    assert all(name.startswith("Noto-Sans-SC") for name in names)


def pages_with(pdf: bytes, words: str) -> list[int]:
    with pymupdf.open(stream=pdf) as document:
        return [at for at, page in enumerate(document, 1) if page.search_for(words)]


def test_a_notice_longer_than_a_page_flows_and_ends_with_the_signature() -> None:
    paper: Any = day_paper(name="replacement-notice")
    loaner = next(one for one in facts(paper)["entries"] if one["kind"] == "loaner")
    loaner["value"]["told_text"] = "系统正常。" * 780
    pdf = made(paper)
    assert pages_with(pdf, "系统正常。") == [1, 2]
    (last,) = pages_with(pdf, "客户签字确认本行以上全部内容")
    assert last == len(pikepdf.open(io.BytesIO(pdf)).pages)
    assert pages_with(pdf, "处理结果与签字确认") == [last]


# what travels in it


def test_the_data_travel_in_the_paper(day: bytes) -> None:
    paper = day_paper()
    with pikepdf.open(io.BytesIO(day)) as document:
        spec = document.attachments["visit.json"]
        assert spec.obj.AFRelationship == "/Data"
        assert spec.get_file().mime_type == "application/json"
        data = spec.get_file().read_bytes()
    assert data == report.visit_json(paper)
    assert data == rfc8785.dumps(
        {
            "token": paper["token"],
            "work_order": {
                "id": paper["snapshot"]["context"]["work_order"]["id"],
                "number": "PG-20260310-001",
            },
            "revision": 1,
            "snapshot": paper["snapshot"],
            "signatures": paper["signatures"],
            "addenda": paper["addenda"],
            "corrected": paper["corrected"],
            "previous_sha256": None,
        }
    )


def test_a_second_revision_carries_the_first(day: bytes) -> None:
    paper: Any = day_paper()
    sha256 = hashlib.sha256(day).hexdigest()
    paper |= {"revision": 2, "previous_pdf": day, "previous_sha256": sha256}
    pdf = made(paper)
    assert sha256 in text_of(pdf)
    with pikepdf.open(io.BytesIO(pdf)) as document:
        spec = document.attachments["previous.pdf"]
        assert spec.obj.AFRelationship == "/Supplement"
        assert spec.get_file().read_bytes() == day


def test_data_that_are_no_json_are_refused() -> None:
    paper: Any = day_paper()
    facts(paper)["entries"].append(entry("note", text="\ud800"))
    with pytest.raises(Problem) as refused:
        made(paper)
    assert refused.value.code == "report.failed"


# the same everywhere


def test_two_processes_make_the_same_bytes(day: bytes) -> None:
    script = (
        "import hashlib, os\n"
        "from sync import glyphs, report\n"
        "os.environ['FONTCONFIG_FILE'] = str(glyphs.FONTS_CONF)\n"
        "from bench.paper import day_paper\n"
        "from fieldapp.rendering import report_environment\n"
        "pdf = report.render_report(day_paper(), report_environment('zh_CN'))\n"
        "print(hashlib.sha256(pdf).hexdigest())\n"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "77"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"TZ": "America/New_York", "LANG": "C"},
    )
    assert done.stdout.strip() == hashlib.sha256(day).hexdigest()


def test_another_paper_makes_other_bytes(day: bytes) -> None:
    paper: Any = day_paper()
    paper["revision"] = 2
    assert made(paper) != day


# what it refuses


def test_names_of_kinds_and_fields_from_a_phone_are_text() -> None:
    hostile = '<img src="file:///etc/hostname">'

    def later(paper: Any) -> None:
        paper["addenda"].append(
            entry(hostile, 9, **{hostile: "x"}) | {"at": "2026-03-10T04:06:00Z"}
        )
        facts(paper)["entries"].append(entry("telemetry" + hostile, 8, **{hostile: "y"}))
        paper["corrected"].append(
            {
                "entry": facts(paper)["entries"][-1]["id"],
                "wall_at": "2026-03-10T03:59:00Z",
                "corrected_at": "2026-03-10T03:09:00Z",
            }
        )

    assert printed(later).count("<imgsrc=") >= 3


def test_hostile_text_is_text() -> None:
    hostile = (
        '<img src="http://olly.example/x"><link rel=attachment href="file:///etc/passwd">{{ 7*7 }}'
    )

    def attack(paper: Any) -> None:
        for field in facts(paper)["fields"]:
            field["values"] = [hostile]
        for one in facts(paper)["entries"]:
            one["value"] = dict.fromkeys(one["value"], hostile)
        for part in ("customer", "site", "contact", "asset"):
            block = paper["snapshot"]["context"][part]
            for name in block:
                if isinstance(block[name], str):
                    block[name] = hostile
        paper["organisation"]["name"] = hostile
        paper["signatures"][0] |= {"name": hostile, "opinion": hostile, "role": hostile}

    text = printed(attack)
    assert "http://olly.example/x" in text
    assert "root:" not in text
    assert "{{7*7}}" in text


@pytest.mark.parametrize(
    "attack",
    [
        '<img src="http://127.0.0.1:1/x.png">',
        '<link rel="stylesheet" href="file:///etc/passwd">',
        '<a rel="attachment" href="file:///etc/hostname">x</a>',
        '<style>@import "http://127.0.0.1:1/x.css"</style>',
        '<div style="background: url(data:image/png;base64,AAAA)">x</div>',
        '<img src="picture:photo-of-somebody-else">',
        '<object data="http://127.0.0.1:1/x.svg"></object>',
    ],
)
def test_a_template_that_asks_for_a_file_is_refused(attack: str) -> None:
    css = (ROOT / "templates" / report.STYLES).read_text()
    page = f"<!DOCTYPE html><html><title>t</title><body>{attack}</body></html>"
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({paper_named(DISPATCH_ORDER).template: page, report.STYLES: css}),
        autoescape=True,
    )
    environment.filters["money"] = formats.money
    with pytest.raises(Problem) as refused:
        report.render_report(day_paper(), environment)
    assert refused.value.code == "report.fetch-denied"


def test_a_character_without_a_glyph_is_an_error_and_can_be_spelled_out() -> None:
    paper: Any = day_paper()
    paper["signatures"][0]["opinion"] = "满意\U0001f600"
    with pytest.raises(Problem) as refused:
        made(paper)
    assert refused.value.code == "report.missing-glyph"
    assert refused.value.args_ == {"characters": "\U0001f600 (U+1F600)"}
    assert "满意[U+1F600]" in text_of(made(paper, replace_missing=True))


def test_unseen_characters_do_not_reach_the_print() -> None:
    def unseen(paper: Any) -> None:
        set_field(paper, "fault/text", "金额\u202e001\u202c元\u200b整\x07\ufeff")

    assert "金额001元整" in printed(unseen)
