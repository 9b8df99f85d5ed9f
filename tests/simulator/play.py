"""Play histories, and find the shortest one that still fails."""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from multiprocessing import get_context
from pathlib import Path

from tests.databases import PostgresDatabases, SqliteDatabases
from tests.postgres import Cluster
from tests.simulator.checks import check
from tests.simulator.history import draw
from tests.simulator.server import opened
from tests.simulator.world import Violation, World, versions

SHARE = 10
"""Seeds that a process plays before it reports."""


def play(server, history):
    """Play ``history`` on ``server``; the :class:`Violation` that it ends in, or None."""
    with versions():
        try:
            world = World(server, history)
            world.play(history["events"])
            check(world)
        except Violation as violation:
            return violation
        except Exception as error:  # whatever it is, it has a shortest history
            last = traceback.format_exception(error)[-6:]
            return Violation(type(error).__name__, "".join(last))
    return None


@contextmanager
def databases(kind):
    """Empty databases of one ``kind``: sqlite or postgresql."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if kind == "sqlite":
            yield SqliteDatabases(folder)
        else:
            cluster = stack.enter_context(Cluster())
            yield stack.enter_context(closing(PostgresDatabases(cluster)))


@contextmanager
def a_server(source):
    """A server of its own on one of the databases of ``source``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "server"
        url = source.take(folder)
        folder.mkdir(exist_ok=True)
        try:
            with opened(folder, url) as server:
                yield server
        finally:
            source.give_back(url)


def shrink(history, fails):
    """The shortest history found for which ``fails(history)`` is still true."""
    events = history["events"]
    size = max(len(events) // 2, 1)
    while size:
        at = 0
        while at < len(events):
            fewer = events[:at] + events[at + size :]
            if fails(history | {"events": fewer}):
                events = fewer
            else:
                at += size
        size //= 2
    history = history | {"events": events}
    if history["narrow"] and fails(history | {"narrow": False}):
        history = history | {"narrow": False}
    for number, event in enumerate(events):
        for simpler in _simpler(event):
            changed = list(history["events"])
            changed[number] = simpler
            if fails(history | {"events": changed}):
                history = history | {"events": changed}
    used = [event[key] for event in history["events"] for key in ("phone", "of") if key in event]
    fewer = history | {"phones": max(used, default=0) + 1}
    return fewer if fails(fewer) else history


def _simpler(event):
    """The same event with one thing less."""
    for name in ("stale", "crash"):
        if event.get(name):
            yield event | {name: False}
    if event.get("steps"):
        yield event | {"steps": 0}
    if any(event.get("faults", ())):
        yield event | {"faults": []}
        for number, fault in enumerate(event["faults"]):
            if fault:
                yield event | {"faults": [""] * number + [fault]}


# Many seeds, on every core


def search(source, first, *, most=None, least=0, seconds=None, stop_at=1):
    """Play the seeds from ``first`` on, on every core.

    Ends after ``most`` seeds, after ``seconds`` when at least ``least`` were played, or with
    ``stop_at`` failures.  Yields ``(seeds played so far, failures so far)``, failures as pairs of
    seed and what it says.
    """
    begun, played, failures, following = time.monotonic(), 0, [], first
    workers = os.cpu_count() or 1
    with ExitStack() as stack:
        # The folders end after the processes do.
        places = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(workers)]
        urls = [source.take(place / "server") for place in places]
        context = get_context("spawn")
        waiting = context.SimpleQueue()
        for place, url in zip(places, urls, strict=True):
            waiting.put((str(place / "server"), url))
        pool = stack.enter_context(
            ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(waiting,))
        )
        running = set()
        while True:
            is_over = seconds is not None and time.monotonic() - begun > seconds
            enough = is_over and played >= least
            if len(failures) >= stop_at or enough or (most is not None and played >= most):
                break
            while len(running) < workers + 1:
                end = following + SHARE if most is None else min(following + SHARE, first + most)
                if following >= end:
                    break
                running.add(pool.submit(_play_share, following, end))
                following = end
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for share in done:
                count, found = share.result()
                played += count
                failures += found
            yield played, failures
        for share in running:
            share.cancel()
        pool.shutdown(wait=True, cancel_futures=True)
    for url in urls:
        source.give_back(url)


_kept = ExitStack()
_server = None


def _begin(waiting):
    """What each process does first: open its own server, until the process ends."""
    global _server
    folder, url = waiting.get()
    Path(folder).mkdir(exist_ok=True)
    _server = _kept.enter_context(opened(folder, url))


def _play_share(first, end):
    found = []
    for seed in range(first, end):
        violation = play(_server, draw(seed))
        if violation is not None:
            found.append((seed, str(violation)))
    return end - first, found
