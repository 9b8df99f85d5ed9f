"""Whoever holds the link of a work order reads what was done, rates it and asks; nobody else does."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from fieldapp import customer, jobs, keys, sealed
from fieldapp.ids import mint_id
from fieldapp.intake import CUSTOMER
from fieldapp.models import Organisation, Report, Visit, WorkOrder, db
from fieldapp.perform import journal_of, unit
from fieldapp.policies import load_policy
from sync.verdict import digest_of
from tests import cast
from tests.phones import PAGE, at_desk, flags_of, loaner, signature, state_of

pytestmark = pytest.mark.usefixtures("fresh_limits")

UNKNOWN = "0123456789abcdef" * 2
ON_ITS_WAY = "It appears as soon as the engineer"
OLD_ENOUGH = timedelta(days=731)


@pytest.fixture
def app(app, render_pool):
    app.config["PHOTO_PATIENCE_SECONDS"] = 0
    app.extensions["render_pool"] = render_pool
    with app.app_context():
        keys.prepare_key(datetime.now(UTC))
    return app


@pytest.fixture
def work(app):
    """``work()`` does every waiting job."""

    def do():
        with app.app_context():
            return jobs.perform_waiting()

    return do


def work_on(phone, visit):
    """What Erin does at Cleo's before anybody signs."""
    phone.push(
        phone.operation("arrival", visit, {"outcome": "present", "position": {
            "latitude": 31_230_000, "longitude": 121_470_000, "accuracy": 8}}),
        phone.operation("diagnosis", visit, {
            "diagnosis/text": "mains board burnt", "diagnosis/cause": "product",
            "diagnosis/repair": "factory"}),
        phone.operation("measure", visit, {
            "text": "mains board replaced", "completed_at": "2026-03-10T03:00:00Z"}),
        phone.operation("swap", visit, {
            "part_name": "Mains board", "removed_serial": "MB-1", "installed_serial": "MB-2",
            "fate": "factory"}),
        loaner(phone, visit, "SP-7"),
        phone.operation("proposal", visit, {"text": "the gate code is 4711"}),
        phone.operation("outcome", visit, {
            "outcome/result": "loaner-in-use", "outcome/next_text": "bring the host back on Friday"}),
    )  # fmt: skip


def seal_of(app, visit, phone, work):
    """The token under which the visit's papers are sealed once Cleo has signed."""
    body = signature(phone, visit)
    phone.push(body)
    work()
    return body["value"]["token"]


@pytest.fixture
def token(app, visit, dana, erin_phone, work):
    """The token of a visit at Cleo's on which something was done and which Cleo signed."""
    at_desk(app, dana, visit, ("remark", {"text": "they pay late"}))
    work_on(erin_phone, visit)
    return seal_of(app, visit, erin_phone, work)


def page(client, path, status=200):
    response = client.get(path)
    assert response.status_code == status, response.text
    return " ".join(response.text.split())


def say(client, token, noun, status=303, headers=PAGE, **form):
    """What the page answers to a form; the id is a new one unless given."""
    given = {"id": mint_id(datetime.now(UTC))} | form
    response = client.post(f"/verify/{token}/{noun}", data=given, headers=dict(headers))
    assert response.status_code == status, response.text
    return " ".join(response.text.split())


def words_of(app, visit, kind):
    """What the customer said on the visit, as the journal has it."""
    return [entry["value"] for entry in state_of(app, visit)["entries"] if entry["kind"] == kind]


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


# A word back


def test_a_rating_is_an_operation_of_nobody_who_signs_in(
    app, anybody, token, visit, dana, client_of
):
    say(anybody, token, "ratings", stars="4", opinion="quick and friendly")
    with app.app_context():
        row = journal_of(db.session.get_one(Visit, visit))[-1]
        assert (row.kind, row.author_id, row.device_id, row.outcome) == (
            "rating", "customer", "server", "merged",
        )  # fmt: skip
    assert words_of(app, visit, "rating") == [{"stars": "4", "opinion": "quick and friendly"}]
    assert flags_of(app, visit) == []
    text = page(client_of(dana), f"/desk/visits/{visit}")
    assert "4 – satisfied" in text
    assert "quick and friendly" in text
    assert "Customer · " in text
    assert "Your last rating: 4 – satisfied" in page(anybody, f"/verify/{token}")


