"""Flask and the phone make the same page of the same visit, byte for byte.

Both sides run whole: Flask's handlers with the state put in their hands, the phone's handlers in
Chromium with the state in their database.  Then once more over the wire, after everything is synced.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import pytest
from day import Day
from phone import Phone
from playwright.sync_api import Browser, Page
from server import Server

from fieldapp import create_app, engineer, pages
from fieldapp.languages import LANGUAGES, PHONE, load_messages
from fieldapp.offline.build import data_module, shared_templates
from fieldapp.offline.compiler import compile_templates
from fieldapp.offline.environment import shared_environment
from fieldapp.offline.worker import join_modules
from fieldapp.policies import load_policy
from sync import catalogue, problems

VECTOR = json.loads(
    (Path(__file__).parents[1] / "vectors" / "state.json").read_text(encoding="utf-8")
)
ERIN = {"id": "0190000e-0000-7000-8000-000000000001", "name": "Erin <Ng> & “Söhne”"}
ENTRY = """
import "./engineer.js"
import { page, problemPage } from "./pages.js"
import { match } from "./routes.js"
import { keepPull, writeMeta, writeSetting } from "./store.js"
self.phone = { keepPull, match, page, problemPage, writeMeta, writeSetting }
"""
OPEN = """async (requests) => {
  const answers = []
  for (const [method, address, form] of requests) {
    const url = new URL(address, location.href)
    const body = form === null ? undefined : new FormData()
    for (const [name, texts] of Object.entries(form ?? {})) {
      for (const text of texts) body.append(name, text)
    }
    const route = phone.match(method, url.pathname)
    const request = new Request(url, { method, body })
    try {
      const response = await route.handler(route.names, { request, url })
      answers.push([response.status, await response.text()])
    } catch (error) {
      answers.push([500, error.stack])
    }
  }
  return answers
}"""
HOSTILE = {
    "markup": "<script>alert('x')</script> \"quoted\" & it's `tick` </textarea> <!-- -->",
    "template": "{{ 7*7 }} {% if x %} %(name)s %% ${x} $& \\1 \\u0041",
    "cjk": "主机“不亮”，𠮷野家 ①㎡ 😀 e\u0301 é",
    "rtl": "\u0645\u0631\u062d\u0628\u0627 \u202eabc\u202c \u2028 line \u00a0 nbsp \u200b zero",
    "long": "很长的文字 <b>bold</b> & " * 400,
    "lines": "first\nsecond\n\n  third\ttab",
    "empty": "",
    "none": None,
    "number": 7,
    "list": ["a", "<b>"],
    "dict": {"text": "<b>"},
    "false": False,
}
"""Texts a person may type, and values that only a broken phone sends: the journal keeps them."""

LOOKED_FOR = [
    "q=%E6%9C%AA%E7%9F%A5%E5%AE%A2%E6%88%B7&show=&state=",
    "q=%3Cb%3E%22%27%26&show=%3Cscript%3E&state=nothing",
    "q=%ff%fe%20%80%ed%a0%80&state=planned",
    "q=T&q=other&show=past",
    "q=%EF%BC%B0%EF%BC%A7%20%00%0A+x&show=today",
    "show=finish&state=on-site",
    "show=coming",
]
"""What the list may be asked: for nothing there is, markup, no UTF-8, twice, full width."""

OPENING = "opening"
NEW = "019cd542-0680-7bb2-83b4-46ffc4e0d489"
"""The id under which a visit is opened that is not there yet."""

NOW = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}Z)?")
ZONES = (UTC, ZoneInfo("Asia/Shanghai"))
MINUTES = 2


def cell(value: Any, *others: Any) -> dict[str, Any]:
    """A path that says ``value``, in conflict with ``others``."""
    sides = [
        {"operation": f"op-{index}", "value": each, "author": ERIN["id"], "device": "d",
         "at": "2026-03-10T02:57:00Z", "wall_at": "2026-03-10T02:55:00Z",
         "over": [{"operation": "lost", "value": other, "author": author, "device": "d",
                   "at": "2026-03-10T02:50:00Z", "wall_at": "2026-03-10T02:50:00Z"}
                  for other in (each, "lost", *others) for author in (ERIN["id"], "nobody")]}
        for index, each in enumerate((value, *others))
    ]  # fmt: skip
    heads = [side["operation"] for side in sides]
    return {"value": value, "heads": heads, "sides": sides, "conflict": bool(others),
            "at": "2026-03-10T02:57:00Z", "author": ERIN["id"], "after": bool(others)}  # fmt: skip


def made_of(value: Any) -> dict[str, Any]:
    """A visit that says ``value`` wherever somebody may write something."""
    state: dict[str, Any] = copy.deepcopy(VECTOR["state"])
    state.pop("missing")
    people = {ERIN["id"]: ERIN["name"]}
    fields, entries = {}, []
    for kind in catalogue.as_data():
        values = {field["name"]: value for field in kind["fields"]}
        if kind["policy"] == "set":
            fields |= {f"{kind['name']}/{name}": cell(value, "other") for name in values}
        elif kind["policy"] == "assert":
            fields[kind["name"]] = cell(values)
        elif kind["policy"] == "add":
            id_ = f"entry-{len(entries):03}"
            fields |= {f"entries/{id_}/{name}": cell(value) for name in list(values)[:1]}
            entries += [
                entry_of(kind["name"], len(entries), values, corrected=list(values)[:1], after=True),
                entry_of(kind["name"], len(entries) + 1, {}, sent=False, voids=[
                    {"operation": "v", "author": "nobody", "at": "2026-03-10T02:56:00Z",
                     "wall_at": "2026-03-10T02:56:00Z", "reason": text_of(value), "after": True}]),
            ]  # fmt: skip
    fields["appointment/at"] = cell("2026-03-10T02:50:00Z")
    signature = entry_of("signature", 90, dict.fromkeys(
        ("name", "role", "opinion", "strokes", "token", "digest", "language"), value))  # fmt: skip
    state["visit"]["changes"] = [
        {"kind": kind, "entry": "", "field": field}
        for kind in ("fault", "swap", "teleport")
        for field in ("", "text", "fate", text_of(value))
    ]
    state["signatures"] = [signature | {"verdict": "mismatch", "frontier": []}]
    flags = [
        {"code": each.code, "operation": "op", "dismissed": None, "args": {
            name: text_of(value) for name in ("field", "limit", "character", "minutes", "serial", "kind")
        }}
        for each in problems.KINDS if each.type == "flag"
    ]  # fmt: skip
    flags[0]["dismissed"] = {"operation": "op", "author": ERIN["id"], "reason": "seen",
                             "at": "2026-03-10T02:56:00Z"}  # fmt: skip
    context = said_everywhere(state["context"], text_of(value))
    context["loaners"] = [
        {"entry": "e", "notice": notice, "loaner_serial": text_of(value), "issued_on": "2026-03-01",
         "removed_serial": "R-1"} for notice in (None, "TH-1")
    ]  # fmt: skip
    sync = {"items": 12, "arrived": 3, "photos": 2, "paused": "", "removed": ""}
    return state | {"fields": fields, "entries": entries, "flags": flags, "context": context,
                    "people": people, "sync": sync}  # fmt: skip


def entry_of(kind: str, number: int, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An entry as docs/state.md describes it."""
    return {"id": f"entry-{number:03}", "kind": kind, "author": ERIN["id"], "device": "d",
            "at": "2026-03-10T02:53:00Z", "wall_at": "2026-03-10T02:53:00Z", "value": value,
            "corrected": [], "voids": [], "after": False, "sent": True} | more  # fmt: skip


