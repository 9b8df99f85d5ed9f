"""The key that seals: made once, nobody else's to read, and what it sealed stays genuine."""

import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from sqlalchemy import delete, select

from fieldapp import keys
from fieldapp.cli import main
from fieldapp.models import Organisation, Report, db
from sync import seal_key
from sync.problems import Problem
from sync.seal_check import inspect
from sync.seal_key import WrongKey
from tests.fieldapp.reports.papers import outcome, papers
from tests.phones import signature

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)


@pytest.fixture
def folder(app):
    return app.config["INSTANCE"] / "keys"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def sealing(folder, name="seal"):
    """The key of that name, which belongs to its certificate."""
    private, certificate = folder / f"{name}.key.pem", folder / f"{name}.crt.pem"
    return seal_key.load_key(private.read_bytes(), certificate.read_bytes())


def self_made(folder):
    """What an installation has from before there were roots."""
    for path in folder.iterdir():
        path.unlink()
    key = seal_key.make_key("Brook Alarms", from_at=NOW, years=10)
    (folder / "seal.key.pem").write_bytes(key.private_pem())
    (folder / "seal.crt.pem").write_bytes(key.certificate_pem())
    return key


# made


def test_the_keys_are_made_once_and_for_nobody_else_to_read(app, folder):
    before = contents(folder)
    with app.app_context():
        keys.prepare_key(datetime.now(UTC))
    assert contents(folder) == before
    for name in ("seal", "root"):
        assert stat.S_IMODE((folder / f"{name}.key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_root_issued_the_key_and_stands_in_its_chain(folder):
    root, key = sealing(folder, "root"), sealing(folder)
    key.certificate.verify_directly_issued_by(root.certificate)
    assert key.chain == (root.certificate,)
    assert key.certificate.not_valid_after_utc < root.certificate.not_valid_after_utc


def test_certificates_carry_the_name_of_the_organisation(app, folder, organisation):
    assert seal_key.name_of(sealing(folder).certificate) == "fieldapp"  # made before it was
    with app.app_context():
        name = db.session.get_one(Organisation, organisation).name
        keys.renew_key(NOW, with_new_root=True)
        for path in folder.glob("*.pem"):
            path.unlink()
        keys.prepare_key(NOW, "another name")
    assert seal_key.name_of(sealing(folder).certificate) == name
    assert seal_key.name_of(sealing(folder, "root").certificate) == f"{name} Root 2026"


def test_two_servers_that_start_at_once_make_one_key(app, folder):
    for path in folder.glob("*.pem"):
        path.unlink()
    together = threading.Barrier(4, timeout=30)
    failed = []

    def start():
        with app.app_context():
            try:
                together.wait()
                keys.prepare_key(datetime.now(UTC))
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sealing(folder).top == sealing(folder, "root").certificate
    assert sorted(path.name for path in folder.glob("*.pem")) == [
        "root.crt.pem", "root.key.pem", "seal.crt.pem", "seal.key.pem",
    ]  # fmt: skip


@pytest.mark.parametrize("lost", ["seal.crt.pem", "seal.key.pem"])
def test_a_key_that_was_half_made_is_made_again(app, folder, lost):
    root = sealing(folder, "root")
    (folder / lost).unlink()
    with app.app_context():
        keys.prepare_key(datetime.now(UTC))
    assert sealing(folder).top == root.certificate


def test_without_the_roots_key_nothing_is_issued(app, folder):
    """It may be kept elsewhere; then nobody makes another root in its place by himself."""
    (folder / "root.key.pem").rename(folder.parent / "kept elsewhere")
    before = contents(folder)
    with app.app_context():
        keys.prepare_key(NOW)  # the sealing key is here, so nothing is missing
        with pytest.raises(WrongKey, match=r"the root's key is not at .*: put it back"):
            keys.renew_key(NOW)
        assert contents(folder) == before
        (folder / "seal.key.pem").unlink()
        with pytest.raises(WrongKey, match="--new-root"):
            keys.prepare_key(NOW)
        (folder.parent / "kept elsewhere").rename(folder / "root.key.pem")
        keys.prepare_key(NOW)
    assert sealing(folder).top == sealing(folder, "root").certificate


@pytest.mark.parametrize("step", ["crt written", "both written", "crt in place"])
def test_a_crash_in_the_middle_leaves_a_key_with_its_own_certificate(app, folder, step):
    old, new = sealing(folder), seal_key.make_key("New", from_at=NOW)
    (folder / "next-seal.crt.pem").write_bytes(new.certificate_pem())
    if step != "crt written":
        (folder / "next-seal.key.pem").write_bytes(new.private_pem())
    if step == "crt in place":
        (folder / "next-seal.crt.pem").rename(folder / "seal.crt.pem")
    with app.app_context():
        private, certificate = keys.sealing_pem()
    found = seal_key.load_key(private, certificate)
    assert found.certificate == (new if step == "crt in place" else old).certificate
    assert not list(folder.glob("next-*"))


def test_a_missing_key_is_named(app, folder):
    (folder / "seal.key.pem").unlink()
    with app.app_context(), pytest.raises(Problem) as refused:
        keys.sealing_pem()
    assert refused.value.code == "seal.key-unreadable"


# renewed


def test_a_new_key_comes_from_the_same_root(app, folder):
    root, old = sealing(folder, "root"), sealing(folder)
    with app.app_context():
        new = keys.renew_key(datetime.now(UTC))
        ours = keys.certificates()
    assert sealing(folder).certificate == new.certificate
    assert new.private.public_key() != old.private.public_key()
    assert new.top == root.certificate
    assert sealing(folder, "root").certificate == root.certificate
    assert set(ours) == {old.certificate, new.certificate}
    assert stat.S_IMODE((folder / "seal.key.pem").stat().st_mode) == 0o600


def test_every_certificate_is_kept_however_fast_they_change(app, folder):
    made = [sealing(folder).certificate]
    with app.app_context():
        made += [keys.renew_key(NOW).certificate for _ in range(3)]
        assert set(keys.certificates()) == set(made)
    assert len(set(made)) == 4


def test_a_new_root_is_made_when_asked_for(app, folder):
    old = sealing(folder, "root")
    (folder / "root.key.pem").unlink()
    with app.app_context():
        new = keys.renew_key(datetime.now(UTC), with_new_root=True)
        assert keys.sealing_chain() == [new.certificate, sealing(folder, "root").certificate]
    assert new.top != old.certificate
    assert old.certificate_pem() in [path.read_bytes() for path in folder.glob("root-until-*")]


def test_the_command_that_is_recommended_helps(app, folder):
    """Root and key were lost: nothing starts until somebody says what shall be."""
    ours = sealing(folder).certificate
    for name in ("seal.key.pem", "root.key.pem"):
        (folder / name).unlink()
    runner = app.test_cli_runner()
    assert isinstance(runner.invoke(main, ["init"]).exception, WrongKey)
    assert isinstance(runner.invoke(main, ["key", "renew"]).exception, WrongKey)
    assert runner.invoke(main, ["key", "renew", "--new-root"]).exit_code == 0
    assert runner.invoke(main, ["init"]).exit_code == 0
    assert sealing(folder).top == sealing(folder, "root").certificate
    with app.app_context():
        assert ours in keys.certificates()


@pytest.mark.parametrize("name", ["", " ", None])
def test_nobodys_name_is_no_reason_to_have_no_key(app, folder, name):
    for path in folder.glob("*.pem"):
        path.unlink()
    with app.app_context():
        keys.prepare_key(NOW, name)
    assert seal_key.name_of(sealing(folder).certificate) == keys.NOBODY


def test_a_root_that_ended_issues_nothing(app, folder):
    ends_at = sealing(folder, "root").certificate.not_valid_after_utc
    before = contents(folder)
    with app.app_context():
        with pytest.raises(WrongKey, match=r"the root ended on .*: run fieldapp key renew --new-"):
            keys.renew_key(ends_at + timedelta(days=1))
        assert contents(folder) == before
        late = keys.renew_key(ends_at - timedelta(days=1))
        assert late.certificate.not_valid_after_utc == ends_at


def test_a_damaged_root_issues_nothing(app, folder):
    (folder / "root.key.pem").write_bytes(b"no key")
    before = contents(folder)
    with app.app_context(), pytest.raises(WrongKey, match=r"the root at .* cannot be read"):
        keys.renew_key(NOW)
    assert contents(folder) == before


def test_an_installation_from_before_goes_on_and_gets_its_root_when_it_renews(app, folder):
    old = self_made(folder)
    with app.app_context():
        keys.prepare_key(datetime.now(UTC))
        assert sealing(folder).certificate == old.certificate
        assert keys.sealing_chain() == [old.certificate]
        new = keys.renew_key(datetime.now(UTC))
        assert set(keys.certificates()) == {old.certificate, new.certificate}
    assert new.top == sealing(folder, "root").certificate


def test_an_unreadable_certificate_takes_no_other_along(app, folder):
    with app.app_context():
        keys.renew_key(NOW)
        ours = keys.certificates()
        (folder / "until-20200101T000000.crt.pem").write_bytes(b"no certificate")
        assert keys.certificates() == ours


# what it sealed


@pytest.mark.parametrize("how", ["renewed", "new root", "lost", "from before"])
def test_a_paper_of_a_replaced_key_stays_genuine(
    app, folder, how, visit_of, erin, erin_phone, work
):
    if how == "from before":
        self_made(folder)
    older = visit_of(erin, "PG-1")
    erin_phone.push(signature(erin_phone, older))
    work()
    with app.app_context():
        if how == "lost":
            (folder / "seal.key.pem").unlink()
            keys.prepare_key(datetime.now(UTC))
        else:
            keys.renew_key(datetime.now(UTC), with_new_root=how == "new root")
    newer = visit_of(erin, "PG-2")
    erin_phone.push(signature(erin_phone, newer))
    work()
    sealed = [papers(app, visit_id)[0][1] for visit_id in (older, newer)]
    assert [outcome(app, pdf) for pdf in sealed] == ["genuine", "genuine"]
    with app.app_context():
        assert inspect(sealed[0], keys.certificates()[:0]).reason == "other-certificate"
        db.session.execute(delete(Report))
        db.session.commit()  # as after a restored backup: the seal alone speaks
    assert [outcome(app, pdf) for pdf in sealed] == ["unproven", "unproven"]


def test_the_chain_lies_in_the_paper(app, folder, signed):
    root = sealing(folder, "root").certificate
    pdf = papers(app, signed)[0][1]
    assert seal_key.der_of(root).hex().encode() in pdf.lower()


# bought


def bought(**wish):
    """A PKCS#12 file with an authority above the key, and the authority's certificate."""
    authority = seal_key.make_root("Authority", from_at=NOW)
    key = seal_key.make_key("Brook Alarms GmbH", **({"from_at": NOW, "root": authority} | wish))
    data = pkcs12.serialize_key_and_certificates(
        b"seal", key.private, key.certificate, [authority.certificate],
        serialization.BestAvailableEncryption(b"horse"),
    )  # fmt: skip
    return data, authority.certificate


def test_a_bought_key_seals_with_its_chain_and_the_old_certificate_stays(
    app, folder, signed, visit_of, erin, erin_phone, work
):
    old, root = sealing(folder), sealing(folder, "root")
    data, authority = bought(algorithm="rsa")
    with app.app_context():
        key = keys.import_key(data, b"horse", NOW)
        assert keys.sealing_chain() == [key.certificate, authority]
        assert set(keys.certificates()) == {old.certificate, key.certificate}
    assert stat.S_IMODE((folder / "seal.key.pem").stat().st_mode) == 0o600
    assert sealing(folder, "root").certificate == root.certificate
    newer = visit_of(erin, "PG-2")
    erin_phone.push(signature(erin_phone, newer))
    work()
    assert outcome(app, papers(app, signed)[0][1]) == "genuine"
    pdf = papers(app, newer)[0][1]
    assert outcome(app, pdf) == "genuine"
    assert seal_key.der_of(authority).hex().encode() in pdf.lower()
    with app.app_context():
        assert keys.renew_key(NOW).top == root.certificate


@pytest.mark.parametrize(
    ("data", "word", "at"),
    [
        (bought()[0], b"wrong", NOW),
        (b"no file", b"horse", NOW),
        (bought()[0], b"horse", NOW + timedelta(days=4000)),
    ],
    ids=["passphrase", "file", "ended"],
)
def test_a_bought_key_that_cannot_seal_changes_nothing(app, folder, data, word, at):
    before = contents(folder)
    with app.app_context(), pytest.raises(WrongKey):
        keys.import_key(data, word, at)
    assert contents(folder) == before


def test_the_passphrase_is_asked_for_and_not_shown(app, tmp_path, monkeypatch):
    monkeypatch.delenv("FIELDAPP_KEY_PASSPHRASE", raising=False)
    file = tmp_path / "bought.p12"
    file.write_bytes(bought(from_at=datetime.now(UTC))[0])
    runner = app.test_cli_runner()
    done = runner.invoke(main, ["key", "import", str(file)], input="wrong\n")
    assert isinstance(done.exception, WrongKey)
    done = runner.invoke(main, ["key", "import", str(file)], input="horse\n")
    assert done.exit_code == 0
    assert "papers are sealed as Brook Alarms GmbH until" in done.output
    assert "horse" not in done.output


def test_nothing_is_registered_for_a_certificate_that_was_never_used(app, signed):
    """Renewing seals nothing anew."""
    with app.app_context():
        before = db.session.scalars(select(Report.sha256)).all()
        keys.renew_key(NOW)
        assert db.session.scalars(select(Report.sha256)).all() == before
