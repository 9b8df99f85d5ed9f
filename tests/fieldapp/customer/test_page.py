"""Whoever holds the link of a work order reads what was done and takes the papers along."""

import pytest
from sqlalchemy import select, update

from fieldapp import customer, sealed
from fieldapp.models import Report, WorkOrder, db
from sync.verdict import digest_of
from tests.fieldapp.customer.links import ON_ITS_WAY, UNKNOWN, page, say, seal_of
from tests.phones import signature

# Before the first sync


def test_before_the_first_sync_it_is_on_its_way(app, anybody, visit, erin_phone, work):
    body = signature(erin_phone, visit)
    token = body["value"]["token"]
    assert ON_ITS_WAY in page(anybody, f"/verify/{token}", 404)
    erin_phone.push(body)
    assert ON_ITS_WAY in page(anybody, f"/verify/{token}", 404)  # here, but not sealed yet
    work()
    assert ON_ITS_WAY not in page(anybody, f"/verify/{token}")


def test_a_guessed_code_is_told_no_more_than_a_new_one(app, anybody, token):
    other = UNKNOWN.replace("0", "f")
    told = {page(anybody, f"/verify/{code}", 404).replace(code, "") for code in (UNKNOWN, other)}
    assert len(told) == 1
    for noun in ("ratings", "questions"):
        assert ON_ITS_WAY in say(anybody, UNKNOWN, noun, 404, stars="5", text="x")
    assert ON_ITS_WAY in page(anybody, f"/verify/{UNKNOWN}/1/dispatch-order.pdf", 404)


@pytest.mark.parametrize(
    "code", ["nonsense", "'; drop table report", UNKNOWN.upper(), UNKNOWN[1:], "%00", "0" * 4000]
)
def test_what_is_no_code_of_ours_is_not_ours(anybody, token, code):
    text = page(anybody, f"/verify/{code}", 404)
    assert "There is no work order with this code here." in text
    assert ON_ITS_WAY not in text


# What was done


def test_the_page_says_what_the_paper_says(anybody, token):
    text = page(anybody, f"/verify/{token}")
    for told in ("PG-1", "Brook Alarms", "Customer C1", "Main hall", "Erin Ng", "Customer present",
                 "dead since 08:40", "mains board burnt", "mains board replaced", "Mains board",
                 "MB-1", "MB-2", "To the factory for repair", "SP-7", "no power", "Loaner in use",
                 "bring the host back on Friday", "Cleo Ash"):  # fmt: skip
        assert told in text, told


def test_the_page_speaks_the_visitors_language(app, anybody, token):
    chinese = app.test_client()
    text = page(chinese, f"/verify/{token}")
    for told in ("客户在场", "备品在用", "您对本次服务满意吗", "此工单已登记"):
        assert told in text, told
    assert "What was done" not in text
    assert "客户" not in page(anybody, f"/verify/{token}")
    assert "正在送达" in page(chinese, f"/verify/{UNKNOWN}", 404)


def test_the_page_tells_nothing_that_is_not_on_the_paper_or_not_needed(
    app, anybody, token, visit, erin, dana
):
    say(anybody, token, "questions", text="who pays for it?", reach="139-9999-0000")
    say(anybody, token, "ratings", stars="2", opinion="they shouted at me")
    for path in (f"/verify/{token}", f"/verify/{token}/1", "/verify"):
        text = page(anybody, path)
        for secret in ("138-0000-0001", "they pay late", "4711", "Quay Road", "Dana", erin.id,
                       dana.id, visit, "121470000", "121.47", "who pays", "139-9999",
                       "shouted", "multimeter"):  # fmt: skip
            assert secret not in text, secret


def test_what_came_after_the_signature_is_said_to_have_come_then(
    anybody, token, visit, erin_phone, work
):
    assert "Added after the signature" not in page(anybody, f"/verify/{token}")
    erin_phone.push(erin_phone.note(visit, "the siren is loose"))
    assert "the siren is loose" not in page(anybody, f"/verify/{token}")  # not sealed yet
    work()
    text = page(anybody, f"/verify/{token}")
    assert "the siren is loose" in text[text.index("Added after the signature") :]


