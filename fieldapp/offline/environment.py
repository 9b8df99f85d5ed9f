"""The one Jinja environment of the pages that are rendered in two places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from jinja2 import (
    BaseLoader,
    StrictUndefined,
    Template,
    Undefined,
    nodes,
    pass_context,
    pass_eval_context,
)
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, markup_join
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from fieldapp import formats
from fieldapp.offline import filters
from fieldapp.offline.messages import Messages, fill, plural, singular
from fieldapp.offline.printing import printable

#: Filters of our own; static/phone/format.js has a function of the same name for each.
FORMATTERS = {
    "clock": formats.clock,
    "count": formats.count,
    "day": formats.day,
    "duration": formats.duration,
    "local_input": formats.local_input,
    "moment": formats.moment,
    "money": formats.money,
    "span": formats.span,
    "when": formats.when,
}

# The methods of a dict that a template may call; data under the same key wins.
_METHODS: dict[str, Callable[..., object]] = {
    "items": filters.entries,
    "keys": lambda mapping: [key for key, _ in filters.entries(mapping)],
    "values": lambda mapping: [value for _, value in filters.entries(mapping)],
    "get": lambda mapping, key, default=None: mapping.get(key, default),
}


class SharedTemplate(Template):
    """A template whose imports know the reader's language.

    Jinja gives an imported template none of the page's variables, and keeps one copy of it for
    every page; a macro in it could then not translate anything. Here it is given ``lang`` and
    kept once per language.
    """

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        lang = ctx.get("lang") if ctx is not None else None
        modules: dict[object, TemplateModule] = self.__dict__.setdefault("_modules", {})
        if lang not in modules:
            modules[lang] = self.make_module({} if lang is None else {"lang": lang})
        return modules[lang]


class SharedCodeGenerator(CodeGenerator):
    """Jinja's own, except that ``~`` refuses what a page may not print."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concatenate((")
        for operand in node.nodes:
            self.visit(operand, frame)
            self.write(", ")
        self.write("))")


class SharedEnvironment(SandboxedEnvironment):
    """Jinja, narrowed to what JavaScript can do byte for byte.

    A dict is its data: ``visit.title`` is the entry ``title`` even if dicts had such a method.
    Text, numbers and lists have no attributes. Arithmetic is on whole numbers below 2**53.
    """

    code_generator_class = SharedCodeGenerator
    template_class = SharedTemplate
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    intercepted_unops = frozenset({"+", "-"})
    messages: Mapping[str, Messages]

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the entry of a dict or the attribute of anything else, or an undefined."""
        if isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
            if attribute in _METHODS:
                return partial(_METHODS[attribute], obj)
            return self.undefined(obj=obj, name=attribute)
        if obj is None or isinstance(obj, (str, int, float, list, tuple)):
            return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an entry of a dict, list or text, or an undefined.

        Raises TypeError for an undefined ``argument``.
        """
        if isinstance(argument, Undefined):
            raise TypeError(f"undefined used as a key of {type(obj).__name__}")
        if isinstance(obj, Mapping):
            if isinstance(argument, str) and argument in obj:
                return obj[argument]
        elif isinstance(obj, (str, list, tuple)):
            if type(argument) is int and -len(obj) <= argument < len(obj):
                return obj[argument]
        elif obj is not None and not isinstance(obj, (int, float)):
            return super().getitem(obj, argument)
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return filters.arithmetic(operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        return filters.arithmetic(operator, 0, arg)

    def concatenate(self, operands: Iterable[object]) -> str:
        return markup_join([printable(operand) for operand in operands])


@pass_eval_context
def _finalize(_: EvalContext, value: object) -> object:
    # Taking the evaluation context keeps Jinja from printing constants while it compiles:
    # there it would escape first, and {{ none }} would pass as text.
    return printable(value)


@pass_context
def _gettext(context: Context, message: str, /, **variables: object) -> Markup:
    return fill(singular(_messages(context), message), variables)


@pass_context
def _ngettext(context: Context, one: str, many: str, number: int, /, **variables: object) -> Markup:
    text = plural(_messages(context), one, many, filters.whole(number))
    return fill(text, {"num": number, **variables})


def _messages(context: Context) -> Messages:
    environment = context.environment
    assert isinstance(environment, SharedEnvironment)
    return environment.messages[context["lang"]]


def shared_environment(
    loader: BaseLoader | None, messages: Mapping[str, Messages] | None = None
) -> SharedEnvironment:
    """Make the environment for templates that Flask and the phone both render.

    ``messages`` holds the texts by language, from ``messages.read_messages``; a language that is
    only ever the source language needs an empty entry. It is read at render time and never
    written, so one environment serves all threads. Which language a page speaks is an argument
    of that page: ``env.get_template(name).render(lang="zh_CN", …)``; ``_``, ``gettext``,
    ``ngettext`` and ``{% trans %}`` take it from there, also inside imported macros. A page
    that translates anything and is given no ``lang``, or an unknown one, raises KeyError.

    Nothing is folded at compile time (``optimized=False``): Jinja 3.1 folds ``markup ~ text`` to
    plain text, which is then escaped twice.
    """
    environment = SharedEnvironment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,
    )
    environment.messages = messages if messages is not None else {}
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.globals.update(
        {"_": _gettext, "gettext": _gettext, "ngettext": _ngettext, "range": filters.whole_range}
    )
    environment.filters.update(filters.FILTERS)
    environment.filters.update(FORMATTERS)
    environment.tests.update(filters.TESTS)
    return environment
