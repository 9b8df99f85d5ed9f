"""What holds for every paper of the trade, in every language."""

from __future__ import annotations

import io
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pikepdf
import pymupdf
import pytest
import zxingcpp
from PIL import Image

from bench.papers import RARE_NAME, TRAINEES, taught_paper, trade_paper, whole_paper
from fieldapp.rendering import report_environment
from sync import catalogue, glyphs, report
from sync.lint import lint
from sync.paper_view import PaperView
from sync.papers import PAPERS, paper_named
from sync.problems import Problem

os.environ["FONTCONFIG_FILE"] = str(glyphs.FONTS_CONF)

NAMES = [paper.name for paper in PAPERS]
PRINTED: dict[str, tuple[str, ...]] = {
    "dispatch-order": ("BAT-2602-044", "¥680.00", "同意报价", "电源模块"),
    "replacement-notice": ("TH-20260310-001", "SP-WAH200-0007", "临时代替"),
    "feedback-form": ("处理结果", "响应及时"),
    "service-order": ("人工费", "¥240.00", "¥680.00", "FP-20260310-18"),
    "warranty-record": ("BAT-2307-118", "BAT-2602-044", "保修期内"),
    "inspection-sheet": ("蓄电池内阻", "38mΩ", "异常"),
    "implementation-sheet": ("具体处理措施", "数据备份声明", "培训记录"),
    "acceptance-list": ("备机的操作与布防、撤防", "受训人员"),
}
"""What each paper is there for."""


def made(paper: Any) -> bytes:
    return report.render_report(paper, report_environment(paper["language"]))


@pytest.fixture(scope="module", params=NAMES)
def sheet(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    """A paper's name and its PDF in Chinese."""
    return request.param, made(whole_paper(request.param))


def told(command: list[str], pdf: bytes, folder: Path) -> str:
    (folder / "paper.pdf").write_bytes(pdf)
    done = subprocess.run([*command, str(folder / "paper.pdf")], capture_output=True, check=True)
    return done.stdout.decode()


def text_of(pdf: bytes) -> str:
    command = ["pdftotext", "-layout", "-", "-"]
    done = subprocess.run(command, input=pdf, capture_output=True, check=True)
    return re.sub(r"\s+", "", done.stdout.decode())


def test_it_is_sound_pdf_a(sheet: tuple[str, bytes], tmp_path: Path) -> None:
    assert list(lint(sheet[1])) == []
    said = told(["qpdf", "--check"], sheet[1], tmp_path)
    assert "No syntax or stream encoding errors found" in said


def test_its_fonts_travel_along(sheet: tuple[str, bytes], tmp_path: Path) -> None:
    rows = told(["pdffonts"], sheet[1], tmp_path).splitlines()[2:]
    assert rows
    assert all(re.search(r" yes +yes +yes +\d+ +\d+$", row) for row in rows), rows
    ours = {family.replace(" ", "-") for family in glyphs.FAMILIES}
    assert {row.split()[0].partition("+")[2].removesuffix("-Bold") for row in rows} == ours


def test_it_says_what_it_is_for(sheet: tuple[str, bytes]) -> None:
    name, pdf = sheet
    text = text_of(pdf)
    title = {
        "dispatch-order": "故障处理派工单", "replacement-notice": "故障处理备品替换通知",
        "implementation-sheet": "工程实施单", "acceptance-list": "验收表",
    }  # fmt: skip
    for words in (title.get(name, ""), "上海浦江文创园管理有限公司", "王丽", RARE_NAME, "1/"):
        assert words in text
    for words in PRINTED[name]:
        assert words in text, words


def test_its_code_leads_to_the_public_page(sheet: tuple[str, bytes]) -> None:
    with pymupdf.open(stream=sheet[1]) as document:
        pixels = document[0].get_pixmap(dpi=110)
    page = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
    assert [one.text for one in zxingcpp.read_barcodes(page)] == [
        whole_paper(sheet[0])["verify_url"]
    ]


def test_two_renderers_show_the_same_ink(sheet: tuple[str, bytes]) -> None:
    with pymupdf.open(stream=sheet[1]) as document:
        pixels = document[0].get_pixmap(dpi=60)
    one = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
    drawn = subprocess.run(
        ["pdftoppm", "-r", "60", "-png", "-f", "1", "-l", "1", "-singlefile", "-"],
        input=sheet[1],
        capture_output=True,
        check=True,
    )
    inks = [sum(image.convert("L").histogram()[:128]) for image in
            (one, Image.open(io.BytesIO(drawn.stdout)))]  # fmt: skip
    assert min(inks) > 1000
    assert 0.8 < inks[0] / inks[1] < 1.25


def test_two_renderers_show_every_character_of_a_rare_name(sheet: tuple[str, bytes]) -> None:
    scale = 4
    with pymupdf.open(stream=sheet[1]) as document:
        number, page = next(each for each in enumerate(document) if each[1].search_for(RARE_NAME))
        places = [page.search_for(character)[0] * scale for character in RARE_NAME]
        pixels = page.get_pixmap(dpi=72 * scale)
    one = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
    which = ["-f", str(number + 1), "-l", str(number + 1)]
    drawn = subprocess.run(
        ["pdftoppm", "-r", str(72 * scale), "-png", *which, "-singlefile", "-"],
        input=sheet[1],
        capture_output=True,
        check=True,
    )
    other = Image.open(io.BytesIO(drawn.stdout))
    for place in places:
        inks = [sum(image.crop(tuple(place)).convert("L").histogram()[:128])
                for image in (one, other)]  # fmt: skip
        assert min(inks) > 50
        assert 0.8 < inks[0] / inks[1] < 1.25


def test_a_character_from_any_other_font_stops_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "FAMILIES", {"Noto Sans SC": "NotoSansSC"})
    with pytest.raises(Problem) as refused:
        made(whole_paper("dispatch-order"))
    assert refused.value.code == "report.failed"
    assert refused.value.args_ == {"reason": "font Fieldapp Names"}


