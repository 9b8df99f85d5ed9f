"""A rating and a question: who said them, and who hears of them."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from fieldapp import jobs
from fieldapp.ids import mint_id
from fieldapp.intake import CUSTOMER
from fieldapp.models import Report, Visit, db
from fieldapp.perform import journal_of, unit
from tests.fieldapp.customer.links import page, say, words_of
from tests.phones import PAGE, at_desk, flags_of, state_of

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


def test_what_he_taps_on_the_phone_in_his_hand_counts_and_says_whose_it_was(
    app, token, visit, erin_phone, dana, client_of
):
    rating = erin_phone.operation("rating", visit, {"stars": "5"})
    assert erin_phone.receipts(rating) == [("merged", [])]
    assert words_of(app, visit, "rating") == [{"stars": "5"}]
    assert "on the phone of Erin" in page(client_of(dana), f"/desk/visits/{visit}")
    with app.app_context(), unit(dana.org_id, datetime.now(UTC) + timedelta(minutes=5)) as opened:
        opened.perform("rating", visit, CUSTOMER, {"stars": "2"})
    text = page(client_of(dana), f"/desk/visits/{visit}")
    assert text.index("2 – dissatisfied") < text.index("before: 5 – very satisfied")
    assert text.count("on the phone of") == 1
    erin_phone.pull()
    entries = erin_phone.visits[visit]["state"]["entries"]
    held = [entry["value"]["stars"] for entry in entries if entry["kind"] == "rating"]
    assert held == ["5"]  # what he said elsewhere is for the office


def test_no_phone_speaks_for_the_customer(app, token, visit, erin_phone, dana, client_of):
    praise = {"stars": "5", "opinion": "best engineer ever"}
    assert erin_phone.receipts(
        erin_phone.operation("rating", visit, praise, author="customer"),
        erin_phone.operation("rating", visit, praise, author="customer", device="server"),
    ) == [
        ("flagged", ["author.not-owner", "author.out-of-scope"]),
        ("flagged", ["author.not-owner", "author.out-of-scope"]),
    ]
    assert words_of(app, visit, "rating") == []
    for item in state_of(app, visit)["quarantine"]:
        at_desk(app, dana, visit, ("release", {"entry": item["id"], "reason": "x"}))
    assert words_of(app, visit, "rating") == []
