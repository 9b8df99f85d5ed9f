"""Who was not there reads what was done on his own device, and signs it."""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from fieldapp import blobs, by_link
from fieldapp.models import Report, Visit, db
from fieldapp.perform import journal_of
from fieldapp.policies import load_policy
from sync.canonical import sha256
from tests.fieldapp.customer.links import UNKNOWN, page
from tests.phones import PAGE, at_desk, client_of, flags_of, signature, state_of

ABSENT = load_policy("alarm").data["without_customer"][0]
STROKES = "[[40,90,0,70,40,60,100,95,120,130,50,180]]"
NOTHING_YET = "Nothing to sign here yet"
FORM = 'name="seen"'


def leave_unsigned(phone, visit, token=UNKNOWN, role="contact", *more):
    """Erin finds nobody who could sign, does her work and asks for the signature by link."""
    phone.push(
        phone.operation("arrival", visit, {"outcome": ABSENT}),
        phone.operation("measure", visit, {
            "text": "mains board replaced", "completed_at": "2026-03-10T03:00:00Z"}),
        *more,
        phone.operation("signature-request", visit, {
            "name": "Cleo Ash", "role": role, "token": token}),
        phone.operation("leaving", visit, {}),
    )  # fmt: skip
    return f"/sign/{visit}/{token}"


def seen_on(text):
    return re.search('name="seen" value="([0-9a-f]{64})"', text)[1]


def sign_on(client, path, status=303, headers=PAGE, **form):
    """What the page answers to a signature on what it shows."""
    seen = form.pop("seen", None) or seen_on(page(client, path))
    given = {"seen": seen, "name": "Cleo Ash", "opinion": "fine", "strokes": STROKES} | form
    response = client.post(path, data=given, headers=dict(headers))
    assert response.status_code == status, response.text
    return " ".join(response.text.split())


def signatures(app, visit):
    return state_of(app, visit)["signatures"]


def test_a_typed_name_is_not_offered_by_link_and_not_taken(app, anybody, visit, erin_phone):
    path = leave_unsigned(erin_phone, visit)
    assert "witness" not in page(anybody, path)
    seen = {"witness_name": "Nobody Saw", "witness_role": "a friend"}
    assert "sign with a finger" in sign_on(anybody, path, 422, strokes="", **seen)
    assert signatures(app, visit) == []


def test_it_is_read_signed_verified_and_sealed(app, anybody, visit, erin_phone, work):
    path = leave_unsigned(erin_phone, visit)
    work()
    text = page(anybody, path)
    for told in ("Customer C1", "WAH200-C1", "mains board replaced", "Your signature"):
        assert told in text, told
    sign_on(anybody, path)
    (given,) = signatures(app, visit)
    assert (given["author"], given["verdict"], given["value"]["role"]) == (
        "customer",
        "verified",
        "contact",
    )
    assert given["value"]["token"] == UNKNOWN
    assert flags_of(app, visit) == []
    work()
    with app.app_context():
        report = db.session.scalars(select(Report)).one()
        assert (report.token, report.verdict) == (UNKNOWN, "verified")
    thanks = page(anybody, path)
    assert "Your signature has reached us" in thanks
    assert f'href="/verify/{UNKNOWN}"' in thanks
    assert "mains board replaced" in page(anybody, f"/verify/{UNKNOWN}")


def test_the_signature_binds_what_was_on_the_page(app, anybody, visit, erin_phone):
    path = leave_unsigned(erin_phone, visit)
    seen = seen_on(page(anybody, path))
    sign_on(anybody, path)
    with app.app_context():
        rows = journal_of(db.session.get_one(Visit, visit))
    value = json.loads(next(row.body for row in rows if row.kind == "signature"))["value"]
    assert value["digest"] == seen == sha256(value["snapshot"])


def test_what_changed_meanwhile_is_shown_before_it_is_signed(app, anybody, visit, erin_phone):
    path = leave_unsigned(erin_phone, visit)
    seen = seen_on(page(anybody, path))
    erin_phone.push(erin_phone.note(visit, "the siren is loose"))
    text = sign_on(anybody, path, 422, seen=seen)
    assert "the siren is loose" in text
    assert "Somebody else changed this meanwhile." in text
    assert "130,50,180" in text  # what was drawn is still there
    assert signatures(app, visit) == []
    sign_on(anybody, path, seen=seen_on(text))
    assert len(signatures(app, visit)) == 1


