"""Debian's WebKitGTK, on a screen of its own.

It is the engine of an iPhone's browser without Apple's rules about storage; what only those show
stands in README.md beside this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.webkitgtk.options import Options
from selenium.webdriver.webkitgtk.service import Service

SCREEN = "480x1000x24"


@contextmanager
def screen() -> Iterator[str]:
    """A display that nobody sees, for as long as it is needed: its name, as ``:99``."""
    program = shutil.which("Xvfb")
    assert program is not None, "Xvfb is missing: apt-get install xvfb"
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", SCREEN, "-nolisten", "tcp"]
    process = subprocess.Popen(
        command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def browser() -> Iterator[WebDriver]:
    """WebKitGTK with nothing stored in it."""
    driver = shutil.which("WebKitWebDriver")
    libraries = sorted(Path("/usr/lib").glob("*/webkit*gtk-*/MiniBrowser"))
    assert libraries, "WebKit is missing: apt-get install webkit2gtk-driver"
    options = Options()
    options.binary_location = str(libraries[-1])
    options.add_argument("--automation")
    with screen() as display:
        environment = os.environ | {"DISPLAY": display, "LANGUAGE": "zh_CN"}
        if os.getuid() == 0:
            environment["WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS"] = "1"
        service = Service(executable_path=driver, env=environment)
        with warnings.catch_warnings():
            # selenium warns of what selenium itself does here
            warnings.filterwarnings("ignore", "setting remote_server_addr", DeprecationWarning)
            opened = webdriver.WebKitGTK(options=options, service=service)
        try:
            yield opened
        finally:
            opened.quit()
