"""Random templates within the shared subset, from a seed.

Three quarters of them are tame: built so that most of them render. The rest is wild, mixes types
and names at will, and mostly raises; then it has to raise on both sides.
"""

from __future__ import annotations

import random
from typing import Any

HOSTILE = [
    "",
    " ",
    "a",
    "Erin",
    "<b>&\"'</b>",
    "&amp;",
    "到达 签到",
    "é€😀",
    "\U0001f600<",
    "ﬁ\ue000",
    "%s %(a)s 100%",
    "\u2028\u2029",
    "\x1f tab\t\u3000",
    "\ufeffbom",
    "a/b?c=d&e='f'(!)*~",
    "</script>",
    "{{ x }}",
    "ẞßİıΑΣ",
    "10",
    " -7 ",
    "constructor",
    "__proto__",
    "\\n\\",
    "line\nline\r\n",
    "a,b",
]
NUMBERS = [0, 1, 2, 3, -1, -7, 4, 10, 42, 1000, 12345, -540, 2**31, 2**53 - 1, -(2**53) + 1]
KEYS = ["name", "at", "items", "title", "n", "late", "parts", "serial", "count", "keys"]
OFFSETS = [["2025-01-01T00:00:00Z", 480], ["2026-03-29T01:00:00Z", 120]]
INSTANTS = ["2026-03-10T15:30:00Z", "2026-03-10T16:45:00Z", "2026-03-29T00:59:59Z", "soon"]


