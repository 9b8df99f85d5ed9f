"""How an organisation stands at the head of its papers: name, address, telephone and logo."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TypedDict

from fieldapp import blobs
from fieldapp.models import Organisation
from fieldapp.policies import load_policy
from sync.glyphs import missing_characters
from sync.photos import print_copy

LIMITS = {"name": 200, "phone": 40, "address": 300, "policy": 40}
"""Most characters of what may be changed: those of its column."""


class Letterhead(TypedDict):
    """What a paper's head says of the organisation; ``logo`` is a JPEG or None."""

    name: str
    phone: str
    address: str
    logo: bytes | None


def letterhead_of(organisation: Organisation) -> Letterhead:
    """The head of its papers; a logo whose file is lost is left out."""
    logo = blobs.read(organisation.id, logo_file(organisation.logo)) if organisation.logo else None
    return {
        "name": organisation.name,
        "phone": organisation.phone,
        "address": organisation.address,
        "logo": logo,
    }


def change_letterhead(organisation: Organisation, given: Mapping[str, str]) -> None:
    """Let ``given`` (name, address, phone, policy) stand from now on.

    Raises ValueError, naming what cannot be printed on one line or is no policy pack.
    """
    for key, text in given.items():
        limit = LIMITS[key]
        if not text.isprintable() or len(text) > limit:
            raise ValueError(f"{key} is one line of at most {limit} characters")
        if key == "name" and not text.strip():
            raise ValueError("a name is not empty")
        if missing := missing_characters(text):
            raise ValueError(f"{key}: papers cannot print {' '.join(sorted(missing))}")
        if key == "policy":
            load_policy(text)  # a PolicyError says what is wrong
        setattr(organisation, key, text.strip())


def keep_logo(organisation: Organisation, picture: bytes) -> None:
    """Let ``picture`` stand on papers from now on; papers already sealed keep theirs.

    Raises Problem("photo.unreadable") or Problem("photo.too-many-pixels") like any photo.
    """
    copy = print_copy(picture)
    name = hashlib.sha256(copy).hexdigest()
    blobs.write(organisation.id, logo_file(name), copy)
    organisation.logo = name


def logo_file(name: str) -> str:
    """Where the logo whose bytes have this SHA-256 is kept among the blobs."""
    return f"logos/{name}.jpg"