def test_of_several_ratings_the_newest_counts_and_all_stay(
    app, anybody, token, visit, dana, client_of
):
    say(anybody, token, "ratings", stars="1")
    say(anybody, token, "ratings", stars="5")
    assert [value["stars"] for value in words_of(app, visit, "rating")] == ["1", "5"]
    text = page(client_of(dana), f"/desk/visits/{visit}")
    assert text.index("<strong>5 – very satisfied") < text.index("before: 1 – very dissatisfied")


@pytest.mark.parametrize("noun", ["ratings", "questions"])
def test_a_form_posted_twice_counts_once(app, anybody, token, visit, noun):
    form = {"id": mint_id(datetime.now(UTC)), "stars": "3", "text": "when?"}
    for _ in range(3):
        say(anybody, token, noun, **form)
    assert len(words_of(app, visit, noun.removesuffix("s"))) == 1
    assert "operation.same-id" not in flags_of(app, visit)


def test_a_form_without_an_id_of_ours_counts_all_the_same(app, anybody, token, visit):
    say(anybody, token, "ratings", id="'; drop table journal", stars="3")
    assert len(words_of(app, visit, "rating")) == 1


@pytest.mark.parametrize("stars", ["", "0", "6", "five", "1' or '1"])
def test_a_rating_is_one_to_five(app, anybody, token, visit, stars):
    text = say(anybody, token, "ratings", 422, stars=stars, opinion="so so")
    assert "Please complete the marked fields." in text
    assert "so so</textarea>" in text
    assert words_of(app, visit, "rating") == []


def test_what_is_wrong_is_said_in_the_language_of_each_who_asks(app, anybody, token):
    for client, sentence in (
        (anybody, "Please complete the marked fields."),
        (app.test_client(), "请补全标出的各项。"),
        (anybody, "Please complete the marked fields."),
    ):
        assert sentence in say(client, token, "questions", 422)


@pytest.mark.parametrize("form", [{}, {"text": " \n"}, {"text": "x" * 2001}, {"text": "a\u202eb"}])
def test_a_question_says_something_a_person_can_read(app, anybody, token, visit, form):
    text = say(anybody, token, "questions", 422, **form)
    assert 'aria-describedby="text-said"' in text
    assert words_of(app, visit, "question") == []


def test_what_is_never_printed_may_hold_what_no_font_has(app, anybody, token, visit):
    say(anybody, token, "ratings", stars="5", opinion="👍")
    say(anybody, token, "questions", text="😟?")
    assert flags_of(app, visit) == ["customer.question"]
    assert words_of(app, visit, "rating")[0]["opinion"] == "👍"


def test_a_question_reaches_the_desk_and_is_answered_there(
    app, anybody, token, visit, dana, client_of
):
    say(anybody, token, "questions", text="when is Friday?", reach="139-9999-0000")
    say(anybody, token, "questions", text="and who <b>pays</b>?")
    desk = client_of(dana)
    text = page(desk, "/desk/inbox")
    assert text.count("The customer has a question.") == 2
    for told in (
        "when is Friday?",
        "139-9999-0000",
        "who &lt;b&gt;pays&lt;/b&gt;?",
        "Answer the customer",
    ):
        assert told in text, told
    flag = next(f for f in state_of(app, visit)["flags"] if f["code"] == "customer.question")
    answer = desk.post(
        f"/desk/visits/{visit}/dismissals",
        data={"flag": f"{flag['operation']} {flag['code']}", "reason": "told her: the 13th"},
        headers=PAGE,
    )
    assert answer.status_code == 303
    assert page(desk, "/desk/inbox").count("Answer the customer") == 1
    text = page(desk, f"/desk/visits/{visit}")
    assert "told her: the 13th" in text
    assert "Dismissed by Dana Roy" in text


