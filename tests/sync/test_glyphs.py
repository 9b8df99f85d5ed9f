"""The characters the paper can print: named on the phone before anybody signs."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import brotli
import pytest
from fontTools.ttLib import TTFont

import sync
from sync import glyphs


@pytest.mark.parametrize("name", ["王丽", "欧阳䶮", "𬭚", "㼆", "Ève", "2·5 V ±3 %", "①→②", "𫖯"])
def test_names_and_signs_of_the_trade_have_glyphs(name: str) -> None:
    assert glyphs.missing_characters(name) == []


@pytest.mark.parametrize("name", ["𠮷野家", "𨋢", "𠝹", "𣍃", "𰜩"])
def test_names_of_neighbours_have_glyphs(name: str) -> None:
    """Japan's standard JIS X 0213, Hong Kong's supplementary set, Korea's personal names."""
    assert glyphs.missing_characters(name) == []


def test_a_character_of_no_font_is_named() -> None:
    assert glyphs.missing_characters("𱎪𠮷") == ["𱎪"]


@pytest.mark.parametrize("weight", ["Regular", "Bold"])
def test_rare_names_stand_in_line_with_all_others(weight: str) -> None:
    main, names = (
        TTFont(glyphs.FONTS / f"{name}-{weight}.ttf") for name in glyphs.FAMILIES.values()
    )
    assert "glyf" in names  # character ids of other outlines differ from glyph numbers
    assert not set(main.getBestCmap()) & set(names.getBestCmap())
    assert {names["hmtx"][name][0] for name in names.getBestCmap().values()} == {1000}
    for table, field in (
        ("head", "unitsPerEm"), ("hhea", "ascent"), ("hhea", "descent"), ("hhea", "lineGap"),
        ("OS/2", "usWeightClass"),
    ):  # fmt: skip
        assert getattr(main[table], field) == getattr(names[table], field)


def test_missing_characters_are_named_once_in_order() -> None:
    assert glyphs.missing_characters("a\ue000\U0001f600b\ue000") == ["\ue000", "\U0001f600"]
    assert glyphs.missing_characters("") == []


@pytest.mark.parametrize("unseen", ["\n", "\r\n", "\t", "\u200b", "\ufe0f", "\ud800", "\u2028"])
def test_what_is_never_printed_is_never_missing(unseen: str) -> None:
    assert glyphs.missing_characters(f"a{unseen}b") == []


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert glyphs.missing_characters("e\u0301") == glyphs.missing_characters("\xe9") == []


def test_the_phone_is_given_the_same_characters() -> None:
    runs = glyphs.coverage()
    points: set[int] = set()
    at = 0
    for skip, take in zip(runs[::2], runs[1::2], strict=True):
        points.update(range(at + skip, at + skip + take))
        at += skip + take
    assert ord("王") in points
    assert 0x1F600 not in points
    sample = [*range(0x21, 0x7F), *range(0x4E00, 0x9FFF, 7), *range(0x20000, 0x20200), 0xE000]
    missing = {one for point in sample for one in glyphs.missing_characters(chr(point))}
    assert {chr(point) for point in sample if point not in points} == missing
    # part of what a phone fetches before its first page without signal
    assert len(brotli.compress(json.dumps(runs, separators=(",", ":")).encode())) < 3000


def test_the_fonts_are_the_ones_we_vouch_for() -> None:
    sums = (glyphs.FONTS / "SHA256SUMS").read_text().split()
    for sha256, name in zip(sums[::2], sums[1::2], strict=True):
        assert hashlib.sha256((glyphs.FONTS / name).read_bytes()).hexdigest() == sha256


def test_forms_learn_of_them_without_the_libraries_of_the_paper() -> None:
    script = (
        "import sys\n"
        "from sync.glyphs import coverage\n"
        "coverage()\n"
        "print(sorted({'weasyprint', 'segno', 'PIL', 'sync.report'} & set(sys.modules)))\n"
    )
    folder = Path(sync.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
