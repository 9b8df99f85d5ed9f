"""The one button at the bottom of a visit: what it says and where it leads, in every status."""

import copy
import json
import re
from html import unescape
from pathlib import Path

import pytest

from fieldapp import pages
from fieldapp.policies import FOLDER, load_policy
from sync import catalogue

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "state.json").read_text("utf-8"))
ERIN = {"id": "0190000e-0000-7000-8000-000000000001", "name": "Erin Ng"}
BAR = re.compile(r'<nav class="next-bar".*?</nav>', re.S)
NEXT = re.compile(r'<a class="button next" href="([^"]*)">([^<]*)</a>')
WAITS = re.compile(r'<p class="next-wait">([^<]*)</p>')
POLICIES = sorted(path.stem for path in FOLDER.glob("*.toml"))


def entry(kind, **value):
    return {"id": f"e-{kind}-{len(value)}", "kind": kind, "author": ERIN["id"], "device": "d",
            "at": "2026-03-10T02:53:00Z", "wall_at": "2026-03-10T02:53:00Z", "value": value,
            "corrected": [], "voids": [], "after": False, "sent": True}  # fmt: skip


def cell(value):
    side = {"operation": "op", "value": value, "author": ERIN["id"], "device": "d", "over": [],
            "at": "2026-03-10T02:57:00Z", "wall_at": "2026-03-10T02:57:00Z"}  # fmt: skip
    return {"value": value, "heads": ["op"], "sides": [side], "conflict": False,
            "at": side["at"], "author": ERIN["id"], "after": False}  # fmt: skip


def visit(status, entries=(), fields=(), job_type="repair", **more):
    """A visit in ``status`` on which this and nothing else was recorded."""
    state = copy.deepcopy(VECTOR["state"])
    state.pop("missing")
    state["visit"] |= {"status": status, "changes": [], "downtime_open": False}
    state["context"]["work_order"]["job_type"] = job_type
    state["sync"] = {"items": 3, "arrived": 3, "photos": 0, "paused": "", "removed": ""}
    state |= {"entries": list(entries), "signatures": [], "flags": [],
              "fields": {path: cell(value) for path, value in dict(fields).items()}}  # fmt: skip
    for key, value in more.items():
        state[key] = {**state[key], **value} if isinstance(value, dict) else value
    return state


ARRIVED = [entry("departure", told_name="Cleo"), entry("arrival", outcome="present")]
WORKED = [*ARRIVED, entry("step", list="conduct"), entry("identification"), entry("measure"),
          entry("step", list="closing")]  # fmt: skip
DONE = {"diagnosis/text": "fuse", "outcome/result": "solved"}
SIGNED = [entry("signature", role="responsible", name="Cleo", opinion="") | {"verdict": "verified"}]
NOBODY = [ARRIVED[0], entry("arrival", outcome="nobody")]
REFUSED = [entry("refusal", reason="absent")]
ASKED = [entry("signature-request", role="contact", name="Cleo", token="t" * 32)]
CHANGE = {"changes": [{"kind": "swap", "entry": "", "field": ""}]}
NO_ORDER = {"work_order": {"id": "", "number": None, "job_type": ""}}

NEXT_IS = {
    "planned": (visit("planned"), "departures", "Set off"),
    "on the way": (visit("departed", ARRIVED[:1]), "arrivals", "Check in on site"),
    "opened on site": (
        visit("planned", [entry("opening", job_type="repair")], context=NO_ORDER),
        "arrivals", "Check in on site",
    ),
    "just arrived": (visit("on-site", ARRIVED), "steps?list=conduct", "Go through: Conduct"),
    "asset known": (visit("on-site", WORKED[:4]), "diagnoses", "Write the diagnosis"),
    "system stopped": (
        visit("on-site", WORKED, DONE, visit={"downtime_open": True}),
        "downtimes", "Say that the system runs again",
    ),
    "charged, not offered": (
        visit("on-site", [*WORKED, entry("charge")], DONE), "quotes", "Write the quotation",
    ),
    "all done": (visit("on-site", WORKED, DONE), "signatures", "Hand over to the customer to sign"),
    "asked by link": (visit("on-site", [*WORKED, *ASKED], DONE), "leavings", "Leave the site"),
    "signed": (visit("signed", WORKED, DONE, signatures=SIGNED), "leavings", "Leave the site"),
    "signed, to be paid": (
        visit("signed", [*WORKED, entry("charge"), entry("quote"), entry("consent")], DONE,
              signatures=SIGNED),
        "invoices", "Hand out the invoice or receipt",
    ),
    "changed since": (
        visit("signed", WORKED, DONE, signatures=SIGNED, visit=CHANGE),
        "signatures", "Let the customer sign again",
    ),
    "changed, gone": (
        visit("under-review", WORKED, DONE, signatures=SIGNED, visit=CHANGE),
        "signatures", "Let the customer sign again",
    ),
    "refused": (visit("unsigned", [*WORKED, *REFUSED], DONE), "leavings", "Leave the site"),
    "nobody there": (visit("on-site", NOBODY), "outcomes", "State the outcome"),
    "nobody to sign": (
        visit("on-site", NOBODY, {"outcome/result": "not-started"}),
        "refusals", "Say why nobody signs",
    ),
    "nobody signed": (
        visit("unsigned", [*NOBODY, *REFUSED], {"outcome/result": "not-started"}),
        "leavings", "Leave the site",
    ),
    "sent back, something lacks": (
        visit("sent-back", WORKED, {"diagnosis/text": "fuse"}), "outcomes", "State the outcome",
    ),
    "a job nobody heard of": (visit("on-site", ARRIVED, job_type="x"), "signatures",
                              "Hand over to the customer to sign"),
    "a job nobody heard of, signed": (visit("signed", ARRIVED, job_type="x"), "leavings",
                                      "Leave the site"),
}  # fmt: skip

