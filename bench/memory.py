"""What a process holds after fifty papers, and after more than one ever makes."""

from __future__ import annotations

import multiprocessing
import statistics
from typing import Any

from bench.paper import seal_job
from bench.papers import whole_paper
from bench.server import resident_mb
from fieldapp.rendering import RenderPool
from sync.papers import PAPERS

EARLY = 50
LATE = 250
"""More than the pool lets one process make before it is replaced."""

LAST = 10
"""Papers over which memory is read: one paper alone shows what the allocator happens to keep."""


def resident_over(papers: int = LATE) -> dict[str, float]:
    """Memory of one process that makes and seals ``papers``, each paper of the trade in turn.

    It is never replaced by a fresh one, as it would be after 200 papers.  Returns ``early_mb``
    (median of the last papers before the 50th), ``late_mb`` (of the very last), ``peak_mb`` and
    ``ratio``.
    """
    job = seal_job()
    made: list[Any] = [whole_paper(paper.name) for paper in PAPERS]
    held = []
    others = set(multiprocessing.active_children())
    with RenderPool(1, jobs=papers + 1) as pool:
        for number in range(papers):
            pool.render(made[number % len(made)], job)
            (process,) = set(multiprocessing.active_children()) - others
            assert process.pid is not None
            held.append(resident_mb(process.pid))
    early = statistics.median(held[:EARLY][-LAST:])
    late = statistics.median(held[-LAST:])
    return {"early_mb": early, "late_mb": late, "peak_mb": max(held), "ratio": late / early}
