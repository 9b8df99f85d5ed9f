"""sync.protocol: what is a push, where a cursor stands, what a digest says."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.problems import Problem
from sync.protocol import Cursor, digest, read_cursor, read_push

PUSH = {"protocol": 1, "now": 1_773_110_880_000, "high": 3, "operations": [{"id": "o-1"}]}


def test_a_push_is_read():
    push = read_push(PUSH, 500)
    assert (push.now_ms, push.high, push.operations) == (1_773_110_880_000, 3, [{"id": "o-1"}])


def test_the_counter_may_be_absent_and_more_may_be_there():
    body = {key: value for key, value in PUSH.items() if key != "high"} | {"future": 1}
    assert read_push(body, 500).high == 0


def test_operations_are_not_looked_into():
    strange = [None, 7, "x", [], {}]
    assert read_push(PUSH | {"operations": strange}, 5).operations == strange


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "push.not-json"),
        ([], "push.not-json"),
        ("<html>Welcome to the hotel</html>", "push.not-json"),
        (7, "push.not-json"),
        ({}, "push.protocol"),
        (PUSH | {"protocol": 2}, "push.protocol"),
        (PUSH | {"protocol": 0}, "push.protocol"),
        (PUSH | {"protocol": "1"}, "push.protocol"),
        (PUSH | {"protocol": None}, "push.protocol"),
        (PUSH | {"protocol": True}, "push.protocol"),
        (PUSH | {"protocol": 1.0}, "push.protocol"),
        (PUSH | {"operations": None}, "push.not-json"),
        (PUSH | {"operations": {"0": {}}}, "push.not-json"),
        (PUSH | {"operations": "[]"}, "push.not-json"),
        (PUSH | {"now": None}, "push.not-json"),
        (PUSH | {"now": True}, "push.not-json"),
        (PUSH | {"now": -1}, "push.not-json"),
        (PUSH | {"now": 1.5}, "push.not-json"),
        (PUSH | {"now": "1773110880000"}, "push.not-json"),
        (PUSH | {"now": 2**53}, "push.not-json"),
        (PUSH | {"high": None}, "push.not-json"),
        (PUSH | {"high": -1}, "push.not-json"),
        (PUSH | {"high": False}, "push.not-json"),
        (PUSH | {"high": 2**53}, "push.not-json"),
        (PUSH | {"operations": [{}] * 501}, "content.too-large"),
    ],
)
def test_what_is_no_push_is_refused(body, code):
    with pytest.raises(Problem) as raised:
        read_push(body, 500)
    assert raised.value.code == code


def test_as_many_operations_as_allowed_are_taken():
    assert len(read_push(PUSH | {"operations": [{}] * 500}, 500).operations) == 500


@given(st.integers(0, 2**53 - 1), st.uuids().map(str))
def test_a_cursor_comes_back_as_it_went(rev, visit):
    cursor = Cursor("epoch-1", rev, visit)
    assert read_cursor(cursor.write(), "epoch-1") == cursor


def test_the_first_cursor_comes_back_too():
    assert read_cursor(Cursor("e", 0, "").write(), "e") == Cursor("e", 0, "")


def test_a_restored_backup_is_read_from_the_start():
    written = Cursor("epoch-1", 70, "v-1").write()
    assert read_cursor(written, "epoch-2") == Cursor("epoch-2", 0, "")


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [None, 7, True, [], {}, "", "x", "e|5|v-1", "====", "\ud842", "é", "𠮷", encoded("e"),
     encoded("e|5"), encoded("e|five|v-1"), encoded("e||v-1"), encoded("e|5.0|v-1"),
     encoded("e|-1|v-1"), encoded(f"e|{2**53}|v-1"), encoded("e|" + "9" * 5000 + "|v-1"),
     encoded("|5|v-1"), base64.urlsafe_b64encode(b"\xff\xfe|5|v").decode(),
     Cursor("e", 5, "v-1").write()[:-9]],
)  # fmt: skip
def test_a_damaged_cursor_reads_from_the_start(text):
    assert read_cursor(text, "e") == Cursor("e", 0, "")


def test_a_digest_does_not_depend_on_the_order():
    forwards = {"a": 1, "b": 2, "c": 3}
    backwards = dict(reversed(forwards.items()))
    assert digest(forwards) == digest(backwards)
    assert digest(forwards) == hashlib.sha256(b"a 1\nb 2\nc 3").hexdigest()


@pytest.mark.parametrize("other", [{}, {"a": 1}, {"a": 1, "b": 3}, {"a": 2, "b": 1}, {"a": 12}])
def test_every_difference_changes_the_digest(other):
    assert digest({"a": 1, "b": 2}) != digest(other)


def test_an_empty_scope_has_the_digest_of_nothing():
    assert digest({}) == hashlib.sha256(b"").hexdigest()
