"""What the sheets of an import are, and bad lines in the words of whoever has to mend them."""

import re
from pathlib import Path
from string import Formatter

import pytest

from fieldapp.languages import load_messages
from fieldapp.sheets import PLACE, REASONS, TABLES, BadLine, ImportRefused

TEXTS = load_messages("import")


def arguments_of(sentence):
    return sorted(name for _, name, _, _ in Formatter().parse(sentence) if name)


def test_a_bad_line_is_said_in_both_languages():
    line = BadLine("parts.csv", 3, "import.twice", {"value": "BAT-12", "first": 2})
    assert line.sentence_in(TEXTS["en"]) == "BAT-12 already stands on line 2."
    assert line.sentence_in(TEXTS["zh_CN"]) == "BAT-12 已在第 2 行出现。"
    assert line.text_in(TEXTS["en"]) == "parts.csv, line 3: BAT-12 already stands on line 2."
    assert line.text_in(TEXTS["zh_CN"]) == "parts.csv 第 3 行：BAT-12 已在第 2 行出现。"


def test_what_a_cell_holds_is_no_placeholder():
    line = BadLine("parts.csv", 3, "import.unknown", {"column": "part", "value": "{line}{0}"})
    assert line.text_in(TEXTS["zh_CN"]) == "parts.csv 第 3 行：part：没有 {line}{0}。"


@pytest.mark.parametrize("sentence", [PLACE, *REASONS.values()])
def test_every_sentence_has_a_chinese_one_with_the_same_arguments(sentence):
    chinese = TEXTS["zh_CN"][sentence]
    assert chinese != sentence
    assert arguments_of(chinese) == arguments_of(sentence)


def test_a_refusal_tells_its_lines_in_the_order_of_the_files():
    refused = ImportRefused(
        [
            BadLine("parts.csv", 2, "import.encoding"),
            BadLine("customers.csv", 4, "import.empty", {"column": "name"}),
        ]
    )
    assert refused.text_in(TEXTS["zh_CN"]).splitlines() == [
        "customers.csv 第 4 行：name 为空。",
        "parts.csv 第 2 行：文件既不是 UTF-8 也不是 GB18030 编码。",
    ]
    assert str(refused).startswith("customers.csv, line 4: name is empty.\n")


def test_the_document_describes_every_file_and_column():
    text = (Path(__file__).parents[2] / "docs" / "import.md").read_text("utf-8")
    for table in TABLES:
        section = text.split(f"## {table.file}")[1].split("\n## ")[0]
        named = re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)
        assert named == [column.name for column in table.columns]