def test_the_whole_signed_record_travels_in_it(sheet: tuple[str, bytes]) -> None:
    with pikepdf.open(io.BytesIO(sheet[1])) as document:
        data = document.attachments["visit.json"].get_file().read_bytes()
    assert data == report.visit_json(whole_paper(sheet[0]))
    assert data == report.visit_json(whole_paper("dispatch-order"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", ["en", "both"])
def test_it_speaks_english_and_both(name: str, language: Any) -> None:
    text = text_of(made(whole_paper(name, language)))
    assert re.sub(r"\s+", "", paper_named(name).title) in text
    chinese = "联系人" in text
    assert chinese == (language == "both")


@pytest.mark.parametrize("rows", [0, 7, 14, 21, 28, 200])
@pytest.mark.parametrize("name", ["dispatch-order", "warranty-record"])
def test_nothing_stands_alone_on_a_last_page(name: str, rows: int) -> None:
    paper: Any = whole_paper(name)
    swaps = [
        {
            "id": f"00000000-0000-7000-8000-{100 + number:012d}",
            "kind": "swap",
            "author": paper["snapshot"]["context"]["people"][0]["id"],
            "wall_at": "2026-03-10T03:30:00Z",
            "value": {
                "part_name": f"探测器 {number}",
                "removed_serial": f"DET-{number}",
                "installed_serial": f"DET-N-{number}",
                "fate": "scrap",
            },
        }
        for number in range(rows)
    ]
    paper["snapshot"]["facts"]["entries"] += swaps
    with pymupdf.open(stream=made(paper)) as document:
        last = document[-1]
        blocks = [block[4].strip() for block in last.get_text("blocks") if block[6] == 0]
    # beside running head and foot: at least the signatures with a row of what they stand for
    assert "".join(blocks).count("客户签字确认本行以上全部内容") <= 1
    assert len([block for block in blocks if block]) >= 8, blocks


@pytest.mark.parametrize("name", ["implementation-sheet", "acceptance-list"])
def test_everybody_who_signed_stands_on_the_paper_and_who_signs_last_is_last(name: str) -> None:
    text = text_of(made(taught_paper(name)))
    hand = text[text.index("处理结果与签字确认") :]
    places = [hand.index(person) for person in (*TRAINEES, "沈主任")]
    assert places == sorted(places)
    assert hand.count("受训人员") == 3
    assert "故障" not in text


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 9, 12, 15, 18, 21, 24, 27, 60])
def test_the_last_of_many_signatures_keep_together(count: int) -> None:
    trainees = tuple(f"受训人{number:02}" for number in range(count))
    with pymupdf.open(stream=made(taught_paper("acceptance-list", "zh_CN", trainees))) as document:
        pages = [re.sub(r"\s", "", page.get_text()) for page in document]
    last, everything = pages[-1], "".join(pages)
    assert all(everything.count(name) == 2 for name in trainees)
    signed = [name for name in (*trainees, "沈主任") if name in last]
    assert signed[-1] == "沈主任"
    assert len(signed) >= min(3, count + 1)
    assert "客户签字确认本行以上全部内容" in last


