"""Prose stays true: what a document names exists, and what exists is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fieldapp.cli import main
from fieldapp.config import SETTINGS
from sync import catalogue, problems

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "STYLE.md",
    ROOT / "sync" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
_PATH = re.compile(
    r"[`(](?!http)((?:docs|fieldapp|sync|templates|static|tests|bench)/[\w./-]*|[\w-]+\.md)[`)]"
)


def paths_in(document: Path) -> set[str]:
    """Paths a document names in code or as the goal of a link, except patterns."""
    return {path for path in _PATH.findall(document.read_text("utf-8")) if "*" not in path}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_a_document_names_exists(document: Path):
    missing = [
        path
        for path in paths_in(document)
        if not (ROOT / path).exists() and not (document.parent / path).exists()
    ]
    assert missing == []


def test_paths_are_found_in_documents():
    assert "sync/merge.py" in paths_in(ROOT / "README.md")


def test_every_setting_is_documented_with_its_default():
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for setting in SETTINGS:
        line = next((line for line in text.splitlines() if f"`{setting.variable}`" in line), "")
        assert setting.sentence in line, setting.name
        assert str(setting.default) in line, setting.name


def test_every_operation_is_documented():
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for kind in catalogue.KINDS:
        assert f"| `{kind.name}` | `{kind.noun}` | {kind.label} | {kind.policy} |" in text


def test_every_problem_is_documented():
    text = (ROOT / "docs" / "problems.md").read_text("utf-8")
    for kind in problems.KINDS:
        line = next((line for line in text.splitlines() if f"| `{kind.code}` |" in line), "")
        assert kind.sentence in line, kind.code


def test_every_command_is_in_the_readme():
    text = (ROOT / "README.md").read_text("utf-8")
    for name in main.commands:
        assert f"fieldapp {name}" in text or f"make {name}" in text, name


def test_the_changelogs_first_heading_is_the_version():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## \d+\.\d+\.\d+$", text, re.MULTILINE)
