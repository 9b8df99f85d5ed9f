"""The review page, and what the office performs on a visit."""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from sqlalchemy import select

from fieldapp import blobs
from fieldapp.context import context_of
from fieldapp.desk.review import downtime_of
from fieldapp.handover import sign
from fieldapp.ids import mint_id
from fieldapp.models import Device, Report, Visit, db
from fieldapp.perform import journal_of, unit
from fieldapp.policies import load_policy
from fieldapp.presentation import present
from sync.canonical import canonical, hash_of
from tests import cast

JPEG = b"\xff\xd8\xff" + b"0" * 64
SHA = hashlib.sha256(JPEG).hexdigest()


def hidden(page, noun, name):
    """The value of a hidden field in the form of ``noun``."""
    form = re.search(rf'action="[^"]*/{noun}".*?</form>', page, re.S)[0]
    return unescape(re.search(rf'name="{name}" value="([^"]*)"', form)[1])


def carried(page, noun):
    return {name: hidden(page, noun, name) for name in ("heads", "was")}


def look(client, visit):
    answer = client.get(f"/desk/visits/{visit.id}")
    assert answer.status_code == 200
    return answer.text


def state_of(visit):
    db.session.rollback()
    return db.session.get(Visit, visit.id, populate_existing=True).state


def kinds(visit):
    return [row.kind for row in journal_of(visit)]


@pytest.fixture
def conflict(visit, dana, erin, perform):
    """Erin without signal and Dana at her desk wrote different faults."""
    heads = {"fault/text": state_of(visit)["fields"]["fault/text"]["heads"]}
    perform(visit, erin, ("fault", {"text": "no light at all"}, heads))
    return perform(visit, dana, ("fault", {"text": "power board"}, heads))


# Conflicts


def test_dana_settles_a_conflict_for_one_side(conflict, dana_desk):
    page = look(dana_desk, conflict)
    assert "Two people wrote different things" in page
    side = state_of(conflict)["fields"]["fault/text"]["sides"][0]
    form = {"path": "fault/text", "heads": hidden(page, "resolutions", "heads")}
    answer = dana_desk.post(
        f"/desk/visits/{conflict.id}/resolutions", data=form | {"choice": side["operation"]}
    )
    assert answer.status_code == 303
    cell = state_of(conflict)["fields"]["fault/text"]
    assert (cell["value"], cell["conflict"]) == (side["value"], False)


def test_dana_writes_a_third_value(conflict, dana_desk):
    form = {
        "path": "fault/text",
        "heads": hidden(look(dana_desk, conflict), "resolutions", "heads"),
        "choice": "other",
        "text": "no light: the power board",
    }
    assert dana_desk.post(f"/desk/visits/{conflict.id}/resolutions", data=form).status_code == 303
    assert state_of(conflict)["fields"]["fault/text"]["value"] == "no light: the power board"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "What counts? is missing."),
        ({"choice": "no-such-side"}, "What counts? is missing."),
        ({"choice": "other", "text": " "}, "Fault symptom is missing."),
        ({"choice": "other", "text": "x" * 4001}, "Fault symptom is longer than 4000 characters."),
    ],
)
def test_a_conflict_is_not_settled_by_halves(form, said, conflict, dana_desk):
    page = look(dana_desk, conflict)
    form |= {"path": "fault/text", "heads": hidden(page, "resolutions", "heads")}
    answer = dana_desk.post(f"/desk/visits/{conflict.id}/resolutions", data=form)
    assert answer.status_code == 422
    assert said in answer.text
    assert "resolution" not in kinds(conflict)


