"""What the paper's template reads: the paper cleaned, cut to its limits and sorted by section.

What limits there are protect the layout, never the facts: text that is cut and rows that are left
out say so on the paper, and stand whole in ``visit.json``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rfc8785

from sync import catalogue
from sync.canonical import LARGEST
from sync.glyphs import missing_characters, printable

if TYPE_CHECKING:
    from sync.report import Paper

ROWS = 200
"""Most rows of one section; a line names how many more stand in ``visit.json``."""

ALL_ROWS = 600
"""Most rows of all sections together: some eight seconds of layout on a small machine."""

LINE = 300
"""Most characters of a short text."""

LINES = 120
"""Most lines of one text."""

LINE_COST = 40
"""What a line end costs of TEXT: an almost empty line takes the place of a full one."""

TALL = 300
"""A row of more characters may go over two pages; a shorter one stays whole."""

TEXT = 60_000
"""Most characters of user text on one paper: about two seconds of layout, some 40 pages."""

PHOTOS = 60
"""Most photos shown; the others are counted."""


class PaperView:
    """The paper as the template reads it: cleaned, limited, sorted by section."""

    def __init__(
        self,
        paper: Paper,
        pictures: set[str],
        replace_missing: bool,
        money: Callable[[int, str], str],
    ) -> None:
        """``money`` makes text of an amount in minor units and a currency."""
        self._replace = replace_missing
        self._left = TEXT
        self._rows_left = ALL_ROWS
        self._printed: dict[str, int] = {}
        self._told: dict[str, list[str]] = {}
        self._others_more = 0
        self._words = paper["words"]
        self._money = money
        self._languages = _LANGUAGES[paper["language"]]
        snapshot = paper["snapshot"]
        facts = snapshot["facts"]
        self.language = "en" if paper["language"] == "en" else "zh-CN"
        self.context: dict[str, Any] = self._clean(
            {key: snapshot["context"][key] for key in _CONTEXT}
        )
        self.organisation = self._clean(
            {key: value for key, value in paper["organisation"].items() if key != "logo"}
        )
        self.offsets = snapshot["context"]["site"]["offsets"]
        self._currency = str(snapshot["context"]["organisation"]["currency"])
        self.keywords = f"work-order {paper['token']} revision {paper['revision']}"
        self.pictures = pictures
        signed = paper["signatures"][-1:]
        self.digest = (signed and signed[0]["digest"]) or digest_of(snapshot)
        self._fields = {field["path"]: field["values"][:10] for field in facts["fields"]}
        self._people = {one["id"]: one["name"] for one in snapshot["context"]["people"]}

        # the journal takes whatever a phone sends: a value need not be an object
        entries = [one for one in facts["entries"] if isinstance(one["value"], dict)]
        self._all = {entry["id"]: entry for entry in [*entries, *paper["addenda"]]}
        voided = {str(entry["value"].get("entry")) for entry in entries if entry["kind"] == "void"}
        self._sections: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            if entry["id"] not in voided:
                self._sections.setdefault(entry["kind"], []).append(self._corrected(entry, entries))
        self.signatures = [
            self._signed(number, one) for number, one in enumerate(paper["signatures"])
        ]
        self.given = {"number": None, "request": None} | self._clean(dict(paper.get("given", {})))
        self.number = self.context["work_order"]["number"] or self.given["number"] or "—"
        self.refusal = self._refused(paper["refusal"]) if paper["refusal"] else None
        # what the customer was asked about comes first when the paper's room is short
        for path in self._fields:
            kind = path.split("/")[0]
            if catalogue.is_known(kind) and path.count("/") == 1:
                self.values(path)
        self.corrected = paper["corrected"][:ROWS]
        self.corrected_more = len(paper["corrected"]) - len(self.corrected)
        self._addenda = [one for one in paper["addenda"] if isinstance(one["value"], dict)]
        self._photos = paper["photos"]
        self._notices = paper["notices"]
        self._loaners = snapshot["context"].get("loaners") or []

    # words

    def word(self, list_name: str, key: Any) -> str:
        """The policy's word for ``key``; a key nobody named stands for itself."""
        words = self._words.get(list_name, {}).get(str(key))
        told = dict.fromkeys(words[code] for code in self._languages) if words else [str(key)]
        return self._text(" ".join(told), LINE)

    def person(self, person_id: str) -> str:
        """The name behind a person's id, a dash when the paper does not know it."""
        return self._text(self._people.get(person_id) or "—", LINE)

    # sections

    def values(self, path: str) -> list[str]:
        """What was set at ``path``: none, one, or every side of a conflict."""
        if path not in self._told:
            kind, name = path.split("/", 1)
            field = _field_of(kind, name)
            told = [value for value in self._fields.get(path, []) if value not in (None, "")]
            if field is not None and field.type == "choice":
                self._told[path] = [self.word(field.choices, value) for value in told]
            else:
                limit = catalogue.PARAGRAPH
                self._told[path] = [self._text(_plain(value), limit) for value in told]
        return self._told[path]

    def _signed(self, number: int, signature: Mapping[str, Any]) -> dict[str, Any]:
        """A signature's texts, and the name of its ``picture``: None when it cannot be shown."""
        said = {key: value for key, value in signature.items() if key != "strokes"}
        picture = f"signature-{number}"
        told: dict[str, Any] = self._clean(said)
        return told | {"picture": picture if picture in self.pictures else None}

    def _refused(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """A refusal's texts; what was left empty, or is no text, is empty."""
        names = [field.name for field in catalogue.kind_named("refusal").fields]
        said: dict[str, Any] = self._clean({name: value.get(name) for name in names})
        return {name: text if isinstance(text, str) else "" for name, text in said.items()}

    def refusals(self) -> list[dict[str, Any]]:
        """Who would not sign, each in his own words; the last stands for a missing signature."""
        told = [self._refused(one["value"]) for one in self.rows("refusal")]
        return told or ([self.refusal] if self.refusal else [])

    def is_tall(self, *texts: str | None) -> bool:
        """Whether a row that says ``texts`` may go over two pages."""
        return sum(len(text) + LINE_COST * text.count("\n") for text in texts if text) > TALL

    def opening(self) -> dict[str, Any]:
        """What was said where the visit was opened; all empty when it had a work order."""
        openings = self._sections.get("opening", [])
        said = {field.name: "" for field in catalogue.kind_named("opening").fields}
        if openings and not self.context["work_order"]["id"]:
            said |= self._values_of(openings[-1])
        return said

    def rows(self, kind: str, limit: int = ROWS) -> list[dict[str, Any]]:
        """The entries of ``kind`` that are printed, their texts cleaned."""
        return [entry | {"value": self._values_of(entry)} for entry in self._take(kind, limit)]

    def more(self, kind: str) -> int:
        """How many entries of ``kind`` stand in ``visit.json`` only, once its rows were asked."""
        return len(self._sections.get(kind, [])) - self._printed.get(kind, 0)

    def _take(self, kind: str, limit: int = ROWS) -> list[dict[str, Any]]:
        """The entries of ``kind`` that still fit, in a section and on the paper."""
        entries = self._sections.get(kind, [])[: min(limit, self._rows_left)]
        self._rows_left -= len(entries)
        self._printed[kind] = len(entries)
        return entries

    def others(self) -> list[dict[str, Any]]:
        """Signed entries no section before printed, kinds of a newer version among them."""
        rest = [
            entry
            for kind, entries in self._sections.items()
            if kind not in self._printed and kind not in _APART
            for entry in entries
        ]
        shown = rest[: min(ROWS, self._rows_left)]
        self._rows_left -= len(shown)
        self._others_more = len(rest) - len(shown)
        return [self.described(entry) for entry in shown]

    def voids(self) -> list[dict[str, Any]]:
        """Entries withdrawn before the signature, with the reason."""
        return [self.described(one) for one in self._take("void")]

    def addenda(self) -> list[dict[str, Any]]:
        """What came after the signature, described; at most ROWS."""
        return [self.described(entry) for entry in self._addenda[:ROWS]]

    def addenda_more(self) -> int:
        """How many addenda stand in ``visit.json`` only."""
        return max(0, len(self._addenda) - ROWS)

    def others_more(self) -> int:
        """How many further entries stand in ``visit.json`` only, once they were asked."""
        return self._others_more

    def described(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """``entry`` as ``{label, about, author, at, wall_at, lines}`` for a block of any kind.

        ``label`` and the labels of ``lines`` (``[label, type, value]``) are message ids.
        """
        value = entry["value"]
        lines: list[tuple[str, str, Any]] = []
        about = ""
        if entry["kind"] == "correction":
            for path, corrected in value.items():
                target = self._all.get(path.split("/")[1]) if path.count("/") >= 2 else None
                label, line_type, shown = self._line(
                    target["kind"] if target else "", path.rsplit("/", 1)[-1], corrected
                )
                about = self.label(target["kind"]) if target else ""
                lines.append((label, line_type, shown))
        else:
            if entry["kind"] == "void" and str(value.get("entry")) in self._all:
                about = self.label(self._all[value["entry"]]["kind"])
            for name, told in value.items():
                # an id says nothing to a reader; the kind it names stands in ``about``
                if name in _UNSEEN or told in (None, "", []):
                    continue
                # a change of a "set" kind after the signature names its whole path
                kind = name.split("/")[0] if "/" in name else entry["kind"]
                lines.append(self._line(kind, name.rsplit("/", 1)[-1], told))
        return {
            "label": self.label(entry["kind"]),
            "about": about,
            "author": self.person(entry["author"]),
            "wall_at": entry["wall_at"],
            "at": entry.get("at") or entry["wall_at"],
            "lines": lines[:ROWS],
        }

    def label(self, kind: str) -> str:
        """The message id of a kind's name; an unknown kind stands for itself."""
        return (
            catalogue.kind_named(kind).label if catalogue.is_known(kind) else self._text(kind, 40)
        )

    def entry_label(self, entry_id: str) -> str:
        """The message id of the kind of the entry ``entry_id``."""
        entry = self._all.get(entry_id)
        return self.label(entry["kind"]) if entry else "—"

    def _line(self, kind: str, name: str, value: Any) -> tuple[str, str, Any]:
        field = _field_of(kind, name)
        if field is None:
            return self._text(name, 60), "text", self._text(_plain(value), LINE)
        if field.type == "choice":
            return field.label, "text", self.word(field.choices, value)
        if field.type == "ticks" and isinstance(value, list):
            return field.label, "text", " · ".join(self.word(field.choices, one) for one in value)
        if field.type == "moment" and _is_moment(value):
            return field.label, "moment", value
        if field.type == "money" and _is_number(value):
            return field.label, "text", self.money(value)
        if field.type in ("position", "strokes"):
            return field.label, "text", self._text(_plain(value), LINE)
        limit = catalogue.PARAGRAPH if field.type == "paragraph" else LINE
        return field.label, "text", self._text(_plain(value), limit)

    # times

    def downtimes(self) -> list[dict[str, Any]]:
        """Downtimes: ``{from_at, until_at, minutes}``, a half that was not told None.

        The event ``start`` begins a downtime (the system stops), ``stop`` ends it.
        """
        told = [one["value"] for one in self._take("downtime")]
        events = sorted(
            (one["at"], str(one.get("event"))) for one in told if _is_moment(one.get("at"))
        )
        pairs: list[dict[str, Any]] = []
        for at, event in events:
            if event == "start":
                pairs.append({"from_at": at, "until_at": None, "minutes": None})
            elif pairs and pairs[-1]["until_at"] is None:
                pairs[-1]["until_at"] = at
                pairs[-1]["minutes"] = minutes_between(pairs[-1]["from_at"], at)
            else:
                pairs.append({"from_at": None, "until_at": at, "minutes": None})
        return pairs

    def completed_at(self) -> str | None:
        """The latest completion time among the measures."""
        told = [one["value"].get("completed_at") for one in self._sections.get("measure", [])]
        return max((at for at in told if _is_moment(at)), default=None)

    # money

    def money(self, minor: int | None) -> str:
        """An amount in minor units as text, a dash for what is none."""
        if minor is None:
            return "—"
        try:
            return self._money(minor, self._currency)
        except ValueError:  # a currency that only a phone knows must not stop its paper
            return f"{minor // 100}.{minor % 100:02}"

    def amount_of(self, charge: Mapping[str, Any]) -> int | None:
        """What a charge costs in minor units; None when its numbers are none that a form takes."""
        quantity, price = charge["value"].get("quantity"), charge["value"].get("unit_price")
        if not _is_number(quantity) or not _is_number(price):
            return None
        if not 0 < quantity <= catalogue.PIECES or price > catalogue.AMOUNT:
            return None  # the page on which the customer signed leaves it out too
        return int(quantity) * int(price)

    def totals(self) -> dict[str, int]:
        """The sum of all charges by category, those that are not printed included."""
        sums: dict[str, int] = {}
        for charge in self._sections.get("charge", []):
            amount = self.amount_of(charge)
            if amount is not None:
                category = str(charge["value"].get("category"))
                sums[category] = sums.get(category, 0) + amount
        return sums

    def total(self) -> int:
        """The sum of all charges in minor units."""
        return sum(self.totals().values())

    # things

    def picture_of(self, entry: Mapping[str, Any]) -> str | None:
        """The name of the picture drawn from an entry's strokes; None when there is none."""
        name = f"ink-{entry['id']}"
        return name if name in self.pictures else None

    def notice(self, entry_id: str) -> str:
        """The number of the loaner notice of an entry, a dash while it has none."""
        return self._text(self._notices.get(entry_id) or "—", LINE)

    def notice_of(self, loaner_serial: str) -> str:
        """The number of the notice under which the loaner was issued, a dash when unknown."""
        for loaner in self._loaners:
            if loaner["loaner_serial"] == loaner_serial:
                return self._text(loaner["notice"] or "—", LINE)
        for entry in self._sections.get("loaner", []):
            if entry["value"].get("loaner_serial") == loaner_serial:
                return self.notice(entry["id"])
        return "—"

    def photos(self) -> list[dict[str, Any]]:
        """The photos: ``{name, state, slot, caption, unmarked, at, author}``.

        ``name`` is the picture's or None; ``unmarked`` is empty unless somebody drew on it.
        """
        photos = []
        for entry in self._take("photo", PHOTOS):
            sha256 = str(entry["value"].get("sha256"))
            name = f"photo-{sha256}"
            slot = entry["value"].get("slot")
            state = self._photos.get(sha256, {"state": "to-come"})["state"]
            if state == "shown" and name not in self.pictures:
                state = "unreadable"
            photos.append(
                {
                    "name": name if state == "shown" else None,
                    "state": state,
                    "slot": self.word("photo_slots", slot) if slot else "",
                    "caption": self._text(_plain(entry["value"].get("caption") or ""), LINE),
                    "unmarked": self._text(_plain(entry["value"].get("unmarked") or ""), 64),
                    "sha256": self._text(sha256, 64),
                    "at": entry["wall_at"],
                    "author": self.person(entry["author"]),
                }
            )
        return photos

    # text

    def _corrected(
        self, entry: dict[str, Any], entries: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """``entry`` with the corrections made before the signature."""
        start = f"entries/{entry['id']}/"
        value = dict(entry["value"])
        for other in entries:
            if other["kind"] == "correction":
                for path, corrected in other["value"].items():
                    if path.startswith(start):
                        value[path[len(start) :]] = corrected
        for path, values in self._fields.items():
            if path.startswith(start) and values:
                one = len(values) == 1
                value[path[len(start) :]] = values[0] if one else " / ".join(map(_plain, values))
        return entry | {"value": value}

    def _values_of(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Every field of the entry's kind, None where nothing was told.

        The journal takes whatever a phone sends, so a value may be of any type.
        """
        value: dict[str, Any] = {}
        for field in catalogue.kind_named(entry["kind"]).fields:
            told = entry["value"].get(field.name)
            if field.type == "ticks":
                value[field.name] = told[:ROWS] if isinstance(told, list) else []
            elif field.type == "moment":
                value[field.name] = told if _is_moment(told) else None
            elif field.type in ("count", "money"):
                value[field.name] = told if _is_number(told) else None
            elif told in (None, ""):
                value[field.name] = None
            else:
                limit = catalogue.PARAGRAPH if field.type == "paragraph" else LINE
                value[field.name] = self._text(_plain(told), limit)
        return value

    def _clean(self, value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            is_long = name.endswith("text") or name == "opinion"
            return self._text(value, catalogue.PARAGRAPH if is_long else LINE)
        if isinstance(value, dict):
            return {key: self._clean(one, str(key)) for key, one in list(value.items())[:ROWS]}
        if isinstance(value, list):
            return [self._clean(one, name) for one in value[:ROWS]]
        return value

    def _text(self, text: str, limit: int) -> str:
        """``text`` for print, at most ``limit`` characters and what is left of the paper's TEXT."""
        # the raw text may be as long as a phone can send: cut before anything walks it
        text = printable(text[: 2 * limit])
        limit = min(limit, max(self._left, 20))
        lines = re.sub("\n{3,}", "\n\n", text).split("\n")
        text = "\n".join(lines[: LINES if self._left > 0 else 1])
        if len(text) > limit or len(lines) > LINES:
            text = text[:limit] + "…"
        self._left -= len(text) + LINE_COST * text.count("\n")
        if self._replace:
            for character in missing_characters(text):
                text = text.replace(character, f"[U+{ord(character):04X}]")
        return text


_CONTEXT = ("request", "work_order", "customer", "site", "contact", "asset", "policy")
_LANGUAGES = {"zh_CN": ("zh",), "en": ("en",), "both": ("zh", "en")}

_UNSEEN = frozenset(["entry", "quote", "agreed", "strokes"])
"""What of an entry is for machines, or stands elsewhere."""

_APART = frozenset(["photo", "refusal", "void", "correction", "signature"])
"""Kinds that papers print at their end, or with what they are about."""


def _field_of(kind: str, name: str) -> catalogue.Field | None:
    """The field of the catalogue; None when a newer version knows it and this one does not."""
    if not catalogue.is_known(kind):
        return None
    return next((one for one in catalogue.kind_named(kind).fields if one.name == name), None)


def _is_number(value: Any) -> bool:
    """A whole number, not below nothing, that JavaScript holds exactly."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _is_moment(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}Z", value))


def minutes_between(start: str, end: str) -> int:
    """Whole minutes from ``start`` to ``end`` (ISO UTC), rounded down; below zero when reversed."""
    return int((_utc(end) - _utc(start)).total_seconds() // 60)


def _utc(at: str) -> dt.datetime:
    return dt.datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)


def digest_of(snapshot: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical snapshot in lower-case hex."""
    return hashlib.sha256(rfc8785.dumps(dict(snapshot))).hexdigest()
