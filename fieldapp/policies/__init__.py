"""How one organisation works, as data: a policy pack is one TOML file beside this module.

Code asks the policy; it never asks which organisation it is.  The pack crosses to the phone as the
JSON values in :attr:`Policy.data`:

- ``lists``: ``{name: [{key, zh, en}, …]}``, the choices that ``sync.catalogue`` names, in order;
  ``job_types`` is one of them;
- ``checklists``: ``{name: [{key, zh, en}, …]}``; their titles are the list ``checklists``;
- ``job_types``: ``{key: {zh, en, papers: [name, …], signs_last, steps: [{kind,
  list, needed, when, each}, …]}}``; a step's ``list`` is one check-list, signatory role or photo
  slot; it is needed only while an entry of the kind ``when`` stands, if that is not empty; of a
  signature ``each`` is the kind whose entries name everybody who signs in that role;
- ``phrases``: ``{kind/field: [{zh, en, jobs: [job type, …]}, …]}``, offered where that text is
  written; without ``jobs`` whatever the visit is for;
- ``targets``: ``[{name, words {zh, en}, start, stop, minutes, calendar, level, distance}, …]``;
- ``calendars``: ``{name: {weekly: [[[opens, closes], …] × 7], exceptions: {day: [[opens, closes],
  …]}}}``, minutes after midnight;
- ``paper_language``: ``contact`` (the contact's) or ``both``;
- ``customer``: ``{page_days, sign_days, sends_copies}``, what customers reach by links and letters;
- ``phone``: ``{lock_minutes}``, how long a phone may lie untouched before it locks, 0: for ever;
- ``numbers``, ``warranty``, ``without_customer``, ``alternatives``, ``loaner_closed_by``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from sync import catalogue
from sync.canonical import canonical, sha256
from sync.papers import PAPERS
from sync.problems import Problem
from sync.sla import DAY_MINUTES, OpeningHours, Target

FOLDER = Path(__file__).parent
LANGUAGES = ("zh", "en")
PAPER_NAMES = tuple(paper.name for paper in PAPERS)
PAPER_LANGUAGES = ("contact", "both")
NEEDED = ("signature", "leaving", "never")
STARTS = ("reported", "arrived", "stopped")
STOPS = ("contacted", "arrived", "solved", "running")
NUMBERED = ("request", "work_order", "notice")
WHICH_LISTS = {"step": "checklists", "signature": "signatory_roles", "photo": "photo_slots"}
"""Where the words are of what a step asks for in particular: a check-list, a role, a slot."""

NAMING = tuple(
    kind.name for kind in catalogue.KINDS if any(field.name == "names" for field in kind.fields)
)
"""The kinds of which a policy can say that everybody they name signs."""

LONGEST_PHRASE = 80
"""Characters of a phrase that a thumb still hits as one button."""

EXTRA_LISTS = ("checklists", "distances", "exclusions")
"""Lists that no field of the catalogue offers, but pages and imports do."""

JOB_TYPES = "job_types"
"""The list of what a visit can be for: not in the file, but read off its job types."""

_CODE = re.compile(r"[a-z][a-z0-9-]*")
_KEY = re.compile(r"[a-z0-9][a-z0-9-]*")
_SPAN = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


class PolicyError(ValueError):
    """A policy pack cannot be used; the message names file, key and reason."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}")
        self.file, self.key, self.reason = file, key, reason


