"""The list of phones, and revoking one."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from fieldapp.models import Device, db
from tests.fieldapp.desk.forms import enrol, look, part


def phones(client):
    return look(client, "/desk/phones")


def card(client, device):
    return part(phones(client), f"phone-{device.id}")


def revoke(client, device, **form):
    return client.post(f"/desk/phones/{device.id}/revocations", data=form)


def is_revoked(device):
    db.session.rollback()
    return db.session.get(Device, device.id, populate_existing=True).revoked_at is not None


def test_each_phone_says_whose_it_is_when_it_was_heard_and_what_it_holds(erin, dana_desk):
    heard_at = datetime.now(UTC) - timedelta(hours=3)
    phone = enrol(erin, heard_at, high=9, received=5, skew_ms=-420_000)
    said = card(dana_desk, phone)
    for text in (
        "Erin Ng's phone · iPhone",
        "3 h ago",
        "4 entries had not arrived when it was last heard",
        "7 minutes ahead",
    ):
        assert text in said


def test_its_own_word_counts_photos_too(erin, dana_desk):
    phone = enrol(erin, datetime.now(UTC), high=9, received=9, unsent=2)
    assert "2 entries had not arrived" in card(dana_desk, phone)


@pytest.mark.parametrize(("skew_ms", "said"), [(300_000, ""), (301_000, "5 minutes behind")])
def test_a_clock_is_mentioned_when_it_deserves_a_flag(skew_ms, said, erin, dana_desk):
    phone = enrol(erin, datetime.now(UTC), skew_ms=skew_ms)
    assert re.findall(r"\d+ minutes? \w+(?= )", card(dana_desk, phone)) == ([said] if said else [])


def test_a_phone_never_heard_says_so(erin, dana_desk):
    said = card(dana_desk, enrol(erin))
    assert "Last heard never" in said
    assert "nothing that we know of" in said


def test_a_phone_whose_storage_was_emptied_says_what_never_arrived(erin, dana_desk):
    now = datetime.now(UTC)
    emptied = enrol(erin, now - timedelta(days=1), high=5, received=2)
    heir = enrol(erin, now, replaces_id=emptied.id, replaces_reason="evicted")
    said = card(dana_desk, emptied)
    assert "Its storage was emptied" in said
    assert "3 entries never arrived." in said
    assert "Revoke" not in said
    page = phones(dana_desk)
    assert page.index(f"phone-{heir.id}") < page.index("No longer in use")
    assert page.index("No longer in use") < page.index(f"phone-{emptied.id}")


def test_an_emptied_phone_that_had_sent_everything_says_that(erin, dana_desk):
    emptied = enrol(erin, datetime.now(UTC), high=5, received=5)
    enrol(erin, replaces_id=emptied.id, replaces_reason="evicted")
    assert "Everything we know of had arrived." in card(dana_desk, emptied)


def test_what_a_revoked_phone_held_goes_out_through_the_next(erin, dana_desk):
    now = datetime.now(UTC)
    old = enrol(erin, now, high=5, received=5, unsent=3, revoked_at=now)
    assert "3 entries" in card(dana_desk, old)
    enrol(erin, now, replaces_id=old.id, replaces_reason="revoked")
    said = card(dana_desk, old)
    assert "3 entries" not in said
    assert "emptied" not in said


def test_dana_revokes_a_phone_after_saying_yes(erin, dana_desk):
    phone = enrol(erin, datetime.now(UTC))
    answer = revoke(dana_desk, phone)
    assert answer.status_code == 422
    assert "Tick this first." in answer.text
    assert not is_revoked(phone)
    answer = revoke(dana_desk, phone, sure="yes")
    assert (answer.status_code, answer.location) == (303, "/desk/phones")
    assert is_revoked(phone)
    said = card(dana_desk, phone)
    assert "it deletes all but what it has not sent" in said
    assert "Dana Roy" in said
    assert "Yes, revoke" not in said


def test_a_phone_stays_revoked_since_the_first_time(erin, dana_desk):
    phone = enrol(erin, datetime.now(UTC))
    revoke(dana_desk, phone, sure="yes")
    first = db.session.get(Device, phone.id).revoked_at
    assert revoke(dana_desk, phone, sure="yes").status_code == 303
    assert db.session.get(Device, phone.id, populate_existing=True).revoked_at == first


def test_nobody_else_revokes_a_phone_or_sees_the_list(erin, olly, browse, dana_desk):
    phone = enrol(erin, datetime.now(UTC))
    assert browse(erin).get("/desk/phones").status_code == 403
    assert revoke(browse(erin), phone, sure="yes").status_code == 403
    assert revoke(browse(olly), phone, sure="yes").status_code == 404
    assert phone.id not in phones(browse(olly))
    assert not is_revoked(phone)
    assert dana_desk.post("/desk/phones/x/revocations", data={"sure": "yes"}).status_code == 404


def test_another_site_revokes_nothing(erin, dana_desk):
    phone = enrol(erin, datetime.now(UTC))
    answer = dana_desk.post(
        f"/desk/phones/{phone.id}/revocations",
        data={"sure": "yes"},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403
    assert not is_revoked(phone)


def test_the_form_stands_on_the_page(erin, dana_desk):
    phone = enrol(erin)
    answer = dana_desk.get(f"/desk/phones/{phone.id}/revocations")
    assert (answer.status_code, answer.location) == (303, "/desk/phones")


def test_a_house_without_phones_is_told_how_to_get_one(dana, browse):
    page = phones(browse(dana, "zh_CN"))
    assert "尚未登记手机" in page


def test_the_list_costs_as_many_queries_for_ten_phones_as_for_one(erin, dana_desk, counted):
    def cost():
        with counted() as statements:
            phones(dana_desk)
        return len(statements)

    enrol(erin)
    one = cost()
    for _ in range(9):
        enrol(erin)
    assert one == cost()
