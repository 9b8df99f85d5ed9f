"""What keeps the papers of a visit from being made, and when that is tried again.

A visit whose papers cannot be made fails alone: why is kept, the desk sees it, and what is tried
again waits longer each time.  Three things are told apart:

* the office's own trouble (a full disk, a key that cannot be read) says nothing about the visit:
  it is tried again every hour, however long that lasts;
* what may pass (a process that died, a paper that took too long) is tried again a few times;
* what would come out the same (a rule of PDF/A, a file from outside) is not.

Then nothing happens until something that stands on paper arrives, somebody presses "try again", or
another release of fieldapp runs.  A database that cannot answer is none of these: nothing can be
noted there, and the queue tries again by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, or_, select

from fieldapp import __version__, jobs
from fieldapp.models import Blob, BlobReference, Hindrance, Visit, db
from fieldapp.perform import unit
from sync.catalogue import ON_PAPER
from sync.problems import CATALOGUE, Problem
from sync.tables import journal

DELAYS_SECONDS = (60, 600, 3600)
"""How long papers that may pass wait for the next try, each time longer."""

OFFICE_SECONDS = 3600
"""How long papers wait while the office itself is in trouble."""

OFFICE = ("seal.key-unreadable",)
"""Problems that every visit has at that time."""

ARG_CHARACTERS = 300


def is_left_alone(visit_id: str, now: datetime) -> bool:
    """Whether making the papers of a visit failed and is not due again."""
    return bool(left_alone(now, [visit_id]))


def left_alone(now: datetime, visit_ids: Collection[str] | None = None) -> set[str]:
    """Ids of visits, of ``visit_ids`` or of all, whose papers are not tried again yet."""
    waiting = select(Hindrance.visit_id, Hindrance.tried_at).where(
        Hindrance.release == __version__,
        or_(Hindrance.next_at.is_(None), Hindrance.next_at > now),
    )
    if visit_ids is not None:
        waiting = waiting.where(Hindrance.visit_id.in_(visit_ids))
    tried = {row[0]: row[1] for row in db.session.execute(waiting)}
    news = _news(tried) if tried else {}
    return {id_ for id_, at in tried.items() if id_ not in news or news[id_] < at}


def note(visit_id: str, error: Exception, began_at: datetime) -> None:
    """Keep why the papers of a visit were not made by the try that began at ``began_at``."""
    now = datetime.now(UTC)
    org_id = db.session.get_one(Visit, visit_id).org_id
    problem = _problem_of(error)
    with unit(org_id, now) as opened:
        opened.hold([visit_id])
        found = db.session.get(Hindrance, visit_id, populate_existing=True)
        if found is None:
            found = Hindrance(visit_id=visit_id, org_id=org_id, tries=0)
            db.session.add(found)
        elif (news := _news([visit_id]).get(visit_id)) is not None and news >= found.tried_at:
            found.tries = 0
        delay = _delay(error, problem, found.tries)
        found.problem = problem.code
        found.args = {name: _sayable(value) for name, value in problem.args_.items()}
        found.tries += 1
        found.release = __version__
        found.tried_at = began_at
        found.next_at = None if delay is None else now + timedelta(seconds=delay)
        opened.touch(visit_id)
    if delay is not None:
        jobs.enqueue("report", visit_id, delay_seconds=delay)


def clear(visit_id: str, now: datetime) -> None:
    """Nothing keeps the papers of a visit from being made any more."""
    noted = db.session.get(Hindrance, visit_id)
    if noted is None:
        return
    with unit(noted.org_id, now) as opened:
        opened.hold([visit_id])
        found = db.session.get(Hindrance, visit_id, populate_existing=True)
        if found is not None:
            db.session.delete(found)
            opened.touch(visit_id)


def try_again(visit: Visit, now: datetime) -> None:
    """Somebody at the desk wants the papers of ``visit`` tried again at once."""
    visit_id = visit.id
    with unit(visit.org_id, now) as opened:
        opened.hold([visit_id])
        found = db.session.get(Hindrance, visit_id, populate_existing=True)
        if found is not None:
            found.tries, found.next_at = 0, now
            opened.touch(visit_id)
    jobs.enqueue("report", visit_id)


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    return Problem("report.failed", reason=f"{type(error).__name__}: {error}")


def _delay(error: Exception, problem: Problem, tries: int) -> int | None:
    """Seconds until the next try after ``tries`` that failed before this one; None: not again."""
    if isinstance(error, OSError) or problem.code in OFFICE:
        return OFFICE_SECONDS
    may_pass = problem.code in CATALOGUE and CATALOGUE[problem.code].retry
    return DELAYS_SECONDS[tries] if may_pass and tries < len(DELAYS_SECONDS) else None


def _sayable(value: object) -> str:
    """The beginning of an argument as a page can say it: it may stem from hostile text."""
    return str(value).encode(errors="replace").decode()[:ARG_CHARACTERS]


def _news(visit_ids: Collection[str]) -> dict[str, datetime]:
    """When something that stands on paper, or a photo, came last for each of these visits."""
    kinds = [name for name, on_paper in ON_PAPER.items() if on_paper != "never"]
    news: dict[str, datetime] = {}
    entries = db.session.execute(
        select(journal.c.visit_id, func.max(journal.c.received_ms))
        .join(Visit, (Visit.org_id == journal.c.org_id) & (Visit.id == journal.c.visit_id))
        .where(Visit.id.in_(visit_ids), journal.c.kind.in_(kinds))
        .group_by(journal.c.visit_id)
    )
    for id_, ms in entries:
        # the journal counts whole milliseconds: what came within one may have come after
        news[id_] = datetime.fromtimestamp((ms + 1) / 1000, UTC)
    photos = db.session.execute(
        select(BlobReference.visit_id, func.max(Blob.complete_at))
        .join(Blob, (Blob.org_id == BlobReference.org_id) & (Blob.sha256 == BlobReference.sha256))
        .where(BlobReference.visit_id.in_(visit_ids), Blob.complete_at.is_not(None))
        .group_by(BlobReference.visit_id)
    )
    for id_, at in photos:
        if at is not None:
            news[id_] = max(at, news.get(id_, at))
    return news
