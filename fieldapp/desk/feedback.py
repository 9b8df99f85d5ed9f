"""What a customer said of a visit, behind its link or on a phone handed to him, for the desk."""

from __future__ import annotations

from dataclasses import dataclass

from fieldapp.desk.seen import Seen
from sync.merge import standing_entries
from sync.operation import CUSTOMER


@dataclass(frozen=True)
class Rating:
    """``stars`` are the policy's words, ``opinion`` may be empty.

    ``handed_by`` is who handed his phone over for it, empty behind the link: the desk must know
    that an engineer owns the phone on which he was rated.
    """

    stars: str
    opinion: str
    at: str
    handed_by: str


def ratings_of(seen: Seen) -> list[Rating]:
    """How the customer rated the visit, the newest first: that one counts."""
    return [
        Rating(
            seen.words.word("ratings", str(entry["value"].get("stars"))),
            str(entry["value"].get("opinion") or ""),
            seen.words.moment(entry["at"]),
            "" if entry["author"] == CUSTOMER else seen.state["people"].get(entry["author"], "–"),
        )
        for entry in reversed(standing_entries(seen.state, "rating"))
    ]
