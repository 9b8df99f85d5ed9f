"""The certificate authority of one machine: what it may speak for, and when it is made anew."""

from __future__ import annotations

import ipaddress
import plistlib
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fieldapp.authority import NoAuthority, machine_addresses, machine_names, prepare

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOME = IPv4Address("192.168.1.20")
OFFICE = IPv4Address("10.4.0.7")
CAMPUS = IPv4Address("203.0.113.9")
NAMES = ["depot.local"]


def days(count: int) -> datetime:
    return NOW + timedelta(days=count)


def server_of(authority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.certificate_file.read_bytes())


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def verified(folder, certificate_file, *more: str, at: datetime = NOW) -> str:
    """What openssl says of a server's certificate when only this root is trusted."""
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", str(folder / "root.crt.pem"), "-no-CApath",
         "-purpose", "sslserver", "-attime", str(int(at.timestamp())), *more, str(certificate_file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_phone_that_trusts_the_root_trusts_the_machine(tmp_path):
    made = prepare(tmp_path / "lan", [HOME, OFFICE], NAMES, NOW)
    folder = tmp_path / "lan"
    for name, mode in (("root.key.pem", 0o600), ("server.key.pem", 0o600), (".", 0o700)):
        assert stat.S_IMODE((folder / name).stat().st_mode) == mode
    for host in ("-verify_ip=192.168.1.20", "-verify_ip=10.4.0.7", "-verify_hostname=depot.local"):
        assert "OK" in verified(folder, made.certificate_file, *host.split("="))
    assert "IP address mismatch" in verified(
        folder, made.certificate_file, "-verify_ip", "192.168.1.21"
    )
    server = server_of(made)
    assert server.not_valid_after_utc - server.not_valid_before_utc <= timedelta(days=398)
    assert list(extension(server, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extension(server, x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    "name",
    [x509.DNSName("bank.example"), x509.DNSName("neighbour.local"),
     x509.IPAddress(ipaddress.ip_address("8.8.8.8")), x509.RFC822Name("boss@bank.example")],
    ids=lambda name: str(name.value),
)  # fmt: skip
def test_whoever_steals_the_roots_key_speaks_for_nobody_else(tmp_path, name):
    made = prepare(tmp_path, [HOME], NAMES, NOW)
    root_key = serialization.load_pem_private_key((tmp_path / "root.key.pem").read_bytes(), None)
    false = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "false")]))
        .issuer_name(made.root.subject)
        .public_key(root_key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(days(10))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    (tmp_path / "false.pem").write_bytes(false.public_bytes(serialization.Encoding.PEM))
    assert "permitted subtree violation" in verified(tmp_path, tmp_path / "false.pem")
    assert "OK" in verified(tmp_path, made.certificate_file)
    assert extension(made.root, x509.NameConstraints).critical
    assert extension(made.root, x509.BasicConstraints).value == x509.BasicConstraints(True, 0)


def test_a_second_start_changes_nothing(tmp_path):
    prepare(tmp_path, [HOME], NAMES, NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    prepare(tmp_path, [HOME], NAMES, days(300))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("addresses", "names", "at"),
    [([OFFICE], NAMES, NOW), ([HOME, OFFICE], NAMES, NOW), ([HOME], [], NOW), ([HOME], NAMES, days(370))],
    ids=["another network", "one more", "no names any more", "ends within a month"],
)  # fmt: skip
def test_the_servers_certificate_is_renewed_and_phones_need_nothing_new(
    tmp_path, addresses, names, at
):
    first = prepare(tmp_path, [HOME], NAMES, NOW)
    serial = server_of(first).serial_number
    second = prepare(tmp_path, addresses, names, at)
    assert second.root == first.root
    assert server_of(second).serial_number != serial
    found = extension(server_of(second), x509.SubjectAlternativeName).value
    assert set(found.get_values_for_type(x509.IPAddress)) == set(addresses)
    assert set(found.get_values_for_type(x509.DNSName)) == set(names)
    assert "OK" in verified(tmp_path, second.certificate_file, at=at)


@pytest.mark.parametrize("name", ["server.key.pem", "server.crt.pem"])
def test_what_was_damaged_is_made_anew(tmp_path, name):
    made = prepare(tmp_path, [HOME], NAMES, NOW)
    (tmp_path / name).write_bytes(b"-----BEGIN nothing")
    prepare(tmp_path, [HOME], NAMES, NOW)
    assert "OK" in verified(tmp_path, made.certificate_file)


def test_a_root_that_ends_is_replaced(tmp_path):
    first = prepare(tmp_path, [HOME], NAMES, NOW)
    assert prepare(tmp_path, [HOME], NAMES, days(3 * 365 - 40)).root == first.root
    second = prepare(tmp_path, [HOME], NAMES, days(3 * 365 - 20))
    assert second.root != first.root
    assert second.root.subject != first.root.subject  # a phone shows which is which


def test_a_root_and_another_roots_key_stop_the_start(tmp_path):
    for folder in (tmp_path / "one", tmp_path / "two"):
        prepare(folder, [HOME], NAMES, NOW)
    (tmp_path / "two" / "root.key.pem").replace(tmp_path / "one" / "root.key.pem")
    with pytest.raises(NoAuthority, match="do not belong together"):
        prepare(tmp_path / "one", [HOME], NAMES, NOW)


def test_a_machine_without_an_address_is_told_so(tmp_path):
    with pytest.raises(NoAuthority, match="no address in a network"):
        prepare(tmp_path / "lan", [], NAMES, NOW)
    assert not (tmp_path / "lan").exists()


def test_an_address_of_the_world_is_only_spoken_for_when_the_root_was_made_for_it(tmp_path):
    prepare(tmp_path / "home", [HOME], NAMES, NOW)
    with pytest.raises(NoAuthority, match=r"not made for 203\.0\.113\.9: remove"):
        prepare(tmp_path / "home", [CAMPUS], NAMES, NOW)
    both = prepare(tmp_path / "home", [CAMPUS, HOME], NAMES, NOW)
    assert both.addresses == (HOME,)
    made = prepare(tmp_path / "campus", [CAMPUS], NAMES, NOW)
    assert "OK" in verified(tmp_path / "campus", made.certificate_file, "-verify_ip", str(CAMPUS))


def test_a_name_that_is_none_stays_out(tmp_path):
    made = prepare(
        tmp_path, [HOME], ["a_b.local", "-x.local", "", "y" * 64 + ".local", *NAMES], NOW
    )
    assert made.names == ("depot.local",)


def permitted_names(authority) -> list[str]:
    found = extension(authority.root, x509.NameConstraints).value.permitted_subtrees
    return [each.value for each in found if isinstance(each, x509.DNSName)]


@pytest.mark.parametrize("name", ["dev", "app"])
def test_a_machine_named_like_a_top_level_domain_does_not_speak_for_all_of_it(
    tmp_path, monkeypatch, name
):
    monkeypatch.setattr("socket.gethostname", lambda: name)
    assert machine_names() == [f"{name}.local"]
    made = prepare(tmp_path, [HOME], [name, *machine_names()], NOW)
    assert permitted_names(made) == [f"{name}.local", "fieldapp.invalid"]
    assert made.names == (f"{name}.local",)
    assert "OK" in verified(tmp_path, made.certificate_file, "-verify_hostname", f"{name}.local")


def test_a_root_that_speaks_for_a_whole_top_level_domain_is_replaced(tmp_path, monkeypatch):
    with monkeypatch.context() as before:  # as roots were made once
        before.setattr("fieldapp.authority._is_name", lambda name: True)
        wide = prepare(tmp_path, [HOME], ["dev", "dev.local"], NOW)
    assert "dev" in permitted_names(wide)
    assert not wide.is_another
    narrow = prepare(tmp_path, [HOME], ["dev.local"], NOW)
    assert narrow.is_another
    assert "dev" not in permitted_names(narrow)
    assert "OK" in verified(tmp_path, narrow.certificate_file)
    again = prepare(tmp_path, [HOME], ["dev.local"], NOW)
    assert again.root == narrow.root
    assert not again.is_another


def test_an_iphone_reads_the_root_from_its_profile(tmp_path):
    made = prepare(tmp_path, [HOME], NAMES, NOW)
    profile = plistlib.loads(made.profile())
    (payload,) = profile["PayloadContent"]
    assert payload["PayloadType"] == "com.apple.security.root"
    assert payload["PayloadContent"] == made.root_der()
    assert payload["PayloadUUID"] != profile["PayloadUUID"]
    assert made.profile() == made.profile()  # installed twice it is one profile
    assert made.fingerprint() in profile["PayloadDescription"]


def test_this_machine_has_addresses_that_others_reach():
    addresses = machine_addresses()
    assert len(addresses) == len(set(addresses))
    assert not any(each.is_loopback or each.is_link_local for each in addresses)
    assert all("_" not in name for name in machine_names())
