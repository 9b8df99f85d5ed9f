"""The steps of a visit and what must still be done before the customer may sign.

Twin: ``static/phone/missing.js``, cases in ``tests/vectors/missing.json``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sync.changed import ENGINEER
from sync.merge import OPENING, standing_entries

WHICH = {"step": "list", "signature": "role", "photo": "slot"}
"""The field that tells entries of a kind apart, where a policy asks for one of several."""


APART = re.compile("[\n、，；;]")
"""What stands between the names of a list: they are asked for one a line."""

UNHEARD = re.compile("[ \t\u00a0\u3000]")
"""What makes no other name of a name."""


def steps(state: Mapping[str, Any], policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps of the visit's job type in the policy's order, each with ``done``.

    A step with a ``when`` is needed only while an entry of that kind stands.  An unknown job type
    has no steps.  After a change of what was signed no signature of the customer's side is done
    any more.
    """
    job = policy["job_types"].get(_job_type(state))
    if job is None:
        return []
    return [
        dict(step) | {"needed": _needed(state, step), "done": _is_done(state, policy, step)}
        for step in job["steps"]
    ]


def missing(state: Mapping[str, Any], policy: Mapping[str, Any]) -> list[dict[str, str]]:
    """The steps with ``needed = "signature"`` that have nothing standing, in their order.

    Each item is ``{code, kind, list}``.  Codes: ``missing.entry``; ``missing.downtime-stop`` when
    the system was noted as stopped and never as running again.  When the last arrival found
    nobody to sign, only the arrival is asked for.
    """
    without_customer = _without_customer(state, policy)
    found = [
        {"code": "missing.entry", "kind": step["kind"], "list": step["list"]}
        for step in steps(state, policy)
        if step["needed"] == "signature"
        and not step["done"]
        and not (without_customer and step["kind"] != "arrival")
    ]
    if state["visit"]["downtime_open"]:
        found.append({"code": "missing.downtime-stop", "kind": "downtime", "list": ""})
    return found


def to_sign(state: Mapping[str, Any], policy: Mapping[str, Any]) -> list[dict[str, str]]:
    """Who must still sign, in the policy's order: ``[{list, name}]``, a role and a person's name.

    The name is empty where the policy asks for somebody in that role, whoever it is.
    """
    return [
        {"list": step["list"], "name": name}
        for step in steps(state, policy)
        if step["kind"] == "signature" and step["needed"] != "never" and not step["done"]
        for name in _unsigned(state, step) or [""]
    ]


def others_first(
    state: Mapping[str, Any], policy: Mapping[str, Any], signature: Mapping[str, Any]
) -> list[dict[str, str]]:
    """What keeps ``signature`` from being given now: who signs last waits for all who must sign.

    For those who signed before a change he does not wait: they may have gone home.  One finding
    ``signature.others-first`` on its role, or none.
    """
    last = policy["job_types"].get(_job_type(state), {}).get("signs_last", "")
    if not last or signature.get("role") != last:
        return []
    before = dict(state) | {"visit": dict(state["visit"]) | {"changes": []}}
    waits = any(one["list"] != last for one in to_sign(before, policy))
    return [{"field": "role", "code": "signature.others-first", "detail": ""}] if waits else []


def _job_type(state: Mapping[str, Any]) -> str:
    """The work order's; before there is one, what the engineer said who opened the visit."""
    ordered = state["context"]["work_order"]["job_type"]
    said = [entry["value"].get("job_type") for entry in standing_entries(state, OPENING)]
    names = [name for name in [*said, ordered] if isinstance(name, str) and name]
    return names[-1] if names else ""


def _without_customer(state: Mapping[str, Any], policy: Mapping[str, Any]) -> bool:
    arrivals = [
        entry for entry in state["entries"] if entry["kind"] == "arrival" and not entry["voids"]
    ]
    return bool(arrivals) and arrivals[-1]["value"].get("outcome") in policy["without_customer"]


def _needed(state: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    # a phone may hold a pack that knows of no conditions
    when = step.get("when", "")
    return "never" if when and not _stands(state, when, "") else str(step["needed"])


def _is_done(state: Mapping[str, Any], policy: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    is_again = (
        step["kind"] == "signature" and step["list"] != ENGINEER and state["visit"].get("changes")
    )
    is_there = _stands(state, step["kind"], step["list"]) and not _unsigned(state, step)
    if is_there and not is_again:
        return True
    others = policy["alternatives"].get(step["kind"], [])
    return any(_stands(state, kind, "") for kind in others)


def _stands(state: Mapping[str, Any], kind: str, list_: str) -> bool:
    if any(path.startswith(f"{kind}/") for path in state["fields"]):
        return True
    return any(
        entry["kind"] == kind
        and not entry["voids"]
        and (not list_ or entry["value"].get(WHICH.get(kind, "list")) == list_)
        for entry in [*state["entries"], *state["signatures"]]
    )


def _unsigned(state: Mapping[str, Any], step: Mapping[str, Any]) -> list[str]:
    """The names that entries of the kind ``each`` of a step give, whose signature is missing.

    Two of one name in an entry are two people.
    """
    each = step.get("each", "")
    if not each:
        return []
    signed = {
        key
        for key, _ in _numbered(
            signature["value"].get("name")
            for signature in state["signatures"]
            if not signature["voids"] and signature["value"].get("role") == step["list"]
        )
    }
    asked: dict[str, str] = {}
    for entry in standing_entries(state, each):
        names = entry["value"].get("names")
        for key, name in _numbered(APART.split(names) if isinstance(names, str) else ()):
            asked.setdefault(key, name)
    return [name for key, name in asked.items() if key not in signed]


def _numbered(names: Iterable[Any]) -> list[tuple[str, str]]:
    """Each name with a key: how it is heard, and the how manieth of that name it is."""
    count: Counter[str] = Counter()
    found = []
    for name in names:
        heard = UNHEARD.sub("", name).translate(_SMALL) if isinstance(name, str) else ""
        if heard:
            count[heard] += 1
            found.append((f"{heard} {count[heard]}", name.strip(" \t\u00a0\u3000")))
    return found


_SMALL = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
