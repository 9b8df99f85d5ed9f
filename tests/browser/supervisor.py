"""Servers that are killed in the middle of a push, one after the other, without the wait of a start.

``fieldapp serve`` takes longer to import itself than to do anything else.  The supervisor, a process
of its own, imports it once and forks: each child is a whole server that goes through the command's
own code on the same instance folder, binds the port anew and ends by SIGKILL.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import flask
import waitress
from server import WAIT_SECONDS, Server
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session
from waitress.channel import HTTPChannel

from fieldapp import cli, create_app, migrations, reports, verify
from fieldapp.models import db
from sync.glyphs import coverage

Place = Literal[
    "arriving",  # the first bytes of the request are there
    "read",  # the whole request is there, nothing was done about it
    "statement",  # before the database is sent its ``count``-th statement
    "committing",  # all is written, not yet committed
    "committed",
    "answering",  # the answer is made, nothing of it was sent
    "half answered",
    "later",  # ``count`` ms after the request was read
]
IMPORTED = (waitress, reports, verify)
"""What the command imports when it needs it."""


@dataclass(frozen=True)
class Moment:
    """When a server dies: at ``place`` of its ``push``-th push, which is counted from 1.

    A ``statement`` that the push does not come to is the same as ``answering``.
    """

    place: Place
    push: int = 1
    count: int = 0


class Supervisor:
    """Starts servers that are to die.  ``with Supervisor(server) as supervisor`` leaves none."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._said = b""

    def __enter__(self) -> Supervisor:
        environment = self.server.environment() | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._line() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # a child that was not to die yet included
        self._process.communicate()

    def start(self, moment: Moment) -> None:
        """Start a server that dies at ``moment``, and wait until it answers."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(moment)).encode() + b"\n")
        self._process.stdin.flush()
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.server.answers():
            if self._can_be_read(0.005):
                return  # the phone was there before us: it has died already
            assert time.monotonic() < deadline, "the server does not answer"

    def is_alive(self) -> bool:
        """Whether the server still runs.  It ends by SIGKILL only."""
        if not self._can_be_read(0):
            return True
        ended = self._line()
        assert ended == str(-signal.SIGKILL), f"the server ended with {ended}"
        return False

    def _can_be_read(self, seconds: float) -> bool:
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()


class _Death:
    """Ends this process at ``moment``, without a word to anybody."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        self.pushes = 0
        self.statements = 0
        self.thread = 0  # the one that works on the push
        self.is_committing = False

    def install(self) -> None:
        """Listen wherever a moment may come."""
        flask.request_started.connect(self._request_started, weak=False)
        flask.request_finished.connect(self._request_finished, weak=False)
        event.listen(Engine, "before_cursor_execute", self._before_statement)
        event.listen(Engine, "commit", self._before_commit)
        event.listen(Session, "after_commit", self._after_commit)
        self._wrap("received", self._before_reading)
        self._wrap("send", self._before_sending)

    def _request_started(self, _app: Any, **_: Any) -> None:
        if flask.request.path != "/sync/push":
            return
        self.pushes += 1
        if self.pushes == self.moment.push:
            self.thread = threading.get_ident()
            self._has_come("read")
            if self.moment.place == "later":
                threading.Timer(self.moment.count / 1000, _die).start()

    def _before_statement(self, *_: Any) -> None:
        if self._is_mine():
            self.statements += 1
            if self.statements == self.moment.count:
                self._has_come("statement")

    def _before_commit(self, connection: Connection) -> None:
        if self._is_mine() and connection.get_execution_options().get("immediate"):
            self.is_committing = True
            self._has_come("committing")

    def _after_commit(self, _session: Session) -> None:
        if self._is_mine() and self.is_committing:
            self._has_come("committed")

    def _request_finished(self, _app: Any, **_: Any) -> None:
        if self._is_mine():
            self._has_come("answering", "statement")

    def _before_reading(self, _channel: HTTPChannel, data: bytes) -> None:
        if data.startswith(b"POST /sync/push ") and self.pushes == self.moment.push - 1:
            self._has_come("arriving")

    def _before_sending(self, channel: HTTPChannel, data: bytes) -> None:
        if self.moment.place == "half answered" and self.is_committing:
            channel.socket.sendall(data[: len(data) // 2])
            self._has_come("half answered")

    def _wrap(self, name: str, look: Callable[[HTTPChannel, bytes], None]) -> None:
        plain = getattr(HTTPChannel, name)

        def wrapped(channel: HTTPChannel, data: bytes, *more: Any, **named: Any) -> Any:
            look(channel, data)
            return plain(channel, data, *more, **named)

        setattr(HTTPChannel, name, wrapped)

    def _is_mine(self) -> bool:
        return threading.get_ident() == self.thread

    def _has_come(self, *places: Place) -> None:
        if self.moment.place in places:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _serve(moment: Moment) -> None:
    """Be the command, with its standard output where its errors are."""
    os.dup2(2, 1)
    _Death(moment).install()
    sys.argv = ["fieldapp", "serve"]
    cli.run()


def _warm() -> None:
    """Do once what the first application of a process takes its time for, somewhere else."""
    coverage()
    with tempfile.TemporaryDirectory() as folder:
        app = create_app({"INSTANCE": folder})
        with app.app_context():
            migrations.upgrade()
            db.engine.dispose()
    gc.collect()
    gc.freeze()


def main() -> None:
    """Start a server for every moment that comes in, and say how it ended."""
    _warm()
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _serve(Moment(**json.loads(line)))
            os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