def text_of(value: Any) -> str:
    """``value`` if it is a text: what the office writes has a form of its own."""
    return value if isinstance(value, str) else "text"


def said_everywhere(value: Any, text: str) -> Any:
    """``value`` with ``text`` for every free text of a context."""
    if isinstance(value, list):
        return [said_everywhere(item, text) for item in value]
    if not isinstance(value, dict):
        return value
    free = {"name", "address", "access_text", "phone", "role_text", "model", "serial", "number",
            "summary_text", "engineer_name"}  # fmt: skip
    said = {
        key: text if key in free else said_everywhere(each, text) for key, each in value.items()
    }
    if "carry" in said:
        said["carry"] = [text, "<i>"]
    return said


def plain_states() -> Iterator[tuple[str, dict[str, Any]]]:
    """Visits in every status, with and without what may be absent."""
    for status in ("planned", "departed", "on-site", "signed", "unsigned", "left", "under-review",
                   "sent-back", "accepted", "cancelled", "unknown-status"):  # fmt: skip
        state = copy.deepcopy(VECTOR["state"])
        state.pop("missing")
        state["visit"]["status"] = status
        state["sync"] |= {"paused": "", "removed": ""}
        state["people"][ERIN["id"]] = ERIN["name"]
        yield status, state
    bare = copy.deepcopy(state)
    bare |= {"fields": {}, "entries": [], "signatures": [], "flags": [], "people": {}}
    bare["context"] |= {"asset": None, "history": [], "carry": [], "van": [], "parts": [],
                        "targets": []}  # fmt: skip
    bare["context"]["work_order"] |= {"number": None, "job_type": "unheard-of"}
    bare["visit"] |= {"status": "planned", "arrived_at": None, "downtime_open": True}
    yield "bare", bare
    for reason in ("expired", "unknown"):
        other = copy.deepcopy(bare)
        other["context"]["asset"] = VECTOR["state"]["context"]["asset"] | {
            "verdict": {"covered": False, "until_on": "2025-01-01", "reason": reason}
        }
        for paused in (
            "access.sign-in",
            "access.revoked",
            "access.missing-device",
            "push.protocol",
        ):
            other = other | {
                "sync": {"items": 1, "arrived": 1, "photos": 1, "paused": paused, "removed": ""}
            }
            yield f"{reason} {paused}", other


