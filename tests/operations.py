"""Operations for tests: envelopes as phones write them, and hypothesis strategies over them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sync.canonical import hash_of
from sync.operation import Received, new_id, read_operation

VISIT = "01900000-0000-7000-8000-000000000001"
START_MS = 1_773_110_880_000
"""2026-03-10T02:48:00Z."""

ERIN, ELI, DANA = ("0190000e-0000-7000-8000-00000000000" + digit for digit in "123")


def make_id(number: int) -> str:
    """The id of the operation ``number``; ids sort like numbers."""
    return new_id(START_MS + number, number.to_bytes(10, "big"))


def envelope(
    number: int,
    kind: str,
    value: Any,
    *,
    author: str = ERIN,
    device: str = "phone-of-erin",
    minute: int = 0,
    supersedes: dict[str, list[str]] | None = None,
    visit: str = VISIT,
    **more: Any,
) -> dict[str, Any]:
    """An operation performed ``minute`` minutes after START_MS, with its hash."""
    body: dict[str, Any] = {
        "id": make_id(number),
        "v": 1,
        "visit": visit,
        "device": device,
        "n": number,
        "author": author,
        "kind": kind,
        "value": value,
        "supersedes": supersedes or {},
        "wall": START_MS + minute * 60_000,
        "mono": number,
        "boot": "boot",
        "skew": 0,
        "app": "test",
    } | more
    return body | {"hash": hash_of(body)}


def received(body: dict[str, Any], *problems: str, corrected_ms: int | None = None) -> Received:
    """``body`` as the server holds it."""
    operation = read_operation(body)
    at = operation.wall + operation.skew if corrected_ms is None else corrected_ms
    return Received(operation, at, problems)


_PATHS = ("fault/text", "diagnosis/text", "outcome/result")
_AUTHORS = (ERIN, ELI, DANA)


@st.composite
def histories(draw: st.DrawFn, most: int = 14) -> list[dict[str, Any]]:
    """A history of operations by three authors, each of whom saw some of the earlier ones."""
    bodies: list[dict[str, Any]] = []
    for number in range(1, draw(st.integers(1, most)) + 1):
        bodies.append(draw(_operation(number, bodies)))
    return bodies


@st.composite
def _operation(draw: st.DrawFn, number: int, earlier: list[dict[str, Any]]) -> dict[str, Any]:
    author = draw(st.sampled_from(_AUTHORS))
    minute = draw(st.integers(0, 90))
    common = {"author": author, "device": f"phone-of-{author[-1]}", "minute": minute}
    act = draw(
        st.sampled_from(["set", "note", "arrival", "swap", "downtime", "void", "correction", "sign",
                         "leaving", "review", "cancellation", "unknown"])
    )  # fmt: skip
    if act == "set":
        path = draw(st.sampled_from(_PATHS))
        before = [body["id"] for body in earlier if path in _paths(body)]
        seen = draw(st.lists(st.sampled_from(before), unique=True)) if before else []
        text = draw(st.sampled_from(["电源板故障", "dead", "", "𠮷 beep"]))
        return envelope(number, path.split("/")[0], {path: text}, supersedes={path: seen}, **common)
    entries = [body for body in earlier if body["kind"] in ("note", "arrival", "swap")]
    if act == "void" and earlier:
        about = draw(st.sampled_from(earlier))["id"]
        return envelope(number, "void", {"entry": about, "reason": "wrong"}, **common)
    if act == "correction" and entries:
        about = draw(st.sampled_from(entries))
        path = f"entries/{about['id']}/text"
        seen = draw(st.sampled_from([[about["id"]], [], _heads(earlier, path)]))
        return envelope(
            number, "correction", {path: "corrected"}, supersedes={path: seen}, **common
        )
    if act == "sign" and earlier:
        covered = draw(st.lists(st.sampled_from(earlier), unique_by=lambda body: body["id"]))
        frontier = {"operations": sorted(body["id"] for body in covered), "photos": []}
        value = {
            "name": "王丽",
            "role": "contact",
            "frontier": frontier,
            "snapshot": "",
            "digest": "",
        }
        return envelope(number, "signature", value, **common)
    if act == "review":
        verdict = draw(st.sampled_from(["accepted", "sent-back"]))
        before = [body["id"] for body in earlier if body["kind"] == "review"]
        return envelope(
            number,
            "review",
            {"verdict": verdict, "reason": ""},
            supersedes={"review": before},
            **common,
        )
    if act == "cancellation":
        return envelope(number, "cancellation", {"reason": "closed"}, **common)
    if act == "unknown":
        return envelope(number, "teleport", {"to": "site"}, **common)
    values: dict[str, Any] = {
        "note": {"text": draw(st.sampled_from(["试机正常", "wet floor"]))},
        "arrival": {"outcome": "present"},
        "swap": {
            "part_name": "探测器",
            "removed_serial": "A-1",
            "installed_serial": draw(st.sampled_from(["B-1", "B-2"])),
            "fate": "scrap",
        },
        "downtime": {
            "event": draw(st.sampled_from(["start", "stop"])),
            "at": "2026-03-10T03:20:00Z",
        },
        "leaving": {},
    }  # fmt: skip
    kind = act if act in values else "note"
    return envelope(number, kind, values[kind], **common)


def _paths(body: dict[str, Any]) -> list[str]:
    return [path for path in body["value"] if "/" in path]


def _heads(bodies: list[dict[str, Any]], path: str) -> list[str]:
    return [body["id"] for body in bodies if path in body["value"]]
