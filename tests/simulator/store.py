"""What a phone keeps: static/phone/store.js in Python, function for function.

What one function does happens at once, whole or not at all, as its transaction does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DAY_MS = 24 * 60 * 60 * 1000
KEEP_MS = 30 * DAY_MS
UNSEEN_MS = DAY_MS
UNHEARD_OF = 0
"""The revision of a visit that the office has not told of."""


NEEDED = {"counter", "device", "devices", "epoch", "paused", "server_now", "skew"}
"""What a revoked phone needs to send its rest."""


@dataclass
class Database:
    """One person's database.  Rows are replaced, never changed."""

    outbox: dict = field(default_factory=dict)
    visits: dict = field(default_factory=dict)
    blobs: dict = field(default_factory=dict)
    meta: dict = field(default_factory=dict)


@dataclass
class Storage:
    """All that a browser keeps for us: it is evicted as a whole."""

    settings: dict = field(default_factory=dict)
    people: dict = field(default_factory=dict)

    def of(self, person_id):
        """The database of a person, made when it is first opened."""
        return self.people.setdefault(person_id, Database())

    @property
    def rows(self):
        """Every row of every outbox."""
        return [row for database in self.people.values() for row in database.outbox.values()]


class Store:
    """store.js.  Each method is one transaction: it happens whole, or not at all."""

    def __init__(self, phone):
        self.phone = phone
        self.storage = Storage()

    def read_setting(self, key):
        return self.storage.settings.get(key)

    def write_setting(self, key, value):
        self.storage.settings[key] = value

    def write_settings(self, settings):
        self.storage.settings.update(settings)

    def read_meta(self, person_id, key):
        return self.storage.of(person_id).meta.get(key)

    def write_meta(self, person_id, notes):
        self.storage.of(person_id).meta.update(notes)

    def keep_operation(self, person_id, make, state=None):
        database = self.storage.of(person_id)
        meta = database.meta
        counter = meta.get("counter", 0)
        body = make(counter + 1, meta["device"], meta.get("skew", 0))
        meta["counter"] = max(counter, body["n"])
        row = {"id": body["id"], "visit": body["visit"], "n": body["n"], "body": body}
        database.outbox[body["id"]] = row | {"state": "unsent"}
        if state is not None:
            opened = {"visit": body["visit"], "rev": UNHEARD_OF, "state": state}
            database.visits[body["visit"]] = opened
        return body

    def start_device(self, person_id, device, credential, epoch, skew):
        meta = self.storage.of(person_id).meta
        earlier = meta.get("devices") or [last for last in [meta.get("device")] if last]
        meta["devices"] = [*earlier, device]
        meta |= {"device": device, "credential": credential, "skew": skew, "counter": 0}
        meta |= {"epoch": meta.get("epoch") or epoch, "paused": "", "wiped": None}

    def read_outbox(self, person_id, visit=None):
        database = self.storage.of(person_id)
        devices = {device: at for at, device in enumerate(database.meta.get("devices", ()))}
        rows = [row for row in database.outbox.values() if visit in (None, row["visit"])]
        return sorted(rows, key=lambda row: (devices.get(row["body"]["device"], -1), row["n"]))

    def read_unsent(self, person_id):
        rows = self.read_outbox(person_id)
        unsent = [row for row in rows if row["state"] == "unsent"]
        return unsent, self.read_unsent_photos(person_id)

    def keep_receipts(self, person_id, receipts, notes):
        database = self.storage.of(person_id)
        for receipt in receipts:
            row = database.outbox.get(receipt["id"])
            if row and row["state"] == "unsent":
                held = {"state": "held", "receipt": receipt, "at": notes["server_now"]}
                database.outbox[row["id"]] = row | held
        database.meta.update(notes)

    def unsend_all(self, person_id):
        database = self.storage.of(person_id)
        for row in database.outbox.values():
            database.outbox[row["id"]] = row | {"state": "unsent"}
        photos = database.meta.get("photos", {})
        database.meta["photos"] = {name: photo | {"sent": False} for name, photo in photos.items()}

    def read_visits(self, person_id):
        return list(self.storage.of(person_id).visits.values())

    def read_visit(self, person_id, visit):
        return self.storage.of(person_id).visits.get(visit)

    def keep_pull(self, person_id, changed, removed, settled, notes):
        database = self.storage.of(person_id)
        for row in changed:
            database.visits[row["visit"]] = row
        for gone in removed:
            row = database.visits.get(gone["visit"])
            if row and not row.get("removed"):
                left = {"removed": gone["reason"], "removed_at": notes["server_now"]}
                database.visits[row["visit"]] = row | left
        for id_ in settled:
            row = database.outbox.get(id_)
            visit = database.visits.get(row["visit"], {}) if row else {}
            is_pulled = not visit.get("removed") and visit.get("rev") != UNHEARD_OF
            if row and row["state"] == "held" and is_pulled:
                database.outbox[id_] = row | {"state": "settled"}
        database.meta.update(notes)

    def tidy(self, person_id, open_):
        database = self.storage.of(person_id)
        photos = dict(database.meta.get("photos", {}))
        now = database.meta.get("server_now", 0)  # the server's clock when it was last heard
        operations = list(database.outbox.values())
        waiting = waiting_visits(operations, photos.values())
        here, working = set(), set()
        for row in list(database.visits.values()):
            visit = row["visit"]
            is_gone = row.get("removed") and visit not in waiting and visit not in open_
            if is_gone and row["removed_at"] < now - UNSEEN_MS:
                del database.visits[visit]
            else:
                here.add(visit)
            if not row.get("removed") and row["state"]["visit"]["status"] != "accepted":
                working.add(visit)
        for name, photo in list(photos.items()):
            is_old = photo.get("sent_at", 0) <= now - KEEP_MS
            if photo["sent"] and is_old and photo["visit"] not in waiting | working:
                database.blobs.pop(name, None)
                del photos[name]
        database.meta["photos"] = photos
        for row in operations:
            is_held = row["state"] == "held" and row["visit"] not in here
            is_done = row["state"] == "settled" or is_held
            if is_done and row.get("at", 0) < now - KEEP_MS:
                del database.outbox[row["id"]]

    def wipe(self, person_id):
        database = self.storage.of(person_id)
        photos = database.meta.get("photos", {})
        unsent = {name: photo for name, photo in photos.items() if not photo["sent"]}
        database.visits.clear()
        for row in list(database.outbox.values()):
            if row["state"] != "unsent":
                del database.outbox[row["id"]]
        for name in set(database.blobs) - set(unsent):
            del database.blobs[name]
        is_waiting = database.outbox or unsent
        needed = NEEDED | ({"credential"} if is_waiting else set())
        now = database.meta.get("server_now", 0)
        database.meta = {key: value for key, value in database.meta.items() if key in needed}
        database.meta |= {"wiped": {"at": now}, "photos": unsent}

    def keep_blob(self, person_id, blob):
        database = self.storage.of(person_id)
        photos = database.meta.get("photos", {})
        if blob["sha256"] not in photos:
            database.blobs[blob["sha256"]] = blob
            new = {blob["sha256"]: {"visit": blob["visit"], "sent": False}}
            database.meta["photos"] = photos | new

    def read_blob(self, person_id, name):
        return self.storage.of(person_id).blobs.get(name)

    def read_unsent_photos(self, person_id):
        photos = self.read_meta(person_id, "photos") or {}
        return [(name, photo["visit"]) for name, photo in photos.items() if not photo["sent"]]

    def mark_blob_sent(self, person_id, name):
        meta = self.storage.of(person_id).meta
        photos = meta.get("photos", {})
        sent = {"sent": True, "sent_at": meta.get("server_now", 0)}
        meta["photos"] = photos | {name: photos.get(name, {}) | sent}


def waiting_visits(operations, photos):
    """Ids of the visits of which something is still to be sent."""
    rows = [row for row in operations if row["state"] == "unsent"]
    return {item["visit"] for item in [*rows, *(p for p in photos if not p["sent"])]}
