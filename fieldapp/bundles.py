"""A month's papers as a file: asked for at the desk, made in the background, kept for some days."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from flask import current_app
from sqlalchemy import func, select

from fieldapp import blobs, jobs
from fieldapp.bundling import papers_sealed, write_bundle
from fieldapp.database import begin_writing, queue_up
from fieldapp.ids import mint_id
from fieldapp.models import Bundle, Organisation, Person, Report, db
from fieldapp.models.bundles import FAILED, READY, RUNNING, WAITING
from fieldapp.months import is_month, month_of, months_between
from sync.problems import Problem

log = logging.getLogger(__name__)

LOST_SECONDS = 300
"""Without a word of it for so long whoever made it is gone: twenty papers take seconds."""

REASON_CHARACTERS = 300


class _TakenOver(Exception):
    """Somebody else makes this file by now, or nobody wants it any more."""


def months_of(owner: Organisation, now: datetime) -> list[str]:
    """The months from the first sealed paper of the organisation till now, the newest first."""
    first = db.session.scalar(select(func.min(Report.sealed_at)).where(Report.org_id == owner.id))
    this = month_of(now, owner.zone)
    return months_between(month_of(first, owner.zone), this) if first is not None else []


def bundles_of(org_id: str) -> list[Bundle]:
    """Every file that was asked for and is still kept, the newest first."""
    return list(
        db.session.scalars(
            select(Bundle)
            .where(Bundle.org_id == org_id)
            .order_by(Bundle.asked_at.desc(), Bundle.id.desc())
        )
    )


def bundle_for(person: Person, id_: str) -> Bundle:
    """A file of the person's organisation; Problem("bundle.not-found") otherwise."""
    bundle = db.session.scalar(
        select(Bundle).where(Bundle.id == id_, Bundle.org_id == person.org_id)
    )
    if bundle is None:
        raise Problem("bundle.not-found")
    return bundle


def is_lost(bundle: Bundle, now: datetime) -> bool:
    """Whether nobody is likely to begin it or to work on it any more."""
    is_open = bundle.state in (WAITING, RUNNING)
    return is_open and now - bundle.seen_at > timedelta(seconds=LOST_SECONDS)


def file_of(bundle: Bundle) -> str:
    """Where the file of its newest try is kept among the blobs."""
    return _file(bundle.id, bundle.tries)


def ask_bundle(person: Person, month: str, language: str, now: datetime) -> None:
    """Have the papers of ``month`` put into a file, unless somebody is at it.

    Raises Problem("bundle.month") when that is no month, Problem("bundle.empty") without a paper.
    """
    owner = person.organisation
    if not is_month(month):
        raise Problem("bundle.month")
    count = len(papers_sealed(owner, month))
    if not count:
        raise Problem("bundle.empty")
    org_id, person_id = owner.id, person.id
    begin_writing()
    queue_up(f"bundle {org_id} {month}")
    open_ones = select(Bundle).where(
        Bundle.org_id == org_id, Bundle.month == month, Bundle.state.in_((WAITING, RUNNING))
    )
    if any(not is_lost(bundle, now) for bundle in db.session.scalars(open_ones)):
        db.session.rollback()
        return
    bundle = Bundle(
        id=mint_id(now), org_id=org_id, month=month, language=language, count=count,
        asked_by_id=person_id, asked_at=now, seen_at=now, state=WAITING,
    )  # fmt: skip
    id_ = bundle.id
    db.session.add(bundle)
    db.session.commit()
    jobs.enqueue("bundle", id_)


def ask_again(person: Person, id_: str, now: datetime) -> None:
    """Start a file again that failed or was lost; one that is made or being made stays.

    Raises Problem("bundle.not-found").
    """
    bundle_for(person, id_)
    begin_writing()
    bundle = db.session.get_one(Bundle, id_, with_for_update=True, populate_existing=True)
    if bundle.state != FAILED and not is_lost(bundle, now):
        db.session.rollback()
        return
    bundle.state, bundle.seen_at, bundle.problem, bundle.reason_text = WAITING, now, "", ""
    bundle.done = bundle.missing = 0
    db.session.commit()
    jobs.enqueue("bundle", id_)


