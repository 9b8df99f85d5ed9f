"""A history is a list of events drawn from one seed; every event carries its own luck.

An event is a plain dict, so that a history can be printed, shortened and played again.  What an
event needs of the moment it happens in (which visit, which head) is drawn from its own ``luck``:
leaving out another event changes as little as possible.
"""

from __future__ import annotations

import random

from tests.simulator.network import FAULTS

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
YEAR = 365 * DAY

FIELD_ACTS = {
    "diagnosis": 10,
    "fault": 9,
    "outcome": 2,
    "note": 5,
    "swap": 2,
    "measure": 2,
    "photo": 4,
    "arrival": 2,
    "leaving": 1,
    "void": 3,
    "correction": 4,
    "sign": 4,
    "unheard": 2,  # of a kind that only a newer version knows
    "newer": 2,  # with a field that only a newer version knows
    "older": 1,
    "open": 2,  # a visit of which the office knows nothing
    "elsewhere": 1,  # on a visit that nobody opened
}
DESK_ACTS = {
    "fault": 9,
    "appointment": 1,
    "remark": 1,
    "assign": 6,
    "unassign": 2,
    "help": 3,
    "cancel": 1,
    "review": 1,
    "resolve": 5,
    "undo": 2,
    "dismiss": 2,
    "release": 2,
}
EVENTS = {
    "perform": 36,
    "sync": 36,
    "desk": 18,
    "crash": 3,
    "evict": 1,
    "clone": 1,
    "jump": 2,
    "wait": 3,
    "backup": 3,
    "restore": 2,
    "revoke": 1,
    "sign-in": 3,
    "sign-out": 1,
    "learn": 1,
    "forget": 1,
    "deliver": 3,
    "jobs": 2,
}


RARE = ("evict", "clone", "jump", "restore", "revoke", "sign-out", "learn", "forget")
"""Some histories have none of these, some have many."""


def draw(seed, length=None):
    """The history of ``seed``: ``{seed, phones, events}``."""
    chance = random.Random(f"history {seed}")
    phones = chance.choice([2, 2, 3, 3, 4])
    # Calm histories beside wild ones: a fault that needs many things to go well is found there.
    wild = chance.choice([0, 0.3, 0.6, 0.9])
    rare = chance.choice([0, 1, 2, 4])
    weights = [weight * (rare if name in RARE else 1) for name, weight in EVENTS.items()]
    count = length or chance.randint(15, 50)
    events = [_assign(chance, visit, visit) for visit in range(chance.randint(1, 3))]
    for visit in range(chance.randint(0, 2)):
        events.append(_assign(chance, visit, visit + 1) | {"act": "help"})
    events += [_event(chance, "sync") | _calm(phone) for phone in range(phones)]
    for name in chance.choices(list(EVENTS), weights, k=count):
        events.append(_event(chance, name) | _details(chance, name, phones, wild))
    narrow = chance.random() < 0.1
    return {"seed": seed, "phones": phones, "narrow": narrow, "events": events}


def _event(chance, name):
    return {"do": name, "wait": _pause(chance), "luck": chance.randrange(2**32)}


def _assign(chance, visit, engineer):
    """The desk gives an engineer something to do."""
    assigned = {"who": 0, "act": "assign", "visit": visit, "to": engineer % 3, "stale": False}
    return _event(chance, "desk") | assigned


def _calm(phone):
    return {"phone": phone, "steps": 0, "faults": []}


def _pause(chance):
    return chance.choice([5, 1000, 30_000, 20 * MINUTE, 2 * 60 * MINUTE])


def _details(chance, name, phones, wild):
    phone = {"phone": chance.randrange(phones)}
    if name == "perform":
        acts = chance.choices(list(FIELD_ACTS), FIELD_ACTS.values())
        return phone | {
            "visit": chance.randrange(4),
            "act": acts[0],
            "stale": chance.random() < 0.3,
            "crash": chance.random() < 0.03,
        }
    if name in ("sync", "sign-in"):
        steps = chance.choice([0, 0, 0, chance.randint(1, 12), chance.randint(1, 40)])
        more = (
            {"person": chance.randrange(3)} if name == "sign-in" and chance.random() < 0.4 else {}
        )
        return phone | {"steps": steps, "faults": _faults(chance, wild)} | more
    if name == "desk":
        acts = chance.choices(list(DESK_ACTS), DESK_ACTS.values())
        return {
            "who": chance.randrange(2),
            "act": acts[0],
            "visit": chance.randrange(5),
            "to": chance.randrange(3),
            "stale": chance.random() < 0.4,
        }
    if name == "jump":
        sizes = [10 * MINUTE, DAY, 3 * DAY, 40 * DAY, 2 * YEAR]
        return phone | {"ms": chance.choice(sizes) * chance.choice([1, -1])}
    if name == "wait":
        return {"ms": chance.choice([MINUTE, DAY, 2 * DAY])}
    if name == "clone":
        return phone | {"of": chance.randrange(phones)}
    if name == "restore":
        return {"which": chance.randrange(3)}
    if name == "deliver":
        return {"count": chance.randint(1, 3)}
    return phone


def _faults(chance, wild):
    """A fault, or none, for each request of a sync in their order."""
    if chance.random() > wild:
        return []
    drawn = chance.choices(list(FAULTS), FAULTS.values(), k=8)
    return [fault if chance.random() < 0.5 else "" for fault in drawn]


def tell(history):
    """The history as lines that a person can read."""
    lines = [f"{history['phones']} phones" + ", a proxy that refuses batches" * history["narrow"]]
    return lines + [
        f"{number:3}. "
        + event["do"]
        + "".join(
            f" {key}={value}"
            for key, value in event.items()
            if key not in ("do", "luck") and value not in ([], False)
        )
        for number, event in enumerate(history["events"], 1)
    ]
