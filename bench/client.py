"""One phone as the server sees it: requests of the sync protocol over one kept connection."""

from __future__ import annotations

import hashlib
import http.client
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from sync.protocol import MEDIA_TYPE, PROTOCOL

BATCH = 500
TIMEOUT_SECONDS = 300
BUSY = (429, 503)


class NoAnswer(Exception):
    """Nothing of ours came back."""


@dataclass
class Client:
    """A device of one person.

    ``busy`` counts answers that asked to come again later, ``lost`` requests without an answer.
    Behind its ``deadline`` (by the monotonic clock) it asks no more.
    """

    port: int
    cookie: str = ""
    device: str = ""
    person: str = ""
    cursor: str | None = None
    policy: str | None = None
    blank: str | None = None
    busy: int = 0
    lost: int = 0
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    credential: str = ""
    deadline: float = math.inf
    _connection: http.client.HTTPConnection | None = None

    def sign_in(self, account: str, password: str) -> None:
        """A session of its own, as after the form."""
        form = urlencode({"account": account, "password": password}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        _, headers, _ = self.request("POST", "/sign-in", form, kind)
        self.cookie = headers.get("Set-Cookie", "").partition(";")[0]

    def enrol(self) -> None:
        """Become a device of whoever is signed in."""
        told = self.ask("/sync/devices", {}, cookie=True)
        self.device, self.credential = told["device"], told["credential"]
        self.person = told["person"]["id"]

    def push(self, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Every operation in batches; their receipts."""
        receipts: list[dict[str, Any]] = []
        for start in range(0, len(bodies), BATCH):
            batch = bodies[start : start + BATCH]
            told = self.ask(
                "/sync/push",
                {
                    "now": int(time.time() * 1000),
                    "high": batch[-1]["n"],
                    "unsent": len(bodies) - start - len(batch),
                    "operations": batch,
                },
            )
            receipts += told["receipts"]
        return receipts

    def pull(self) -> int:
        """Everything new; how many visits came or left.  AssertionError when digests differ."""
        count = 0
        while True:
            asked = {"cursor": self.cursor, "policy": self.policy, "blank": self.blank, "unsent": 0}
            told = self.ask("/sync/pull", asked, cookie=True)
            for change in told["changed"]:
                self.held[change["visit"]] = change
            for gone in told["removed"]:
                self.held.pop(gone["visit"], None)
            self.cursor, self.policy = told["cursor"], told["policy_version"]
            self.blank = told["blank"]["sha256"] if told["blank"] else self.blank
            count += len(told["changed"]) + len(told["removed"])
            if not told["more"]:
                break
        lines = sorted(f"{id_} {row['rev']}" for id_, row in self.held.items())
        assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == told["digest"]
        return count

    def send_photo(self, data: bytes) -> None:
        """One photo from the offset that the server names."""
        path = f"/sync/blobs/{hashlib.sha256(data).hexdigest()}"
        credential = {"Authorization": f"Device {self.credential}"}
        _, headers, _ = self.again(lambda: self.request("HEAD", path, None, credential))
        offset = int(headers["Upload-Offset"])
        if headers["Upload-Complete"] == "1":
            return
        piece = {"Upload-Offset": str(offset), "Upload-Length": str(len(data))}
        piece["Content-Type"] = "application/octet-stream"
        _, _, text = self.again(
            lambda: self.request("PUT", path, data[offset:], credential | piece)
        )
        if not json.loads(text)["complete"]:
            raise NoAnswer(text[:200])

    def get(self, path: str) -> bytes:
        """A page of whoever is signed in."""
        status, _, text = self.request("GET", path, None, {"Cookie": self.cookie})
        if status != 200:
            raise NoAnswer(f"{path}: {status}")
        return text

    def ask(self, path: str, asked: dict[str, Any], *, cookie: bool = False) -> dict[str, Any]:
        """The answer to one request of the protocol; comes again while the server is busy."""
        headers = {"Content-Type": MEDIA_TYPE}
        if self.credential:
            headers["Authorization"] = f"Device {self.credential}"
        if cookie:
            headers["Cookie"] = self.cookie
        data = json.dumps({"protocol": PROTOCOL} | asked, ensure_ascii=False).encode()
        status, told, text = self.again(lambda: self.request("POST", path, data, headers))
        if status != 200 or told.get("Content-Type", "").partition(";")[0] != MEDIA_TYPE:
            raise NoAnswer(f"{path}: {status} {text[:200]!r}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def again(
        self, request: Callable[[], tuple[int, dict[str, str], bytes]]
    ) -> tuple[int, dict[str, str], bytes]:
        """Make ``request`` until it is answered by anything but "later", or too late."""
        while time.monotonic() < self.deadline:
            try:
                status, headers, text = request()
            except (OSError, http.client.HTTPException):
                self.lost += 1
                self.close()
                time.sleep(1)
                continue
            if status not in BUSY:
                return status, headers, text
            self.busy += 1
            time.sleep(float(headers.get("Retry-After", 1)))
        raise NoAnswer("too late")

    def request(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and bytes of one answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=TIMEOUT_SECONDS
            )
        try:
            self._connection.request(method, path, data, headers)
            answer = self._connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
