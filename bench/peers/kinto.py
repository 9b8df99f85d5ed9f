"""Kinto's client side: whole records in batches, read back by the time of their last change."""

from __future__ import annotations

import base64
import http.client
import json
import time
from typing import Any

RECORDS = "/v1/buckets/bench/collections/visits/records"
BATCH = 100
_LOGIN = base64.b64encode(b"bench:bench").decode()


def measure(port: int, visits: list[dict[str, Any]], edited: int) -> dict[str, float]:
    """Milliseconds of push, pull and idle pull; conflicts and added notes that were kept."""
    kinto = _Kinto(port)
    kinto.ask("PUT", "/v1/buckets/bench")
    kinto.ask("PUT", "/v1/buckets/bench/collections/visits")
    records = {visit["id"]: _record(visit["operations"]) for visit in visits}
    start = time.perf_counter()
    ids = list(records)
    for first in range(0, len(ids), BATCH):
        batch = [
            {"method": "PUT", "path": f"{RECORDS}/{id_}", "body": {"data": records[id_]}}
            for id_ in ids[first : first + BATCH]
        ]
        kinto.ask("POST", "/v1/batch", {"requests": batch})
    push = time.perf_counter() - start
    start = time.perf_counter()
    _, etag, held = kinto.ask("GET", RECORDS)
    pull = time.perf_counter() - start
    assert len(held["data"]) == len(visits)
    start = time.perf_counter()
    status, _, _ = kinto.ask("GET", f"{RECORDS}?_since={etag}", headers={"If-None-Match": etag})
    idle = time.perf_counter() - start
    assert status == 304
    refused = 0
    stamps = {record["id"]: record["last_modified"] for record in held["data"]}
    for side in ("one", "two"):
        for id_ in ids[:edited]:
            record = _edited(records[id_], side)
            match = {"If-Match": f'"{stamps[id_]}"'}
            status, _, _ = kinto.ask("PUT", f"{RECORDS}/{id_}", {"data": record}, match)
            refused += status == 412
    _, _, held = kinto.ask("GET", RECORDS)
    kept = sum(
        str(entry.get("text")).startswith("note of ")
        for record in held["data"]
        for entry in record["entries"]
    )
    seconds = {"push": push, "pull": pull, "idle": idle}
    return {name: 1000 * value for name, value in seconds.items()} | {
        "conflicts": refused,
        "kept": kept,
    }


class _Kinto:
    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, str, Any]:
        """Status, ETag and the decoded body of an answer."""
        given = {"Authorization": f"Basic {_LOGIN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, data, given | (headers or {}))
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 201, 304, 412), text
        return answer.status, answer.headers.get("ETag", ""), json.loads(text) if text else None


def _record(operations: list[dict[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {"fields": {}, "entries": []}
    for operation in operations:
        if operation["kind"] in ("diagnosis", "outcome"):
            record["fields"] |= operation["value"]
        else:
            record["entries"].append({"kind": operation["kind"]} | operation["value"])
    return record


def _edited(record: dict[str, Any], side: str) -> dict[str, Any]:
    return {
        "fields": record["fields"] | {"diagnosis/text": f"cause as seen by {side}"},
        "entries": [*record["entries"], {"kind": "note", "text": f"note of {side}"}],
    }
