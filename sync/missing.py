"""The steps of a visit and what must still be done before the customer may sign.

Twin: ``static/phone/missing.js``, cases in ``tests/vectors/missing.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync.merge import OPENING, standing_entries


def steps(state: Mapping[str, Any], policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps of the visit's job type in the policy's order, each with ``done``.

    An unknown job type has no steps.
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
    kinds = [step["kind"], *policy["alternatives"].get(step["kind"], [])]
    return any(_stands(state, kind, step["list"]) for kind in kinds)


def _stands(state: Mapping[str, Any], kind: str, list_: str) -> bool:
    if any(path.startswith(f"{kind}/") for path in state["fields"]):
        return True
    return any(
        entry["kind"] == kind
        and not entry["voids"]
        and (not list_ or entry["value"].get("list") == list_)
        for entry in [*state["entries"], *state["signatures"]]
    )
