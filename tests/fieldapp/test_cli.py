"""What the operator reads in the terminal."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """An installation where Dana is the desk."""
    folder = tmp_path_factory.mktemp("installation")
    done = fieldapp(
        folder, "user", "add", "dana", "--name", "Dana Roy", "--role", "dispatcher",
        "--password", "correct horse",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def fieldapp(folder, *arguments, **environment):
    """One run of the console command with ``environment`` and no other locale."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LC_", "LANG", "FIELDAPP_")) and name != "DATABASE_URL"
    }
    return subprocess.run(
        [sys.executable, "-c", "from fieldapp.cli import run; run()", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=kept
        | {"PYTHONPATH": os.pathsep.join(sys.path), "FIELDAPP_INSTANCE": str(folder)}
        | {"PYTHONUTF8": "1"}
        | environment,
    )


@pytest.mark.parametrize(
    ("locale", "told"),
    [
        (
            "zh_CN.UTF-8",
            ["parts.csv 第 2 行：name 为空。", "parts.csv 第 3 行：BAT-12 已在第 2 行出现。"],
        ),
        (
            "en_GB.UTF-8",
            [
                "parts.csv, line 2: name is empty.",
                "parts.csv, line 3: BAT-12 already stands on line 2.",
            ],
        ),
    ],
)
def test_bad_lines_are_told_in_the_language_of_the_terminal(installation, tmp_path, locale, told):
    (tmp_path / "parts.csv").write_text("code,name\nBAT-12,\nBAT-12,蓄电池\n", "utf-8")
    done = fieldapp(installation, "import", str(tmp_path), LANG=locale)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == told


def test_good_sheets_are_told_as_counts(installation, tmp_path):
    (tmp_path / "parts.csv").write_text("code,name\nBAT-12,蓄电池\n", "utf-8")
    done = fieldapp(installation, "import", str(tmp_path), LANG="zh_CN.UTF-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 parts created\n"
