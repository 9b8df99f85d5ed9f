"""Other people's programs that a bench runs, installed by name beside the other dependencies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.rows import NotMeasured

SECONDS = 600


def node_packages(source: Path, home: Path) -> Path:
    """``home`` with the scripts of ``source`` and what their package.json names.

    Raises NotMeasured.
    """
    if shutil.which("npm") is None:
        raise NotMeasured("npm is missing")
    home.mkdir(parents=True, exist_ok=True)
    for file in [*source.glob("*.js"), source / "package.json"]:
        shutil.copy(file, home)
    done = home / "installed.json"
    wanted = (source / "package.json").read_text()
    if not done.exists() or done.read_text() != wanted:
        install(["npm", "install", "--no-audit", "--no-fund"], home)
        done.write_text(wanted)
    return home


def install(command: list[str], home: Path) -> None:
    """Run ``command`` in ``home``.  Raises NotMeasured with its last line when it fails."""
    print(f"installing: {' '.join(command)}", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(
            command, cwd=home, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{command[0]} took too long") from None
    if done.returncode:
        raise NotMeasured(last_line(done.stderr))


def last_line(text: str) -> str:
    """The last line of what a program said."""
    return (text.strip().splitlines() or ["no reason given"])[-1]
