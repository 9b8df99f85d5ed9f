"""``/desk/phones``: every phone, when it was heard and what it still holds; revoking one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import g, redirect, request
from flask.typing import ResponseReturnValue

from fieldapp import phones
from fieldapp.access import needs
from fieldapp.desk.pages import DESK, bp, desk_page, minutes_between, names_of, phone_name
from fieldapp.phones import Phone
from fieldapp.presentation import policy_of
from sync import clock

SILENT_MINUTES = 60
"""After an hour of silence a phone may hold work that nobody has seen."""

EARLIER_PHONES = 100
"""How many phones out of use the page still lists."""


@dataclass(frozen=True)
class PhoneLine:
    """What is known of a phone somebody works with.

    ``minutes`` since it was heard (None: never); ``count`` items had not arrived by then.
    """

    owner: str
    minutes: int | None
    count: int

    @property
    def is_silent(self) -> bool:
        """Whether it may hold what nobody has seen."""
        return self.minutes is None or self.minutes >= SILENT_MINUTES

    @property
    def is_sure(self) -> bool:
        """Whether everything was here when it was heard, a moment ago."""
        return not self.count and not self.is_silent


def lines_of(
    org_id: str, now: datetime, person_ids: Collection[str] | None = None
) -> dict[str, list[PhoneLine]]:
    """What to say of people's phones, by person; nobody without a phone is in it."""
    lines = {
        person_id: _lines(phones.telling(owned), now)
        for person_id, owned in phones.phones_of(org_id, person_ids).items()
    }
    return {person_id: found for person_id, found in lines.items() if found}


@bp.get("/phones")
@needs(*DESK)
def show_phones() -> ResponseReturnValue:
    """The phones in use, and those that were."""
    return _page(200)


@bp.get("/phones/<device_id>/revocations")
@needs(*DESK)
def show_revocations(device_id: str) -> ResponseReturnValue:
    """The form stands on the page of all phones."""
    del device_id
    return redirect("/desk/phones", 303)


@bp.post("/phones/<device_id>/revocations")
@needs(*DESK)
def create_revocation(device_id: str) -> ResponseReturnValue:
    """The phone was lost or its owner left: nothing reaches it any more."""
    if request.form.get("sure") != "yes":
        return _page(422, unsure=device_id)
    phones.revoke(g.person, device_id, datetime.now(UTC))
    return redirect("/desk/phones", 303)


def _page(status: int, unsure: str = "") -> ResponseReturnValue:
    now, org_id = datetime.now(UTC), g.person.org_id
    owned = phones.phones_of(org_id).values()
    every = sorted(
        (phone for found in owned for phone in found),
        key=lambda phone: (phone.device.person.name, phone.device.enrolled_at, phone.device.id),
    )
    earlier = [phone for phone in every if not phone.is_used]
    earlier.sort(key=lambda phone: phone.device.enrolled_at, reverse=True)
    named = names_of([phone.device.revoked_by_id for phone in every if phone.device.revoked_by_id])
    return desk_page(
        "desk/phones.html",
        policy_of(org_id),
        status,
        used=[_shown(phone, named, now) for phone in every if phone.is_used],
        earlier=[_shown(phone, named, now) for phone in earlier[:EARLIER_PHONES]],
        zone=g.person.organisation.zone,
        unsure=unsure,
    )


def _shown(phone: Phone, named: Mapping[str, str], now: datetime) -> dict[str, Any]:
    device = phone.device
    skew = device.skew_ms
    return {
        "phone": phone,
        "device": device,
        "name": phone_name(device.person.name, device.browser_text),
        "revoked_by": named.get(device.revoked_by_id or "", ""),
        "minutes": minutes_between(device.heard_at, now),
        "skew_minutes": abs(skew) // 60_000 if clock.is_off(skew) else 0,
        "is_ahead": skew < 0,  # what is added to the phone's time to make it ours
    }


def _lines(told: Sequence[Phone], now: datetime) -> list[PhoneLine]:
    return [
        PhoneLine(
            phone.device.person.name,
            minutes_between(phone.device.heard_at, now),
            phone.still_there,
        )
        for phone in told
    ]
