"""sync.problems: one catalogue, each code once, each sentence complete."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from sync.problems import CATALOGUE, KINDS, Problem, sentence

ROOT = Path(__file__).parents[2]
ARGUMENTS = {"minutes", "serial", "kind", "field", "limit", "character", "characters", "url",
             "rule", "reason", "called", "part", "then", "now", "seconds"}  # fmt: skip


def placeholders(code: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", CATALOGUE[code].sentence))


def raised() -> list[tuple[str, str, set[str], bool]]:
    """Where a Problem is made: place, code, its arguments, and whether there may be more."""
    found = []
    for path in sorted(path for top in ("sync", "fieldapp") for path in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "Problem"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                names = {keyword.arg for keyword in node.keywords}
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                found.append((place, node.args[0].value, names - {None}, None in names))
    return found


def test_every_code_stands_once():
    counts = Counter(kind.code for kind in KINDS)
    assert [code for code, count in counts.items() if count > 1] == []
    assert set(CATALOGUE) == set(counts)


def test_codes_are_two_words_with_a_point():
    assert [code for code in CATALOGUE if not re.fullmatch(r"[a-z-]+\.[a-z0-9-]+", code)] == []


def test_an_error_has_a_status_and_a_flag_has_none():
    for kind in KINDS:
        if kind.type == "flag":
            assert (kind.status, kind.retry) == (0, False), kind.code
        else:
            assert 400 <= kind.status < 600, kind.code


def test_every_sentence_can_be_filled_in():
    for kind in KINDS:
        known = dict.fromkeys(ARGUMENTS, "7")
        assert "%(" not in kind.sentence % known, kind.code
        assert placeholders(kind.code) <= ARGUMENTS
        assert kind.sentence[0].isupper() or kind.sentence.startswith("%(")
        assert kind.sentence.rstrip().endswith((".", "%(url)s", "%(rule)s", "%(reason)s"))


def test_every_problem_that_is_raised_is_in_the_catalogue():
    assert [(place, code) for place, code, *_ in raised() if code not in CATALOGUE] == []


def test_every_error_that_is_raised_fills_its_sentence():
    lacking = [
        (place, code, sorted(placeholders(code) - names))
        for place, code, names, more in raised()
        if CATALOGUE[code].type == "error" and not more and not placeholders(code) <= names
    ]
    assert lacking == []


def test_every_finding_of_validation_is_a_flag():
    source = (ROOT / "sync" / "validate.py").read_text("utf-8")
    codes = set(re.findall(r'"(field\.[a-z-]+)"', source))
    assert codes == {code for code in CATALOGUE if code.startswith("field.")}
    assert all(CATALOGUE[code].type == "flag" for code in codes)


def test_a_code_of_a_newer_version_stands_for_itself():
    assert sentence("weather.rain") == "weather.rain"
    assert sentence("page.unknown") == CATALOGUE["page.unknown"].sentence


def test_a_problem_carries_its_code_and_arguments():
    with pytest.raises(Problem) as caught:
        raise Problem("operation.unknown-kind", kind="teleport")
    assert (caught.value.code, caught.value.args_) == (
        "operation.unknown-kind", {"kind": "teleport"},
    )  # fmt: skip