def test_a_conflict_that_moved_meanwhile_is_shown_again(conflict, erin, dana_desk, perform):
    page = look(dana_desk, conflict)
    fields = state_of(conflict)["fields"]["fault/text"]
    perform(conflict, erin, ("fault", {"text": "smells burnt"}, {"fault/text": []}))
    form = {
        "path": "fault/text",
        "heads": hidden(page, "resolutions", "heads"),
        "choice": fields["heads"][0],
    }
    answer = dana_desk.post(f"/desk/visits/{conflict.id}/resolutions", data=form)
    assert answer.status_code == 409
    assert "Somebody else changed this meanwhile" in answer.text
    assert "smells burnt" in answer.text
    assert "resolution" not in kinds(conflict)


def test_settling_what_is_no_conflict_is_stale(visit, dana_desk):
    form = {"path": "fault/text", "heads": "{}", "choice": "other", "text": "x"}
    assert dana_desk.post(f"/desk/visits/{visit.id}/resolutions", data=form).status_code == 409
    form["path"] = "no/such/path"
    assert dana_desk.post(f"/desk/visits/{visit.id}/resolutions", data=form).status_code == 409


def test_two_assignments_at_once_are_settled_by_name(visit, dana, erin, eli, dana_desk, perform):
    perform(visit, dana, ("assignment", {"engineer": eli.id}, {"assignment": []}))
    page = look(dana_desk, visit)
    assert "Eli Fox" in page
    form = {
        "path": "assignment",
        "heads": hidden(page, "resolutions", "heads"),
        "choice": "other",
        "engineer": erin.id,
    }
    assert dana_desk.post(f"/desk/visits/{visit.id}/resolutions", data=form).status_code == 303
    assert state_of(visit)["fields"]["assignment"]["value"]["engineer"] == erin.id
    assert db.session.get(Visit, visit.id).engineer_id == erin.id


# Facts and decisions


def test_only_the_changed_field_of_the_fault_is_performed(visit, dana_desk):
    page = look(dana_desk, visit)
    form = carried(page, "faults") | {
        "text": "dead since 08:40", "level": "major", "location": "",
    }  # fmt: skip
    assert dana_desk.post(f"/desk/visits/{visit.id}/faults", data=form).status_code == 303
    last = journal_of(visit)[-1]
    assert (last.kind, json.loads(last.body)["value"]) == ("fault", {"fault/level": "major"})


def test_a_fault_both_changed_becomes_a_conflict_with_both_kept(visit, erin, dana_desk, perform):
    page = look(dana_desk, visit)
    perform(visit, erin, ("fault", {"text": "no light"}))
    form = carried(page, "faults") | {"text": "power board"}
    assert dana_desk.post(f"/desk/visits/{visit.id}/faults", data=form).status_code == 303
    cell = state_of(visit)["fields"]["fault/text"]
    assert sorted(side["value"] for side in cell["sides"]) == ["no light", "power board"]


def test_an_appointment_is_read_on_the_sites_clock(organisation, dana, dana_desk):
    tokyo = cast.make_place(organisation, "T1", zone="Asia/Tokyo")
    visit = cast.make_visit(tokyo, "PG-7")
    page = look(dana_desk, visit)
    form = carried(page, "appointments") | {"at": "2026-03-10T10:50"}
    assert dana_desk.post(f"/desk/visits/{visit.id}/appointments", data=form).status_code == 303
    assert state_of(visit)["fields"]["appointment/at"]["value"] == "2026-03-10T01:50:00Z"
    assert "2026-03-10 10:50" in look(dana_desk, visit)


def test_an_appointment_that_is_no_time_keeps_what_was_typed(visit, dana_desk):
    form = carried(look(dana_desk, visit), "appointments") | {"at": "at ten"}
    answer = dana_desk.post(f"/desk/visits/{visit.id}/appointments", data=form)
    assert answer.status_code == 422
    assert "Agreed visit time is not a date and time." in answer.text
    assert 'value="at ten"' in answer.text


def test_eli_takes_over_from_erin(visit, eli, dana_desk):
    form = carried(look(dana_desk, visit), "assignments") | {"engineer": eli.id}
    assert dana_desk.post(f"/desk/visits/{visit.id}/assignments", data=form).status_code == 303
    assert db.session.get(Visit, visit.id, populate_existing=True).engineer_id == eli.id


