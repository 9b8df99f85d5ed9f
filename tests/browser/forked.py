"""``fieldapp serve`` without the wait for its imports, of which most of a start consists.

A process of its own imports the command once and forks a server whenever one is asked for: a whole
one, which goes through the command's own code and can be killed.
"""

from __future__ import annotations

import multiprocessing
import os
import sys

from fieldapp import cli

_STARTER = multiprocessing.get_context("forkserver")
# The command imports the others when it needs them.
_STARTER.set_forkserver_preload(["fieldapp.cli", "fieldapp.reports", "fieldapp.verify", "waitress"])


class Forked:
    """A server that was forked; what is asked of it is named as by ``subprocess.Popen``."""

    def __init__(self, options: tuple[str, ...], environment: dict[str, str]) -> None:
        self._process = _STARTER.Process(target=_serve, args=(options, environment), daemon=True)
        self._process.start()

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()

    def wait(self) -> int | None:
        """The exit code, once it ended."""
        self._process.join()
        return self._process.exitcode


def _serve(options: tuple[str, ...], environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["fieldapp", "serve", *options]
    cli.run()