def test_a_link_serves_for_one_signature(app, anybody, visit, erin_phone):
    path = leave_unsigned(erin_phone, visit)
    seen = seen_on(page(anybody, path))
    sign_on(anybody, path, seen=seen)
    text = sign_on(anybody, path, 409, seen=seen, name="Somebody Else", opinion="I do not agree")
    assert "Somebody signed already" in text
    assert "I do not agree" in text  # what he wrote is not lost
    assert [one["value"]["name"] for one in signatures(app, visit)] == ["Cleo Ash"]
    assert FORM not in page(anybody, path)


def test_a_second_tap_while_the_first_is_written_changes_nothing(
    app, anybody, visit, erin_phone, monkeypatch
):
    path = leave_unsigned(erin_phone, visit)
    seen = seen_on(page(anybody, path))
    perform, turns = by_link._perform, []

    def overtaken(*arguments):
        if not turns:
            turns.append(1)
            sign_on(anybody, path, seen=seen)
        return perform(*arguments)

    monkeypatch.setattr(by_link, "_perform", overtaken)
    assert "Somebody signed already" in sign_on(anybody, path, 409, seen=seen, name="Too Late")
    assert [one["value"]["name"] for one in signatures(app, visit)] == ["Cleo Ash"]


def test_a_change_while_it_is_written_is_shown_first(app, anybody, visit, erin_phone, monkeypatch):
    path = leave_unsigned(erin_phone, visit)
    perform, turns = by_link._perform, []

    def overtaken(*arguments):
        if not turns:
            turns.append(1)
            erin_phone.push(erin_phone.note(visit, "the siren is loose"))
        return perform(*arguments)

    monkeypatch.setattr(by_link, "_perform", overtaken)
    assert "the siren is loose" in sign_on(anybody, path, 422)
    assert signatures(app, visit) == []


def test_before_the_phone_got_through_and_when_guessed_it_says_the_same(anybody, visit, erin_phone):
    before = page(anybody, f"/sign/{visit}/{UNKNOWN}", 404)
    assert NOTHING_YET in before
    leave_unsigned(erin_phone, visit)
    guessed = UNKNOWN.replace("0", "f")
    assert page(anybody, f"/sign/{visit}/{guessed}", 404).replace(guessed, UNKNOWN) == before
    for path in (f"/sign/{visit}/nonsense", f"/sign/nonsense/{UNKNOWN}", "/sign/%00/%00"):
        assert NOTHING_YET in page(anybody, path, 404)
    assert sign_on(anybody, f"/sign/{visit}/{guessed}", 404, seen="0" * 64)


def test_a_link_opens_no_other_visit(anybody, visit, visit_of, eli, erin_phone):
    other = visit_of(eli, "PG-2")
    leave_unsigned(erin_phone, visit)
    assert NOTHING_YET in page(anybody, f"/sign/{other}/{UNKNOWN}", 404)


def test_what_is_posted_twice_is_one_signature_and_no_trouble(app, anybody, visit, erin_phone):
    path = leave_unsigned(erin_phone, visit)
    seen = seen_on(page(anybody, path))
    for _ in range(2):
        sign_on(anybody, path, 303, seen=seen)
    assert len(signatures(app, visit)) == 1


@pytest.mark.parametrize("closed", ["withdrawn", "over"])
def test_a_link_that_serves_no_more_is_no_way_to_the_papers(
    app, anybody, visit, erin_phone, dana, monkeypatch, closed
):
    path = leave_unsigned(erin_phone, visit)
    erin_phone.push(signature(erin_phone, visit))
    (given,) = signatures(app, visit)
    (request,) = [e for e in state_of(app, visit)["entries"] if e["kind"] == "signature-request"]
    if closed == "over":
        monkeypatch.setattr(by_link.Asked, "standing", lambda *_: "over")
    else:
        at_desk(app, dana, visit, ("void", {"entry": request["id"], "reason": "wrong person"}))
    assert given["value"]["token"] not in page(anybody, path, 410)


def test_who_never_had_the_visit_opens_it_to_nobody(
    app, anybody, visit, eli, phone_of, dana, erin_phone
):
    erin_phone.push(erin_phone.operation("arrival", visit, {"outcome": ABSENT}))
    stranger = phone_of(eli)
    body = stranger.operation("signature-request", visit, {
        "name": "Eli", "role": "contact", "token": UNKNOWN})  # fmt: skip
    ((_, reasons),) = stranger.receipts(body)
    assert reasons == ["author.out-of-scope"]
    path = f"/sign/{visit}/{UNKNOWN}"
    assert NOTHING_YET in page(anybody, path, 404)
    at_desk(app, dana, visit, ("dismissal", {
        "entry": body["id"], "code": "author.out-of-scope", "reason": "I sent him"}))  # fmt: skip
    assert FORM in page(anybody, path)


