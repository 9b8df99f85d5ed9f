"""Signature strokes become a drawing of ours, or nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bench.paper import day_paper
from sync import strokes
from sync.problems import Problem


def test_cleos_signature_becomes_one_path_a_stroke() -> None:
    (signature,) = day_paper()["signatures"]
    drawn = strokes.drawing(signature["strokes"]).decode()
    assert drawn.count("<path") == len(signature["strokes"])
    assert drawn == strokes.drawing(signature["strokes"]).decode()


def test_the_drawing_is_made_of_numbers_only() -> None:
    drawn = strokes.drawing([[10, 20, 0, 30, 40, 16]]).decode()
    paths = re.findall(r'd="([^"]*)"', drawn)
    assert paths == ["M10 20L30 40"]


def test_the_drawing_is_cropped_to_the_ink() -> None:
    drawn = strokes.drawing([[100, 200, 0, 400, 300, 16]]).decode()
    assert 'viewBox="88 188 324 124"' in drawn


def test_a_dot_stays_visible() -> None:
    assert 'd="M5 5l1 0"' in strokes.drawing([[5, 5, 0]]).decode()


def test_an_empty_stroke_beside_a_real_one_does_no_harm() -> None:
    assert strokes.points_of([[], [1, 2, 0]]) == [[(1, 2)]]


def test_points_far_outside_are_clipped() -> None:
    assert strokes.points_of([[10**30, -(10**30), 0]]) == [[(strokes.REACH, -strokes.REACH)]]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "M0 0",
        {},
        [],
        [[]],
        [[1, 2]],
        [[1, 2, 3, 4]],
        [[1.5, 2, 3]],
        [[True, 2, 3]],
        [["1", "2", "3"]],
        [[None, 1, 2]],
        [[1, 2, '"/><script>']],
        [[[1, 2, 3]]],
        ["123"],
        [(1, 2, 3)],
    ],
)
def test_what_is_no_list_of_whole_numbers_is_refused(odd: Any) -> None:
    with pytest.raises(Problem) as refused:
        strokes.drawing(odd)
    assert refused.value.code == "field.not-strokes"


@pytest.mark.parametrize(
    "long", [[[0, 0, 0] * (strokes.POINTS + 1)], [[0, 0, 0]] * (strokes.POINTS + 1)]
)
def test_more_points_than_a_hand_makes_are_refused(long: Any) -> None:
    with pytest.raises(Problem) as refused:
        strokes.drawing(long)
    assert refused.value.code == "field.too-long"


def test_as_many_points_as_allowed_are_drawn() -> None:
    assert strokes.drawing([[0, 0, 0] * strokes.POINTS])
