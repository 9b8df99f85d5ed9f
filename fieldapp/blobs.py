"""Photos as they came and print copies of them, in a folder or in S3-compatible storage.

A blob is named by the SHA-256 of its bytes and kept unopened: it is the evidence.  It may arrive in
pieces; the pieces are objects of their own until the last one came and the hash agrees.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any, TypeGuard

import fsspec
from flask import Response, current_app
from sqlalchemy import select

from fieldapp import jobs
from fieldapp.database import begin_writing, insert_new
from fieldapp.models import Blob, BlobReference, Visit, db
from sync.photos import thumbnail
from sync.problems import Problem

log = logging.getLogger(__name__)

_NAME = re.compile("[0-9a-f]{64}")
_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
)


def is_name(value: object) -> TypeGuard[str]:
    """Whether ``value`` can name a blob: a SHA-256 in hex."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def check_name(sha256: str) -> str:
    """``sha256`` itself; Problem("photo.not-a-hash") when it is no SHA-256 in hex."""
    if not is_name(sha256):
        raise Problem("photo.not-a-hash")
    return sha256


def read(org_id: str, name: str) -> bytes | None:
    """The stored bytes called ``name``, or None."""
    files, root = _storage()
    try:
        data: bytes = files.cat_file(f"{root}/{org_id}/{name}")
    except FileNotFoundError:
        return None
    return data


def write(org_id: str, name: str, data: bytes) -> None:
    """Store ``data`` as ``name``, replacing it; nobody ever reads half of it."""
    files, root = _storage()
    path = f"{root}/{org_id}/{name}"
    # An object store shows an object when it is whole; in a folder a new file must take its place.
    is_folder = "file" in _names(files.protocol)
    target = f"{path}.{secrets.token_hex(8)}.new" if is_folder else path
    for _ in range(2):  # a folder of pieces may be tidied away at this moment
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            files.pipe_file(target, data)
            if is_folder:
                files.mv(target, path)
            return
        except FileNotFoundError:
            continue
    raise Problem("server.busy")


@contextmanager
def writing(org_id: str, name: str) -> Iterator[IO[bytes]]:
    """A stream whose bytes are stored as ``name`` once it was written to its end.

    What fails on the way leaves nothing behind, and what was there stays.
    """
    files, root = _storage()
    path = f"{root}/{org_id}/{name}"
    target = f"{path}.{secrets.token_hex(8)}.new"
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    try:
        with files.open(target, "wb") as out:
            yield out
        files.mv(target, path)
    except BaseException:
        with contextlib.suppress(OSError):
            files.rm_file(target)
        raise


def forget(org_id: str, name: str) -> None:
    """Remove what was written as ``name``, and halves of it that a killed process left."""
    remove(org_id, name)
    files, root = _storage()
    for half in files.glob(f"{root}/{org_id}/{name}.*.new"):
        files.rm_file(half)


def reading(org_id: str, name: str) -> IO[bytes] | None:
    """The stored bytes called ``name`` as a stream, to be closed by whoever asks; or None."""
    files, root = _storage()
    try:
        found: IO[bytes] = files.open(f"{root}/{org_id}/{name}", "rb")
    except FileNotFoundError:
        return None
    return found


def remove(org_id: str, name: str) -> None:
    """Forget the stored bytes called ``name``; there may be none."""
    files, root = _storage()
    try:
        files.rm_file(f"{root}/{org_id}/{name}")
    except FileNotFoundError:
        return


def store(org_id: str, sha256: str, data: bytes, now: datetime) -> Blob:
    """Store a whole blob at once, whatever pieces of it are here.

    Raises Problem("blob.hash-mismatch") and Problem("content.too-large").
    """
    blob = received(org_id, sha256)
    if len(data) > current_app.config["BLOB_BYTES"]:
        raise Problem("content.too-large")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Problem("blob.hash-mismatch")
    if blob is not None and blob.complete_at is not None:
        return blob
    return _complete(org_id, sha256, data, now)


def missing(org_id: str, names: Collection[str]) -> set[str]:
    """Those of ``names`` that are not here whole."""
    here = select(Blob.sha256).where(
        Blob.org_id == org_id, Blob.sha256.in_(names), Blob.complete_at.is_not(None)
    )
    return set(names) - set(db.session.scalars(here))


def visits_with(org_id: str, sha256: str) -> Sequence[str]:
    """Ids of the visits of which an operation speaks of this blob."""
    return db.session.scalars(
        select(BlobReference.visit_id)
        .where(BlobReference.org_id == org_id, BlobReference.sha256 == sha256)
        .distinct()
    ).all()


def received(org_id: str, sha256: str) -> Blob | None:
    """How much of a blob is here, or None when nothing is."""
    return db.session.get(Blob, (org_id, check_name(sha256)))


