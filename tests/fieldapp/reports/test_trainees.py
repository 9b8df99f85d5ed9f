"""Everybody who was trained signs the acceptance list, the responsible person after them all."""

import json

import pytest
from sqlalchemy import select

from fieldapp.models import Organisation, Visit, db
from tests.fieldapp.reports.papers import inside, papers, text_of
from tests.fieldapp.test_engineer import STROKES, hidden, post
from tests.phones import state_of

TRAINEES = ("吴芳", "钱伟", "Ada Fenn")


@pytest.fixture
def taught(app, visit, client_of, erin):
    """Erin's client and her visit: a software house's training, done and not signed."""
    with app.app_context():
        db.session.scalars(select(Organisation)).one().policy = "software"
        db.session.get_one(Visit, visit).work_order.job_type = "training"
        db.session.commit()
    client = client_of(erin)
    for noun, form in (
        ("arrivals", {"outcome": "present"}),
        ("trainings", {"text": "stock taking", "names": "\n".join(TRAINEES)}),
        ("steps", {"list": "training", "done": ["practised"]}),
        ("measures", {"text": "trained", "completed_at": "2026-03-10T11:30"}),
        ("outcomes", {"result": "trained"}),
    ):
        shown = client.get(f"/visits/{visit}/{noun}").text
        heads = {name: hidden(shown, name) for name in ("heads", "was")}
        assert post(client, visit, noun, form | heads).status_code == 303
    return client, visit


def sign(client, visit, name, role="trainee"):
    page = client.get(f"/visits/{visit}/signatures?list={role}").text
    form = {"name": name, "role": role, "strokes": STROKES, "seen": hidden(page, "seen")}
    return post(client, visit, "signatures", form)


def test_the_page_asks_for_each_trainee_by_name_and_for_the_responsible_person_last(taught):
    client, visit = taught
    for number, name in enumerate(TRAINEES):
        page = client.get(f"/visits/{visit}/signatures?list=trainee").text
        asked = [one for one in TRAINEES if f"Trainee {one}</a>\n" in page]
        assert asked == list(TRAINEES[number:])
        refused = sign(client, visit, "Bo Reed", "responsible")
        assert refused.status_code == 422
        assert "somebody else must sign before" in refused.text
        assert sign(client, visit, name).status_code == 303
    page = client.get(f"/visits/{visit}/signatures").text
    assert "Next to sign: Responsible person" in page
    assert sign(client, visit, "Bo Reed", "responsible").status_code == 303
    assert "give the phone back" in client.get(f"/visits/{visit}/signatures").text


def test_the_name_of_who_is_next_is_filled_in(taught):
    client, visit = taught
    sign(client, visit, TRAINEES[0])
    page = client.get(f"/visits/{visit}/signatures").text
    link = f"/visits/{visit}/signatures?list=trainee&amp;name=%E9%92%B1%E4%BC%9F"
    assert link in page
    assert hidden(client.get(link.replace("&amp;", "&")).text, "name") == TRAINEES[1]


def test_who_was_asked_by_link_keeps_nobody_and_hides_nobody(taught):
    client, visit = taught
    ask = {"role": "trainee", "name": TRAINEES[0]}
    step = '<span class="step-note">asked for by link</span>'
    assert post(client, visit, "signature-requests", ask).status_code == 303
    page = client.get(f"/visits/{visit}").text
    assert step not in page  # the others are still here
    assert "Hand over to sign: Trainee" in page
    for name in TRAINEES[1:]:
        assert post(client, visit, "signature-requests", ask | {"name": name}).status_code == 303
    page = client.get(f"/visits/{visit}").text
    assert page.count(step) == 1
    assert "Hand over to sign: Responsible person" in page
    sign(client, visit, TRAINEES[0])
    page = client.get(f"/visits/{visit}").text
    assert page.count("QR code of the page to sign on") == 2
    assert page.count(step) == 1


def test_a_paper_is_made_when_the_last_has_signed_and_names_them_all(app, taught, work):
    client, visit = taught
    for name in TRAINEES:
        sign(client, visit, name)
        work()
        assert papers(app, visit, "acceptance-list") == []
    sign(client, visit, "Bo Reed", "responsible")
    work()
    ((revision, pdf),) = papers(app, visit, "acceptance-list")
    assert revision == 1
    signed = json.loads(inside(pdf))["signatures"]
    assert [one["name"] for one in signed] == [*TRAINEES, "Bo Reed"]
    assert {(one["covers"], one["verdict"]) for one in signed} == {("same", "verified")}
    text = text_of(pdf)
    hand = text[text.index("Outcome and signature") :]
    assert [name for name in (*TRAINEES, "Bo Reed") if name not in hand] == []
    assert text.startswith("Acceptance list") or "Acceptance list" in text[:200]


def test_who_signs_under_another_name_leaves_the_trainee_to_sign(app, taught, work):
    client, visit = taught
    for name in (*TRAINEES[:2], "Ada Fern"):
        assert sign(client, visit, name).status_code == 303
    assert sign(client, visit, "Bo Reed", "responsible").status_code == 422
    assert len(state_of(app, visit)["signatures"]) == 3
    work()
    assert papers(app, visit, "acceptance-list") == []


def test_one_who_will_not_sign_does_not_hold_up_the_others_for_ever(app, taught, work):
    client, visit = taught
    sign(client, visit, TRAINEES[0])
    refusal = {"reason": "refuses", "text": "", "witness_name": "Mo Lin"}
    assert post(client, visit, "refusals", refusal).status_code == 303
    assert sign(client, visit, "Bo Reed", "responsible").status_code == 303
    work()
    ((_, pdf),) = papers(app, visit, "acceptance-list")
    assert "Refusal to sign" in text_of(pdf)
