"""The compiled template and Jinja give the same bytes, or both refuse.

``FUZZ_SEEDS=1,2,3`` and ``FUZZ_COUNT=5000`` choose the random templates (per seed).
"""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any

import pytest
from jinja2 import DictLoader, Environment, TemplateNotFound

from fieldapp.offline.compiler import TemplateRefused, compile_template, compile_templates
from fieldapp.offline.environment import shared_environment
from fieldapp.offline.messages import read_messages
from fieldapp.offline.printing import printable
from tests.fieldapp.offline.conftest import Case, RenderTwice
from tests.fieldapp.offline.random_templates import RandomTemplates

FUZZ_SEEDS = [int(seed) for seed in os.environ.get("FUZZ_SEEDS", "1").split(",")]
FUZZ_COUNT = int(os.environ.get("FUZZ_COUNT", "300"))

OFFSETS = [["2025-01-01T00:00:00Z", 480]]
ARGS: dict[str, Any] = {
    "lang": "zh_CN",
    "text": "<b>&\"'é€😀",
    "visit": {"name": "BX-7", "n": 2, "parts": ["seal", "<fuse>"], "at": "2026-03-10T15:30:00Z"},
    "rows": [
        {"name": "b", "n": 2, "late": True},
        {"name": "A", "n": 1, "late": False},
        {"name": "\ue000", "n": 3, "late": True},
        {"name": "😀", "n": 3, "late": False},
    ],
    "pairs": [["a", 1], ["b", 2]],
    "none_here": None,
    "empty": [],
    "offsets": OFFSETS,
}

