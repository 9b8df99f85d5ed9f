"""What changed of that which the customer signed, and how the desk has it signed again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fieldapp.desk.pages import WORKING
from fieldapp.desk.seen import Seen
from fieldapp.desk.timeline import field_at, label_of, text_at
from fieldapp.languages import LANGUAGES, texts
from fieldapp.offline.messages import singular
from sync.canonical import canonical
from sync.catalogue import N_, kind_named
from sync.changed import ENGINEER
from sync.problems import Problem

REASON = N_(
    "This was changed after the customer signed: %(what)s. Please ask the customer to sign again."
)


@dataclass(frozen=True)
class Change:
    """One thing that was signed: ``was`` and ``now`` are texts, ``now`` is empty when struck out.

    ``labels`` are message ids: the entry's, then the field's.
    """

    labels: tuple[str, ...]
    was: str
    now: str
    reason: str
    who: Mapping[str, str]


@dataclass(frozen=True)
class Changed:
    """Everything that changed, and what comes next.

    ``step`` is ``wait`` while the engineer is still on the visit, ``asked`` once it was sent back,
    else ``send-back``, for which ``reason`` is written in the engineer's language.
    """

    changes: list[Change]
    step: str
    reason: str


def changed_of(seen: Seen) -> Changed | None:
    """What the page of a visit says of changes after the signature; None without any."""
    found = seen.state["visit"].get("changes")
    if not found:
        return None
    signed = _signed_facts(seen)
    changes = [_change(seen, item, signed) for item in found]
    status = seen.state["visit"]["status"]
    step = "wait" if status in WORKING else "asked" if status == "sent-back" else "send-back"
    return Changed(changes, step, _reason(seen, changes))


def _change(seen: Seen, item: Mapping[str, str], signed: Mapping[str, Any]) -> Change:
    kind, entry, name = item["kind"], item["entry"], item["field"]
    if not name:
        struck = next(one for one in seen.state["entries"] if one["id"] == entry)
        void = struck["voids"][0] | {"device": ""}
        return Change((label_of(kind),), "", "", void["reason"], seen.who(void))
    path = f"entries/{entry}/{name}" if entry else f"{kind}/{name}"
    cell = seen.state["fields"][path]

    def text(value: Any) -> str:
        return text_at(path, value, seen.kinds, seen.words)

    return Change(
        (label_of(kind), field_at(path, seen.kinds)[0]),
        " / ".join(text(value) for value in signed.get(path, ())) or "–",
        " / ".join(dict.fromkeys(text(side["value"]) for side in cell["sides"])),
        "",
        seen.who(cell["sides"][-1]),
    )


def _signed_facts(seen: Seen) -> dict[str, list[Any]]:
    """What the newest signature of the customer says, as values by path.

    Empty where it cannot be read: its snapshot comes from a phone.
    """
    newest = [
        entry["id"]
        for entry in seen.state["signatures"]
        if not entry["voids"] and entry["value"].get("role") != ENGINEER
    ][-1]
    values: dict[str, list[Any]] = {}
    try:
        body = next(json.loads(row.body) for row in seen.rows if row.id == newest)
        facts = json.loads(body["value"]["snapshot"])["facts"]
        canonical(facts)  # half a character is in no page
        for found in facts["fields"]:
            values[str(found["path"])] = list(found["values"])
        for entry in facts["entries"]:
            for name, value in entry["value"].items():
                values[f"entries/{entry['id']}/{name}"] = [value]
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        StopIteration,
        Problem,
    ):
        return {}
    return values


def _reason(seen: Seen, changes: list[Change]) -> str:
    """Why the visit goes back, for its engineer to read."""
    engineer = seen.visit.engineer
    language = engineer.language if engineer and engineer.language in LANGUAGES else LANGUAGES[0]
    words = texts()[language]
    named = dict.fromkeys(
        " · ".join(singular(words, one) for one in each.labels) for each in changes
    )
    said = singular(words, REASON) % {"what": " / ".join(named)}
    return said[: kind_named("review").field("reason").limit]