def test_who_handed_the_visit_over_makes_no_link(app, visit, erin, eli, dana):
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    response = client_of(app, erin).post(
        f"/visits/{visit}/signature-requests", data={"name": "Cleo Ash", "role": "contact"},
        headers=PAGE,
    )  # fmt: skip
    assert response.status_code == 404


def test_a_withdrawn_link_serves_no_more(app, anybody, visit, erin_phone, dana):
    path = leave_unsigned(erin_phone, visit)
    seen = seen_on(page(anybody, path))
    (request,) = [e for e in state_of(app, visit)["entries"] if e["kind"] == "signature-request"]
    at_desk(app, dana, visit, ("void", {"entry": request["id"], "reason": "wrong person"}))
    assert "This signature is not asked for any more." in page(anybody, path, 410)
    sign_on(anybody, path, seen=seen)
    assert signatures(app, visit) == []


def test_an_old_link_serves_no_more(app, anybody, visit, erin_phone, monkeypatch):
    path = leave_unsigned(erin_phone, visit)
    seen = seen_on(page(anybody, path))
    days = load_policy("alarm").data["customer"]["sign_days"]

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=days, hours=1)

    monkeypatch.setattr(by_link, "datetime", Later)
    assert "This link is too old" in page(anybody, path, 410)
    sign_on(anybody, path, seen=seen)
    assert signatures(app, visit) == []


def test_who_is_not_done_asks_for_no_signature_yet(app, anybody, visit, erin_phone):
    erin_phone.push(
        erin_phone.operation("arrival", visit, {"outcome": "present"}),
        erin_phone.operation("signature-request", visit, {
            "name": "Cleo Ash", "role": "contact", "token": UNKNOWN}),
    )  # fmt: skip
    text = page(anybody, f"/sign/{visit}/{UNKNOWN}")
    assert "The engineer is not done yet." in text
    assert FORM not in text
    sign_on(anybody, f"/sign/{visit}/{UNKNOWN}", 422, seen="0" * 64)
    assert signatures(app, visit) == []


def test_nobody_signs_for_pictures_that_are_on_their_way(app, anybody, visit, erin_phone):
    photo = b"\xff\xd8\xff\xe0 a photo"
    name = hashlib.sha256(photo).hexdigest()
    taken = erin_phone.operation("photo", visit, {"sha256": name})
    path = leave_unsigned(erin_phone, visit, UNKNOWN, "contact", taken)
    text = page(anybody, path)
    assert "1 photo is still on its way." in text
    assert FORM not in text
    with app.app_context():
        blobs.store(erin_phone.person.org_id, name, photo, datetime.now(UTC))
    text = page(anybody, path)
    assert f'src="{path}/photos/{name}"' in text
    assert anybody.get(f"{path}/photos/{name}").data == photo
    assert anybody.get(f"{path}/photos/{'0' * 64}").status_code == 404
    assert anybody.get(f"/sign/{visit}/{'f' * 32}/photos/{name}").status_code == 404
    sign_on(anybody, path)
    assert anybody.get(f"{path}/photos/{name}").status_code == 404  # it has served


@pytest.mark.parametrize(("name", "value", "told"), [
    ("name", "", "Name in print"),
    ("strokes", "", "sign"),
    ("name", "Cleo \U0001f600", "\U0001f600"),
])  # fmt: skip
def test_what_is_incomplete_is_told_and_nothing_is_lost(
    app, anybody, visit, erin_phone, name, value, told
):
    path = leave_unsigned(erin_phone, visit)
    text = sign_on(anybody, path, 422, **{name: value, "opinion": "all well"})
    assert 'class="finding"' in text
    assert told in text
    assert "all well" in text
    assert signatures(app, visit) == []


def test_a_role_that_the_policy_no_longer_knows_is_asked_for(app, anybody, visit, erin_phone):
    roles = load_policy("alarm").choices()["signatory_roles"]
    path = leave_unsigned(erin_phone, visit, role="engineer-in-charge")
    assert 'name="role"' in page(anybody, path)
    sign_on(anybody, path, 422)
    sign_on(anybody, path, role=roles[-1])
    assert [one["value"]["role"] for one in signatures(app, visit)] == [roles[-1]]


