"""The folder of keys: what seals papers, the root that issued it, and all it ever sealed with.

``root.key.pem`` and ``root.crt.pem`` issue; ``seal.key.pem`` and ``seal.crt.pem`` (certificate,
then chain) seal; every ``until-….crt.pem`` sealed before and stays ours.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography import x509
from flask import current_app
from sqlalchemy import select

from fieldapp.models import Organisation, db
from sync import seal_key
from sync.bought_key import load_pkcs12
from sync.problems import Problem
from sync.seal_key import SealKey, WrongKey

NOBODY = "fieldapp"
"""What stands on certificates that were made before there was an organisation."""

log = logging.getLogger(__name__)


def folder() -> Path:
    """Where the keys are."""
    return Path(current_app.config["INSTANCE"]) / "keys"


def prepare_key(now: datetime, name: str | None = None) -> None:
    """Make the key that seals papers, unless this installation has one; and its root before it.

    ``name`` stands on the certificates as long as there is no organisation.  The certificate of a
    key that was taken away stays: its papers are still ours.
    Raises WrongKey when there is a root without its key.
    """
    with _alone() as keys:
        if (keys / "seal.key.pem").exists() and (keys / "seal.crt.pem").exists():
            return
        _issue(keys, now, _name(name), _root(keys))


def renew_key(now: datetime, *, with_new_root: bool = False) -> SealKey:
    """Make a new sealing key, under the root that is here or a new one, and return it.

    The old certificate stays ours.  An installation from before there were roots gets one.
    Raises WrongKey when the root has ended or its key is not here.
    """
    with _alone() as keys:
        root = None if with_new_root else _root(keys)
        if root is not None and root.certificate.not_valid_after_utc <= now:
            ended = f"{root.certificate.not_valid_after_utc:%Y-%m-%d}"
            raise WrongKey(f"the root ended on {ended}: run fieldapp key renew --new-root")
        return _issue(keys, now, _name(), root)


def import_key(data: bytes, passphrase: bytes, now: datetime) -> SealKey:
    """Seal with the key in a PKCS#12 file from now on, and return it; the old certificate stays.

    Raises WrongKey, and changes nothing, when papers could not be sealed with it.
    """
    key = load_pkcs12(data, passphrase, now)
    with _alone() as keys:
        _put(keys, "seal", key, now)
    return key


def sealing_pem() -> tuple[bytes, bytes]:
    """Private key, and certificate with its chain, as PEM; they belong together.

    Raises Problem("seal.key-unreadable") when one of them is missing.
    """
    try:
        with _alone() as keys:
            return (keys / "seal.key.pem").read_bytes(), (keys / "seal.crt.pem").read_bytes()
    except OSError as cause:
        raise Problem("seal.key-unreadable") from cause


def sealing_chain() -> list[x509.Certificate]:
    """The certificate that seals and those above it; none when it cannot be read.

    The last one is what somebody trusts who trusts our papers.
    """
    return _readable(folder() / "seal.crt.pem")


def certificates() -> list[x509.Certificate]:
    """Every certificate this installation ever sealed with, without the chains above them."""
    return [one for path in certificate_files() for one in _readable(path)[:1]]


def certificate_files() -> list[Path]:
    """Where they are."""
    return sorted([*folder().glob("seal.crt.pem"), *folder().glob("until-*.crt.pem")])


def timestamp_certificates() -> list[x509.Certificate]:
    """The certificates of the timestamp authorities that this installation knows."""
    path = current_app.config["TIMESTAMP_CERTIFICATES"]
    return _readable(Path(path)) if path else []


def _readable(path: Path) -> list[x509.Certificate]:
    try:
        return seal_key.load_certificates(path.read_bytes())
    except (OSError, ValueError):
        log.warning("no certificate can be read in %s", path)
        return []


# changing the folder


@contextmanager
def _alone() -> Iterator[Path]:
    """The folder, with nobody else in it: one's key with another's certificate seals nothing."""
    keys = folder()
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (keys / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for name in ("root", "seal"):
            _settle(keys, name)
        yield keys


def _settle(keys: Path, name: str) -> None:
    """Finish or undo what a crash left in the middle of :func:`_put`."""
    certificate, private = keys / f"next-{name}.crt.pem", keys / f"next-{name}.key.pem"
    if certificate.exists():  # the new pair did not count yet
        certificate.unlink()
        private.unlink(missing_ok=True)
    elif private.exists():  # its certificate counts already
        private.replace(keys / f"{name}.key.pem")


def _put(keys: Path, name: str, key: SealKey, now: datetime) -> None:
    """Let ``key`` be the one of that name; the certificate of the one before is kept."""
    certificate, private = keys / f"{name}.crt.pem", keys / f"{name}.key.pem"
    next_certificate, next_private = keys / f"next-{name}.crt.pem", keys / f"next-{name}.key.pem"
    if certificate.exists():
        old = certificate.read_bytes()
        prefix = "until" if name == "seal" else f"{name}-until"
        digest = hashlib.sha256(old).hexdigest()[:8]  # two may change within a second
        _write(keys / f"{prefix}-{now:%Y%m%dT%H%M%S}-{digest}.crt.pem", old)
    _write(next_certificate, key.certificate_pem())
    _write(next_private, key.private_pem(), 0o600)
    next_certificate.replace(certificate)  # from here on the new pair counts
    next_private.replace(private)


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _issue(keys: Path, now: datetime, name: str, root: SealKey | None) -> SealKey:
    """A new sealing key under ``root``, or under a new root; both are kept."""
    if root is None:
        root = seal_key.make_root(name, from_at=now)
        _put(keys, "root", root, now)
    key = seal_key.make_key(name, from_at=now, root=root)
    _put(keys, "seal", key, now)
    return key


def _root(keys: Path) -> SealKey | None:
    """The root that is here; None when there never was one."""
    certificate, private = keys / "root.crt.pem", keys / "root.key.pem"
    if not certificate.exists():
        return None
    if not private.exists():
        raise WrongKey(
            f"the root's key is not at {private}: put it back, "
            "or make a new root with fieldapp key renew --new-root"
        )
    try:
        return seal_key.load_key(private.read_bytes(), certificate.read_bytes())
    except Problem:
        raise WrongKey(
            f"the root at {private} cannot be read: put its copy back, "
            "or make a new root with fieldapp key renew --new-root"
        ) from None


def _name(wanted: str | None = None) -> str:
    """What stands on certificates: the organisation's name, as soon as there is one."""
    first = select(Organisation.name).order_by(Organisation.id).limit(1)
    names = (db.session.scalars(first).first(), wanted)
    return next((name for name in names if name and name.strip()), NOBODY)