@pytest.mark.parametrize("who", ["dana", "olly", "nobody"])
def test_only_engineers_of_the_house_are_assigned(who, visit, dana, olly, dana_desk):
    id_ = {"dana": dana.id, "olly": olly.id, "nobody": "x"}[who]
    form = carried(look(dana_desk, visit), "assignments") | {"engineer": id_}
    answer = dana_desk.post(f"/desk/visits/{visit.id}/assignments", data=form)
    assert answer.status_code == 422
    assert "Engineer is not one of the choices." in answer.text


def test_a_decision_on_something_unseen_is_asked_for_again(visit, eli, erin, dana, dana_desk,
                                                           perform):  # fmt: skip
    page = look(dana_desk, visit)
    perform(visit, dana, ("assignment", {"engineer": eli.id}))
    form = carried(page, "assignments") | {"engineer": erin.id}
    answer = dana_desk.post(f"/desk/visits/{visit.id}/assignments", data=form)
    assert answer.status_code == 409
    assert state_of(visit)["fields"]["assignment"]["value"] == {"engineer": eli.id}
    # the page that came back shows what is there now: the same form may be sent again
    form = carried(answer.text, "assignments") | {"engineer": erin.id}
    assert dana_desk.post(f"/desk/visits/{visit.id}/assignments", data=form).status_code == 303


def enrol(person, heard_at):
    db.session.add(
        Device(
            id=mint_id(heard_at),
            org_id=person.org_id,
            person_id=person.id,
            credential_sha256=mint_id(heard_at),
            browser_text="Mozilla/5.0 (iPhone)",
            enrolled_at=heard_at,
            heard_at=heard_at,
        )
    )
    db.session.commit()


@pytest.mark.parametrize(("minutes", "is_said"), [(58, False), (61, True)])
def test_a_silent_phone_is_pointed_at_before_the_visit_is_given_away(
    minutes, is_said, visit, erin, dana_desk
):
    enrol(erin, datetime.now(UTC) - timedelta(minutes=minutes))
    assert ("it may hold entries that nobody has seen" in look(dana_desk, visit)) is is_said


def test_a_visit_under_way_is_pointed_at_too(visit, erin, dana_desk, perform):
    enrol(erin, datetime.now(UTC))
    assert "under way" not in look(dana_desk, visit)
    perform(visit, erin, ("arrival", {"outcome": "present"}))
    assert "1 visit is under way." in look(dana_desk, visit)


def test_a_remark_reaches_erins_page(visit, erin, dana_desk, browse):
    form = {"text": "alarm receiver also beeps"}
    assert dana_desk.post(f"/desk/visits/{visit.id}/remarks", data=form).status_code == 303
    assert "alarm receiver also beeps" in browse(erin).get(f"/visits/{visit.id}").text
    answer = dana_desk.post(f"/desk/visits/{visit.id}/remarks", data={"text": ""})
    assert answer.status_code == 422


def test_a_cancellation_needs_its_reason(visit, dana_desk):
    form = carried(look(dana_desk, visit), "cancellations")
    url = f"/desk/visits/{visit.id}/cancellations"
    assert dana_desk.post(url, data=form).status_code == 422
    assert dana_desk.post(url, data=form | {"reason": "solved by phone"}).status_code == 303
    assert state_of(visit)["visit"]["status"] == "cancelled"


def test_dana_voids_an_entry_that_exists(visit, erin, dana_desk, perform):
    perform(visit, erin, ("note", {"text": "wrong visit"}))
    (note,) = [entry for entry in state_of(visit)["entries"] if entry["kind"] == "note"]
    url = f"/desk/visits/{visit.id}/voids"
    assert dana_desk.post(url, data={"entry": note["id"]}).status_code == 422
    assert dana_desk.post(url, data={"entry": "nothing", "reason": "x"}).status_code == 404
    form = {"entry": note["id"], "reason": "belongs to PG-2"}
    assert dana_desk.post(url, data=form).status_code == 303
    assert "Void: belongs to PG-2" in look(dana_desk, visit)