class RandomTemplates:
    """One random set of templates and what to render them with."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.wild = self.random.random() < 0.25
        self.bare = False  # inside a file that is imported without the page's variables
        self.names = [["text", "mark", "n"]]
        if self.wild:
            self.names[0] += ["visit", "rows", "flag", "nothing", "table", "lang"]
        self.macros: list[tuple[str, int, str]] = []  # name, parameters, what it asks its caller
        self.blocks = 0
        self.loops = 0
        self.serial = 0

    # -- what the templates are given

    def value(self, depth: int = 0) -> Any:
        kind = self.random.random()
        if kind < 0.4 or depth > 2:
            return self.random.choice(HOSTILE)
        if kind < 0.6:
            return self.random.choice(NUMBERS)
        if kind < 0.65:
            return self.random.choice([None, True, False])
        if kind < 0.82:
            return [self.value(depth + 1) for _ in range(self.random.randrange(5))]
        return self.dict(depth + 1)

    def dict(self, depth: int) -> dict[str, Any]:
        keys = self.random.sample(KEYS, self.random.randrange(len(KEYS)))
        if self.wild and self.random.random() < 0.03:
            keys.append(self.random.choice(["1", "__proto__", "constructor"]))
        return {key: self.value(depth) for key in keys}

    def args(self) -> dict[str, Any]:
        rows = [
            {
                **self.dict(2 if self.wild else 3),
                "name": self.random.choice(HOSTILE),
                "n": self.random.choice(NUMBERS[:12]),
                "late": self.random.choice([True, False]),
                "parts": [self.random.choice(HOSTILE) for _ in range(self.random.randrange(4))],
            }
            for _ in range(self.random.randrange(5))
        ]
        args = {
            "visit": {
                **self.dict(1),
                "at": INSTANTS[0],
                "n": self.random.choice(NUMBERS[:7]),
                "name": self.random.choice(HOSTILE),
                "parts": [self.random.choice(HOSTILE) for _ in range(self.random.randrange(4))],
                "title": self.random.choice(HOSTILE),
            },
            "mark": self.random.choice(HOSTILE),
            "rows": rows,
            "text": self.random.choice(HOSTILE),
            "n": self.random.choice(NUMBERS),
            "flag": self.random.choice([True, False]),
            "nothing": None,
            "table": [[self.random.choice(HOSTILE), self.random.choice(NUMBERS)] for _ in range(3)],
            "offsets": OFFSETS,
            "lang": self.random.choice(["en", "zh_CN", "zh_CN"]),
        }
        if self.wild and self.random.random() < 0.2:
            del args[self.random.choice(list(args))]
        return args

    # -- expressions

    def literal(self) -> str:
        kind = self.random.random()
        if kind < 0.5:
            text = self.random.choice(HOSTILE)
            text = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
            text = text.replace("\r", "\\r")
            # Jinja reads {{ inside a literal of a tag correctly, but not in every lexer state.
            return f"'{text}'".replace("{{", "{").replace("}}", "}")
        if kind < 0.9 or not self.wild:
            return str(abs(self.random.choice(NUMBERS)))
        return self.random.choice(["true", "false", "none"])

    def name(self) -> str:
        scope = self.random.choice(self.names)
        pool = (
            scope
            if scope and self.random.random() < 0.6
            else [name for names in self.names for name in names]
        )
        if self.wild and self.random.random() < 0.02:
            return "unheard_of"
        return self.random.choice(pool) if pool else self.literal()

    def path(self) -> str:
        if not self.wild:
            known = [
                "visit.name", "visit['title']", "visit.n", "visit.parts[0]|d('-')", "text[1:]",
                "visit.parts|length", "visit.title[-2:]", "(visit.parts[:2])|join",
                "visit.get('n')",
                "mark[0]|d", "rows[-1].name|d('') if rows", "visit.nope|d(n)",
            ]  # fmt: skip
            if self.bare or self.random.random() < 0.5:
                return self.name()
            return f"({self.random.choice(known)})"
        path = self.name()
        for _ in range(self.random.choice([0, 0, 0, 1, 1, 2])):
            kind = self.random.random()
            if kind < 0.6:
                path += "." + self.random.choice(KEYS)
            elif kind < 0.75:
                path += f"[{self.random.choice([0, 1, -1, 2, 7])}]"
            elif kind < 0.85:
                path += f"['{self.random.choice(KEYS)}']"
            elif kind < 0.95:
                low = self.random.choice(["", "1", "-2", "n"])
                high = self.random.choice(["", "2", "-1", "9"])
                path += f"[{low}:{high}]"
            else:
                path += self.random.choice([".items()", ".keys()", ".values()", ".get('n')"])
        return path

    def texty(self, depth: int) -> str:
        """An expression that is usually text or a number."""
        kind = self.random.randrange(16)
        if depth > 2 or kind < 4:
            if self.bare:
                return self.random.choice([self.literal(), self.path()])
            return self.random.choice([self.literal(), "text", "n", "mark", self.path()])
        one = self.texty(depth + 1)
        if kind == 4:
            return f"({one} ~ {self.texty(depth + 1)})"
        if kind == 5:
            return f"({one} if {self.condition(depth + 1)} else {self.texty(depth + 1)})"
        if kind == 6:
            return f"({one} if {self.condition(depth + 1)})"
        if kind == 7:
            operator = self.random.choice(["+", "-", "*", "//", "%"])
            if not self.wild and operator in ("//", "%"):
                return f"({self.numbery(depth + 1)} {operator} {self.random.choice([3, '(-4)'])})"
            return f"({self.numbery(depth + 1)} {operator} {self.numbery(depth + 1)})"
        if kind == 8:
            if not self.wild:
                return f"(({one})|string + ({self.texty(depth + 1)})|string)"
            return f"({one} + {self.texty(depth + 1)})"
        if kind == 9 and any(not asks for _, _, asks in self.macros):
            return self.macro_call(depth, "")
        if kind == 10:
            return self.translation(depth)
        if kind == 11:
            if not self.wild and not self.bare and self.random.random() < 0.3:
                return f"rows|join({self.texty(depth + 1)}, attribute='name')"
            return f"{self.listy(depth + 1)}|join({self.texty(depth + 1)})"
        if kind == 12:
            return self.formatted()
        if kind == 13:
            return f"({one} {self.random.choice(['and', 'or'])} {self.texty(depth + 1)})"
        return f"({one})|" + self.text_filter(depth)

    def text_filter(self, depth: int) -> str:
        one = self.texty(depth + 2)
        if self.wild and self.random.random() < 0.4:
            return self.random.choice(["count", "money('CNY')", "length", "first", "last"])
        return self.random.choice(
            [
                "upper",
                "lower",
                "trim",
                f"trim({one})",
                "e",
                "escape",
                "string",
                "urlencode",
                "string|length",
                "int",
                "int(default=-1)",
                "string|first|d",
                "string|last|default('?')",
                f"default({one})",
                f"d({one}, true)",
                f"replace({one}, {self.texty(depth + 2)})",
                f"replace('a', {one}, 1)",
                f"replace('', {one})",
            ]
        )

    def formatted(self) -> str:
        if self.bare:
            return self.random.choice(["12345|count", "(-5)|money('EUR')", "125|span"])
        instants = INSTANTS if self.wild else INSTANTS[:1]
        at = self.random.choice([*(f"'{instant}'" for instant in instants), "visit.at"])
        return self.random.choice(
            [
                f"{at}|clock(offsets)",
                f"{at}|day(offsets)",
                f"{at}|moment(offsets)",
                f"{at}|duration('2026-03-10T16:45:00Z', offsets)",
                "n|money('JPY')",
                "n|count",
                "n|span" if self.wild else "rows|length|span",
                f"{at}|local_input(offsets)",
            ]
        )

    def numbery(self, depth: int) -> str:
        kind = self.random.randrange(8)
        if self.bare:
            return self.random.choice(["1", "2", "0", "(-7)"])
        if not self.wild and (depth > 2 or kind < 4):
            return self.random.choice(["visit.n", "1", "2", "3", "0", "-4", "(-7)"])
        if depth > 2 or kind < 4:
            return self.random.choice(["n", "1", "2", "3", "7", "0", "-4", "(-7)", self.path()])
        if kind == 4:
            return f"{self.listy(depth + 1)}|length"
        if kind == 5:
            return "rows|sum(attribute='n')"
        if kind == 6 and self.wild:
            return "9007199254740991"
        return f"({self.numbery(depth + 1)} {self.random.choice('+-*')} {self.numbery(depth + 1)})"

    def listy(self, depth: int) -> str:
        kind = self.random.randrange(18)
        if not self.wild and (depth > 2 or kind not in (4, 5)):
            return self.tame_list(depth)
        if depth > 2 or kind < 4:
            return self.random.choice(["rows", "table", "text", "visit.parts", self.path()])
        if kind == 4:
            parts = [self.texty(depth + 1) for _ in range(self.random.randrange(4))]
            return f"[{', '.join(parts)}]"
        if kind == 5:
            return f"({self.texty(depth + 1)}, {self.texty(depth + 1)})"
        if kind == 6:
            return f"{{'b': {self.texty(depth + 1)}, 'a': {self.texty(depth + 1)}}}"
        if kind == 7:
            return f"range({self.random.choice(['3', '1, 5', '5, 0, -2', 'n', '0', '4, 1'])})"
        if kind == 8:
            return f"(visit{self.random.choice(['.items()', '.keys()', '.values()', ''])})"
        inner = self.listy(depth + 1)
        key = self.random.choice(["name", "n", "late", "parts", "parts.0", "at"])
        return f"{inner}|" + self.random.choice(
            [
                f"map(attribute='{key}')",
                f"map(attribute='{key}', default={self.texty(depth + 2)})",
                "sort",
                "sort(reverse=true)",
                f"sort(attribute='{key}')",
                "sort(attribute='late,n', case_sensitive=true)",
                f"selectattr('{key}')",
                f"selectattr('{key}', 'equalto', {self.texty(depth + 2)})",
                f"rejectattr('{key}', 'none')",
                f"selectattr('{key}', 'defined')",
                "select",
                "reject('string')",
                "select('defined')",
                f"select('in', {self.texty(depth + 2)})",
                "list",
                "batch(2)",
                f"batch(3, {self.texty(depth + 2)})",
                "first",
                "default([])",
            ]
        )

    def tame_list(self, depth: int) -> str:
        """An expression that is a list of text and numbers."""
        if self.bare:
            return self.random.choice(["['a', 2]", "'到b'", "range(3)", "(1, '<')"])
        some = self.random.choice(
            [
                "visit.parts", "rows|map(attribute='name')", "text", "range(4)", "range(5, 0, -2)",
                "rows|selectattr('late')|map(attribute='n')", "table|map(attribute='1')",
                "rows|rejectattr('n', 'gt', 3)|map(attribute='name')", "visit.keys()",
                "rows|sort(attribute='n,name')|map(attribute='name')",
                "rows|sort(attribute='name', reverse=true)|map(attribute='n')",
                "rows|map(attribute='nope', default='–')",
                "rows|map(attribute='parts.0')|select('defined')",
            ]
        )  # fmt: skip
        return some + self.random.choice(
            ["", "", "|list", "|select", "|reject('none')", f"|select('ne', {self.texty(2)})"]
            + (["|sort", "|sort(case_sensitive=true)"] if some in ("visit.parts", "text") else [])
        )

    def condition(self, depth: int) -> str:
        kind = self.random.randrange(13)
        if self.bare and (depth > 2 or kind < 2):
            return self.random.choice(["true", "1", "''", self.path()])
        if depth > 2 or kind < 2:
            return self.random.choice(["flag", "rows", "text", "n", "nothing", self.path()])
        one, other = self.texty(depth + 1), self.texty(depth + 1)
        if kind == 2:
            return f"({one} {self.random.choice(['==', '!='])} {other})"
        if kind == 3:
            operators = ["<", "<=", ">", ">="]
            if not self.wild:
                one, other = f"({one})|string", f"({other})|string"
            return f"({one} {self.random.choice(operators)} {other})"
        if kind == 4:
            return f"(0 {self.random.choice(['<', '<='])} {self.numbery(depth + 1)} < 10 != 3)"
        if kind == 5:
            return f"({one} {self.random.choice(['in', 'not in'])} {self.listy(depth + 1)})"
        if kind == 6:
            return f"(not {self.condition(depth + 1)})"
        if kind == 7:
            operator = self.random.choice(["and", "or"])
            return f"({self.condition(depth + 1)} {operator} {self.condition(depth + 1)})"
        if kind == 8:
            return f"({self.listy(depth + 1)} {'<' if self.wild else '=='} {self.listy(2)})"
        test = self.random.choice(
            [
                "defined",
                "undefined",
                "none",
                "string",
                "mapping",
                "integer",
                "boolean",
                "true",
                "false",
                f"equalto {other}",
                "not none",
                f"in({self.listy(depth + 1)})",
            ]
        )
        if self.random.random() < 0.2:
            numeric = self.random.choice(["odd", "even", "divisibleby 3", "gt(2)"])
            return f"({self.numbery(depth + 1)} is {numeric})"
        return f"({self.path() if self.random.random() < 0.6 else one} is {test})"

    def translation(self, depth: int) -> str:
        one = self.texty(depth + 1)
        return self.random.choice(
            [
                "_('Arrived')",
                f"_('At %(place)s', place={one})",
                f"_('%(a)s after %(b)s', a={one}, b={self.texty(depth + 1)})",
                f"ngettext('one part', '%(num)s parts', {self.numbery(depth + 1)})",
                "gettext('100%% of <i>it</i>')",
                "_('100% wrong')" if self.wild else "_('<u>100%%</u>')",
            ]
        )

    def macro_call(self, depth: int, asks: str) -> str:
        fitting = [macro for macro in self.macros if self.wild or macro[2] == asks]
        name, arity, _ = self.random.choice(fitting)
        count = self.random.randrange(arity + 1)
        if arity and not self.wild:
            count = max(count, 1)
        given = [self.texty(depth + 1) for _ in range(count)]
        if arity > count and self.random.random() < 0.5:
            given.append(f"p{arity - 1}={self.texty(depth + 1)}")
        if self.wild and self.random.random() < 0.03:
            given.append("extra=1")
        return f"{name}({', '.join(given)})"

    # -- statements

    def fresh(self) -> str:
        self.serial += 1
        name = self.random.choice(["x", "y", "z", "_w", f"v{self.serial}"])
        self.names[-1].append(name)
        return name

    def scoped(self, depth: int, extra: list[str] | None = None) -> str:
        self.names.append(list(extra or []))
        text = self.body(depth + 1)
        self.names.pop()
        return text

    def data(self) -> str:
        return self.random.choice(
            ["<p>", "</p>\n", " ", "\n", "é&", "  <i>到</i>\n  ", "$&`${1}`\\", '"']
        )

    def body(self, depth: int) -> str:
        count = self.random.choice([1, 2, 2, 3, 4]) if depth < 3 else 1
        return "".join(self.statement(depth) for _ in range(count))

    def statement(self, depth: int) -> str:
        kind = self.random.randrange(30)
        dash = self.random.choice(["", "", "", "-"])
        if kind < 5:
            return self.data()
        if kind < 11 or depth > 3:
            return f"{{{{{dash} {self.texty(0)} {dash}}}}}"
        if kind < 14:
            # What only one branch sets is not there afterwards; the wild ones try it anyway.
            branch = self.body if self.wild else self.scoped
            other = ""
            if self.random.random() < 0.3:
                other += f"{{% elif {self.condition(1)} %}}{branch(depth + 1)}"
            if self.random.random() < 0.5:
                other += f"{{% else {dash}%}}{branch(depth + 1)}"
            body = branch(depth + 1)
            return f"{{%{dash} if {self.condition(0)} %}}{body}{other}{{% endif %}}"
        if kind < 18:
            return self.loop(depth)
        if kind < 21:
            value = (self.random.choice([self.texty, self.listy]) if self.wild else self.texty)(0)
            if self.random.random() < 0.15:
                another = self.texty(1)
                one, other = self.fresh(), self.fresh()
                return f"{{% set {one}, {other} = {another}, {value} %}}\n"
            return f"{{% set {self.fresh()} = {value} %}}"
        if kind == 21:
            chain = self.random.choice(["", "", " | upper", " | trim | replace('a', '<')", " | e"])
            inside = self.scoped(depth)
            return f"{{% set {self.fresh()}{chain} %}}{inside}{{% endset %}}"
        if kind == 22:
            name = "ns"
            return (
                f"{{% set ns = namespace(a={self.texty(1)}, b=0) %}}"
                f"{{% for q in {self.listy(1)} %}}{{% set ns.a = ns.b %}}"
                f"{{% set ns.b = {self.random.choice(['q', 'loop.revindex', 'loop.index'])} %}}"
                f"{{% endfor %}}{{{{ {name}.a }}}}{{{{ ns.b }}}}"
            )
        if kind == 23:
            value = self.texty(0)
            name = self.random.choice(["w", "text", "n"])
            inside = self.scoped(depth, [name])
            return f"{{% with {name} = {value}, w2 = {self.path()} %}}{inside}{{% endwith %}}"
        if kind == 24:
            chain = self.random.choice(
                ["upper", "trim", "replace('a', '<b>')", "lower|trim", "e", "string|upper"]
                + ["join('<')"]
                + (["list"] if self.wild else [])
            )
            return f"{{% filter {chain} %}}{self.scoped(depth)}{{% endfilter %}}"
        if kind == 25:
            return self.trans()
        if kind == 26 and depth < 2:
            return self.macro(depth)
        asking = [asks for _, _, asks in self.macros if asks]
        if kind == 27 and asking:
            asks = self.random.choice(asking)
            argument, names = "", []
            if asks == "p0":
                argument, names = self.random.choice([("(c)", ["c"]), ("(c, d='dd')", ["c", "d"])])
            call = self.macro_call(1, asks)
            return f"{{% call{argument} {call} %}}{self.scoped(depth, names)}{{% endcall %}}"
        if kind == 28 and depth < 3 and not self.bare:
            return "{% include 'part.html' %}"
        if kind == 29 and depth < 3:
            return self.block(depth)
        return self.data()

    def loop(self, depth: int) -> str:
        source, names, target = self.listy(0), ["row"], "row"
        shown = "{{ row if row is string else 't' }}"
        if not self.bare and self.random.random() < 0.5:
            source, target, shown, names = self.random.choice(
                [
                    ("rows", "row", "{{ row.name }}{{ row.n }}", []),
                    ("rows|selectattr('late')", "row", "{{ row.name }}{{ row.parts|join }}", []),
                    ("rows|sort(attribute='name')", "row", "{{ row['name'] }}", []),
                    ("table", "k, v", "{{ k }}={{ v }}", ["k", "v"]),
                    ("visit.items()", "k, v", "{{ k }}{{ v if v is string }}", ["k"]),
                    ("rows|batch(2, 'pad')", "pair", "{{ pair|length }}", []),
                ]
            )
        elif self.random.random() < 0.1 and not self.bare:
            target = self.random.choice(["text", "n", "row"])
            names, shown = [target], f"{{{{ {target} }}}}"
        first = target.split(",")[0]
        test = f" if {self.condition(1)}" if self.random.random() < 0.25 else ""
        if test and self.random.random() < 0.5:
            test = f" if {first} is {self.random.choice(['defined', 'string', 'not none'])}"
        attribute = self.random.choice(
            [
                "index", "index0", "revindex", "revindex0", "length", "first", "last",
                "previtem", "nextitem", "depth", "cycle('odd', 'even')",
                f"changed({first})", "nope",
            ]
        )  # fmt: skip
        inside = ""
        if self.random.random() < 0.5:
            inside = f"{{{{ loop.{attribute} if loop.{attribute} is integer else 'q' }}}}"
        body = self.scoped(depth, names)
        other = f"{{% else %}}{self.scoped(depth)}" if self.random.random() < 0.3 else ""
        return f"{{% for {target} in {source}{test} %}}{shown}{inside}{body}{other}{{% endfor %}}"

    def trans(self) -> str:
        one = self.texty(1)
        return self.random.choice(
            [
                "{% trans %}Arrived{% endtrans %}",
                f"{{% trans place={one} %}}At {{{{ place }}}}{{% endtrans %}}",
                f"{{% trans num={self.numbery(1)} %}}one part{{% pluralize %}}"
                "{{ num }} parts{% endtrans %}",
                f"{{% trans a={one}, b=text %}}{{{{ a }}}} after {{{{ b }}}}{{% endtrans %}}",
                "{% trans trimmed %}\n  100% of\n  it {% endtrans %}",
            ]
        )

    def macro(self, depth: int) -> str:
        self.serial += 1
        name = f"m{self.serial}"
        arity = self.random.randrange(4)
        parameters = [
            f"p{index}" + (f"={self.texty(1)}" if index > 0 else "") for index in range(arity)
        ]
        callers, asks = self.random.choice(
            [("", ""), ("", ""), ("{{ caller() }}", "()"), ("{{ caller(p0) }}", "p0")]
        )
        if asks == "p0" and not arity:
            callers, asks = "", ""
        saved, self.macros = self.macros, [] if self.bare else self.macros[:]
        body = self.scoped(depth + 1, [f"p{index}" for index in range(arity)])
        self.macros = saved
        self.macros.append((name, arity, asks))
        return f"{{% macro {name}({', '.join(parameters)}) %}}{body}{callers}{{% endmacro %}}"

    def block(self, depth: int) -> str:
        self.blocks += 1
        name = f"b{self.blocks}"
        saved, self.macros = self.macros, []
        names, self.names = self.names, [self.names[0]]
        body = self.scoped(depth)
        self.names, self.macros = names, saved
        return f"{{% block {name} %}}{body}{{% endblock %}}"

    def case(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return templates by name, ``page.html`` to be rendered, and its arguments."""
        templates = {"part.html": self.part()}
        context = self.random.choice(["", " with context"])
        names, self.bare = self.names, not context and not self.wild
        if self.bare:
            self.names = [[]]
        macros = self.macro(1) + self.macro(1)
        self.names, self.bare = names, False
        imported, self.macros = self.macros, []
        templates["macros.html"] = macros + self.data() + "{% set shared = text|d('none') %}"
        shape = self.random.random()
        head = ""
        if shape < 0.6:
            if self.random.random() < 0.5:
                head = f"{{% import 'macros.html' as lib{context} %}}\n"
                self.macros = [(f"lib.{name}", arity, asks) for name, arity, asks in imported]
            else:
                name, arity, asks = imported[0]
                head = f"{{% from 'macros.html' import {name} as im, shared{context} %}}"
                self.macros = [("im", arity, asks)]
        if shape < 0.4:
            saved, self.macros = self.macros, []
            before = self.blocks
            templates["base.html"] = self.body(0) + self.block(0) + self.body(1) + self.block(0)
            names = [f"b{index}" for index in range(before + 1, self.blocks + 1)]
            self.macros = saved
            self.names = [self.names[0]]
            page = "{% extends 'base.html' %}\n" + head + self.body(2)
            for name in names:
                if self.random.random() < 0.6:
                    above = self.random.choice(["", "{{ super() }}"])
                    inside = self.scoped(1)
                    page += f"{{% block {name} %}}{above}{inside}{{% endblock %}}\n"
            templates["page.html"] = page
        else:
            templates["page.html"] = head + self.body(0) + self.body(0)
        return templates, self.args()

    def part(self) -> str:
        saved, self.names = self.names, [[*self.names[0], "row", "x", "y", "loop"]]
        macros, self.macros = self.macros, []
        if not self.wild:
            self.names = [self.names[0][:3]]
        text = self.data() + "{{ row if row is string }}{{ x if x is string }}"
        text += "{{ loop.index if loop is defined }}" + f"{{{{ {self.texty(1)} }}}}"
        self.names, self.macros = saved, macros
        return text
