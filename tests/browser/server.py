"""The real server of browser tests: a process that can be started, stopped and started again."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from flask import Flask
from sqlalchemy import select

from fieldapp import create_app, keys, migrations, reports
from fieldapp.demo import make_demo
from fieldapp.models import Person, Visit, WorkOrder, db
from fieldapp.perform import journal_of
from tests.forked import Forked, run

WAIT_SECONDS = 30
_COMMAND = "from fieldapp.cli import run; run()"


class Server:
    """``fieldapp serve`` on its own instance folder with the demo day in it."""

    def __init__(self, instance: Path) -> None:
        self.instance = instance
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {"INSTANCE": str(instance), "PUBLIC_URL": self.url}
        shutil.copytree(_demo_day(), instance, dirs_exist_ok=True)
        self.app: Flask = create_app(self.settings)
        with self.app.app_context():
            # Nothing is left to be done, unless it is past midnight by now.
            self.accounts = {each.account: each for each in make_demo(datetime.now(UTC))}
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self.told: IO[bytes] | None = None  # where what it prints goes, instead of the terminal

    def start(self, version: str = "", *options: str) -> None:
        """Start, and wait until it answers; as another ``version`` when one is given."""
        if version or self.told:
            other = f"import fieldapp; fieldapp.__version__ = {version!r}; " if version else ""
            self.process = subprocess.Popen(
                [sys.executable, "-c", other + _COMMAND, "serve", *options],
                env=self.environment(),
                stdout=self.told,
            )
        else:
            self.process = Forked(["serve", *options], self.environment())
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.answers():
            assert self.process.poll() is None, "the server did not start"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once, as a lost signal does; afterwards nobody answers on the port."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        assert not self.answers(), "somebody else answers on the port"

    def answers(self) -> bool:
        """Whether anybody listens."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.2):
                return True
        except OSError:
            return False

    @contextmanager
    def office(self) -> Iterator[Flask]:
        """The office at work on the same database, whether the server runs or not."""
        with self.app.app_context():
            yield self.app
            db.session.remove()

    def person(self, account: str) -> Person:
        """The person with this account; inside :meth:`office`."""
        return db.session.scalars(select(Person).where(Person.account == account)).one()

    def visit_of(self, account: str, index: int = 0) -> str:
        """The id of the engineer's visit of today at ``index``, by appointment."""
        with self.office():
            person = self.person(account)
            visits = db.session.scalars(
                select(Visit)
                .join(WorkOrder)
                .where(Visit.engineer_id == person.id, Visit.status == "planned")
                .order_by(Visit.appointment_at)
            ).all()
            return visits[index].id

    def journal_kinds(self, visit_id: str, account: str) -> list[str]:
        """Kinds of the operations the server holds by this author, in the order of their times."""
        with self.office():
            author = self.person(account).id
            visit = db.session.get_one(Visit, visit_id)
            return [row.kind for row in journal_of(visit) if row.author_id == author]

    def verify(self, file: Path) -> tuple[int, str]:
        """Exit code and outcome of ``fieldapp verify``."""
        done = self.run("verify", str(file), "--json")
        return done.returncode, json.loads(done.stdout)["outcome"]

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """One run of the console command on the same instance folder."""
        return run(arguments, self.environment() | settings)

    def environment(self) -> dict[str, str]:
        """The settings of this server for a process."""
        return os.environ | {
            "FIELDAPP_INSTANCE": str(self.instance),
            "FIELDAPP_PUBLIC_URL": self.url,
            "FIELDAPP_PORT": str(self.port),
            "FIELDAPP_SIGN_IN_PER_MINUTE": "1000",
            "FIELDAPP_VERIFY_PER_MINUTE": "1000",
        }


@functools.cache
def _demo_day() -> Path:
    """An instance folder with the demo day in it, made once, to be copied.

    Its papers are sealed: every server that finds some missing begins with making them.
    """
    folder = Path(tempfile.mkdtemp(prefix="fieldapp-demo-"))
    atexit.register(shutil.rmtree, folder)
    app = create_app({"INSTANCE": str(folder)})
    with app.app_context():
        migrations.upgrade()
        keys.prepare_key(datetime.now(UTC))
        make_demo(datetime.now(UTC))
        for visit_id in reports.find_due(datetime.now(UTC)):
            assert reports.make_report(visit_id)
        reports.pool().close()
        db.session.remove()
        db.engine.dispose()
    return folder


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
