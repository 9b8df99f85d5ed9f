"""Background work goes on whatever one job does, and ends with the server.

Every test that has an application runs on both queues: SQLite's and a real Redis.
"""

import contextlib
import datetime
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from fieldapp import create_app, jobs, reports
from tests.databases import disconnect
from tests.fieldapp.reports.papers import papers
from tests.phones import signature
from tests.redis_server import RedisServer

WAIT_SECONDS = 60
DEAD = "01900000-0000-7000-8000-00000000dead"


@pytest.fixture(scope="module")
def started_redis():
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(started_redis):
    """A Redis that runs, whatever the test before did to it."""
    started_redis.start()
    return started_redis


def let_go(app):
    """Close the connections to Redis that are not in use."""
    app.extensions["huey"].storage.pool.disconnect()


@contextlib.contextmanager
def with_redis(databases, folder, redis, **settings):
    """An installation whose queue is in Redis."""
    with databases.application(folder, REDIS_URL=redis.url, **settings) as app:
        yield app
        let_go(app)


@pytest.fixture
def redis_app(databases, tmp_path, redis):
    with with_redis(databases, tmp_path, redis) as app:
        yield app


@pytest.fixture
def sqlite_app(databases, tmp_path):
    with databases.application(tmp_path) as app:
        yield app