# What a construct is called, the template, and what both sides print.
CONSTRUCTS: list[tuple[str, str, str]] = [
    ("text is escaped as Jinja does it", "{{ text }}", "&lt;b&gt;&amp;&#34;&#39;é€😀"),
    ("text is counted in code points", "{{ 'é€😀'|length }}", "3"),
    ("text is sliced in code points", "{{ 'é€😀!'[1:3] }}{{ 'é€😀'[-1] }}", "€😀😀"),
    ("a list is sliced", "{{ [1,2,3,4][1:-1]|join('+') }}", "2+3"),
    ("a template literal's characters are data", "$`${1}`\\{{ 1 }}", "$`${1}`\\1"),
    ("modulo has the sign of the divisor", "{{ (-7) % 4 }} {{ 7 % -4 }} {{ -7 // 2 }}", "1 -1 -4"),
    ("division is exact near 2**53", "{{ 9007199254740991 // 2 }}", "4503599627370495"),
    ("arithmetic", "{{ 2 + 3 * 4 - 1 }} {{ -visit.n }} {{ +3 }}", "13 -2 3"),
    ("lists and text add up", "{{ ([1] + [2])|length }}{{ 'a' + '<' }}", "2a&lt;"),
    ("~ keeps markup", "{{ ('<'|e) ~ '<' ~ 1 }}", "&lt;&lt;1"),
    ("+ keeps markup", "{{ ('<'|e) + '<' }}{{ '<' + ('<'|e) }}", "&lt;&lt;&lt;&lt;"),
    ("an empty list is false", "{% if empty %}y{% else %}n{% endif %}", "n"),
    ("an empty dict is false", "{{ 'y' if {} else 'n' }}", "n"),
    ("and, or give their operand", "{{ 0 or 'x' }}{{ 1 and 'y' }}{{ '' or 0 or 'z' }}", "xyz"),
    ("not", "{{ 'y' if not empty }}", "y"),
    ("a conditional without else prints nothing", "[{{ 'x' if empty }}]", "[]"),
    ("elif", "{% if empty %}a{% elif visit.n == 2 %}b{% else %}c{% endif %}", "b"),
    ("comparison chains", "{{ 'y' if 1 < visit.n <= 2 != 3 }}", "y"),
    ("text is compared by code point", "{{ 'y' if '\ue000' < '😀' }}", "y"),
    ("true is one", "{{ 'y' if true == 1 and 1 in [true] }}", "y"),
    ("a list is no tuple", "{{ 'y' if [1] == (1,) else 'n' }}", "n"),
    ("in", "{{ 'y' if 'ea' in 'seal' and 'n' in visit and 'x' not in visit.parts }}", "y"),
    ("items of a dict", "{% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}{{ v }}{% endfor %}",
     "b1a2"),
    ("keys, values and get of a dict",
     "{{ {'b': 1}.keys()|join }}{{ {'b': 1}.values()|join }}{{ visit.get('x', '-') }}", "b1-"),
    ("data wins over a method", "{{ {'items': 'mine'}.items }}", "mine"),
    ("a missing entry is undefined", "{{ 'y' if visit.nope is undefined }}{{ visit.x|d('-') }}",
     "y-"),
    ("an inherited name is no entry", "{{ visit.constructor|default('none') }}", "none"),
    ("an index beyond the end is undefined", "{{ visit.parts[9]|default('none') }}", "none"),
    ("loop variables", "{% for r in rows %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}"
     "{{ loop.revindex0 }}{{ loop.length }}{{ 'f' if loop.first }}{{ 'l' if loop.last }} "
     "{% endfor %}", "10434f 21324 32214 43104l "),
    ("cycle, changed, previtem, nextitem",
     "{% for r in [1, 1, 2] %}{{ loop.cycle('a', 'b') }}{{ 'c' if loop.changed(r) }}"
     "{{ loop.previtem|d('-') }}{{ loop.nextitem|d('-') }} {% endfor %}", "ac-1 b12 ac1- "),
    ("a filtered loop counts what it keeps",
     "{% for r in rows if r.late %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/2 2/2 "),
    ("else of a loop", "{% for r in empty %}x{% else %}nothing{% endfor %}", "nothing"),
    ("unpacking", "{% for k, v in pairs %}{{ k }}={{ v }};{% endfor %}", "a=1;b=2;"),
    ("set in a loop ends with its round",
     "{% set x = 1 %}{% for i in range(2) %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}",
     "15151"),
    ("a namespace survives a loop",
     "{% set ns = namespace(n=0) %}{% for r in rows %}{% set ns.n = ns.n + r.n %}{% endfor %}"
     "{{ ns.n }}", "9"),
    ("set of several", "{% set a, b = 'x', 'y' %}{{ b }}{{ a }}", "yx"),
    ("block set is markup", "{% set x %}<i>{{ '<' }}</i>{% endset %}{{ x }}", "<i>&lt;</i>"),
    ("block set with a filter", "{% set x | upper %}a{{ 'b' }}{% endset %}{{ x }}", "AB"),
    ("with", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a|d('gone') }}", "12gone"),
    ("filter block", "{% filter upper|replace('A', '<') %}a<b>{{ '<' }}{% endfilter %}",
     "&lt;<B>&LT;"),
    ("macro with defaults", "{% macro m(a, b='B', c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}"
     "{{ m(1) }}{{ m(1, c=3) }}{{ m(a=4, b=5) }}", "1B11B3454"),
    ("a macro is not escaped again", "{% macro m(a) %}<i>{{ a }}</i>{% endmacro %}{{ m('<') }}",
     "<i>&lt;</i>"),
    ("a macro calls itself",
     "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}",
     "3210"),
    ("call block", "{% macro m(a) %}[{{ caller(a, '<') }}]{% endmacro %}"
     "{% call(x, y) m(1) %}{{ x }}{{ y }}{% endcall %}", "[1&lt;]"),
    ("a macro asks whether it was called with a block",
     "{% macro m() %}{{ 'y' if caller is defined else 'n' }}{% endmacro %}"
     "{{ m() }}{% call m() %}{% endcall %}", "ny"),
    ("white space is trimmed as asked", "a \n {%- if 1 -%} \n b {%- endif %}", "ab"),
    ("blocks leave no line", "  {% if 1 %}\nx\n  {% endif %}\n", "x\n"),
    ("raw", "{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
    ("a comment", "a{# {{ x }} #}b", "ab"),
    ("trans", "{% trans %}Arrived{% endtrans %}", "已到达"),
    ("trans with a variable", "{% trans place=text %}At {{ place }}{% endtrans %}",
     "在 &lt;b&gt;&amp;&#34;&#39;é€😀 <b>现场</b>"),
    ("gettext", "{{ _('Arrived') }}{{ gettext('nowhere') }}", "已到达nowhere"),
    ("a percent sign in a translation", "{{ _('%(a)s after %(b)s', a=1, b=2) }}", "2 之后 1, 100%"),
    ("Chinese has one form",
     "{% trans num=1 %}one part{% pluralize %}{{ num }} parts{% endtrans %}",
     "1 个零件"),
    ("ngettext", "{{ ngettext('one part', '%(num)s parts', 3) }}", "3 个零件"),
    ("default", "{{ nope|default('x') }}{{ ''|d('y') }}{{ ''|d('z', true) }}", "xz"),
    ("join", "{{ visit.parts|join(', ') }}{{ rows|join('', attribute='n') }}",
     "seal, &lt;fuse&gt;2133"),
    ("join by markup", "{{ ['<', 'a']|join('>'|e) }}", "&lt;&gt;a"),
    ("join with markup", "{{ ['<', '<'|e]|join('>') }}", "&lt;&gt;&lt;"),
    ("first and last", "{{ visit.parts|first }}{{ rows|last|d({})|length }}", "seal3"),
    ("upper and lower", "{{ 'straße'|upper }}{{ 'ΑΣ'|lower }}", "STRASSEας"),
    ("trim as Python does", "[{{ '\x1f \u3000x\ufeff'|trim }}]{{ '--x-'|trim('-') }}",
     "[x\ufeff]x"),
    ("replace", "{{ 'aaa'|replace('a', '<', 2) }}{{ 'ab'|replace('', '-') }}",
     "&lt;&lt;a-a-b-"),
    ("list of text", "{{ 'a😀'|list|join('|') }}", "a|😀"),
    ("sort is by code point and ignores case", "{{ rows|sort(attribute='name')"
     "|map(attribute='name')|join(' ') }}", "A b \ue000 😀"),
    ("sort keeps what is equal in order, backwards too",
     "{{ rows|sort(attribute='n', reverse=true)|map(attribute='name')|join }}"
     "{{ rows|sort(attribute='late', reverse=true)|map(attribute='name')|join }}",
     "\ue000😀bAb\ue000A😀"),
    ("sort keeps what is equal in order",
     "{{ rows|sort(attribute='late')|map(attribute='name')|join }}", "A😀b\ue000"),
    ("sort by several", "{{ rows|sort(attribute='late,n')|map(attribute='n')|join }}", "1323"),
    ("map with a default", "{{ rows|map(attribute='x', default='-')|join }}", "----"),
    ("select and reject", "{{ [0, 1, 2, 3]|select|join }}{{ [1, 2, 3]|reject('odd')|join }}",
     "1232"),
    ("selectattr and rejectattr", "{{ rows|selectattr('late')|map(attribute='n')|join }}"
     "{{ rows|rejectattr('n', 'gt', 1)|map(attribute='n')|join }}", "231"),
    ("what is selected can be counted", "{{ rows|selectattr('late')|length }}", "2"),
    ("sum", "{{ [1, 2]|sum }}{{ rows|sum(attribute='n', start=10) }}", "319"),
    ("batch", "{% for b in [1, 2, 3]|batch(2, '-') %}{{ b|join }};{% endfor %}", "12;3-;"),
    ("escape", "{{ '<'|escape }}{{ '<'|e|e }}", "&lt;&lt;"),
    ("urlencode", "{{ 'a b/é?(1)\\'!*~'|urlencode }}", "a%20b/%C3%A9%3F%281%29%27%21%2A~"),
    ("int", "{{ ' 12 '|int }}{{ 'x'|int }}{{ 'x'|int(-1) }}{{ '４'|int }}", "120-10"),
    ("string", "{{ (1|string) ~ (2|string|length) }}", "11"),
    ("tests", "{{ 'y' if none_here is none and 1 is odd and 4 is even and 6 is divisibleby 3 "
     "and 'a' is string and visit is mapping and 1 is integer and true is boolean "
     "and visit.n is equalto 2 and 1 is lt(2) and 1 is in([1]) and 1 is not none "
     "and 2 is ge 2 and 2 is le 2 and 2 is ne 3 and true is true and false is false }}", "y"),
    ("the formatting filters", "{{ visit.at|clock(offsets) }} {{ visit.at|day(offsets) }} "
     "{{ visit.at|duration('2026-03-10T16:45:00Z', offsets) }} {{ 54000|money('CNY') }} "
     "{{ 12345|count }} {{ visit.at|moment(offsets) }} {{ 65|span }} "
     "{{ visit.at|local_input(offsets) }}",
     "23:30 2026-03-10 23:30 – 00:45 (+1) ¥540.00 12,345 2026-03-10 23:30 1:05 2026-03-10T23:30"),
    ("range", "{{ range(3)|join }}{{ range(1, 6, 2)|join }}{{ range(3, 0, -1)|join }}",
     "012135321"),
]  # fmt: skip

