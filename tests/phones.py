"""People and phones as the server meets them: only over HTTP."""

from __future__ import annotations

import functools
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from fieldapp.access import hash_password
from fieldapp.handover import sign
from fieldapp.ids import mint_id
from fieldapp.models import Person, Visit, db
from fieldapp.perform import received_of, unit
from sync import merge
from sync.canonical import hash_of
from sync.operation import Received, read_operation
from sync.protocol import MEDIA_TYPE, PROTOCOL, digest

PASSWORD = "seven swans, no signal"
PAGE = {"Sec-Fetch-Site": "same-origin"}
"""What a browser says of a form on one of our own pages."""


CLEO = {
    "name": "Cleo Ash",
    "role": "contact",
    "opinion": "thank you",
    "strokes": [[40, 90, 0, 70, 40, 60, 100, 95, 120, 130, 50, 180]],
}
"""What Cleo enters when she signs."""

OPENING = {
    "customer": "Harbour Cold Store",
    "site": "Gate 3, 8 Quay Road",
    "contact_name": "Cleo Ash",
    "contact_phone": "138-0000-0001",
    "job_type": "repair",
    "text": "horn sounds without an alarm",
}
"""What an engineer enters who opens a visit at a customer's that nobody planned."""


@functools.cache
def password_hash():
    """Everybody in the tests has the same password; hashing it is slow on purpose."""
    return hash_password(PASSWORD)


@dataclass(frozen=True)
class Somebody:
    """A person by what tests need to know; no row, so that it outlives every session."""

    id: str
    org_id: str
    account: str
    name: str

    @classmethod
    def of(cls, row):
        return cls(row.id, row.org_id, row.account, row.name)


def now_ms():
    return int(time.time() * 1000)


def client_of(app, person, language="en"):
    """A browser in which ``person`` is signed in."""
    client = app.test_client()
    with client.session_transaction() as session:
        session["person"] = person.id
        session["since"] = time.time()
        session["language"] = language
    return client


def at_desk(app, person, visit_id, *operations, now=None):
    """``operations`` (kind, value[, heads]) performed here by ``person``; their receipts."""
    with app.app_context():
        author = db.session.get_one(Person, person.id)
        with unit(person.org_id, now or datetime.now(UTC)) as opened:
            return [
                opened.perform(kind, visit_id, author, value, *heads)
                for kind, value, *heads in operations
            ]


def state_of(app, visit_id):
    """The folded state of a visit as the server holds it."""
    with app.app_context():
        return db.session.get_one(Visit, visit_id).state


def flags_of(app, visit_id):
    return sorted(flag["code"] for flag in state_of(app, visit_id)["flags"])


class Phone:
    """An enrolled phone: it mints operations, pushes them and keeps what it pulled."""

    def __init__(self, app, person):
        self.app, self.person = app, person
        self.browser = client_of(app, person)
        enrolled = self.browser.post("/sync/devices", headers=PAGE).json
        self.device, self.credential = enrolled["device"], enrolled["credential"]
        self.wire = app.test_client(use_cookies=False)
        self.headers = {"Authorization": f"Device {self.credential}", "Content-Type": MEDIA_TYPE}
        self.count, self.cursor, self.visits, self.removed = 0, "", {}, {}

    def operation(self, kind, visit_id, value, supersedes=None, /, **more):
        """An envelope as the worker writes it, with its hash."""
        self.count += 1
        body = {
            "id": mint_id(datetime.now(UTC)),
            "v": 1,
            "visit": visit_id,
            "device": self.device,
            "n": self.count,
            "author": self.person.id,
            "kind": kind,
            "value": value,
            "supersedes": supersedes or {},
            "wall": now_ms() - 60_000,
            "mono": 1,
            "boot": "boot",
            "skew": 0,
            "app": "test",
        } | more
        return body | {"hash": hash_of(body)}

    def note(self, visit_id, text="wet floor", /, **more):
        return self.operation("note", visit_id, {"text": text}, **more)

    def send(self, path, body, **headers):
        """POST ``body`` (JSON values, or text as it is) with the credential alone."""
        data = body if isinstance(body, str) else json.dumps(body)
        return self.wire.post(path, data=data, headers=self.headers | headers)

    def push(self, *bodies, now=None):
        return self.send(
            "/sync/push",
            {
                "protocol": PROTOCOL,
                "now": now_ms() if now is None else now,
                "high": self.count,
                "operations": list(bodies),
            },
        )

    def receipts(self, *bodies, now=None):
        """(state, reasons) of each, after checking that the receipts name what was sent."""
        response = self.push(*bodies, now=now)
        assert response.status_code == 200, response.text
        return [(receipt["state"], receipt["reasons"]) for receipt in response.json["receipts"]]

    def ask(self, **more):
        """One pull, in the browser whose cookie proves the session."""
        return self.browser.post(
            "/sync/pull",
            data=json.dumps({"protocol": PROTOCOL, "cursor": self.cursor} | more),
            headers=self.headers | PAGE,
        )

    def pull(self, **more):
        """Pull until nothing is left; the last answer."""
        for _ in range(50):
            response = self.ask(**more)
            assert response.status_code == 200, response.text
            told = response.json
            self.cursor = told["cursor"]
            for change in told["changed"]:
                self.visits[change["visit"]] = change
                self.removed.pop(change["visit"], None)
            for gone in told["removed"]:
                self.visits.pop(gone["visit"], None)
                self.removed[gone["visit"]] = gone["reason"]
            if not told["more"]:
                return told
        raise AssertionError("the server always has more")

    @property
    def revisions(self):
        return {visit_id: change["rev"] for visit_id, change in self.visits.items()}

    @property
    def digest(self):
        return digest(self.revisions)


def signature(phone, visit_id, *unsent, **value):
    """Cleo's signature on all that the phone shows: what the office holds, and ``unsent``."""
    phone.pull()
    context = phone.visits[visit_id]["state"]["context"]
    with phone.app.app_context():
        held = received_of(db.session.get_one(Visit, visit_id))
    mine = [Received(read_operation(body), body["wall"]) for body in unsent]
    state = merge.fold([*held, *mine], visit_id) | {"context": context}
    return phone.operation("signature", visit_id, sign(state, CLEO | value))


def loaner(phone, visit_id, serial="SP-1", **more):
    """A loaner lent for the alarm host at Cleo's, which has no power."""
    value = {
        "removed_serial": "WAH200-C1",
        "loaner_serial": serial,
        "reason_text": "no power",
        "told_text": "back on Friday",
    }
    return phone.operation("loaner", visit_id, value, **more)
