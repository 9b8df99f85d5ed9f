"""A browser whose profile lies on the disk, so that it can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from phone import INSTALL_SHOWN
from playwright.sync_api import Browser, BrowserContext, Page
from server import Server


class Disk:
    """A browser of its own whose profile lies on the disk; it can be killed and started again."""

    def __init__(self, chromium: Browser, folder: Path) -> None:
        self.type, self.folder = chromium.browser_type, folder

    def start(self) -> BrowserContext:
        return self.type.launch_persistent_context(
            str(self.folder),
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--no-first-run"],
            locale="zh-CN",
        )

    def kill(self) -> None:
        """As a battery does: no process of it gets another word in."""
        for process in self._processes():
            os.kill(process, signal.SIGKILL)
        for lock in self.folder.glob("Singleton*"):
            lock.unlink()

    def _processes(self) -> Iterator[int]:
        """Ids of the processes that work on this profile."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"--user-data-dir={self.folder}".encode() in command.split(b"\0"):
                yield int(entry.name)


def signed_in(context: BrowserContext, server: Server) -> Page:
    """李强's phone, enrolled, in a browser of its own."""
    page = context.pages[0]
    context.add_init_script(INSTALL_SHOWN)
    page.goto(f"{server.url}/sign-in")
    page.fill("#account", "liqiang")
    page.fill("#password", server.accounts["liqiang"].password)
    page.click("main button")
    page.wait_for_url("**/visits", timeout=30_000)
    return page
