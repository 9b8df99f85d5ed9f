"""Every check, one after another; prints the seconds of each and fails when any of them fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

PYTEST = [sys.executable, "-m", "pytest"]
# Each process opens its own servers and browser, and waits for them: one more than there are cores.
# The simulator takes every core by itself.
PROCESSES = min((os.cpu_count() or 1) + 1, 4)
SHARED = [*PYTEST, f"--numprocesses={PROCESSES}", "--dist=worksteal"]
SERVER = [*SHARED, "--ignore=tests/browser", "--ignore=tests/simulator"]
ON_POSTGRESQL = "--database=postgresql"

CHECKS = {
    "format": [str(BIN / "ruff"), "format", "--check", "."],
    "style": [str(BIN / "ruff"), "check", "."],
    "types": [str(BIN / "mypy")],
    "rules and server": SERVER,
    "server on PostgreSQL": [*SERVER, ON_POSTGRESQL],
    "histories": [*PYTEST, "tests/simulator"],
    "histories on PostgreSQL": [*PYTEST, "tests/simulator", ON_POSTGRESQL],
    "browser": [*SHARED, "tests/browser"],
}


def main() -> int:
    """Run the checks; 0 when all passed."""
    failed = []
    seconds = {}
    for name, command in CHECKS.items():
        print(f"== {name}", flush=True)
        start = time.monotonic()
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
        seconds[name] = time.monotonic() - start
    for name, spent in seconds.items():
        print(f"{name:<24} {spent:7.1f} s  {'FAILED' if name in failed else 'passed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
