"""Which papers a visit yields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sync.papers import DISPATCH_ORDER, PAPERS, paper_named, papers_of

TEMPLATES = Path(__file__).parents[2] / "templates"


def facts(*kinds: str) -> dict[str, Any]:
    return {"entries": [{"kind": kind} for kind in kinds]}


def test_a_paper_about_something_is_made_when_there_is_some_of_it() -> None:
    wanted = ["dispatch-order", "replacement-notice"]
    assert papers_of(wanted, facts("arrival", "loaner")) == wanted
    assert papers_of(wanted, facts("arrival", "take-back")) == wanted
    assert papers_of(wanted, facts("arrival", "swap")) == ["dispatch-order"]


def test_papers_come_in_the_order_of_the_policy() -> None:
    wanted = ["feedback-form", "dispatch-order"]
    assert papers_of(wanted, facts()) == wanted


def test_who_signed_gets_a_paper_whatever_the_policy_says() -> None:
    assert papers_of([], facts("arrival")) == [DISPATCH_ORDER]
    assert papers_of(["warranty-record"], facts("arrival")) == [DISPATCH_ORDER]


def test_whatever_was_signed_stands_on_a_paper():
    wanted = ["acceptance-list", "feedback-form"]
    assert papers_of(wanted, facts("arrival", "training")) == wanted
    assert papers_of(wanted, facts("arrival")) == [DISPATCH_ORDER, "feedback-form"]
    other = ["implementation-sheet", "acceptance-list"]
    assert papers_of(other, facts("arrival")) == ["implementation-sheet"]


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_paper_has_its_template(paper: Any) -> None:
    assert (TEMPLATES / paper.template).is_file()
    assert paper_named(paper.name) is paper


def test_a_paper_nobody_knows_is_none() -> None:
    with pytest.raises(KeyError):
        paper_named("love-letter")
    with pytest.raises(KeyError):
        papers_of(["love-letter"], facts())