def append(org_id: str, sha256: str, offset: int, size: int, data: bytes, now: datetime) -> Blob:
    """Store the piece of a blob of ``size`` bytes that begins at ``offset``.

    A piece that is here already is accepted again.  Raises Problem("blob.offset") with ``offset``,
    where the phone must go on; Problem("content.too-large"); and Problem("blob.hash-mismatch")
    after the last piece of a damaged blob, whose pieces are then forgotten.
    """
    blob = received(org_id, sha256)
    if size > current_app.config["BLOB_BYTES"] or offset + len(data) > size:
        raise Problem("content.too-large")
    if blob is not None and blob.complete_at is not None:
        return blob
    # Pieces of another length are of something else: they do not count.
    here = blob.received if blob is not None and blob.size == size else 0
    if blob is not None and data and offset + len(data) <= here:
        return blob
    if offset != here:
        raise Problem("blob.offset", offset=here)
    db.session.commit()  # storage may be slow and far: nobody waits for it with a transaction open
    if data:
        write(org_id, f"{sha256}.part/{offset:012}", data)
    if offset + len(data) < size:
        return _note(org_id, sha256, size, offset + len(data))
    whole = _pieces(org_id, sha256, size)
    if hashlib.sha256(whole).hexdigest() != sha256:
        blob = _note(org_id, sha256, size, 0)
        if blob.complete_at is not None:  # another tab was faster
            return blob
        _forget_pieces(org_id, sha256)
        raise Problem("blob.hash-mismatch")
    return _complete(org_id, sha256, whole, now)


def photo_response(visit: Visit, sha256: str, is_small: bool = False) -> Response:
    """A photo of ``visit`` for a page, or its thumbnail; Problem("photo.not-found").

    A thumbnail is made of the print copy only: what came from outside is not decoded here.
    """
    check_name(sha256)
    is_here = db.session.scalar(
        select(Blob.sha256)
        .join(
            BlobReference,
            (BlobReference.org_id == Blob.org_id) & (BlobReference.sha256 == Blob.sha256),
        )
        .where(
            Blob.org_id == visit.org_id,
            Blob.sha256 == sha256,
            Blob.complete_at.is_not(None),
            BlobReference.visit_id == visit.id,
        )
    )
    copy = read(visit.org_id, f"{sha256}.jpg") if is_here else None
    if copy and is_small:
        return Response(thumbnail(copy), mimetype="image/jpeg")
    data = copy or read(visit.org_id, sha256) if is_here else None
    if data is None:
        raise Problem("photo.not-found")
    kind = next((name for start, name in _SIGNATURES if data.startswith(start)), None)
    if kind is None:
        raise Problem("photo.not-found")
    return Response(data, mimetype=kind)


def _complete(org_id: str, sha256: str, data: bytes, now: datetime) -> Blob:
    # not above: whoever performs asks this module what may name a photo
    from fieldapp.perform import unit

    write(org_id, sha256, data)
    with unit(org_id, now) as opened:
        blob = _write_row(org_id, sha256, len(data), len(data), now)
        # Phones say how many photos are still to come.  They hear that this one came from the same
        # transaction: the job that makes its copy may be behind many others, or lost.
        for visit_id in visits_with(org_id, sha256):
            opened.touch(visit_id)
    _forget_pieces(org_id, sha256)
    jobs.enqueue("photo", f"{org_id}/{sha256}")
    return blob


def _note(org_id: str, sha256: str, size: int, received: int) -> Blob:
    begin_writing()
    blob = _write_row(org_id, sha256, size, received, None)
    db.session.commit()
    return blob


def _write_row(
    org_id: str, sha256: str, size: int, received: int, complete_at: datetime | None
) -> Blob:
    table: Any = Blob.__table__
    first = {"org_id": org_id, "sha256": sha256, "received": 0, "size": size, "problem": ""}
    db.session.execute(insert_new(table).values(first))
    blob = db.session.get_one(Blob, (org_id, sha256), with_for_update=True)
    if blob.complete_at is None:
        blob.size, blob.received, blob.complete_at = size, received, complete_at
    return blob


def _pieces(org_id: str, sha256: str, size: int) -> bytes:
    """The pieces that follow each other from the beginning; strays of an earlier try do not."""
    data = b""
    while len(data) < size:
        piece = read(org_id, f"{sha256}.part/{len(data):012}")
        if not piece:
            break
        data += piece
    return data


def _forget_pieces(org_id: str, sha256: str) -> None:
    """Tidy up; what another request writes or removes meanwhile may stay."""
    files, root = _storage()
    try:
        files.rm(f"{root}/{org_id}/{sha256}.part", recursive=True)
    except OSError as error:
        log.info("pieces of %s: %s", sha256, error)


def _names(protocol: str | tuple[str, ...]) -> tuple[str, ...]:
    return (protocol,) if isinstance(protocol, str) else protocol


def _storage() -> tuple[fsspec.AbstractFileSystem, str]:
    files, root = fsspec.core.url_to_fs(current_app.config["BLOBS_URL"])
    return files, root.rstrip("/")