def test_the_desk_does_not_strike_out_what_the_customer_said(
    app, anybody, token, visit, dana, client_of
):
    say(anybody, token, "ratings", stars="1")
    rating = next(e for e in state_of(app, visit)["entries"] if e["kind"] == "rating")
    answer = client_of(dana).post(
        f"/desk/visits/{visit}/voids",
        data={"entry": rating["id"], "reason": "unfair"},
        headers=PAGE,
    )
    assert answer.status_code == 404
    assert state_of(app, visit)["entries"][-1]["voids"] == []


def test_one_work_order_takes_only_so_many_words(app, anybody, token, visit):
    for _ in range(20):
        say(anybody, token, "questions", text="again?")
    text = say(anybody, token, "questions", 429, text="once more")
    assert "Please call us instead. 021-5550-0100" in text
    assert len(words_of(app, visit, "question")) == 20
    say(anybody, token, "ratings", stars="1")


# Phones and finished visits


def test_no_phone_hears_what_the_customer_said(
    app, anybody, token, visit, erin, erin_phone, client_of
):
    say(anybody, token, "ratings", stars="1", opinion="late")
    say(anybody, token, "questions", text="why so late?", reach="139-9999-0000")
    erin_phone.pull()
    state = erin_phone.visits[visit]["state"]
    assert {entry["kind"] for entry in state["entries"]} & {"rating", "question"} == set()
    assert state["flags"] == []
    assert state["visit"]["status"] == "signed"
    text = page(client_of(erin), f"/visits/{visit}")
    for word in ("why so late?", "139-9999-0000", "has a question", "Rating"):
        assert word not in text, word


def test_a_finished_visit_with_a_question_does_not_come_back_as_work(
    app, anybody, token, visit, dana, erin_phone, work
):
    erin_phone.push(erin_phone.operation("leaving", visit, {}))
    at_desk(app, dana, visit, ("review", {"verdict": "accepted"}))
    erin_phone.pull()
    with app.app_context():
        closed_at = db.session.get_one(Visit, visit).closed_at
        db.session.execute(update(Visit).values(closed_at=closed_at - timedelta(days=30)))
        db.session.commit()
        jobs.perform_job("close", "")
    erin_phone.pull()
    assert erin_phone.removed[visit] == "closed"
    say(anybody, token, "questions", text="why does it beep again?")
    work()
    erin_phone.pull()
    assert visit not in erin_phone.visits
    with app.app_context():
        row = db.session.get_one(Visit, visit)
        assert (row.status, row.closed_at) == ("accepted", closed_at)
        assert db.session.scalar(select(func.count()).select_from(Report)) == 2  # one revision
    assert flags_of(app, visit) == ["customer.question"]


def test_a_visit_that_was_sent_back_stays_so_whatever_the_customer_says(
    app, token, visit, dana, erin_phone
):
    erin_phone.push(erin_phone.operation("leaving", visit, {}))
    at_desk(app, dana, visit, ("review", {"verdict": "sent-back", "reason": "no photo"}))
    with app.app_context(), unit(dana.org_id, datetime.now(UTC) + timedelta(minutes=5)) as opened:
        opened.perform("rating", visit, CUSTOMER, {"stars": "3"})
    assert words_of(app, visit, "rating") == [{"stars": "3"}]
    assert state_of(app, visit)["visit"]["status"] == "sent-back"


def test_no_phone_speaks_for_the_customer(app, token, visit, erin_phone, dana, client_of):
    praise = {"stars": "5", "opinion": "best engineer ever"}
    assert erin_phone.receipts(
        erin_phone.operation("rating", visit, praise),
        erin_phone.operation("rating", visit, praise, author="customer"),
        erin_phone.operation("rating", visit, praise, author="customer", device="server"),
    ) == [
        ("flagged", ["author.role"]),
        ("flagged", ["author.not-owner", "author.out-of-scope"]),
        ("flagged", ["author.not-owner", "author.out-of-scope"]),
    ]
    assert words_of(app, visit, "rating") == []
    for item in state_of(app, visit)["quarantine"]:
        at_desk(app, dana, visit, ("release", {"entry": item["id"], "reason": "x"}))
    assert words_of(app, visit, "rating") == []


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
    assert load_policy("alarm").data["customer"] == {"page_days": 730, "sends_copies": True}


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
