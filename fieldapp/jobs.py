"""Background work: papers and print copies, outside every request.

Huey keeps the queue in SQLite beside the database, or in Redis; ``fieldapp serve`` runs its
consumer in the same command.  A job is a name and a key, so that doing it twice is harmless.
"""

from __future__ import annotations

import hmac
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, current_app
from huey import Huey, RedisHuey, SqliteHuey, crontab
from huey.consumer import Consumer
from sqlalchemy import make_url

log = logging.getLogger(__name__)
RETRIES = 3
RETRY_SECONDS = 10


def install(app: Flask) -> None:
    """Give ``app`` its queue and the one task that every job runs through."""
    huey = _open(app)

    @huey.task(retries=RETRIES, retry_delay=RETRY_SECONDS)  # type: ignore[untyped-decorator]
    def run(job: str, key: str) -> None:
        with app.app_context():
            perform_job(job, key)

    @huey.periodic_task(crontab(minute="7"))  # type: ignore[untyped-decorator]
    def tidy() -> None:
        with app.app_context():
            perform_job("due", "")
            perform_job("close", "")
            perform_job("mail-due", "")
            perform_job("bundles", "")

    @huey.periodic_task(crontab(minute="*/10"))  # type: ignore[untyped-decorator]
    def stamp() -> None:
        with app.app_context():
            perform_job("timestamps", "")

    app.extensions["huey"] = huey
    app.extensions["run_job"] = run


def enqueue(job: str, key: str, delay_seconds: int = 0) -> None:
    """Do ``job`` for ``key`` soon, or after a while.

    Jobs are ``report`` (key: a visit's id), ``photo`` (key: ``organisation/sha256``), ``mail``
    (key: the letter's id), ``bundle`` (a month's papers in one file; key: its id) and, every hour
    without a key, ``due`` (a report for every visit whose job was lost), ``close`` (visits that are
    over leave the phones), ``mail-due`` (letters whose job was lost) and ``bundles`` (files whose
    job was lost, and those that were kept long enough); every ten minutes ``timestamps`` (for
    papers sealed without one).  A queue that cannot be reached loses the job, never the request
    whose facts are stored already: ``due`` finds it within the hour.
    """
    run = current_app.extensions["run_job"]
    try:
        if delay_seconds:
            run.schedule((job, key), delay=delay_seconds)
        else:
            run(job, key)
    except Exception:
        log.exception("job %s %s could not be queued", job, key)


def perform_job(job: str, key: str) -> None:
    """Do one job now, in this process."""
    from fieldapp import bundles, closing, mail, postman, reports, timestamps

    if job == "report":
        reports.make_report(key)
    elif job == "photo":
        reports.make_print_copy(*key.split("/", 1))
    elif job == "due":
        for visit_id in reports.find_due(datetime.now(UTC)):
            enqueue("report", visit_id)
    elif job == "mail":
        postman.send_mail(key, datetime.now(UTC))
    elif job == "mail-due":
        for mail_id in mail.find_due_mail(datetime.now(UTC)):
            enqueue("mail", mail_id)
    elif job == "bundle":
        bundles.make_bundle(key, datetime.now(UTC))
    elif job == "bundles":
        bundles.forget_old(datetime.now(UTC))
        for bundle_id in bundles.find_waiting(datetime.now(UTC)):
            enqueue("bundle", bundle_id)
    elif job == "timestamps":
        timestamps.add_timestamps()
    elif job == "close":
        closing.close_visits(datetime.now(UTC))
    else:
        log.error("no such job: %s", job)


def perform_waiting() -> int:
    """Do every waiting job now, in this process; returns how many.

    As in the consumer, one that fails is tried again later, and one that is for later stays.
    """
    huey: Huey = current_app.extensions["huey"]
    count = 0
    # asked first: to take from an empty Redis is to wait
    while huey.pending_count() and (task := huey.dequeue()) is not None:
        count += huey.ready_to_run(task)
        huey.execute(task)
    return count


def start_consumer(app: Flask, workers: int) -> Any:
    """Run the queue in threads of this process; returns what ``stop()`` ends.

    ``stop(graceful=True)`` lets the jobs in hand end, for as long as a paper may take.
    """
    consumer = _QuietConsumer(
        app.extensions["huey"],
        workers=workers,
        shutdown_timeout=app.config["RENDER_SECONDS"],
    )
    threading.Thread(target=consumer.run, name="jobs", daemon=True).start()
    return consumer


class _QuietConsumer(Consumer):  # type: ignore[misc]
    """Huey's consumer without its signal handlers: the server's process has its own."""

    def _set_signal_handlers(self) -> None:
        """Leave the process's signals alone."""


def _open(app: Flask) -> Huey:
    if app.config["REDIS_URL"]:
        return RedisHuey(_queue_name(app), url=app.config["REDIS_URL"], results=False)
    instance = Path(app.config["INSTANCE"])
    instance.mkdir(parents=True, exist_ok=True)
    return SqliteHuey("fieldapp", filename=str(instance / "jobs.sqlite"), results=False)


def _queue_name(app: Flask) -> str:
    """What the queue is called in a Redis that other installations may use too.

    All nodes of one installation have the same session key and the same database, however each
    writes the way to it; no two installations have both.
    """
    database = make_url(app.config["DATABASE_URL"]).database or ""
    secret = str(app.secret_key).encode()
    return f"fieldapp{hmac.new(secret, f'queue {database}'.encode(), 'sha256').hexdigest()[:16]}"