def test_a_known_role_cannot_be_changed_by_who_signs(app, anybody, visit, erin_phone):
    roles = load_policy("alarm").choices()["signatory_roles"]
    path = leave_unsigned(erin_phone, visit, role=roles[0])
    assert 'name="role"' not in page(anybody, path)
    sign_on(anybody, path, role=roles[-1])
    assert [one["value"]["role"] for one in signatures(app, visit)] == [roles[0]]


@pytest.mark.parametrize("value", [
    {"name": 5, "role": {}, "token": UNKNOWN},
    {"name": "Cleo Ash", "token": UNKNOWN},
    {"token": UNKNOWN},
    {"name": "<script>x</script>", "role": "contact", "token": UNKNOWN},
    {"name": None, "role": None, "token": UNKNOWN},
])  # fmt: skip
def test_a_strange_request_breaks_no_page(app, anybody, visit, erin, erin_phone, value):
    erin_phone.push(erin_phone.operation("arrival", visit, {"outcome": ABSENT}))
    erin_phone.push(erin_phone.operation("signature-request", visit, value))
    assert "<script>x" not in page(anybody, f"/sign/{visit}/{UNKNOWN}")
    assert "<script>x" not in page(client_of(app, erin), f"/visits/{visit}")


@pytest.mark.parametrize("value", [{}, {"name": "Cleo Ash"}, {"role": "contact", "token": {}}])
def test_a_request_of_which_hardly_anything_came_breaks_no_page(
    app, visit, erin, erin_phone, dana, value
):
    erin_phone.push(erin_phone.operation("arrival", visit, {"outcome": ABSENT}))
    erin_phone.push(erin_phone.operation("signature-request", visit, value))
    erin_phone.push(signature(erin_phone, visit))
    assert page(client_of(app, erin), f"/visits/{visit}")
    assert page(client_of(app, dana), f"/desk/visits/{visit}")


@pytest.mark.parametrize("token", [{}, [], 7, None])
def test_a_signature_with_a_strange_token_breaks_no_page(
    app, anybody, visit, erin, erin_phone, dana, token
):
    path = leave_unsigned(erin_phone, visit)
    forged = signature(erin_phone, visit)["value"] | {"token": token, "name": "Bo"}
    erin_phone.push(erin_phone.operation("signature", visit, forged))
    for client, where in ((anybody, path), (client_of(app, erin), f"/visits/{visit}"),
                          (client_of(app, dana), f"/desk/visits/{visit}")):  # fmt: skip
        assert page(client, where)


def test_who_signed_on_the_phone_after_all_is_not_waited_for(app, visit, erin, erin_phone, dana):
    path = leave_unsigned(erin_phone, visit)
    erin_phone.push(signature(erin_phone, visit, name="Bo Reed"))
    assert path in page(client_of(app, erin), f"/visits/{visit}")  # that is another one
    erin_phone.push(signature(erin_phone, visit))
    assert path not in page(client_of(app, erin), f"/visits/{visit}")
    assert path not in page(client_of(app, dana), f"/desk/visits/{visit}")


def test_the_desk_withdraws_what_the_desk_asked_for(app, anybody, visit, erin_phone, dana):
    path = leave_unsigned(erin_phone, visit)
    (request,) = [e for e in state_of(app, visit)["entries"] if e["kind"] == "signature-request"]
    desk = client_of(app, dana)
    assert f'value="{request["id"]}"' in page(desk, f"/desk/visits/{visit}")
    response = desk.post(
        f"/desk/visits/{visit}/voids", data={"entry": request["id"], "reason": "wrong person"},
        headers=PAGE,
    )  # fmt: skip
    assert response.status_code == 303
    assert "not asked for any more" in page(anybody, path, 410)


def test_a_photo_that_never_comes_and_was_struck_out_holds_up_nobody(
    app, anybody, visit, erin_phone
):
    taken = erin_phone.operation("photo", visit, {"sha256": "ab" * 32})
    strange = erin_phone.operation("photo", visit, {"sha256": ["x"]})
    path = leave_unsigned(erin_phone, visit, UNKNOWN, "contact", taken, strange)
    assert FORM not in page(anybody, path)
    assert anybody.get(f"{path}/photos/{'ab' * 32}").status_code == 404
    erin_phone.push(
        erin_phone.operation("void", visit, {"entry": taken["id"], "reason": "phone lost"})
    )
    sign_on(anybody, path)
    assert len(signatures(app, visit)) == 1


@pytest.mark.parametrize("token", ["x", 7, None, ["a"], UNKNOWN.upper()])
def test_a_request_without_a_token_opens_nothing(app, anybody, visit, erin, erin_phone, token):
    value = {"name": "Cleo Ash", "role": "contact", "token": token}
    erin_phone.push(erin_phone.operation("signature-request", visit, value))
    assert NOTHING_YET in page(anybody, f"/sign/{visit}/{token}", 404)
    assert page(client_of(app, erin), f"/visits/{visit}")


