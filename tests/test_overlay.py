"""The phone's overlay is the server's fold whenever nobody else wrote meanwhile.

tests/vectors/overlay.json holds histories worth a name: ``operations`` that the server has folded,
``unsent`` ones on the phone, and in ``expect`` the parts of the state that matter.  The rest of the
histories are made here from a seed, with everything in them that ever told the two languages apart.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from operations import DANA, ELI, ERIN, VISIT, envelope, make_id, received
from playwright.sync_api import Page

from sync import catalogue
from sync.canonical import hash_of
from sync.merge import derive, fold

CASES = json.loads((Path(__file__).parent / "vectors" / "overlay.json").read_text("utf-8"))["cases"]
HISTORIES = 600
KINDS = {kind["name"]: kind for kind in catalogue.as_data()}

Body = dict[str, Any]
State = dict[str, Any]


def state_of(*bodies: Body) -> State:
    return fold([received(body) for body in bodies], VISIT)


def without_flags(state: State) -> State:
    return {key: value for key, value in state.items() if key != "flags"}


def text(value: Any) -> str:
    """As JSON: to Python 1, 1.0 and True are equal, to a phone they are not."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def in_browser(page: Page, run: str, histories: list[Any]) -> list[Any]:
    """What ``run(module, history, catalogue)`` gives for each history, all in one visit.

    Everything is frozen to its depth: who writes into an argument, fails.
    """
    results = page.evaluate(
        """async ([run, histories, catalogue]) => {
          const module = await import("/phone/overlay.js")
          const call = (0, eval)(run)
          const freeze = (value) => {
            if (typeof value === "object" && value !== null) Object.values(value).forEach(freeze)
            return Object.freeze(value)
          }
          const kinds = freeze(JSON.parse(catalogue))
          const results = JSON.parse(histories).map((history) => {
            try {
              return call(module, freeze(history), kinds)
            } catch (error) {
              return {failed: String(error)}
            }
          })
          return JSON.stringify(results)
        }""",
        [run, json.dumps(histories), json.dumps(KINDS)],
    )
    return list(json.loads(results))


OVERLAY = "({overlay}, [state, unsent, sent], kinds) => overlay(state, unsent, kinds, sent)"
DERIVE = "({derive}, state) => derive(structuredClone(state))"


def overlaid(page: Page, histories: list[tuple[list[Body], list[Body]]], sent: bool) -> list[State]:
    return in_browser(page, OVERLAY, [[state_of(*held), new, sent] for held, new in histories])


def differences(wanted: list[State], found: list[State]) -> list[str]:
    pairs = zip(map(without_flags, wanted), map(without_flags, found), strict=True)
    return [
        f"history {number}: {parts(expected, got)}"
        for number, (expected, got) in enumerate(pairs)
        if text(expected) != text(got)
    ]


