"""sync.operation: what is an operation, and what the journal keeps without reading it."""

from __future__ import annotations

import json
import re

import pytest
from operations import envelope

from sync.operation import by_code_unit, iso, new_id, read_operation
from sync.problems import Problem

NOTE = envelope(1, "note", {"text": "dead"})


def refused_field(body) -> str:
    with pytest.raises(Problem) as raised:
        read_operation(body)
    assert raised.value.code == "operation.malformed"
    return raised.value.args_["field"]


def test_an_operation_is_read_whole():
    operation = read_operation(NOTE | {"future": [1]})
    assert (operation.id, operation.kind, operation.value) == (NOTE["id"], "note", {"text": "dead"})
    assert operation.body["future"] == [1]


def test_value_and_hash_may_be_absent():
    body = {key: item for key, item in NOTE.items() if key not in ("value", "hash")}
    operation = read_operation(body)
    assert (operation.value, operation.hash) == (None, "")


def test_a_hash_that_is_no_text_is_none():
    assert read_operation(NOTE | {"hash": 7}).hash == ""


@pytest.mark.parametrize("body", [None, [], "note", 7, True, [NOTE]])
def test_what_is_no_record_is_refused(body):
    assert refused_field(body) == "envelope"


@pytest.mark.parametrize("name", ["id", "visit", "device", "author", "kind"])
@pytest.mark.parametrize("value", [None, "", 7, True, ["x"], {}, "x" * 41])
def test_a_name_must_be_a_short_text(name, value):
    assert refused_field(NOTE | {name: value}) == name


@pytest.mark.parametrize("name", ["id", "visit", "device", "author"])
def test_an_id_has_thirty_six_characters_at_most(name):
    assert getattr(read_operation(NOTE | {name: "𠮷" * 36}), name) == "𠮷" * 36
    assert refused_field(NOTE | {name: "x" * 37}) == name


@pytest.mark.parametrize("name", ["v", "n", "wall", "mono", "skew"])
@pytest.mark.parametrize("value", [None, "1", True, False, 1.0, [1], 2**53, -(2**53), 10**400])
def test_a_number_must_be_a_whole_one_that_javascript_holds(name, value):
    assert refused_field(NOTE | {name: value}) == name


@pytest.mark.parametrize("name", ["id", "visit", "device", "author", "kind", "v", "n", "wall",
                                  "mono", "skew", "supersedes"])  # fmt: skip
def test_no_field_of_the_envelope_may_be_absent(name):
    assert refused_field({key: item for key, item in NOTE.items() if key != name}) == name


@pytest.mark.parametrize(
    "value",
    [None, [], "x", {"a": "o-1"}, {"a": None}, {"a": [1]}, {"a": [None]}, {"a": [["o-1"]]},
     {"a": {"0": "o-1"}}, {"a": ["o-1"], "b": "o-2"}],
)  # fmt: skip
def test_supersedes_names_lists_of_ids(value):
    assert refused_field(NOTE | {"supersedes": value}) == "supersedes"


@pytest.mark.parametrize("value", [0.5, "\ud842", {"\udfb7": 1}, 2**53, [float("nan")]])
def test_what_cannot_be_hashed_is_refused_wherever_it_stands(value):
    refused_field(NOTE | {"value": {"text": value}})
    refused_field(NOTE | {"future": value})


def test_what_is_nested_too_deep_is_refused():
    body = json.loads('{"value":' + "[" * 200 + "]" * 200 + "}")
    assert refused_field(NOTE | body) == "depth"


@pytest.mark.parametrize("ms", [0, 1_773_110_880_000, 2**48 - 1])
def test_an_id_is_a_uuid_of_version_seven_that_tells_its_time(ms):
    id_ = new_id(ms, b"\xff" * 10)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id_)
    assert int(id_[:8] + id_[9:13], 16) == ms


def test_the_example_of_the_standard():
    # RFC 9562, appendix A.6
    random = bytes.fromhex("0cc3" + "18c4dc0c0c07398f")
    assert new_id(0x017F22E279B0, random) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_ids_sort_by_their_time():
    times = [0, 1, 255, 256, 1_773_110_880_000, 2**48 - 1]
    ids = [new_id(ms, bytes(10)) for ms in times]
    assert sorted(ids) == ids


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (999, "1970-01-01T00:00:00Z"),
        (1_773_110_880_999, "2026-03-10T02:48:00Z"),
        (-1, "1970-01-01T00:00:00Z"),
        (-(2**53), "1970-01-01T00:00:00Z"),
        (253_370_764_799_999, "9998-12-31T23:59:59Z"),
        (253_370_764_800_000, "9998-12-31T23:59:59Z"),
        (2**53, "9998-12-31T23:59:59Z"),
    ],
)
def test_any_clock_has_a_time_that_can_be_shown(ms, text):
    assert iso(ms) == text


def test_texts_sort_as_javascript_sorts_them():
    assert sorted(["\ufb33", "𠮷", "z", "Z", ""], key=by_code_unit) == [
        "",
        "Z",
        "z",
        "𠮷",
        "\ufb33",
    ]
    assert by_code_unit("\ud842")
