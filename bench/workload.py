"""One visit's work as operations, with values as long as people's: the same for every peer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from fieldapp.ids import mint_id
from fieldapp.perform import SERVER
from sync.canonical import hash_of

VISITS = 1000
EDITED = 100
"""Visits that are edited on both sides at the end."""


def values_of(number: int, now: datetime) -> list[tuple[str, dict[str, Any]]]:
    """Kind and value of the ten operations of the ``number``-th visit."""
    photo = hashlib.sha256(f"photo {number}".encode()).hexdigest()
    at = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return [
        ("arrival", {"outcome": "present"}),
        (
            "diagnosis",
            {
                "diagnosis/text": "蓄电池老化，负载电压低于 11V，主机与充电电路正常",
                "diagnosis/cause": "product",
                "diagnosis/category": "power",
                "diagnosis/repair": "on-site",
            },
        ),
        ("swap", _swap("蓄电池 12V 7Ah", f"BAT-{number:06}")),
        ("swap", _swap("电源板 AX-PSU", f"PSU-{number:06}")),
        ("photo", {"sha256": photo, "caption": "更换后的电池仓"}),
        ("note", {"text": "用户反映夜间误报三次，均在凌晨两点前后，已查看事件记录并打印"}),
        ("note", {"text": "充电电压 13.7V，断电后主机切换正常，试警三个防区均到达中心"}),
        ("downtime", {"event": "stop", "at": at}),
        ("outcome", {"outcome/result": "solved", "outcome/next_text": "下次巡检时复测电池"}),
        ("leaving", {"next_text": "返回公司"}),
    ]


def _swap(part: str, serial: str) -> dict[str, Any]:
    return {
        "part_name": part,
        "removed_serial": f"{serial}-A",
        "installed_serial": f"{serial}-B",
        "fate": "company",
    }


def body(
    kind: str,
    value: Any,
    *,
    visit: str,
    author: str,
    now: datetime,
    device: str = SERVER,
    n: int = 0,
    paths: Iterable[str] = (),
    seen: Iterable[str] = (),
) -> dict[str, Any]:
    """An operation as a phone sends it; ``seen`` are the heads that its author saw at ``paths``."""
    ms = int(now.timestamp() * 1000)
    made = {
        "id": mint_id(now),
        "v": 1,
        "visit": visit,
        "device": device,
        "n": n,
        "author": author,
        "kind": kind,
        "value": value,
        "supersedes": {path: list(seen) for path in paths},
        "wall": ms,
        "mono": n,
        "boot": "bench",
        "skew": 0,
        "app": "bench/1",
    }
    return made | {"hash": hash_of(made)}


def bodies_of(
    visits: Iterable[str], author: str, device: str, now: datetime, first: int = 1
) -> list[dict[str, Any]]:
    """The work of ``visits``, a second between two operations; counters begin at ``first``."""
    found = []
    n = first
    for number, visit in enumerate(visits):
        for step, (kind, value) in enumerate(values_of(number, now)):
            paths = value if kind in ("diagnosis", "outcome") else ()
            at = now - timedelta(seconds=10 - step)
            found.append(
                body(
                    kind, value, visit=visit, author=author, now=at, device=device, n=n, paths=paths
                )
            )
            n += 1
    return found
