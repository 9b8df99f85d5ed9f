"""What is wrong with a form of the desk, beyond what the catalogue says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fieldapp.desk.assignments import assignment_findings
from fieldapp.desk.seen import Seen
from sync.catalogue import FROM_CUSTOMER
from sync.glyphs import coverage
from sync.problems import Problem
from sync.validate import Finding, validate


def findings_of(kind: Mapping[str, Any], value: Mapping[str, Any], seen: Seen) -> list[Finding]:
    """What is wrong with ``value`` of the catalogue's ``kind``.

    Raises Problem("entry.not-found") for a void of what is not on the visit, or is the customer's
    own word.
    """
    found = validate(kind["fields"], value, seen.policy.choices(), coverage())
    if kind["name"] == "assignment" and not found:
        found += assignment_findings(value, seen.engineers)
    elif kind["name"] == "review" and value.get("verdict") == "sent-back":
        if not value.get("reason"):
            found.append({"field": "reason", "code": "field.missing", "detail": ""})
    elif kind["name"] == "void" and not found:
        entries = seen.state["entries"] + seen.state["signatures"]
        own = [entry for entry in entries if entry["kind"] not in FROM_CUSTOMER]
        if value["entry"] not in {entry["id"] for entry in own}:
            raise Problem("entry.not-found")
    return found
