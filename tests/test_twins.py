"""Every rule that exists in Python and in JavaScript, run through its cases on both sides.

A vector file in tests/vectors/ names the two modules and lists cases; ``call`` is Python's name of
the function, JavaScript's is the same in camel case (``local_input``, ``localInput``).
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from sync.catalogue import as_data, kind_named
from sync.glyphs import coverage
from sync.validate import validate
from tests.hostile import LONE, hostile

VECTORS = Path(__file__).parent / "vectors"


def twins() -> list[Any]:
    found = []
    for file in sorted(VECTORS.glob("*.json")):
        text = file.read_text(encoding="utf-8")
        vectors = json.loads(text)
        if isinstance(vectors, dict) and {"python", "javascript"} <= vectors.keys():
            found.append(pytest.param(vectors | {"text": text}, id=file.stem))
    return found


def camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def python_functions(vectors: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    module = importlib.import_module(vectors["python"])
    return {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


def javascript_functions(page: Page, vectors: dict[str, Any]) -> set[str]:
    return set(
        page.evaluate(
            """async (path) => Object.entries(await import(path))
              .filter(([, value]) => typeof value === "function")
              .filter(([, value]) => !/^class\\b/.test(Function.prototype.toString.call(value)))
              .map(([name]) => name)""",
            javascript_path(vectors),
        )
    )


def javascript_path(vectors: dict[str, Any]) -> str:
    return "/" + vectors["javascript"].removeprefix("static/")


def expected(case: dict[str, Any]) -> dict[str, Any]:
    return {key: case[key] for key in ("expect", "problem") if key in case}


def by_python(functions: dict[str, Callable[..., Any]], case: dict[str, Any]) -> dict[str, Any]:
    try:
        result = functions[case["call"]](*case["given"])
    except Exception as error:
        code = getattr(error, "code", None)
        return {"problem": code if isinstance(code, str) else f"{type(error).__name__}: {error}"}
    # What the phone would receive: a tuple is a list, a dataclass is a mistake.
    return {"expect": json.loads(json.dumps(result))}


def by_javascript(page: Page, vectors: dict[str, Any]) -> list[dict[str, Any]]:
    names = [camel(case["call"]) for case in vectors["cases"]]
    results = page.evaluate(
        """async ([path, names, text]) => {
          const module = await import(path)
          const results = []
          for (const [index, {given}] of JSON.parse(text).cases.entries()) {
            try {
              results.push({expect: (await module[names[index]](...given)) ?? null})
            } catch (error) {
              results.push({problem: error.code ?? String(error)})
            }
          }
          return JSON.stringify(results)
        }""",
        # As JSON text both ways: Playwright's own encoding would tell NaN and undefined apart, and
        # Python would write -0 and 1e400 as something else than the file says.
        [javascript_path(vectors), names, vectors["text"]],
    )
    return list(json.loads(results))


def failures(vectors: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    return [
        f"{case['name']}: expected {expected(case)}, got {result}"
        for case, result in zip(vectors["cases"], results, strict=True)
        if not agrees(expected(case), result)
    ]


def agrees(wanted: dict[str, Any], result: dict[str, Any]) -> bool:
    # As JSON text: to Python 1, 1.0 and True are equal, to a phone they are not.
    return json.dumps(wanted, sort_keys=True) == json.dumps(result, sort_keys=True)


@pytest.mark.parametrize("vectors", twins())
def test_python_keeps_to_the_cases(vectors: dict[str, Any]) -> None:
    functions = python_functions(vectors)
    results = [by_python(functions, case) for case in vectors["cases"]]
    assert failures(vectors, results) == []


@pytest.mark.parametrize("vectors", twins())
def test_javascript_keeps_to_the_cases(vectors: dict[str, Any], module_page: Page) -> None:
    assert failures(vectors, by_javascript(module_page, vectors)) == []


@pytest.mark.parametrize("vectors", twins())
def test_each_exported_function_has_a_case_and_a_twin(
    vectors: dict[str, Any], module_page: Page
) -> None:
    called = {case["call"] for case in vectors["cases"]}
    assert set(python_functions(vectors)) == called
    assert javascript_functions(module_page, vectors) == {camel(name) for name in called}


@pytest.mark.parametrize("vectors", twins())
def test_each_rule_is_refused_at_least_once(vectors: dict[str, Any]) -> None:
    called = {case["call"] for case in vectors["cases"]}
    refused = {case["call"] for case in vectors["cases"] if "problem" in case}
    cannot_fail = set(vectors.get("cannot_fail", []))
    assert called - refused == cannot_fail


@pytest.mark.parametrize("vectors", twins())
def test_cases_are_sentences_told_once(vectors: dict[str, Any]) -> None:
    names = [(case["call"], case["name"]) for case in vectors["cases"]]
    assert len(set(names)) == len(names)
    assert all(len(expected(case)) == 1 for case in vectors["cases"])
    assert vectors["source"]


def test_hostile_text_is_judged_alike_in_every_field_of_every_kind(module_page: Page) -> None:
    """Whoever types what cannot be printed is told so, on the phone and by the server."""
    texts = [*hostile("http://127.0.0.1:1").values(), LONE, "𠮷", "䶮𬭚"]
    kinds = [kind["fields"] for kind in as_data()]
    cases = [
        [fields, {field["name"]: text for field in fields}] for fields in kinds for text in texts
    ]
    by_phone = module_page.evaluate(
        """async (text) => {
          const { validate } = await import("/phone/validate.js")
          const [cases, coverage] = JSON.parse(text)
          return JSON.stringify(cases.map(([fields, value]) => validate(fields, value, {}, coverage)))
        }""",
        json.dumps([cases, coverage()]),
    )
    by_server = [validate(fields, value, {}, coverage()) for fields, value in cases]
    assert json.loads(by_phone) == by_server

    def told(text: str) -> list[str]:
        note = kind_named("note").fields
        findings = validate([vars(field) for field in note], {"text": text}, {}, coverage())
        return [finding["code"] for finding in findings]

    assert [told(text) for text in ("𠮷", "䶮𬭚", LONE)] == [[], [], ["field.glyph"]]
    named = {name: told(text) for name, text in hostile("http://127.0.0.1:1").items()}
    assert {name: codes[0] for name, codes in named.items() if codes} == {
        "direction": "field.control-characters",
        "unseen": "field.control-characters",
        "emoji": "field.glyph",
        "long": "field.too-long",
    }
