"""Papers made and sealed in processes of their own, with limits.

What engineers and customers wrote is laid out by a large library.  It runs in a process that may
use two gigabytes and twenty seconds, so that the worst text costs one paper and never the server.
Threads would not do: they cannot be killed, and Pango is not made for them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import importlib
import json
import logging
import multiprocessing
import os
import queue
import resource
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fieldapp import sealing
from sync.problems import Problem
from sync.verdict import digest_of

SECONDS = 20
"""Longest a job may take before its process is killed."""

START_SECONDS = 60
"""Longest a process may take to start: it loads libraries, maybe from a slow disk."""

BYTES = 2 * 1024**3
"""Address space of a process."""

JOBS = 200
"""Jobs after which a process is replaced: whatever leaks in a library leaks that long."""

NICE = 5
"""How far a process stands back: a paper waits in a queue, a page has somebody who waits for it."""

log = logging.getLogger(__name__)


class RenderPool:
    """A few processes that make papers; safe to use from many threads.

    Processes start when first needed.  ``environment`` makes the templates of a language and must
    be a function of a module, because every process imports it for itself.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        seconds: float = SECONDS,
        memory_bytes: int = BYTES,
        jobs: int = JOBS,
        environment: Callable[[str], Any] | None = None,
    ) -> None:
        self.seconds = seconds
        self._limits = (memory_bytes, jobs)
        self._jobs = jobs
        self._environment = environment or report_environment
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._workers = workers
        self._closed = threading.Event()

    def __enter__(self) -> RenderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def render(
        self,
        paper: Mapping[str, object],
        seal: sealing.SealJob | None = None,
        *,
        replace_missing: bool = False,
    ) -> bytes:
        """The PDF of ``paper`` (see sync.report.Paper), sealed when ``seal`` says how, and linted.

        Waits for a free process.  Raises Problem("report.timeout") when the job was killed for its
        time, Problem("report.failed") when the process died (memory, a crash) or anything
        unforeseen happened, Problem("report.lint") when the result breaks PDF/A, and what
        sync.report.render_report raises.
        """
        return self._run(("render", paper, seal, replace_missing))

    def render_sealed(
        self,
        paper: Mapping[str, object],
        seal: sealing.SealJob,
        *,
        replace_missing: bool = False,
    ) -> tuple[bytes, str]:
        """The sealed PDF as :meth:`render` gives it, and the SHA-256 of what was sealed.

        Two seals of one paper differ; what they were put on does not.
        """
        answer = self._run(("seal", paper, seal, replace_missing))
        return answer[64:], answer[:64].decode()

    def inspect(
        self, pdf: bytes, certificates_pem: bytes, timestamp_certificates_pem: bytes = b""
    ) -> dict[str, Any]:
        """What a file from outside says: ``{token, seal}``, ``seal`` being a SealVerdict.

        The same limits, because a file may be made to be slow.  Raises Problem("report.timeout")
        and Problem("report.failed").
        """
        from sync.seal_check import SealVerdict

        told = json.loads(self._run(("inspect", pdf, certificates_pem, timestamp_certificates_pem)))
        verdict = told["seal"]
        for name in ("signed_at", "timestamp_at"):
            verdict[name] = dt.datetime.fromisoformat(verdict[name]) if verdict[name] else None
        return {"token": told["token"], "seal": SealVerdict(**verdict)}

    def add_timestamp(self, pdf: bytes, certificates_pem: bytes, timestamp_url: str) -> bytes:
        """A sealed paper with a timestamp after its last byte, its seal as sound as before.

        Raises Problem("seal.no-timestamp") when the authority does not answer,
        Problem("report.failed") when the seal is by none of the certificates, and as
        :meth:`render` does.
        """
        return self._run(("timestamp", pdf, certificates_pem, timestamp_url))

    def close(self) -> None:
        """End the processes; a job that is running is waited for."""
        if self._closed.is_set():
            return
        self._closed.set()
        for _ in range(self._workers):
            worker = self._idle.get()
            if worker is not None:
                worker.end()

    def _run(self, job: tuple[Any, ...]) -> bytes:
        if self._closed.is_set():
            raise Problem("report.failed", reason="closed")
        worker = self._idle.get()
        try:
            if worker is None or not worker.is_alive():
                worker = _Worker(self._environment, self._limits)
            answer = worker.ask(job, self.seconds)
        except BaseException:
            if worker is not None:
                worker.kill()
            worker = None
            raise
        else:
            if worker.done >= self._jobs:
                worker.end()
                worker = None
        finally:
            self._idle.put(worker)
        # the process read hostile text: its answer is bytes and JSON, never a pickle
        if answer[:1] == b"=":
            return answer[1:]
        problem = json.loads(answer[1:])
        raise Problem(problem["code"], **problem["args"])


