"""What the office knows about engineers' phones: when each was heard and what it still holds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from fieldapp.database import begin_writing
from fieldapp.models import Device, Person, db
from sync.problems import Problem

HEARD_AGAIN = timedelta(minutes=1)
"""A phone that only asks is noted as heard this often: reading must stay cheap."""

EVICTED, REVOKED = REASONS = ("evicted", "revoked")
"""Why a phone took the place of another: its storage was emptied, or the office revoked it."""


def hear(device: Device, unsent: int | None, now: datetime) -> None:
    """Note that ``device`` was heard and how many items and photos it still holds, if it said."""
    device.heard_at = now
    if unsent is not None:
        device.unsent = unsent


def is_news(device: Device, unsent: int | None, now: datetime) -> bool:
    """Whether hearing ``device`` with ``unsent`` is worth a write."""
    if device.heard_at is None or now - device.heard_at >= HEARD_AGAIN:
        return True
    return unsent is not None and unsent != device.unsent


def note_replaced(device: Device, told: Any) -> Device | None:
    """Note which phone of the same person the new ``device`` took the place of; the one it was."""
    id_ = told.get("replaces") if isinstance(told, dict) else None
    if not isinstance(id_, str) or not id_.isprintable():
        return None
    earlier = db.session.scalar(
        select(Device).where(
            Device.id == id_,
            Device.org_id == device.org_id,
            Device.person_id == device.person_id,
        )
    )
    if earlier is not None:
        device.replaces_id = earlier.id
        device.replaces_reason = told["reason"] if told.get("reason") in REASONS else REASONS[0]
    return earlier


def still_there(device: Device, successor: Device | None = None) -> int:
    """How many items ``device`` performed that never arrived, as far as is known.

    Its own word counts photos too; the counters tell even of a phone that was emptied.  What a
    revoked phone still held goes out through its ``successor``: its own word is then out of date.
    """
    missing = max(device.high - device.received, 0)
    is_heir = successor is not None and successor.replaces_reason == REVOKED
    return missing if is_heir else max(device.unsent, missing)


@dataclass(frozen=True)
class Phone:
    """A device with what became of it.

    ``successor`` took its place.  ``still_there`` counts items that never arrived.
    """

    device: Device
    successor: Device | None
    still_there: int

    @property
    def is_emptied(self) -> bool:
        """Whether its storage was emptied: what had not arrived by then never will."""
        return self.successor is not None and self.successor.replaces_reason == EVICTED

    @property
    def is_used(self) -> bool:
        """Whether it is the phone that its owner works with."""
        return self.device.revoked_at is None and self.successor is None

    @property
    def may_send(self) -> bool:
        """Whether something may still come from it."""
        return not self.is_emptied and (self.is_used or self.still_there > 0)


def phones_of(org_id: str, person_ids: Collection[str] | None = None) -> dict[str, list[Phone]]:
    """Every phone by its owner, of some people or of all, the one heard last first."""
    statement = select(Device).where(Device.org_id == org_id).options(joinedload(Device.person))
    if person_ids is not None:
        statement = statement.where(Device.person_id.in_(sorted(person_ids)))
    devices = db.session.scalars(statement).all()
    successors = {device.replaces_id: device for device in devices if device.replaces_id}
    found: dict[str, list[Phone]] = {}
    for device in sorted(devices, key=_last_sign, reverse=True):
        successor = successors.get(device.id)
        phone = Phone(device, successor, still_there(device, successor))
        found.setdefault(device.person_id, []).append(phone)
    return found


def telling(phones: Sequence[Phone]) -> list[Phone]:
    """Those of one person's phones that something may still come from, the likeliest first.

    A phone that lies in a drawer with nothing on it says nothing beside the one in use.
    """
    sending = [phone for phone in phones if phone.may_send]
    holding = [phone for phone in sending if phone.still_there]
    return holding or sending[:1]


def revoke(by: Person, device_id: str, now: datetime) -> None:
    """Let nothing more reach a phone; what it still sends is kept apart.

    Revoked twice it stays revoked since the first time.  Raises Problem("phone.not-found").
    """
    org_id, person_id = by.org_id, by.id
    begin_writing()
    device = db.session.scalar(
        select(Device).where(Device.id == device_id, Device.org_id == org_id).with_for_update()
    )
    if device is None:
        raise Problem("phone.not-found")
    if device.revoked_at is None:
        device.revoked_at, device.revoked_by_id = now, person_id
    db.session.commit()


def _last_sign(device: Device) -> tuple[datetime, str]:
    return (device.heard_at or device.enrolled_at, device.id)
