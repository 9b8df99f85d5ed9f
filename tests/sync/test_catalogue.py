"""sync.catalogue: one entry says everything about a kind, and nothing twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import get_args

import pytest

from fieldapp.policies import load_policy
from sync import catalogue
from sync.canonical import canonical
from sync.catalogue import KINDS, FieldType, OnPaper, Policy
from sync.problems import Problem

FIELDS = [(kind, field) for kind in KINDS for field in kind.fields]


@pytest.mark.parametrize("name", ["name", "noun", "label"])
def test_no_two_kinds_share_a_name(name):
    counts = Counter(getattr(kind, name) for kind in KINDS)
    assert [value for value, count in counts.items() if count > 1] == []


def test_names_and_nouns_can_stand_in_a_url():
    for kind in KINDS:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.name)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.noun)
        assert len(kind.name) <= 40


def test_no_kind_is_called_like_the_path_of_a_correction_or_what_objects_inherit():
    reserved = {"entries", "constructor", "toString", "valueOf", "hasOwnProperty"}
    assert reserved.isdisjoint({kind.name for kind in KINDS})


def test_fields_of_a_kind_have_names_of_their_own():
    for kind in KINDS:
        names = [field.name for field in kind.fields]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


def test_every_word_of_the_catalogue_is_a_known_one():
    for kind in KINDS:
        assert kind.policy in get_args(Policy)
        assert kind.on_paper in get_args(OnPaper)
        assert set(kind.roles) <= {"engineer", "dispatcher", "manager", "customer"}
        assert kind.roles
    assert {field.type for _, field in FIELDS} <= set(get_args(FieldType))


def test_choices_are_offered_where_they_are_asked_for_and_nowhere_else():
    offered = load_policy("alarm").choices()
    for kind, field in FIELDS:
        assert bool(field.choices) == (field.type in ("choice", "ticks")), (kind.name, field.name)
        if field.choices:
            assert offered[field.choices], (kind.name, field.name)


def test_every_field_asks_for_something():
    for _, field in FIELDS:
        assert field.label
        assert field.limit > 0
        assert (field.default, field.type) in {
            ("", field.type), ("now", "moment"), ("soon", "moment"), ("quote", "entry"),
            ("contact", "text"),
        }  # fmt: skip


def test_only_the_office_asserts_and_only_the_engineer_takes_signatures():
    for kind in KINDS:
        if kind.policy == "assert":
            assert kind.roles == catalogue.DESK
            assert kind.on_paper == "never"
        if kind.policy == "sign":
            assert kind.roles == catalogue.FIELD


def test_a_kind_is_found_by_its_name_and_by_its_noun():
    for kind in KINDS:
        assert catalogue.kind_named(kind.name) is kind
        assert catalogue.kind_of(kind.noun) is kind
        assert catalogue.is_known(kind.name)
        assert catalogue.ON_PAPER[kind.name] == kind.on_paper
        for field in kind.fields:
            assert kind.field(field.name) is field


@pytest.mark.parametrize("name", ["", "teleport", "Note", "notes", "constructor", "__class__"])
def test_an_unknown_name_is_refused(name):
    assert not catalogue.is_known(name)
    with pytest.raises(Problem) as raised:
        catalogue.kind_named(name)
    assert (raised.value.code, raised.value.args_) == ("operation.unknown-kind", {"kind": name})


@pytest.mark.parametrize("noun", ["", "teleports", "note", "Notes", "__class__"])
def test_an_unknown_noun_is_no_page(noun):
    with pytest.raises(Problem) as raised:
        catalogue.kind_of(noun)
    assert raised.value.code == "page.unknown"


def test_an_unknown_field_is_a_mistake():
    with pytest.raises(KeyError):
        catalogue.kind_named("note").field("caption")


def test_the_catalogue_crosses_to_the_phone_as_it_is():
    data = catalogue.as_data()
    assert json.loads(canonical(data)) == data
    assert [kind["name"] for kind in data] == [kind.name for kind in KINDS]
    data[0]["fields"][0]["name"] = "changed"
    assert KINDS[0].fields[0].name != "changed"