def test_what_the_desk_does_not_perform_has_no_page(visit, dana_desk):
    for noun in ("arrivals", "corrections", "no-such"):
        assert dana_desk.post(f"/desk/visits/{visit.id}/{noun}", data={}).status_code == 404
    assert dana_desk.get(f"/desk/visits/{visit.id}/remarks").status_code == 303


# Review


def review(page, **form):
    return carried(page, "reviews") | {"rev": hidden(page, "reviews", "rev")} | form


@pytest.fixture
def left(visit, erin, perform):
    """Erin left the site and everything is here."""
    return perform(visit, erin, ("arrival", {"outcome": "present"}), ("leaving", {}))


def test_dana_accepts(left, dana_desk):
    form = review(look(dana_desk, left), verdict="accepted")
    assert dana_desk.post(f"/desk/visits/{left.id}/reviews", data=form).status_code == 303
    assert state_of(left)["visit"]["status"] == "accepted"


def test_what_dana_sends_back_reaches_erins_page(left, erin, dana_desk, browse):
    form = review(look(dana_desk, left), verdict="sent-back")
    answer = dana_desk.post(f"/desk/visits/{left.id}/reviews", data=form)
    assert answer.status_code == 422
    assert "Reason is missing." in answer.text
    form["reason"] = "the serial of the old board is missing"
    assert dana_desk.post(f"/desk/visits/{left.id}/reviews", data=form).status_code == 303
    page = browse(erin).get(f"/visits/{left.id}").text
    assert "Sent back by the office" in page
    assert "the serial of the old board is missing" in page


def test_a_review_counts_for_what_was_on_the_screen(left, erin, dana_desk, perform):
    page = look(dana_desk, left)
    perform(left, erin, ("note", {"text": "came in meanwhile"}))
    form = review(page, verdict="accepted")
    answer = dana_desk.post(f"/desk/visits/{left.id}/reviews", data=form)
    assert answer.status_code == 409
    assert "came in meanwhile" in answer.text
    assert "review" not in kinds(left)


# What the page shows


def pushed(visit, erin, kind, value, wall_ms, **more):
    body = {
        "id": mint_id(datetime.now(UTC)), "v": 1, "visit": visit.id, "device": "d" * 36, "n": 1,
        "author": erin.id, "kind": kind, "value": value, "supersedes": {}, "wall": wall_ms,
        "mono": 0, "boot": "b", "skew": 0, "app": "1",
    } | more  # fmt: skip
    return body | {"hash": hash_of(body)}


def test_the_phones_own_time_is_shown_when_it_differs_by_a_minute(visit, erin, dana_desk):
    now = datetime.now(UTC)
    org_id, author = visit.org_id, erin
    now_ms = int(now.timestamp() * 1000) // 60_000 * 60_000
    for skew_ms, text in ((59_000, "nearly right"), (60_000, "off")):
        body = pushed(visit, author, "note", {"text": text}, now_ms - 600_000 - skew_ms)
        db.session.commit()
        with unit(org_id, now) as opened:
            opened.receive([body], None, skew_ms)
    page = look(dana_desk, visit)
    for text, is_said in (("nearly right", False), ("off", True)):
        entry = re.search(rf"<article(?:(?!<article).)*>{text}<.*?</article>", page, re.S)[0]
        assert ("by the phone" in entry) is is_said


