"""Deliberate faults: each is a few words of the server or of the phone, written wrongly.

A mutant replaces ``old`` by ``new`` in the source of one function as long as it is applied.
``python -m tests.simulator.mutants`` finds seeds that catch each.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass, field

from fieldapp import blobs, intake, perform
from sync import journal, merge, scope
from tests.simulator.history import DAY, draw
from tests.simulator.phone import Phone
from tests.simulator.play import a_server, databases, play
from tests.simulator.store import Store


def _event(name, **more):
    return {"do": name, "wait": 1000, "luck": 5, "stale": False, "crash": False} | more


_ASSIGN = _event("desk", who=0, act="assign", visit=0, to=0)
FAULT = _event("desk", who=0, act="fault", visit=0, to=0)
NOTE = _event("perform", phone=0, visit=0, act="note")
PHOTO = NOTE | {"act": "photo"}
SYNC = _event("sync", phone=0, steps=0, faults=[])
THREE_SIDES = (
    _event("desk", who=1, act="remark", visit=0, to=0),
    FAULT,
    FAULT | {"who": 1, "stale": True, "luck": 4},
    NOTE | {"act": "fault", "luck": 4},
    SYNC,
)
"""A conflict of three, of whom the latest two say the same."""


@dataclass(frozen=True)
class Mutant:
    """``attribute`` of ``holder`` with ``old`` written as ``new``.

    ``seeds`` catch it; a fault that needs several rare things in a row has a ``scene`` instead, the
    events that follow once phone 0 has a visit.
    """

    name: str
    holder: object = field(repr=False)
    attribute: str
    old: str
    new: str
    seeds: tuple[int, ...] = ()
    scene: tuple[dict, ...] = ()

    @property
    def histories(self):
        """What must tell the fault from its absence; one of them is enough."""
        if not self.scene:
            return [draw(seed) for seed in self.seeds]
        return [{"seed": 1, "phones": 1, "narrow": False, "events": [_ASSIGN, SYNC, *self.scene]}]

    @contextmanager
    def applied(self):
        """Run with the fault in place."""
        whole = getattr(self.holder, self.attribute)
        setattr(self.holder, self.attribute, self._rewritten(whole))
        try:
            yield
        finally:
            setattr(self.holder, self.attribute, whole)

    def _rewritten(self, function):
        source = textwrap.dedent(inspect.getsource(function))
        if self.old not in source:
            raise LookupError(f"{self.name}: the code no longer says {self.old!r}")
        names = dict(vars(sys.modules[function.__module__]))
        exec(source.replace(self.old, self.new, 1), names)  # noqa: S102
        changed = names[function.__name__]
        changed.__defaults__ = function.__defaults__
        return changed


MUTANTS = (
    # the phone
    Mutant(
        "an outbox that trusts the status code", Phone, "send",
        "    return self.answer(response)",
        "    if response.status == 200 and path.endswith('push'):\n"
        "        named = [{'id': each['id'], 'reasons': []} for each in body['operations']]\n"
        "        epoch = self.store.read_meta(person['id'], 'epoch')\n"
        "        return {'receipts': named, 'epoch': epoch, 'now': self.now()}\n"
        "    return self.answer(response)",
        (15, 18),
    ),
    Mutant(
        "an outbox emptied by any answer", Store, "keep_receipts",
        "for receipt in receipts:",
        "for receipt in [{'id': id_} for id_ in list(database.outbox)]:",
        (0, 1),
    ),
    Mutant(
        "receipts that count without being tied to names", Phone, "receipts_for",
        "    return [",
        "    told = {'receipts': [{'id': row['id'], 'reasons': receipt['reasons']}\n"
        "        for row, receipt in zip(batch, told['receipts'])]}\n"
        "    return [",
        scene=(NOTE, SYNC, NOTE, SYNC | {"faults": ["stale"]}),
    ),
    Mutant(
        "a receipt for a damaged copy taken for one of the whole", Phone, "receipts_for",
        '"operation.hash-mismatch" not in receipt["reasons"]', "True",
        (18, 42),
    ),
    Mutant(
        "a visit that leaves takes unsent work with it", Store, "keep_pull",
        'database.meta.update(notes)',
        "for gone in removed:\n"
        "        database.visits.pop(gone['visit'], None)\n"
        "        for row in self.read_outbox(person_id, gone['visit']):\n"
        "            del database.outbox[row['id']]\n"
        "    database.meta.update(notes)",
        (4, 18),
    ),
    Mutant(
        "a restored server is not noticed", Phone, "notice",
        "self.store.unsend_all(person[\"id\"])", "pass",
        (2, 15),
    ),
    Mutant(
        "what was made unsent is settled by the pull under way", Store, "keep_pull",
        'row["state"] == "held" and is_pulled', "is_pulled",
        (2, 36),
    ),
    Mutant(
        "work goes under the name of whoever is signed in", Phone, "authority",
        'person[\'id\']', "(self.person or person)['id']",
        (82, 286),
    ),
    Mutant(
        "the cursor moves before the rows are stored", Phone, "pull",
        'yield "keepPull"',
        "self.store.write_meta(person['id'], notes)\n        yield 'keepPull'",
        scene=(FAULT, SYNC | {"steps": 7}, _event("crash", phone=0)),
    ),
    Mutant(
        "an operation refused as too large is dropped", Phone, "push",
        'refused.add(batch[0]["id"])',
        "del self.store.storage.of(person['id']).outbox[batch[0]['id']]",
        (0, 21),
    ),
    Mutant(
        "a batch refused as too large is not made smaller", Phone, "push",
        "size = max(1, (len(batch) + 1) // 2)", "raise",
        (10, 42),
    ),
    Mutant(
        "a photo is called sent after its first piece", Phone, "push_blob",
        'told["received"], told["complete"]', 'told["received"], True',
        (15, 25),
    ),
    Mutant(
        "saved is said before it is on the disk", Phone, "perform",
        '    yield "keepOperation"\n'
        '    body = self.store.keep_operation(person["id"], make, state)\n'
        "    self.world.saved(self, body)\n",
        '    body = self.store.keep_operation(person["id"], make, state)\n'
        "    self.world.saved(self, body)\n"
        "    row = self.store.storage.of(person['id']).outbox.pop(body['id'])\n"
        "    yield 'complete'\n"
        "    self.store.storage.of(person['id']).outbox[body['id']] = row\n",
        (15, 27),
    ),
    Mutant(
        "a form supersedes what it did not show", Phone, "perform",
        '"supersedes": {path: heads.get(path, []) for path in paths}',
        '"supersedes": {path: self.shown(person, self.store.read_visit(person["id"], visit))'
        '["fields"].get(path, {}).get("heads", []) for path in paths}',
        (19, 30),
    ),
    Mutant(
        "operations are kept thirty days by the phone's own clock", Store, "tidy",
        'now = database.meta.get("server_now", 0)', "now = self.phone.now()",
        scene=(NOTE, SYNC, _event("jump", phone=0, ms=40 * DAY), SYNC, _event("restore", which=0)),
    ),
    # the server
    Mutant(
        "the last writer wins", merge._Folder, "_cell",
        "heads = sorted(unseen, key=by_code_unit)",
        "heads = [max(unseen, key=lambda id_: (self.by_id[id_].corrected_ms, id_))]",
        (4, 6),
    ),
    Mutant(
        "a conflict is looked for among the latest two", merge._Folder, "_cell",
        'for side in sides}) > 1', 'for side in sides[-2:]}) > 1',
        scene=THREE_SIDES,
    ),
    Mutant(
        "what somebody saw of another path counts as superseded", merge._Folder, "put",
        "item.operation.supersedes.get(path, ())",
        "{id_ for ids in item.operation.supersedes.values() for id_ in ids} or self.cells[path]",
        (4, 6),
    ),
    Mutant(
        "an operation is known by the counter of its phone", perform.Unit, "receive",
        "if item.operation.hash in hashes:",
        "if item.operation.hash in hashes or item.operation.n and self._connection.execute(\n"
        "            select(journal.journal.c.id).where(\n"
        "                journal.journal.c.n == item.operation.n,\n"
        "                journal.journal.c.device_id == item.operation.device)).first():",
        (2, 30),
    ),
    Mutant(
        "an operation is known by its id alone", perform.Unit, "receive",
        "if item.operation.hash in hashes:", "if hashes:",
        (18, 42),
    ),
    Mutant(
        "a claimed hash is believed", intake, "_readable",
        "return replace(operation, hash=hash_of(operation.body))", "return operation",
        scene=(NOTE, SYNC | {"faults": ["damage"]},),
    ),
    Mutant(
        "a clock that is off is refused", perform.Unit, "receive",
        "intake = Intake(",
        "if abs(skew_ms) > 300_000:\n"
        "        from sync.problems import Problem\n"
        "        raise Problem('content.unreadable')\n"
        "    intake = Intake(",
        (4, 8),
    ),
    Mutant(
        "what is here already gets no receipt", perform.Unit, "receive",
        "return [_receipt(item) for item in items]",
        "return [_receipt(item) for item in fresh]",
        (0, 2),
    ),
    Mutant(
        "what a revoked phone sends is thrown away", perform.Unit, "_append",
        "for item in items:\n        item.outcome",
        "items = [item for item in items if 'device.revoked' not in item.problems]\n"
        "    for item in items:\n        item.outcome",
        (5, 90),
    ),
    Mutant(
        "conflicts are counted every time they are seen", perform, "project",
        "visit.conflict_count = sum(",
        "visit.conflict_count = (visit.conflict_count or 0) + sum(",
        scene=(*THREE_SIDES, NOTE, SYNC,),
    ),
    Mutant(
        "a page of a pull passes over one visit", scope, "changes",
        "page[-1][0], page[-1][1]",
        "*fresh[min(most, len(fresh) - 1)][:2]",
        (17, 52),
    ),
    Mutant(
        "what leaves is not told", scope, "changes",
        "for item in page if not item[2]]", "for item in page if not item]",
        scene=(_event("desk", who=0, act="unassign", visit=0, to=0),),
    ),
    Mutant(
        "a change of scope alone is not told", scope, "changes",
        "or_(visits.c.rev >= cursor.rev, visit_scope.c.rev >= cursor.rev)",
        "visits.c.rev > cursor.rev",
        (171, 180),
    ),
    Mutant(
        "revisions are only given to the first visit of a push", journal, "stamp",
        "journal.c.visit_id.in_(visit_ids)", "journal.c.visit_id == visit_ids[0]",
        scene=(_ASSIGN | {"visit": 1}, SYNC, NOTE, NOTE | {"visit": 1}, SYNC,),
    ),
    Mutant(
        "only the shown side of an assignment gives the visit to anybody", scope, "named_in",
        '["sides"]', '["sides"][-1:]',
        (19, 34),
    ),
    Mutant(
        "a visit opened on a phone is asked for as if it had been pulled", Phone, "read_active",
        ' and row["rev"] != UNHEARD_OF', "",
        scene=(SYNC, NOTE | {"act": "open"}, FAULT, SYNC | {"faults": ["413"]},),
    ),
    Mutant(
        "a visit that an engineer opened is nobody's", scope, "named_in",
        'return [opening["author"] for opening in openings]', "return []",
        scene=(SYNC, NOTE | {"act": "open"}, SYNC,),
    ),
    Mutant(
        "a photo is believed to be what its name says", blobs, "append",
        "if hashlib.sha256(whole).hexdigest() != sha256:", "if not whole:",
        scene=(PHOTO, SYNC | {"faults": ["", "", "", "damage"]},),
    ),
)  # fmt: skip


def main():
    """Print, for the mutants that the words given name, seeds that catch them."""
    with databases("sqlite") as source, a_server(source) as server:
        for mutant in MUTANTS:
            if all(word in mutant.name for word in sys.argv[1:]):
                print(mutant.name, "->", find_seeds(mutant, server), flush=True)


def find_seeds(mutant, server, most=200, enough=2):
    """Seeds of short histories that pass, unless ``mutant`` is applied."""
    found = []
    for seed in range(most):
        history = draw(seed)
        if len(history["events"]) > 45:
            continue
        with mutant.applied():
            caught = play(server, history) is not None
        if caught and play(server, history) is None:
            found.append(seed)
        if len(found) == enough:
            break
    return found


if __name__ == "__main__":
    main()
