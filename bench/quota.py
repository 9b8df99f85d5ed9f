"""A slower machine: a CPU quota for one browser and all its processes, through a cgroup of ours.

A browser's own throttling slows the page and not its worker.  A quota for the whole browser slows
both; the cgroup is made below one that exists already, and nothing else is moved or changed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.rows import NotMeasured

PERIOD_US = 2000  # short, so that a tap meets the limit many times and not by chance


class Quota:
    """A cgroup whose processes share so many cores."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._is_v2 = (folder / "cpu.max").exists()

    def limit(self, cores: float) -> None:
        """All processes in it together get ``cores`` from now on."""
        self._write(round(cores * PERIOD_US))

    def lift(self) -> None:
        """No limit any more."""
        self._write(None)

    def throttled(self) -> int:
        """How often its processes had to wait so far."""
        lines = (self.folder / "cpu.stat").read_text().splitlines()
        return int(dict(line.split() for line in lines)["nr_throttled"])

    def launcher(self, program: str, folder: Path) -> Path:
        """A script in ``folder`` that starts ``program`` inside."""
        script = folder / "limited"
        procs = shlex.quote(str(self.folder / "cgroup.procs"))
        script.write_text(f'#!/bin/sh\necho $$ > {procs}\nexec {shlex.quote(program)} "$@"\n')
        script.chmod(0o700)
        return script

    def _write(self, quota_us: int | None) -> None:
        if self._is_v2:
            text = "max" if quota_us is None else str(quota_us)
            (self.folder / "cpu.max").write_text(f"{text} {PERIOD_US}")
            return
        (self.folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (self.folder / "cpu.cfs_quota_us").write_text(str(-1 if quota_us is None else quota_us))


@contextlib.contextmanager
def open_quota() -> Iterator[Quota]:
    """A cgroup for as long as it is needed.  Raises NotMeasured where none can be made."""
    folder = _make_folder()
    try:
        yield Quota(folder)
    finally:
        _remove(folder)


def _make_folder() -> Path:
    for parent in _parents():
        folder = parent / f"fieldapp-bench-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        has_limit = (folder / "cpu.max").exists() or (folder / "cpu.cfs_quota_us").exists()
        if has_limit and _takes_processes(folder):
            return folder
        _remove(folder)
    raise NotMeasured("no writable cgroup with a CPU quota")


def _parents() -> Iterator[Path]:
    """Cgroups that may hold ours: this process's own with what lies above it, nearest first."""
    own = dict(_own_cgroups())
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        mount, (type_, _, options) = Path(before.split()[4]), after.split(" ", 2)
        if type_ == "cgroup2":
            inside = own.get("", "/")
        elif type_ == "cgroup" and "cpu" in options.split(","):
            inside = own.get("cpu", "/")
        else:
            continue
        nearest = mount / inside.lstrip("/")
        yield from (each for each in (nearest, *nearest.parents) if each.is_relative_to(mount))


def _own_cgroups() -> Iterator[tuple[str, str]]:
    """The path of this process's cgroup by controller; version 2 has the name ``""``."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        yield from ((controller, path) for controller in controllers.split(","))


def _takes_processes(folder: Path) -> bool:
    command = ["sh", "-c", 'echo $$ > "$0"', str(folder / "cgroup.procs")]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


def _remove(folder: Path) -> None:
    """Once its last process has ended; a few seconds at most."""
    for _ in range(50):
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.1)