@pytest.fixture(params=["sqlite_app", "redis_app"], ids=["SQLite", "Redis"])
def app(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def done(app, monkeypatch):
    """Keys of the reports that were made; ``bad`` raises each time, ``once`` the first time."""
    found = []

    def make_report(key):
        found.append(key)
        if key == "bad" or (key == "once" and found.count("once") == 1):
            raise RuntimeError(f"{key} fails")

    monkeypatch.setattr(reports, "make_report", make_report)
    return found


@pytest.fixture
def queue(app):
    return app.extensions["huey"]


def enqueue(app, *keys, **more):
    with app.app_context():
        for key in keys:
            jobs.enqueue("report", key, **more)


def perform_waiting(app):
    with app.app_context():
        return jobs.perform_waiting()


def wait_for(is_so):
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_waiting_jobs_are_done_in_their_order(app, done):
    enqueue(app, "one", "two", "one")
    assert perform_waiting(app) == 3
    assert done == ["one", "two", "one"]
    assert perform_waiting(app) == 0


def test_a_job_that_fails_does_not_stop_the_queue_and_is_tried_again(app, queue, done):
    enqueue(app, "bad", "good")
    perform_waiting(app)
    assert done == ["bad", "good"]
    (again,) = queue.scheduled()
    assert (again.args, again.retries) == (("report", "bad"), jobs.RETRIES - 1)
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    assert now < again.eta <= now + datetime.timedelta(seconds=jobs.RETRY_SECONDS)


def test_a_job_that_always_fails_is_given_up(app, queue, done):
    enqueue(app, "bad")
    perform_waiting(app)
    for _ in range(jobs.RETRIES + 2):
        for task in queue.read_schedule(datetime.datetime.max):
            task.eta = None
            queue.enqueue(task)
        perform_waiting(app)
    assert done == ["bad"] * (jobs.RETRIES + 1)
    assert queue.scheduled_count() == queue.pending_count() == 0


def test_a_job_for_later_stays_for_later(app, queue, done):
    enqueue(app, "later", delay_seconds=3600)
    enqueue(app, "now")
    assert perform_waiting(app) == 1
    assert done == ["now"]
    assert [task.args for task in queue.scheduled()] == [("report", "later")]


def test_a_job_that_asks_for_itself_later_ends(app, queue, done, monkeypatch):
    def patient(key):
        jobs.enqueue("report", key, delay_seconds=3600)

    monkeypatch.setattr(reports, "make_report", patient)
    enqueue(app, "waits for a photo")
    assert perform_waiting(app) == 1
    assert queue.scheduled_count() == 1


def test_an_unknown_job_is_logged_and_left(app, caplog, done):
    with app.app_context():
        jobs.enqueue("teleport", "x")
        jobs.enqueue("report", "next")
    perform_waiting(app)
    assert "no such job: teleport" in caplog.text
    assert done == ["next"]
    assert "photo" not in caplog.text


def test_a_photo_job_names_organisation_and_blob(app, monkeypatch):
    made = []
    monkeypatch.setattr(reports, "make_print_copy", lambda *names: made.append(names))
    with app.app_context():
        jobs.enqueue("photo", "brook/abc")
        jobs.perform_waiting()
    assert made == [("brook", "abc")]


def test_lost_reports_are_asked_for_again(app, done, monkeypatch):
    monkeypatch.setattr(reports, "find_due", lambda now: ["v1", "v2"])
    with app.app_context():
        jobs.enqueue("due", "")
    assert perform_waiting(app) == 3
    assert done == ["v1", "v2"]


def test_a_queue_that_is_gone_stops_nobody(app, monkeypatch, caplog):
    def gone(*_):
        raise ConnectionError("no Redis")

    monkeypatch.setitem(app.extensions, "run_job", gone)
    enqueue(app, "v1")
    assert "job report v1 could not be queued" in caplog.text


# The consumer


@contextlib.contextmanager
def consuming(app, workers=2):
    before = set(threading.enumerate())
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    consumer = jobs.start_consumer(app, workers)
    try:
        yield consumer
    finally:
        consumer.stop(graceful=True)
        wait_for(lambda: set(threading.enumerate()) <= before)
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_the_consumer_does_what_waits_and_stops(app, queue, done):
    enqueue(app, "bad", "one")
    with consuming(app):
        enqueue(app, "two")
        wait_for(lambda: {"one", "two"} <= set(done))
    enqueue(app, "three")
    assert queue.pending_count() == 1
    assert "three" not in done


def test_the_consumer_tries_again(app, done):
    app.extensions["run_job"].task_class.default_retry_delay = 0
    enqueue(app, "once")
    with consuming(app, 1):
        wait_for(lambda: done == ["once", "once"])


def test_the_job_in_hand_ends_before_the_server_does(app, monkeypatch):
    started, ended = threading.Event(), threading.Event()

    def slow(_):
        started.set()
        ended.wait(0.5)
        ended.set()

    monkeypatch.setattr(reports, "make_report", slow)
    enqueue(app, "slow")
    with consuming(app, 1):
        started.wait(WAIT_SECONDS)
    assert ended.is_set()


def test_the_consumer_does_what_was_for_later_when_its_time_comes(app, queue, done):
    enqueue(app, "later", delay_seconds=3600)
    perform_waiting(app)
    assert done == []
    (task,) = queue.read_schedule(datetime.datetime.max)
    task.eta = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    queue.add_schedule(task)
    with consuming(app, 1):
        wait_for(lambda: done == ["later"])


def test_a_consumer_that_ends_leaves_the_rest_to_the_next(app, monkeypatch):
    """It is told to end while the first job is in hand; nothing is lost, nothing done twice."""
    done, first, go_on = [], threading.Event(), threading.Event()

    def make_report(key):
        first.set()
        go_on.wait(WAIT_SECONDS)
        done.append(key)

    monkeypatch.setattr(reports, "make_report", make_report)
    keys = [f"v{number}" for number in range(20)]
    enqueue(app, *keys)
    with consuming(app, 1) as consumer:
        first.wait(WAIT_SECONDS)
        consumer.stop()
        go_on.set()
    assert 0 < len(done) < len(keys)
    with consuming(app, 1):
        wait_for(lambda: done == keys)


# Redis alone


def test_two_installations_on_one_redis_do_not_take_each_others_jobs(
    databases, tmp_path, redis, monkeypatch
):
    """Not even those that somebody gave the same session key."""
    done = []
    monkeypatch.setattr(reports, "make_report", done.append)
    with (
        with_redis(databases, tmp_path / "brook", redis, SECRET_KEY="copied") as brook,
        with_redis(databases, tmp_path / "elsewhere", redis, SECRET_KEY="copied") as elsewhere,
    ):
        enqueue(brook, "brook's")
        enqueue(elsewhere, "elsewhere's")
        assert perform_waiting(brook) == 1
        assert done == ["brook's"]
        assert perform_waiting(elsewhere) == 1
        assert done == ["brook's", "elsewhere's"]


def test_installations_with_the_same_path_are_told_apart_by_their_keys(tmp_path, redis):
    names = {
        create_app(
            {
                "INSTANCE": str(tmp_path),
                "DATABASE_URL": "postgresql:///fieldapp",
                "REDIS_URL": redis.url,
                "SECRET_KEY": key,
            }
        )
        .extensions["huey"]
        .storage.queue_key
        for key in ("brook", "elsewhere")
    }
    assert len(names) == 2


def test_the_nodes_of_one_installation_share_their_queue(redis_app, tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(reports, "make_report", done.append)
    settings = {key: redis_app.config[key] for key in ("DATABASE_URL", "REDIS_URL")}
    other = create_app(
        settings | {"INSTANCE": str(tmp_path / "node"), "SECRET_KEY": redis_app.secret_key}
    )
    enqueue(redis_app, "anybody's")
    assert perform_waiting(other) == 1
    assert done == ["anybody's"]
    let_go(other)
    disconnect(other)


def test_what_waits_is_there_when_redis_comes_back(redis_app, redis, monkeypatch):
    done = []
    monkeypatch.setattr(reports, "make_report", done.append)
    enqueue(redis_app, "kept")
    redis.stop()
    redis.start()
    assert perform_waiting(redis_app) == 1
    assert done == ["kept"]


class TestRedisIsGone:
    """The same names, because the people and the visit of the fixtures belong to ``app``."""

    @pytest.fixture
    def app(self, redis_app):
        return redis_app

    def test_what_came_is_kept_and_its_paper_found_later(
        self, app, sealing, redis, visit, erin_phone, work, caplog
    ):
        work()
        redis.stop()
        assert erin_phone.receipts(signature(erin_phone, visit)) == [("merged", [])]
        assert f"job report {visit} could not be queued" in caplog.text
        redis.start()
        assert work() == 0
        assert papers(app, visit) == []
        with app.app_context():
            jobs.enqueue("due", "")
        work()
        assert [revision for revision, _ in papers(app, visit)] == [1]

    def test_the_consumer_notices_that_it_is_back(self, app, redis, done, caplog):
        with consuming(app, 1):
            enqueue(app, "before")
            wait_for(lambda: done == ["before"])
            redis.stop()
            wait_for(lambda: "Error reading from queue" in caplog.text)
            redis.start()
            enqueue(app, "after")
            wait_for(lambda: done == ["before", "after"])


# The process


class Server:
    """``fieldapp serve`` in a process of its own."""

    def __init__(self, app):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from fieldapp.cli import run; run()", "serve"],
            env=os.environ
            | {
                "FIELDAPP_INSTANCE": str(app.config["INSTANCE"]),
                "DATABASE_URL": app.config["DATABASE_URL"],
                "FIELDAPP_REDIS_URL": app.config["REDIS_URL"],
                "FIELDAPP_PORT": str(self.port),
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            stderr=subprocess.PIPE,
        )

    def answers(self):
        assert self.process.poll() is None, "the server did not start"
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.2):
                return True
        except OSError:
            return False


@pytest.fixture
def server(app):
    started = Server(app)
    try:
        wait_for(started.answers)
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_works_through_the_queue_and_ends_when_told(app, queue, server, number):
    with app.app_context():
        jobs.enqueue("report", DEAD)
    wait_for(lambda: queue.pending_count() == 0)
    server.process.send_signal(number)
    _, told = server.process.communicate(timeout=WAIT_SECONDS)
    assert (server.process.returncode, told) == (0, b"")


def test_a_server_that_was_killed_leaves_the_queue_to_the_next(app, queue, server):
    server.process.kill()
    server.process.wait()
    with app.app_context():
        jobs.enqueue("report", DEAD)
    assert queue.pending_count() >= 1
    again = Server(app)
    try:
        wait_for(again.answers)
        wait_for(lambda: queue.pending_count() == 0)
    finally:
        again.process.kill()
        again.process.communicate()
