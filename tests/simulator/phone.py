"""A phone: static/phone/sync.js, perform.js and visits.js in Python, function for function.

Everything a phone awaits is a ``yield`` here: between two of them another request, another tap or a
crash may happen.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random

from sync import catalogue
from sync.canonical import canonical, hash_of, sha256
from sync.operation import new_id
from sync.protocol import MEDIA_TYPE, PROTOCOL, digest
from sync.snapshot import facts, frontier, snapshot_text
from tests.simulator.overlay import overlay
from tests.simulator.server import Answer
from tests.simulator.store import UNHEARD_OF, Storage, Store

BATCH = 3
"""Small, as the pieces are: a batch then ends within a history."""
PIECE_BYTES = 48
ENVELOPE_VERSION = 1
DEVICE_ENDED = {"access.revoked": "revoked", "access.missing-device": "unknown"}
STOPS = (401, 403, 429, 503)


class NoNetwork(Exception):
    """Nobody could be reached, or the connection broke."""


class NoAnswer(Exception):
    """The server answered something that is no answer of ours, or refused."""

    def __init__(self, status, code, is_ours=False, device=""):
        super().__init__(f"{status} {code}")
        self.status, self.code, self.is_ours, self.device = status, code, is_ours, device


def is_about(error):
    """Whether a refusal is about what was sent.  A proxy before the server may find it too large."""
    return error.status == 413 or (error.is_ours and error.status not in STOPS)


class Locked(Exception):
    """Nobody is signed in, or the phone does not hold the visit."""


def with_those_ahead(lacking, rows):
    """What the pulled state lacks, and what the office has about it already."""
    missing = {row["body"]["id"] for row in rows if row["state"] == lacking}
    return [
        row["body"]
        for row in rows
        if row["state"] == lacking
        or (row["state"] != "unsent" and missing & set(about(row["body"])))
    ]


def about(body):
    """The operations that one strikes out, corrects or takes the place of."""
    corrected = [path.split("/")[1] for path in body["value"] if path.startswith("entries/")]
    seen = [id_ for ids in body["supersedes"].values() for id_ in ids]
    return [body["value"].get("entry"), *corrected, *seen]


class Phone:
    """One phone in one history.  ``world`` has the clock, the network and the book of the history."""

    def __init__(self, name, world, seed):
        self.name, self.world = name, world
        self.chance = random.Random(f"{seed} {name}")
        self.offset_ms = 0
        self.app = "1.0.0"
        self.store = Store(self)
        self.session = None
        self.looks = {}  # pages open in its browser: what their forms showed
        self.remembered = None  # the device that the browser remembers outside its storage
        self.running = None  # the one sync that holds the lock of all tabs

    def now(self):
        """The phone's own clock in ms."""
        return max(self.world.clock.ms + self.offset_ms, 0)

    @property
    def person(self):
        """Who is signed in, as ``{id, name}``, or None."""
        return self.store.read_setting("person")

    # sync.js

    def enrol(self, person, before=None, is_fresh=True):
        """Enrol this phone for the person signed in, unless it is already, and make it his."""
        if self.store.read_setting("signing_out"):
            raise Locked
        if self.store.read_meta(person["id"], "wiped"):
            device = self.store.read_meta(person["id"], "device")
            yield from self.new_device(person, {"replaces": device, "reason": "revoked"})
        elif not self.store.read_meta(person["id"], "credential"):
            about = {"replaces": before, "reason": "evicted"} if before else {}
            yield from self.new_device(person, about)
        yield "writeSettings"
        self.store.write_settings({"person": person})
        yield "rememberPerson"
        self.remember_person(person)
        yield from self.synchronise()
        ended = DEVICE_ENDED.get(self.store.read_meta(person["id"], "paused"))
        if not ended or not is_fresh:
            return
        replaces = self.store.read_meta(person["id"], "device")
        yield from self.new_device(person, {"replaces": replaces, "reason": ended})
        yield from self.synchronise()

    def new_device(self, person, about):
        headers = {"Cookie": self.session, "Content-Type": MEDIA_TYPE}
        body = json.dumps(about).encode()
        response = yield from self.ask("POST", "/sync/devices", headers, body)
        told = self.answer(response)
        skew = told["now"] - self.now()
        yield "startDevice"
        self.store.start_device(
            person["id"], told["device"], told["credential"], told["epoch"], skew
        )

    def lock(self):
        """Nobody is signed in any more; what is not sent stays, under its owner's name."""
        yield "writeSettings"
        self.store.write_settings({"signing_out": True, "person": None})

    def finish_signing_out(self):
        """End the session that signing out without signal left behind."""
        if self.store.read_setting("signing_out"):
            self.session = None
            yield "fetch"
            self.store.write_setting("signing_out", False)

    def remember_person(self, person):
        people = self.store.read_setting("people") or []
        others = [each for each in people if each["id"] != person["id"]]
        self.store.write_setting("people", [*others, person])

    def synchronise(self):
        """Everybody's turn on this phone; only one sync at a time."""
        current = self.store.read_setting("person")
        if current:
            yield "rememberPerson"
            self.remember_person(current)
        for person in self.store.read_setting("people") or []:
            is_current = bool(current) and person["id"] == current["id"]
            yield from self.exchange(person, is_current)
            yield "tidy"
            self.store.tidy(person["id"], {visit for _, visit in self.looks})

    def exchange(self, person, is_current):
        """One person's turn: his push, and when he is the one signed in all the rest of it."""
        notes, paused, reached, is_revoked = {}, "", True, False
        database = self.store.storage.of(person["id"])
        if database.meta.get("wiped") and not database.meta.get("credential"):
            return  # nothing is left to be sent
        device = database.meta.get("device")
        others = (self.push, self.push_blobs, self.ask_standing)
        steps = (self.push, self.pull, self.push_blobs) if is_current else others
        try:
            for step in steps:
                changed, code, named = yield from self.attempt(step, person)
                is_revoked = is_revoked or (code == "access.revoked" and named == device)
                paused = paused or code
                if step == self.push_blobs and changed and is_current:
                    yield from self.attempt(self.pull, person)
        except NoNetwork:
            reached = False
        except NoAnswer as error:
            paused = paused or error.code
        # Nothing was learned while nobody was reached; of somebody else nothing was asked.
        if paused or (reached and is_current):
            notes["paused"] = paused
        yield "writeMeta"
        self.store.write_meta(person["id"], notes)
        if is_revoked:
            yield "wipe"
            self.world.wiped(self, person["id"])
            self.store.wipe(person["id"])

    def attempt(self, step, person):
        """One step; what the server itself refuses of it does not hold up the next."""
        try:
            return (yield from step(person)), "", ""
        except NoAnswer as error:
            if not (error.is_ours or is_about(error)):
                raise
            return True, error.code, error.device if error.is_ours else ""

    def push(self, person):
        """Every unsent operation, in batches; one that cannot be taken does not hold up others."""
        refused = set()
        size, is_first, trouble = BATCH, True, None
        while True:
            yield "readOutbox"
            outbox = self.store.read_outbox(person["id"])
            rows = [row for row in outbox if row["state"] == "unsent"]
            batch = [row for row in rows if row["id"] not in refused][:size]
            if not batch:
                break
            operations = [row["body"] | {"hash": hash_of(row["body"])} for row in batch]
            yield "hashed"
            standing = self.standing_of(person, len(batch))
            try:
                body = {"now": self.now(), **standing, "operations": operations}
                told = yield from self.send(person, "/sync/push", body)
            except NoAnswer as error:
                if not is_about(error):
                    raise
                if len(batch) == 1 and error.status >= 500 and trouble and is_first:
                    raise
                if len(batch) == 1:
                    refused.add(batch[0]["id"])
                    trouble, is_first = error, True
                size = max(1, (len(batch) + 1) // 2)
                continue
            is_first = False
            receipts = self.receipts_for(batch, told)
            if not receipts:
                raise NoAnswer(200, "answer.empty", True)
            yield "keepReceipts"
            self.store.keep_receipts(person["id"], receipts, self.heard(told))
            yield from self.notice(person, told["epoch"])
            size = min(BATCH, size * 2)
        if trouble:
            raise trouble

    def standing_of(self, person, sending=0):
        """What the server is told of this phone: its highest counter, what will still be unsent."""
        high = self.store.read_meta(person["id"], "counter") or 0
        operations, photos = self.store.read_unsent(person["id"])
        return {"high": high, "unsent": len(operations) + len(photos) - sending}

    def receipts_for(self, batch, told):
        """The receipts that name what was sent; for a copy damaged on its way there is none."""
        named = {row["id"] for row in batch}
        return [
            receipt
            for receipt in told["receipts"]
            if receipt["id"] in named and "operation.hash-mismatch" not in receipt["reasons"]
        ]

    def heard(self, told):
        """What every answer of the server tells of the time."""
        return {"skew": told["now"] - self.now(), "server_now": told["now"]}

    def notice(self, person, epoch):
        """A new epoch: the server was restored and may have lost what it had confirmed."""
        yield "readMeta"
        known = self.store.read_meta(person["id"], "epoch")
        if known == epoch:
            return
        if known:
            yield "unsendAll"
            self.store.unsend_all(person["id"])
        yield "writeMeta"
        self.store.write_meta(person["id"], {"epoch": epoch, "cursor": ""})

    def push_blobs(self, person):
        """Every photo that the server does not hold; whether any was sent."""
        sent, trouble = False, None
        yield "readUnsentPhotos"
        for name, _ in self.store.read_unsent_photos(person["id"]):
            yield "readBlob"
            blob = self.store.read_blob(person["id"], name)
            if blob is None:
                continue
            try:
                yield from self.push_blob(person, name, blob["bytes"])
                sent = True
            except NoAnswer as error:
                if not is_about(error):
                    raise
                trouble = error
        if trouble:
            raise trouble
        return sent

    def push_blob(self, person, name, data):
        headers = self.authority(person)
        head = yield from self.ask("HEAD", f"/sync/blobs/{name}", headers)
        is_ours = head.headers.get("Fieldapp-Protocol") is not None
        if not is_ours or head.status >= 400:
            raise NoAnswer(head.status, "answer.not-ours", is_ours)
        offset = int(head.headers.get("Upload-Offset") or 0)
        complete = head.headers.get("Upload-Complete") == "1"
        while not complete:
            more = {
                "Content-Type": "application/octet-stream",
                "Upload-Offset": str(offset),
                "Upload-Length": str(len(data)),
            }
            piece = data[offset : offset + PIECE_BYTES]
            response = yield from self.ask("PUT", f"/sync/blobs/{name}", headers | more, piece)
            told = self.answer(response)
            if not told["complete"] and told["received"] <= offset:
                raise NoAnswer(200, "answer.empty", True)
            offset, complete = told["received"], told["complete"]
        yield "markBlobSent"
        self.store.mark_blob_sent(person["id"], name)

    def pull(self, person):
        difference = None
        while True:
            yield "readMeta"
            cursor = self.store.read_meta(person["id"], "cursor")
            policy = self.store.read_meta(person["id"], "policy_version")
            rows = self.store.read_outbox(person["id"])
            standing = self.standing_of(person)
            held = [row["id"] for row in rows if row["state"] == "held"]
            blank = (self.store.read_meta(person["id"], "blank") or {}).get("sha256")
            body = {"cursor": cursor, "policy": policy, "blank": blank, "held": difference}
            body |= standing
            told = yield from self.send(person, "/sync/pull", body)
            yield from self.notice(person, told["epoch"])
            notes = {"cursor": told["cursor"], **self.heard(told)}
            if told["policy"]:
                notes["policy_version"] = told["policy_version"]
            if told["blank"]:
                notes["blank"] = told["blank"]
            settled = [] if told["more"] else held
            yield "keepPull"
            self.store.keep_pull(person["id"], told["changed"], told["removed"], settled, notes)
            self.world.pulled(self, person["id"])
            if told["more"]:
                continue
            yield "readVisits"
            active = {row["visit"]: row["rev"] for row in self.read_active(person)}
            if difference is not None or told["digest"] == digest(active):
                return
            self.world.healing(self, person["id"], told)
            difference = active

    def ask_standing(self, person):
        """Who is signed out is told nothing new, only whether his phone was revoked."""
        if not self.store.read_meta(person["id"], "server_now"):
            return False
        body = {"cursor": self.store.read_meta(person["id"], "cursor"), **self.standing_of(person)}
        try:
            yield from self.send(person, "/sync/pull", body)
        except NoAnswer as error:
            if error.code != "access.sign-in":
                raise
        return False

    def read_active(self, person):
        """The visits in the person's scope."""
        rows = self.store.read_visits(person["id"])
        return [row for row in rows if not row.get("removed") and row["rev"] != UNHEARD_OF]

    def send(self, person, path, body):
        headers = self.authority(person) | {"Content-Type": MEDIA_TYPE}
        if self.session:
            headers["Cookie"] = self.session
        text = json.dumps({"protocol": PROTOCOL} | body).encode()
        response = yield from self.ask("POST", path, headers, text)
        return self.answer(response)

    def ask(self, method, path, headers, body=b""):
        """What fetch answers; NoNetwork when it rejects.  A redirect is not followed."""
        yield f"{method} {path}"
        response = self.world.network.carry(self, method, path, headers, body)
        yield "answer"
        if response is None:
            raise NoNetwork
        if 300 <= response.status < 400:
            return Answer(0, {}, b"")  # an opaque redirect says nothing
        return response

    def authority(self, person):
        return {"Authorization": f"Device {self.store.read_meta(person['id'], 'credential')}"}

    def answer(self, response):
        """The JSON of an answer of ours; NoAnswer for everything else."""
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if kind != MEDIA_TYPE:
            raise NoAnswer(response.status, "answer.not-ours")
        try:
            body = json.loads(response.body)
        except ValueError:
            raise NoNetwork from None  # broken off in the middle
        if body.get("protocol") != PROTOCOL:
            raise NoAnswer(response.status, "answer.protocol")
        if response.status >= 400:
            named = body.get("args", {}).get("device", "")
            raise NoAnswer(response.status, body["problem"], True, named)
        return body

    # perform.js

    def perform(self, person, kind_name, policy, visit, value, heads, state=None, **more):
        """Keep one operation, the first of a visit with its ``state``; then "saved" is said."""
        content = value
        if policy == "set":
            content = {f"{kind_name}/{name}": item for name, item in value.items()}
        paths = list(content) if policy in ("set", "correction") else []

        def make(n, device, skew):
            wall = self.now()
            return {
                "id": new_id(wall, self.chance.randbytes(10)),
                "v": ENVELOPE_VERSION,
                "visit": visit,
                "device": device,
                "n": n,
                "author": person["id"],
                "kind": kind_name,
                "value": content,
                "supersedes": {path: heads.get(path, []) for path in paths},
                "wall": wall,
                "mono": wall % 1_000_000,
                "boot": self.name,
                "skew": skew,
                "app": self.app,
            } | more

        yield "keepOperation"
        body = self.store.keep_operation(person["id"], make, state)
        self.world.saved(self, body)

    def sign(self, state, value):
        """A signature's value with what it stands on."""
        text = snapshot_text(facts(state, catalogue.ON_PAPER), state["context"])
        return value | {
            "frontier": frontier(state, catalogue.ON_PAPER),
            "snapshot": text,
            "digest": sha256(text),
            "context_sha256": sha256(canonical(state["context"])),
            "language": state["context"]["contact"]["language"],
            "token": self.chance.randbytes(16).hex(),
        }

    def keep_photo(self, person, visit, data):
        """A photo's bytes, before the operation that names them; returns their name."""
        name = hashlib.sha256(data).hexdigest()
        blob = {"sha256": name, "visit": visit, "type": "image/jpeg", "bytes": data}
        yield "keepBlob"
        self.store.keep_blob(person["id"], blob)
        self.world.saved_blob(self, name)
        return name

    # visits.js

    def visit_for(self, person, visit):
        """The state of one visit as this phone shows it; Locked when it does not."""
        row = self.store.read_visit(person["id"], visit)
        if row is None or self.is_gone(person, row):
            raise Locked
        return self.shown(person, row)

    def all_visits(self, person):
        """The states of all visits that this phone shows, by id."""
        rows = self.store.read_visits(person["id"])
        return {r["visit"]: self.shown(person, r) for r in rows if not self.is_gone(person, r)}

    def is_gone(self, person, row):
        """Whether a visit was taken away and nothing of it is still to be sent."""
        unsent, photos = self.store.read_unsent(person["id"])
        waits = {each["visit"] for each in unsent} | {visit for _, visit in photos}
        return bool(row.get("removed")) and row["visit"] not in waits

    def shown(self, person, row):
        operations = self.store.read_outbox(person["id"], row["visit"])
        held = [each["body"] for each in operations if each["state"] == "held"]
        unsent = [each["body"] for each in operations if each["state"] == "unsent"]
        state = row["state"]
        if held:
            state = overlay(state, with_those_ahead("held", operations), True)
        if unsent:
            state = overlay(state, with_those_ahead("unsent", operations), False)
        return state

    # What happens to phones

    def crash(self):
        """The process ends: what it was doing is forgotten, what it had kept stays."""
        self.running, self.looks = None, {}

    def evict(self):
        """The browser throws everything away."""
        self.crash()
        person = self.person
        self.remembered = self.store.read_meta(person["id"], "device") if person else None
        self.store.storage, self.session = Storage(), None

    def clone_from(self, other):
        """Become ``other``: a copied disk has the same database, counters and credential."""
        self.crash()
        self.store.storage = copy.deepcopy(other.store.storage)
        self.session, self.offset_ms, self.app = other.session, other.offset_ms, other.app