# The same, of several templates; page.html is rendered.
PAGES: list[tuple[str, dict[str, str], str]] = [
    (
        "a page extends, overrides, and asks its parent",
        {
            "base.html": "<{% block a %}A{% endblock %}|{% block b %}B{% endblock %}>",
            "page.html": "{% extends 'base.html' %}x{% block b %}[{{ super() }}]{% endblock %}",
        },
        "<A|[B]>",
    ),
    (
        "three generations",
        {
            "a.html": "{% block x %}1{% endblock %}",
            "b.html": "{% extends 'a.html' %}{% block x %}2{{ super() }}{% endblock %}",
            "page.html": "{% extends 'b.html' %}{% block x %}3{{ super() }}{% endblock %}",
        },
        "321",
    ),
    (
        "what a page sets is seen in its blocks",
        {
            "base.html": "{% block a %}{% endblock %}",
            "page.html": "{% extends 'base.html' %}{% set x = 'set' %}"
            "{% block a %}{{ x }}{% endblock %}",
        },
        "set",
    ),
    (
        "an include sees the page's variables",
        {
            "part.html": "{{ x }}{{ visit.n }}",
            "page.html": "{% set x = 1 %}{% include 'part.html' %}",
        },
        "12",
    ),
    (
        "an include sees loop only when the loop's body mentions it",
        {
            "part.html": "{{ loop.index if loop is defined else '-' }}",
            "page.html": "{% for r in rows %}{% include 'part.html' %}{% endfor %}"
            "{% for r in rows %}{% set row = loop %}{% include 'part.html' %}{% endfor %}",
        },
        "----1234",
    ),
    (
        "an imported macro speaks the page's language and sees nothing else of it",
        {
            "m.html": "{% macro m() %}{{ _('Arrived') }}"
            "{{ 1 if visit is defined else 0 }}{% endmacro %}",
            "page.html": "{% import 'm.html' as lib %}{{ lib.m() }}"
            "{% from 'm.html' import m as n with context %}{{ n() }}",
        },
        "已到达0已到达1",
    ),
    (
        "a module exports what it sets",
        {
            "m.html": "{% set x = 'X' %}{% set _y = 'Y' %}{% macro m() %}M{{ _y }}{% endmacro %}",
            "page.html": "{% from 'm.html' import x, m as n, z %}{{ x }}{{ n() }}"
            "{{ 'none' if z is undefined }}{% import 'm.html' as lib %}{{ lib.x }}"
            "{{ lib.z|d('-') }}",
        },
        "XMYnoneX-",
    ),
]  # fmt: skip

