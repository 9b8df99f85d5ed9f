"""One history on one server: what happens at each event, and the book of what must not be lost."""

from __future__ import annotations

import json
import random
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import select, update

from fieldapp import intake
from fieldapp.desk.openings import give_work_order
from fieldapp.models import Device, Organisation, Visit, WorkOrder, db
from fieldapp.perform import unit
from sync import catalogue, journal, merge
from sync.canonical import canonical, hash_of
from sync.operation import Received, new_id, read_operation
from sync.tables import journal as journal_table
from tests.simulator.network import Network
from tests.simulator.phone import Locked, NoAnswer, NoNetwork, Phone
from tests.simulator.server import DISPATCHERS, ENGINEERS

TEXTS = ("dead", "电源板故障", "blown fuse", "𠮷 beep", "")
ROUNDS = 10
"""Rounds of everybody's syncs after which a history must have come to rest."""

UNHEARD = catalogue.Kind(
    "torque", "torques", "Torque", "add", "never", ("engineer",),
    (catalogue.Field("text", "text", "Torque", True),),
)  # fmt: skip
"""A kind that the server learns when it is upgraded."""


class Violation(AssertionError):
    """Something that must hold did not: ``name`` says what, the message says where."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name = name


class World:
    """The server, the network between and the phones, at one moment of a history."""

    def __init__(self, server, history):
        self.server, self.seed = server, history["seed"]
        self.clock = server.clock
        server.reset(self.seed)
        self.network = Network(server, history["narrow"])
        self.owed = {}  # operation id -> body, of everything that a phone called saved
        self.owed_blobs = set()
        self.evicted, self.evicted_blobs = set(), set()
        self.excused, self.excused_blobs = set(), set()
        self.saw = {}  # operation id -> {path: heads that were on the screen}
        self.backups = [server.first]
        self.restores = 0
        self.pages = {}  # (dispatcher, visit) -> what a page at the desk shows
        self.phones = []
        for number in range(history["phones"]):
            phone = Phone(f"phone-{number}", self, self.seed)
            phone.faults, phone.usual = [], ENGINEERS[number % len(ENGINEERS)]
            self.phones.append(phone)
            self._sign_in(phone, phone.usual)

    def play(self, events):
        """Let ``events`` happen and everybody come to rest."""
        for event in events:
            self.clock.ms += event["wait"]
            getattr(self, f"_do_{event['do'].replace('-', '_')}")(event)
            self._heed_log()
        self.rest()

    # The book

    def saved(self, phone, body):
        """A phone said "saved": from now on this operation is owed."""
        self.owed[body["id"]] = body

    def saved_blob(self, phone, name):
        """A phone keeps a photo: it is owed."""
        self.owed_blobs.add(name)

    def healing(self, phone, person_id, told):
        """The digest found what the cursor had not brought: only a restored backup may do that."""
        if not self.restores:
            raise Violation("cursor", f"{phone.name} was not told of a change by its cursor")

    def pulled(self, phone, person_id):
        """A page of a pull is kept: what is shown must still be all that the phone knows."""
        self._check_shown(phone, person_id)

    def wiped(self, phone, person_id):
        """A revoked phone lets go of what it has a receipt for: a restored backup gets it no more."""
        database = phone.store.storage.of(person_id)
        unsent = set(dict(phone.store.read_unsent_photos(person_id)))
        rows = database.outbox.values()
        self.evicted |= {row["id"] for row in rows if row["state"] != "unsent"}
        self.evicted_blobs |= set(database.blobs) - unsent

    def _held_somewhere(self):
        return {row["id"] for phone in self.phones for row in phone.store.storage.rows}

    def _blobs_somewhere(self):
        return {
            name
            for phone in self.phones
            for database in phone.store.storage.people.values()
            for name in database.blobs
        }

    def _excuse(self):
        """Nobody has these any more: neither a phone, nor the server after its restore."""
        with self.server.app.app_context():
            rows = db.session.execute(select(journal_table.c.id, journal_table.c.hash))
            # A damaged copy is not what was saved.
            here = {
                row.id
                for row in rows
                if row.id in self.owed and row.hash == hash_of(self.owed[row.id])
            }
        kept = self._held_somewhere() | here
        self.excused |= {id_ for id_ in self.evicted if id_ not in kept}
        here = self.server.blobs_here()
        self.excused_blobs |= self.evicted_blobs - self._blobs_somewhere() - here

    def _heed_log(self):
        if self.server.errors:
            raise Violation("server", "; ".join(self.server.errors)[-2000:])

    # Events: phones

    def _do_perform(self, event):
        phone = self.phones[event["phone"]]
        person = phone.person
        if not person:
            return
        chance = random.Random(event["luck"])
        visits = sorted(row["visit"] for row in phone.store.read_visits(person["id"]))
        if event["act"] == "elsewhere":
            visit = new_id(phone.now(), chance.randbytes(10))
            acting = phone.perform(person, "note", "add", visit, {"text": "found this"}, {})
            self._act(phone, acting, event["crash"])
            return
        if event["act"] == "open":
            acting = self._open(phone, person, chance)
            if acting is not None:
                self._act(phone, acting, event["crash"])
                self._check_shown(phone, person["id"])
            return
        if not visits:
            return
        visit = visits[event["visit"] % len(visits)]
        if event["stale"] and (person["id"], visit) in phone.looks:
            state = phone.looks[person["id"], visit]  # a form of it was left open
        elif phone.is_gone(person, phone.store.read_visit(person["id"], visit)):
            return
        else:
            state = phone.looks[person["id"], visit] = phone.visit_for(person, visit)
        acting = self._field_act(phone, person, state, event["act"], chance)
        if acting is not None:
            self._act(phone, acting, event["crash"], state)
            self._check_shown(phone, person["id"])

    def _open(self, phone, person, chance):
        """A visit of which the office knows nothing, once it said what it has of such a one."""
        blank = phone.store.read_meta(person["id"], "blank")
        if blank is None:
            return None
        visit = new_id(phone.now(), chance.randbytes(10))
        state = blank["state"] | {"visit": blank["state"]["visit"] | {"id": visit}}
        value = {"customer": "Harbour", "site": "Gate 3", "contact_name": "Cleo Ash"}
        value |= {"job_type": "repair", "text": chance.choice(TEXTS)}
        return phone.perform(person, "opening", "add", visit, value, {}, state)

    def _act(self, phone, acting, crash, state=None):
        """Let a tap be answered, or let the phone die before."""
        known = set(self.owed)
        next(acting, None)
        if crash:
            phone.crash()
        else:
            for _ in acting:
                pass
        for id_ in set(self.owed) - known:
            paths = self.owed[id_]["supersedes"]
            self.saw[id_] = {path: _heads(state, path) for path in paths}

    def _field_act(self, phone, person, state, act, chance):
        visit = state["visit"]["id"]
        text = chance.choice(TEXTS)

        def add(kind, value, **more):
            return phone.perform(person, kind, "add", visit, value, {}, **more)

        def put(kind, value):
            heads = {f"{kind}/{name}": _heads(state, f"{kind}/{name}") for name in value}
            return phone.perform(person, kind, "set", visit, value, heads)

        entries = [e for e in state["entries"] if e["kind"] in ("note", "measure", "swap")]
        standing = [e for e in state["entries"] + state["signatures"] if not e["voids"]]
        if act == "diagnosis":
            value = {"text": text, "cause": "wear"}
            return put(act, dict(chance.sample(sorted(value.items()), chance.randint(1, 2))))
        if act == "fault":
            return put(act, {"text": text})
        if act == "outcome":
            return put(act, {"result": chance.choice(["solved", "return"])})
        if act in ("note", "measure"):
            return add(act, {"text": text})
        if act == "swap":
            serial = f"S-{chance.randint(1, 3)}"
            return add(act, {"part_name": "p", "removed_serial": "R", "installed_serial": serial})
        if act == "arrival":
            return add(act, {"outcome": "present"})
        if act == "leaving":
            return add(act, {})
        if act == "unheard":
            return add(UNHEARD.name, {"text": text})
        if act == "newer":
            more = {"v": 2, "app": "9.0.0", "mood": ["good"]}
            return add("note", {"text": text, "colour": "red"}, **more)
        if act == "older":
            return add("note", {"text": text}, v=0, app="0.0.1")
        if act == "photo":
            return self._photograph(phone, person, visit, chance)
        if act == "void" and standing:
            value = {"entry": chance.choice(standing)["id"], "reason": "wrong"}
            return phone.perform(person, act, "void", visit, value, {})
        if act == "correction" and entries:
            entry = chance.choice(entries)
            path = f"entries/{entry['id']}/text"
            heads = _heads(state, path)
            return phone.perform(person, act, "correction", visit, {path: text}, {path: heads})
        if act == "sign" and standing and state["context"].get("contact"):
            value = {"name": "Cleo Ash", "role": "contact", "strokes": [[1, 2, 3]]}
            return phone.perform(person, "signature", "sign", visit, phone.sign(state, value), {})
        return None

    def _photograph(self, phone, person, visit, chance):
        name = yield from phone.keep_photo(person, visit, chance.randbytes(chance.randint(1, 150)))
        yield from phone.perform(person, "photo", "add", visit, {"sha256": name}, {})

    def _do_sync(self, event):
        phone = self.phones[event["phone"]]
        if phone.running is None:
            phone.running = phone.synchronise()
        self._run(phone, event["steps"], event["faults"])

    def _do_sign_in(self, event):
        phone = self.phones[event["phone"]]
        usual = phone.usual
        account = ENGINEERS[event["person"]] if "person" in event else usual
        self._sign_in(phone, account, event["steps"], event["faults"])

    def _sign_in(self, phone, account, steps=0, faults=()):
        """Somebody signs in on the phone with his password, and his list opens."""
        person_id = self.server.people[account]

        def opening():
            yield from phone.finish_signing_out()
            phone.session = self.server.cookie(person_id)
            person = {"id": person_id, "name": self.server.names[person_id]}
            yield from phone.enrol(person, phone.remembered)
            phone.remembered = None

        phone.running = opening()
        self._run(phone, steps, faults)

    def _run(self, phone, steps, faults=()):
        """Let what runs on a phone go on by ``steps``, or to its end."""
        phone.faults = list(faults)
        try:
            for number, _ in enumerate(phone.running, 1):
                if number == steps:
                    return
        except (NoNetwork, NoAnswer, Locked):
            pass
        phone.running = None
        if phone.person:
            self._check_shown(phone, phone.person["id"])

    def _do_sign_out(self, event):
        phone = self.phones[event["phone"]]
        for _ in phone.lock():
            pass

    def _do_crash(self, event):
        self.phones[event["phone"]].crash()

    def _do_evict(self, event):
        phone = self.phones[event["phone"]]
        self.evicted |= {row["id"] for row in phone.store.storage.rows}
        for database in phone.store.storage.people.values():
            self.evicted_blobs |= set(database.blobs)
        phone.evict()
        self._excuse()

    def _do_clone(self, event):
        phone, other = self.phones[event["phone"]], self.phones[event["of"]]
        if phone is other:
            return
        self._do_evict(event)
        phone.clone_from(other)

    def _do_jump(self, event):
        self.phones[event["phone"]].offset_ms = event["ms"]

    # Events: the office and the world

    def _do_desk(self, event):
        account = DISPATCHERS[event["who"]]
        visit = self._desk_visit(event["visit"])
        page = self.pages.get((account, visit))
        if page is None or not event["stale"]:
            page = self.pages[account, visit] = self.state_of(visit)
        for kind, value, paths in self._desk_act(event, page):
            heads = {path: _heads(page, path) for path in paths}
            id_ = self.server.desk(account, kind, visit, value, heads)
            self.saw[id_] = heads

    def _desk_visit(self, number):
        """One of the visits of the first day, or one that a phone opened by itself."""
        if number < len(self.server.visits):
            return self.server.visits[number]
        with self.server.app.app_context():
            found = db.session.scalars(
                select(Visit.id).where(Visit.id.not_in(self.server.visits)).order_by(Visit.id)
            ).first()
            if found is None:
                return self.server.visits[0]
            if db.session.get_one(Visit, found).work_order_id is None:
                order = db.session.get_one(WorkOrder, self.server.work_orders[0])
                with unit(self.server.organisation, self.clock.now) as opened:
                    give_work_order(opened, found, order)
            return found

    def _desk_act(self, event, page):
        """What the dispatcher does: (kind, value, paths that it sets)."""
        chance, act = random.Random(event["luck"]), event["act"]
        fields = page["fields"]
        engineer = self.server.people[ENGINEERS[event["to"]]]
        now = (fields.get("assignment") or {}).get("value") or {"engineer": "", "helpers": []}
        if act == "fault":
            yield "fault", {"text": chance.choice(TEXTS)}, ["fault/text"]
        elif act == "appointment":
            at = self.clock.now.strftime("%Y-%m-%dT%H:%M:%SZ")
            yield "appointment", {"at": at}, ["appointment/at"]
        elif act == "remark":
            yield "remark", {"text": "the lift is out of order"}, []
        elif act == "assign":
            yield "assignment", {"engineer": engineer, "helpers": []}, ["assignment"]
        elif act == "unassign":
            yield "assignment", {"engineer": "", "helpers": []}, ["assignment"]
        elif act == "help":
            helpers = sorted({*now.get("helpers", ()), engineer})
            yield "assignment", {**now, "helpers": helpers}, ["assignment"]
        elif act == "cancel":
            yield "cancellation", {"reason": "closed"}, ["cancellation"]
        elif act == "review":
            verdict = chance.choice(["accepted", "sent-back", "sent-back"])
            yield "review", {"verdict": verdict, "reason": ""}, ["review"]
        elif act == "resolve":
            open_ = sorted(path for path, cell in fields.items() if cell["conflict"])
            if open_:
                path = chance.choice(open_)
                value = chance.choice(fields[path]["sides"])["value"]
                yield "resolution", {path: value}, [path]
        elif act == "undo":
            yield from self._undo(page, chance)
        elif act == "dismiss":
            flags = [flag for flag in page["flags"] if not flag.get("dismissed")]
            if flags and catalogue.is_known("dismissal"):
                flag = chance.choice(flags)
                value = {"entry": flag["operation"], "code": flag["code"], "reason": "known"}
                yield "dismissal", value, []
        elif act == "release" and page.get("quarantine"):
            value = {"entry": chance.choice(page["quarantine"])["id"], "reason": "his own"}
            yield "release", value, []

    def _undo(self, page, chance):
        if not catalogue.is_known("reopening"):
            return
        with self.server.app.app_context():
            done = db.session.scalars(
                select(journal_table.c.id)
                .where(
                    journal_table.c.visit_id == page["visit"]["id"],
                    journal_table.c.kind.in_(
                        ("resolution", "dismissal", "release", "cancellation")
                    ),
                )
                .order_by(journal_table.c.id)
            ).all()
        if done:
            yield "reopening", {"entry": chance.choice(done), "reason": "too early"}, []

    def _do_wait(self, event):
        self.clock.ms += event["ms"]

    def _do_backup(self, event):
        with self.server.app.app_context():
            self.backups.append(self.server.backup())

    def _do_restore(self, event):
        which = -1 - event["which"] % len(self.backups)
        self.restores += 1
        self.server.restore(self.backups[which], f"epoch-{self.restores}")
        self._refold()  # the backup may be another version's
        self.pages.clear()
        self._excuse()

    def _do_revoke(self, event):
        device = self._device_of(self.phones[event["phone"]])
        with self.server.app.app_context():
            db.session.execute(
                update(Device).where(Device.id == device).values(revoked_at=self.clock.now)
            )
            db.session.commit()

    def _device_of(self, phone):
        person = phone.person
        return phone.store.read_meta(person["id"], "device") if person else None

    def _do_learn(self, event):
        learn()
        self._refold()

    def _do_forget(self, event):
        forget()
        self._refold()

    def _refold(self):
        """What a start of another version does."""
        with self.server.app.app_context():
            ids = db.session.scalars(
                select(journal_table.c.visit_id)
                .where(journal_table.c.kind == UNHEARD.name)
                .distinct()
            ).all()
            with unit(self.server.organisation, self.clock.now) as opened:
                for id_ in sorted(ids):
                    opened.refresh(id_)

    def _do_deliver(self, event):
        self.network.deliver(event["count"])

    def _do_jobs(self, event):
        self.server.run_jobs()

    # Coming to rest

    def rest(self):
        """No more faults: everybody syncs until nothing moves."""
        for phone in self.phones:
            if phone.running is not None:
                self._run(phone, 0)
        self.network.deliver(len(self.network.late))
        before = None
        for _ in range(ROUNDS):
            self.server.run_jobs()
            for phone in self.phones:
                people = sorted(phone.store.storage.people) or [self.server.people[phone.usual]]
                for person_id in people:
                    account = next(a for a, id_ in self.server.people.items() if id_ == person_id)
                    self.clock.ms += 1000
                    self._sign_in(phone, account)
            self._heed_log()
            after = self._moving()
            if after == before:
                return
            before = after
        raise Violation("rest", "somebody still has something to say after every round")

    def _moving(self):
        with self.server.app.app_context():
            revs = sorted(map(tuple, db.session.execute(select(Visit.id, Visit.rev))))
            size = db.session.query(journal_table).count()
        phones = [
            [
                person_id,
                sorted((row["id"], row["state"]) for row in database.outbox.values()),
                sorted((row["visit"], row["rev"]) for row in database.visits.values()),
                sorted((name, p["sent"]) for name, p in database.meta.get("photos", {}).items()),
            ]
            for phone in self.phones
            for person_id, database in phone.store.storage.people.items()
        ]
        return repr([revs, size, len(self.server.waiting), phones])

    # What is shown

    def state_of(self, visit):
        """The state of a visit as the server holds it."""
        with self.server.app.app_context():
            row = db.session.get_one(Visit, visit)
            return row.state or merge.fold((), visit)

    def _check_shown(self, phone, person_id):
        """All that is unsent shows, and shows as the server will fold it when nobody else wrote."""
        person = {"id": person_id, "name": ""}
        for row in phone.store.read_visits(person_id):
            own = phone.store.read_outbox(person_id, row["visit"])
            unsent = [each["body"] for each in own if each["state"] == "unsent"]
            if unsent:
                state = phone.shown(person, row)
                self._check_own(phone, state, unsent, [each["body"] for each in own])
                self._check_overlay(phone, person_id, row, state, own)

    def _check_own(self, phone, state, unsent, own):
        entries = {entry["id"]: entry for entry in state["entries"] + state["signatures"]}
        voids = {void["operation"] for entry in entries.values() for void in entry["voids"]}
        over = {
            head for body in own for path, heads in body["supersedes"].items() for head in heads
        }
        for body in unsent:
            if not catalogue.is_known(body["kind"]):
                continue
            policy = catalogue.kind_named(body["kind"]).policy
            if policy in ("add", "sign"):
                shown = body["id"] in entries
            elif policy == "void":
                shown = body["id"] in voids or body["value"]["entry"] not in entries
            else:
                shown = all(
                    body["id"] in state["fields"].get(path, {"heads": [body["id"]]})["heads"]
                    or body["id"] in over
                    or self._has_come(body["id"])
                    for path in body["value"]
                )
            if not shown:
                raise Violation("shown", f"{phone.name} does not show its own {body['id']}")

    def _has_come(self, id_):
        """Whether the server had it once: only the answer was lost, others may have gone on."""
        with self.server.app.app_context():
            found = select(journal_table.c.id).where(journal_table.c.id == id_)
            return self.restores or db.session.scalar(found) is not None

    def _check_overlay(self, phone, person_id, row, state, own):
        """The overlay is the fold of what the phone has heard of and what it has done itself.

        What it does not find in the pulled state has the time that the phone itself gives it.
        """
        mine = [each["body"] for each in own if each["state"] in ("held", "unsent")]
        pulled = canonical([row["state"][part] for part in ("fields", "entries", "signatures")])
        unfound = {each["body"]["id"] for each in own if each["body"]["id"] not in pulled}
        with self.server.app.app_context():
            epoch = db.session.get_one(Organisation, self.server.organisation).epoch
            if phone.store.read_meta(person_id, "epoch") != epoch or self.restores:
                return
            rows = [
                held
                for held in journal.rows_of(
                    db.session.connection(), self.server.organisation, row["visit"]
                )
                if held.rev <= row["rev"]
            ]
        if any(held.kind == UNHEARD.name for held in rows):
            return  # the server may have learned to read it since
        known = {(held.id, held.hash) for held in rows}
        fresh = [body for body in mine if (body["id"], hash_of(body)) not in known]
        if {held.id for held in rows} & {body["id"] for body in fresh}:
            return  # a damaged copy came first
        folded = merge.fold(
            [
                _by_the_phone(found) if held.id in unfound else found
                for held in rows
                for found in [journal.received(held)]
            ]
            + [_by_the_phone(Received(read_operation(body), 0)) for body in fresh],
            row["visit"],
        )
        for part in ("fields", "entries", "signatures"):
            wanted, found = (_comparable(each[part]) for each in (folded, state))
            if wanted != found:
                raise Violation("overlay", f"{phone.name}: {'; '.join(differences(wanted, found))}")


def _by_the_phone(received):
    """What was received, at the time that its phone shows."""
    operation = received.operation
    return replace(received, corrected_ms=operation.wall + operation.skew)


def _comparable(part):
    """Without what only a server adds to it: verdicts, notices and the sides that lost."""
    text = canonical(part)
    told = json.loads(text)
    for item in told.values() if isinstance(told, dict) else told:
        for key in ("sent", "verdict", "notice"):
            item.pop(key, None)
        for side in item.get("sides", ()):
            side.pop("over", None)
    return told


def differences(wanted, found, path=""):
    """Where two values differ, as far down as both have the part."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted(wanted.keys() | found.keys()):
            yield from differences(wanted.get(key), found.get(key), f"{path}/{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for at, pair in enumerate(zip(wanted, found, strict=True)):
            yield from differences(*pair, f"{path}/{at}")
    elif wanted != found:
        yield f"{path} is {found!r} and not {wanted!r}"


def _heads(state, path):
    """The heads that a form on ``path`` carries; a correction's reader has seen the entry."""
    cell = (state or {}).get("fields", {}).get(path)
    if cell is not None:
        return list(cell["heads"])
    return [path.split("/")[1]] if path.startswith("entries/") else []


# Versions of the server


def learn():
    """The server is upgraded: it knows one kind more."""
    if not catalogue.is_known(UNHEARD.name):
        catalogue._BY_NAME[UNHEARD.name] = UNHEARD
        catalogue.ON_PAPER[UNHEARD.name] = UNHEARD.on_paper
        intake._FIELDS[UNHEARD.name] = [vars(each) for each in UNHEARD.fields]
        catalogue.KINDS = (*catalogue.KINDS, UNHEARD)


def forget():
    """The server is put back to the version before."""
    catalogue._BY_NAME.pop(UNHEARD.name, None)
    catalogue.ON_PAPER.pop(UNHEARD.name, None)
    intake._FIELDS.pop(UNHEARD.name, None)
    catalogue.KINDS = tuple(kind for kind in catalogue.KINDS if kind is not UNHEARD)


@contextmanager
def versions():
    """Whatever the server learns, the next history begins with the version that there is."""
    try:
        yield
    finally:
        forget()
