"""The papers of the trade: which there are, and which of them a visit yields.

A policy's job type names its papers in order; one that has nothing to say on a visit is left out.
All papers of one revision state the same signed facts, each for its own reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync.catalogue import N_


@dataclass(frozen=True)
class PaperKind:
    """One paper: its ``name`` in policies and registers, and its ``title``, a message id.

    ``about`` are the kinds of entries it exists for: without any of them it is not made.
    ``is_record`` of one that leaves out nothing of what was signed.
    """

    name: str
    title: str
    about: tuple[str, ...] = ()
    is_record: bool = False

    @property
    def template(self) -> str:
        """The template that lays it out."""
        return f"report/{self.name.replace('-', '_')}.html"


DISPATCH_ORDER = "dispatch-order"

BOTH = "both"
"""The language of a paper that says everything in Chinese and in English, side by side."""

PAPERS: tuple[PaperKind, ...] = (
    PaperKind(DISPATCH_ORDER, N_("Fault dispatch order"), is_record=True),
    PaperKind("replacement-notice", N_("Spare-replacement notice"), ("loaner", "take-back")),
    PaperKind("feedback-form", N_("Service feedback form")),
    PaperKind("service-order", N_("Repair service order")),
    PaperKind("warranty-record", N_("Warranty repair record"), ("swap",)),
    PaperKind("inspection-sheet", N_("Inspection sheet"), is_record=True),
    PaperKind("implementation-sheet", N_("Implementation sheet"), is_record=True),
    PaperKind("acceptance-list", N_("Acceptance list"), ("training",), is_record=True),
)

_BY_NAME = {paper.name: paper for paper in PAPERS}


def paper_named(name: str) -> PaperKind:
    """The paper called ``name``; KeyError when there is none."""
    return _BY_NAME[name]


def papers_of(wanted: Sequence[str], facts: Mapping[str, Any]) -> list[str]:
    """The names of the papers a visit yields, in the order of ``wanted``.

    ``wanted`` are those of its job type, ``facts`` what was signed.  The dispatch order too when
    none of them has anything to say, or the one that leaves out nothing has not: whatever was
    signed stands on a paper.
    """
    kinds = _standing(facts["entries"])
    found = [
        name for name in wanted if not (about := _BY_NAME[name].about) or kinds.intersection(about)
    ]
    lacks = [name for name in wanted if name not in found and _BY_NAME[name].is_record]
    if found and not (lacks and not any(_BY_NAME[name].is_record for name in found)):
        return found
    return [DISPATCH_ORDER, *found]


def _standing(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    return {entry["kind"] for entry in entries}
