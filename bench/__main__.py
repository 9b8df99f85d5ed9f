"""``python -m bench``: one line a budget, as ratios within this run; it fails nothing.

Names of groups as arguments choose some of them.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.bulk import bulk_rows
from bench.download import kilobytes
from bench.heap import heap_row
from bench.memory import EARLY, LATE, resident_over
from bench.paint import paint_rows
from bench.paper import signed_against_plain, two_workers_against_one
from bench.phone import demo_server, empty_phone, open_browser, our_phone
from bench.rows import NotMeasured, Row, at_least, at_most
from bench.signature import make_ready, signature_rows
from bench.taps import far_row, slow_rows

ORDERS, IDLE_ROUNDS = 40, 40
"""A small share of what ``make bench-bulk`` seals."""


def download_rows() -> Iterator[Row]:
    """Everything before the first page without signal."""
    found = kilobytes()
    details = "worker {worker:.0f}, shell {shell:.0f}, pages {pages:.0f}; as sent {sent:.0f}"
    yield at_most("download, brotli 11", found["brotli"], 130, "KB", details.format(**found))


def phone_rows(folder: Path) -> Iterator[Row]:
    """What a phone answers by itself, and how fast; ``folder`` is for what is stored meanwhile."""
    with open_browser(folder) as (browser, slowness):
        server = demo_server(folder / "ours")
        visit = make_ready(server)
        server.start()
        try:
            ours = our_phone(browser, server)
        finally:
            server.stop()
        empty = empty_phone(browser)
        yield from slow_rows(ours, empty, slowness)
        yield from paint_rows(ours, empty, slowness)
        yield from signature_rows(ours, visit, slowness)
        yield heap_row(browser, folder / "heap")
        yield far_row(browser, ours, server)


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
    print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="fieldapp-bench-") as folder:
        groups: dict[str, Callable[[], Iterator[Row]]] = {
            "download": download_rows,
            "phone": lambda: phone_rows(Path(folder)),
            "paper": paper_rows,
            "memory": memory_rows,
            "bulk": lambda: bulk_rows(ORDERS, IDLE_ROUNDS),
        }
        for name in sys.argv[1:] or groups:
            try:
                for row in groups[name]():
                    print(row, flush=True)
            except NotMeasured as reason:
                print(Row(name, str(reason), "", None), flush=True)
    print(f"{time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
