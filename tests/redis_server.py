"""A real Redis of the tests' own, on a socket in a folder of its own; Debian's ``redis-server``."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import redis

WAIT_SECONDS = 30


class RedisServer:
    """It can be stopped and started again, and keeps what it held.

    ``url`` stays the same.  Used as a context it runs inside and is gone afterwards.
    """

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is missing: apt-get install redis-server")
        self._program = program
        # a socket's path has 107 bytes: a test's own folder may be too deep
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.url = f"unix://{self._folder}/socket"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            [self._program, "--port", "0", "--unixsocket", "socket", "--dir", str(self._folder),
             "--appendonly", "yes", "--save", ""],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "redis-server did not start"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it; nobody answers any more."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url) as asked:
            try:
                return bool(asked.ping())
            except redis.ConnectionError:
                return False
