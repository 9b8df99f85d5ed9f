"""The doctor names what is wrong and what to do about it."""

import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from sqlalchemy import text

from fieldapp import create_app, health, keys
from fieldapp.models import db
from sync import seal_key
from tests.authority import Authority
from tests.databases import disconnect

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)


@pytest.fixture
def healthy(app):
    """An installation with tables and key, in whose context the test goes on."""
    with app.app_context():
        keys.prepare_key(NOW)
        yield app


def bad(now=NOW):
    return [finding.text for finding in health.examine(now) if not finding.is_good]


def test_a_healthy_installation_has_nothing_to_complain_of(healthy):
    assert bad() == []
    told = [finding.text for finding in health.examine(NOW)]
    assert any("harfbuzz-subset" in line for line in told)
    assert "font NotoSansSC-Bold.ttf" in told
    assert "sealing key until 2031-03-10" in told
    assert "root until 2056-03-10" in told


def test_a_missing_table_is_named(healthy):
    db.session.execute(text("DROP TABLE notice"))
    db.session.commit()
    (told,) = bad()
    assert told.endswith("lacks notice: run fieldapp init")
    db.create_all()
    assert bad() == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", "is at revision 0001, this fieldapp"),
        ("UPDATE alembic_version SET version_num = '9999'", "revision 9999 of a newer fieldapp"),
        ("DROP TABLE alembic_version", "holds tables of no release"),
    ],
)
def test_tables_of_another_version_are_named_with_what_to_do(healthy, change, told):
    db.session.execute(text(change))
    db.session.commit()
    (found,) = bad()
    assert told in found
    assert ("run fieldapp upgrade" in found) == ("0001" in change)


def test_a_database_without_tables_is_named(databases, tmp_path):
    url = databases.bare(tmp_path)
    app = create_app({"INSTANCE": str(tmp_path), "DATABASE_URL": url})
    with app.app_context():
        found = [line for line in bad() if line.startswith("database ")]
    disconnect(app)
    databases.give_back(url)
    assert len(found) == 1
    assert found[0].endswith("has no tables: run fieldapp init")


def test_a_database_that_does_not_answer_is_named_without_its_password(healthy, monkeypatch):
    def gone(*_):
        raise health.SQLAlchemyError("gone")

    monkeypatch.setattr(health.db.session, "execute", gone)
    (told,) = bad()
    assert told.startswith(("database sqlite:///", "database postgresql+psycopg://"))
    assert told.endswith("check DATABASE_URL")


@pytest.fixture
def folder(healthy):
    return healthy.config["INSTANCE"] / "keys"


def test_a_key_that_ends_soon_is_named_before_it_does(healthy):
    (sealing,) = keys.certificates()
    ends_at = sealing.not_valid_after_utc
    assert bad(ends_at - timedelta(days=health.KEY_DAYS)) == []
    (told,) = bad(ends_at - timedelta(days=health.KEY_DAYS - 1))
    assert told == (
        "the sealing key ends on 2031-03-10: "
        "run fieldapp key renew, which keeps the old certificate"
    )
    later = ends_at + timedelta(days=1)
    assert len(bad(later)) == 1
    keys.renew_key(later)
    assert bad(later) == []
    assert sealing in keys.certificates()


def test_a_root_that_ends_within_the_year_is_named(healthy):
    ends_at = keys.sealing_chain()[-1].not_valid_after_utc
    keys.renew_key(ends_at - timedelta(days=400))
    assert bad(ends_at - timedelta(days=health.ROOT_DAYS)) == []
    (told,) = bad(ends_at - timedelta(days=health.ROOT_DAYS - 1))
    assert told.startswith("the root ends on 2056-03-10: run fieldapp key renew --new-root")
    keys.renew_key(ends_at - timedelta(days=100), with_new_root=True)
    assert bad(ends_at - timedelta(days=100)) == []


def bought(years):
    authority = seal_key.make_root("Authority", from_at=NOW, years=years)
    key = seal_key.make_key("Brook Alarms GmbH", from_at=NOW, root=authority, years=1)
    return pkcs12.serialize_key_and_certificates(
        b"", key.private, key.certificate, [authority.certificate], serialization.NoEncryption()
    )


@pytest.mark.parametrize(("years", "count"), [(30, 1), (1, 2)])
def test_a_bought_key_that_ends_soon_is_bought_again(healthy, years, count):
    """With it goes the certificate above it, when that ends too."""
    keys.import_key(bought(years), b"", NOW)
    assert bad() == []
    told = bad(NOW + timedelta(days=350))
    assert len(told) == count
    assert told[0].startswith("the sealing key ends on 2027-03-10: buy another one and run ")
    assert ("above the sealing key, ends on 2027-03-10" in told[-1]) == (count == 2)


