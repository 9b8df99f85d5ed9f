"""The steps of a visit and what must still be done before the customer may sign.

Twin: ``static/phone/missing.js``, cases in ``tests/vectors/missing.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync.changed import ENGINEER
from sync.merge import OPENING, standing_entries

WHICH = {"step": "list", "signature": "role", "photo": "slot"}
"""The field that tells entries of a kind apart, where a policy asks for one of several."""


def steps(state: Mapping[str, Any], policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps of the visit's job type in the policy's order, each with ``done``.

    An unknown job type has no steps.  After a change of what was signed no signature of the
    customer's side is done any more.
    """
    job = policy["job_types"].get(_job_type(state))
    if job is None:
        return []
    return [dict(step) | {"done": _is_done(state, policy, step)} for step in job["steps"]]


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


def others_first(
    state: Mapping[str, Any], policy: Mapping[str, Any], signature: Mapping[str, Any]
) -> list[dict[str, str]]:
    """What keeps ``signature`` from being given now: who signs last waits for all who must sign.

    One finding ``signature.others-first`` on its role, or none.
    """
    last = policy["job_types"].get(_job_type(state), {}).get("signs_last", "")
    if not last or signature.get("role") != last:
        return []
    waits = any(
        step["kind"] == "signature" and step["list"] != last and not step["done"]
        for step in steps(state, policy)
    )
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


def _is_done(state: Mapping[str, Any], policy: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    is_again = step["kind"] == "signature" and step["list"] != ENGINEER
    if not (is_again and state["visit"].get("changes")) and _stands(
        state, step["kind"], step["list"]
    ):
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
