"""``fieldapp serve`` as a process on a database of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

WAIT_SECONDS = 30
_COMMAND = "from fieldapp.cli import run; run()"


class Server:
    """A running server; ``url`` is its address."""

    def __init__(self, instance: Path, database_url: str, **settings: object) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        given = {"INSTANCE": instance, "PUBLIC_URL": self.url, "SIGN_IN_PER_MINUTE": 100_000}
        environment = os.environ | {"DATABASE_URL": database_url}
        environment |= {
            f"FIELDAPP_{name}": str(value) for name, value in (given | settings).items()
        }
        with (instance / "server.log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, "serve", "--port", str(self.port)],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Until it answers."""
        wait_for(self.port, self.process)

    @property
    def resident_mb(self) -> float:
        """Memory that it holds now, in MB."""
        return resident_mb(self.process.pid)

    @property
    def peak_mb(self) -> float:
        """The most memory that it ever held, in MB."""
        return _memory_mb(self.process.pid, "VmHWM")


@contextlib.contextmanager
def serving(instance: Path, database_url: str, **settings: object) -> Iterator[Server]:
    """A server that answers, ended when left."""
    server = Server(instance, database_url, **settings)
    try:
        server.wait()
        yield server
    finally:
        end(server.process)


def resident_mb(process_id: int) -> float:
    """Memory that a process holds now, in MB."""
    return _memory_mb(process_id, "VmRSS")


def _memory_mb(process_id: int, name: str) -> float:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until ``process`` listens on ``port``; RuntimeError when it ends or says nothing."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} does not answer")
        time.sleep(0.05)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, and make it when it does not."""
    process.terminate()
    try:
        process.wait(WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