def test_an_operation_nobody_can_read_is_listed_all_the_same(visit, erin, dana_desk):
    now = datetime.now(UTC)
    strange = [
        pushed(visit, erin, "hologram", {"depth": 3}, 0),
        pushed(visit, erin, "arrival", "not an object", 1),
        pushed(visit, erin, "downtime", {"event": ["start"], "at": 7}, 2),
        pushed(visit, erin, "signature", {"name": {"a": 1}, "role": [], "snapshot": "{"}, 3),
        pushed(visit, erin, "photo", {"sha256": 12}, 4),
        pushed(visit, erin, "void", {"entry": {"x": 1}}, 5),
        pushed(visit, erin, "correction", {"entries/x/y": "lost", "z": 1}, 6),
        pushed(visit, erin, "note", {"text": "<script>alert(1)</script>"}, 7),
    ]
    org_id = visit.org_id
    db.session.commit()
    with unit(org_id, now) as opened:
        opened.receive(strange, None, 0)
    page = look(dana_desk, visit)
    assert "hologram" in page
    assert "kept unread" in page
    assert "{&#34;depth&#34;:3}" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_photo_is_shown_once_it_is_here(visit, erin, dana_desk, perform):
    perform(visit, erin, ("photo", {"sha256": SHA, "caption": "type plate"}))
    url = f"/desk/visits/{visit.id}/photos/{SHA}"
    assert "The photo is still to come." in look(dana_desk, visit)
    assert dana_desk.get(url).status_code == 404
    blobs.store(visit.org_id, SHA, JPEG, datetime.now(UTC))
    assert f'src="{url}"' in look(dana_desk, visit)
    answer = dana_desk.get(url)
    assert (answer.mimetype, answer.data) == ("image/jpeg", JPEG)


def test_a_photo_of_another_visit_is_not_found(visit, place, erin, dana_desk, perform):
    perform(visit, erin, ("photo", {"sha256": SHA}))
    blobs.store(visit.org_id, SHA, JPEG, datetime.now(UTC))
    other = cast.make_visit(place, "PG-2")
    assert dana_desk.get(f"/desk/visits/{other.id}/photos/{SHA}").status_code == 404


def test_a_sealed_revision_is_a_file_and_one_that_is_not_is_none(visit, dana_desk):
    now = datetime.now(UTC)
    db.session.add(
        Report(
            id=mint_id(now), org_id=visit.org_id, visit_id=visit.id, token="t", revision=1,
            name="dispatch-order",
            content_sha256="", sha256="", sealed_at=now, verdict="verified",
        )
    )  # fmt: skip
    url = f"/desk/visits/{visit.id}/reports/1/dispatch-order"
    assert dana_desk.get(url).status_code == 404  # noted, but its file is gone
    blobs.write(visit.org_id, f"reports/{visit.id}/1.pdf", b"%PDF-1.7")
    answer = dana_desk.get(url)
    assert (answer.data, answer.mimetype) == (b"%PDF-1.7", "application/pdf")
    assert "PG-1-1-dispatch-order.pdf" in answer.headers["Content-Disposition"]
    assert f'href="{url}"' in look(dana_desk, visit)
    blobs.write(visit.org_id, f"reports/{visit.id}/2.pdf", b"%PDF-1.7")
    for other in ("2/dispatch-order", "1/inspection-sheet", "1/no-such-paper", "1"):
        assert dana_desk.get(f"/desk/visits/{visit.id}/reports/{other}").status_code == 404


def test_a_contact_changed_after_the_signature_is_said(visit, place, erin, dana_desk, perform):
    state = present([visit], erin, datetime.now(UTC))[0]
    strokes = [[0, 0, 0, 9, 9, 9]]
    perform(visit, erin, ("signature", sign(state, {"name": "Cleo Ash", "role": "contact",
                                                    "strokes": strokes})))  # fmt: skip
    page = look(dana_desk, visit)
    assert "The office holds what was signed" in page
    assert "changed since the signature" not in page
    form = {"was": canonical({"name": "Cleo Ash", "phone": "138-0000-0001",
                              "role_text": "Property", "language": "en"}),
            "name": "Cleo Ash", "phone": "138-0000-0002", "role_text": "Property",
            "language": "en"}  # fmt: skip
    assert dana_desk.post(f"/desk/contacts/{place.contact.id}", data=form).status_code == 303
    page = look(dana_desk, visit)
    assert "changed since the signature" in page
    assert "When signed: Cleo Ash · 138-0000-0001" in page
    assert "The office holds what was signed" in page