class _Worker:
    """One process and the pipe to it, used by one thread at a time."""

    def __init__(self, environment: Callable[[str], Any], limits: tuple[int, int]) -> None:
        # spawned, not forked: a fork inherits locks of threads that do not exist in it
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(
            target=work, args=(far, environment, limits[0]), daemon=True, name="fieldapp-paper"
        )
        self._process.start()
        far.close()
        self.done = 0
        self._is_ready = False

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def ask(self, job: tuple[Any, ...], seconds: float) -> bytes:
        """The answer to ``job``; Problem when the process is late or gone."""
        try:
            if not self._is_ready:
                # starting is not the paper's fault: it has a limit of its own
                self._answer(START_SECONDS)
                self._is_ready = True
            self._pipe.send(job)
            answer = self._answer(seconds)
        except (EOFError, OSError) as cause:
            self._process.join(1)
            raise Problem("report.failed", reason=f"exit {self._process.exitcode}") from cause
        self.done += 1
        return answer

    def _answer(self, seconds: float) -> bytes:
        if not self._pipe.poll(seconds):
            raise Problem("report.timeout")
        return self._pipe.recv_bytes()

    def end(self) -> None:
        """Let the process end by itself, a second at most."""
        self._pipe.close()
        self._process.join(1)
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


# in the process


def work(pipe: Connection, environment: Callable[[str], Any], memory_bytes: int) -> None:
    """Answer jobs until the other end hangs up."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)
    from sync.glyphs import FONTS_CONF

    # before the renderer is loaded: fontconfig looks once
    os.environ["FONTCONFIG_FILE"] = str(FONTS_CONF)
    importlib.import_module("weasyprint")
    environments = functools.cache(environment)
    with contextlib.suppress(BrokenPipeError):  # the server ended meanwhile
        pipe.send_bytes(b"ready")
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            answer = b"=" + _answer(job, environments)
        except Problem as problem:
            answer = b"!" + _as_json(problem.code, problem.args_)
        except MemoryError:
            answer = b"!" + _as_json("report.failed", {"reason": "memory"})
        except BaseException as cause:  # the renderer's fatal fetching error is no Exception
            log.exception("a paper failed")
            reason = f"{type(cause).__name__}: {str(cause)[:200]}"
            answer = b"!" + _as_json("report.failed", {"reason": reason})
        with contextlib.suppress(BrokenPipeError):
            pipe.send_bytes(answer)


def _answer(job: tuple[Any, ...], environments: Callable[[str], Any]) -> bytes:
    if job[0] == "inspect":
        return _as_bytes(sealing.inspect_file(*job[1:]))
    if job[0] == "timestamp":
        return _linted(sealing.stamp_paper(*job[1:]))
    kind, paper, seal_job, replace_missing = job
    from sync import report

    pdf = report.render_report(
        paper, environments(paper["language"]), replace_missing=replace_missing
    )
    unsealed = digest_of(pdf).encode() if kind == "seal" else b""
    if seal_job is not None:
        pdf = sealing.seal_paper(pdf, seal_job)
    return unsealed + _linted(pdf)


def _linted(pdf: bytes) -> bytes:
    from sync import lint

    for finding in lint.lint(pdf):
        raise Problem("report.lint", rule=f"{finding.rule}: {finding.text}")
    return pdf


def _as_json(code: str, args: dict[str, Any]) -> bytes:
    return _as_bytes({"code": code, "args": args})


def _as_bytes(told: dict[str, Any]) -> bytes:
    return json.dumps(told, default=str).encode()


def report_environment(language: str) -> Any:
    """The papers' templates and texts in ``language``, for a process that has no application.

    ``both`` says everything in every language, one after the other.
    """
    import jinja2

    from fieldapp import formats
    from fieldapp.languages import LANGUAGES, PAPER, load_messages
    from fieldapp.offline.messages import plural, singular
    from sync import report
    from sync.papers import BOTH

    here = Path(__file__).parent
    # in the wheel the templates lie inside the package, in the repository beside it
    folders = [
        folder for folder in (here / "templates", here.parent / "templates") if folder.is_dir()
    ]
    texts = load_messages(*PAPER)
    spoken = [texts[code] for code in LANGUAGES if language in (code, BOTH)]

    def one(message: str) -> str:
        return " ".join(dict.fromkeys(singular(messages, message) for messages in spoken))

    def many(message: str, other: str, number: int) -> str:
        return " ".join(plural(messages, message, other, number) for messages in spoken)

    return report.make_environment(
        jinja2.FileSystemLoader(folders),
        one,
        many,
        clock=formats.clock,
        moment=formats.moment,
        day=formats.day,
        money=formats.money,
    )
