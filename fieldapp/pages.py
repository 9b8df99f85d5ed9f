"""Templates become pages: the engineer's with the shared environment, all others with Flask's.

Every argument an engineer's page gets is made by a function that has a twin in
``static/phone/pages.js``; the same state gives the same bytes on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from flask import Flask, current_app, g, make_response, render_template, request
from flask.wrappers import Response
from markupsafe import Markup

from fieldapp import formats
from fieldapp.display import current_display
from fieldapp.languages import (
    CUSTOMER,
    LANGUAGES,
    PHONE,
    SERVER,
    current_language,
    load_messages,
    texts,
)
from fieldapp.listing import listed
from fieldapp.offline.environment import shared_environment
from fieldapp.offline.messages import fill, plural, singular
from sync import catalogue, problems
from sync.missing import missing, steps, to_sign

State = dict[str, Any]

PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """``templates`` or ``static``: inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def install(app: Flask) -> None:
    """Give ``app`` its texts and both template environments."""
    messages = load_messages(*SERVER)
    loader = jinja2.FileSystemLoader(folder("templates"))
    app.extensions["languages"] = messages
    app.extensions["shared_templates"] = shared_environment(loader, load_messages(*PHONE))
    app.extensions["customer_templates"] = shared_environment(loader, load_messages(*CUSTOMER))
    app.jinja_loader = loader
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        _gettext, _ngettext, newstyle=True
    )
    app.jinja_env.undefined = jinja2.StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        clock=formats.clock,
        day=formats.day,
        moment=formats.moment,
        duration=formats.duration,
        money=formats.money,
        count=formats.count,
        span=formats.span,
        explain=_explain,
    )
    app.jinja_env.globals["say"] = say
    app.context_processor(_desk_arguments)


def catalogue_by_name() -> dict[str, Any]:
    """The catalogue's kinds by name, as templates read them."""
    return {kind["name"]: kind for kind in catalogue.as_data()}


def problem_sentences() -> dict[str, str]:
    """The English sentence of every problem by its code."""
    return {kind.code: kind.sentence for kind in problems.KINDS}


SHOWN = ["today", "finish", "coming", "past"]
"""The sections of the list of visits that can be asked for."""

STATUSES = [
    "planned", "departed", "on-site", "signed", "unsigned", "left", "under-review", "sent-back",
    "accepted", "cancelled",
]  # fmt: skip

CATALOGUE = catalogue_by_name()
PROBLEMS = problem_sentences()


def visits_page(
    person: Mapping[str, str],
    states: Sequence[State],
    policy: Mapping[str, Any],
    today: str,
    query: Mapping[str, str],
) -> dict[str, Any]:
    """Arguments of ``engineer/visits.html``; ``query`` is what the address asks for."""
    asked = {
        "q": query.get("q", ""),
        "show": _one_of(query.get("show"), SHOWN),
        "state": _one_of(query.get("state"), STATUSES),
    }
    by_id = {state["visit"]["id"]: state for state in states}
    return frame("/visits", person, policy, totals(states)) | {
        "sections": [
            section | {"visits": [by_id[id_] for id_ in section["visits"]]}
            for section in listed(states, asked, today)
        ],
        "asked": asked,
        "statuses": STATUSES,
        "today": today,
        "phone": None,
    }


def _one_of(text: str | None, known: Sequence[str]) -> str:
    return text if text and text in known else ""


