"""Papers whose file was lost: put back from a later one, or made and sealed again.

What is made again must be, byte for byte, what was sealed before; otherwise it is refused.  Copies
of the lost file that were handed out stay genuine.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pikepdf
from sqlalchemy import select

from fieldapp import __version__, blobs, sources
from fieldapp.database import begin_writing
from fieldapp.models import Report, ReportSource, Visit, WorkOrder, db
from fieldapp.models.papers import PLACE
from fieldapp.register import digests_of, register
from fieldapp.reports import awaits_timestamp, paper_file, pool, read_paper, seal_job
from sync import photos
from sync.problems import Problem
from sync.verdict import digest_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resealed:
    """What became of one lost paper.

    ``from_revision`` is the later one that carried its file; None when it was sealed again.
    ``aside`` is where a damaged file is kept among the blobs, empty when there was none.
    ``problem`` is why it is still lost, else None.
    """

    revision: int
    title: str
    from_revision: int | None = None
    aside: str = ""
    problem: Problem | None = None


def reseal(org_id: str, called: str, revision: int | None, now: datetime) -> list[Resealed]:
    """Bring back every lost paper of a visit (its id) or of a work order (its number).

    Of all its revisions, or of one.  Raises Problem("reseal.unknown") when there is no such thing,
    Problem("reseal.no-paper") when nothing was sealed, Problem("reseal.not-lost") when every file
    is there and is what was sealed.
    """
    papers = _papers(org_id, called, revision)
    lost = [paper for paper in papers if _is_lost(paper)]
    if not lost:
        raise Problem("reseal.not-lost", called=called)
    done: dict[str, Resealed] = {}
    # the newest first: what is put back may carry what is still lost
    for paper in reversed(lost):
        if (found := _put_back(paper)) is not None:
            done[paper.id] = found
    # the oldest first: what is made again may need the one before
    for paper in lost:
        if paper.id not in done:
            done[paper.id] = _seal_again(paper, now)
    return [done[paper.id] for paper in lost]


def _papers(org_id: str, called: str, revision: int | None) -> Sequence[Report]:
    visits = list(
        db.session.scalars(
            select(Visit.id)
            .outerjoin(WorkOrder, WorkOrder.id == Visit.work_order_id)
            .where(Visit.org_id == org_id, (Visit.id == called) | (WorkOrder.number == called))
        )
    )
    if not visits:
        raise Problem("reseal.unknown", called=called)
    asked = select(Report).where(Report.org_id == org_id, Report.visit_id.in_(visits))
    if revision is not None:
        asked = asked.where(Report.revision == revision)
    papers = db.session.scalars(asked.order_by(Report.visit_id, Report.revision, PLACE)).all()
    if not papers:
        raise Problem("reseal.no-paper", called=called)
    return papers


def _is_lost(paper: Report) -> bool:
    pdf = read_paper(paper)
    return pdf is None or digest_of(pdf) not in digests_of(paper)


def _put_back(paper: Report) -> Resealed | None:
    """The file itself, if a later paper carries it."""
    later = db.session.scalars(
        select(Report)
        .where(
            Report.visit_id == paper.visit_id,
            Report.name == paper.name,
            Report.revision > paper.revision,
        )
        .order_by(Report.revision)
    ).all()
    for other in later:
        pdf = read_paper(other)
        if pdf is None or digest_of(pdf) not in digests_of(other):
            continue
        with pikepdf.open(io.BytesIO(pdf)) as document:
            carried = document.attachments.get("previous.pdf")
            found = carried.get_file().read_bytes() if carried is not None else b""
        if digest_of(found) in digests_of(paper):
            aside = _replace(paper, found, is_same_file=True)
            return Resealed(paper.revision, paper.title, other.revision, aside)
    return None


def _seal_again(paper: Report, now: datetime) -> Resealed:
    """The same paper under a new seal, or why there is none."""
    revision, title = paper.revision, paper.title
    try:
        pdf = _made_again(paper, now)
    except Problem as problem:
        db.session.rollback()
        return Resealed(revision, title, problem=problem)
    register(paper.id, paper.sha256, digest_of(pdf))
    return Resealed(revision, title, aside=_replace(paper, pdf))


def _made_again(paper: Report, now: datetime) -> bytes:
    source = db.session.get(ReportSource, (paper.visit_id, paper.revision))
    if source is None or not paper.unsealed_sha256:
        raise Problem("reseal.no-source")
    org_id = paper.org_id
    common, previous = sources.unpack(
        source.packed, lambda file, sha256: _picture(org_id, file, sha256)
    )
    whole = common | {
        "name": paper.name,
        "previous_sha256": previous[paper.name]["previous_sha256"],
        "previous_pdf": _previous(paper, previous[paper.name]),
    }
    then, unsealed_sha256 = source.made_by, paper.unsealed_sha256
    job = seal_job(whole, now)
    db.session.rollback()  # nobody waits for the paper with a transaction open
    pdf, made_sha256 = pool().render_sealed(whole, job, replace_missing=True)
    if made_sha256 != unsealed_sha256:
        raise Problem("reseal.changed", then=then, now=__version__)
    return pdf


def _previous(paper: Report, told: sources.PreviousPaper) -> bytes | None:
    """The earlier paper as it went along; a timestamp that came later is cut off again."""
    if told["sha256"] is None:
        return None
    earlier = db.session.scalars(
        select(Report).where(
            Report.visit_id == paper.visit_id,
            Report.name == paper.name,
            Report.revision < paper.revision,
        )
    )
    for one in earlier:
        pdf = (read_paper(one) or b"")[: told["size"]]
        if digest_of(pdf) == told["sha256"]:
            return pdf
    raise Problem("reseal.part-lost", part="previous.pdf")


def _picture(org_id: str, file: str, sha256: str) -> bytes:
    """A picture as it stood on the paper; a print copy is made again from its photo."""
    data = blobs.read(org_id, file)
    if data is not None and digest_of(data) == sha256:
        return data
    name = file.removesuffix(".jpg")
    original = blobs.read(org_id, name) if blobs.is_name(name) else None
    if original is not None:
        copy = photos.print_copy(original)
        if digest_of(copy) == sha256:
            return copy
    raise Problem("reseal.part-lost", part=file)


def _replace(paper: Report, pdf: bytes, *, is_same_file: bool = False) -> str:
    """Put ``pdf`` where the paper was; returns where a damaged file went, or nothing.

    A file that is put back waits for a timestamp only if the paper had one, or was to get one.
    Raises Problem("reseal.not-lost") when the file is there by now.
    """
    begin_writing()
    row = db.session.get_one(Report, paper.id, with_for_update=True, populate_existing=True)
    file, aside = paper_file(row.visit_id, row.revision, row.name), ""
    there = blobs.read(row.org_id, file)
    if there is not None and digest_of(there) in digests_of(row):
        raise Problem("reseal.not-lost", called=row.visit_id)  # somebody was faster
    if there is not None:
        aside = f"{file}.damaged-{digest_of(there)[:12]}"
        blobs.write(row.org_id, aside, there)
    blobs.write(row.org_id, file, pdf)
    if not is_same_file or digests_of(row) != {digest_of(pdf)}:
        row.awaits_timestamp = awaits_timestamp(pdf)
    row.sha256 = digest_of(pdf)
    db.session.commit()
    log.warning("revision %s of visit %s has a file again", row.revision, row.visit_id)
    return aside