# Templates that mean nothing: both sides have to notice when they render.
RAISES: list[tuple[str, str]] = [
    ("an undefined name", "{{ nope }}"),
    ("an undefined entry", "{{ visit.nope }}"),
    ("an entry of an undefined", "{{ visit.nope.more }}"),
    ("an undefined condition", "{% if nope %}{% endif %}"),
    ("an undefined loop", "{% for x in nope %}{% endfor %}"),
    ("comparing an undefined", "{{ 'y' if nope == 1 }}"),
    ("an undefined filtered", "{{ nope|upper }}"),
    ("an undefined formatted", "{{ nope|clock(offsets) }}"),
    ("an undefined key", "{{ visit[nope] }}"),
    ("printing None", "{{ none_here }}"),
    ("printing a literal None", "{{ none }}"),
    ("printing True", "{{ true }}"),
    ("printing a list", "{{ visit.parts }}"),
    ("printing a dict", "{{ visit }}"),
    ("printing a macro", "{% macro m() %}{% endmacro %}{{ m }}"),
    ("printing a loop", "{% for x in rows %}{{ loop }}{% endfor %}"),
    ("joining None to text", "{{ 'a' ~ none_here }}"),
    ("joining a list to text", "{{ 'a' ~ empty }}"),
    ("a list of lists joined", "{{ pairs|join }}"),
    ("a list as text", "{{ pairs|string }}"),
    ("None in upper case", "{{ none_here|upper }}"),
    ("a list in a translation", "{{ _('At %(place)s', place=empty) }}"),
    ("a translation without its variable", "{{ _('At %(place)s') }}"),
    ("a percent sign that is no place", "{{ _('100% done') }}"),
    ("text plus a number", "{{ 'a' + 1 }}"),
    ("text times a number", "{{ 'a' * 3 }}"),
    ("text modulo anything", "{{ 'a %s' % 3 }}"),
    ("true plus one", "{{ true + 1 }}"),
    ("division by zero", "{{ 1 // 0 }}"),
    ("modulo zero", "{{ 1 % 0 }}"),
    ("beyond 2**53", "{{ 9007199254740991 + 1 }}"),
    ("comparing text with a number", "{{ 'y' if 'a' < 1 }}"),
    ("comparing with None", "{{ 'y' if none_here < 1 }}"),
    ("sorting what has no order", "{{ [1, 'a']|sort|join }}"),
    ("a number in text", "{{ 'y' if 1 in 'a1' }}"),
    ("going through a number", "{% for x in visit.n %}{% endfor %}"),
    ("the length of a number", "{{ visit.n|length }}"),
    ("unpacking too few", "{% for a, b, c in pairs %}{% endfor %}"),
    ("items of a dict with a number as key", "{{ {'1': 2}.items()|length }}"),
    ("adding up text", "{{ visit.parts|sum }}"),
    ("odd text", "{{ 'y' if '1' is odd }}"),
    ("calling text", "{{ text() }}"),
    ("too many arguments", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}"),
    ("an unknown argument", "{% macro m(a) %}{% endmacro %}{{ m(b=1) }}"),
    ("a missing argument printed", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}"),
    ("a block given to a macro that takes none",
     "{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}"),
    ("no caller", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}"),
    ("an attribute of something not a namespace", "{% set x = 1 %}{% set x.y = 2 %}"),
    ("a range as long as a book", "{{ range(5000)|length }}"),
    ("a time nobody can read", "{{ 'soon'|clock(offsets) }}"),
    ("half a loop filter", "{% for x in rows if nope %}{% endfor %}"),
]  # fmt: skip

