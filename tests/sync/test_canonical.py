"""sync.canonical: what only Python can be handed; the rest is tests/vectors/canonical.json."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from sync.canonical import DEEPEST, LARGEST, canonical, hash_of, sha256
from sync.problems import Problem


@pytest.mark.parametrize(
    "value",
    [1.0, -0.0, float("nan"), float("inf"), b"bytes", {1, 2}, object(), {1: "a"}, {None: "a"},
     {True: "a"}, {("a",): 1}, [[1.0]], {"a": {"b": b""}}],
)  # fmt: skip
def test_what_is_no_json_or_not_exact_is_refused(value):
    with pytest.raises(Problem) as raised:
        canonical(value)
    assert raised.value.code == "operation.malformed"


LEAVES = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(VALUES)
@example({"\ue000": 1, "\U00010000": 2})
@example({"a": {"\U00010000": 1, "\uffff": '\x00\x1f\x7f\u2028\\"/'}})
def test_the_text_is_that_of_another_writer_of_the_same_standard(value):
    assert canonical(value) == rfc8785.dumps(value).decode()


def test_a_tuple_is_a_list():
    assert canonical((1, ("a",))) == '[1,["a"]]'


def test_a_value_nested_without_end_is_refused_and_not_a_crash():
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(Problem) as raised:
        canonical(value)
    assert raised.value.args_ == {"field": "depth"}


def test_the_deepest_value_is_still_read_back():
    value: object = "x"
    for _ in range(DEEPEST):
        value = {"a": value}
    assert json.loads(canonical(value)) == value


def test_the_hash_is_that_of_the_canonical_text():
    assert hash_of({"b": 1, "a": [], "hash": "x"}) == sha256('{"a":[],"b":1}')
