"""What a test reads from a page of the desk, and phones whose pushes it needs."""

import re
from datetime import UTC, datetime
from html import unescape

from fieldapp.access import enrol_device
from fieldapp.ids import mint_id
from fieldapp.models import Device, Visit, db
from fieldapp.perform import unit
from sync.canonical import hash_of

SWAP = {"part_name": "board", "removed_serial": "A-1", "installed_serial": "B-2", "fate": "scrap"}
"""A board that went for good; noted twice, B-2 was installed more than once."""


def hidden(page, noun, name):
    """The value of a hidden field in the form of ``noun``."""
    form = re.search(rf'action="[^"]*/{noun}".*?</form>', page, re.S)[0]
    return unescape(re.search(rf'name="{name}" value="([^"]*)"', form)[1])


def carried(page, noun):
    return {name: hidden(page, noun, name) for name in ("heads", "was")}


def part(page, id_):
    """The section or article with the id ``id_``, as text without tags."""
    found = re.search(rf'<(section|article)[^>]*id="{id_}".*?</\1>', page, re.S)
    return " ".join(unescape(re.sub("<[^>]*>", " ", found[0])).split()) if found else ""


def look(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def state_of(visit):
    db.session.rollback()
    return db.session.get(Visit, visit.id, populate_existing=True).state


def open_flags(visit):
    return [flag["code"] for flag in state_of(visit)["flags"] if not flag["dismissed"]]


def enrol(person, heard_at=None, browser="Mozilla/5.0 (iPhone)", **values):
    """A phone of ``person``."""
    device, _ = enrol_device(person, browser, heard_at or datetime.now(UTC))
    device.heard_at = heard_at
    for name, value in values.items():
        setattr(device, name, value)
    db.session.commit()
    return device


def pushed(visit, author, kind, value, device=None, n=1, **more):
    """An operation as a phone writes it."""
    now = datetime.now(UTC)
    body = {
        "id": mint_id(now), "v": 1, "visit": visit.id, "device": device.id if device else "d" * 36,
        "n": n, "author": author.id, "kind": kind, "value": value, "supersedes": {},
        "wall": int(now.timestamp() * 1000) - 60_000, "mono": 0, "boot": "b", "skew": 0, "app": "1",
    } | more  # fmt: skip
    return body | {"hash": hash_of(body)}


def push(device, *bodies, skew_ms=0):
    """The office receives ``bodies`` from ``device``."""
    org_id, device_id = device.org_id, device.id
    db.session.commit()
    with unit(org_id, datetime.now(UTC)) as opened:
        return opened.receive(bodies, db.session.get(Device, device_id), skew_ms)
