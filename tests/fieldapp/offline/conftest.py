"""Rendering the same template twice: by Jinja, and by the compiled JavaScript in Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from jinja2 import DictLoader
from playwright.sync_api import Page

from fieldapp.offline.compiler import TemplateRefused, compile_templates
from fieldapp.offline.environment import shared_environment

MESSAGES: dict[str, dict[str, str | list[str]]] = {
    "en": {"one part": ["one part", "%(num)s parts"]},
    "zh_CN": {
        "Arrived": "已到达",
        "At %(place)s": "在 %(place)s <b>现场</b>",
        "one part": ["%(num)s 个零件"],
        "%(a)s after %(b)s": "%(b)s 之后 %(a)s, 100%%",
    },
}

_RENDER = """
const {render} = await import("/phone/runtime.js")
const formatters = await import("/phone/format.js")
const filters = {...formatters, local_input: formatters.localInput}
return cases.map(({templates, name, args}) => {
  try {
    return ["text", render(templates, name, args, {filters, messages})]
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError) throw error
    return ["raised", String(error)]
  }
})
"""


@dataclass(frozen=True)
class Case:
    """Templates by name, which one to render, and what it is given."""

    templates: Mapping[str, str]
    args: Mapping[str, Any] = field(default_factory=dict)
    name: str = "page.html"


@dataclass(frozen=True)
class Outcome:
    """What became of a case on each side: ``text``, ``raised`` or, by the compiler, ``refused``."""

    python: tuple[str, str]
    javascript: tuple[str, str]

    @property
    def agree(self) -> bool:
        if self.javascript[0] == "refused" or self.python[0] == "raised":
            return self.javascript[0] in ("refused", "raised")
        return self.python == self.javascript


def by_jinja(case: Case) -> tuple[str, str]:
    environment = shared_environment(DictLoader(case.templates), MESSAGES)
    try:
        return "text", environment.get_template(case.name).render(case.args)
    except Exception as error:
        return "raised", f"{type(error).__name__}: {error}"


def by_browser(page: Page, cases: Sequence[Case]) -> list[tuple[str, str]]:
    results: list[tuple[str, str]] = []
    parts = []
    for case in cases:
        environment = shared_environment(DictLoader(case.templates), MESSAGES)
        try:
            module = compile_templates(environment, case.templates)
        except TemplateRefused as error:
            results.append(("refused", str(error)))
            continue
        results.append(("", ""))
        templates = module.removeprefix("export const templates = ")
        parts.append(
            f"{{templates: {templates}, name: {json.dumps(case.name)}, "
            f"args: {json.dumps(case.args)}}}"
        )
    script = (
        f"async () => {{ const messages = {json.dumps(MESSAGES)}\n"
        f"const cases = [{','.join(parts)}]\n{_RENDER} }}"
    )
    rendered = iter(page.evaluate(script))
    return [result if result[0] else tuple(next(rendered)) for result in results]


RenderTwice = Callable[[Sequence[Case]], list[Outcome]]


@pytest.fixture
def render_twice(module_page: Page) -> RenderTwice:
    def render(cases: Sequence[Case]) -> list[Outcome]:
        browser = by_browser(module_page, cases)
        return [
            Outcome(by_jinja(case), javascript)
            for case, javascript in zip(cases, browser, strict=True)
        ]

    return render