@dataclass(frozen=True)
class Policy:
    """One pack.  ``version`` is the first 12 hex digits of SHA-256 of the canonical ``data``.

    ``data`` is shared by all who hold the policy and must not be changed.
    """

    code: str
    version: str
    data: Mapping[str, Any]

    def words(self, list_: str, key: str) -> dict[str, str]:
        """The words ``{zh, en}`` of ``key`` in a list of :attr:`vocabulary`.

        A key of a newer or older pack stands for itself: a page must open all the same.
        """
        return self.vocabulary.get(list_, {}).get(key) or dict.fromkeys(LANGUAGES, key)

    @cached_property
    def vocabulary(self) -> dict[str, dict[str, dict[str, str]]]:
        """Every word: list -> key -> ``{zh, en}``, for the paper.

        Beside the lists there are each check-list by its name, ``checklist`` (all of them, as the
        catalogue calls it) and ``targets``.
        """
        lists, checklists = self.data["lists"], self.data["checklists"]
        items = {
            **checklists,
            "checklist": [item for list_ in checklists.values() for item in list_],
            "targets": [{"key": item["name"]} | item["words"] for item in self.data["targets"]],
            **lists,
        }
        return {
            name: {item["key"]: {code: item[code] for code in LANGUAGES} for item in list_}
            for name, list_ in items.items()
        }

    def choices(self, checklist: str = "") -> dict[str, list[str]]:
        """The keys of every list; ``checklist`` holds those of the check-list of that name.

        Without a name they are those of all check-lists, with an unknown one there are none.
        """
        lists, checklists = self.data["lists"], self.data["checklists"]
        choices = {name: [item["key"] for item in items] for name, items in lists.items()}
        offered = [checklists.get(checklist, ())] if checklist else checklists.values()
        choices["checklist"] = [item["key"] for items in offered for item in items]
        return choices

    @property
    def targets(self) -> tuple[Target, ...]:
        """The promised times, in the pack's order."""
        return tuple(
            Target(**{key: value for key, value in target.items() if key != "words"})
            for target in self.data["targets"]
        )

    def steps(self, job_type: str) -> list[dict[str, str]]:
        """The steps of ``job_type``; none for one that this pack does not know."""
        return list(self.data["job_types"].get(job_type, {}).get("steps", ()))

    def papers(self, job_type: str) -> list[str]:
        """The papers a ``job_type`` may yield; none for one that this pack does not know."""
        return list(self.data["job_types"].get(job_type, {}).get("papers", ()))

    def opening_hours(self, calendar: str, zone: str) -> OpeningHours:
        """The opening hours called ``calendar``, on the clocks of ``zone``."""
        found = self.data["calendars"][calendar]
        return OpeningHours(
            zone,
            tuple(tuple((opens, closes) for opens, closes in spans) for spans in found["weekly"]),
            {
                date.fromisoformat(day): tuple((opens, closes) for opens, closes in spans)
                for day, spans in found["exceptions"].items()
            },
        )

    def number(self, noun: str, day: date, count: int) -> str:
        """The label of the ``count``-th request, work order or notice of ``day``."""
        return str(self.data["numbers"][noun].format(day=f"{day:%Y%m%d}", count=count))


@cache
def load_policy(code: str) -> Policy:
    """The pack called ``code``.

    Raises PolicyError naming file, key and reason when it is absent or does not fit.
    """
    path = FOLDER / f"{code}.toml"
    if not _CODE.fullmatch(code) or not path.is_file():
        raise PolicyError(path.name, "code", "there is no such policy pack")
    return read_policy(path)