def handed_over() -> Iterator[tuple[str, dict[str, Any]]]:
    """A visit that left the phone with work that is still to be sent."""
    for reason, items in (("reassigned", 1), ("unassigned", 2), ("closed", 12)):
        state = made_of("text")
        sync = {"items": items, "arrived": 0, "photos": 0, "paused": "", "removed": reason}
        yield f"handed over: {reason}", state | {"sync": sync}


def opened_on_site() -> Iterator[tuple[str, dict[str, Any]]]:
    """A visit of which the office knows nothing but what its engineer said."""
    for name in ("markup", "none", "number"):
        for status in ("planned", "signed"):
            state = made_of(HOSTILE[name])
            state["visit"]["status"] = status
            context = state["context"]
            context["work_order"] |= {"id": "", "number": None, "job_type": ""}
            context["request"] |= {"id": "", "number": None, "reported_at": None, "channel": ""}
            for key in ("customer", "site", "contact"):
                blank = {name: "" for name, value in context[key].items() if isinstance(value, str)}
                context[key] |= blank
            context |= {"asset": None, "history": [], "loaners": [], "targets": []}
            yield f"opened on site: {name}, {status}", state
    for name, entries in {
        "no more than a customer said": [entry_of(OPENING, 1, {"customer": "Harbour"})],
        "no work order and nothing said": [],
    }.items():
        yield name, copy.deepcopy(state) | {"entries": entries}


def states() -> list[tuple[str, dict[str, Any]]]:
    return [
        *plain_states(),
        *handed_over(),
        *opened_on_site(),
        *((name, made_of(value)) for name, value in HOSTILE.items()),
    ]


def requests_of(state: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, list[str]] | None]]:
    """Every page of a visit: its list, itself, and every form, blank and refused.

    Of forms that do not know the visit's status, once is enough.
    """
    visit = state["visit"]["id"]
    yield "GET", "/visits", None
    yield from (("GET", f"/visits?{query}", None) for query in LOOKED_FOR)
    yield "GET", f"/visits/{visit}", None
    yield "GET", "/visits/install", None
    if state["visit"]["status"] not in ("signed", "planned"):
        yield "GET", f"/visits/{visit}/signatures", None
        return
    about = state["entries"][0]["id"] if state["entries"] else ""
    photos = [entry["id"] for entry in state["entries"] if entry["kind"] == "photo"]
    texts = [value for value in HOSTILE.values() if isinstance(value, str)]
    for kind in catalogue.as_data():
        if "engineer" not in kind["roles"]:
            continue
        path = f"/visits/{NEW if kind['name'] == OPENING else visit}/{kind['noun']}"
        queries = {"step": ("?list=conduct", "?list=closing", "?list=<x>", ""),
                   "refusal": ("", "?by=customer"),
                   "photo": ("", *(f"?entry={photo}" for photo in photos)),
                   "void": (f"?entry={about}",), "correction": (f"?entry={about}",)}  # fmt: skip
        for query in queries.get(kind["name"], ("",)):
            if kind["policy"] in ("void", "correction") and not about:
                continue
            yield "GET", path + query, None
            if kind["name"] == "leaving":
                continue  # nothing in it is required: it would be performed
            names = [field["name"] for field in kind["fields"]]
            if kind["policy"] == "correction":
                of = next(each for each in state["entries"] if each["id"] == about)
                names = [field["name"] for field in pages.CATALOGUE[of["kind"]]["fields"]]
            yield "POST", path + query, {"entry": [about]} if about else {}
            filled = {name: [texts[index % len(texts)]] for index, name in enumerate(names)}
            filled |= {"heads": ["{"], "was": ['{"text": "<b>"}'], "seen": ["<seen>"]}
            first = {name: ["\u0007" + texts[0]] for name in (names[0], "reason")}
            yield "POST", path + query, filled | first | ({"entry": [about]} if about else {})


