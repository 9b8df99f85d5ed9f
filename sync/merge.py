"""A set of operations becomes the state of a visit.  The only place that decides who wins.

The fold is pure: order, repetition and batches of the operations change nothing.  The shape it
returns is described in ``docs/state.md``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sync import catalogue
from sync.canonical import canonical
from sync.changed import changes
from sync.decisions import doubts
from sync.operation import CUSTOMER, Received, by_code_unit, iso

State = dict[str, Any]

ARRIVALS_APART_MINUTES = 15
"""Arrivals further apart than this are flagged."""

DOUBTS = (
    "author.not-owner",
    "author.out-of-scope",
    "author.role",
    "device.revoked",
    "operation.from-file",
)
"""A fact from the field counts in spite of these; what only the desk may decide does not."""

UNREAD = ("operation.malformed", "operation.fold-failed")
"""Kept as it came, and left out."""

QUARANTINE = ("author.not-owner", "device.revoked")
"""Perhaps its author is another than it says: kept apart until somebody at the desk releases it."""

REOPENED = ("cancellation", "dismissal", "release", "resolution")
"""Decisions of the desk that a reopening takes back."""

OPENING = "opening"
"""An engineer begins a visit that the office knows nothing of: his until the desk assigns it."""

NO_WORK = ("remark", "proposal", "signature-request", OPENING, *catalogue.FROM_CUSTOMER)
"""Entries on a cancelled visit that are no work on it."""

NOT_FROM_FIELD = ("remark", "signature-request", *catalogue.FROM_CUSTOMER)
"""Entries that nobody made by working on site: they say nothing of how far the work is."""

WITNESS = ("witness_name", "witness_role")
"""Who saw somebody agree who cannot draw: his typed name then stands for the strokes."""

UNCALLED = ("author.out-of-scope", "author.role", "visit.unknown")
"""Who opens a visit that is there already would get it by that: such an opening is left out."""

_INSTANT = re.compile(
    "(?!9999)(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
)


def fold(received: Iterable[Received], visit_id: str) -> State:
    """The visit after the operations in ``received``, in whatever order they reached us.

    The same operation twice counts once.  Of several operations with one id the one that raises
    no doubt is folded, then the one with the smallest hash, so that every server chooses alike, and
    the id is flagged.  An operation that cannot be folded is left out and flagged.  Keys
    ``context``, ``people``, ``missing`` and ``sync`` are added by those who know them.
    """
    items = list(received)
    known = one_each(items)
    twice = {
        item.operation.id
        for item in items
        if item.operation.hash != known[item.operation.id].operation.hash
    }
    folder = _Folder(visit_id, known)
    for item in sorted(known.values(), key=lambda item: item.operation.id):
        folder.take(item)
    for id_ in twice:
        folder.flag("operation.same-id", id_)
    return mark_dismissed(folder.state())


def mark_dismissed(state: State) -> State:
    """Write into each flag of ``state`` who dismissed it, or None; returns ``state``, changed."""
    for flag in state["flags"]:
        flag["dismissed"] = None
        for dismissal in reversed(state["dismissals"]):  # the first one counts
            if (dismissal["entry"], dismissal["code"]) == (flag["operation"], flag["code"]):
                flag["dismissed"] = {
                    key: dismissal[key] for key in ("operation", "author", "at", "reason")
                }
    return state


def quarantined(received: Iterable[Received]) -> set[str]:
    """Ids of the operations among ``received`` that nobody released yet."""
    known = one_each(received)
    reopened = _judged(known, "reopening")
    released = _judged(known, "release", reopened)
    return {
        id_
        for id_, item in known.items()
        if set(QUARANTINE) & set(item.problems) and id_ not in released
    }


def reopened(received: Iterable[Received]) -> frozenset[str]:
    """Ids of the decisions that standing reopenings among ``received`` take back."""
    return _judged(one_each(received), "reopening")


def one_each(received: Iterable[Received]) -> dict[str, Received]:
    """The operation of each id that is folded, by its id."""
    known: dict[str, Received] = {}
    for item in received:
        other = known.get(item.operation.id)
        if other is None or _rank(item) < _rank(other):
            known[item.operation.id] = item
    return known


def standing_entries(state: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """The entries of one kind that nobody struck out, in their order."""
    return [entry for entry in state["entries"] if entry["kind"] == kind and not entry["voids"]]


def derive(state: State) -> State:
    """Fill ``visit`` from entries and fields; returns ``state``, changed.

    Twin: ``derive`` in ``static/phone/overlay.js``, cases in ``tests/vectors/overlay.json``.
    """
    standing = [entry for entry in state["entries"] if not entry["voids"]]
    of_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in standing:
        of_kind[entry["kind"]].append(entry)
    signed = [entry for entry in state["signatures"] if not entry["voids"]]
    minutes, still_down = _downtime(of_kind["downtime"])
    visit = state["visit"]
    visit["arrived_at"] = of_kind["arrival"][0]["at"] if of_kind["arrival"] else None
    visit["left_at"] = of_kind["leaving"][-1]["at"] if of_kind["leaving"] else None
    visit["eta_at"] = (
        of_kind["departure"][-1]["value"].get("eta_at") if of_kind["departure"] else None
    )
    visit["downtime_minutes"] = minutes
    visit["downtime_open"] = still_down
    visit["status"] = _status(state, of_kind, standing, signed)
    visit["changes"] = changes(state)
    return state


def _status(
    state: State,
    of_kind: Mapping[str, list[dict[str, Any]]],
    standing: list[dict[str, Any]],
    signed: list[dict[str, Any]],
) -> str:
    field_work = [entry for entry in standing if entry["kind"] not in NO_WORK]
    if "cancellation" in state["fields"] and not field_work:
        return "cancelled"
    review = state["fields"].get("review")
    if review:
        newest = _newest_at(state)
        reviewed_at = review["at"]
        if _verdict_of(review) == "accepted":
            return "accepted"
        return "under-review" if newest > reviewed_at else "sent-back"
    if of_kind["leaving"]:
        return "under-review" if of_kind["leaving"][-1]["sent"] else "left"
    if signed:
        return "signed"
    if of_kind["refusal"]:
        return "unsigned"
    if of_kind["arrival"]:
        return "on-site"
    if of_kind["departure"]:
        return "departed"
    return "planned"


def _newest_at(state: State) -> str:
    """Time of the newest thing the field did: an entry, a void, a signature or a set field."""
    times = [""]
    for entry in state["entries"] + state["signatures"]:
        if entry["kind"] in NOT_FROM_FIELD:
            continue
        times.append(entry["at"])
        times.extend(void["at"] for void in entry["voids"])
    for path, cell in state["fields"].items():
        if path.split("/")[0] in ("diagnosis", "outcome", "entries", "fault"):
            times.append(cell["at"])
    return max(times)


def _verdict_of(review: Mapping[str, Any]) -> Any:
    value = review["value"]
    return value.get("verdict") if isinstance(value, Mapping) else None


def _downtime(events: list[dict[str, Any]]) -> tuple[int, bool]:
    """Whole minutes between starts and stops, and whether the system is still down.

    Events in the order of what they say; one that names no time comes first and lasts no minute.
    """
    minutes, started = 0, None
    timed = [(_text(entry["value"].get("at")), entry) for entry in events]
    timed.sort(key=lambda pair: (by_code_unit(pair[0]), by_code_unit(pair[1]["id"])))
    for at, event in timed:
        if event["value"].get("event") == "start":
            started = at if started is None else started
        elif started is not None:
            minutes += _minutes_between(started, at)
            started = None
    return minutes, started is not None


def _minutes_between(start: str, end: str) -> int:
    """Whole minutes; 0 when either is no instant."""
    if not _INSTANT.fullmatch(start) or not _INSTANT.fullmatch(end):
        return 0
    try:
        length = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    except ValueError:
        return 0
    return int(length.total_seconds() // 60)


def _text(value: Any) -> str:
    """``value`` if it is a text, else the empty one: languages print other things differently."""
    return value if isinstance(value, str) else ""


class _Folder:
    """Collects operations by what they do and then reads off the state."""

    def __init__(self, visit_id: str, known: Mapping[str, Received]) -> None:
        self.visit_id = visit_id
        self.known = known
        self.reopened = _judged(known, "reopening")
        self.quarantined = quarantined(known.values())
        self.quarantine: list[dict[str, Any]] = []
        self.dismissals: list[dict[str, Any]] = []
        self.entries: dict[str, Received] = {}
        self.cells: dict[str, dict[str, Any]] = defaultdict(dict)  # path -> operation id -> value
        self.by_id: dict[str, Received] = {}
        self.superseded: dict[str, set[str]] = defaultdict(set)
        self.voids: dict[str, list[Received]] = defaultdict(list)
        self.signatures: dict[str, Received] = {}
        self.flags: list[dict[str, Any]] = []

    def take(self, item: Received) -> None:
        """File one operation under what it does; flag what cannot be filed."""
        operation = item.operation
        self.by_id[operation.id] = item
        for code in item.problems:
            name, _, detail = code.partition("=")
            self.flag(name, operation.id, _arguments(name, detail))
        if set(UNREAD) & set(item.problems):
            return
        if not catalogue.is_known(operation.kind):
            if not any(code.startswith("operation.unknown-kind") for code in item.problems):
                self.flag("operation.unknown-kind", operation.id, {"kind": operation.kind})
            return
        if not isinstance(operation.value, Mapping):
            self.flag("operation.malformed", operation.id)
            return
        kind = catalogue.kind_named(operation.kind)
        if operation.id in self.quarantined:
            self.quarantine.append(_apart(item))
            return
        is_claimed = kind.name in catalogue.FROM_CUSTOMER and operation.author == CUSTOMER
        if ("engineer" not in kind.roles or is_claimed) and set(DOUBTS) & set(item.problems):
            return
        if operation.kind in REOPENED and operation.id in self.reopened:
            return
        if operation.kind == OPENING and set(UNCALLED) & set(item.problems):
            return
        if kind.policy == "add":
            self.entries[operation.id] = item
        elif kind.policy == "sign":
            self.signatures[operation.id] = item
        elif kind.policy == "void":
            self.voids[_text(operation.value.get("entry"))].append(item)
        elif kind.policy == "assert":
            self.put(kind.name, dict(operation.value), item)
        elif kind.policy == "judgement":
            self.judge(item)
        else:
            for path, value in operation.value.items():
                if _may_set(kind, path, value):
                    self.put(path, value, item)
                else:
                    self.flag("operation.malformed", operation.id)

    def put(self, path: str, value: Any, item: Received) -> None:
        """One operation sets one path."""
        self.cells[path][item.operation.id] = value
        seen = set(item.operation.supersedes.get(path, ()))
        self.superseded[path] |= seen - {item.operation.id}

    def judge(self, item: Received) -> None:
        """The desk decided about one operation; what it names may still be on its way."""
        operation = item.operation
        entry = _text(operation.value.get("entry"))
        if operation.kind == "dismissal":
            code, reason = (_text(operation.value.get(key)) for key in ("code", "reason"))
            said = {"operation": operation.id, "entry": entry, "code": code, "reason": reason}
            self.dismissals.append(said | _who(item))
        elif entry not in self.known:
            self.flag("operation.dangling", operation.id)

    def flag(self, code: str, operation: str, args: Mapping[str, Any] | None = None) -> None:
        """Mark ``operation`` for a person to look at."""
        flag = {"code": code, "operation": operation, "args": dict(args or {})}
        if flag not in self.flags:
            self.flags.append(flag)

    def state(self) -> State:
        """The state of everything taken so far."""
        seen = self._signed()
        fields = {
            path: self._cell(path, seen) for path in sorted(self.cells) if self._is_placed(path)
        }
        entries = sorted(
            (self._entry(item, fields, seen) for item in self.entries.values()),
            key=lambda entry: (entry["at"], by_code_unit(entry["id"])),
        )
        signatures = sorted(
            (self._signature(item, seen) for item in self.signatures.values()),
            key=lambda entry: (entry["at"], by_code_unit(entry["id"])),
        )
        for entry_id, voids in self.voids.items():
            if entry_id not in self.entries and entry_id not in self.signatures:
                for void in voids:
                    self.flag("operation.dangling", void.operation.id)
        state: State = {
            "visit": {"id": self.visit_id},
            "fields": fields,
            "entries": entries,
            "signatures": signatures,
            "dismissals": sorted(
                self.dismissals, key=lambda said: (said["at"], by_code_unit(said["operation"]))
            ),
            "quarantine": sorted(
                self.quarantine, key=lambda apart: (apart["at"], by_code_unit(apart["id"]))
            ),
            "flags": self.flags,
        }
        derive(state)
        self._judge(state)
        state["flags"] = sorted(self.flags, key=lambda flag: (flag["operation"], flag["code"]))
        return state

    def _signed(self) -> set[str] | None:
        """Ids inside the frontier of any standing signature; None when there is none."""
        standing = [item for id_, item in self.signatures.items() if not self.voids.get(id_)]
        if not standing:
            return None
        return {id_ for item in standing for id_ in _frontier_of(item.operation.value)}

    def _is_placed(self, path: str) -> bool:
        """Whether a path belongs somewhere; corrections of an unknown entry wait, flagged."""
        if not path.startswith("entries/"):
            return True
        parts = path.split("/")
        if len(parts) == 3 and parts[1] in self.entries:
            return True
        for id_ in self.cells[path]:
            self.flag("operation.dangling", id_)
        return False

    def _cell(self, path: str, seen: set[str] | None) -> dict[str, Any]:
        candidates = self.cells[path]
        # Operations that supersede each other in a ring can only be forged: show them all.
        unseen = set(candidates) - self.superseded[path] or set(candidates)
        heads = sorted(unseen, key=by_code_unit)
        sides = sorted(
            (self._side(path, id_) | self._settled(path, id_) for id_ in heads),
            key=lambda side: (side["at"], by_code_unit(side["operation"])),
        )
        differ = len(sides) > 1 and len({canonical(side["value"]) for side in sides}) > 1
        return {
            "value": sides[-1]["value"],
            "heads": heads,
            "at": sides[-1]["at"],
            "author": sides[-1]["author"],
            "sides": sides,
            "conflict": differ,
            "after": seen is not None and self._is_on_paper(path) and not set(heads) <= seen,
        }

    def _side(self, path: str, id_: str) -> dict[str, Any]:
        return {"operation": id_, "value": self.cells[path][id_]} | _who(self.by_id[id_])

    def _settled(self, path: str, id_: str) -> dict[str, Any]:
        """What the resolution ``id_`` decided, earlier resolutions looked through.

        ``over`` is what lost by it; ``chose`` names the operations whose value it took, and is
        absent when there are none, as with every other operation.
        """
        candidates = self.cells[path]
        lost: dict[str, dict[str, Any]] = {}
        chosen: set[str] = set()
        ahead, passed = [id_], set()
        while ahead:
            operation = self.by_id[ahead.pop()].operation
            if operation.id in passed:
                continue
            passed.add(operation.id)
            is_same = canonical(candidates[operation.id]) == canonical(candidates[id_])
            if is_same and operation.id != id_:
                chosen.add(operation.id)
            if operation.kind == "resolution":
                ahead += [seen for seen in operation.supersedes.get(path, ()) if seen in candidates]
            elif not is_same:
                lost[operation.id] = self._side(path, operation.id)
        over = sorted(lost.values(), key=lambda side: (side["at"], by_code_unit(side["operation"])))
        return {"over": over} | ({"chose": sorted(chosen, key=by_code_unit)} if chosen else {})

    def _is_on_paper(self, path: str) -> bool:
        """Whether a path of a cell is printed: a correction is where its entry is."""
        head, *rest = path.split("/")
        if head == "entries" and rest:
            head = self.entries[rest[0]].operation.kind
        return catalogue.ON_PAPER.get(head, "never") != "never"

    def _voids_of(self, item: Received, seen: set[str] | None) -> list[dict[str, Any]]:
        operation = item.operation
        can_follow = seen is not None and catalogue.ON_PAPER[operation.kind] != "never"
        found = [
            {
                "operation": void.operation.id,
                "author": void.operation.author,
                "at": iso(void.corrected_ms),
                "wall_at": iso(void.operation.wall),
                "reason": _text(void.operation.value.get("reason")),
                "after": can_follow and void.operation.id not in (seen or ()),
            }
            for void in self.voids.get(operation.id, ())
        ]
        return sorted(found, key=lambda void: (void["at"], by_code_unit(void["operation"])))

    def _entry(
        self, item: Received, fields: Mapping[str, Any], seen: set[str] | None
    ) -> dict[str, Any]:
        operation = item.operation
        value = dict(operation.value)
        corrected = []
        names = {path.split("/")[2] for path in fields if _is_of(path, operation.id)}
        for name in sorted(names, key=by_code_unit):
            value[name] = fields[f"entries/{operation.id}/{name}"]["value"]
            corrected.append(name)
        on_paper = catalogue.ON_PAPER[operation.kind] != "never"
        return {
            "id": operation.id,
            "kind": operation.kind,
            **_who(item),
            "value": value,
            "corrected": corrected,
            "voids": self._voids_of(item, seen),
            "after": seen is not None and on_paper and operation.id not in seen,
            "sent": True,
        }

    def _signature(self, item: Received, seen: set[str] | None) -> dict[str, Any]:
        operation = item.operation
        value = {
            key: operation.value.get(key)
            for key in ("name", "role", "opinion", "strokes", "token", "digest", "language")
        }
        # Only where somebody could not draw: other signatures stay as they ever were.
        value |= {key: operation.value[key] for key in WITNESS if key in operation.value}
        return {
            "id": operation.id,
            "kind": operation.kind,
            **_who(item),
            "value": value,
            "frontier": sorted(_frontier_of(operation.value), key=by_code_unit),
            "verdict": "pending",
            "voids": self._voids_of(item, seen),
            "corrected": [],
            "after": False,
            "sent": True,
        }

    def _judge(self, state: State) -> None:
        """Flags that follow from several operations together."""
        standing = [entry for entry in state["entries"] if not entry["voids"]]
        arrivals = [entry for entry in standing if entry["kind"] == "arrival"]
        if len(arrivals) > 1:
            minutes = _minutes_between(arrivals[0]["at"], arrivals[-1]["at"])
            authors = {entry["author"] for entry in arrivals}
            if len(authors) > 1 or minutes > ARRIVALS_APART_MINUTES:
                self.flag("arrival.several", arrivals[-1]["id"], {"minutes": minutes})
        installed: dict[str, str] = {}
        for entry in standing:
            if entry["kind"] == "take-back" and entry["value"].get("test_result") != "passed":
                self.flag("loaner.untested", entry["id"])
            serial = _installed(entry)
            if not serial:
                continue
            if serial in installed:
                self.flag("part.serial-twice", entry["id"], {"serial": serial})
            installed[serial] = entry["id"]
        for entry in standing:
            if entry["kind"] == "question":
                self.flag("customer.question", entry["id"])
        for code, id_ in doubts(standing):
            self.flag(code, id_)
        cancellation = state["fields"].get("cancellation")
        field_work = [entry for entry in standing if entry["kind"] not in NO_WORK]
        if cancellation and field_work:
            self.flag("visit.work-on-cancelled", field_work[-1]["id"])
        review = state["fields"].get("review")
        if review and _verdict_of(review) == "accepted":
            for entry in standing:
                if entry["at"] > review["at"] and entry["kind"] not in NOT_FROM_FIELD:
                    self.flag("review.later-entries", entry["id"])


def _judged(
    known: Mapping[str, Received], kind: str, reopened: Collection[str] = ()
) -> frozenset[str]:
    """What standing judgements of ``kind`` are about."""
    return frozenset(
        _text(item.operation.value.get("entry"))
        for id_, item in known.items()
        if item.operation.kind == kind
        and isinstance(item.operation.value, Mapping)
        and not {*DOUBTS, *UNREAD} & set(item.problems)
        and id_ not in reopened
    )


def _apart(item: Received) -> dict[str, Any]:
    """An operation in quarantine as the desk sees it."""
    operation = item.operation
    code = next(code for code in QUARANTINE if code in item.problems)
    said = {"id": operation.id, "kind": operation.kind, "code": code}
    return said | {"value": dict(operation.value)} | _who(item)


def _rank(item: Received) -> tuple[bool, bool, str]:
    """Of two operations with one id the lower is folded."""
    is_damaged = "operation.hash-mismatch" in item.problems
    return is_damaged, any(code in DOUBTS for code in item.problems), item.operation.hash


def _may_set(kind: catalogue.Kind, path: str, value: Any) -> bool:
    """Whether a path belongs to ``kind``; a resolution decides every path, in its own shape."""
    if kind.policy == "correction":
        return path.startswith("entries/")
    if kind.fields:
        return path.startswith(f"{kind.name}/")
    owner = next((other for other in catalogue.KINDS if other.name == path), None)
    return owner is None or (owner.policy == "assert" and isinstance(value, Mapping))


def _installed(entry: Mapping[str, Any]) -> str:
    """The serial number that an entry puts into service at the customer, if any."""
    name = {
        "swap": "installed_serial",
        "loaner": "loaner_serial",
        "take-back": "refitted_serial",
    }.get(str(entry["kind"]))
    return str(entry["value"].get(name) or "") if name else ""


def _is_of(path: str, entry_id: str) -> bool:
    return path.startswith(f"entries/{entry_id}/")


def _who(item: Received) -> dict[str, Any]:
    return {
        "author": item.operation.author,
        "device": item.operation.device,
        "at": iso(item.corrected_ms),
        "wall_at": iso(item.operation.wall),
    }


def _frontier_of(value: Any) -> list[str]:
    frontier = value.get("frontier") if isinstance(value, Mapping) else None
    operations = frontier.get("operations") if isinstance(frontier, Mapping) else None
    if not isinstance(operations, list):
        return []
    return [id_ for id_ in operations if isinstance(id_, str)]


def _arguments(code: str, detail: str) -> dict[str, Any]:
    """The arguments of a stored problem: ``field.missing=Reason`` names its field."""
    if not detail:
        return {}
    name, _, more = detail.partition("|")
    if code.startswith("field."):
        return {"field": name, "limit": more, "character": more}
    if code == "clock.skew":
        return {"minutes": name}
    return {"kind": name}
