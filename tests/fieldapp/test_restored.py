"""After a backup was restored: what the server forgot comes again, and means the same."""

from sqlalchemy import delete

from fieldapp.models import Visit, db
from fieldapp.perform import received_of
from sync import merge
from sync.tables import context_block, journal
from tests.phones import flags_of, signature, state_of


def forget(app, *statements):
    with app.app_context():
        for statement in statements:
            db.session.execute(statement)
        db.session.commit()


def verdicts(app, visit):
    return [entry["verdict"] for entry in state_of(app, visit)["signatures"]]


def test_a_signature_on_a_block_served_again_is_verified_again(app, visit, erin_phone):
    signed = signature(erin_phone, visit)
    forget(app, delete(context_block))
    erin_phone.receipts(signed)
    assert (verdicts(app, visit), flags_of(app, visit)) == (["mismatch"], ["signature.mismatch"])
    erin_phone.cursor = ""
    erin_phone.pull()
    assert (verdicts(app, visit), flags_of(app, visit)) == (["verified"], [])


def test_a_signature_on_a_block_that_was_never_served_stays_doubted(app, visit, erin_phone):
    signed = signature(erin_phone, visit)
    signed["value"]["context_sha256"] = "0" * 64
    signed["value"]["snapshot"] = signed["value"]["snapshot"].replace("PG-1", "PG-7")
    erin_phone.receipts(signed)
    forget(app, delete(context_block))
    erin_phone.cursor = ""
    erin_phone.pull()
    assert verdicts(app, visit) == ["mismatch"]


def test_operations_sent_again_are_the_same_visit(app, visit, erin, erin_phone):
    bodies = [erin_phone.note(visit, text) for text in ("one", "two")]
    erin_phone.receipts(*bodies)
    before = state_of(app, visit)
    forget(app, delete(journal).where(journal.c.author_id == erin.id))
    erin_phone.receipts(*bodies)
    with app.app_context():
        row = db.session.get_one(Visit, visit)
        again = merge.fold(received_of(row), visit)
        assert [entry["id"] for entry in again["entries"]] == [
            entry["id"] for entry in before["entries"]
        ]
        assert row.state["entries"] == again["entries"]
