"""Jinja templates as JavaScript, from Jinja's own syntax tree.

The parser, the whitespace rules, the i18n tags and the scoping analysis are Jinja's; only the
code that comes out is ours. A template that would mean something else on the phone is refused
here, with file and line, instead of surprising an engineer in a cellar. What the JavaScript calls
is static/phone/runtime.js.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.compiler import Frame, find_undeclared
from jinja2.idtracking import (
    VAR_LOAD_ALIAS,
    VAR_LOAD_PARAMETER,
    VAR_LOAD_RESOLVE,
)
from jinja2.nodes import EvalContext

from fieldapp.offline.environment import FORMATTERS
from fieldapp.offline.filters import MAX_INTEGER

#: Filters in runtime.js and their arguments; the second number is how many must be given.
_FILTERS: dict[str, tuple[tuple[str, ...], int]] = {
    "batch": (("linecount", "fill_with"), 1),
    "d": (("default_value", "boolean"), 0),
    "default": (("default_value", "boolean"), 0),
    "e": ((), 0),
    "escape": ((), 0),
    "first": ((), 0),
    "int": (("default",), 0),
    "join": (("d", "attribute"), 0),
    "last": ((), 0),
    "length": ((), 0),
    "list": ((), 0),
    "lower": ((), 0),
    "replace": (("old", "new", "count"), 2),
    "sort": (("reverse", "case_sensitive", "attribute"), 0),
    "string": ((), 0),
    "sum": (("attribute", "start"), 0),
    "trim": (("chars",), 0),
    "upper": ((), 0),
    "urlencode": ((), 0),
}
_FILTER_ALIASES = {"d": "default", "e": "escape"}
_SELECTING = {"select", "reject", "selectattr", "rejectattr"}

#: Tests in runtime.js, by Jinja's names, and how many arguments they take.
_TESTS: dict[str, tuple[str, int]] = {
    "boolean": ("boolean", 0),
    "defined": ("defined", 0),
    "divisibleby": ("divisibleby", 1),
    "even": ("even", 0),
    "false": ("false", 0),
    "in": ("in", 1),
    "integer": ("integer", 0),
    "mapping": ("mapping", 0),
    "none": ("none", 0),
    "odd": ("odd", 0),
    "string": ("string", 0),
    "true": ("true", 0),
    "undefined": ("undefined", 0),
} | {
    alias: (name, 1)
    for name, aliases in {
        "eq": ("eq", "equalto", "=="),
        "ne": ("ne", "!="),
        "gt": ("gt", "greaterthan", ">"),
        "ge": ("ge", ">="),
        "lt": ("lt", "lessthan", "<"),
        "le": ("le", "<="),
    }.items()
    for alias in aliases
}

_COMPARISONS = {
    "eq": "tests.eq({0}, {1})",
    "ne": "tests.ne({0}, {1})",
    "lt": "tests.lt({0}, {1})",
    "lteq": "tests.le({0}, {1})",
    "gt": "tests.gt({0}, {1})",
    "gteq": "tests.ge({0}, {1})",
    "in": "tests.in({0}, {1})",
    "notin": "!tests.in({0}, {1})",
}

_ARITHMETIC: dict[type[nodes.Node], str] = {
    nodes.Add: "add",
    nodes.Sub: "subtract",
    nodes.Mul: "multiply",
    nodes.FloorDiv: "floorDivide",
    nodes.Mod: "modulo",
}

_TRANSLATING = {"_": "gettext", "gettext": "gettext", "ngettext": "ngettext"}
#: Names that mean the same on every page; a template may call them but not replace them.
_CALLABLE_NAMES = {*_TRANSLATING, "namespace", "range"}
_RESERVED_NAMES = _CALLABLE_NAMES | {"lang", "self", "super", "varargs", "kwargs"}

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAME = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
_ATTRIBUTE_PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")

#: What runtime.js hands to a compiled template; only what it uses is taken.
_RUNTIME_NAMES = {
    "Loop", "Namespace", "add", "attr", "call", "chosen", "concat", "dict", "esc", "fail",
    "filters", "floorDivide", "item", "iter", "macro", "missing", "modulo", "multiply", "raw",
    "range", "setAttr", "slice", "subtract", "tests", "truth", "tuple", "undef", "unpack",
    "Markup",
}  # fmt: skip


class TemplateRefused(Exception):
    """A template says something that the phone could not say in the same bytes.

    The message starts with ``name:line:``.
    """


def compile_template(env: Environment, name: str) -> str:
    """Compile the template ``name`` of ``env`` to one JavaScript function expression.

    The function takes the helpers of runtime.js and returns the template's root and blocks.
    Raises TemplateRefused for anything outside the shared subset or not Jinja at all,
    jinja2.TemplateNotFound, and ValueError when ``env`` does not escape everywhere.
    """
    return _Template(env, name).javascript


def compile_templates(env: Environment, names: Iterable[str]) -> str:
    """Compile ``names`` to the text of an ES module that exports ``templates``, by name.

    Raises what ``compile_template`` raises, and TemplateRefused for a template that extends,
    includes or imports one that is not in ``names``: the phone would not have it.
    """
    wanted = sorted(set(names))
    entries = []
    for name in wanted:
        template = _Template(env, name)
        for line, other in template.references:
            if other not in wanted:
                raise TemplateRefused(f"{name}:{line}: {other} does not travel to the phone")
        entries.append(f"{_text(name)}: {template.javascript}")
    return "export const templates = {\n" + ",\n".join(entries) + "\n}\n"


def _text(value: object) -> str:
    """``value`` as a JavaScript literal."""
    return (
        json.dumps(value, ensure_ascii=False)
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )


class _Function:
    """One JavaScript function being written: its lines and the variables it declares."""

    def __init__(self, parameters: Sequence[str] = ()) -> None:
        self.parameters = set(parameters)
        self.declared: dict[str, None] = {}
        self.lines: list[str] = []

    def body(self) -> str:
        declared = [name for name in self.declared if name not in self.parameters]
        head = f"let {', '.join(f'{name} = missing' for name in declared)}\n" if declared else ""
        return head + "\n".join(self.lines)


class _Template:
    """One template on its way to JavaScript.

    Follows jinja2.compiler.CodeGenerator statement by statement, so that scopes, exports and the
    order of evaluation are Jinja's. Statements append lines; expressions return text.
    """

    def __init__(self, env: Environment, name: str) -> None:
        if env.autoescape is not True:
            raise ValueError("shared templates need autoescape=True")
        if env.loader is None:
            raise ValueError("shared templates need a loader")
        self.name = name
        source, filename, _ = env.loader.get_source(env, name)
        try:
            self.tree = env.parse(source, name, filename)
        except TemplateSyntaxError as error:
            raise TemplateRefused(f"{name}:{error.lineno}: {error.message}") from error
        self.globals = set(env.globals)
        self.references: list[tuple[int, str]] = []
        self.functions: list[_Function] = []
        self.blocks: dict[str, nodes.Block] = {}
        self.extended = False
        self.serial = 0
        self.defaults_of: set[str] = set()  # parameters whose default is not evaluated yet
        self.javascript = self._whole(env)

    # -- the function around everything

    def _whole(self, env: Environment) -> str:
        for block in self.tree.find_all(nodes.Block):
            if block.name in self.blocks:
                self.refuse(block, f"block {block.name} is defined twice")
            self.check_name(block, block.name)
            self.blocks[block.name] = block
        eval_context = EvalContext(env, self.name)
        functions = [f"const root = (context) => {{\n{self._root(eval_context)}\n}}"]
        for name, block in self.blocks.items():
            body = self._block(name, block, eval_context)
            functions.append(f"const block_{name} = (context) => {{\n{body}\n}}")
        code = "\n".join(functions)
        used = sorted(set(re.findall(r"[A-Za-z]+", _STRING.sub('""', code))) & _RUNTIME_NAMES)
        blocks = ", ".join(f"{_text(name)}: block_{name}" for name in self.blocks)
        return (
            f"({{ {', '.join(used)} }}) => {{\n{code}\n"
            f"return {{ root, blocks: {{ {blocks} }} }}\n}}"
        )

    def _root(self, eval_context: EvalContext) -> str:
        with self.function() as function:
            frame = Frame(eval_context)
            frame.buffer = "out"
            frame.symbols.analyze_node(self.tree)
            frame.toplevel = frame.rootlevel = True
            frame.require_output_check = False
            self.enter(frame)
            self.statements(self.tree.body, frame)
            self.write("return out + parent.root(context)" if self.extended else "return out")
        function.lines.insert(0, 'let out = ""' + (", parent" if self.extended else ""))
        return function.body()

    def _block(self, name: str, block: nodes.Block, eval_context: EvalContext) -> str:
        with self.function() as function:
            frame = Frame(eval_context)
            frame.block_frame = True
            frame.block = name
            frame.buffer = "out"
            has_super = "super" in find_undeclared(block.body, ("super",))
            if has_super:
                self.assign_line(
                    frame.symbols.declare_parameter("super"),
                    f"context.super({_text(name)}, block_{name})",
                )
            frame.symbols.analyze_node(block)
            self.enter(frame)
            self.statements(block.body, frame)
            self.write("return out")
        function.lines.insert(0, 'let out = ""')
        return function.body()

    # -- writing

    def refuse(self, node: nodes.Node, what: str) -> NoReturn:
        # Jinja gives no line to the scopes it makes up itself.
        lines = (part.lineno for part in [node, *node.find_all(nodes.Node)] if part.lineno)
        raise TemplateRefused(f"{self.name}:{next(lines, 1)}: {what}")

    def outside(self, node: nodes.Node, what: str) -> NoReturn:
        self.refuse(node, f"{what} is outside the shared subset")

    def check_name(self, node: nodes.Node, name: str) -> None:
        if not _NAME.fullmatch(name):
            self.outside(node, f"the name {name}")

    def check_stored(self, node: nodes.Node, name: str) -> None:
        self.check_name(node, name)
        if name in _RESERVED_NAMES or name in self.globals:
            self.refuse(node, f"{name} is given to every page and cannot be replaced")

    @contextmanager
    def function(self, parameters: Sequence[str] = ()) -> Iterator[_Function]:
        self.functions.append(_Function(parameters))
        yield self.functions[-1]
        self.functions.pop()

    def write(self, line: str) -> None:
        self.functions[-1].lines.append(line)

    def declare(self, name: str) -> str:
        self.functions[-1].declared[name] = None
        return name

    def temporary(self) -> str:
        self.serial += 1
        return self.declare(f"t_{self.serial}")

    def assign_line(self, target: str, value: str) -> None:
        self.write(f"{self.declare(target)} = {value}")

    def output(self, frame: Frame, value: str) -> None:
        self.write(f"{frame.buffer} += {value}")

    def buffer(self, frame: Frame) -> str:
        frame.buffer = self.temporary()
        self.write(f'{frame.buffer} = ""')
        return frame.buffer

    def enter(self, frame: Frame) -> None:
        for target, (action, name) in frame.symbols.loads.items():
            if action == VAR_LOAD_PARAMETER:
                continue
            if name in _CALLABLE_NAMES:
                continue
            if action == VAR_LOAD_RESOLVE:
                self.assign_line(target, f"context.resolve({_text(name)})")
            elif action == VAR_LOAD_ALIAS:
                self.assign_line(target, str(name))
            else:
                self.assign_line(target, "missing")

    def leave(self, frame: Frame, node: nodes.Node) -> None:
        # Only a macro made inside can still look at these variables.
        if next(node.find_all((nodes.Macro, nodes.CallBlock)), None) is not None:
            for target in frame.symbols.loads:
                self.assign_line(target, "missing")

    def locals(self, frame: Frame) -> str:
        stored = frame.symbols.dump_stores().items()
        return "{ " + ", ".join(f"{_text(name)}: {target}" for name, target in stored) + " }"

    # -- statements

    def statements(self, body: Iterable[nodes.Node], frame: Frame) -> None:
        for node in body:
            method = getattr(self, f"visit_{type(node).__name__}", None)
            if method is None:
                self.outside(node, _TAGS.get(type(node), type(node).__name__))
            else:
                method(node, frame)

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        for child in node.nodes:
            silent = frame.require_output_check  # outside the blocks of an extending template
            if isinstance(child, nodes.TemplateData):
                if not silent:
                    self.output(frame, _text(child.data))
                continue
            value = self.expression(child, frame)
            if not silent:
                self.output(frame, f"esc({value})")

    def visit_Extends(self, node: nodes.Extends, frame: Frame) -> None:
        first = next(
            (
                other
                for other in self.tree.body
                if not isinstance(other, nodes.Output)
                or not all(
                    isinstance(part, nodes.TemplateData) and not part.data.strip()
                    for part in other.nodes
                )
            ),
            None,
        )
        if first is not node:
            self.refuse(node, "extends must be the first tag")
        self.extended = True
        frame.require_output_check = True
        self.write(f"parent = context.extends({self.template_name(node)})")

    def template_name(
        self, node: nodes.Extends | nodes.Include | nodes.Import | nodes.FromImport
    ) -> str:
        template = node.template
        tag = _TAGS[type(node)]
        if not isinstance(template, nodes.Const) or not isinstance(template.value, str):
            self.outside(node, f"{tag} with a computed name")
        self.references.append((node.lineno, template.value))
        return _text(template.value)

    def visit_Block(self, node: nodes.Block, frame: Frame) -> None:
        if node.scoped:
            self.outside(node, "a scoped block")
        if node.required:
            self.outside(node, "a required block")
        if not (frame.toplevel and self.extended):
            self.output(frame, f"context.block({_text(node.name)})")

    def visit_Include(self, node: nodes.Include, frame: Frame) -> None:
        if not node.with_context:
            self.outside(node, "include without context")
        if node.ignore_missing:
            self.outside(node, "include ignore missing")
        self.output(frame, f"context.include({self.template_name(node)}, {self.locals(frame)})")

    def imported(self, node: nodes.Import | nodes.FromImport, frame: Frame) -> str:
        name = self.template_name(node)
        given = self.locals(frame) if node.with_context else "null"
        return f"context.load({name}, {given})"

    def visit_Import(self, node: nodes.Import, frame: Frame) -> None:
        self.check_stored(node, node.target)
        target = frame.symbols.ref(node.target)
        self.assign_line(target, self.imported(node, frame))
        if frame.toplevel:
            self.write(f"context.keep({_text(node.target)}, {target})")

    def visit_FromImport(self, node: nodes.FromImport, frame: Frame) -> None:
        module = self.temporary()
        self.write(f"{module} = {self.imported(node, frame)}")
        for entry in node.names:
            name, alias = entry if isinstance(entry, tuple) else (entry, entry)
            self.check_name(node, name)
            self.check_stored(node, alias)
            target = frame.symbols.ref(alias)
            self.assign_line(target, f"attr({module}, {_text(name)})")
            if frame.toplevel:
                self.write(f"context.keep({_text(alias)}, {target})")

    def visit_If(self, node: nodes.If, frame: Frame) -> None:
        inner = frame.soft()
        self.write(f"if ({self.condition(node.test, inner)}) {{")
        self.statements(node.body, inner)
        for branch in node.elif_:
            self.write(f"}} else if ({self.condition(branch.test, inner)}) {{")
            self.statements(branch.body, inner)
        if node.else_:
            self.write("} else {")
            self.statements(node.else_, inner)
        self.write("}")

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        if node.recursive:
            self.outside(node, "a recursive loop")
        for name in node.target.find_all(nodes.Name):
            self.check_loop_target(name)
        if isinstance(node.target, nodes.Name):
            self.check_loop_target(node.target)
        for name in node.find_all(nodes.Name):
            if name.ctx == "store" and name.name == "loop":
                self.refuse(name, "loop cannot be assigned inside a loop")
        body_frame, test_frame, else_frame = frame.inner(), frame.inner(), frame.inner()
        body_frame.loop_frame = True
        extended = "loop" in find_undeclared(node.iter_child_nodes(only=("body",)), ("loop",))
        loop = body_frame.symbols.declare_parameter("loop") if extended else None
        body_frame.symbols.analyze_node(node, for_branch="body")
        if node.else_:
            else_frame.symbols.analyze_node(node, for_branch="else")
        source = self.expression(node.iter, frame)
        if node.test is not None:
            test_frame.symbols.analyze_node(node, for_branch="test")
            source = self.filtered(node, node.test, source, body_frame, test_frame)
        empty = self.temporary() if node.else_ else None
        if empty:
            self.write(f"{empty} = true")
        self.serial += 1
        item = f"t_{self.serial}"
        if loop is None:
            self.write(f"for (const {item} of iter({source})) {{")
        else:
            self.serial += 1
            own = f"t_{self.serial}"
            self.write(f"for (const {own} = new Loop({source}); {own}.next(); ) {{")
            self.assign_line(loop, own)
            self.write(f"const {item} = {own}.current")
        self.store(node.target, item, body_frame)
        self.enter(body_frame)
        self.statements(node.body, body_frame)
        if empty:
            self.write(f"{empty} = false")
        self.write("}")
        self.leave(body_frame, node)
        if empty:
            self.write(f"if ({empty}) {{")
            self.enter(else_frame)
            self.statements(node.else_, else_frame)
            self.leave(else_frame, node)
            self.write("}")

    def check_loop_target(self, name: nodes.Name) -> None:
        if name.name == "loop":
            self.refuse(name, "loop cannot be assigned inside a loop")
        self.check_stored(name, name.name)

    def filtered(
        self, node: nodes.For, test: nodes.Node, source: str, body_frame: Frame, test_frame: Frame
    ) -> str:
        """A generator over what passes ``test``, lazy as in Jinja: the body may change it."""
        with self.function() as function:
            self.enter(test_frame)
            self.serial += 1
            item = f"t_{self.serial}"
            self.write(f"for (const {item} of iter(source)) {{")
            self.store(node.target, item, body_frame)
            self.write(f"if ({self.condition(test, test_frame)}) {{")
            self.write(f"yield {self.packed(node.target, body_frame)}")
            self.write("}\n}")
        generator = self.temporary()
        self.write(f"{generator} = function* (source) {{\n{function.body()}\n}}")
        return f"{generator}({source})"

    def packed(self, target: nodes.Node, frame: Frame) -> str:
        if isinstance(target, nodes.Tuple):
            return f"tuple([{', '.join(self.packed(part, frame) for part in target.items)}])"
        assert isinstance(target, nodes.Name)
        return frame.symbols.ref(target.name)

    def store(self, target: nodes.Node, value: str, frame: Frame) -> None:
        """Assign the JavaScript ``value`` to a name, a namespace's attribute or a tuple of both."""
        if isinstance(target, nodes.Name):
            self.assign_line(frame.symbols.ref(target.name), value)
        elif isinstance(target, nodes.NSRef):
            namespace = frame.symbols.ref(target.name)
            self.write(f"setAttr({namespace}, {_text(target.attr)}, {value})")
        elif isinstance(target, nodes.Tuple):
            parts = self.temporary()
            self.write(f"{parts} = unpack({value}, {len(target.items)})")
            for index, part in enumerate(target.items):
                self.store(part, f"{parts}[{index}]", frame)
        else:
            self.outside(target, f"assigning to {type(target).__name__}")

    def stored_names(self, target: nodes.Node) -> list[str]:
        """The plain names that ``target`` assigns; refuses those a template may not take."""
        if isinstance(target, nodes.Name):
            self.check_stored(target, target.name)
            return [target.name]
        if isinstance(target, nodes.NSRef):
            self.check_attribute(target, target.attr)
            return []
        names = []
        for part in target.iter_child_nodes():
            names += self.stored_names(part)
        return names

    def keep(self, names: Iterable[str], frame: Frame) -> None:
        """What a page sets outside loops and blocks is seen by its blocks, includes and imports."""
        if frame.toplevel and not frame.loop_frame and not frame.block_frame:
            for name in names:
                method = "keep" if name.startswith("_") else "publish"
                self.write(f"context.{method}({_text(name)}, {frame.symbols.ref(name)})")

    def visit_Assign(self, node: nodes.Assign, frame: Frame) -> None:
        names = self.stored_names(node.target)
        value = self.expression(node.node, frame)
        self.store(node.target, value, frame)
        self.keep(names, frame)

    def visit_AssignBlock(self, node: nodes.AssignBlock, frame: Frame) -> None:
        names = self.stored_names(node.target)
        inner = frame.inner()
        inner.require_output_check = False
        inner.symbols.analyze_node(node)
        self.enter(inner)
        text = f"new Markup({self.buffer(inner)})"
        self.statements(node.body, inner)
        if node.filter is not None:
            text = f"new Markup(raw({self.filter(node.filter, inner, text)}))"
        self.store(node.target, text, frame)
        self.keep(names, frame)
        self.leave(inner, node)

    def visit_FilterBlock(self, node: nodes.FilterBlock, frame: Frame) -> None:
        inner = frame.inner()
        inner.symbols.analyze_node(node)
        self.enter(inner)
        text = f"new Markup({self.buffer(inner)})"
        self.statements(node.body, inner)
        self.output(frame, f"raw({self.filter(node.filter, inner, text)})")
        self.leave(inner, node)

    def visit_With(self, node: nodes.With, frame: Frame) -> None:
        inner = frame.inner()
        inner.symbols.analyze_node(node)
        self.enter(inner)
        for target, value in zip(node.targets, node.values, strict=True):
            self.stored_names(target)
            self.store(target, self.expression(value, frame), inner)
        self.statements(node.body, inner)
        self.leave(inner, node)

    def visit_Macro(self, node: nodes.Macro, frame: Frame) -> None:
        self.check_stored(node, node.name)
        value = self.macro(node, node.name, frame)
        target = frame.symbols.ref(node.name)
        self.assign_line(target, value)
        if frame.toplevel:
            method = "keep" if node.name.startswith("_") else "publish"
            self.write(f"context.{method}({_text(node.name)}, {target})")

    def visit_CallBlock(self, node: nodes.CallBlock, frame: Frame) -> None:
        caller = self.temporary()
        self.write(f"{caller} = {self.macro(node, 'caller', frame)}")
        if isinstance(node.call.node, nodes.Name) and node.call.node.name in _CALLABLE_NAMES:
            self.outside(node, f"a call block around {node.call.node.name}()")
        self.output(frame, f"raw({self.visit_Call(node.call, frame, caller)})")

    def macro(self, node: nodes.Macro | nodes.CallBlock, name: str, frame: Frame) -> str:
        inner = frame.inner()
        inner.symbols.analyze_node(node)
        names = [argument.name for argument in node.args]
        for argument in node.args:
            self.check_stored(argument, argument.name)
            if argument.name == "caller":
                self.outside(argument, "caller as a parameter")
        if len(set(names)) < len(names):
            self.refuse(node, "a parameter is named twice")
        parameters = [inner.symbols.ref(parameter) for parameter in names]
        special = find_undeclared(node.body, ("caller", "kwargs", "varargs"))
        for catching in ("kwargs", "varargs"):
            if catching in special:
                self.outside(node, f"{catching} in a macro")
        takes_caller = "caller" in special
        if takes_caller:
            parameters.append(inner.symbols.declare_parameter("caller"))
        inner.require_output_check = False
        inner.symbols.analyze_node(node)
        inner.buffer = "out"
        with self.function(parameters) as function:
            self.enter(inner)
            before = self.defaults_of
            self.defaults_of = set(parameters[: len(names)])
            first_default = len(names) - len(node.defaults)
            for index, name_given in enumerate(names):
                parameter = parameters[index]
                if index < first_default:
                    value = f"undef({_text(name_given)})"
                else:
                    value = self.expression(node.defaults[index - first_default], inner)
                self.write(f"if ({parameter} === missing) {parameter} = {value}")
                self.defaults_of.discard(parameter)
            self.defaults_of = before
            self.statements(node.body, inner)
            self.write("return out")
        function.lines.insert(0, 'let out = ""')
        takes = "true" if takes_caller else "false"
        return (
            f"macro({_text(name)}, {_text(names)}, {takes}, "
            f"({', '.join(parameters)}) => {{\n{function.body()}\n}})"
        )

    # -- expressions

    def expression(self, node: nodes.Node, frame: Frame) -> str:
        method = getattr(self, f"visit_{type(node).__name__}", None)
        if method is None or isinstance(node, nodes.Stmt):
            self.outside(node, _TAGS.get(type(node), type(node).__name__))
        return str(method(node, frame))

    def condition(self, node: nodes.Node, frame: Frame) -> str:
        """``node`` as a JavaScript boolean."""
        if isinstance(node, (nodes.Test, nodes.Compare, nodes.Not)):
            return self.expression(node, frame)
        if isinstance(node, (nodes.And, nodes.Or)):
            operator = "&&" if isinstance(node, nodes.And) else "||"
            left, right = self.condition(node.left, frame), self.condition(node.right, frame)
            return f"({left} {operator} {right})"
        return f"truth({self.expression(node, frame)})"

    def visit_Name(self, node: nodes.Name, frame: Frame) -> str:
        name = node.name
        self.check_name(node, name)
        if name in ("self", "super") or name in self.globals - {"_"}:
            self.outside(node, f"{name} without a call" if name in _RESERVED_NAMES else name)
        if name == "_":
            self.outside(node, "_ without a call")
        return self.variable(node, frame)

    def variable(self, node: nodes.Name, frame: Frame) -> str:
        target = frame.symbols.ref(node.name)
        load = frame.symbols.find_load(target)
        if load is not None and load[0] == VAR_LOAD_PARAMETER and target not in self.defaults_of:
            return target
        return f"chosen({target}, {_text(node.name)})"

    def visit_Const(self, node: nodes.Const, frame: Frame) -> str:
        value = node.value
        if isinstance(value, (str, bool)) or value is None:
            return _text(value)
        if isinstance(value, int):
            if value > MAX_INTEGER:
                self.refuse(node, f"{value} is beyond 2**53")
            return str(value)
        return self.outside(node, f"the {type(value).__name__} {value}")

    def visit_TemplateData(self, node: nodes.TemplateData, frame: Frame) -> str:
        return f"new Markup({_text(node.data)})"

    def visit_List(self, node: nodes.List, frame: Frame) -> str:
        return "[" + ", ".join(self.expression(part, frame) for part in node.items) + "]"

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> str:
        return "tuple([" + ", ".join(self.expression(part, frame) for part in node.items) + "])"

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> str:
        pairs = []
        for pair in node.items:
            if not isinstance(pair.key, nodes.Const) or not isinstance(pair.key.value, str):
                self.outside(pair, "a dict key that is not literal text")
            pairs.append(f"[{_text(pair.key.value)}, {self.expression(pair.value, frame)}]")
        return f"dict([{', '.join(pairs)}])"

    def binary(self, node: nodes.BinExpr, frame: Frame) -> str:
        left, right = self.expression(node.left, frame), self.expression(node.right, frame)
        return f"{_ARITHMETIC[type(node)]}({left}, {right})"

    visit_Add = visit_Sub = visit_Mul = visit_FloorDiv = visit_Mod = binary

    def visit_Neg(self, node: nodes.Neg, frame: Frame) -> str:
        return f"subtract(0, {self.expression(node.node, frame)})"

    def visit_Pos(self, node: nodes.Pos, frame: Frame) -> str:
        return f"add(0, {self.expression(node.node, frame)})"

    def visit_Not(self, node: nodes.Not, frame: Frame) -> str:
        return f"!{self.condition(node.node, frame)}"

    def visit_And(self, node: nodes.And, frame: Frame) -> str:
        left = self.temporary()
        value = self.expression(node.left, frame)
        return f"(truth({left} = {value}) ? {self.expression(node.right, frame)} : {left})"

    def visit_Or(self, node: nodes.Or, frame: Frame) -> str:
        left = self.temporary()
        value = self.expression(node.left, frame)
        return f"(truth({left} = {value}) ? {left} : {self.expression(node.right, frame)})"

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> str:
        return f"concat([{', '.join(self.expression(part, frame) for part in node.nodes)}])"

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> str:
        left = self.expression(node.expr, frame)
        parts = []
        for index, operand in enumerate(node.ops):
            right = self.expression(operand.expr, frame)
            if index + 1 < len(node.ops):  # the middle of a chain is evaluated once
                kept = self.temporary()
                right = f"({kept} = {right})"
            parts.append(_COMPARISONS[operand.op].format(left, right))
            left = kept if index + 1 < len(node.ops) else ""
        return parts[0] if len(parts) == 1 else f"({' && '.join(parts)})"

    def visit_CondExpr(self, node: nodes.CondExpr, frame: Frame) -> str:
        test = self.condition(node.test, frame)
        one = self.expression(node.expr1, frame)
        other = "undef()" if node.expr2 is None else self.expression(node.expr2, frame)
        return f"({test} ? {one} : {other})"

    def check_attribute(self, node: nodes.Node, name: str) -> None:
        if name.startswith("_") or not _NAME.fullmatch(name):
            self.outside(node, f"the attribute {name}")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> str:
        self.check_attribute(node, node.attr)
        return f"attr({self.expression(node.node, frame)}, {_text(node.attr)})"

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> str:
        value = self.expression(node.node, frame)
        if not isinstance(node.arg, nodes.Slice):
            return f"item({value}, {self.expression(node.arg, frame)})"
        if node.arg.step is not None:
            self.outside(node, "a slice with a step")
        bounds = [
            "null" if bound is None else self.expression(bound, frame)
            for bound in (node.arg.start, node.arg.stop)
        ]
        return f"slice({value}, {', '.join(bounds)})"

    def visit_Call(self, node: nodes.Call, frame: Frame, caller: str | None = None) -> str:
        self.check_no_stars(node)
        keywords = [(keyword.key, self.expression(keyword.value, frame)) for keyword in node.kwargs]
        for key, _ in keywords:
            self.check_name(node, key)
            if key == "caller":
                self.outside(node, "passing caller by name")
        if isinstance(node.node, nodes.Name):
            name = node.node.name
            if name in _TRANSLATING:
                return self.translation(node, _TRANSLATING[name], keywords, frame)
            if name == "range":
                return f"range([{self.arguments(node, frame)}])"
            if name == "namespace":
                if node.args:
                    self.outside(node, "namespace() of a dict")
                return f"new Namespace({self.keywords(keywords)})"
            if name in self.globals or name in ("self", "pgettext", "npgettext"):
                self.outside(node, f"{name}()")
            self.check_name(node, name)
            called = self.variable(node.node, frame)
        elif isinstance(node.node, nodes.Getattr):
            called = self.visit_Getattr(node.node, frame)
        else:
            self.outside(node, "calling the result of an expression")
        if caller is not None:
            keywords.append(("caller", caller))
        given = self.arguments(node, frame)
        return f"call({called}, [{given}], {self.keywords(keywords)})"

    def check_no_stars(self, node: nodes.Call | nodes.Filter | nodes.Test) -> None:
        if node.dyn_args is not None:
            self.outside(node, "*args")
        if node.dyn_kwargs is not None:
            self.outside(node, "**kwargs")

    def arguments(self, node: nodes.Call, frame: Frame) -> str:
        return ", ".join(self.expression(argument, frame) for argument in node.args)

    def keywords(self, keywords: list[tuple[str, str]]) -> str:
        return "{ " + ", ".join(f"{_text(key)}: {value}" for key, value in keywords) + " }"

    def translation(
        self, node: nodes.Call, function: str, keywords: list[tuple[str, str]], frame: Frame
    ) -> str:
        texts = 1 if function == "gettext" else 2
        if len(node.args) != (1 if function == "gettext" else 3):
            self.refuse(node, f"{function} takes {'one text' if texts == 1 else 'two texts'}")
        for text in node.args[:texts]:
            # A computed message could not be found in the catalogue, and would not be escaped.
            if not isinstance(text, nodes.Const) or not isinstance(text.value, str):
                self.outside(node, "translating anything but literal text")
        return f"context.{function}({self.arguments(node, frame)}, {self.keywords(keywords)})"

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> str:
        assert node.node is not None
        return self.filter(node, frame, None)

    def filter(self, node: nodes.Filter, frame: Frame, block: str | None) -> str:
        """``node`` applied; ``block`` is the text of a filter block, which has no operand."""
        self.check_no_stars(node)
        name = node.name
        # |upper|trim around a block: the innermost filter has no operand of its own
        if node.node is not None:
            if isinstance(node.node, nodes.Filter):
                value = self.filter(node.node, frame, block)
            else:
                value = self.expression(node.node, frame)
        else:
            assert block is not None
            value = block
        if name in _FILTERS:
            names, required = _FILTERS[name]
            given = self.bound(node, names, required, frame)
            name = _FILTER_ALIASES.get(name, name)
            return f"filters.{name}({', '.join([value, *given])})"
        if name == "map":
            return self.map(node, value, frame)
        if name in _SELECTING:
            return self.selection(node, value, frame)
        if name in FORMATTERS:
            if node.kwargs:
                self.outside(node, f"naming the arguments of |{name}")
            given = [self.expression(argument, frame) for argument in node.args]
            return f"context.format({_text(name)}, [{', '.join([value, *given])}])"
        return self.outside(node, f"filter |{name}")

    def bound(
        self, node: nodes.Filter, names: Sequence[str], required: int, frame: Frame
    ) -> list[str]:
        """The arguments of a filter in order; those left out in the middle are ``undefined``."""
        if len(node.args) > len(names):
            self.refuse(node, f"filter |{node.name} takes {len(names)} arguments")
        given: dict[str, nodes.Node] = dict(zip(names, node.args, strict=False))
        for keyword in node.kwargs:
            assert isinstance(keyword, nodes.Keyword)
            if keyword.key not in names or keyword.key in given:
                self.refuse(node, f"filter |{node.name} takes no argument {keyword.key}")
            given[keyword.key] = keyword.value
        if any(name not in given for name in names[:required]):
            self.refuse(node, f"filter |{node.name} needs {', '.join(names[:required])}")
        bound = []
        for name in names:
            if name not in given:
                bound.append("undefined")
            elif name == "attribute":
                bound.append(self.attribute(node, given[name]))
            else:
                bound.append(self.expression(given[name], frame))
        while bound and bound[-1] == "undefined":
            bound.pop()
        return bound

    def attribute(self, node: nodes.Filter, argument: nodes.Node) -> str:
        """A path such as ``site.name`` as a list of keys; for sort, a list of such lists."""
        value = argument.value if isinstance(argument, nodes.Const) else None
        several = node.name == "sort"
        paths = value.split(",") if isinstance(value, str) and several else [value]
        keys: list[list[str | int]] = []
        for path in paths:
            if not isinstance(path, str) or not _ATTRIBUTE_PATH.fullmatch(path):
                self.outside(node, f"a computed attribute for |{node.name}")
            keys.append([int(key) if key.isdigit() else key for key in path.split(".")])
        return _text(keys if several else keys[0])

    def map(self, node: nodes.Filter, value: str, frame: Frame) -> str:
        keywords: dict[str, nodes.Expr] = {}
        for keyword in node.kwargs:
            assert isinstance(keyword, nodes.Keyword)
            keywords[keyword.key] = keyword.value
        if node.args or "attribute" not in keywords or keywords.keys() - {"attribute", "default"}:
            self.outside(node, "filter |map of anything but attribute= and default=")
        path = self.attribute(node, keywords["attribute"])
        default = ""
        if "default" in keywords:
            default = f", {self.expression(keywords['default'], frame)}"
        return f"filters.map({value}, {path}{default})"

    def selection(self, node: nodes.Filter, value: str, frame: Frame) -> str:
        if node.kwargs:
            self.outside(node, f"naming the arguments of |{node.name}")
        arguments = list(node.args)
        path = "[]"
        if node.name.endswith("attr"):
            if not arguments:
                self.refuse(node, f"filter |{node.name} needs an attribute")
            path = self.attribute(node, arguments.pop(0))
        test = "truth"
        if arguments:
            chosen = arguments.pop(0)
            if not isinstance(chosen, nodes.Const) or not isinstance(chosen.value, str):
                self.outside(node, "a computed test")
            test = self.test_function(node, chosen.value, len(arguments))
        given = ", ".join(self.expression(argument, frame) for argument in arguments)
        keep = "true" if node.name.startswith("select") else "false"
        return f"filters.select({value}, {keep}, {path}, {test}, [{given}])"

    def test_function(self, node: nodes.Node, name: str, count: int) -> str:
        if name not in _TESTS:
            self.outside(node, f"test {name}")
        function, arity = _TESTS[name]
        if count != arity:
            self.refuse(node, f"test {name} takes {arity} arguments")
        return f"tests.{function}"

    def visit_Test(self, node: nodes.Test, frame: Frame) -> str:
        self.check_no_stars(node)
        if node.kwargs:
            self.outside(node, f"naming the arguments of test {node.name}")
        function = self.test_function(node, node.name, len(node.args))
        given = [self.expression(argument, frame) for argument in [node.node, *node.args]]
        return f"{function}({', '.join(given)})"


_TAGS: dict[type[nodes.Node], str] = {
    nodes.Break: "break",
    nodes.Continue: "continue",
    nodes.Div: "the operator /",
    nodes.Extends: "extends",
    nodes.ExprStmt: "do",
    nodes.FromImport: "from … import",
    nodes.Import: "import",
    nodes.Include: "include",
    nodes.Pow: "the operator **",
    nodes.Scope: "autoescape",
}
