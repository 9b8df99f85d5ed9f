"""Prose stays true: what a document names exists, and what exists is named."""

from __future__ import annotations

import hashlib
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
    *sorted(ROOT.glob("*/README.md")),
    *sorted(ROOT.glob("*/*/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
_PATH = re.compile(
    r"[`(\"](?!http)((?:docs|fieldapp|sync|templates|static|tests|bench)/[\w./-]*|[\w-]+\.md)[`)\"]"
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


def is_ours(command) -> bool:
    """Not one that a library adds once somebody asked for help."""
    return (command.callback or main).__module__.startswith("fieldapp")


def test_every_command_is_in_the_readme():
    text = (ROOT / "README.md").read_text("utf-8")
    for name, command in main.commands.items():
        if not is_ours(command):
            continue
        assert f"fieldapp {name}" in text or f"make {name}" in text, name


def test_the_changelogs_first_heading_is_the_version():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## \d+\.\d+\.\d+$", text, re.MULTILINE)


def named_in(document: str) -> list[str]:
    """What the rows of a document's tables are about, in their order."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_nothing_is_documented_that_is_not_there():
    assert named_in("settings.md") == [setting.variable for setting in SETTINGS]
    assert named_in("operations.md") == [kind.name for kind in catalogue.KINDS]
    assert named_in("problems.md") == [kind.code for kind in problems.KINDS]


def test_every_loss_of_others_has_its_row_and_every_test_named_there_exists():
    text = (ROOT / "docs" / "sync.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 53))
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 40
    assert named <= tests


def test_no_command_is_named_that_is_none():
    for document in DOCUMENTS:
        for name in re.findall(r"`fieldapp ([a-z]+)", document.read_text("utf-8")):
            assert name in main.commands, f"{document.name}: fieldapp {name}"


def test_who_may_and_what_stands_on_paper_is_documented():
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for kind in catalogue.KINDS:
        assert f"| {kind.policy} | {kind.on_paper} | {', '.join(kind.roles)} |" in next(
            line for line in text.splitlines() if line.startswith(f"| `{kind.name}` |")
        )


def test_a_path_that_does_not_exist_would_be_found(tmp_path):
    document = tmp_path / "README.md"
    document.write_text('`sync/nothing.py`, [this](docs/none.md), <img src="docs/none.png">')
    assert paths_in(document) == {"sync/nothing.py", "docs/none.md", "docs/none.png"}


def test_no_document_names_a_folder_of_somebodys_machine():
    for document in DOCUMENTS:
        folders = r"(?<![\w.`/>])/(home|root|work|tmp|Users|opt|srv)/\w"
        assert not re.search(folders, document.read_text("utf-8")), document.name


def test_other_peoples_files_are_the_ones_that_are_named():
    vendor = ROOT / "static/vendor"
    told = re.findall(r"^([0-9a-f]{64})  (\S+)$", (vendor / "README.md").read_text("utf-8"), re.M)
    named = {name: digest for digest, name in told}
    here = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.iterdir()
        if path.name != "README.md"
    }
    assert named == here