def parts(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where two values differ, as far down as both have the part."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = sorted(wanted.keys() | found.keys())
        pairs = [(key, wanted.get(key, "absent"), found.get(key, "absent")) for key in keys]
        return [part for key, *pair in pairs for part in parts(*pair, f"{path}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [part for at, pair in pairs for part in parts(*pair, f"{path}[{at}]")]
    return [] if text(wanted) == text(found) else [f"{path}: wanted {wanted}, got {found}"]


# Histories with a name


def whole(short: dict[str, Any], number: int) -> Body:
    """The envelope of an operation that a case gives in short."""
    given = {key: value for key, value in short.items() if key not in ("kind", "value")}
    minute = given.pop("minute", number)
    body = envelope(number, short["kind"], short["value"], minute=minute) | given
    return body | {"hash": hash_of(body)}


def history_of(case: dict[str, Any]) -> tuple[list[Body], list[Body]]:
    known: dict[str, Body] = {}
    shorts = [*case["operations"], *case["unsent"]]
    for number, short in enumerate(shorts, 1):
        known.setdefault(short["id"], whole(short, number))
    held = [known[short["id"]] for short in case["operations"]]
    return held, [known[short["id"]] for short in case["unsent"]]


def holds(wanted: Any, found: Any) -> bool:
    """Whether ``found`` has the parts that ``wanted`` names; lists have the same length."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(key in found and holds(item, found[key]) for key, item in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(holds, wanted, found))
    return text(wanted) == text(found)


def seen_of(state: State) -> State:
    return state | {"paths": sorted(state["fields"])}


def test_the_server_keeps_to_the_cases() -> None:
    wrong = [
        f"{case['name']}: {seen_of(state)}"
        for case in CASES
        for held, new in [history_of(case)]
        if not holds(case["expect"], seen_of(state := state_of(*held, *new)))
    ]
    assert wrong == []


def test_the_phone_keeps_to_the_cases(module_page: Page) -> None:
    found = overlaid(module_page, [history_of(case) for case in CASES], True)
    wrong = [
        f"{case['name']}: {state}"
        for case, state in zip(CASES, found, strict=True)
        if "failed" in state or not holds(case["expect"], seen_of(state))
    ]
    assert wrong == []


def test_the_cases_are_alike_in_every_part(module_page: Page) -> None:
    histories = [history_of(case) for case in CASES]
    wanted = [state_of(*held, *new) for held, new in histories]
    assert differences(wanted, overlaid(module_page, histories, True)) == []


def test_the_cases_are_sentences_told_once() -> None:
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names)
    assert all(case["expect"] for case in CASES)


# Histories from a seed

TEXTS = [
    "电源板故障",
    "dead",
    "",
    "𠮷 beep",
    "\ufb33",
    "e\u0301",
    "a\r\nb",
    None,
    True,
    0,
    [],
    {},
    ["x"],
]
TIMES = ["2026-03-10T03:20:00Z", "2026-03-10T03:20:59Z", "2026-03-10T05:00:00Z",
         "2026-02-30T01:00:00Z", "2026-03-10T24:00:00Z", "2026-03-10", "2026-03-10T03:20",
         "20260310T032000Z", "soon", "", "𠮷", "\ufb33", None, 5, True, [], {}]  # fmt: skip
PATHS = ["fault/text", "fault/level", "diagnosis/text", "outcome/result", "appointment/at",
         "constructor", "constructor/x", "__proto__", "toString/x", "entries", "entries/", "", "/",
         "fault", "fault/𠮷", "fault/\ufb33", "review", "cancellation", "void"]  # fmt: skip
NAMES = ["text", "outcome", "__proto__", "constructor", "𠮷", "\ufb33", "", "a/b"]
UNKNOWN = ["teleport", "constructor", "__proto__", "toString", "hasOwnProperty"]
ADDED = ["note", "arrival", "departure", "swap", "downtime", "downtime", "leaving", "photo",
         "refusal", "proposal", "remark"]  # fmt: skip
CLOCKS = [0, 0, 0, 0, 0, 1, -1, 999, 8_640_000_000_000_000, -9_007_199_254_740_991]


def generate(chance: random.Random) -> tuple[list[Body], list[Body]]:
    """What the office holds, by three people, and what Erin's phone wrote after seeing it."""
    held: list[Body] = []
    for number in range(1, chance.randint(0, 14) + 1):
        author = chance.choice([ERIN, ELI, DANA])
        held.append(operation(chance, number, author, held, None))
    new: list[Body] = []
    for number in range(len(held) + 1, len(held) + chance.randint(1, 8) + 1):
        new.append(operation(chance, number, ERIN, held + new, state_of(*held, *new)))
    return held, sorted(new, key=lambda body: body["n"])


def operation(
    chance: random.Random, number: int, author: str, earlier: list[Body], seen: State | None
) -> Body:
    """One more operation; its author saw the state ``seen``, or only some of what came before."""
    kind, value = content(chance, earlier)
    supersedes = {}
    if isinstance(value, dict):
        for path in [kind] if KINDS.get(kind, {}).get("policy") == "assert" else value:
            if seen is not None:
                supersedes[path] = list(seen["fields"].get(path, {}).get("heads", []))
            else:
                supersedes[path] = [body["id"] for body in earlier if chance.random() < 0.4]
            if chance.random() < 0.05:
                supersedes[path].append(id_of(chance, number))
    body = envelope(
        number, kind, value, author=author, device=f"phone-of-{author[-1]}",
        minute=chance.randint(0, 90), supersedes=supersedes, id=id_of(chance, number),
        skew=chance.choice(CLOCKS),
    )  # fmt: skip
    if chance.random() < 0.05:
        body |= {"wall": chance.choice(CLOCKS)}
    return body | {"hash": hash_of(body)}


def id_of(chance: random.Random, number: int) -> str:
    """Ids of the same number differ only now and then, so that one may name itself."""
    odd = number % 7 == 3
    return f"{'𠮷' if number % 2 else chr(0xFB33)}-{number}" if odd else make_id(number)


def content(chance: random.Random, earlier: list[Body]) -> tuple[str, Any]:
    ids = [body["id"] for body in earlier] + ["no-such-entry"]
    act = chance.choice(
        ["set", "set", "set", "add", "add", "add", "add", "void", "correction", "correction",
         "sign", "assert", "unknown", "malformed"]
    )  # fmt: skip
    if act == "set":
        kind = chance.choice(["fault", "diagnosis", "outcome", "appointment", "resolution"])
        paths = [path for path in PATHS if kind == "resolution" or path.startswith(f"{kind}/")]
        if chance.random() < 0.2:
            paths = PATHS
        chosen = chance.sample(paths, min(len(paths), chance.randint(1, 3)))
        return kind, {path: chance.choice([*TEXTS, {"verdict": "accepted"}]) for path in chosen}
    if act == "void":
        reason = chance.choice(["wrong", *TEXTS])
        return "void", {"entry": chance.choice([*ids, *ids, None, 5]), "reason": reason}
    if act == "correction":
        path = f"entries/{chance.choice(ids)}/{chance.choice(NAMES)}"
        return "correction", {path: chance.choice(TEXTS)}
    if act == "sign":
        named = [id_ for id_ in ids if chance.random() < 0.7]
        frontier = chance.choice([
            {"operations": named}, {"operations": named}, {"operations": named},
            {"operations": "ab"}, {"operations": [5, None, True, *named]}, {"operations": None},
            {}, None, "x", [],
        ])  # fmt: skip
        return "signature", {"name": "王丽", "opinion": chance.choice(TEXTS), "frontier": frontier}
    if act == "assert":
        kind = chance.choice(["review", "review", "cancellation", "assignment"])
        return kind, {"verdict": chance.choice(["accepted", "sent-back", None])}
    if act == "unknown":
        return chance.choice(UNKNOWN), {"fault/text": "x"}
    kind = chance.choice(ADDED)
    if act == "malformed":
        return kind, chance.choice([None, 5, True, "x", [], ["x"], {}])
    value = {"text": chance.choice(TEXTS), "__proto__": 1} if chance.random() < 0.3 else {}
    values = {
        "downtime": {"event": chance.choice(["start", "stop", None]), "at": chance.choice(TIMES)},
        "departure": {"eta_at": chance.choice(TIMES)},
        "arrival": {"outcome": "present"},
    }
    return kind, value | values.get(kind, {})


@pytest.fixture(scope="module")
def histories() -> list[tuple[list[Body], list[Body]]]:
    return [generate(random.Random(seed)) for seed in range(HISTORIES)]


def office(held: list[Body], new: list[Body]) -> State:
    """The office's state of all of it, but for what a resolution among ``new`` decided.

    Phones settle no conflicts, so theirs do not say it.
    """
    state = state_of(*held, *new)
    settled = {body["id"] for body in new}
    for cell in state["fields"].values():
        for side in cell["sides"]:
            if side["operation"] in settled:
                side["over"] = []
                side.pop("chose", None)
    return derive(state)


def test_what_erin_wrote_last_looks_on_her_phone_as_it_will_at_the_office(
    histories: list[tuple[list[Body], list[Body]]], module_page: Page
) -> None:
    wanted = [office(held, new) for held, new in histories]
    assert differences(wanted, overlaid(module_page, histories, True)) == []


def test_what_was_not_sent_says_so_and_is_otherwise_the_same(
    histories: list[tuple[list[Body], list[Body]]], module_page: Page
) -> None:
    wanted = []
    for held, new in histories:
        state = office(held, new)
        unsent = {body["id"] for body in new}
        for entry in state["entries"] + state["signatures"]:
            entry["sent"] = entry["id"] not in unsent
        wanted.append(derive(state))
    found = overlaid(module_page, histories, False)
    assert differences(wanted, found) == []
    assert any(state["visit"]["status"] == "left" for state in found)


def test_a_push_whose_answer_was_lost_shows_nothing_twice(
    histories: list[tuple[list[Body], list[Body]]], module_page: Page
) -> None:
    # The office holds all of it already; the phone does not know that yet.
    repeated = [([*held, *new], new) for held, new in histories]
    wanted = [state_of(*held, *new) for held, new in histories]
    assert differences(wanted, overlaid(module_page, repeated, False)) == []


def test_both_sides_derive_the_same_visit(
    histories: list[tuple[list[Body], list[Body]]], module_page: Page
) -> None:
    wanted = [state_of(*held) for held, _ in histories]
    wanted += [state_of(*held, *new) for held, new in histories]
    empty = [state | {"visit": {"id": VISIT}} for state in wanted]
    assert differences(wanted, in_browser(module_page, DERIVE, empty)) == []


def test_the_histories_reach_every_status_and_hold_what_is_hard(
    histories: list[tuple[list[Body], list[Body]]],
) -> None:
    states = [state_of(*held, *new) for held, new in histories]
    assert {state["visit"]["status"] for state in states} == {
        "planned", "departed", "on-site", "signed", "unsigned", "under-review", "sent-back",
        "accepted", "cancelled",
    }  # fmt: skip
    entries = [entry for state in states for entry in state["entries"] + state["signatures"]]
    cells = [cell for state in states for cell in state["fields"].values()]
    assert any(entry["corrected"] for entry in entries)
    assert any(len(entry["voids"]) > 1 for entry in entries)
    assert any(void["after"] for entry in entries for void in entry["voids"])
    assert any(cell["conflict"] for cell in cells)
    assert any(cell["after"] for cell in cells)
    assert {bool(state["visit"]["changes"]) for state in states if state["signatures"]} == {
        True, False,
    }  # fmt: skip
    assert any(state["visit"]["downtime_minutes"] for state in states)
