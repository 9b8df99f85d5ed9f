"""What a customer said of a visit on the page behind its link, as the desk reads it."""

from __future__ import annotations

from dataclasses import dataclass

from fieldapp.desk.seen import Seen
from sync.merge import standing_entries


@dataclass(frozen=True)
class Rating:
    """``stars`` are the policy's words, ``opinion`` may be empty."""

    stars: str
    opinion: str
    at: str


def ratings_of(seen: Seen) -> list[Rating]:
    """How the customer rated the visit, the newest first: that one counts."""
    return [
        Rating(
            seen.words.word("ratings", str(entry["value"].get("stars"))),
            str(entry["value"].get("opinion") or ""),
            seen.words.moment(entry["at"]),
        )
        for entry in reversed(standing_entries(seen.state, "rating"))
    ]
