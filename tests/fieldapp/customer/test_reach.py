"""A link opens one work order, for a time, and to nobody who only guesses."""

import io
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from fieldapp.models import Organisation, Report, db
from fieldapp.policies import load_policy
from tests import cast
from tests.fieldapp.customer.links import (
    OLD_ENOUGH,
    UNKNOWN,
    page,
    say,
    seal_of,
    words_of,
)
from tests.phones import PAGE, at_desk, flags_of, state_of

# Whose work order it is


def test_a_token_opens_its_own_work_order_only(
    app, anybody, token, visit, visit_of, erin, erin_phone, work
):
    other = visit_of(erin, "PG-2")
    erin_phone.push(erin_phone.note(other, "the other cellar"))
    theirs = seal_of(app, other, erin_phone, work)
    erin_phone.push(erin_phone.note(other, "the other siren"))
    work()
    assert "the other cellar" in page(anybody, f"/verify/{theirs}/2")
    page(anybody, f"/verify/{token}/2", 404)
    assert anybody.get(f"/verify/{token}/2/dispatch-order.pdf").status_code == 404
    assert "the other" not in page(anybody, f"/verify/{token}")
    say(anybody, token, "ratings", stars="2", visit=other, visit_id=other, work_order="PG-2")
    assert len(words_of(app, visit, "rating")) == 1
    assert words_of(app, other, "rating") == []


def test_the_id_of_another_operation_changes_nothing_there(
    app, anybody, token, visit, visit_of, erin, erin_phone
):
    other = visit_of(erin, "PG-2")
    note = erin_phone.note(other, "the other cellar")
    erin_phone.push(note)
    before = state_of(app, other)
    say(anybody, token, "questions", id=note["id"], text="whose is this?")
    assert state_of(app, other) == before
    assert "operation.same-id" not in flags_of(app, visit)


def test_another_organisation_has_its_own(app, anybody, token, visit, olly, phone_of, work):
    with app.app_context():
        theirs = cast.make_place(db.session.get_one(Organisation, olly.org_id), "X9")
        other = str(cast.make_visit(theirs, "PG-9").id)
        db.session.commit()
    at_desk(app, olly, other, ("assignment", {"engineer": olly.id}))
    phone = phone_of(olly)
    phone.push(phone.note(other, "their secret cellar"))
    link = seal_of(app, other, phone, work)
    assert "Elsewhere" in page(anybody, f"/verify/{link}")
    assert "Brook Alarms" not in page(anybody, f"/verify/{link}")
    assert "secret" not in page(anybody, f"/verify/{token}")
    say(anybody, link, "ratings", stars="5")
    assert words_of(app, visit, "rating") == []
    assert len(words_of(app, other, "rating")) == 1


# How long


def age(app, days):
    """The engineer left and the papers were sealed ``days`` ago."""
    with app.app_context():
        sealed_at = datetime.now(UTC) - days
        db.session.execute(update(Report).values(sealed_at=sealed_at))
        db.session.commit()


def test_after_its_time_the_page_is_closed_and_says_whom_to_call(app, anybody, token, visit):
    pdf = anybody.get(f"/verify/{token}/1/dispatch-order.pdf").data
    age(app, timedelta(days=729))
    assert "mains board" in page(anybody, f"/verify/{token}")
    age(app, OLD_ENOUGH)
    for path in ("", "/1", "/1/dispatch-order.pdf"):
        text = page(anybody, f"/verify/{token}{path}", 410)
        assert "please call Brook Alarms, 021-5550-0100" in text
        assert "mains board" not in text
    for noun in ("ratings", "questions"):
        say(anybody, token, noun, 410, stars="5", text="still there?")
    assert words_of(app, visit, "rating") == words_of(app, visit, "question") == []
    checked = anybody.post("/verify", data={"file": (io.BytesIO(pdf), "a.pdf")}, headers=PAGE)
    assert 'data-outcome="genuine"' in checked.text


def test_the_time_counts_from_the_leaving_when_that_is_later(
    app, anybody, token, visit, erin_phone
):
    erin_phone.push(erin_phone.operation("leaving", visit, {}))
    age(app, OLD_ENOUGH)
    page(anybody, f"/verify/{token}")


def test_the_policy_says_for_how_long(app):
    assert load_policy("alarm").data["customer"] == {
        "page_days": 730,
        "sign_days": 14,
        "sends_copies": True,
    }


# Strangers


def test_an_address_asks_only_so_often(app, anybody, token):
    app.config["VERIFY_PER_MINUTE"] = 3
    for _ in range(3):
        page(anybody, f"/verify/{token}")
        say(anybody, token, "ratings", stars="3")
    assert "Too many attempts" in page(anybody, f"/verify/{token}", 429)
    say(anybody, token, "ratings", 429, stars="3")
    other = app.test_client()
    other.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    page(other, f"/verify/{token}")


def test_the_link_goes_nowhere_else(anybody, token):
    for path in (
        f"/verify/{token}",
        f"/verify/{UNKNOWN}",
        f"/verify/{token}/1/dispatch-order.pdf",
        "/verify",
    ):
        headers = anybody.get(path).headers
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Robots-Tag"] == "noindex, nofollow"
        assert headers["Cache-Control"] == "no-store"
        assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert anybody.get("/sign-in").headers["Referrer-Policy"] == "same-origin"


def test_a_form_on_another_site_is_refused(app, anybody, token, visit):
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
    say(anybody, token, "ratings", 403, headers=elsewhere, stars="1")
    say(anybody, token, "ratings", 403, headers={"Origin": "https://elsewhere.example"}, stars="1")
    assert words_of(app, visit, "rating") == []
    # a browser that says no more sends no origin either from a page without referrer
    say(anybody, token, "ratings", headers={"Origin": "null"}, stars="1")
    assert len(words_of(app, visit, "rating")) == 1


def test_no_other_page_takes_a_form_without_an_origin(client_of, dana, visit):
    answer = client_of(dana).post(
        f"/desk/visits/{visit}/remarks", data={"text": "x"}, headers={"Origin": "null"}
    )
    assert answer.status_code == 403
    assert cast.CAST["dana"][0] not in answer.text