class Flask:
    """The server's handlers with a state of the test's in their hands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.app = create_app({"INSTANCE": str(folder)})
        self.policy = load_policy("alarm")
        self.state: dict[str, Any] = {}
        monkeypatch.setattr(engineer, "present", lambda *_: [copy.deepcopy(self.state)])
        monkeypatch.setattr(engineer, "blank_visit", lambda *_: None)
        monkeypatch.setattr(engineer, "_is_opened", lambda *_: False)
        monkeypatch.setattr(engineer, "visits_of", lambda *_: [])
        monkeypatch.setattr(engineer, "visit_for", lambda *_: None)
        monkeypatch.setattr(engineer, "policy_of", lambda *_: self.policy)
        monkeypatch.setattr("fieldapp.access.signed_in", self._sign_in)

    def open(
        self, method: str, path: str, form: dict[str, list[str]] | None, language: str
    ) -> tuple[int, str]:
        headers = {"Accept-Language": language.replace("_", "-")}
        answer = self.app.test_client().open(path, method=method, data=form, headers=headers)
        return answer.status_code, answer.text

    @staticmethod
    def _sign_in() -> Any:
        from flask import g

        g.person = type("Person", (), ERIN | {"org_id": "o", "roles": {"engineer"}})()
        return g.person


@pytest.fixture(scope="module")
def flask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One application for all states."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Flask(monkeypatch, tmp_path_factory.mktemp("flask"))


@pytest.fixture(scope="module")
def phone_script() -> str:
    """The phone's modules and compiled templates, as in the worker, without the worker."""
    messages = load_messages(*PHONE)
    environment = shared_environment(jinja2.FileSystemLoader(pages.folder("templates")), messages)
    generated = {
        "phone/templates.js": compile_templates(environment, shared_templates()),
        "phone/generated.js": data_module(messages, "http://127.0.0.1:8000"),
        "phone/test.js": ENTRY,
    }
    return join_modules(pages.folder("static"), "phone/test.js", generated)


