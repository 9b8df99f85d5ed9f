"""Every setting is read once, and a wrong one stops the start."""

import stat
from datetime import UTC, datetime

import pytest

from fieldapp import create_app
from fieldapp.config import SETTINGS, WrongSetting, read_settings
from sync.seal_key import make_root


def test_the_defaults_make_an_installation_in_one_folder(tmp_path):
    values = read_settings({"INSTANCE": str(tmp_path)}, {})
    assert values["DATABASE_URL"] == f"sqlite:///{tmp_path / 'fieldapp.sqlite'}"
    assert values["BLOBS_URL"] == f"file://{tmp_path / 'blobs'}"
    assert set(values) == {setting.name for setting in SETTINGS}


def test_what_is_given_counts_before_the_environment_before_the_default():
    environment = {"FIELDAPP_PORT": "9000", "FIELDAPP_THREADS": "3", "PORT": "1"}
    values = read_settings({"PORT": 9001}, environment)
    assert (values["PORT"], values["THREADS"]) == (9001, 3)
    assert values["SESSION_DAYS"] == 30


def test_the_database_url_keeps_its_common_name():
    values = read_settings({}, {"DATABASE_URL": "postgresql://db/field"})
    assert values["DATABASE_URL"] == "postgresql://db/field"


def test_an_unknown_setting_stops_the_start(tmp_path):
    with pytest.raises(WrongSetting, match="unknown setting: PROT"):
        create_app({"INSTANCE": str(tmp_path), "PROT": 1})


@pytest.mark.parametrize("setting", [s for s in SETTINGS if isinstance(s.default, int)],
                         ids=lambda setting: setting.name)  # fmt: skip
@pytest.mark.parametrize("raw", ["many", "", "1.5", "-1", None])
def test_a_number_that_is_none_stops_the_start_and_is_named(setting, raw):
    with pytest.raises(WrongSetting, match=setting.variable):
        read_settings({setting.name: raw}, {})


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s.least], ids=lambda s: s.name)
def test_the_least_is_still_allowed_and_one_less_is_not(setting):
    assert read_settings({setting.name: setting.least}, {})[setting.name] == setting.least
    with pytest.raises(WrongSetting, match=f"at least {setting.least}"):
        read_settings({setting.name: setting.least - 1}, {})


@pytest.mark.parametrize("url", ["", "field.example", "ftp://field.example", "//field.example",
                                 "javascript:alert(1)", "https://"])  # fmt: skip
def test_an_address_no_qr_code_can_lead_to_stops_the_start(url):
    with pytest.raises(WrongSetting, match="FIELDAPP_PUBLIC_URL"):
        read_settings({"PUBLIC_URL": url}, {})


@pytest.mark.parametrize(
    "url", ["https://field.example", "https://field.example/", "http://[::1]:80"]
)
def test_an_address_is_kept_without_its_slash(url):
    assert read_settings({"PUBLIC_URL": url}, {})["PUBLIC_URL"] == url.rstrip("/")


def test_a_file_without_certificates_stops_the_start(tmp_path):
    file = tmp_path / "time.pem"
    for content in (None, b"", b"no certificate"):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(WrongSetting, match="FIELDAPP_TIMESTAMP_CERTIFICATES must name a PEM"):
            read_settings({"TIMESTAMP_CERTIFICATES": str(file)}, {})
    root = make_root("Time", from_at=datetime(2026, 3, 10, tzinfo=UTC))
    file.write_bytes(root.certificate_pem())
    assert read_settings({"TIMESTAMP_CERTIFICATES": str(file)}, {})


def test_every_setting_says_what_it_is_for():
    assert all(setting.sentence.endswith(".") for setting in SETTINGS)
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)


def test_the_session_key_is_made_once_and_for_one_reader_only(tmp_path):
    first = create_app({"INSTANCE": str(tmp_path)}).secret_key
    assert create_app({"INSTANCE": str(tmp_path)}).secret_key == first
    assert len(first) == 64
    assert stat.S_IMODE((tmp_path / "session.key").stat().st_mode) == 0o600


def test_cookies_are_for_https_only_where_the_address_is(tmp_path):
    given = {"INSTANCE": str(tmp_path), "PUBLIC_URL": "https://field.example"}
    assert create_app(given).config["SESSION_COOKIE_SECURE"] is True
    assert create_app({"INSTANCE": str(tmp_path)}).config["SESSION_COOKIE_SECURE"] is False
