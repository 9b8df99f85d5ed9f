"""The joined worker runs in a browser as its modules would, and names what it cannot join."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from jinja2 import DictLoader
from playwright.sync_api import Page

from fieldapp.offline.compiler import compile_templates
from fieldapp.offline.environment import shared_environment
from fieldapp.offline.worker import ModuleRefused, blanked, join_modules

PHONE = Path(__file__).parents[3] / "static" / "phone"


def run(page: Page, script: str) -> Any:
    """Run ``script`` as the classic script it is, and return what it put into ``self.answer``."""
    page.evaluate("delete self.answer")
    page.add_script_tag(content=script)
    return page.evaluate("self.answer")


def joined(tmp_path: Path, **modules: str) -> str:
    return join_modules(
        tmp_path, "main.js", {f"./{name}.js": text for name, text in modules.items()}
    )


def test_every_form_of_import_and_export(tmp_path: Path, module_page: Page) -> None:
    script = joined(
        tmp_path,
        main="import { one, two as zwei, Three, four, five, sechs, $7 } from './forms.js'\n"
        "import * as forms from './forms.js'\n"
        "self.answer = [one, zwei(), new Three().name, typeof four, [...five()], sechs, $7,\n"
        "  Object.keys(forms).length]",
        forms="export const one = 1\n"
        "export function two() { return one + 1 }\n"
        "export class Three { name = 'three' }\n"
        "export async function four() {}\n"
        "export function* five() { yield 5 }\n"
        "const six = 6, $7 = 7\n"
        "export { six as sechs, $7 }\n",
    )
    assert run(module_page, script) == [1, 2, "three", "function", [5], 6, 7, 7]


def test_imports_over_several_lines(tmp_path: Path, module_page: Page) -> None:
    script = joined(
        tmp_path,
        main='import {\n  a,\n  b as c,\n} from "./two.js";\nself.answer = a + c',
        two="export const a = 'a'; export const b = 'b'",
    )
    assert run(module_page, script) == "ab"


def test_each_module_runs_once_after_what_it_imports(tmp_path: Path, module_page: Page) -> None:
    script = joined(
        tmp_path,
        main="import './left.js'\nimport './right.js'\nself.answer = self.order\nself.order = ''",
        left="import { x } from './base.js'\nself.order += 'l' + x",
        right="import { x } from './base.js'\nself.order += 'r' + x",
        base="self.order = (self.order ?? '') + 'b'\nexport const x = '!'",
    )
    assert run(module_page, script) == "bl!r!"


def test_names_of_two_modules_do_not_meet(tmp_path: Path, module_page: Page) -> None:
    script = joined(
        tmp_path,
        main="import { get } from './other.js'\n"
        "const secret = 'mine'\nself.answer = secret + get()",
        other="const secret = 'theirs'\nexport function get() { return secret }",
    )
    assert run(module_page, script) == "minetheirs"


def test_modules_stay_strict(tmp_path: Path, module_page: Page) -> None:
    script = joined(tmp_path, main="self.answer = (function () { return this === undefined })()")
    assert run(module_page, script) is True


def test_words_in_text_and_comments_are_left_alone(tmp_path: Path, module_page: Page) -> None:
    script = joined(
        tmp_path,
        main="// import { a } from './nowhere.js'\n"
        "/* export default 1 */\n"
        "const quote = /['\"`]/.source.length / 1 / 2\n"
        "const o = { import: 1, export: 2, get: 3 }\n"
        "self.answer = [`\nexport const x = ${`${o.import}\nimport y`} }`, 'import z', "
        '"\\"export", o.export, quote]',
    )
    assert run(module_page, script) == [
        "\nexport const x = 1\nimport y }", "import z", '"export', 2, 2.5,
    ]  # fmt: skip


def test_files_are_read_below_the_root_and_generated_modules_win(
    tmp_path: Path, module_page: Page
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "main.js").write_text(
        "import { a } from './deep/a.js'\nimport { t } from './templates.js'\nself.answer = a + t"
    )
    (tmp_path / "deep" / "a.js").write_text(
        "import { t } from '../templates.js'\nexport const a = 'a' + t"
    )
    (tmp_path / "templates.js").write_text("export const t = 'file'")
    script = join_modules(tmp_path, "main.js", {"./templates.js": "export const t = 'T'"})
    assert run(module_page, script) == "aTT"


def test_lines_stay_where_they_were(tmp_path: Path) -> None:
    script = joined(
        tmp_path, main="import {\n  a,\n} from './two.js'\nline4()", two="export const a = 1"
    )
    scope = script[script.index("// main.js") :].split("\n")
    assert scope[2 + 3] == "line4()"


COMMENTED = """/** what for */
import { /* why */ a } from "./two.js" // where
const text = "// no comment", pattern = /\\/\\*/, made = `/* nor ${a /* but this */} // this`
self.answer = [text, pattern.source, made, 6 /* half */ / 2]
"""


def test_comments_stay_behind_and_nothing_else_does(tmp_path: Path, module_page: Page) -> None:
    script = joined(tmp_path, main=COMMENTED, two="export const a = 7 // seven\n")
    said = script.split("self.BUILD = ")[1]
    assert run(module_page, script) == ["// no comment", "\\/\\*", "/* nor 7 // this", 3]
    assert not any(word in said for word in ("what for", "why", "where", "but", "half", "seven"))


def test_the_script_names_its_content_and_the_same_content_the_same(
    tmp_path: Path, module_page: Page
) -> None:
    script = joined(tmp_path, main="self.answer = self.BUILD")
    first, _, rest = script.partition("\n")
    build = run(module_page, script)
    assert first == f"/* build {build} */"
    body = rest.split("\n", 2)[2]
    assert build == hashlib.sha256(body.encode()).hexdigest()[:16]
    assert joined(tmp_path, main="self.answer = self.BUILD") == script
    assert joined(tmp_path, main="self.answer = self.BUILD + 1")[:20] != script[:20]


def test_the_phones_own_modules_render_a_page(module_page: Page) -> None:
    environment = shared_environment(
        DictLoader({"visit.html": "{{ _('Arrived') }} {{ at|clock(offsets) }}"})
    )
    generated = {
        "./main.js": "import { render } from './runtime.js'\n"
        "import * as filters from './format.js'\n"
        "import { templates } from './templates.js'\n"
        "import { messages } from './messages.js'\n"
        "self.answer = render(templates, 'visit.html', {lang: 'zh_CN',\n"
        "  at: '2026-03-10T15:30:00Z', offsets: [['2025-01-01T00:00:00Z', 480]]},\n"
        "  {filters, messages})",
        "./templates.js": compile_templates(environment, ["visit.html"]),
        "./messages.js": "export const messages = " + json.dumps({"zh_CN": {"Arrived": "已到达"}}),
    }
    assert run(module_page, join_modules(PHONE, "main.js", generated)) == "已到达 23:30"


REFUSED = [
    ("import x from './two.js'", "main.js:1: this form of import cannot be joined"),
    ("import x, { a } from './two.js'", "main.js:1: this form of import cannot be joined"),
    ("import { default as x } from './two.js'", "main.js:1: ./two.js does not export default"),
    ("import { nothing } from './two.js'", "main.js:1: ./two.js does not export nothing"),
    ("import { 'a' as b } from './two.js'", "main.js:1: 'a' as b is not a plain name"),
    ("\nimport { a } from 'two'", "main.js:2: two is not a relative path"),
    ("import { a } from 'https://x/y.js'", "main.js:1: https://x/y.js is not a relative path"),
    ("import { a } from './three.js'", "main.js:1: there is no module ./three.js"),
    ("import { a } from '../two.js'", "main.js:1: ../two.js lies outside the worker's folder"),
    ("const x = 1\n\nconst y = import('./two.js')", "main.js:3: import() and import.meta cannot"),
    ("function f() { return import('./two.js') }", "main.js:1: import() and import.meta cannot"),
    ("console.log(import.meta.url)", "main.js:1: import() and import.meta cannot be joined"),
    ("export default 1", "main.js:1: this form of export cannot be joined"),
    ("export default function f() {}", "main.js:1: this form of export cannot be joined"),
    ("const x = 1\nexport { x as default }", "main.js:2: a default export cannot be joined"),
    ("export let x = 1", "main.js:1: this form of export cannot be joined"),
    ("export var x = 1", "main.js:1: this form of export cannot be joined"),
    ("export const { x } = y", "main.js:1: an exported const has one plain name"),
    ("export * from './two.js'", "main.js:1: this form of export cannot be joined"),
    ("export { a } from './two.js'", "main.js:1: this form of export cannot be joined"),
    ("export const x = 1\nexport { x }", "main.js:2: x is exported twice"),
]


@pytest.mark.parametrize(("source", "message"), REFUSED)
def test_what_cannot_be_joined_is_named_with_file_and_line(
    tmp_path: Path, source: str, message: str
) -> None:
    with pytest.raises(ModuleRefused) as refused:
        joined(tmp_path, main=source, two="export const a = 1")
    assert str(refused.value).startswith(message)


def test_modules_that_import_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModuleRefused) as refused:
        joined(
            tmp_path,
            main="import { a } from './two.js'",
            two="import { b } from './three.js'\nexport const a = 1",
            three="// round\nimport { a } from './two.js'\nexport const b = 1",
        )
    assert str(refused.value) == (
        "three.js:2: modules import each other: two.js → three.js → two.js"
    )


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("a / b / c", "a / b / c"),
        ("x = /a\\/[/]b/g", "x =           "),
        ("f(/'/) + '}'", "f(   ) +    "),
        ("a // b\nc", "a     \nc"),
        ("`a${ b + `${c}` }d` + e", "   { b +   {c}  }   + e"),
        ("`\\${` + x", "      + x"),
        ("`${ {a: 1}.a }`", "  { {a: 1}.a } "),
        ("return /x/.test(y)", "return    .test(y)"),
        ("(a) / 2 / b", "(a) / 2 / b"),
    ],
)
def test_text_comments_and_patterns_are_blanked(source: str, code: str) -> None:
    assert blanked(source) == code
    assert len(code) == len(source)