# What the compiler refuses; the message names file and line.
REFUSED: list[tuple[str, str]] = [
    ("\n\n{{ x|tojson }}", "page.html:3: filter |tojson is outside the shared subset"),
    ("{{ x|safe }}", "page.html:1: filter |safe is outside the shared subset"),
    ("{{ x|capitalize }}", "page.html:1: filter |capitalize is outside the shared subset"),
    ("{{ x|title }}", "page.html:1: filter |title is outside the shared subset"),
    ("{{ x|truncate(9) }}", "page.html:1: filter |truncate is outside the shared subset"),
    ("{{ x|upper(1) }}", "page.html:1: filter |upper takes 0 arguments"),
    ("{{ x|join(e=1) }}", "page.html:1: filter |join takes no argument e"),
    ("{{ x|join(1, d=1) }}", "page.html:1: filter |join takes no argument d"),
    ("{{ x|replace('a') }}", "page.html:1: filter |replace needs old, new"),
    ("{{ x|map('upper') }}",
     "page.html:1: filter |map of anything but attribute= and default= is outside"),
    ("{{ x|sort(attribute=y) }}", "page.html:1: a computed attribute for |sort is outside"),
    ("{{ x|select(y) }}", "page.html:1: a computed test is outside the shared subset"),
    ("{{ x|select('sameas', y) }}", "page.html:1: test sameas is outside the shared subset"),
    ("{{ x|selectattr }}", "page.html:1: filter |selectattr needs an attribute"),
    ("{{ x|select('odd', y) }}", "page.html:1: test odd takes 0 arguments"),
    ("{{ x|clock(offsets=y) }}", "page.html:1: naming the arguments of |clock is outside"),
    ("{{ 'y' if x is sameas y }}", "page.html:1: test sameas is outside the shared subset"),
    ("{{ 'y' if x is upper }}", "page.html:1: test upper is outside the shared subset"),
    ("a\n{% if x is callable %}{% endif %}", "page.html:2: test callable is outside"),
    ("{{ 1.5 }}", "page.html:1: the float 1.5 is outside the shared subset"),
    ("{{ 9007199254740993 }}", "page.html:1: 9007199254740993 is beyond 2**53"),
    ("{{ 1 / 2 }}", "page.html:1: the operator / is outside the shared subset"),
    ("{{ 2 ** 3 }}", "page.html:1: the operator ** is outside the shared subset"),
    ("{{ x[::2] }}", "page.html:1: a slice with a step is outside the shared subset"),
    ("{{ {1: 2} }}", "page.html:1: a dict key that is not literal text is outside"),
    ("{{ x._y }}", "page.html:1: the attribute _y is outside the shared subset"),
    ("{{ __x }}", "page.html:1: the name __x is outside the shared subset"),
    ("{{ 到达 }}", "page.html:1: the name 到达 is outside the shared subset"),
    ("{{ x['m']() }}", "page.html:1: calling the result of an expression is outside"),
    ("{{ m(*x) }}", "page.html:1: *args is outside the shared subset"),
    ("{{ m(**x) }}", "page.html:1: **kwargs is outside the shared subset"),
    ("{{ m(caller=x) }}", "page.html:1: passing caller by name is outside"),
    ("{{ x|join(*y) }}", "page.html:1: *args is outside the shared subset"),
    ("{{ dict(a=1) }}", "page.html:1: dict() is outside the shared subset"),
    ("{{ lipsum() }}", "page.html:1: lipsum() is outside the shared subset"),
    ("{{ cycler }}", "page.html:1: cycler is outside the shared subset"),
    ("{{ range }}", "page.html:1: range without a call is outside the shared subset"),
    ("{{ _ }}", "page.html:1: _ without a call is outside the shared subset"),
    ("{{ self.a() }}", "page.html:1: self without a call is outside the shared subset"),
    ("{{ namespace({'a': 1}) }}", "page.html:1: namespace() of a dict is outside"),
    ("{{ _(x) }}", "page.html:1: translating anything but literal text is outside"),
    ("{{ ngettext('a', x, 1) }}", "page.html:1: translating anything but literal text"),
    ("{{ _('a', 'b') }}", "page.html:1: gettext takes one text"),
    ("{% trans 'menu' %}a{% endtrans %}", "page.html:1: pgettext() is outside"),
    ("{% set lang = 'en' %}", "page.html:1: lang is given to every page"),
    ("{% set _ = 1 %}", "page.html:1: _ is given to every page"),
    ("{% for range in x %}{% endfor %}", "page.html:1: range is given to every page"),
    ("{% macro m(lang) %}{% endmacro %}", "page.html:1: lang is given to every page"),
    ("{% with lang = 1 %}{% endwith %}", "page.html:1: lang is given to every page"),
    ("{% macro m(a, a) %}{% endmacro %}", "page.html:1: a parameter is named twice"),
    ("{% macro m(caller=1) %}{% endmacro %}", "page.html:1: caller as a parameter is outside"),
    ("{% macro m() %}{{ kwargs }}{% endmacro %}", "page.html:1: kwargs in a macro is outside"),
    ("{% macro m() %}{{ varargs }}{% endmacro %}", "page.html:1: varargs in a macro is outside"),
    ("{% for x in y recursive %}{% endfor %}", "page.html:1: a recursive loop is outside"),
    ("{% for loop in y %}{% endfor %}", "page.html:1: loop cannot be assigned inside a loop"),
    ("{% block a scoped %}{% endblock %}", "page.html:1: a scoped block is outside"),
    ("{% block a required %}{% endblock %}", "page.html:1: a required block is outside"),
    ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}",
     "page.html:2: block a is defined twice"),
    ("x{% extends 'page.html' %}", "page.html:1: extends must be the first tag"),
    ("{% extends x %}", "page.html:1: extends with a computed name is outside"),
    ("{% include x %}", "page.html:1: include with a computed name is outside"),
    ("{% include ['page.html'] %}", "page.html:1: include with a computed name is outside"),
    ("{% include 'page.html' without context %}",
     "page.html:1: include without context is outside"),
    ("{% include 'page.html' ignore missing %}", "page.html:1: include ignore missing is outside"),
    ("{% import x as y %}", "page.html:1: import with a computed name is outside"),
    ("{% from x import y %}", "page.html:1: from … import with a computed name is outside"),
    ("{% autoescape false %}{% endautoescape %}", "page.html:1: autoescape is outside"),
    ("{% call gettext('a') %}{% endcall %}", "page.html:1: a call block around gettext()"),
    ("a\n{% if %}", "page.html:2: Expected an expression, got 'end of statement block'"),
    ("a\n{% nothing %}", "page.html:2: Encountered unknown tag 'nothing'."),
    ("\n{% include 'other.html' %}", "page.html:2: other.html does not travel to the phone"),
]  # fmt: skip