def test_a_key_from_before_there_were_roots_is_well_until_it_ends(healthy, folder):
    for path in folder.glob("*.pem"):
        path.unlink()
    key = seal_key.make_key("Brook Alarms", from_at=NOW)
    (folder / "seal.crt.pem").write_bytes(key.certificate_pem())
    (folder / "seal.key.pem").write_bytes(key.private_pem())
    (folder / "seal.key.pem").chmod(0o600)
    assert bad() == []
    (told,) = bad(NOW + timedelta(days=1800))
    assert "run fieldapp key renew, which" in told


def test_a_key_of_tomorrow_doubts_the_clock(healthy):
    told = bad(NOW - timedelta(days=2))
    assert len(told) == 2
    assert all("begins only on 2026-03-09: is this machine's clock right?" in line for line in told)


def test_a_key_that_is_not_there_is_named(healthy, folder):
    (folder / "seal.key.pem").unlink()
    assert bad() == ["there is no key to seal papers with: run fieldapp init"]
    keys.prepare_key(NOW)
    assert bad() == []


@pytest.mark.parametrize("name", ["seal.key.pem", "seal.crt.pem", "root.key.pem"])
@pytest.mark.parametrize("content", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_damaged_key_is_named(healthy, folder, name, content):
    (folder / name).write_bytes(content)
    (told,) = bad()
    assert "cannot be read" in told
    assert ("fieldapp key renew --new-root" in told) == name.startswith("root")


@pytest.mark.parametrize("name", ["seal", "root"])
def test_a_key_and_the_certificate_of_another_are_named(healthy, folder, name):
    private = (folder / f"{name}.key.pem").read_bytes()
    keys.renew_key(NOW, with_new_root=True)
    (folder / f"{name}.key.pem").write_bytes(private)
    (told,) = bad()
    assert "its certificate is another's" in told


@pytest.mark.parametrize("name", ["seal", "root"])
def test_a_key_that_others_can_read_is_named(healthy, folder, name):
    path = folder / f"{name}.key.pem"
    path.chmod(0o640)
    assert bad() == [f"others can read {path}: chmod 600 {path}"]


def test_a_root_kept_elsewhere_is_no_fault(healthy, folder):
    (folder / "root.key.pem").unlink()
    assert bad() == []


def test_an_old_certificate_that_cannot_be_read_is_named(healthy, folder):
    keys.renew_key(NOW)
    (old,) = folder.glob("until-*")
    assert bad() == []
    old.write_bytes(b"no certificate")
    (told,) = bad()
    assert told == (
        f"{old} cannot be read: put its copy back, or papers sealed with it are unproven"
    )


def test_a_timestamp_authority_that_does_not_answer_is_named(healthy, tmp_path):
    with Authority(tmp_path) as authority:
        healthy.config["TIMESTAMP_URL"] = authority.url
        assert bad() == []
        told = [finding.text for finding in health.examine(NOW)]
        assert any(line.startswith(f"timestamp authority {authority.url}: 2") for line in told)
        authority.is_silent = True
        (told,) = bad()
        assert told.startswith(f"the timestamp authority {authority.url} does not answer (503")
    healthy.config["TIMESTAMP_URL"] = "http://127.0.0.1:1/"
    (told,) = bad()
    assert "http://127.0.0.1:1/ does not answer" in told


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_font_is_named(healthy, monkeypatch, tmp_path, damage):
    fonts = tmp_path / "fonts"
    shutil.copytree(health.FONTS, fonts)
    monkeypatch.setattr(health, "FONTS", fonts)
    assert bad() == []
    font = fonts / "NotoSansSC-Regular.ttf"
    if damage == "missing":
        font.unlink()
    else:
        font.write_bytes(font.read_bytes()[:-1])
    assert bad() == ["font NotoSansSC-Regular.ttf is missing or damaged: install fieldapp again"]


def test_a_missing_library_is_named_with_its_package(healthy, monkeypatch):
    find = health.ctypes.util.find_library
    monkeypatch.setattr(
        health.ctypes.util, "find_library", lambda name: None if name == "pango-1.0" else find(name)
    )
    assert bad() == ["library pango-1.0 is missing: apt-get install libpango-1.0-0"]


def test_a_full_disk_is_named(healthy, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: usage(10**10, 10**10, 5 * 10**6))
    assert bad() == [f"only 5 MB free for {healthy.config['INSTANCE']}: make room"]
