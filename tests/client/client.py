"""A second client of the sync protocol, written from docs/protocol.md and docs/openapi.json alone.

It knows nothing of this project's code.  Its store is one dictionary that is copied as a whole when
something was written, as a transaction would do; ``saved`` is what a crash leaves.
"""

from __future__ import annotations

import copy
import hashlib
import http.client
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import rfc8785

MEDIA_TYPE = "application/vnd.fieldapp.sync+json"
PROTOCOL = 1
MOST = 500
DAYS_30_MS = 30 * 24 * 60 * 60 * 1000


class NoAnswer(Exception):
    """What came back is none of ours, or tells of a problem: nothing here changes."""

    def __init__(self, status: int, problem: str, args: dict[str, Any] | None = None) -> None:
        super().__init__(f"{status} {problem}")
        self.status, self.problem, self.told = status, problem, args or {}


class Client:
    """One device of one person."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port
        self.cookie = ""
        self.saved: dict[str, Any] = {
            "counter": 0, "skew": 0, "cursor": None, "epoch": None, "policy_version": None,
            "outbox": {}, "photos": {}, "visits": {},
        }  # fmt: skip

    # Who asks

    def sign_in(self, account: str, password: str) -> None:
        form = urlencode({"account": account, "password": password})
        _, headers, _ = self._request(
            "POST", "/sign-in", form.encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        )
        self.cookie = headers.get("Set-Cookie", "").partition(";")[0]

    def enrol(self, **replaced: str) -> None:
        told = self._ask(
            "POST", "/sync/devices", json.dumps(replaced).encode(),
            {"Content-Type": "application/json", "Cookie": self.cookie},
        )  # fmt: skip
        skew = told["now"] - _now()
        self._save(
            device=told["device"], credential=told["credential"], person=told["person"]["id"],
            epoch=self.saved["epoch"] or told["epoch"], skew=skew,
        )  # fmt: skip

    # Working

    def perform(
        self, visit: str, kind: str, value: Any, supersedes: dict[str, list[str]] | None = None
    ) -> str:
        """One operation; its id once it is saved."""
        store = copy.deepcopy(self.saved)
        store["counter"] += 1
        body = {
            "id": _new_id(),
            "v": 1,
            "visit": visit,
            "device": store["device"],
            "n": store["counter"],
            "author": store["person"],
            "kind": kind,
            "value": value,
            "supersedes": supersedes or {},
            "wall": _now(),
            "mono": int(time.monotonic() * 1000),
            "boot": _BOOT,
            "skew": store["skew"],
            "app": "second-client/1",
        }
        body["hash"] = hashlib.sha256(rfc8785.dumps(body)).hexdigest()
        store["outbox"][body["id"]] = {"body": body, "at": None}
        self.saved = store
        return str(body["id"])

    def take_photo(self, visit: str, data: bytes) -> str:
        """A photo and the operation that speaks of it; the photo's name."""
        name = hashlib.sha256(data).hexdigest()
        self._save(photos={**self.saved["photos"], name: {"data": data, "is_sent": False}})
        self.perform(visit, "photo", {"sha256": name})
        return name

    @property
    def unsent(self) -> list[dict[str, Any]]:
        """Operations without a receipt, by counter."""
        waiting = [row["body"] for row in self.saved["outbox"].values() if row["at"] is None]
        return sorted(waiting, key=lambda body: body["n"])

    # Sync

    def synchronise(self) -> None:
        self.push()
        self.push_photos()
        self.pull()
        self.forget_old()

    def push(self) -> None:
        size = MOST
        while batch := self.unsent[:size]:
            body = {
                "protocol": PROTOCOL, "now": _now(), "high": self.saved["counter"],
                "unsent": len(self.unsent) - len(batch) + len(self._photos_to_come()),
                "operations": batch,
            }  # fmt: skip
            try:
                told = self._ask(
                    "POST", "/sync/push", json.dumps(body).encode(), self._credential()
                )
            except NoAnswer as error:
                if error.status != 413 or size == 1:
                    raise
                size = max(1, size // 2)
                continue
            sent = {operation["id"] for operation in batch}
            named = [
                receipt["id"]
                for receipt in told["receipts"]
                if receipt["id"] in sent and "operation.hash-mismatch" not in receipt["reasons"]
            ]
            if not named:
                raise NoAnswer(200, "no receipt")
            store = copy.deepcopy(self.saved)
            for id_ in named:
                store["outbox"][id_]["at"] = told["now"]
            store["skew"] = told["now"] - _now()
            self.saved = store
            self._notice(told["epoch"])

    def push_photos(self) -> None:
        for name in self._photos_to_come():
            data = self.saved["photos"][name]["data"]
            status, headers, _ = self._request(
                "HEAD", f"/sync/blobs/{name}", None, self._credential()
            )
            if headers.get("Fieldapp-Protocol") != str(PROTOCOL):
                raise NoAnswer(status, "not ours")
            offset, is_whole = int(headers["Upload-Offset"]), headers["Upload-Complete"] == "1"
            while not is_whole:
                piece = data[offset : offset + 1000]
                told = self._ask(
                    "PUT", f"/sync/blobs/{name}", piece,
                    self._credential()
                    | {
                        "Content-Type": "application/octet-stream",
                        "Upload-Offset": str(offset),
                        "Upload-Length": str(len(data)),
                    },
                )  # fmt: skip
                offset, is_whole = told["received"], told["complete"]
            photos = copy.deepcopy(self.saved["photos"])
            photos[name]["is_sent"] = True
            self._save(photos=photos)

    def pull(self) -> None:
        held: dict[str, int] | None = None
        while True:
            body = {
                "protocol": PROTOCOL, "cursor": self.saved["cursor"],
                "policy": self.saved["policy_version"], "unsent": len(self.unsent),
            }  # fmt: skip
            if held is not None:
                body["held"] = held
            told = self._ask(
                "POST", "/sync/pull", json.dumps(body).encode(),
                self._credential() | {"Cookie": self.cookie},
            )  # fmt: skip
            self._notice(told["epoch"])
            visits = dict(self.saved["visits"])
            for change in told["changed"]:
                visits[change["visit"]] = change
            for gone in told["removed"]:
                visits.pop(gone["visit"], None)
            self._save(
                visits=visits, cursor=told["cursor"], policy_version=told["policy_version"],
                skew=told["now"] - _now(),
            )  # fmt: skip
            if told["more"]:
                continue
            if self.digest == told["digest"]:
                return
            if held is not None:
                raise NoAnswer(200, "the digests differ")
            held = {id_: row["rev"] for id_, row in visits.items()}

    @property
    def digest(self) -> str:
        lines = sorted(f"{id_} {row['rev']}" for id_, row in self.saved["visits"].items())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def forget_old(self) -> None:
        """Let go of what has had its receipt for 30 days by the server's clock."""
        oldest = _now() + self.saved["skew"] - DAYS_30_MS
        kept = {
            id_: row
            for id_, row in self.saved["outbox"].items()
            if row["at"] is None or row["at"] >= oldest
        }
        self._save(outbox=kept)

    def _notice(self, epoch: str) -> None:
        if epoch == self.saved["epoch"]:
            return
        store = copy.deepcopy(self.saved)
        for row in store["outbox"].values():
            row["at"] = None
        for photo in store["photos"].values():
            photo["is_sent"] = False
        store["epoch"], store["cursor"] = epoch, None
        self.saved = store

    def _photos_to_come(self) -> list[str]:
        return [name for name, photo in self.saved["photos"].items() if not photo["is_sent"]]

    def _save(self, **notes: Any) -> None:
        self.saved = copy.deepcopy(self.saved | notes)

    # On the wire

    def _credential(self) -> dict[str, str]:
        return {
            "Authorization": f"Device {self.saved['credential']}", "Content-Type": MEDIA_TYPE,
        }  # fmt: skip

    def _ask(self, method: str, path: str, data: bytes, headers: dict[str, str]) -> dict[str, Any]:
        status, told, text = self._request(method, path, data, headers)
        if told.get("Content-Type", "").partition(";")[0] != MEDIA_TYPE:
            raise NoAnswer(status, "not ours")
        body = json.loads(text)
        if body.get("protocol") != PROTOCOL:
            raise NoAnswer(status, "another protocol")
        if status != 200:
            raise NoAnswer(status, body["problem"], body["args"])
        return dict(body)

    def _request(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


_BOOT = secrets.token_hex(8)


def _now() -> int:
    return int(time.time() * 1000)


def _new_id() -> str:
    """A UUIDv7 as RFC 9562 describes it."""
    number = (
        _now() << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0x2 << 62 | secrets.randbits(62)
    )
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
