"""What the operator reads in the terminal."""

import contextlib
import os
import re
import shutil
import sqlite3
import stat
import subprocess

import pytest

from tests.forked import run


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """An installation where Dana is the desk."""
    folder = tmp_path_factory.mktemp("installation")
    done = fieldapp(
        folder, "user", "add", "dana", "--name", "Dana Roy", "--role", "dispatcher",
        "--password", "correct horse",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def fieldapp(folder, *arguments, **environment):
    """One run of the console command with ``environment`` and no other locale."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LC_", "LANG", "FIELDAPP_")) and name != "DATABASE_URL"
    }
    return run(arguments, kept | {"FIELDAPP_INSTANCE": str(folder)} | environment)


@pytest.mark.parametrize(
    ("locale", "told"),
    [
        (
            "zh_CN.UTF-8",
            ["parts.csv 第 2 行：name 为空。", "parts.csv 第 3 行：BAT-12 已在第 2 行出现。"],
        ),
        (
            "en_GB.UTF-8",
            [
                "parts.csv, line 2: name is empty.",
                "parts.csv, line 3: BAT-12 already stands on line 2.",
            ],
        ),
    ],
)
def test_bad_lines_are_told_in_the_language_of_the_terminal(installation, tmp_path, locale, told):
    (tmp_path / "parts.csv").write_text("code,name\nBAT-12,\nBAT-12,蓄电池\n", "utf-8")
    done = fieldapp(installation, "import", str(tmp_path), LANG=locale)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == told


def test_good_sheets_are_told_as_counts(installation, tmp_path):
    (tmp_path / "parts.csv").write_text("code,name\nBAT-12,蓄电池\n", "utf-8")
    done = fieldapp(installation, "import", str(tmp_path), LANG="zh_CN.UTF-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 parts created\n"


# Without an installation


def told(done):
    """The one sentence somebody is told when nothing can be done."""
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


COMMANDS = [
    "demo",
    "doctor",
    "import",
    "init",
    "key",
    "organisation",
    "papers",
    "reseal",
    "restored",
    "serve",
    "upgrade",
    "user",
    "verify",
]


def test_help_lists_the_commands_and_makes_nothing(tmp_path):
    done = fieldapp(tmp_path / "new", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = done.stdout.partition("Commands:")[2]
    assert re.findall(r"^  (\S+)", listed, re.MULTILINE) == COMMANDS
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "command",
    [[name] for name in COMMANDS]
    + [["organisation", "set"], ["user", "add"], ["key", "renew"], ["key", "import"]],
)
def test_every_command_explains_itself(tmp_path, command):
    done = fieldapp(tmp_path / "new", *command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("arguments", [["teleport"], ["user", "delete"], ["init", "--force"]])
def test_what_is_no_command_is_a_sentence(tmp_path, arguments):
    done = fieldapp(tmp_path / "new", *arguments)
    assert done.returncode == 2
    assert told(done).startswith("Error: No such ")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"FIELDAPP_PORT": "many"}, "FIELDAPP_PORT must be a whole number, not 'many'"),
        ({"FIELDAPP_THREADS": "0"}, "FIELDAPP_THREADS must be at least 1, not 0"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL"),
        ({"DATABASE_URL": "nosuch://here"}, "DATABASE_URL"),
        ({"DATABASE_URL": "oracle://here"}, "DATABASE_URL"),
    ],
)
def test_a_wrong_setting_is_one_sentence(tmp_path, environment, sentence):
    done = fieldapp(tmp_path / "new", "init", **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fieldapp: ")
    assert sentence in done.stderr


def test_a_database_that_does_not_answer_is_one_sentence(tmp_path):
    done = fieldapp(tmp_path, "init", DATABASE_URL="postgres://erin@127.0.0.1:1/jobs")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fieldapp: the database does not answer or is busy: ")


@pytest.mark.parametrize("command", ["init", "upgrade", "serve"])
def test_the_database_of_a_newer_version_is_not_touched(tmp_path, command):
    assert fieldapp(tmp_path, "init").returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "fieldapp.sqlite")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    done = fieldapp(tmp_path, command)
    assert (done.returncode, done.stdout) == (2, "")
    assert "revision 9999 of a newer fieldapp" in told(done)
    assert count(tmp_path, "visit") == 0


# An installation


def count(folder, table):
    with contextlib.closing(sqlite3.connect(folder / "fieldapp.sqlite")) as database:
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608


def test_init_makes_tables_and_a_key_once(tmp_path):
    folder = tmp_path / "new"
    done = fieldapp(folder, "init")
    assert (done.returncode, done.stdout) == (0, f"ready: {folder}\n")
    key = folder / "keys" / "seal.key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "keys" / "root.key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "session.key").stat().st_mode) == 0o600
    assert count(folder, "visit") == 0
    before = {path.name: path.read_bytes() for path in (folder / "keys").iterdir()}
    assert fieldapp(folder, "init").returncode == 0
    assert {path.name: path.read_bytes() for path in (folder / "keys").iterdir()} == before


def subject_of(path):
    """What openssl reads as the name on a certificate."""
    done = subprocess.run(
        ["openssl", "x509", "-in", str(path), "-noout", "-subject"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.parametrize(
    "command",
    [
        ["init", "--organisation", "Brook Alarms"],
        ["user", "add", "erin", "--name", "Erin Ng", "--role", "engineer", "--password", "x",
         "--organisation", "Brook Alarms"],
    ],
    ids=["init", "user add"],
)  # fmt: skip
def test_the_first_organisation_stands_on_the_certificates(tmp_path, command):
    assert fieldapp(tmp_path, *command).returncode == 0
    assert subject_of(tmp_path / "keys" / "seal.crt.pem").endswith("CN = Brook Alarms")
    assert "CN = Brook Alarms Root 20" in subject_of(tmp_path / "keys" / "root.crt.pem")
    assert count(tmp_path, "organisation") == 1
    assert fieldapp(tmp_path, "init", "--organisation", "Else").returncode == 0
    assert count(tmp_path, "organisation") == 1


def test_a_key_is_renewed_under_its_root(tmp_path):
    assert fieldapp(tmp_path, "init").returncode == 0
    keys = tmp_path / "keys"
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    done = fieldapp(tmp_path, "key", "renew")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("papers are sealed as fieldapp until 20")
    assert "who trusts fieldapp Root 20" in done.stdout
    assert (keys / "root.crt.pem").read_bytes() == before["root.crt.pem"]
    assert (keys / "seal.crt.pem").read_bytes() != before["seal.crt.pem"]
    kept = [path.read_bytes() for path in keys.glob("until-*")]
    assert kept == [before["seal.crt.pem"]]
    (keys / "root.key.pem").unlink()
    done = fieldapp(tmp_path, "key", "renew")
    assert (done.returncode, done.stdout) == (2, "")
    assert "put it back, or make a new root with fieldapp key renew --new-root" in told(done)
    assert fieldapp(tmp_path, "key", "renew", "--new-root").returncode == 0


def test_a_bought_key_is_imported_with_its_passphrase(tmp_path):
    """The shop is openssl; the passphrase is read from the environment, or asked for."""
    assert fieldapp(tmp_path, "init").returncode == 0
    keys = tmp_path / "keys"
    file = tmp_path / "bought.p12"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "own.key",
         "-out", "own.crt", "-subj", "/CN=Brook GmbH", "-days", "90",
         "-addext", "keyUsage=critical,nonRepudiation"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(
        ["openssl", "pkcs12", "-export", "-inkey", "own.key", "-in", "own.crt",
         "-passout", "pass:correct horse", "-out", str(file)],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    for wrong in ({"FIELDAPP_KEY_PASSPHRASE": "wrong"}, {"FIELDAPP_KEY_PASSPHRASE": ""}):
        done = fieldapp(tmp_path, "key", "import", str(file), **wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert told(done) == "fieldapp: the passphrase is wrong, or the file is damaged"
    done = fieldapp(tmp_path, "key", "import", str(tmp_path / "own.crt"), **wrong)
    assert told(done).startswith("fieldapp: this is no PKCS#12 file")
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
    word = {"FIELDAPP_KEY_PASSPHRASE": "correct horse"}
    done = fieldapp(tmp_path, "key", "import", str(file), **word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("papers are sealed as Brook GmbH until 20")
    assert "horse" not in done.stdout
    assert subject_of(keys / "seal.crt.pem").endswith("CN = Brook GmbH")
    assert stat.S_IMODE((keys / "seal.key.pem").stat().st_mode) == 0o600
    assert (keys / "root.key.pem").read_bytes() == before["root.key.pem"]


PASSWORD = "correct horse"


def add(folder, account="erin", name="Erin Ng", role="engineer", password=PASSWORD, *more):
    return fieldapp(
        folder, "user", "add", account, "--name", name, "--role", role, "--password", password,
        *more,
    )  # fmt: skip


def test_phones_hear_of_a_restored_backup_by_a_new_epoch(installation):
    def epochs():
        with contextlib.closing(sqlite3.connect(installation / "fieldapp.sqlite")) as database:
            return [row[0] for row in database.execute("SELECT epoch FROM organisation")]

    before = epochs()
    done = fieldapp(installation, "restored")
    assert done.returncode == 0, done.stderr
    assert "phones will send again" in done.stdout
    assert len(epochs()) == len(before) == 1
    assert epochs() != before


def test_an_account_is_given_once(installation):
    before = count(installation, "person")
    assert add(installation).stdout == "Erin Ng may sign in as erin\n"
    again = add(installation, name="Another Erin")
    assert again.returncode == 1
    assert told(again) == "Error: the account erin exists already"
    assert count(installation, "person") == before + 1
    assert count(installation, "organisation") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "boss"},
        {"account": "e li"},
        {"account": ""},
        {"account": "e" * 61},
        {"name": " "},
        {"name": "E" * 101},
        {"password": ""},
        {"password": "x" * 201},
    ],
    ids=str,
)
def test_nobody_is_added_who_could_not_sign_in(installation, wrong):
    before = count(installation, "person")
    done = add(installation, **{"account": "eli"} | wrong)
    assert done.returncode in (1, 2)
    assert told(done).startswith("Error: ")
    assert count(installation, "person") == before


def test_somebody_without_a_role_is_not_added(installation):
    done = fieldapp(installation, "user", "add", "eli", "--name", "Eli", "--password", "x")
    assert done.returncode == 2
    assert "Missing option '--role'" in done.stderr


def test_the_first_person_of_another_organisation_brings_it_along(installation, tmp_path):
    folder = tmp_path / "two"
    shutil.copytree(installation, folder)
    done = add(folder, "olly", "Olly Out", "dispatcher", PASSWORD, "--organisation", "Else")
    assert done.returncode == 0
    assert count(folder, "organisation") == 2
    unsaid = add(folder, "eli")
    assert unsaid.returncode == 1
    assert "name one with --organisation" in told(unsaid)


def test_a_bad_import_stores_nothing(installation, tmp_path):
    before = count(installation, "part"), count(installation, "customer")
    (tmp_path / "customers.csv").write_text("code,name\nC1,Brook\n", "utf-8")
    (tmp_path / "parts.csv").write_text("code,name\nBAT-13,battery\nBAT-14,\n", "utf-8")
    done = fieldapp(installation, "import", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "parts.csv, line 3: name is empty.\n"
    assert (count(installation, "part"), count(installation, "customer")) == before


def test_an_import_needs_a_folder_an_organisation_and_somebody_of_the_desk(installation, tmp_path):
    assert fieldapp(installation, "import", str(tmp_path / "nowhere")).returncode == 2
    done = fieldapp(tmp_path / "new", "import", str(tmp_path))
    assert (done.returncode, "add a person first" in told(done)) == (1, True)
    assert add(tmp_path / "new").returncode == 0
    done = fieldapp(tmp_path / "new", "import", str(tmp_path))
    assert (done.returncode, "--author" in told(done)) == (1, True)
    done = fieldapp(installation, "import", str(tmp_path), "--author", "nobody")
    assert (done.returncode, "--author" in told(done)) == (1, True)


def test_the_demo_is_prepared_once(tmp_path):
    done = fieldapp(tmp_path, "demo", "--prepare-only", "--port", "8123")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "fieldapp: http://127.0.0.1:8123"
    assert [line.split()[:2] for line in lines[1:]] == [
        ["engineer", "liqiang"],
        ["engineer", "zhoukai"],
        ["dispatcher", "chen"],
        ["manager", "fang"],
        ["admin", "admin"],
    ]
    visits = count(tmp_path, "visit"), count(tmp_path, "journal"), count(tmp_path, "person")
    assert fieldapp(tmp_path, "demo", "--prepare-only", "--port", "8123").stdout == done.stdout
    assert (
        count(tmp_path, "visit"),
        count(tmp_path, "journal"),
        count(tmp_path, "person"),
    ) == visits


def test_the_demo_takes_nobodys_account(installation, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(installation, folder)
    assert add(folder, "admin", "Mine", "admin").returncode == 0
    done = fieldapp(folder, "demo", "--prepare-only")
    assert done.returncode == 1
    assert told(done) == "Error: the accounts of the demo belong to another organisation"


def test_the_doctor_ends_with_what_it_found(installation, tmp_path):
    done = fieldapp(installation, "doctor")
    assert done.returncode == 0, done.stdout
    assert all(line.startswith("ok   ") for line in done.stdout.splitlines())
    done = fieldapp(tmp_path / "new", "doctor")
    assert done.returncode == 1
    bad = [line for line in done.stdout.splitlines() if line.startswith("BAD  ")]
    assert len(bad) == 2
    assert all("run fieldapp init" in line for line in bad)
