"""What every page of the desk shares: its blueprint, who may see it, words and local times."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, make_response
from flask.blueprints import Blueprint
from flask.wrappers import Response
from sqlalchemy import select

from fieldapp import formats, pages
from fieldapp.intake import SERVER
from fieldapp.languages import LANGUAGES, current_language, texts
from fieldapp.models import Device, Person, db
from fieldapp.offline.messages import singular
from fieldapp.policies import Policy
from sync.canonical import canonical
from sync.problems import Problem

bp = Blueprint("desk", __name__, url_prefix="/desk")

DESK = ("dispatcher", "manager", "admin")

UNDER_WAY = ("departed", "on-site", "signed", "unsigned")
"""Status of visits whose engineer is on the road or at the customer's."""

WORKING = (*UNDER_WAY, "left")
"""Status of visits on which the engineer has begun and the office holds no leaving yet."""

SYSTEMS = ("iPhone", "iPad", "HarmonyOS", "Android", "Windows", "Macintosh", "Linux")

LANGUAGE_NAMES = dict(zip(LANGUAGES, ("中文", "English"), strict=True))
"""Each language by its own name."""

FieldData = Mapping[str, Any]


def desk_page(template: str, policy: Policy, status: int = 200, **arguments: Any) -> Response:
    """A page of the desk, or a part of one, in the reader's language."""
    language = current_language()
    page = pages.server_page(
        template,
        policy=policy.data,
        words=Words(policy, language),
        catalogue=pages.localised(language)["catalogue"],
        **arguments,
    )
    return make_response(page, status)


def translate(message: str, **args: Any) -> str:
    """``message`` in the reader's language, plain text."""
    return singular(texts()[current_language()], message) % args


class Words:
    """The policy's words, and values of operations as text.

    Values come from phones of any version: what does not fit its field is shown as it came.
    ``people`` are names by id, ``offsets`` the site's clock.
    """

    def __init__(
        self,
        policy: Policy,
        language: str,
        offsets: formats.Offsets = (),
        people: Mapping[str, str] | None = None,
    ) -> None:
        self.policy, self.offsets, self.people = policy, offsets, people or {}
        self.key = "zh" if language == "zh_CN" else "en"

    def word(self, list_: str, key: str) -> str:
        """The word for ``key`` of a list of the policy; a key it does not know is its own."""
        return self.policy.words(list_, key)[self.key]

    def options(self, list_: str) -> list[tuple[str, str]]:
        """Keys and words of a list, for a select."""
        return [(key, words[self.key]) for key, words in self.policy.vocabulary[list_].items()]

    def text(self, field: FieldData, value: Any, list_: str = "") -> str:
        """``value`` of the catalogue's ``field``, readable."""
        kind = field["type"]
        if kind == "moment" and isinstance(value, str):
            return self.moment(value)
        if kind == "choice" and isinstance(value, str):
            return self.word(field["choices"], value)
        if kind == "people" and isinstance(value, list):
            return " · ".join(self.people.get(str(id_), str(id_)) for id_ in value)
        if kind == "ticks" and isinstance(value, list):
            words = [self.word(list_ or field["choices"], str(key)) for key in value]
            return " · ".join(words)
        if kind == "position" and isinstance(value, Mapping):
            return translate(
                "Position noted, accurate to %(metres)s m", metres=value.get("accuracy", "?")
            )
        if field["name"] == "engineer" and isinstance(value, str):
            return self.people.get(value, value)
        return value if isinstance(value, str) else as_text(value)

    def moment(self, at: str) -> str:
        """A time on the site's clock."""
        try:
            return formats.moment(at, self.offsets)
        except formats.FormatError:
            return at


def as_text(value: Any) -> str:
    """Any JSON value as text."""
    try:
        return canonical(value)
    except Problem:
        return str(value)


def engineers_of(org_id: str) -> list[Person]:
    """Everybody of the organisation who can be sent out, by name."""
    people = db.session.scalars(
        select(Person).where(Person.org_id == org_id, Person.left_at.is_(None))
    )
    return sorted(
        (person for person in people if "engineer" in person.roles),
        key=lambda person: (person.name, person.id),
    )


def device_names(org_id: str, ids: Collection[str]) -> dict[str, str]:
    """What to call each device: whose phone it is, and what kind when the browser says so."""
    rows = db.session.execute(
        select(Device.id, Device.browser_text, Person.name)
        .join(Person, Person.id == Device.person_id)
        .where(Device.org_id == org_id, Device.id.in_(sorted(ids)))
        .order_by(Device.id)
    )
    names = {SERVER: translate("Office")}
    for id_, browser, owner in rows:
        name = phone_name(owner, browser)
        # two phones of one person are told apart by the end of their keys
        names[id_] = f"{name} …{id_[-4:]}" if name in names.values() else name
    return names


def phone_name(owner: str, browser: str) -> str:
    """A phone by its owner and the system that its browser names."""
    system = next((name for name in SYSTEMS if name in browser), "")
    phone = translate("%(name)s's phone", name=owner)
    return f"{phone} · {system}" if system else phone


def names_of(ids: Sequence[str]) -> dict[str, str]:
    """The names of people of the reader's organisation."""
    rows = db.session.execute(
        select(Person.id, Person.name).where(
            Person.id.in_(sorted(set(ids))), Person.org_id == g.person.org_id
        )
    )
    return {row[0]: row[1] for row in rows}


def minutes_between(start: datetime | None, end: datetime) -> int | None:
    """Whole minutes from ``start`` to ``end``, never below zero; None without a start."""
    return None if start is None else max(0, int((end - start).total_seconds() // 60))


@bp.app_template_filter("local_clock")
def local_clock(at: datetime, zone: str) -> str:
    """The time on the wall in ``zone``."""
    return f"{at.astimezone(ZoneInfo(zone)):%H:%M}"


@bp.app_template_filter("local_day")
def local_day(at: datetime, zone: str) -> str:
    """The date in ``zone``."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d}"


@bp.app_template_filter("local_moment")
def local_moment(at: datetime, zone: str) -> str:
    """Date and time in ``zone``."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


@bp.app_template_filter("as_options")
def as_options(people: Sequence[Person]) -> list[tuple[str, str]]:
    """Keys and names of people, for a select."""
    return [(person.id, person.name) for person in people]
