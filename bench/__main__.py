"""``python -m bench``: one line a budget, as ratios within this run; it fails nothing."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.bulk import bulk_rows
from bench.download import kilobytes
from bench.memory import EARLY, LATE, resident_over
from bench.paper import signed_against_plain, two_workers_against_one
from bench.phone import phone_rows
from bench.rows import NotMeasured, Row, at_least, at_most

ORDERS, IDLE_ROUNDS = 40, 40
"""A small share of what ``make bench-bulk`` seals."""


def download_rows() -> Iterator[Row]:
    """Everything before the first page without signal."""
    found = kilobytes()
    details = "worker {worker:.0f}, shell {shell:.0f}, pages {pages:.0f}; as sent {sent:.0f}"
    yield at_most("download, brotli 11", found["brotli"], 130, "KB", details.format(**found))


def paper_rows() -> Iterator[Row]:
    """What the seal and the second worker bring."""
    one = signed_against_plain(10)
    details = "{signed_ms:.0f} ms, plain {plain_ms:.0f} ms".format(**one)
    yield at_most("signed PDF against plain", one["ratio"], 1.35, "×", details)
    two = two_workers_against_one(12)
    details = "{two_per_second:.1f}/s, one {one_per_second:.1f}/s".format(**two)
    yield at_least("two render workers against one", two["ratio"], 1.8, "×", details)


def memory_rows() -> Iterator[Row]:
    """Whether a process that makes papers grows with them."""
    found = resident_over()
    details = "{early_mb:.0f} MB, then {late_mb:.0f}, most {peak_mb:.0f}".format(**found)
    name = f"memory after {LATE} papers against {EARLY}"
    yield at_most(name, found["ratio"], 1.1, "×", details)


def main() -> int:
    """Print every row as soon as it is known."""
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fieldapp-bench-") as folder:
        groups: dict[str, Callable[[], Iterator[Row]]] = {
            "download": download_rows,
            "phone": lambda: phone_rows(Path(folder)),
            "paper": paper_rows,
            "memory": memory_rows,
            "bulk": lambda: bulk_rows(ORDERS, IDLE_ROUNDS),
        }
        for name, rows in groups.items():
            try:
                for row in rows():
                    print(row, flush=True)
            except NotMeasured as reason:
                print(Row(name, str(reason), "", None), flush=True)
    print(f"{time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
