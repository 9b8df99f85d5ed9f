"""``make simulate``: play any number of seeds; a failing one is shortened and printed."""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.simulator.history import draw, tell
from tests.simulator.play import a_server, databases, play, search, shrink


def main():
    """0 when every seed came to rest as it must, else 1."""
    options = argparse.ArgumentParser(prog="make simulate")
    options.add_argument("--seeds", type=int, default=1000)
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options.add_argument("--whole", action="store_true", help="do not shorten what fails")
    options.add_argument("--history", help="play this file, as printed, instead of seeds")
    given = options.parse_args()
    with databases(given.database) as source:
        if given.history:
            with open(given.history, encoding="utf-8") as file:
                history = json.load(file)
            with a_server(source) as server:
                return report(server, history, given)
        seed = find(source, given)
        if seed is None:
            return 0
        with a_server(source) as server:
            return report(server, draw(seed), given)


def find(source, given):
    """The first failing seed, or None; prints how it goes."""
    begun = shown = time.monotonic()
    told = (0, [])
    for told in search(source, given.first, most=given.seeds):
        played, now = told[0], time.monotonic()
        if now - shown > 10:
            shown = now
            rate = played / (now - begun)
            print(f"{played} of {given.seeds} seeds, {rate:.1f} seeds/s", flush=True)
    played, failures = told
    rate = played / (time.monotonic() - begun)
    for seed, violation in failures:
        print(f"seed {seed}: {violation}")
    print(f"{played} seeds on {given.database}, {rate:.1f} seeds/s, {len(failures)} failed")
    return min(seed for seed, _ in failures) if failures else None


def report(server, history, given):
    """Print what ``history`` violates, and the shortest one that violates the same."""
    violation = play(server, history)
    if violation is None:
        print(f"seed {history['seed']} comes to rest as it must")
        return 0
    print(f"seed {history['seed']} fails: {violation}")

    def fails(other):
        found = play(server, other)
        return found is not None and found.name == violation.name

    if not given.whole:
        history = shrink(history, fails)
        print(f"\nstill fails with {len(history['events'])} events: {play(server, history)}\n")
    print("\n".join(tell(history)))
    print(f"\n{json.dumps(history)}\n")
    print(f"again: make simulate SEEDS=1 FIRST={history['seed']} DATABASE={given.database}")
    print("       or save the line above as a file and give it as HISTORY=…")
    return 1


if __name__ == "__main__":
    sys.exit(main())
