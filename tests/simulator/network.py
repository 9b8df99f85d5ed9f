"""What lies between a phone and the server, and what it does to a request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from sync.protocol import MEDIA_TYPE
from tests.simulator.server import Answer

HTML = {"Content-Type": "text/html; charset=utf-8"}
OURS = {"Content-Type": MEDIA_TYPE}

INSTEAD = {
    "302": Answer(302, HTML | {"Location": "/sign-in"}, b""),
    "401": Answer(401, HTML, b"<h1>Unauthorized</h1>"),
    "413": Answer(413, HTML, b"<h1>Too large</h1>"),
    "429": Answer(429, HTML, b"<h1>Too many</h1>"),
    "503": Answer(503, HTML, b"<h1>Busy</h1>"),
    "portal": Answer(200, HTML, b"<h1>Welcome to the hotel</h1>"),
    "json": Answer(200, {"Content-Type": "application/json"}, b'{"ok": true}'),
    "protocol": Answer(200, OURS, b'{"protocol": 99, "receipts": []}'),
    "busy": Answer(503, OURS, b'{"protocol": 1, "problem": "server.busy"}'),
}
"""Answers that the server never gave; the request does not reach it."""

FAULTS = {
    "drop": 1,  # the request is lost
    "lost": 2,  # the answer is lost, after the server has committed
    "late": 1,  # the answer is lost and the request arrives some time later
    "twice": 1,  # the request arrives twice
    "half": 1,  # half of the body arrives
    "cut": 1,  # half of the answer arrives
    "damage": 2,  # something in the body is changed on the way
    "stale": 2,  # the request is lost, the answer is that to an earlier one of this phone
    "rollback": 1,  # the server's disk is full at the commit
    **dict.fromkeys(INSTEAD, 1),
    "portal": 2,
    "413": 3,
}
"""How often each fault is drawn beside the others."""


@dataclass
class Network:
    """Carries requests.  ``faults`` are those of the sync that runs, by number of request."""

    server: object
    narrow: bool = False  # a proxy refuses more than one operation at once, for ever
    late: list = field(default_factory=list)
    answers: dict = field(default_factory=dict)
    carried: dict = field(default_factory=dict)  # how often each fault happened

    def carry(self, phone, method, path, headers, body):
        """The answer, or None when none comes."""
        fault = phone.faults.pop(0) if phone.faults else ""
        if fault:
            self.carried[fault] = self.carried.get(fault, 0) + 1
        if fault == "drop":
            return None
        if fault == "late":
            self.late.append((method, path, headers, body))
            return None
        if fault in INSTEAD:
            return INSTEAD[fault]
        if self.narrow and body.count(b'"supersedes"') > 1:
            return INSTEAD["413"]
        earlier = self.answers.get((phone.name, path))
        if fault == "stale" and path == "/sync/push" and earlier is not None:
            return earlier
        if fault == "half":
            body = body[: len(body) // 2]
        if fault == "damage":
            body = damaged(body)
        if fault == "rollback":
            self.server.fail_commits = 1
        if fault == "twice":
            self.server.request(method, path, headers, body)
        answer = self.server.request(method, path, headers, body)
        self.server.fail_commits = 0
        self.answers[phone.name, path] = answer
        if fault == "lost":
            return None
        if fault == "cut":
            return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
        return answer

    def deliver(self, count):
        """The first ``count`` of the late requests arrive; nobody waits for their answers."""
        for request in self.late[:count]:
            self.server.request(*request)
        del self.late[:count]


def damaged(body):
    """``body`` with one operation's value changed, or with one byte flipped."""
    try:
        told = json.loads(body)
        operation = told["operations"][-1]
        operation["value"] = {**operation["value"], "text": "d\u0101maged"}
        return json.dumps(told).encode()
    except (ValueError, KeyError, TypeError, IndexError):
        return bytes([body[0] ^ 1]) + body[1:] if body else body
