"""What a person must look at: flags with their next steps, and operations kept apart."""

from __future__ import annotations

from typing import Any

from fieldapp.desk.next_steps import next_step
from fieldapp.desk.seen import Seen
from fieldapp.desk.timeline import Fact, facts_of, label_of
from sync.canonical import canonical
from sync.merge import QUARANTINE

EACH_ON_ITS_OWN = ("customer.question",)
"""Flags that want an answer each, even if several say the same; what was asked stands with them."""


def flags_of(seen: Seen) -> list[dict[str, Any]]:
    """The flags of a visit, those that say the same of several entries together.

    What stands in quarantine is shown there with its flags.  Each is
    ``{code, args, next_step, entries, names, dismissed}``; ``names`` is what the form posts.  An
    entry has the ``facts`` that its flag wants an answer to.
    """
    apart = {item["id"] for item in seen.state.get("quarantine", ())}
    groups: dict[str, dict[str, Any]] = {}
    for flag in seen.state["flags"]:
        if flag["operation"] in apart and flag["code"] in QUARANTINE:
            continue
        dismissed = _dismissed(seen, flag)
        alone = flag["operation"] if flag["code"] in EACH_ON_ITS_OWN else ""
        key = canonical([flag["code"], flag["args"], dismissed, alone])
        group = groups.setdefault(
            key,
            {
                "code": flag["code"],
                "args": flag["args"],
                "next_step": next_step(flag["code"]),
                "entries": [],
                "names": [],
                "dismissed": dismissed,
            },
        )
        group["entries"].append(_entry(seen, flag["operation"]) | {"facts": _asked(seen, flag)})
        group["names"].append(name_of(flag))
    return sorted(groups.values(), key=lambda group: group["dismissed"] is not None)


def quarantine_of(seen: Seen) -> list[dict[str, Any]]:
    """Every operation of a visit that is kept apart, with its whole content and its flags."""
    flags = seen.state["flags"]
    return [
        {
            "id": item["id"],
            "label": label_of(item["kind"]),
            "facts": facts_of(item["kind"], item["value"], seen.kinds, seen.words, {}),
            "next_step": next_step(item["code"]),
            "flags": [
                flag | {"name": name_of(flag), "dismissed": _dismissed(seen, flag)}
                for flag in flags
                if flag["operation"] == item["id"] and flag["code"] in QUARANTINE
            ],
        }
        | seen.who(item)
        for item in seen.state.get("quarantine", ())
    ]


def name_of(flag: dict[str, Any]) -> str:
    """How a form names a flag: its operation, a space, its code."""
    return f"{flag['operation']} {flag['code']}"


def _entry(seen: Seen, id_: str) -> dict[str, Any]:
    """The operation that a flag is about; one that is not here has only its id."""
    for row in seen.rows:
        if row.id == id_:
            return {"id": id_, "label": label_of(row.kind)} | seen.who_of(row)
    return {"id": id_, "label": id_, "author": "", "at": "", "wall_at": "", "device": ""}


def _asked(seen: Seen, flag: dict[str, Any]) -> list[Fact]:
    """What a flag that wants an answer is about, in its author's words."""
    if flag["code"] not in EACH_ON_ITS_OWN:
        return []
    for entry in seen.state["entries"]:
        if entry["id"] == flag["operation"]:
            return facts_of(entry["kind"], entry["value"], seen.kinds, seen.words, {})
    return []


def _dismissed(seen: Seen, flag: dict[str, Any]) -> dict[str, str] | None:
    """``{author, at, reason}`` of who dismissed a flag."""
    said = flag.get("dismissed")
    if not said:
        return None
    words = seen.words
    return {
        "author": words.people.get(said["author"], said["author"]),
        "at": words.moment(said["at"]),
        "reason": said["reason"],
    }