NOON = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("events", "minutes", "is_over"),
    [
        ([("start", 0), ("stop", 60)], 60, False),
        ([("start", 0), ("stop", 61)], 61, True),
        ([("start", 0)], 90, True),
        ([("start", 0), ("start", 30)], 90, True),
        ([("start", 0), ("stop", 10), ("start", 40)], 60, False),
    ],
)
def test_downtime_against_its_hour(events, minutes, is_over, visit, erin, perform):
    began_at = NOON - timedelta(minutes=90)
    for event, minute in events:
        at = began_at + timedelta(minutes=minute)
        perform(visit, erin, ("downtime", {"event": event, "at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}))
    visit = db.session.get(Visit, visit.id)
    context = context_of(visit, load_policy("alarm"), NOON)
    found = downtime_of(visit.state | {"context": context}, NOON)
    assert (found["minutes"], found["is_over"]) == (minutes, is_over)
    assert found["limit"] == 60


def test_a_visit_nobody_opened_can_be_looked_at(organisation, erin, dana_desk):
    id_, now, org_id = mint_id(datetime.now(UTC)), datetime.now(UTC), organisation.id
    unknown = Visit(id=id_, org_id=org_id)
    body = pushed(unknown, erin, "note", {"text": "met on the road"}, 0)
    db.session.commit()
    with unit(org_id, now) as opened:
        opened.receive([body], None, 0)
    page = dana_desk.get(f"/desk/visits/{id_}")
    assert page.status_code == 200
    assert "The office does not know this visit yet." in page.text
    assert "met on the road" in page.text


def test_the_page_costs_as_many_queries_for_fifty_entries_as_for_two(
    visit, erin, dana_desk, perform, counted
):
    perform(visit, erin, ("note", {"text": "1"}), ("photo", {"sha256": "b" * 64}))

    def cost():
        with counted() as statements:
            look(dana_desk, visit)
        return len(statements)

    few = cost()
    perform(visit, erin, *[("note", {"text": str(n)}) for n in range(50)])
    assert few == cost() <= 26


def test_the_office_only_looks_and_remembers_no_context(visit, dana_desk):
    from sync.tables import context_block

    before = len(db.session.execute(select(context_block)).all())
    look(dana_desk, visit)
    assert len(db.session.execute(select(context_block)).all()) == before


# Who may


PATHS = ("", "/photos/" + "a" * 64, "/reports/1/dispatch-order", "/remarks")


@pytest.mark.parametrize("path", PATHS)
def test_erin_has_no_desk(path, visit, erin, browse):
    assert browse(erin).get(f"/desk/visits/{visit.id}{path}").status_code == 403


@pytest.mark.parametrize("path", PATHS)
def test_olly_finds_no_visit_of_another_house(path, visit, olly, browse):
    answer = browse(olly).get(f"/desk/visits/{visit.id}{path}")
    assert answer.status_code == 404
    assert "dead since" not in answer.text


@pytest.mark.parametrize("noun", ["remarks", "reviews", "resolutions", "assignments", "voids"])
def test_neither_erin_nor_olly_performs_for_the_office(noun, visit, erin, olly, browse):
    before = kinds(visit)
    url = f"/desk/visits/{visit.id}/{noun}"
    assert browse(erin).post(url, data={"text": "x"}).status_code == 403
    assert browse(olly).post(url, data={"text": "x"}).status_code == 404
    assert kinds(visit) == before


def test_another_site_cannot_write_for_dana(visit, dana_desk):
    answer = dana_desk.post(
        f"/desk/visits/{visit.id}/remarks",
        data={"text": "x"},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403
    assert "remark" not in kinds(visit)
