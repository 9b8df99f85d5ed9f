"""``python -m bench.audit``: Lighthouse's mobile preset on the pages people see most.

Debian's Chromium, the demo day on a real server; the engineer's pages are answered by his worker.
Lighthouse (Apache-2.0) and puppeteer-core (Apache-2.0) come from npm into ``.venv/audit``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.packages import node_packages
from bench.rows import NotMeasured, Row

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "browser"))  # as pytest does for its modules

from day import Day  # noqa: E402
from server import Server  # noqa: E402

HOME = Path(os.environ.get("AUDIT", ".venv/audit")).absolute()
SECONDS = 600
LEAST = {"performance": 95, "accessibility": 100, "best practices": 100}
ENGINEER, DISPATCHER = "liqiang", "chen"


def main() -> int:
    """Print a row for each page; 0 when all of them keep the budget."""
    chromium = shutil.which("chromium")
    try:
        if chromium is None:
            raise NotMeasured("chromium is missing")
        home = node_packages(HERE, HOME)
    except NotMeasured as reason:
        print(f"not measured: {reason}")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "instance")
        day = Day(server)
        server.start()
        try:
            return _audit(home, chromium, server, day)
        finally:
            server.stop()


def _audit(home: Path, chromium: str, server: Server, day: Day) -> int:
    who = {"engineer": ENGINEER, "dispatcher": DISPATCHER}
    asked = {
        "chromium": chromium,
        "url": server.url,
        "people": {
            role: {"account": account, "password": server.accounts[account].password}
            for role, account in who.items()
        },
        "pages": [
            {"name": "sign-in", "path": "/sign-in", "as": ""},
            {"name": "list", "path": "/visits", "as": "engineer"},
            {"name": "visit", "path": f"/visits/{day.visits['on-site']}", "as": "engineer"},
            {"name": "hand-over", "path": f"/visits/{day.visits['ready']}/signatures",
             "as": "engineer"},
            {"name": "board", "path": "/desk", "as": "dispatcher"},
        ],
    }  # fmt: skip
    done = subprocess.run(
        ["node", "audit.js"], cwd=home, input=json.dumps(asked), capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    rows, lost = [], {}
    for line in done.stdout.splitlines():
        page = json.loads(line)
        found = " ".join(str(score) for score in page["scores"])
        budget = " ".join(f"≥ {least}" for least in LEAST.values())
        is_kept = all(
            score >= least for score, least in zip(page["scores"], LEAST.values(), strict=True)
        )
        rows.append(Row(page["name"], f"{found}  ({', '.join(LEAST)})", budget, is_kept))
        lost[page["name"]] = page["lost"]
    for row in rows:
        print(row)
        for audit in lost[row.name]:
            print(f"    {audit}")
    if done.returncode or len(rows) < len(asked["pages"]):
        print(done.stderr.strip() or "Lighthouse gave up")
        return 1
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