@pytest.fixture(scope="module")
def phone_page(chromium: Browser, static_url: str, phone_script: str) -> Iterator[Page]:
    """A page in which the phone's handlers answer."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(static_url)
    page.add_script_tag(content=phone_script)
    page.evaluate(
        """async ([person, policy]) => {
          await phone.writeSetting("person", person)
          await phone.writeMeta(person.id, {policy, device: "d", pin_later: true})
        }""",
        [ERIN, load_policy("alarm").data],
    )
    yield page
    context.close()


def hold(page: Page, state: dict[str, Any]) -> None:
    """Put ``state`` into the phone as a pull would."""
    page.evaluate(
        """async ([person, text]) => {
          const state = JSON.parse(text)
          const { removed } = state.sync
          const changed = [{ visit: state.visit.id, rev: 1, state, ...(removed && { removed }) }]
          const notes = { paused: state.sync.paused, blank: { sha256: "", state } }
          await phone.keepPull(person, { changed, removed: [], settled: [], notes })
        }""",
        [ERIN["id"], json.dumps(state)],
    )


def without_now(html: str) -> str:
    """``html`` with the present time, where a form shows it first, written as NOW."""
    now = datetime.now(UTC)

    def masked(found: re.Match[str]) -> str:
        is_utc = found[0].endswith("Z")
        try:
            at = datetime.fromisoformat(found[0])
        except ValueError:
            return found[0]
        at = at if is_utc else at.replace(tzinfo=ZONES[1])
        return "NOW" if abs(at - now) < timedelta(minutes=MINUTES) else found[0]

    return NOW.sub(masked, html)


def difference(one: str, other: str) -> str:
    """Where two pages part, for a reader."""
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), -1)
    at = min(len(one), len(other)) if at < 0 else at
    return f"Flask {one[max(0, at - 60) : at + 80]!r}, phone {other[max(0, at - 60) : at + 80]!r}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("name", "state"), states(), ids=[name for name, _ in states()])
def test_both_sides_make_the_same_bytes_of_every_page(
    name: str,
    state: dict[str, Any],
    language: str,
    phone_page: Page,
    flask: Flask,
):
    # The customer's pages speak his language; all of them are to be seen in both.
    state["context"]["contact"]["language"] = "fr" if language == "en" else language
    flask.state = state
    hold(phone_page, state)
    phone_page.evaluate("(language) => phone.writeSetting('language', language)", language)
    assert "\n".join(apart(phone_page, flask, list(requests_of(state)), language)) == ""


def apart(page: Page, flask: Flask, asked: list[Any], language: str) -> list[str]:
    """The requests that the two sides answer differently, each with where the pages part."""
    by_phone = page.evaluate(OPEN, asked)
    wrong = []
    for (method, path, form), (phone_status, phone_html) in zip(asked, by_phone, strict=True):
        status, html = flask.open(method, path, form, language)
        if status not in (200, 422):
            wrong.append(f"{method} {path}: {status} {html}")
        elif [status, without_now(html)] != [phone_status, without_now(phone_html)]:
            where = difference(html, phone_html)
            wrong.append(f"{method} {path}: {status} {phone_status} {where}")
    return wrong


def test_both_sides_take_an_address_for_the_same_thing(phone_page: Page, flask: Flask):
    addresses = flask.app.url_map.bind("")
    rules = [
        (method, rule.rule.replace("<", "").replace(">", ""))
        for rule in flask.app.url_map.iter_rules()
        if rule.endpoint.startswith("engineer.")
        for method in (rule.methods or set()) & {"GET", "POST", "PUT"}
    ]
    found = phone_page.evaluate(
        "(rules) => rules.map(([method, path]) => phone.match(method, path)?.names)", rules
    )
    assert found == [addresses.match(path, method)[1] for method, path in rules]


def test_neither_side_corrects_a_photo(phone_page: Page, flask: Flask):
    state = dict(plain_states())["on-site"]
    flask.state = state
    hold(phone_page, state)
    photo = next(entry["id"] for entry in state["entries"] if entry["kind"] == "photo")
    path = f"/visits/{state['visit']['id']}/corrections?entry={photo}"
    forms = (None, {"entry": [photo], "sha256": [f"{'a' * 64} {'b' * 64}"], "caption": ["x"]})
    asked = [["POST" if form else "GET", path, form] for form in forms]
    for (method, _, form), (_, told) in zip(asked, phone_page.evaluate(OPEN, asked), strict=True):
        status, html = flask.open(method, path, form, "en")
        assert status == 404
        assert "entry.not-found" in html
        assert "entry.not-found" in told, f"the phone refuses a {method} too"


@pytest.fixture
def software_house(flask: Flask, phone_page: Page) -> Iterator[None]:
    """Both sides work by the policy of an organisation that trains people."""
    keep = "([person, policy]) => phone.writeMeta(person.id, {policy})"
    before = flask.policy
    flask.policy = load_policy("software")
    phone_page.evaluate(keep, [ERIN, flask.policy.data])
    yield
    flask.policy = before
    phone_page.evaluate(keep, [ERIN, before.data])


def trained(names: Any, signed: int) -> dict[str, Any]:
    """A training of ``names``, everything done but the signatures; ``signed`` of three have."""
    state: dict[str, Any] = copy.deepcopy(VECTOR["state"])
    state.pop("missing")
    state["context"]["work_order"]["job_type"] = "training"
    state["people"][ERIN["id"]] = ERIN["name"]
    done: list[tuple[str, dict[str, Any]]] = [
        ("arrival", {"outcome": "present"}), ("training", {"text": "x", "names": names}),
        ("step", {"list": "training", "done": ["practised"]}), ("measure", {"text": "x"}),
    ]  # fmt: skip
    entries = [entry_of(kind, number, value) for number, (kind, value) in enumerate(done)]
    signatures = [
        entry_of("signature", 90 + number, dict.fromkeys(("opinion", "strokes", "token", "digest"), "")
                 | {"role": "trainee", "name": name, "language": "en"})
        | {"verdict": "verified", "frontier": []}
        for number, name in enumerate(["吴芳", "Bo Ng", "<b>丁磊</b>"][:signed])
    ]  # fmt: skip
    fields = {"outcome/result": cell("trained")}
    return state | {"entries": entries, "signatures": signatures, "fields": fields, "flags": []}


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_sides_ask_everybody_who_was_trained(
    language: str, phone_page: Page, flask: Flask, software_house: None
):
    phone_page.evaluate("(language) => phone.writeSetting('language', language)", language)
    names = "吴芳\nbo  ng\n<b>丁磊</b>"
    for number, left in enumerate([["吴芳", "bo  ng", "&lt;b&gt;丁磊&lt;/b&gt;"],
                                   ["bo  ng", "&lt;b&gt;丁磊&lt;/b&gt;"],
                                   ["&lt;b&gt;丁磊&lt;/b&gt;"], []]):  # fmt: skip
        state = trained(names, number)
        state["context"]["contact"]["language"] = language
        flask.state = state
        hold(phone_page, state)
        visit = state["visit"]["id"]
        page = f"/visits/{visit}/signatures"
        form = {"role": ["responsible"], "name": ["x"], "strokes": ["[[0,0,0,1,1,1]]"]}
        seen = flask.open("GET", f"{page}?list=responsible", None, language)[1]
        form |= {"seen": re.findall(r'name="seen" value="([0-9a-f]+)"', seen)}
        asked: list[Any] = [
            ("GET", f"/visits/{visit}", None), ("GET", page, None),
            ("GET", f"{page}?list=trainee&name=%3Ci%3E%E9%92%B1", None),
        ]  # fmt: skip
        if left:  # otherwise it would be signed
            asked.append(("POST", page, form))
            status, html = flask.open("POST", page, form, language)
            assert status == 422
            assert all(f"{name}</a>\n" in html for name in left)
        assert apart(phone_page, flask, asked, language) == []
    for names in HOSTILE.values():
        flask.state = trained(names, 2)
        hold(phone_page, flask.state)
        assert apart(phone_page, flask, asked[:3], language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_sides_tell_every_problem_alike(language: str, phone_page: Page, flask: Flask):
    phone_page.evaluate("(language) => phone.writeSetting('language', language)", language)
    sync = {"items": 0, "arrived": 0, "photos": 0, "paused": "", "removed": ""}
    for kind, way in itertools.product(problems.KINDS, ("/visits", "/visits/lock")):
        arguments = {"path": "/visits", "person": ERIN, "code": kind.code, "sync": sync, "way": way}
        headers = {"Accept-Language": language.replace("_", "-")}
        with flask.app.test_request_context("/visits", headers=headers):
            html = pages.shared_page("engineer/problem.html", arguments).get_data(as_text=True)
        told = phone_page.evaluate(
            """async ([person, code, way]) =>
              (await phone.page("engineer/problem.html", phone.problemPage(person, code, way))).text()""",
            [ERIN, kind.code, way],
        )
        assert told == html, difference(html, told)


def on_this_phone(text: str, count: int) -> dict[str, Any]:
    """What the phone may say of itself on the sync page and on the list."""
    items = [{"visit": "v", "customer": text, "kind": kind, "list": list_, "at": at}
             for kind, list_, at in (("note", "", "2026-03-10T02:57:00Z"), ("step", "conduct", "2026-03-10T02:58:00Z"),
                                     ("step", text, "2026-03-10T02:59:00Z"), ("unheard-of", "", "2026-03-10T03:00:00Z"))]  # fmt: skip
    return {
        "offsets": [["1970-01-01T00:00:00Z", 480]], "items": count, "photos": count, "paused": "",
        "emptied": {"heard_at": "2026-03-10T02:57:00Z" if count else "", "unsent": count},
        "operations": [item | {"said": "content.too-large" if text else ""} for item in items[:count]],
        "pictures": [{"visit": "v", "customer": text, "count": count, "size": 2048, "received": count,
                      "said": "content.too-large" if text else ""}],
        "arrived": [item | {"state": state, "reasons": [text]} for item, state in
                    zip(items[:count], ("merged", "conflict", "opaque", "flagged"), strict=False)],
        "clock": {"minutes": count, "is_slow": count > 1} if count else None,
        "heard_at": "2026-03-10T02:57:00Z" if count else "", "tried_at": "", "is_reached": count > 1,
        "others": [{"name": text, "items": count, "photos": 1}],
        "lock": {"has_pin": count > 1, "asks": not count, "is_idle": count > 1, "visit": text,
                 "minutes": count},
        "storage": {"used": 1, "free": 2000, "is_persistent": count > 1} if count else None,
    }  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_sides_would_say_the_same_of_a_phone(language: str, phone_page: Page, flask: Flask):
    phone_page.evaluate("(language) => phone.writeSetting('language', language)", language)
    said: list[Any] = [None]
    said += [on_this_phone(text, count) for text in (HOSTILE["markup"], "") for count in (0, 1, 4)]
    headers = {"Accept-Language": language.replace("_", "-")}
    for phone in said:
        for paused in ("", "server.busy"):
            with flask.app.app_context():
                arguments = pages.sync_page(ERIN, [], flask.policy.data)
                listed = pages.visits_page(ERIN, [], flask.policy.data, "2026-03-10", {})
            arguments |= {"phone": phone}
            arguments["sync"] |= {"paused": paused}
            listed |= {"phone": phone}
            own = {"path": "/visits", "person": ERIN, "sync": arguments["sync"]}
            finding = {"field": "pin", "code": "pin.wait" if paused else "", "seconds": "9"}
            locked = own | {
                "lock": phone and phone["lock"],
                "finding": finding,
                "back": "/visits?<b>",
            }
            revoked = own | {"items": phone["items"] if phone else 0, "photos": 0}
            for template, given in (
                ("sync", arguments),
                ("visits", listed),
                ("pin", locked),
                *([("lock", locked)] if phone else []),
                ("revoked", revoked),
            ):
                with flask.app.test_request_context("/visits", headers=headers):
                    answer = pages.shared_page(f"engineer/{template}.html", given)
                html = answer.get_data(as_text=True)
                told = phone_page.evaluate(
                    "async ([name, given]) => (await phone.page(name, JSON.parse(given))).text()",
                    [f"engineer/{template}.html", json.dumps(given)],
                )
                assert told == html, difference(html, told)


@pytest.mark.parametrize("language", LANGUAGES)
def test_after_the_sync_worker_and_server_answer_alike(
    chromium: Browser, server: Server, language: str
):
    day = Day(server)
    phone = Phone(chromium, server)
    phone.sign_in("liqiang")
    phone.page.click("#asks-pin button")
    if language == "en":
        phone.page.click(".language button")
        phone.sees("Today")
    phone.record(day.visits["on-site"], "notes", text="<b>试机</b> & “正常”")
    phone.open(f"/visits/{day.visits['on-site']}")
    phone.waits_for_sync("4 of 4" if language == "en" else "4/4")
    cookies = "; ".join(f"{each['name']}={each['value']}" for each in phone.context.cookies())
    # of the sync page each side has its own to say
    paths = ["/visits", "/visits/settings"]
    for name, visit in day.visits.items():
        paths += [f"/visits/{visit}", f"/visits/{visit}/signatures"]
        paths += [
            f"/visits/{visit}/{kind.noun}" + ("?list=closing" if kind.name == "step" else "")
            for kind in catalogue.KINDS
            if "engineer" in kind.roles and kind.name not in ("void", "correction", OPENING)
            if name in ("conflict", "signed")
        ]
    about = f"entry={day.entries['measure']}"
    paths += [
        f"/visits/{day.visits['conflict']}/{noun}?{about}" for noun in ("voids", "corrections")
    ]
    wrong = []
    for path in paths:
        request = urllib.request.Request(server.url + path, headers={"Cookie": cookies})
        with urllib.request.urlopen(request) as answer:
            html = answer.read().decode()
            sent = {
                name: answer.headers[name] for name in ("Content-Security-Policy", "Cache-Control")
            }
        by_phone = phone.page.evaluate(
            """async (path) => {
              const response = await fetch(path)
              const sent = {}
              for (const name of ["Content-Security-Policy", "Cache-Control"]) {
                sent[name] = response.headers.get(name)
              }
              return [await response.text(), sent]
            }""",
            path,
        )
        if [without_now(html), sent] != [without_now(by_phone[0]), by_phone[1]]:
            wrong.append(f"{path}: {difference(html, by_phone[0])} {sent == by_phone[1]}")
    phone.close()
    assert wrong == []
