"""``fieldapp`` commands without the wait for their imports, of which most of a short one consists.

A process of its own imports the command once and forks whenever one is asked for.  What runs then is
the console command whole, in a process that has its own environment and can be killed.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from fieldapp import cli

SECONDS = 300
_STARTER = multiprocessing.get_context("forkserver")
# The command imports the others when it needs them.
_STARTER.set_forkserver_preload(["fieldapp.cli", "fieldapp.reports", "fieldapp.verify", "waitress"])


class Forked:
    """A command that was forked; what is asked of it is named as by ``subprocess.Popen``.

    With ``said`` its two outputs go to these files, as UTF-8.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        said: tuple[Path, Path] | None = None,
    ) -> None:
        work = (arguments, dict(environment), said)
        self._process = _STARTER.Process(target=_work, args=work)
        self._process.start()

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code, once it ended; None when it did not within ``seconds``."""
        self._process.join(seconds)
        return self._process.exitcode


def run(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """One run of ``fieldapp`` to its end, with nobody at the keyboard."""
    with tempfile.TemporaryDirectory(prefix="fieldapp-said-") as folder:
        said = (Path(folder) / "out", Path(folder) / "err")
        forked = Forked(arguments, environment, said)
        code = forked.wait(SECONDS)
        if code is None:
            forked.kill()
            raise subprocess.TimeoutExpired(["fieldapp", *arguments], SECONDS)
        out, err = (each.read_text("utf-8") if each.exists() else "" for each in said)
        return subprocess.CompletedProcess(["fieldapp", *arguments], code, out, err)


def _work(
    arguments: Sequence[str], environment: dict[str, str], said: tuple[Path, Path] | None
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if said:
        for path, number in zip(said, (1, 2), strict=True):
            with path.open("wb") as file:
                os.dup2(file.fileno(), number)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8") for number in (1, 2))  # noqa: SIM115
    sys.argv = ["fieldapp", *arguments]
    cli.run()
