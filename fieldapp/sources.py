"""What the papers of a revision were made from, kept small, and made whole again.

Everything a paper says is kept as it was said then: state, policy words and letterhead change.
Pictures and earlier papers are kept elsewhere already and are named by their SHA-256.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from fieldapp.letterhead import logo_file
from sync.verdict import digest_of

Pictures = Callable[[str, str], bytes]
"""A file among the blobs and its SHA-256 -> its bytes; raises a Problem when they are lost."""


class PreviousPaper(TypedDict):
    """The earlier paper that goes along: what is said of it, and its file as it was then.

    It may have got a timestamp behind its last byte since: its first ``size`` bytes are meant.
    """

    previous_sha256: str | None
    sha256: str | None
    size: int


def pack(
    common: Mapping[str, Any], previous: Mapping[str, Mapping[str, Any]]
) -> tuple[bytes, dict[str, bytes]]:
    """What all papers of a revision say and what goes along with each, packed; and the pictures.

    ``previous`` holds ``previous_sha256`` and ``previous_pdf`` by paper.  The order of keys is
    kept: it is that of the rows of a check-list.
    """
    pictures: dict[str, bytes] = {}

    def named(holder: Mapping[str, Any], key: str) -> dict[str, Any]:
        data = holder.get(key)
        if not data:
            return dict(holder)
        pictures[digest_of(data)] = data
        return dict(holder) | {key: digest_of(data)}

    said = dict(common)
    said["organisation"] = named(common["organisation"], "logo")
    said["photos"] = {name: named(photo, "jpeg") for name, photo in common["photos"].items()}
    told = {name: _told(paper) for name, paper in previous.items()}
    return zlib.compress(json.dumps({"common": said, "previous": told}).encode(), 9), pictures


def unpack(packed: bytes, pictures: Pictures) -> tuple[dict[str, Any], dict[str, PreviousPaper]]:
    """What was packed, with its pictures; the earlier papers are only named."""
    told = json.loads(zlib.decompress(packed))
    said: dict[str, Any] = told["common"]
    head = said["organisation"]
    if head["logo"]:
        head["logo"] = pictures(logo_file(head["logo"]), head["logo"])
    for name, photo in said["photos"].items():
        if "jpeg" in photo:
            photo["jpeg"] = pictures(f"{name}.jpg", photo["jpeg"])
    return said, told["previous"]


def _told(paper: Mapping[str, Any]) -> PreviousPaper:
    pdf = paper["previous_pdf"]
    return {
        "previous_sha256": paper["previous_sha256"],
        "sha256": digest_of(pdf) if pdf is not None else None,
        "size": len(pdf or b""),
    }
