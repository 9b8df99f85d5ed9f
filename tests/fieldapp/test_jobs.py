"""Background work goes on whatever one job does, and ends with the server."""

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

from fieldapp import jobs, reports

WAIT_SECONDS = 60


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
        jobs.enqueue("report", "01900000-0000-7000-8000-00000000dead")
    wait_for(lambda: queue.pending_count() == 0)
    server.process.send_signal(number)
    _, told = server.process.communicate(timeout=WAIT_SECONDS)
    assert (server.process.returncode, told) == (0, b"")


def test_a_server_that_was_killed_leaves_the_queue_to_the_next(app, queue, server):
    server.process.kill()
    server.process.wait()
    with app.app_context():
        jobs.enqueue("report", "01900000-0000-7000-8000-00000000dead")
    assert queue.pending_count() >= 1
    again = Server(app)
    try:
        wait_for(again.answers)
        wait_for(lambda: queue.pending_count() == 0)
    finally:
        again.process.kill()
        again.process.communicate()
