"""The certificate authority of one machine, for phones in its own network.

A phone that trusts its root lets this machine speak for private addresses and for the machine's own
name, and for nothing else: the root says so itself (name constraints), so that whoever steals its
key cannot speak for a bank.  Everything lies in ``lan`` in the instance folder.
"""

from __future__ import annotations

import ipaddress
import os
import plistlib
import re
import socket
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT_DAYS = 3 * 365
SERVER_DAYS = 397
"""Browsers refuse a certificate that lasts longer than 398 days."""
SPARE_DAYS = 30
"""What ends sooner is made anew at the next start."""

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""Networks behind a router.  A machine gets another address in them whenever it likes."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
# Made by container and machine hosts: no phone reaches them.
_INNER = ("lo", "docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "tun", "tap")

Address = ipaddress.IPv4Address


class NoAuthority(ValueError):
    """Phones cannot be served over TLS here; the message says why and what to do."""


@dataclass(frozen=True)
class Authority:
    """What a server needs, and what phones are offered.

    ``addresses`` and ``names`` are those that the server's certificate speaks for.  The root
    ``is_another`` when it has just replaced one that phones may trust.
    """

    root: x509.Certificate
    key_file: Path
    certificate_file: Path
    addresses: tuple[Address, ...]
    names: tuple[str, ...]
    is_another: bool = False

    def root_der(self) -> bytes:
        """The root certificate, as Android and computers take it."""
        return self.root.public_bytes(serialization.Encoding.DER)

    def fingerprint(self) -> str:
        """SHA-256 of the root, in pairs of digits, as phones show it."""
        return self.root.fingerprint(hashes.SHA256()).hex(" ").upper()

    def profile(self) -> bytes:
        """The root certificate as a profile, as an iPhone takes it."""
        name = str(self.root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        print_ = self.root.fingerprint(hashes.SHA256())
        one, two = (str(uuid.UUID(bytes=print_[at : at + 16], version=4)).upper() for at in (0, 16))
        certificate = {
            "PayloadType": "com.apple.security.root",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"fieldapp.lan.{print_.hex()[:16]}.root",
            "PayloadUUID": one,
            "PayloadDisplayName": name,
            "PayloadCertificateFileName": "fieldapp-root.crt",
            "PayloadContent": self.root_der(),
        }
        return plistlib.dumps(
            {
                "PayloadType": "Configuration",
                "PayloadVersion": 1,
                "PayloadIdentifier": f"fieldapp.lan.{print_.hex()[:16]}",
                "PayloadUUID": two,
                "PayloadDisplayName": name,
                "PayloadDescription": "SHA-256 " + self.fingerprint(),
                "PayloadContent": [certificate],
            }
        )


def machine_addresses() -> list[Address]:
    """The IPv4 addresses under which others may reach this machine, the likeliest first."""
    found = [
        ipaddress.IPv4Address(each.address)
        for name, addresses in psutil.net_if_addrs().items()
        if not name.startswith(_INNER)
        for each in addresses
        if each.family == socket.AF_INET
    ]
    usable = [each for each in found if not (each.is_loopback or each.is_link_local)]
    first = _outward()
    return sorted(dict.fromkeys(usable), key=lambda each: (each != first, not each.is_private))


def _outward() -> Address | None:
    """The address that this machine speaks from to the world; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return ipaddress.IPv4Address(asked.getsockname()[0])


def machine_names() -> list[str]:
    """The name under which neighbours find this machine without a name server."""
    name = socket.gethostname().partition(".")[0].lower()
    return [f"{name}.local"] if _LABEL.fullmatch(name) else []


def prepare(
    folder: Path, addresses: Sequence[Address], names: Iterable[str], now: datetime
) -> Authority:
    """The authority in ``folder`` with a certificate for ``addresses`` and ``names``.

    Made when there is none; the server's certificate anew when it speaks for others than asked, was
    issued by another root or ends within a month.  A root that ends or speaks for too much is made
    anew too: phones have to be told again.  Raises NoAuthority when there is no address, or none
    that the root allows.
    """
    if not addresses:
        raise NoAuthority("this machine has no address in a network: connect it, then start again")
    names = [name for name in names if _is_name(name)]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    root, private, is_another = _root(folder, addresses, names, now)
    allowed = tuple(each for each in addresses if _is_allowed(root, each))
    if not allowed:
        raise NoAuthority(
            f"the root certificate was not made for {addresses[0]}: remove {folder}, "
            "start again and let phones trust the new one"
        )
    known = tuple(name for name in names if _is_allowed(root, name))
    authority = Authority(
        root, folder / "server.key.pem", folder / "server.crt.pem", allowed, known, is_another
    )
    if not _serves(authority, now):
        _issue(authority, private, now)
    return authority


def _is_name(name: str) -> bool:
    """Whether a root may be made for a name.

    It then speaks for all names below too: for a machine that is just called ``dev`` those would be
    a top-level domain of the world.
    """
    return (
        "." in name and len(name) <= 253 and all(_LABEL.fullmatch(part) for part in name.split("."))
    )


def _root(
    folder: Path, addresses: Sequence[Address], names: Sequence[str], now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, bool]:
    """The root, its key and whether it replaces another; made when there is none to go on with."""
    key_file, certificate_file = folder / "root.key.pem", folder / "root.crt.pem"
    is_another = False
    try:
        root = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        private = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except FileNotFoundError:
        pass
    else:
        lasts = root.not_valid_after_utc - now > timedelta(days=SPARE_DAYS)
        if not isinstance(private, ec.EllipticCurvePrivateKey) or (
            private.public_key() != root.public_key()
        ):
            raise NoAuthority(f"key and certificate in {folder} do not belong together: remove it")
        if lasts and all(map(_is_name, _names_of(root))):
            return root, private, False
        is_another = True
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    called = f"fieldapp {names[0] if names else addresses[0]} {identifier.digest.hex()[:6]}"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called[-64:])])
    root = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=ROOT_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(issues=True), critical=True)
        .add_extension(x509.NameConstraints(_permitted(addresses, names), None), critical=True)
        .add_extension(identifier, critical=False)
        .sign(private, hashes.SHA256())
    )
    _write(key_file, _private_pem(private), 0o600)
    _write(certificate_file, root.public_bytes(serialization.Encoding.PEM), 0o644)
    return root, private, is_another


def _permitted(addresses: Iterable[Address], names: Iterable[str]) -> list[x509.GeneralName]:
    """Private networks, this machine's other addresses, its name; no mail address at all."""
    private = [ipaddress.ip_network(each) for each in PRIVATE]
    own = [
        ipaddress.ip_network(each)
        for each in addresses
        if not any(each in network for network in private)
    ]
    return [
        *(x509.IPAddress(network) for network in (*private, *own)),
        # Without any name of a kind that kind would not be limited at all.
        *(x509.DNSName(name) for name in (*names, "fieldapp.invalid")),
        x509.RFC822Name("fieldapp.invalid"),
    ]


def _subtrees(root: x509.Certificate) -> list[x509.GeneralName]:
    found = root.extensions.get_extension_for_class(x509.NameConstraints).value
    return found.permitted_subtrees or []


def _names_of(root: x509.Certificate) -> list[str]:
    """The names that the root speaks for, each with all below it."""
    return [each.value for each in _subtrees(root) if isinstance(each, x509.DNSName)]


def _is_allowed(root: x509.Certificate, name: Address | str) -> bool:
    """Whether the root may speak for an address or a name."""
    if isinstance(name, str):
        return name in _names_of(root)
    networks = [each.value for each in _subtrees(root) if isinstance(each, x509.IPAddress)]
    return any(name in network for network in networks)  # type: ignore[operator]


def _serves(authority: Authority, now: datetime) -> bool:
    """Whether the server's certificate is there, of this root, for the same, and lasts."""
    try:
        certificate = x509.load_pem_x509_certificate(authority.certificate_file.read_bytes())
        private = serialization.load_pem_private_key(authority.key_file.read_bytes(), None)
        certificate.verify_directly_issued_by(authority.root)
    except Exception:  # missing, damaged or of another root: it is made anew, nobody trusts it
        return False
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        private.public_key() == certificate.public_key()
        and set(found) == set(_spoken_for(authority))
        and certificate.not_valid_after_utc - now > timedelta(days=SPARE_DAYS)
    )


def _spoken_for(authority: Authority) -> list[x509.GeneralName]:
    return [
        *(x509.IPAddress(each) for each in authority.addresses),
        *(x509.DNSName(name) for name in authority.names),
    ]


def _issue(authority: Authority, issuer: ec.EllipticCurvePrivateKey, now: datetime) -> None:
    """A new key and certificate of the server."""
    private = ec.generate_private_key(ec.SECP256R1())
    # no bare address: where no name stands beside it, OpenSSL takes it for one the root forbids
    called = f"fieldapp {authority.addresses[0]}"
    until = min(now + timedelta(days=SERVER_DAYS), authority.root.not_valid_after_utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)]))
        .issuer_name(authority.root.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # for phones whose clock is slow
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(issues=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_spoken_for(authority)), critical=False)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
        .sign(issuer, hashes.SHA256())
    )
    _write(authority.key_file, _private_pem(private), 0o600)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    _write(authority.certificate_file, pem, 0o644)


def _usage(*, issues: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issues,
        crl_sign=issues,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    """Put ``data`` there, whole, readable for those of ``mode`` alone from the first byte on."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
