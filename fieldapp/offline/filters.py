"""The filters and tests that have a twin in static/phone/runtime.js.

They are Jinja's own with two things taken away. What has no common meaning in Python and
JavaScript raises (printing a list, adding up text), and nothing is lazy: ``map`` and ``select``
give lists, which can be counted, indexed and printed like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import Environment, Undefined, pass_context, pass_environment, pass_eval_context
from jinja2 import filters as jinja
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from markupsafe import Markup, escape, soft_str

from fieldapp.offline.printing import printable

#: The largest whole number JavaScript holds exactly.
MAX_INTEGER = 2**53 - 1

_INTEGER = re.compile(r"[ \t\n\r]*([+-]?[0-9]{1,16})[ \t\n\r]*")
# JavaScript objects put these keys first, whatever order they were written in.
_INDEX_KEY = re.compile(r"0|[1-9][0-9]*")


def whole(value: object) -> int:
    """Return ``value`` if it is a whole number JavaScript can hold; raise TypeError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected a whole number, not {type(value).__name__}")
    if abs(value) > MAX_INTEGER:
        raise OverflowError("beyond 2**53 the phone would round")
    return value


def arithmetic(operator: str, left: object, right: object) -> object:
    """Calculate ``left operator right`` where the phone calculates the same.

    ``+`` joins two texts or two lists; everything else takes whole numbers.
    Raises TypeError, ZeroDivisionError or OverflowError (result beyond 2**53).
    """
    if operator == "+":
        if isinstance(left, str) and isinstance(right, str):
            return left + right
        if isinstance(left, list) and isinstance(right, list):
            return left + right
        if isinstance(left, tuple) and isinstance(right, tuple):
            return left + right
    one, other = whole(left), whole(right)
    match operator:
        case "+":
            return whole(one + other)
        case "-":
            return whole(one - other)
        case "*":
            return whole(one * other)
        case "//":
            return whole(one // other)
        case "%":
            return whole(one % other)
    raise TypeError(f"{operator} is outside the shared subset")


def entries(mapping: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return the pairs of ``mapping`` in the order they were put in.

    Raises TypeError for a key that looks like a whole number: JavaScript would move it to the
    front. What has an order belongs in a list.
    """
    for key in mapping:
        if not isinstance(key, str) or _INDEX_KEY.fullmatch(key):
            raise TypeError(f"the phone cannot keep the order of a dict with the key {key!r}")
    return list(mapping.items())


def printed(value: object) -> str:
    """Return ``value`` as text, marked-up text staying marked up."""
    return soft_str(printable(value))


def filter_escape(value: object) -> Markup:
    return escape(printable(value))


def filter_string(value: object) -> str:
    return printed(value)


def filter_upper(value: object) -> str:
    return printed(value).upper()


def filter_lower(value: object) -> str:
    return printed(value).lower()


def filter_trim(value: object, chars: str | None = None) -> str:
    return printed(value).strip(None if chars is None else printed(chars))


@pass_eval_context
def filter_replace(
    context: EvalContext, value: object, old: str, new: str, count: int | None = None
) -> str:
    limit = None if count is None else whole(count)
    return jinja.do_replace(context, printed(value), printed(old), printed(new), limit)


@pass_eval_context
def filter_join(
    context: EvalContext, value: Iterable[object], d: str = "", attribute: str | None = None
) -> str:
    items: list[object] = list(value)
    if attribute is not None:
        items = list(map(jinja.make_attrgetter(context.environment, attribute), items))
    return jinja.sync_do_join(context, [printed(item) for item in items], printed(d))


def filter_urlencode(value: object) -> str:
    return jinja.do_urlencode(str(printed(value)))


def filter_int(value: object, default: int = 0) -> int:
    """Return the whole number that ``value`` is or spells in ASCII digits, else ``default``."""
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return whole(value)
    match = _INTEGER.fullmatch(value) if isinstance(value, str) else None
    number = int(match[1]) if match else None
    return default if number is None or abs(number) > MAX_INTEGER else number


@pass_environment
def filter_first(environment: Environment, value: Iterable[object]) -> object:
    for item in value:
        return item
    return environment.undefined("No first item, sequence was empty.")


@pass_environment
def filter_last(environment: Environment, value: Iterable[object]) -> object:
    items = list(value)
    return items[-1] if items else environment.undefined("No last item, sequence was empty.")


@pass_context
def filter_map(
    context: Context, value: Iterable[object], *, attribute: str, default: object = None
) -> list[object]:
    return list(jinja.sync_do_map(context, value, attribute=attribute, default=default))


def _eager(lazy: Callable[..., Iterable[object]]) -> Callable[..., list[object]]:
    @pass_context
    def eager(context: Context, value: Iterable[object], *args: Any) -> list[object]:
        return list(lazy(context, value, *args))

    return eager


@pass_environment
def filter_sum(
    environment: Environment,
    value: Iterable[object],
    attribute: str | None = None,
    start: int = 0,
) -> int:
    items: Iterable[object] = value
    if attribute is not None:
        items = map(jinja.make_attrgetter(environment, attribute), items)
    total = whole(start)
    for item in items:
        total = whole(total + whole(item))
    return total


def filter_batch(
    value: Iterable[object], linecount: int, fill_with: object = None
) -> list[list[object]]:
    if whole(linecount) < 1:
        raise ValueError("a row has at least one column")
    return list(jinja.do_batch(value, linecount, fill_with))


def test_odd(value: object) -> bool:
    return whole(value) % 2 == 1


def test_even(value: object) -> bool:
    return whole(value) % 2 == 0


def test_divisibleby(value: object, number: int) -> bool:
    return whole(value) % whole(number) == 0


def whole_range(*bounds: int) -> list[int]:
    """``range`` as a list of at most 1,000 numbers."""
    numbers = range(*map(whole, bounds))
    if len(numbers) > 1000:
        raise OverflowError("a page needs no range of more than 1,000 numbers")
    return list(numbers)


FILTERS: dict[str, Callable[..., object]] = {
    "e": filter_escape,
    "escape": filter_escape,
    "string": filter_string,
    "upper": filter_upper,
    "lower": filter_lower,
    "trim": filter_trim,
    "replace": filter_replace,
    "join": filter_join,
    "urlencode": filter_urlencode,
    "int": filter_int,
    "first": filter_first,
    "last": filter_last,
    "map": filter_map,
    "select": _eager(jinja.sync_do_select),
    "reject": _eager(jinja.sync_do_reject),
    "selectattr": _eager(jinja.sync_do_selectattr),
    "rejectattr": _eager(jinja.sync_do_rejectattr),
    "sum": filter_sum,
    "batch": filter_batch,
}

TESTS: dict[str, Callable[..., bool]] = {
    "odd": test_odd,
    "even": test_even,
    "divisibleby": test_divisibleby,
}