class Outline(HTMLParser):
    """What a paper's page is made of: of each heading and each row of a table, what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[list[str]] = []
        self.rows: list[list[str]] = []
        self.cell: list[str] | None = None
        self.in_heading = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "h2":
            self.headings.append([])
            self.in_heading = True
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.cell = [] if tag == "td" else None
        elif tag == "img" and self.cell is not None:
            self.handle_data("picture")

    def handle_endtag(self, tag: str) -> None:
        if tag == "h2":
            self.in_heading = False
        elif tag == "td" and self.cell is not None and self.rows:
            self.rows[-1].append("".join(self.cell).strip())
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.append(data)
        if self.headings and not self.in_heading and data.strip(" \n\t—"):
            self.headings[-1].append(data)


def outline_of(paper: Any) -> Outline:
    environment = report_environment(paper["language"])
    view = PaperView(paper, set(), False, environment.filters["money"])
    kind = paper_named(paper["name"])
    html = environment.get_template(kind.template).render(view=view, paper=paper, title=kind.title)
    outline = Outline()
    outline.feed(html)
    return outline


def stripped(name: str, kept: str) -> Any:
    """The whole paper without anything but its entries of the kind ``kept``, or that path."""
    paper: Any = whole_paper(name)
    facts = paper["snapshot"]["facts"]
    facts["entries"] = [entry for entry in facts["entries"] if entry["kind"] == kept]
    facts["fields"] = [field for field in facts["fields"] if field["path"] == kept]
    paper["addenda"], paper["corrected"] = [], []
    paper["snapshot"]["context"]["request"]["reported_at"] = None
    return paper


KEPT = ["nothing", "diagnosis/cause", "fault/text", "outcome/result"] + [
    kind.name for kind in catalogue.KINDS if kind.on_paper == "signed" and kind.policy == "add"
]


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("name", NAMES)
def test_no_heading_and_no_row_stands_without_anything_to_say(name: str, kept: str) -> None:
    outline = outline_of(stripped(name, kept))
    assert outline.headings
    assert all("".join(said) for said in outline.headings)
    empty = [cells for cells in outline.rows if cells and not "".join(cells).strip(" —\n")]
    assert empty == []


@pytest.mark.parametrize("language", ["zh_CN", "en", "both"])
@pytest.mark.parametrize("name", NAMES)
def test_a_paper_of_its_trade_speaks_every_language(name: str, language: Any) -> None:
    assert list(lint(made(trade_paper(name, language)))) == []


@pytest.mark.parametrize("length", range(420, 960, 60))
def test_a_row_is_not_torn_from_its_text_at_the_foot_of_a_page(length: int) -> None:
    paper: Any = whole_paper("warranty-record", "en")
    for field in paper["snapshot"]["facts"]["fields"]:
        if field["path"] == "diagnosis/text":
            field["values"] = ["主机电源板击穿，无输出。" * (length // 12)]
    with pymupdf.open(stream=made(paper)) as document:
        pages = [re.sub(r"\s", "", page.get_text()) for page in document]
    (measures,) = [page for page in pages if "Concretemeasurestaken" in page]
    assert "拆下故障主机" in measures
    assert "备机的使用注意事项" in measures


def test_a_long_diagnosis_keeps_its_place() -> None:
    paper: Any = whole_paper("dispatch-order")
    for field in paper["snapshot"]["facts"]["fields"]:
        if field["path"] == "diagnosis/text":
            field["values"] = ["主机电源板犇穿，" * 500]
    assert text_of(made(paper)).count("犇") == 500
