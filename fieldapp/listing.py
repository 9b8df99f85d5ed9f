"""Which visits the list shows: where each belongs, and whether it is one that is looked for.

Twin: ``static/phone/listing.js``, cases in ``tests/vectors/listing.json``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from fieldapp.formats import FormatError, day

State = Mapping[str, Any]

SECTIONS = ("today", "finish", "coming", "past", "handed")
BEGUN = ("departed", "on-site", "signed", "unsigned")

_BETWEEN = re.compile("[ \t\r\n]+")
_UNHEARD = re.compile("[ \t\r\n\u2010-\u2015\u2212\u3001\u3002·_.,:;/()#-]")
_CAPITALS = re.compile("[A-Z\u00c0-\u052f]")


def listed(states: Sequence[State], asked: Mapping[str, str], today: str) -> list[dict[str, Any]]:
    """The sections of the list that have visits: ``[{name, visits: [id, …]}, …]``, in their order.

    ``asked`` holds ``q`` (all its words must be found), ``show`` (a section, or empty) and
    ``state`` (a status, or empty); ``today`` is a day of the organisation.  Every visit stands in
    one section, but whoever asks for one is shown all that belong there: today's unfinished ones
    too.  In their order by appointment, those without one last; past ones the other way round.
    """
    terms = [term for term in map(folded, _BETWEEN.split(_wide(asked["q"]))) if term]
    found: dict[str, list[State]] = {name: [] for name in SECTIONS}
    for state in sorted(states, key=_order):
        places = _places(state, today)
        if asked["show"] and asked["show"] not in places:
            continue
        if asked["state"] and state["visit"]["status"] != asked["state"]:
            continue
        if terms and not _has_all(state, terms):
            continue
        found[asked["show"] or places[0]].append(state)
    found["past"].reverse()
    return [
        {"name": name, "visits": [state["visit"]["id"] for state in here]}
        for name, here in found.items()
        if here
    ]


def folded(text: str) -> str:
    """``text`` as it is looked for: whatever its width and case, without blanks and hyphens."""
    return _CAPITALS.sub(lambda found: found[0].lower(), _UNHEARD.sub("", _wide(text)))


def _wide(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _places(state: State, today: str) -> list[str]:
    """The sections a visit belongs to, the one it stands in first."""
    if state["sync"]["removed"]:
        return ["handed"]
    status = state["visit"]["status"]
    on = _day(state)
    is_known = bool(state["context"]["work_order"]["id"])
    is_now = status in BEGUN or (status == "planned" and not is_known)
    is_late = status == "planned" and "" < on < today
    places = ["today"] if on == today or (not on and is_now) else []
    if status in (*BEGUN, "sent-back") or is_late or state["visit"].get("changes"):
        places.append("finish")
    if places:
        return places
    return ["coming"] if on > today or (not on and status == "planned") else ["past"]


def _day(state: State) -> str:
    """The day of the appointment on the organisation's clock; empty without one."""
    try:
        return day(_appointment(state), state["context"]["organisation"]["offsets"])
    except FormatError:
        return ""


def _appointment(state: State) -> str:
    cell = state["fields"].get("appointment/at")
    return cell["value"] if cell and isinstance(cell["value"], str) else ""


def _order(state: State) -> tuple[str, str]:
    return _appointment(state) or "9", state["visit"]["id"]


def _has_all(state: State, terms: Sequence[str]) -> bool:
    context = state["context"]
    said = [
        context["customer"]["name"],
        context["site"]["name"],
        context["site"]["address"],
        context["contact"]["name"],
        context["work_order"]["number"],
        context["request"]["number"],
        *((context["asset"] or {}).get(name) for name in ("serial", "model", "name")),
        *(state["fields"].get(f"fault/{name}", {}).get("value") for name in ("text", "location")),
        *(
            entry["value"].get(name)
            for entry in state["entries"]
            if entry["kind"] == "opening" and not entry["voids"]
            for name in ("customer", "site", "text")
        ),
    ]
    text = "\n".join(folded(each) for each in said if isinstance(each, str))
    return all(term in text for term in terms)
