"""The doctor names what is wrong and what to do about it."""

import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from fieldapp import create_app, health, reports
from fieldapp.models import db
from tests.databases import disconnect

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)


@pytest.fixture
def healthy(app):
    """An installation with tables and key, in whose context the test goes on."""
    with app.app_context():
        reports.prepare_key(NOW)
        yield app


def bad(now=NOW):
    return [finding.text for finding in health.examine(now) if not finding.is_good]


def test_a_healthy_installation_has_nothing_to_complain_of(healthy):
    assert bad() == []
    told = [finding.text for finding in health.examine(NOW)]
    assert any("harfbuzz-subset" in line for line in told)
    assert "font NotoSansSC-Bold.ttf" in told
    assert "sealing key until 2036-03-09" in told


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


def test_a_key_that_ends_soon_is_named_before_it_does(healthy):
    ends_at = NOW + timedelta(days=round(365.25 * 10))
    assert bad(ends_at - timedelta(days=health.KEY_DAYS)) == []
    (told,) = bad(ends_at - timedelta(days=health.KEY_DAYS - 1))
    assert "ends on 2036-03-09: remove seal.key.pem and run fieldapp init" in told
    assert len(bad(ends_at + timedelta(days=1))) == 1


def test_what_the_doctor_says_about_an_old_key_helps(healthy):
    later = NOW + timedelta(days=3640)
    folder = healthy.config["INSTANCE"] / "keys"
    old = (folder / "seal.crt.pem").read_bytes()
    (folder / "seal.key.pem").unlink()
    assert bad(later) == ["there is no key to seal papers with: run fieldapp init"]
    reports.prepare_key(later)
    assert bad(later) == []
    assert old in reports.certificates_pem()


@pytest.mark.parametrize("name", ["seal.key.pem", "seal.crt.pem"])
@pytest.mark.parametrize("content", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_damaged_key_is_named(healthy, name, content):
    folder = healthy.config["INSTANCE"] / "keys"
    (folder / name).write_bytes(content)
    (told,) = bad()
    assert "cannot be read: remove seal.key.pem and run fieldapp init" in told


def test_a_key_and_the_certificate_of_another_are_named(healthy, tmp_path):
    folder = healthy.config["INSTANCE"] / "keys"
    private = (folder / "seal.key.pem").read_bytes()
    (folder / "seal.key.pem").unlink()
    reports.prepare_key(NOW)
    (folder / "seal.key.pem").write_bytes(private)
    assert "cannot be read" in bad()[0]


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