def test_no_phone_speaks_for_the_customer(app, visit, erin_phone):
    leave_unsigned(erin_phone, visit)
    forged = signature(erin_phone, visit)
    body = erin_phone.operation("signature", visit, forged["value"], {}, author="customer")
    ((_, reasons),) = erin_phone.receipts(body)
    assert "author.not-owner" in reasons
    assert signatures(app, visit) == []


def test_the_page_is_no_cache_and_names_itself_to_nobody(anybody, visit, erin_phone):
    response = anybody.get(leave_unsigned(erin_phone, visit))
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert response.headers["Cache-Control"] == "no-store"


def test_it_tells_nothing_of_the_office_or_of_others(app, anybody, visit, erin_phone, dana):
    at_desk(app, dana, visit, ("remark", {"text": "they pay late"}))
    erin_phone.push(erin_phone.operation("proposal", visit, {"text": "the gate code is 4711"}))
    text = page(anybody, leave_unsigned(erin_phone, visit))
    assert "they pay late" not in text
    assert "4711" not in text


def test_another_site_cannot_sign(app, anybody, visit, erin_phone):
    path = leave_unsigned(erin_phone, visit)
    sign_on(anybody, path, 403, headers={"Sec-Fetch-Site": "cross-site"})
    assert signatures(app, visit) == []


def test_too_many_tries_are_stopped(app, anybody, visit):
    app.config["VERIFY_PER_MINUTE"] = 3
    codes = [anybody.get(f"/sign/{visit}/{UNKNOWN}").status_code for _ in range(5)]
    assert codes == [404, 404, 404, 429, 429]


def test_the_desk_asks_too_and_sees_what_came_of_it(app, anybody, visit, erin_phone, dana):
    erin_phone.push(erin_phone.operation("arrival", visit, {"outcome": ABSENT}))
    desk = client_of(app, dana)
    response = desk.post(
        f"/desk/visits/{visit}/signature-requests",
        data={"name": "Cleo Ash", "role": "contact", "heads": "{}", "was": "{}"},
        headers=PAGE,
    )
    assert response.status_code == 303
    (request,) = [e for e in state_of(app, visit)["entries"] if e["kind"] == "signature-request"]
    path = f"/sign/{visit}/{request['value']['token']}"
    assert path in page(desk, f"/desk/visits/{visit}")
    sign_on(anybody, path)
    assert path not in page(desk, f"/desk/visits/{visit}")
    assert "by link" in page(desk, f"/desk/visits/{visit}")


def test_asking_is_no_work_and_changes_no_status(app, visit, erin_phone, dana):
    at_desk(app, dana, visit, ("cancellation", {"reason": "called off"}),
            ("signature-request", {"name": "Cleo Ash", "role": "contact", "token": UNKNOWN}))  # fmt: skip
    assert state_of(app, visit)["visit"]["status"] == "cancelled"
    assert flags_of(app, visit) == []


def test_a_cancelled_visit_is_not_signed(app, anybody, visit, dana):
    at_desk(app, dana, visit, ("cancellation", {"reason": "called off"}),
            ("signature-request", {"name": "Cleo Ash", "role": "contact", "token": UNKNOWN}))  # fmt: skip
    assert "not asked for any more" in page(anybody, f"/sign/{visit}/{UNKNOWN}", 410)


def test_the_visits_page_shows_the_link_until_it_has_served(app, anybody, visit, erin, erin_phone):
    path = leave_unsigned(erin_phone, visit)
    client = client_of(app, erin)
    assert f"{app.config['PUBLIC_URL']}{path}" in page(client, f"/visits/{visit}")
    sign_on(anybody, path)
    assert path not in page(client, f"/visits/{visit}")


def test_the_phone_that_asks_is_given_the_token(app, visit, erin):
    client = client_of(app, erin)
    text = page(client, f"/visits/{visit}/signature-requests")
    assert "Cleo" in text  # the contact's name to begin with
    response = client.post(
        f"/visits/{visit}/signature-requests",
        data={"name": "Cleo Ash", "role": "contact", "token": "mine"}, headers=PAGE,
    )  # fmt: skip
    assert response.status_code == 303
    (request,) = [e for e in state_of(app, visit)["entries"] if e["kind"] == "signature-request"]
    assert re.fullmatch("[0-9a-f]{32}", request["value"]["token"])