def read_policy(path: Path) -> Policy:
    """The pack in the file ``path``.  Raises PolicyError like :func:`load_policy`."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(path.name, "file", str(error)) from None
    data = _Reader(path.name, raw).read()
    if data["code"] != path.stem:
        raise PolicyError(path.name, "code", f"is {data['code']!r}, not the name of the file")
    version = sha256(canonical(data))[:12]
    return Policy(data["code"], version, data)


class _Reader:
    """Turns the tables of one file into the shape of the module's docstring, or names the fault."""

    def __init__(self, file: str, raw: dict[str, Any]) -> None:
        self.file, self.raw = file, raw

    def read(self) -> dict[str, Any]:
        """The whole pack.  Raises PolicyError."""
        lists = {name: self.items(f"lists.{name}") for name in self.names("lists")}
        checklists = {name: self.items(f"checklists.{name}") for name in self.names("checklists")}
        self.lists: dict[str, set[str]] = {
            name: {item["key"] for item in items} for name, items in lists.items()
        }
        for name in sorted(_lists_needed() - set(lists)):
            self.fail(f"lists.{name}", "is missing")
        for name in sorted(set(lists) - _lists_needed()):
            self.fail(f"lists.{name}", "is offered by no field")
        if set(checklists) != self.lists["checklists"]:
            self.fail("checklists", "must be those that lists.checklists names")
        data: dict[str, Any] = {
            "code": self.text("code"),
            "name": self.words("name", self.get("name")),
            "lists": lists,
            "checklists": checklists,
            "job_types": {name: self.job_type(name) for name in self.names("job_types")},
            "calendars": {name: self.calendar(name) for name in self.names("calendars")},
            "numbers": {noun: self.pattern(noun) for noun in NUMBERED},
            "warranty": self.warranty(),
            "customer": self.customer(),
            "phone": self.phone(),
            "paper_language": self.one_of(
                "paper_language", self.get("paper_language"), PAPER_LANGUAGES
            ),
            "without_customer": self.keys("without_customer", "arrival_outcomes"),
            "alternatives": self.alternatives(),
            "loaner_closed_by": self.keys("loaner_closed_by", "test_results"),
        }
        data["phrases"] = {
            f"{kind}/{name}": self.phrases(
                f"phrases.{kind}.{name}", kind, name, set(data[JOB_TYPES])
            )
            for kind in self.names("phrases")
            for name in self.names(f"phrases.{kind}")
        }
        data["targets"] = [
            self.target(n, data["calendars"]) for n, _ in enumerate(self.get("targets", list))
        ]
        lists[JOB_TYPES] = [
            {"key": key} | {code: job[code] for code in LANGUAGES}
            for key, job in data["job_types"].items()
        ]
        self.only("", self.raw, set(data))
        self.only("numbers", self.get("numbers", dict), set(NUMBERED))
        return data

    def fail(self, key: str, reason: str) -> None:
        raise PolicyError(self.file, key, reason)

    def get(self, key: str, kind: type = object) -> Any:
        """The value at the dotted ``key``; a fault when it is absent or of another kind."""
        value: Any = self.raw
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None or isinstance(value, bool):
            self.fail(key, "is missing")
        if not isinstance(value, kind):
            self.fail(key, f"must be a {kind.__name__}, not {type(value).__name__}")
        return value

    def only(self, key: str, value: Mapping[str, Any], known: set[str]) -> None:
        """A fault for a key that nobody reads: most likely it is misspelt."""
        for name in sorted(set(value) - known):
            self.fail(f"{key}.{name}".strip("."), "is not a known key")

    def names(self, key: str) -> list[str]:
        table = self.get(key, dict)
        if not table:
            self.fail(key, "is empty")
        return list(table)

    def text(self, key: str, value: Any = None) -> str:
        found = self.get(key) if value is None else value
        if not isinstance(found, str) or not found.strip():
            self.fail(key, "must be a text that is not empty")
        return str(found)

    def whole(self, key: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self.fail(key, "must be a whole number above 0")
        return int(value)

    def words(self, key: str, value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            self.fail(key, 'must be { zh = "…", en = "…" }')
        self.only(key, value, set(LANGUAGES))
        return {
            language: self.text(f"{key}.{language}", value.get(language, ""))
            for language in LANGUAGES
        }

    def items(self, key: str) -> list[dict[str, str]]:
        table = self.get(key, dict)
        if not table:
            self.fail(key, "is empty")
        for name in table:
            if not _KEY.fullmatch(name):
                self.fail(f"{key}.{name}", "must be small letters, digits and hyphens")
        return [{"key": name} | self.words(f"{key}.{name}", words) for name, words in table.items()]

    def keys(self, key: str, list_: str) -> list[str]:
        return [self.one_of(key, value, self.lists[list_]) for value in self.get(key, list)]

    def one_of(self, key: str, value: Any, known: set[str] | tuple[str, ...]) -> str:
        if not isinstance(value, str) or value not in known:
            self.fail(key, f"{value!r} is none of {', '.join(sorted(known))}")
        return str(value)

    def job_type(self, name: str) -> dict[str, Any]:
        key = f"job_types.{name}"
        table = self.get(key, dict)
        self.only(key, table, {"zh", "en", "papers", "signs_last", "steps"})
        words = self.words(key, {language: table.get(language, "") for language in LANGUAGES})
        papers = self.get(f"{key}.papers", list)
        if not papers or len(set(map(str, papers))) < len(papers):
            self.fail(f"{key}.papers", "must name at least one paper, and none twice")
        last = table.get("signs_last", "")
        steps = self.get(f"{key}.steps", list)
        return words | {
            "signs_last": last
            and self.one_of(f"{key}.signs_last", last, self.lists["signatory_roles"]),
            "papers": [self.one_of(f"{key}.papers", name, PAPER_NAMES) for name in papers],
            "steps": [self.step(f"{key}.steps[{n}]", step) for n, step in enumerate(steps)],
        }

    def step(self, key: str, step: Any) -> dict[str, str]:
        if not isinstance(step, dict):
            self.fail(key, "must be a table")
        self.only(key, step, {"kind", "list", "needed", "when", "each"})
        kind = step.get("kind")
        if not isinstance(kind, str) or not catalogue.is_known(kind):
            self.fail(f"{key}.kind", f"{kind!r} is not in the catalogue")
        list_ = step.get("list", "")
        if kind == "step" or (list_ and kind in WHICH_LISTS):
            self.one_of(f"{key}.list", list_, self.lists[WHICH_LISTS[kind]])
        elif list_:
            self.fail(f"{key}.list", f"one {kind} is like another")
        needed = self.one_of(f"{key}.needed", step.get("needed"), NEEDED)
        return {
            "kind": str(kind),
            "list": list_,
            "needed": needed,
            "when": self.condition(f"{key}.when", step),
            "each": self.named_by(f"{key}.each", step),
        }

    def condition(self, key: str, step: Mapping[str, Any]) -> str:
        when = step.get("when", "")
        if when and not catalogue.is_known(str(when)):
            self.fail(key, f"{when!r} is not in the catalogue")
        if when and step["needed"] == "never":
            self.fail(key, "what is never needed has no condition")
        return str(when)

    def named_by(self, key: str, step: Mapping[str, Any]) -> str:
        each = step.get("each", "")
        if each and each not in NAMING:
            self.fail(key, f"{each!r} names nobody")
        if each and not (step["kind"] == "signature" and step.get("list")):
            self.fail(key, "is asked for of signatures in one role")
        return str(each)

    def alternatives(self) -> dict[str, list[str]]:
        table = self.get("alternatives", dict)
        for kind, others in table.items():
            key = f"alternatives.{kind}"
            if not isinstance(others, list):
                self.fail(key, "must be a list")
            for name in (kind, *others):
                if not catalogue.is_known(str(name)):
                    self.fail(key, f"{name!r} is not in the catalogue")
        return dict(table)

    def phrases(self, key: str, kind: str, name: str, jobs: set[str]) -> list[dict[str, Any]]:
        try:
            field = catalogue.kind_named(kind).field(name)
        except (Problem, KeyError):
            self.fail(key, "is no field of the catalogue")
        if field.type not in ("text", "paragraph"):
            self.fail(key, "is no field that is written in")
        return [
            self.phrase(f"{key}[{n}]", phrase, field.limit, jobs)
            for n, phrase in enumerate(self.get(key, list))
        ]

    def phrase(self, key: str, phrase: Any, limit: int, jobs: set[str]) -> dict[str, Any]:
        if not isinstance(phrase, dict):
            self.fail(key, 'must be { zh = "…", en = "…" }')
        given = dict(phrase)
        for_jobs = given.pop("jobs", [])
        if not isinstance(for_jobs, list):
            self.fail(f"{key}.jobs", "must be a list")
        words = self.words(key, given)
        if any(len(text) > min(limit, LONGEST_PHRASE) or "\n" in text for text in words.values()):
            self.fail(key, f"must fit on one line of {min(limit, LONGEST_PHRASE)} characters")
        return words | {"jobs": [self.one_of(f"{key}.jobs", job, jobs) for job in for_jobs]}

    def pattern(self, noun: str) -> str:
        key = f"numbers.{noun}"
        pattern = self.text(key)
        try:
            tried = {pattern.format(day=day, count=n) for day in ("1", "2") for n in (1, 2)}
        except (KeyError, IndexError, ValueError) as error:
            self.fail(key, f"cannot be filled in: {error!r}")
        if len(tried) < 4:
            self.fail(key, "must hold {day} and {count}, or numbers would repeat")
        if len(pattern.format(day="20260310", count=9999)) > 40:
            self.fail(key, "makes numbers longer than 40 characters")
        return pattern

    def warranty(self) -> dict[str, Any]:
        table = self.get("warranty", dict)
        self.only("warranty", table, {"start", "months", "last_day"})
        start = dict(self.get("warranty.start", dict))
        key = self.text("warranty.start.key", start.pop("key", ""))
        return {
            "start": {"key": key} | self.words("warranty.start", start),
            "months": self.whole("warranty.months", table.get("months")),
            "last_day": self.one_of("warranty.last_day", table.get("last_day"), ("included",)),
        }

    def customer(self) -> dict[str, Any]:
        table = self.get("customer", dict)
        self.only("customer", table, {"page_days", "sign_days", "sends_copies"})
        if not isinstance(table.get("sends_copies"), bool):
            self.fail("customer.sends_copies", "must be true or false")
        return {
            "page_days": self.whole("customer.page_days", table.get("page_days")),
            "sign_days": self.whole("customer.sign_days", table.get("sign_days")),
            "sends_copies": table["sends_copies"],
        }

    def phone(self) -> dict[str, Any]:
        table = self.get("phone", dict)
        self.only("phone", table, {"lock_minutes"})
        minutes = table.get("lock_minutes")
        if not isinstance(minutes, int) or isinstance(minutes, bool):
            self.fail("phone.lock_minutes", "must be a whole number of minutes")
        elif not 0 <= minutes <= DAY_MINUTES:
            self.fail("phone.lock_minutes", "must be 0 for never, or no longer than a day")
        return {"lock_minutes": minutes}

    def target(self, n: int, calendars: Mapping[str, Any]) -> dict[str, Any]:
        key = f"targets[{n}]"
        table = self.get("targets", list)[n]
        if not isinstance(table, dict):
            self.fail(key, "must be a table")
        known = {"name", "words", "start", "stop", "minutes", "calendar", "level", "distance"}
        self.only(key, table, known)
        level, distance = table.get("level", ""), table.get("distance", "")
        return {
            "name": self.text(f"{key}.name", table.get("name", "")),
            "words": self.words(f"{key}.words", table.get("words")),
            "start": self.one_of(f"{key}.start", table.get("start"), STARTS),
            "stop": self.one_of(f"{key}.stop", table.get("stop"), STOPS),
            "minutes": self.whole(f"{key}.minutes", table.get("minutes")),
            "calendar": self.one_of(
                f"{key}.calendar", table.get("calendar", "always"), set(calendars)
            ),
            "level": level and self.one_of(f"{key}.level", level, self.lists["fault_levels"]),
            "distance": distance
            and self.one_of(f"{key}.distance", distance, self.lists["distances"]),
        }

    def calendar(self, name: str) -> dict[str, Any]:
        key = f"calendars.{name}"
        table = self.get(key, dict)
        self.only(key, table, {"weekly", "exceptions"})
        weekly = [
            self.spans(f"{key}.weekly[{n}]", day)
            for n, day in enumerate(self.get(f"{key}.weekly", list))
        ]
        exceptions = {}
        for day, spans in table.get("exceptions", {}).items():
            try:
                date.fromisoformat(day)
            except ValueError:
                self.fail(f"{key}.exceptions.{day}", "is not a day like 2026-10-01")
            exceptions[day] = self.spans(f"{key}.exceptions.{day}", spans)
        try:
            OpeningHours(
                "UTC",
                tuple(tuple((opens, closes) for opens, closes in day) for day in weekly),
                {
                    date.fromisoformat(day): tuple((opens, closes) for opens, closes in spans)
                    for day, spans in exceptions.items()
                },
            )
        except ValueError as error:
            self.fail(key, str(error))
        return {"weekly": weekly, "exceptions": exceptions}

    def spans(self, key: str, day: Any) -> list[list[int]]:
        if not isinstance(day, list):
            self.fail(key, 'must be a list like ["09:00-12:00", "13:00-17:30"]')
        spans = []
        for text in day:
            found = _SPAN.fullmatch(text) if isinstance(text, str) else None
            if not found:
                raise PolicyError(self.file, key, f"{text!r} is not a stretch like 09:00-17:30")
            hours = [int(part) for part in found.groups()]
            spans.append([hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]])
            if spans[-1][1] > DAY_MINUTES:
                self.fail(key, f"{text!r} leaves the day")
        return spans


def _lists_needed() -> set[str]:
    """The lists of a file that are offered; ``checklist`` stands for the check-lists."""
    offered = {field.choices for kind in catalogue.KINDS for field in kind.fields}
    return (offered - {"", "checklist", JOB_TYPES}) | set(EXTRA_LISTS)
