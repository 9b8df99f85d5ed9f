"""The key that seals: made once, nobody else's to read, and what it sealed stays genuine."""

import stat
import threading
from datetime import UTC, datetime

from sqlalchemy import select

from fieldapp import reports
from fieldapp.models import Report, db
from sync import seal
from tests.fieldapp.reports.papers import outcome, papers
from tests.phones import signature


def test_the_key_is_made_once_and_for_nobody_else_to_read(app):
    with app.app_context():
        folder = reports._key_folder()
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        reports.prepare_key(datetime.now(UTC))
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert stat.S_IMODE((folder / "seal.key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_two_servers_that_start_at_once_make_one_key(app):
    with app.app_context():
        folder = reports._key_folder()
    for path in folder.glob("*.pem"):
        path.unlink()
    together = threading.Barrier(4, timeout=30)
    failed = []

    def start():
        with app.app_context():
            try:
                together.wait()
                reports.prepare_key(datetime.now(UTC))
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    key = (folder / "seal.key.pem").read_bytes()
    assert seal.load_key(key, (folder / "seal.crt.pem").read_bytes())


def test_a_key_that_was_half_made_is_made_again(app):
    with app.app_context():
        folder = reports._key_folder()
        (folder / "seal.crt.pem").unlink()
        reports.prepare_key(datetime.now(UTC))
    key = (folder / "seal.key.pem").read_bytes()
    assert seal.load_key(key, (folder / "seal.crt.pem").read_bytes())


def test_a_paper_of_a_replaced_key_stays_genuine(app, signed, visit_of, erin, erin_phone, work):
    with app.app_context():
        folder = reports._key_folder()
        (folder / "seal.key.pem").unlink()
        reports.prepare_key(datetime.now(UTC))
    newer = visit_of(erin, "PG-2")
    erin_phone.push(signature(erin_phone, newer))
    work()
    for visit_id in (signed, newer):
        pdf = papers(app, visit_id)[0][1]
        assert outcome(app, pdf) == "genuine"
        with app.app_context():
            for row in db.session.scalars(select(Report)):
                if row.visit_id == visit_id:
                    db.session.delete(row)  # as after a restored backup: the seal alone speaks
            db.session.commit()
        assert outcome(app, pdf) == "genuine"
