"""A machine without any font of its own prints the same paper, byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.papers import RARE_NAME, whole_paper
from fieldapp.rendering import report_environment
from sync import glyphs, report

ROOT = Path(__file__).parent.parent.parent
NAMES = ("dispatch-order", "service-order")

FRESH = """
import ctypes, hashlib, json, re, sys
from bench.papers import whole_paper
from fieldapp.rendering import report_environment
from sync import report

sums = []
for name in sys.argv[1:]:
    pdf = report.render_report(whole_paper(name), report_environment("zh_CN"))
    sums.append(hashlib.sha256(pdf).hexdigest())

class FontSet(ctypes.Structure):
    _fields_ = [("count", ctypes.c_int), ("room", ctypes.c_int),
                ("patterns", ctypes.POINTER(ctypes.c_void_p))]

fontconfig = ctypes.CDLL("libfontconfig.so.1")
fontconfig.FcConfigGetFonts.restype = ctypes.POINTER(FontSet)
fontconfig.FcPatternGetString.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
known = fontconfig.FcConfigGetFonts(None, 0).contents
files = []
for number in range(known.count):
    file = ctypes.c_char_p()
    fontconfig.FcPatternGetString(known.patterns[number], b"file", 0, ctypes.byref(file))
    files.append(file.value.decode())
with open("/proc/self/maps") as maps:
    opened = {line.split(maxsplit=5)[5].strip() for line in maps if re.search("[.](ttf|ttc|otf|pf[ab])$", line)}
print(json.dumps({"sums": sums, "known": sorted(files), "opened": sorted(opened)}))
"""
"""What a process that just began makes, and the fonts that it knows and has open."""


def hidden_fonts() -> list[str]:
    """A command in front of which the machine's fonts are gone; nothing where that is forbidden."""
    folders = [
        folder for folder in ("/usr/share/fonts", "/usr/local/share/fonts") if Path(folder).is_dir()
    ]
    mounts = "".join(f"mount -t tmpfs none {folder} && " for folder in folders)
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", f'{mounts}exec "$@"', "sh"]
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if tried.returncode == 0 else []


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What such a process says, with an empty home."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        [*hidden_fonts(), sys.executable, "-c", FRESH, *NAMES],
        cwd=ROOT,
        env=kept | {"HOME": str(home), "FONTCONFIG_FILE": str(glyphs.FONTS_CONF)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


OURS = sorted(str(path) for path in glyphs.FONTS.glob("*.ttf"))


def test_it_knows_no_font_but_those_that_travel_along(fresh: Any) -> None:
    assert fresh["known"] == OURS


def test_it_opens_no_font_but_those_that_travel_along(fresh: Any) -> None:
    assert set(fresh["opened"]) <= set(OURS)


def test_its_papers_are_those_of_a_machine_with_fonts(
    fresh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FONTCONFIG_FILE", str(glyphs.FONTS_CONF))
    for name, sha256 in zip(NAMES, fresh["sums"], strict=True):
        pdf = report.render_report(whole_paper(name), report_environment("zh_CN"))
        assert hashlib.sha256(pdf).hexdigest() == sha256
        said = subprocess.run(["pdftotext", "-", "-"], input=pdf, capture_output=True, check=True)
        assert RARE_NAME in said.stdout.decode()


def test_a_configuration_that_knows_other_fonts_is_noticed(tmp_path: Path) -> None:
    """The same look at a machine's own configuration finds more."""
    other = tmp_path / "more"
    other.mkdir()
    (other / "Copy.ttf").write_bytes((glyphs.FONTS / "Names-Regular.ttf").read_bytes())
    config = tmp_path / "fonts.conf"
    config.write_text(f"<fontconfig><dir>{glyphs.FONTS}</dir><dir>{other}</dir></fontconfig>")
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        cwd=ROOT,
        env=os.environ | {"HOME": str(tmp_path), "FONTCONFIG_FILE": str(config)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["known"] == sorted([*OURS, str(other / "Copy.ttf")])