def make_bundle(id_: str, now: datetime) -> None:
    """Make one file, unless it is made, being made or not wanted any more."""
    tries = _begin(id_, now)
    if tries is None:
        return
    try:
        _write(id_, tries)
    except _TakenOver:
        log.info("somebody else makes the papers %s", id_)
    except Exception as cause:
        log.exception("the papers %s could not be made", id_)
        _note_failure(id_, tries, cause)


def find_waiting(now: datetime) -> list[str]:
    """Ids of files that nobody began although it is time: their jobs were lost."""
    waiting = db.session.scalars(select(Bundle).where(Bundle.state == WAITING))
    return [bundle.id for bundle in waiting if is_lost(bundle, now)]


def forget_old(now: datetime) -> int:
    """Forget files that were kept long enough, and whatever never became one; returns how many."""
    before = now - timedelta(days=current_app.config["BUNDLE_DAYS"])
    old = db.session.scalars(select(Bundle).where(Bundle.seen_at < before)).all()
    keys = [(bundle.org_id, bundle.id, bundle.tries) for bundle in old]
    for org_id, id_, tries in keys:
        for number in range(1, tries + 1):
            blobs.forget(org_id, _file(id_, number))
        begin_writing()
        if (bundle := db.session.get(Bundle, id_)) is not None:
            db.session.delete(bundle)
        db.session.commit()
    return len(keys)


def _file(id_: str, tries: int) -> str:
    # each try has its own: one that was thought lost and goes on must not take another's place
    return f"bundles/{id_}-{tries}.zip"


def _begin(id_: str, now: datetime) -> int | None:
    """Take the file in hand; the number of this try, or None when there is nothing to do."""
    begin_writing()
    bundle = db.session.get(Bundle, id_, with_for_update=True, populate_existing=True)
    if bundle is None or (bundle.state != WAITING and not is_lost(bundle, now)):
        db.session.rollback()
        return None
    bundle.state, bundle.seen_at, bundle.tries = RUNNING, now, bundle.tries + 1
    tries = bundle.tries
    db.session.commit()
    return tries


def _write(id_: str, tries: int) -> None:
    bundle = db.session.get_one(Bundle, id_)
    owner = db.session.get_one(Organisation, bundle.org_id)
    org_id, name = owner.id, _file(id_, tries)
    month, language = bundle.month, bundle.language

    def tell(done: int, missing: int, count: int) -> None:
        held = _held(id_, tries)
        held.done, held.missing, held.count = done, missing, count
        db.session.commit()

    with blobs.writing(org_id, name) as out:
        write_bundle(out, owner, month, language, tell)
        size = out.tell()
    try:
        bundle = _held(id_, tries)
    except _TakenOver:
        blobs.remove(org_id, name)
        raise
    bundle.state, bundle.size = READY, size
    db.session.commit()


def _held(id_: str, tries: int) -> Bundle:
    """The file in a transaction of its own, seen now, if this is still the try that makes it."""
    begin_writing()
    bundle = db.session.get(Bundle, id_, with_for_update=True, populate_existing=True)
    if bundle is None or (bundle.state, bundle.tries) != (RUNNING, tries):
        db.session.rollback()
        raise _TakenOver
    bundle.seen_at = datetime.now(UTC)
    return bundle


def _note_failure(id_: str, tries: int, cause: Exception) -> None:
    db.session.rollback()
    try:
        bundle = _held(id_, tries)
    except _TakenOver:
        return
    bundle.state, bundle.problem = FAILED, "bundle.failed"
    bundle.reason_text = f"{type(cause).__name__}: {cause}"[:REASON_CHARACTERS]
    db.session.commit()