def sync_page(
    person: Mapping[str, str], states: Sequence[State], policy: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments of ``engineer/sync.html`` when no phone answers: this browser holds nothing."""
    return frame("/visits/sync", person, policy, totals(states)) | {"phone": None}


def pin_page(person: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of ``engineer/pin.html`` when no phone answers: nothing here can be locked."""
    sync = {"items": 0, "arrived": 0, "photos": 0, "paused": "", "removed": ""}
    finding = {"field": "", "code": "", "seconds": ""}
    return {
        "path": "/visits/pin",
        "person": person,
        "sync": sync,
        "lock": None,
        "finding": finding,
    }


def install_page(
    person: Mapping[str, str], states: Sequence[State], policy: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments of ``engineer/install.html``."""
    return frame("/visits/install", person, policy, totals(states))


def settings_page(
    person: Mapping[str, str], states: Sequence[State], policy: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments of ``engineer/settings.html``."""
    return frame("/visits/settings", person, policy, totals(states))


def totals(states: Sequence[State]) -> dict[str, Any]:
    """What the sync line says of all visits together."""
    counts = {
        key: sum(state["sync"][key] for state in states) for key in ("items", "arrived", "photos")
    }
    return counts | {"paused": states[0]["sync"]["paused"] if states else "", "removed": ""}


def visit_page(
    person: Mapping[str, str], state: State, policy: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments of ``engineer/visit.html``."""
    path = f"/visits/{state['visit']['id']}"
    return (
        frame(path, person, policy, state["sync"])
        | state
        | {
            "steps": steps(state, policy),
            "missing": missing(state, policy),
            "to_sign": to_sign(state, policy),
        }
    )


def form_page(
    person: Mapping[str, str],
    state: State,
    policy: Mapping[str, Any],
    kind: Mapping[str, Any],
    form: Mapping[str, Any],
    findings: Sequence[Mapping[str, str]],
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """Arguments of a form.

    ``form`` maps field names to texts (lists for ticks), ``more`` holds what single kinds need.
    """
    path = f"/visits/{state['visit']['id']}/{kind['noun']}"
    return (
        frame(path, person, policy, state["sync"])
        | state
        | {
            "kind": kind,
            "form": form,
            "findings": {finding["field"]: finding for finding in findings},
            "missing": missing(state, policy),
            "steps": steps(state, policy),
            "to_sign": to_sign(state, policy),
            **more,
        }
    )


def frame(
    path: str, person: Mapping[str, str], policy: Mapping[str, Any], sync: Mapping[str, Any]
) -> dict[str, Any]:
    """What every engineer's page is given; ``public_url`` is where customers open their pages."""
    return {
        "path": path,
        "person": person,
        "policy": policy,
        "sync": sync,
        "public_url": current_app.config["PUBLIC_URL"],
    }


def localised(language: str) -> dict[str, Any]:
    """Catalogue and sentences in ``language``: what the renderer adds to every page."""
    messages = texts()[language]
    kinds = {
        name: kind
        | {
            "label": singular(messages, kind["label"]),
            "fields": [
                field
                | {
                    "label": singular(messages, field["label"]),
                    "hint": singular(messages, field["hint"]) if field["hint"] else "",
                }
                for field in kind["fields"]
            ],
        }
        for name, kind in CATALOGUE.items()
    }
    sentences = {code: singular(messages, sentence) for code, sentence in PROBLEMS.items()}
    return {"lang": language, "catalogue": kinds, "problems": sentences}


def shared_page(template: str, arguments: Mapping[str, Any], status: int = 200) -> Response:
    """An engineer's page, rendered as the phone renders it.

    It speaks the reader's language, or the ``lang`` among its arguments: the customer's, where
    the customer reads.
    """
    environment = current_app.extensions["shared_templates"]
    language = arguments.get("lang") or current_language()
    added = localised(language) | {"display": current_display()}
    html = environment.get_template(template).render(**dict(arguments) | added)
    return make_response(html, status)


def customer_page(template: str, arguments: Mapping[str, Any], status: int = 200) -> Response:
    """A page behind a link that shows what the hand-over page shows, by the same templates.

    Arguments win over what the renderer adds: a form may ask for less than the catalogue says.
    """
    environment = current_app.extensions["customer_templates"]
    given = localised(current_language()) | {"display": current_display()} | dict(arguments)
    return make_response(environment.get_template(template).render(**given), status)


def server_page(template: str, **arguments: Any) -> str:
    """A page that only the server renders."""
    return render_template(template, **arguments)


def say(message: str) -> str:
    """``message`` in the reader's language, as plain text.

    For what a template is given: ``_()`` is for literal text only, because it trusts translations
    as HTML, and a label may be a name that a phone made up.
    """
    return singular(texts()[current_language()], message)


def explain(code: str, args: Mapping[str, Any] | None = None) -> Markup:
    """The sentence of a problem in the reader's language, ready for a page."""
    return explain_in(current_language(), code, args)


@jinja2.pass_context
def _explain(_: Any, code: str, args: Mapping[str, Any] | None = None) -> Markup:
    """:func:`explain` as a filter.

    With the context it is asked for each page: a constant's sentence would be folded into the
    compiled template in the language of its first reader.
    """
    return explain(code, args)


def explain_in(language: str, code: str, args: Mapping[str, Any] | None = None) -> Markup:
    """The sentence of a problem in ``language``, its arguments escaped."""
    messages = texts()[language]
    named = {
        name: singular(messages, str(value)) if name == "field" else value
        for name, value in (args or {}).items()
    }
    blank = dict.fromkeys(
        ("field", "limit", "character", "minutes", "serial", "kind", "characters", "url", "rule",
         "reason", "called", "part", "then", "now", "seconds"), "",
    )  # fmt: skip
    return fill(singular(messages, problems.sentence(code)), blank | named)


def _gettext(message: str) -> str:
    return say(message)


def _ngettext(one: str, many: str, number: int) -> str:
    return plural(texts()[current_language()], one, many, number)


def _desk_arguments() -> dict[str, Any]:
    return {
        "lang": current_language(),
        "display": current_display(),
        "languages": LANGUAGES,
        "person": g.get("person"),
        "path": request.path if request else "/",
    }