WAITS_FOR = {
    "left, unsent": (visit("left", sync={"arrived": 2}), "as soon as there is signal"),
    "left, a photo unsent": (visit("left", sync={"photos": 1}), "as soon as there is signal"),
    "left": (visit("left"), "You have left. The office is looking through it."),
    "under review": (visit("under-review"), "You have left. The office is looking through it."),
    "accepted": (visit("accepted", visit=CHANGE), "Accepted by the office. All done."),
    "cancelled": (visit("cancelled"), "Cancelled by the office. Nobody has to go."),
    "handed over": (visit("on-site", sync={"removed": "reassigned"}), "Handed over."),
}


def bar(app, state, policy="alarm", language="en"):
    with app.test_request_context("/", headers={"Accept-Language": language}):
        arguments = pages.visit_page(ERIN, state, load_policy(policy).data)
        html = pages.shared_page("engineer/visit.html", arguments).get_data(as_text=True)
    (found,) = BAR.findall(html)
    return found


@pytest.mark.parametrize("name", NEXT_IS)
def test_the_button_says_what_it_will_do(app, name):
    state, path, says = NEXT_IS[name]
    found = bar(app, state)
    assert [(unescape(href), text) for href, text in NEXT.findall(found)] == [
        (f"/visits/{state['visit']['id']}/{path}", says)
    ]
    assert WAITS.findall(found) == []


@pytest.mark.parametrize("name", WAITS_FOR)
def test_where_there_is_nothing_to_do_it_is_said_what_is_waited_for(app, name):
    state, says = WAITS_FOR[name]
    found = bar(app, state)
    assert NEXT.findall(found) == []
    (waits,) = WAITS.findall(found)
    assert says in waits


def test_what_was_sent_back_with_everything_done_leads_to_what_was_recorded(app):
    found = bar(app, visit("sent-back", WORKED, DONE, signatures=SIGNED))
    assert NEXT.findall(found) == [("#entries", "Put right what the office asks for")]


def test_a_visit_that_was_handed_over_offers_nothing_to_record(app):
    assert "sheet" not in bar(app, WAITS_FOR["handed over"][0])
    assert "sheet" in bar(app, WAITS_FOR["cancelled"][0])


@pytest.mark.parametrize("policy", POLICIES)
def test_every_step_that_can_come_next_is_said_as_something_to_do(app, policy):
    """A label of the catalogue would be a name and no sentence about the button."""
    for job_type, job in load_policy(policy).data["job_types"].items():
        for step in job["steps"]:
            only = load_policy(policy).data | {
                "job_types": {
                    job_type: job | {"steps": [step | {"needed": "signature", "when": ""}]}
                }
            }
            state = visit("on-site", job_type=job_type)
            with app.test_request_context("/", headers={"Accept-Language": "en"}):
                arguments = pages.visit_page(ERIN, state, only)
                html = pages.shared_page("engineer/visit.html", arguments).get_data(as_text=True)
            ((_, text),) = NEXT.findall(html)
            assert text != pages.CATALOGUE[step["kind"]]["label"], step


def test_everything_an_engineer_records_is_one_tap_away(app):
    found = bar(app, visit("on-site", ARRIVED))
    offered = re.findall(r'<li><a class="quiet" href="/visits/[^/"]+/([a-z-]+)[?"]', found)
    by_engineer = {
        kind.noun for kind in catalogue.KINDS
        if "engineer" in kind.roles and kind.name not in ("opening", "void", "correction", "rating")
    }  # fmt: skip
    assert set(offered) == by_engineer
    assert offered.count("steps") == 2  # the check-lists of the job


def test_what_is_there_already_is_marked(app):
    photos = [entry("photo", slot="before"), entry("photo", slot="after", caption="x")]
    found = bar(app, visit("on-site", [*ARRIVED, *photos, entry("swap")], DONE))
    marks = dict(re.findall(r'/([a-z-]+)">[^<]*<span class="muted">([^<]*)</span>', found))
    assert marks == {"photos": "× 2", "swaps": "✓", "departures": "✓", "arrivals": "✓",
                     "diagnoses": "✓", "outcomes": "✓"}  # fmt: skip
