"""Unsent work that a phone saved as a file because it got through no more, and how it is taken.

A file can be changed by anybody: what it says is flagged, and decides nothing that only the desk
may decide.  The shape is written by ``static/phone/standing.js``::

    {format: "fieldapp.unsent", version: 1, person: {id, name}, device, exported_at,
     operations: [an operation with its hash, …], photos: [{sha256, visit, type, base64}, …]}
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import current_app
from sqlalchemy import select

from fieldapp import blobs
from fieldapp.models import Device, Person, db
from fieldapp.perform import Unit, unit
from sync import protocol
from sync.problems import Problem

FORMAT = "fieldapp.unsent"
VERSION = 1

FROM_FILE = "operation.from-file"


@dataclass(frozen=True)
class HandedIn:
    """A checked file.  ``exported_at`` is None when it does not say; ``photos`` are by hash."""

    person: Person
    device: Device | None
    exported_at: datetime | None
    operations: list[Any]
    photos: dict[str, bytes]

    @property
    def visits(self) -> list[str]:
        """Ids of the visits that the operations name."""
        named = [body.get("visit") for body in self.operations if isinstance(body, Mapping)]
        return sorted({id_ for id_ in named if isinstance(id_, str)})


@dataclass(frozen=True)
class Taken:
    """What became of a file: operations taken and those that were here already, and photos."""

    taken: int
    known: int
    photos: int


def read_handed_in(data: bytes, org_id: str) -> HandedIn:
    """The file in ``data``, all of it checked, for the organisation ``org_id``.

    Raises Problem("unsent.unreadable"), Problem("unsent.format"), Problem("unsent.person") and
    Problem("unsent.photo").
    """
    try:
        body = protocol.read_json(data)
    except ValueError:
        raise Problem("unsent.unreadable") from None
    if not isinstance(body, dict) or (body.get("format"), body.get("version")) != (FORMAT, VERSION):
        raise Problem("unsent.format")
    operations, photos = body.get("operations"), body.get("photos")
    if not isinstance(operations, list) or not isinstance(photos, list):
        raise Problem("unsent.format")
    person = _person(body.get("person"), org_id)
    return HandedIn(
        person,
        _device(body.get("device"), person),
        _moment(body.get("exported_at")),
        operations,
        dict(_photo(item) for item in photos),
    )


def take_in(handed_in: HandedIn, org_id: str, now: datetime) -> Taken:
    """Take a checked file; taken twice it does nothing more.

    Photos first: should one fail to be stored, no operation was taken and the file comes again.
    """
    person_id = handed_in.person.id
    device_id = handed_in.device.id if handed_in.device is not None else None
    stored = 0
    for sha256, data in handed_in.photos.items():
        before = blobs.received(org_id, sha256)
        stored += before is None or before.complete_at is None
        blobs.store(org_id, sha256, data, now)
    with unit(org_id, now) as opened:
        device = db.session.get(Device, device_id) if device_id is not None else None
        receipts = [
            receipt
            for is_own in (True, False)
            for receipt in opened.receive(
                [body for body in handed_in.operations if _is_by(body, person_id) is is_own],
                None,
                device.skew_ms if device is not None else 0,
                _problems(opened, person_id, device, is_own),
            )
        ]
        known = sum(receipt.state == "duplicate" for receipt in receipts)
        if device is not None:
            # What is here now is not on the phone alone any more.
            device.unsent = max(0, device.unsent - (len(receipts) - known) - stored)
    return Taken(len(receipts) - known, known, stored)


def _problems(opened: Unit, person_id: str, device: Device | None, is_own: bool) -> list[str]:
    """What is noted with everything: a file is no way round what a push of this phone would get."""
    person = db.session.get_one(Person, person_id)
    found = [FROM_FILE]
    if person.left_at is not None or (device is not None and device.revoked_at is not None):
        found.append("device.revoked")
    return found if is_own else [*found, "author.not-owner"]


def _is_by(body: Any, person_id: str) -> bool:
    """Whether an operation is the person's; what cannot be read says nothing of anybody else."""
    return not isinstance(body, Mapping) or body.get("author") == person_id


def _person(told: Any, org_id: str) -> Person:
    id_ = told.get("id") if isinstance(told, dict) else None
    if not _is_key(id_):
        raise Problem("unsent.format")
    person = db.session.scalar(select(Person).where(Person.id == id_, Person.org_id == org_id))
    if person is None:
        raise Problem("unsent.person")
    return person


def _device(id_: Any, person: Person) -> Device | None:
    """The phone that the file came from, when it is the person's."""
    if not _is_key(id_):
        return None
    return db.session.scalar(
        select(Device).where(
            Device.id == id_, Device.org_id == person.org_id, Device.person_id == person.id
        )
    )


def _photo(item: Any) -> tuple[str, bytes]:
    """Hash and bytes of one photo; Problem("unsent.photo") unless they belong together."""
    told = item if isinstance(item, dict) else {}
    sha256, text = told.get("sha256"), told.get("base64")
    if not blobs.is_name(sha256) or not isinstance(text, str):
        raise Problem("unsent.photo")
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise Problem("unsent.photo") from None
    is_whole = hashlib.sha256(data).hexdigest() == sha256
    if not is_whole or len(data) > current_app.config["BLOB_BYTES"]:
        raise Problem("unsent.photo")
    return sha256, data


def _moment(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        return None


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 36 and value.isprintable()
