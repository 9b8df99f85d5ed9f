"""``python -m bench.peers``: one workload through fieldapp and through PouchDB, RxDB and Kinto.

All in one run on one machine, each by a client process over HTTP on loopback; the servers are
processes of their own.  ``VISITS`` and ``RUNS`` in the environment make it smaller.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench import ours
from bench.databases import KINDS
from bench.packages import SECONDS, install, last_line, node_packages
from bench.peers import kinto
from bench.rows import NotMeasured, Row, at_most
from bench.server import end, free_port, wait_for
from bench.workload import EDITED, VISITS, values_of
from fieldapp.ids import mint_id

HERE = Path(__file__).parent
HOME = Path(os.environ.get("PEERS", ".venv/peers")).absolute()
"""Where the peers are installed, beside the other dependencies; never committed."""

BUDGETS = {"push": {"SQLite": 6, "PostgreSQL": 9}, "pull": {"SQLite": 4.5, "PostgreSQL": 4.5}}
"""Times what PouchDB takes in memory; README.md beside this file says why so much."""


Found = dict[str, float]
Figures = dict[str, list[float]]
POUCHDB = "PouchDB to pouchdb-server, memory"
NOTES = (
    "fieldapp stores and sends all operations, and counts signing in as a device, validation,",
    "  receipts, conflict detection and SQLite with synchronous=FULL or PostgreSQL with fsync;",
    "  its pull carries whole states with conflicts, authors and the office's context.",
    "PouchDB sends the last body and the names of the ten revisions before; nothing is on a disk,",
    "  nobody signs in, nothing is validated, and a losing revision's notes are hidden.",
    "RxDB sends the last document; its server here is a map in memory, without users.",
    "Kinto gets the last record, in memory; who comes second is refused and must merge himself.",
)


def main() -> int:
    """Print the table and the ratios."""
    visits, runs = (int(os.environ.get(*each)) for each in (("VISITS", VISITS), ("RUNS", "3")))
    edited = min(EDITED, visits)
    print(f"{visits} visits × 10 operations, {edited} edited on both sides; median of {runs} runs")
    print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':36}{'push ms':>22}{'visits/s':>10}{'pull ms':>22}{'idle ms':>9}  edits")
    with tempfile.TemporaryDirectory(prefix="fieldapp-peers-") as folder:
        found = _measured(_peers(Path(folder), visits, edited), runs)
    for name, figures in found.items():
        print(_line(name, figures, visits, edited))
    for row in _budgets(found):
        print(row)
    print("Fairness:", *NOTES, sep="\n")
    return 0


def _peers(folder: Path, visits: int, edited: int) -> dict[str, Callable[[], Found]]:
    path = folder / "visits.json"
    now = datetime.now(UTC)
    work = [
        {
            "id": mint_id(now),
            "operations": [{"kind": kind, "value": value} for kind, value in values_of(each, now)],
        }
        for each in range(visits)
    ]
    path.write_text(json.dumps(work))

    def through(script: str, server: Callable[[int], list[str]]) -> Callable[[], Found]:
        return lambda: _through_node(script, server, path, edited)

    ours_on = {
        f"fieldapp, {kind}": (lambda kind=kind: ours.measure(kind, visits, edited))
        for kind in KINDS
    }
    return {
        **ours_on,
        POUCHDB: through("pouchdb.js", _pouchdb_server),
        "RxDB to a map in memory": through(
            "rxdb.js", lambda port: ["node", "rxdb_server.js", str(port)]
        ),
        "Kinto, memory": lambda: _through_kinto(work, edited),
    }


def _measured(work: dict[str, Callable[[], Found]], runs: int) -> dict[str, Figures | str]:
    """Every figure of every run, or why there is none.

    In turns: a machine that is busy for a while then slows all of them.
    """
    found: dict[str, Figures | str] = {name: {} for name in work}
    for _ in range(runs):
        for name, measure in work.items():
            figures = found[name]
            if isinstance(figures, str):
                continue
            try:
                for key, value in measure().items():
                    figures.setdefault(key, []).append(value)
            except (NotMeasured, RuntimeError, OSError, subprocess.SubprocessError) as reason:
                found[name] = str(reason)
    return found


def _line(name: str, figures: Figures | str, visits: int, edited: int) -> str:
    """A row of the table."""
    if isinstance(figures, str):
        return f"{name:36}not measured: {figures}"
    push = statistics.median(figures["push"])
    return (
        f"{name:36}{_range(figures['push']):>22}{1000 * visits / push:>10.0f}"
        f"{_range(figures['pull']):>22}{statistics.median(figures['idle']):>9.0f}"
        f"  {figures['conflicts'][-1]:.0f} conflicts found,"
        f" {figures['kept'][-1]:.0f} of {2 * edited} notes kept"
    )


def _range(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} [{min(values):.0f}–{max(values):.0f}]"


def _budgets(found: dict[str, Figures | str]) -> Iterator[Row]:
    peer = found[POUCHDB]
    for kind in KINDS:
        mine = found[f"fieldapp, {kind}"]
        for what in BUDGETS:
            limit = BUDGETS[what][kind]
            name = f"{what} against PouchDB, {kind}"
            if isinstance(mine, str) or isinstance(peer, str):
                yield Row(name, "one of both was not measured", f"≤ {limit:g} ×", None)
                continue
            ms, theirs = statistics.median(mine[what]), statistics.median(peer[what])
            yield at_most(name, ms / theirs, limit, "×", f"{ms:.0f} ms, theirs {theirs:.0f} ms")


def _through_node(
    script: str, server: Callable[[int], list[str]], path: Path, edited: int
) -> Found:
    home = node_packages(HERE, HOME / "node")
    port = free_port()
    with _process(server(port), port, home):
        done = subprocess.run(
            ["node", script, str(path), f"http://127.0.0.1:{port}", str(edited)],
            cwd=home, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    if done.returncode:
        raise NotMeasured(last_line(done.stderr))
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def _pouchdb_server(port: int) -> list[str]:
    given = ["--in-memory", "--no-stdout-logs", "--config", "pouchdb.json", "--port", str(port)]
    return ["node", "node_modules/pouchdb-server/bin/pouchdb-server", *given]


def _through_kinto(work: list[dict[str, object]], edited: int) -> Found:
    programs = _kinto_programs()
    port = free_port()
    command = [str(programs / "pserve"), str(HERE / "kinto.ini"), f"http_port={port}"]
    with _process(command, port, HOME):
        return kinto.measure(port, work, edited)


@contextmanager
def _process(command: list[str], port: int, home: Path) -> Iterator[None]:
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=home, stdout=log, stderr=log)
    try:
        wait_for(port, process)
        yield
    finally:
        end(process)


def _kinto_programs() -> Path:
    """The programs of an environment of Kinto's own.  Raises NotMeasured."""
    home = HOME / "kinto"
    if not (home / "bin" / "pserve").exists():
        HOME.mkdir(parents=True, exist_ok=True)
        install([sys.executable, "-m", "venv", str(home)], HOME)
        wanted = str(HERE / "requirements.txt")
        install([str(home / "bin" / "python"), "-m", "pip", "install", "-q", "-r", wanted], HOME)
    return home / "bin"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    start = time.monotonic()
    code = main()
    print(f"{time.monotonic() - start:.0f} s")
    sys.exit(code)
