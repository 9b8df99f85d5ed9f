"""A visit as a page of the desk shows it, and a form that came back from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import g, request
from sqlalchemy import Row, select

from fieldapp import formats
from fieldapp.desk.pages import (
    FieldData,
    Words,
    device_names,
    engineers_of,
    names_of,
    translate,
)
from fieldapp.intake import SERVER
from fieldapp.languages import current_language
from fieldapp.models import Person, Visit, db
from fieldapp.perform import Unit, journal_of, unit
from fieldapp.policies import Policy
from fieldapp.presentation import policy_of, present
from sync.operation import CUSTOMER, iso
from sync.problems import Problem
from sync.tables import journal
from sync.validate import Finding

State = dict[str, Any]
Posted = Mapping[str, list[str]]

INBOX = "inbox"
"""What a form carries in ``back`` when its author goes on with the inbox."""

MINUTE_SECONDS = 60


@dataclass
class Seen:
    """A visit as one page shows it.

    ``rows`` are rows of its journal, all of them or those that the page speaks of.  ``people`` are
    names by id, ``devices`` what to call each phone.
    """

    visit: Visit
    state: State
    policy: Policy
    rows: Sequence[Row[Any]]
    people: Mapping[str, str]
    devices: Mapping[str, str]
    engineers: list[Person]
    now: datetime

    @property
    def offsets(self) -> formats.Offsets:
        """The site's clock."""
        offsets: formats.Offsets = self.state["context"]["site"]["offsets"]
        return offsets

    @property
    def words(self) -> Words:
        """Values of this visit as text, in the reader's language."""
        return Words(self.policy, current_language(), self.offsets, self.people)

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of every operation by its id."""
        return {row.id: row.kind for row in self.rows}

    def heads(self, *paths: str) -> dict[str, list[str]]:
        """The heads of ``paths`` or, with a slash at the end, of all paths below."""
        return {
            path: cell["heads"]
            for path, cell in self.state["fields"].items()
            if any(path == one or (one.endswith("/") and path.startswith(one)) for one in paths)
        }

    def who(self, item: Mapping[str, Any]) -> dict[str, str]:
        """``{author, at, wall_at, device}`` of ``item``, readable.

        ``wall_at`` is empty unless the phone's own clock differed by a minute or more.
        """
        words = self.words
        return {
            "author": words.people.get(item["author"], item["author"]),
            "at": words.moment(item["at"]),
            "wall_at": words.moment(item["wall_at"]) if is_off(item["at"], item["wall_at"]) else "",
            "device": self._device(item),
        }

    def _device(self, item: Mapping[str, Any]) -> str:
        if item["author"] == CUSTOMER and item["device"] == SERVER:
            return translate("by the link")
        return self.devices.get(item["device"], item["device"])

    def who_of(self, row: Row[Any]) -> dict[str, str]:
        """The same of a row of the journal."""
        return self.who(
            {
                "author": row.author_id,
                "device": row.device_id,
                "at": iso(row.corrected_ms),
                "wall_at": iso(row.wall_ms),
            }
        )


@dataclass
class Refused:
    """A form that comes back: what was entered, and what is wrong with it.

    ``about`` tells forms of one noun apart: the path of a conflict, the entry of a decision.
    """

    noun: str
    posted: Posted
    findings: list[Finding] = field(default_factory=list)
    about: str = ""
    is_stale: bool = False

    def first(self, name: str) -> str:
        """The first text entered as ``name``."""
        return next(iter(self.posted.get(name, ())), "")


def posted_form() -> Posted:
    """The form of this request."""
    return {name: request.form.getlist(name) for name in request.form}


def refill(fields: Sequence[FieldData], posted: Posted) -> dict[str, Any]:
    """What was entered into ``fields`` of a form, as texts or lists of them.

    Boxes that nobody ticked are posted by no browser: they count as empty once a form was posted.
    """
    filled: dict[str, Any] = {}
    for item in fields:
        texts = posted.get(item["name"], [])
        if item["type"] == "people" and posted:
            filled[item["name"]] = texts
        elif texts:
            filled[item["name"]] = texts[0]
    return filled


def return_path(visit_id: str) -> str:
    """Where the author of this request's form goes on: at the visit, or in the inbox."""
    return "/desk/inbox" if request.form.get("back") == INBOX else f"/desk/visits/{visit_id}"


def seen_of(visit: Visit) -> Seen:
    """``visit`` with its whole journal."""
    return seen_among([visit], {visit.id: journal_of(visit)})[0]


def seen_among(visits: Sequence[Visit], rows: Mapping[str, Sequence[Row[Any]]]) -> list[Seen]:
    """``visits`` of the reader's organisation with their ``rows``; as many queries as for one."""
    if not visits:
        return []
    now, org_id = datetime.now(UTC), g.person.org_id
    states = present(visits, g.person, now, remember=False)
    engineers = engineers_of(org_id)
    every = [row for found in rows.values() for row in found]
    people = names_of([row.author_id for row in every])
    people |= {person.id: person.name for person in engineers}
    people[CUSTOMER] = translate("Customer")
    devices = device_names(org_id, {row.device_id for row in every})
    policy = policy_of(org_id)
    return [
        Seen(
            visit,
            state,
            policy,
            rows.get(visit.id, ()),
            people | state["people"],
            devices,
            engineers,
            now,
        )
        for visit, state in zip(visits, states, strict=True)
    ]


def rows_named(org_id: str, ids: set[str]) -> dict[str, list[Row[Any]]]:
    """The operations called ``ids`` by visit."""
    found: dict[str, list[Row[Any]]] = {}
    for row in db.session.execute(
        select(journal).where(journal.c.org_id == org_id, journal.c.id.in_(sorted(ids)))
    ):
        found.setdefault(row.visit_id, []).append(row)
    return found


@contextmanager
def writing(seen: Seen) -> Iterator[Unit]:
    """One transaction in which nobody else can write to the visit seen."""
    visit_id = seen.visit.id
    with unit(seen.visit.org_id, seen.now) as opened:
        opened.hold([visit_id])
        yield opened


def state_now(opened: Unit, visit_id: str) -> State:
    """The state of a visit that ``opened`` holds, as it stands."""
    visit = db.session.get_one(Visit, visit_id, populate_existing=True)
    return visit.state if visit.org_id == opened.organisation.id else {}


def refuse_stale(opened: Unit, visit_id: str, heads: Mapping[str, list[str]]) -> None:
    """Problem("form.stale") when the heads of a path are not those its author saw."""
    fields = state_now(opened, visit_id).get("fields", {})
    for path, saw in heads.items():
        if sorted(fields.get(path, {}).get("heads", [])) != sorted(saw):
            raise Problem("form.stale")


def is_off(at: str, wall_at: str) -> bool:
    """Whether two ISO times are a minute or more apart."""
    try:
        apart = datetime.fromisoformat(at) - datetime.fromisoformat(wall_at)
    except ValueError:
        return at != wall_at
    return abs(apart.total_seconds()) >= MINUTE_SECONDS
