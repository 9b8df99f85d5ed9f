"""What a visit is folded from: its operations, and the facts that they name.

A photo and the context of a signature lie outside the journal: whether the photo can be looked at,
and what was served to be signed, is looked up once for many visits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import select

from fieldapp import blobs
from fieldapp.intake import Incoming
from fieldapp.models import Blob, Visit, db
from sync import merge
from sync.operation import Received
from sync.tables import context_block


@dataclass(frozen=True)
class Work:
    """A visit with the operations held of it and those that are new."""

    visit: Visit
    held: Sequence[Received]
    new: Sequence[Incoming]

    @property
    def whole(self) -> list[Received]:
        """All operations, ready to fold."""
        return [*self.held, *(item.received for item in self.new)]


@dataclass(frozen=True)
class Facts:
    """What is known of photos and contexts that operations name, looked up once for many visits.

    ``unreadable`` are photos with the problem of each, ``served`` the context blocks that
    signatures name, as they were served: perhaps with another visit of the same work order first.
    """

    unreadable: Mapping[str, str]
    served: Mapping[str, str]

    @classmethod
    def of(cls, org_id: str, received: Iterable[Sequence[Received]]) -> Facts:
        """What is known of everything that is named in ``received``."""
        photos: set[str] = set()
        blocks: set[str] = set()
        for item in chain.from_iterable(received):
            kind, value = item.operation.kind, item.operation.value
            if not isinstance(value, Mapping):
                continue
            if kind == "signature":
                blocks.update(filter(blobs.is_name, [value.get("context_sha256")]))
            elif kind in ("photo", "correction", "resolution"):
                photos.update(filter(blobs.is_name, value.values()))
        return cls(_unreadable(org_id, photos), _served(org_id, blocks))


def _unreadable(org_id: str, names: Collection[str]) -> dict[str, str]:
    """Those photos of ``names`` that nobody can look at, with the problem."""
    if not names:
        return {}
    rows = db.session.execute(
        select(Blob.sha256, Blob.problem).where(
            Blob.org_id == org_id, Blob.sha256.in_(names), Blob.problem != ""
        )
    )
    return {row.sha256: row.problem for row in rows}


def _served(org_id: str, names: Collection[str]) -> dict[str, str]:
    """The text of the context blocks of ``names``."""
    if not names:
        return {}
    rows = db.session.execute(
        select(context_block.c.sha256, context_block.c.body).where(
            context_block.c.org_id == org_id, context_block.c.sha256.in_(names)
        )
    )
    return {row.sha256: row.body for row in rows}


def flag_photos(state: merge.State, unreadable: Mapping[str, str]) -> None:
    """Flag the photos of ``state`` that are ``unreadable``, each with its problem."""
    if not unreadable:
        return
    hashes = {
        str(entry["value"].get("sha256")): entry["id"]
        for entry in state["entries"]
        if entry["kind"] == "photo"
    }
    for name in sorted(unreadable.keys() & hashes.keys()):
        state["flags"].append({"code": unreadable[name], "operation": hashes[name], "args": {}})