def test_every_construct_prints_what_is_written_here(render_twice: RenderTwice) -> None:
    cases = [Case({"page.html": source}, ARGS) for _, source, _ in CONSTRUCTS]
    outcomes = render_twice(cases)
    wrong = [
        (name, expected, outcome)
        for (name, _, expected), outcome in zip(CONSTRUCTS, outcomes, strict=True)
        if outcome.python != ("text", expected) or outcome.javascript != ("text", expected)
    ]
    assert wrong == []


def test_pages_of_several_templates(render_twice: RenderTwice) -> None:
    outcomes = render_twice([Case(templates, ARGS) for _, templates, _ in PAGES])
    wrong = [
        (name, expected, outcome)
        for (name, _, expected), outcome in zip(PAGES, outcomes, strict=True)
        if outcome.python != ("text", expected) or outcome.javascript != ("text", expected)
    ]
    assert wrong == []


def test_what_means_nothing_raises_on_both_sides(render_twice: RenderTwice) -> None:
    outcomes = render_twice([Case({"page.html": source}, ARGS) for _, source in RAISES])
    wrong = [
        (name, outcome)
        for (name, _), outcome in zip(RAISES, outcomes, strict=True)
        if outcome.python[0] != "raised" or outcome.javascript[0] != "raised"
    ]
    assert wrong == []


