"""``/sync…``: what phones and server say to each other.  An HTTP skin over ``sync.protocol``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from fieldapp import blobs, phones
from fieldapp.access import device_of_request, enrol_device, needs, signed_in
from fieldapp.database import begin_reading, begin_writing
from fieldapp.models import Device, Organisation, Visit, db
from fieldapp.perform import Receipt, unit
from fieldapp.presentation import State, blank_visit, policy_of, present
from sync import clock, protocol, scope
from sync.canonical import canonical, sha256
from sync.problems import Problem

bp = Blueprint("exchange", __name__, url_prefix="/sync")

PHONE_COOKIE_SECONDS = 400 * 24 * 3600
"""How long a browser remembers which phone it is: the longest that browsers keep a cookie."""


@bp.post("/devices")
@needs("engineer")
def create_device() -> ResponseReturnValue:
    """Enrol the phone of the person signed in; the credential is shown this once."""
    now = datetime.now(UTC)
    begin_writing()
    device, credential = enrol_device(g.person, request.headers.get("User-Agent", ""), now)
    earlier = phones.note_replaced(device, _replaced())
    is_emptied = earlier is not None and device.replaces_reason == phones.EVICTED
    heard_at = earlier.heard_at if earlier is not None else None
    db.session.commit()
    answer = _answer(
        {
            "device": device.id,
            "credential": credential,
            "person": {"id": g.person.id, "name": g.person.name},
            "epoch": g.person.organisation.epoch,
            "now": _ms(now),
            "emptied": {"heard_at": _ms(heard_at) if heard_at else 0} if is_emptied else None,
        }
    )
    # A browser that empties a store keeps what the server itself set.
    answer.set_cookie(
        f"phone-{g.person.id}",
        device.id,
        max_age=PHONE_COOKIE_SECONDS,
        path="/sync/devices",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Strict",
    )
    return answer


def _replaced() -> Any:
    """Which phone this one takes the place of, by its own word or by what its browser remembers.

    One that still holds its store tells what it replaces, or does not enrol at all.
    """
    told = request.get_json(silent=True)
    remembered = request.cookies.get(f"phone-{g.person.id}")
    if remembered is None or (isinstance(told, dict) and told.get("replaces")):
        return told
    return {"replaces": remembered, "reason": phones.EVICTED}


@bp.post("/push")
def create_operations() -> ResponseReturnValue:
    """Operations from a phone; one receipt each."""
    device = device_of_request()
    now = datetime.now(UTC)
    body = _json(current_app.config["PUSH_BYTES"])
    push = protocol.read_push(body, current_app.config["PUSH_OPERATIONS"])
    skew = clock.skew_ms(push.now_ms, _ms(now))
    with unit(device.org_id, now) as opened:
        receipts = opened.receive(push.operations, device, skew)
        here = db.session.get_one(Device, device.id, with_for_update=True)
        here.skew_ms = skew
        here.high = max(here.high, push.high)
        phones.hear(here, push.unsent, now)
        epoch = opened.organisation.epoch
    return _answer(
        {
            "receipts": [_receipt(receipt) for receipt in receipts],
            "epoch": epoch,
            "now": _ms(now),
            "skew": skew,
        }
    )


@bp.post("/pull")
def create_pull() -> ResponseReturnValue:
    """What changed for this phone since its cursor."""
    device = device_of_request()
    if device.revoked_at is not None:
        raise Problem("access.revoked", device=device.id)
    person = signed_in()
    if person is None or person.id != device.person_id:
        raise Problem("access.sign-in")
    now = datetime.now(UTC)
    body = _json(current_app.config["PUSH_BYTES"])
    protocol.check(body)
    unsent = protocol.read_unsent(body)
    if phones.is_news(device, unsent, now):
        begin_writing()
        phones.hear(db.session.get_one(Device, device.id), unsent, now)
        db.session.commit()
    begin_reading()
    organisation = db.session.get_one(Organisation, device.org_id)
    epoch, high = organisation.epoch, device.high
    cursor = protocol.read_cursor(body.get("cursor"), epoch)
    table: Any = Visit.__table__
    connection = db.session.connection()
    if isinstance(body.get("held"), dict):
        page = _difference(connection, table, device, body["held"], cursor)
    else:
        page = scope.changes(connection, table, device.org_id, device.person_id, cursor)
    held = scope.scope_of(connection, table, device.org_id, device.person_id)
    policy = policy_of(device.org_id)
    visits = list(db.session.scalars(select(Visit).where(Visit.id.in_(page.changed))))
    # Before presenting, which ends the transaction: a later revision would belong to another state.
    rev = {visit.id: visit.rev for visit in visits}
    # What a blank visit holds follows what other visits do: where there are any, it need not be
    # looked up for each poll.
    is_asked = bool(visits) or not held or not body.get("blank")
    blanks = [blank_visit(person)] if is_asked else []
    states = present([*visits, *blanks], person, now)
    blank = _blank(states.pop(), body.get("blank")) if blanks else None
    return _answer(
        {
            "epoch": epoch,
            "cursor": page.cursor.write(),
            "changed": [
                {"visit": state["visit"]["id"], "rev": rev[state["visit"]["id"]], "state": state}
                for state in states
            ],
            "removed": [{"visit": id_, "reason": reason} for id_, reason in page.removed],
            "more": page.more,
            "digest": protocol.digest(held),
            "high": high,
            "policy": policy.data if body.get("policy") != policy.version else None,
            "policy_version": policy.version,
            "blank": blank,
            "now": _ms(now),
        }
    )


@bp.route("/blobs/<sha256>", methods=["HEAD"])
def show_blob(sha256: str) -> ResponseReturnValue:
    """How much of a blob is here."""
    device = device_of_request()
    blob = blobs.received(device.org_id, sha256)
    done = "1" if blob is not None and blob.complete_at is not None else "0"
    offset = str(blob.received if blob else 0)
    return Response(headers=_blob_headers(offset, done), content_type=protocol.MEDIA_TYPE)


@bp.put("/blobs/<sha256>")
def create_blob(sha256: str) -> ResponseReturnValue:
    """A blob or its next piece."""
    device = device_of_request()
    offset = _header("Upload-Offset")
    size = _header("Upload-Length")
    if request.content_length is None or request.content_length > current_app.config["BLOB_BYTES"]:
        raise Problem("content.too-large")
    blob = blobs.append(
        device.org_id, sha256, offset, size, request.get_data(cache=False), datetime.now(UTC)
    )
    return _answer(
        {"sha256": sha256, "received": blob.received, "complete": blob.complete_at is not None}
    )


def _difference(
    connection: Any, table: Any, device: Device, held: dict[str, Any], cursor: protocol.Cursor
) -> scope.Page:
    """Exactly what differs from the ``{visit: rev}`` that a phone holds."""
    here = scope.scope_of(connection, table, device.org_id, device.person_id)
    changed = sorted(id_ for id_, rev in here.items() if held.get(id_) != rev)
    removed = sorted(str(id_) for id_ in held if id_ not in here)
    return scope.Page(changed, [(id_, "unassigned") for id_ in removed], cursor, False)


def _blank(state: State, known: Any) -> dict[str, Any] | None:
    """What a phone shows of a visit that it opens itself; None when it holds that already."""
    name = sha256(canonical(state))
    return {"sha256": name, "state": state} if name != known else None


def _json(most: int) -> Any:
    """The request's JSON.

    Raises Problem("content.wrong-type"), Problem("content.too-large"), Problem("push.not-json").
    """
    if request.mimetype not in (protocol.MEDIA_TYPE, "application/json"):
        raise Problem("content.wrong-type")
    if request.content_length is None or request.content_length > most:
        raise Problem("content.too-large")
    try:
        return protocol.read_json(request.get_data(cache=False))
    except ValueError:
        raise Problem("push.not-json") from None


def _header(name: str) -> int:
    text = request.headers.get(name, "")
    if not text.isdecimal() or len(text) > 12:
        raise Problem("content.unreadable")
    return int(text)


def _blob_headers(offset: str, complete: str) -> dict[str, str]:
    return {
        "Upload-Offset": offset,
        "Upload-Complete": complete,
        "Fieldapp-Protocol": str(protocol.PROTOCOL),
    }


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return {"id": receipt.id, "state": receipt.state, "reasons": list(receipt.reasons)}


def _answer(body: dict[str, Any]) -> Response:
    return Response(
        json.dumps({"protocol": protocol.PROTOCOL} | body, ensure_ascii=False),
        content_type=protocol.MEDIA_TYPE,
    )


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
