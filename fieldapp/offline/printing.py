"""Which values may become text on a page."""

from __future__ import annotations

from jinja2 import Undefined


def printable(value: object) -> object:
    """Return ``value`` when a page may show it as it is: text or a whole number.

    Python and JavaScript write None, booleans, floats, lists and dicts differently, and none of
    them is something an engineer should read; a template says what it means instead
    (``{{ "yes" if visit.sent else "no" }}``).
    The missing ``else`` of a conditional expression prints nothing, as everywhere in Jinja.
    The twin is ``printable`` in static/phone/runtime.js.

    Raises TypeError naming the type, and jinja2.UndefinedError for an undefined value.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Undefined):
        str(value)  # a strict undefined raises here, with the name of what is missing
        return value
    raise TypeError(f"a template may print text and whole numbers, not {type(value).__name__}")