@pytest.mark.parametrize(("source", "message"), REFUSED)
def test_the_compiler_refuses_with_file_and_line(source: str, message: str) -> None:
    environment = shared_environment(DictLoader({"page.html": source}))
    with pytest.raises(TemplateRefused) as refused:
        compile_templates(environment, ["page.html"])
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("seed", FUZZ_SEEDS)
def test_random_templates_render_alike(seed: int, render_twice: RenderTwice) -> None:
    rendered = 0
    for start in range(0, FUZZ_COUNT, 250):
        numbers = range(start, min(start + 250, FUZZ_COUNT))
        cases = [Case(*RandomTemplates(seed * 1_000_000 + number).case()) for number in numbers]
        for number, case, outcome in zip(numbers, cases, render_twice(cases), strict=True):
            assert outcome.agree, (seed * 1_000_000 + number, outcome, case)
            rendered += outcome.python[0] == "text"
    assert rendered > FUZZ_COUNT // 3  # or the generator tests little but errors


def test_a_language_nobody_speaks_raises(render_twice: RenderTwice) -> None:
    page = {"page.html": "{{ _('Arrived') }}"}
    for outcome in render_twice([Case(page, {"lang": "xx"}), Case(page, {"lang": "constructor"}),
                                 Case(page, {}), Case(page, {"lang": None})]):  # fmt: skip
        assert outcome.python[0] == outcome.javascript[0] == "raised"


