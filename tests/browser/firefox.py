"""Debian's Firefox ESR, spoken to without a driver between.

Debian has no geckodriver, so Selenium's commands go straight to Marionette, the remote control
inside Firefox for which geckodriver translates them.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver.firefox.options import Options
from selenium.webdriver.remote.file_detector import UselessFileDetector
from selenium.webdriver.remote.webdriver import WebDriver

WAIT_SECONDS = 60
PORT_FILE = "MarionetteActivePort"
PREFERENCES = {
    "marionette.port": 0,  # any that is free; the profile says which
    "intl.accept_languages": "zh-CN, zh",
    "intl.locale.requested": "zh-CN",
}

NAMES = {
    "newSession": "WebDriver:NewSession",
    "quit": "Marionette:Quit",
    "setWindowRect": "WebDriver:SetWindowRect",
    "get": "WebDriver:Navigate",
    "goBack": "WebDriver:Back",
    "getCurrentUrl": "WebDriver:GetCurrentURL",
    "screenshot": "WebDriver:TakeScreenshot",
    "findElements": "WebDriver:FindElements",
    "clearElement": "WebDriver:ElementClear",
    "clickElement": "WebDriver:ElementClick",
    "sendKeysToElement": "WebDriver:ElementSendKeys",
    "getElementText": "WebDriver:GetElementText",
    "getElementProperty": "WebDriver:GetElementProperty",
    "getElementRect": "WebDriver:GetElementRect",
    "w3cExecuteScript": "WebDriver:ExecuteScript",
    "w3cExecuteScriptAsync": "WebDriver:ExecuteAsyncScript",
    "actions": "WebDriver:PerformActions",
    "clearActionState": "WebDriver:ReleaseActions",
}
"""What Selenium and Marionette call the same thing; a name that is missing is a KeyError."""


class Marionette:
    """Where Selenium sends its commands: the socket on which a Firefox listens.

    A message is its length in bytes, a colon and JSON: [0, number, name, parameters] asks,
    [1, number, error or null, result] answers.
    Source: https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.stream = self.socket.makefile("rb")
        self.number = 0
        self._read()  # it says which protocol it speaks

    def execute(self, command: str, parameters: dict[str, Any] | None) -> dict[str, Any]:
        """The answer to one command, as Selenium has it from a driver."""
        given = {} if command == "newSession" else (parameters or {})
        given.pop("sessionId", None)  # there is one session only
        self.number += 1
        message = json.dumps([0, self.number, NAMES[command], given]).encode()
        self.socket.sendall(b"%d:%b" % (len(message), message))
        _, number, error, result = self._read()
        assert number == self.number, "an answer to another question"
        if error is not None:
            return {"status": 500, "value": json.dumps({"value": error})}
        alone = isinstance(result, dict) and list(result) == ["value"]
        return {"value": result["value"] if alone else result}

    def close(self) -> None:
        """No more questions."""
        self.stream.close()
        self.socket.close()

    def _read(self) -> Any:
        length = b""
        while (byte := self.stream.read(1)) != b":":
            assert byte, "Firefox went away"
            length += byte
        return json.loads(self.stream.read(int(length)))


@contextmanager
def browser() -> Iterator[WebDriver]:
    """Firefox without a window, with nothing stored in it."""
    program = shutil.which("firefox-esr")
    assert program is not None, "Firefox is missing: apt-get install firefox-esr"
    with tempfile.TemporaryDirectory(prefix="fieldapp-firefox-") as folder:
        profile = Path(folder)
        lines = [f"user_pref({json.dumps(n)}, {json.dumps(v)});" for n, v in PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines))
        command = [program, "--headless", "--marionette", "--no-remote", "--profile", folder]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                with closing(Marionette(_port(profile, process))) as marionette:
                    yield WebDriver(
                        command_executor=marionette,  # type: ignore[arg-type]
                        options=Options(),
                        file_detector=UselessFileDetector(),  # files are where they are
                    )
            finally:
                process.terminate()


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    """The port on which it listens, once it does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (told := (profile / PORT_FILE).exists() and (profile / PORT_FILE).read_text()):
        assert process.poll() is None, "Firefox did not start"
        assert time.monotonic() < deadline, "Firefox does not listen"
        time.sleep(0.05)
    return int(told)
