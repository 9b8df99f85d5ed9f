"""Words that do harm when a paper says them: templates for a process that makes papers."""

import os
import signal

from markupsafe import Markup

from fieldapp.rendering import report_environment

HANGS, EATS, DIES, FETCHES = "hangs", "eats", "dies", "fetches"


def poisoned_environment(language):
    """The papers' templates; a word of the poison does what it says when it is printed."""
    environment = report_environment(language)
    environment.finalize = _suffer
    return environment


def _suffer(value):
    text = value if isinstance(value, str) else ""
    if HANGS in text:
        while True:
            signal.pause()
    if EATS in text:
        return "x" * 2**40
    if DIES in text:
        os.kill(os.getpid(), signal.SIGKILL)
    if FETCHES in text:
        return Markup('<img src="http://127.0.0.1:9/canary">')
    return value