def test_a_page_without_translations_needs_no_language(render_twice: RenderTwice) -> None:
    page = {"m.html": "{% macro m() %}x{% endmacro %}",
            "page.html": "{% from 'm.html' import m %}{{ m() }}"}  # fmt: skip
    (outcome,) = render_twice([Case(page)])
    assert outcome.python == outcome.javascript == ("text", "x")


def test_two_languages_take_turns_in_one_environment() -> None:
    environment = shared_environment(
        DictLoader(
            {
                "m.html": "{% macro m() %}{{ _('Arrived') }}{% endmacro %}",
                "page.html": "{% from 'm.html' import m %}{{ m() }}",
            }
        ),
        {"en": {}, "zh_CN": {"Arrived": "已到达"}},
    )
    page = environment.get_template("page.html")
    spoken = [page.render(lang=lang) for lang in ("en", "zh_CN", "en", "zh_CN")]
    assert spoken == ["Arrived", "已到达", "Arrived", "已到达"]


def test_an_environment_that_does_not_escape_is_refused() -> None:
    with pytest.raises(ValueError, match="autoescape"):
        compile_template(Environment(loader=DictLoader({"a": ""})), "a")


def test_a_template_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(TemplateNotFound):
        compile_template(shared_environment(DictLoader({})), "a")


def test_compiling_twice_gives_the_same_bytes() -> None:
    templates = RandomTemplates(7).case()[0]
    environment = shared_environment(DictLoader(templates))
    texts = {compile_templates(environment, order) for order in (templates, [*templates][::-1])}
    assert len(texts) == 1


@pytest.mark.parametrize("value", [None, True, 1.5, [], {}, (), b"x"])
def test_what_is_not_printable_names_its_type(value: object) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        printable(value)


@pytest.mark.parametrize("value", ["", "x", 0, -1, 2**60])
def test_text_and_whole_numbers_are_printable(value: object) -> None:
    assert printable(value) is value


def test_a_catalogue_is_read_without_what_is_not_translated() -> None:
    catalogue = BytesIO(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n'
        'Plural-Forms: nplurals=1; plural=0;\\n"\n\n'
        'msgid "Arrived"\nmsgstr "已到达"\n\n'
        'msgid "Left"\nmsgstr ""\n\n'
        '#, fuzzy\nmsgid "Late"\nmsgstr "迟"\n\n'
        'msgid "one part"\nmsgid_plural "%(num)s parts"\nmsgstr[0] "%(num)s 个零件"\n'.encode()
    )
    assert read_messages(catalogue) == {"Arrived": "已到达", "one part": ["%(num)s 个零件"]}


def test_three_plural_forms_are_refused() -> None:
    catalogue = BytesIO(
        b'msgid ""\nmsgstr "Plural-Forms: nplurals=3; plural=n;\\n"\n\n'
        b'msgid "a"\nmsgid_plural "b"\nmsgstr[0] "x"\nmsgstr[1] "y"\nmsgstr[2] "z"\n'
    )
    with pytest.raises(ValueError, match="3 plural forms"):
        read_messages(catalogue)