def test_hostile_text_stays_text(app, anybody, visit, erin_phone, work):
    hostile = "<script>alert(1)</script><img src=x>"
    erin_phone.push(
        erin_phone.operation("measure", visit, {
            "text": hostile, "completed_at": "2026-03-10T03:00:00Z"}),
        erin_phone.note(visit, hostile),
    )  # fmt: skip
    token = seal_of(app, visit, erin_phone, work)
    erin_phone.push(erin_phone.note(visit, hostile))
    work()
    text = page(anybody, f"/verify/{token}")
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3
    assert "<script>alert" not in text
    assert "<img" not in text
    back = say(anybody, token, "questions", 422, reach=hostile)
    assert "&lt;script&gt;alert(1)" in back
    assert "<script>alert" not in back


def test_a_refusal_has_its_page_too(app, anybody, visit, erin_phone, work):
    erin_phone.push(
        erin_phone.operation("arrival", visit, {"outcome": "present"}),
        erin_phone.operation("refusal", visit, {"reason": "refuses"}),
        erin_phone.operation("leaving", visit, {}),
    )
    work()
    with app.app_context():
        token = db.session.scalar(select(Report.token))
    text = page(anybody, f"/verify/{token}")
    assert "Refuses to sign" in text
    assert "Not signed." in text


def test_a_paper_of_the_first_release_is_read_too(app, token, monkeypatch):
    """It named its only signature otherwise."""
    with app.app_context():
        found = customer.delivered(token)
        said = dict(sealed.said_in(found.newest))
        (said["signature"],) = said.pop("signatures")
        monkeypatch.setattr(customer, "said_in", lambda _: said)
        assert [one["name"] for one in found.view().signatures] == ["Cleo Ash"]
        said["signature"] = None
        assert found.view().signatures == []


def test_a_lost_file_takes_only_the_facts_away(app, anybody, token):
    for path in app.config["INSTANCE"].rglob("1*.pdf"):
        path.write_bytes(path.read_bytes() + b"\n")
    text = page(anybody, f"/verify/{token}")
    assert "What was done cannot be shown at the moment." in text
    assert "mains board" not in text
    assert "This work order is registered" in text


# The papers


def test_every_revision_can_be_taken_along(app, anybody, token, visit, erin_phone, work):
    erin_phone.push(erin_phone.note(visit, "the siren is loose"))
    work()
    with app.app_context():
        rows = db.session.scalars(select(Report).order_by(Report.revision, Report.id)).all()
        papers = [(row.revision, row.name, row.sha256) for row in rows]
    assert {revision for revision, _, _ in papers} == {1, 2}
    text = page(anybody, f"/verify/{token}")
    for revision, name, sha256 in papers:
        path = f"/verify/{token}/{revision}/{name}.pdf"
        assert f'href="{path}"' in text
        assert sha256 in text
        answer = anybody.get(path)
        assert digest_of(answer.data) == sha256
        assert answer.mimetype == "application/pdf"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (
            answer.headers["Content-Disposition"]
            == f"attachment; filename=PG-1-{revision}-{name}.pdf"
        )


def test_a_name_that_a_system_cannot_take_is_made_one(app, anybody, token):
    with app.app_context():
        db.session.execute(update(WorkOrder).values(number='../PG "1"\t测/试;x'))
        db.session.commit()
    header = anybody.get(f"/verify/{token}/1/dispatch-order.pdf").headers["Content-Disposition"]
    assert header == "attachment; filename=PG-1-x-1-dispatch-order.pdf"


def test_the_newest_revision_is_registered_and_an_earlier_one_superseded(
    anybody, token, visit, erin_phone, work
):
    assert "There is a newer revision" not in page(anybody, f"/verify/{token}/1")
    erin_phone.push(erin_phone.note(visit, "the siren is loose"))
    work()
    assert "There is a newer revision: 2." in page(anybody, f"/verify/{token}/1")
    assert "There is a newer revision" not in page(anybody, f"/verify/{token}/2")
    assert "This work order is registered" in page(anybody, f"/verify/{token}")


@pytest.mark.parametrize(
    "end", ["3", "0", "99999999999999999999", "1/nothing.pdf", "2/dispatch-order.pdf"]
)
def test_a_revision_that_never_was_is_not_ours(anybody, token, end):
    text = page(anybody, f"/verify/{token}/{end}", 404)
    assert "Not ours" in text
    assert "registered" not in text


def test_the_file_check_is_on_the_page(anybody, token):
    text = page(anybody, f"/verify/{token}")
    assert 'action="/verify" enctype="multipart/form-data"' in text
