"""What a pull brings: everybody gets what is his, all of it, and nothing else."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from fieldapp.ids import mint_id
from fieldapp.models import Device, Organisation, Visit, WorkOrder, db
from fieldapp.perform import unit
from sync.protocol import MEDIA_TYPE, digest
from tests.fieldapp.exchange.kept import change, rev_of
from tests.phones import PAGE, at_desk, loaner, state_of


def test_erin_pulls_her_visit_with_its_context_and_the_policy_once(visit, erin_phone):
    told = erin_phone.pull()
    assert list(erin_phone.visits) == [visit]
    assert erin_phone.visits[visit]["state"]["context"]["work_order"]["number"] == "PG-1"
    assert told["digest"] == erin_phone.digest
    assert told["policy"]["code"] == "alarm"
    assert erin_phone.ask(policy=told["policy_version"]).json["policy"] is None


def test_a_pull_without_news_brings_nothing(visit, erin_phone):
    erin_phone.pull()
    told = erin_phone.pull()
    assert (told["changed"], told["removed"], told["more"]) == ([], [], False)
    assert told["digest"] == erin_phone.digest


def test_a_pull_needs_credential_and_session(app, visit, erin, eli, erin_phone, client_of):
    body = json.dumps({"protocol": 1})
    bare = erin_phone.wire.post("/sync/pull", data=body, headers=erin_phone.headers)
    assert (bare.status_code, bare.json["problem"]) == (401, "access.sign-in")
    of_eli = client_of(eli).post("/sync/pull", data=body, headers=erin_phone.headers | PAGE)
    assert (of_eli.status_code, of_eli.json["problem"]) == (401, "access.sign-in")
    cookie = client_of(erin).post(
        "/sync/pull", data=body, headers={"Content-Type": MEDIA_TYPE} | PAGE
    )
    assert (cookie.status_code, cookie.json["problem"]) == (401, "access.missing-device")


def test_an_old_session_pauses_the_pull_and_not_the_push(visit, erin_phone):
    with erin_phone.browser.session_transaction() as session:
        session["since"] = int(time.time()) - 31 * 24 * 3600
    assert erin_phone.ask().json["problem"] == "access.sign-in"
    assert erin_phone.receipts(erin_phone.note(visit)) == [("merged", [])]


def test_a_revoked_phone_pulls_nothing(app, visit, erin_phone):
    change(app, Device, erin_phone.device, revoked_at=datetime.now(UTC))
    response = erin_phone.ask()
    assert (response.status_code, response.json["problem"]) == (403, "access.revoked")
    assert response.json["args"] == {
        "device": erin_phone.device
    }  # it deletes nothing for another's


def test_a_pull_comes_in_pages(visit_of, erin, erin_phone, monkeypatch):
    from sync import scope

    visits = {visit_of(erin, f"PG-{number}") for number in range(7)}
    monkeypatch.setattr(scope.changes, "__defaults__", (3,))
    sizes = []
    more = True
    while more:
        told = erin_phone.ask().json
        erin_phone.cursor, more = told["cursor"], told["more"]
        sizes.append(len(told["changed"]))
        erin_phone.visits |= {item["visit"]: item for item in told["changed"]}
    assert sizes == [3, 3, 1]
    assert set(erin_phone.visits) == visits
    assert told["digest"] == erin_phone.digest


def test_pages_may_cut_through_one_revision(
    app, organisation, visit_of, erin, erin_phone, monkeypatch
):
    from sync import scope

    visits = {visit_of(erin, f"PG-{number}") for number in range(5)}
    erin_phone.pull()
    with app.app_context(), unit(organisation, datetime.now(UTC)) as opened:
        for visit_id in visits:
            opened.touch(visit_id)
    erin_phone.visits.clear()
    monkeypatch.setattr(scope.changes, "__defaults__", (2,))
    told = erin_phone.pull()
    assert set(erin_phone.visits) == visits
    assert told["digest"] == erin_phone.digest


def test_a_visit_assigned_without_any_other_change_arrives(app, visit, dana, eli, phone_of):
    phone = phone_of(eli)
    phone.pull()
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    told = phone.pull()
    assert list(phone.visits) == [visit]
    assert told["digest"] == phone.digest


def test_a_visit_that_went_to_eli_leaves_erin_with_a_reason(app, visit, dana, eli, erin_phone):
    erin_phone.pull()
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    told = erin_phone.pull()
    assert erin_phone.removed == {visit: "reassigned"}
    assert told["digest"] == erin_phone.digest == digest({})


def test_a_visit_that_comes_back_arrives_again(app, visit, dana, erin, eli, erin_phone):
    erin_phone.pull()
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    erin_phone.pull()
    at_desk(app, dana, visit, ("assignment", {"engineer": erin.id}))
    told = erin_phone.pull()
    assert list(erin_phone.visits) == [visit]
    assert told["digest"] == erin_phone.digest


def test_away_and_back_in_one_transaction_stays(app, visit, dana, erin, eli, erin_phone):
    at_desk(
        app,
        dana,
        visit,
        ("assignment", {"engineer": eli.id}),
        ("assignment", {"engineer": erin.id}),
    )
    assert erin_phone.pull()["digest"] == erin_phone.digest
    assert list(erin_phone.visits) == [visit]


def test_eli_is_told_nothing_of_erins_visit(visit, eli, phone_of):
    phone = phone_of(eli)
    told = phone.pull()
    assert (told["changed"], told["removed"]) == ([], [])
    assert phone.pull(held={visit: 1})["changed"] == []


def test_a_phone_that_lost_count_gets_exactly_the_difference(visit_of, erin, erin_phone):
    visits = [visit_of(erin, f"PG-{number}") for number in range(4)]
    erin_phone.pull()
    right = dict(erin_phone.revisions)
    wrong = right | {visits[0]: right[visits[0]] - 1, "gone": 3}
    del wrong[visits[1]]
    told = erin_phone.ask(held=wrong).json
    assert sorted(item["visit"] for item in told["changed"]) == sorted(visits[:2])
    assert told["removed"] == [{"visit": "gone", "reason": "unassigned"}]
    assert erin_phone.ask(held=right).json["changed"] == []


@pytest.mark.parametrize("odd", [{"a": None}, {"a": [1]}, {"a": "1"}, []])
def test_an_odd_difference_is_answered(visit, erin_phone, odd):
    assert erin_phone.ask(held=odd).status_code == 200


def test_another_epoch_starts_from_the_beginning(app, organisation, visit, erin_phone):
    erin_phone.pull()
    assert erin_phone.pull()["changed"] == []
    change(app, Organisation, organisation, epoch=mint_id(datetime.now(UTC)))
    erin_phone.visits.clear()
    erin_phone.pull()
    assert list(erin_phone.visits) == [visit]


@pytest.mark.parametrize("cursor", ["nonsense", "////", 7, None, {"a": 1}, "w7w="])
def test_an_unreadable_cursor_starts_from_the_beginning(visit, erin_phone, cursor):
    erin_phone.cursor = cursor
    assert [item["visit"] for item in erin_phone.ask().json["changed"]] == [visit]


def test_a_revision_belongs_to_the_state_beside_it(app, visit, dana, erin_phone, monkeypatch):
    """Somebody writes between reading the visits and answering."""
    from fieldapp import presentation

    remember = presentation._remember

    def slowly(*arguments):
        remember(*arguments)
        patch.setattr(presentation, "_remember", remember)
        thread = threading.Thread(
            target=at_desk, args=(app, dana, visit, ("remark", {"text": "hurry"}))
        )
        thread.start()
        thread.join()

    with monkeypatch.context() as patch:
        patch.setattr(presentation, "_remember", slowly)
        first = erin_phone.pull()["changed"][0]
    assert first["state"]["entries"] == []
    second = erin_phone.pull()["changed"][0]
    assert second["rev"] > first["rev"]
    assert [entry["kind"] for entry in second["state"]["entries"]] == ["remark"]


def test_a_visit_without_a_work_order_is_hers_when_the_desk_says_so(app, dana, erin, erin_phone):
    unknown = mint_id(datetime.now(UTC))
    erin_phone.push(erin_phone.note(unknown))
    assert erin_phone.pull()["digest"] == erin_phone.digest == digest({})
    at_desk(app, dana, unknown, ("assignment", {"engineer": erin.id}))
    assert erin_phone.pull()["digest"] == erin_phone.digest
    assert set(erin_phone.visits) == {unknown}


def test_a_visit_of_two_days_on_one_order_is_verified_on_both(
    app, visit, dana, erin, erin_phone, client_of
):
    """The second day's context is the first day's, byte for byte; it was served all the same."""
    with app.app_context():
        first = db.session.get_one(Visit, visit)
        order = db.session.get_one(WorkOrder, first.work_order_id)
        second = mint_id(datetime.now(UTC))
        db.session.add(Visit(id=second, org_id=order.org_id, work_order_id=order.id))
        db.session.commit()
    at_desk(
        app,
        dana,
        second,
        ("fault", {"text": "again", "level": "major"}),
        ("assignment", {"engineer": erin.id}),
    )
    erin_phone.pull()
    assert (
        erin_phone.visits[visit]["state"]["context"]
        == erin_phone.visits[second]["state"]["context"]
    )
    from fieldapp.handover import sign

    value = {"name": "Cleo Ash", "role": "contact", "strokes": [[1, 1, 1, 2, 2, 2]]}
    for visit_id in (visit, second):
        signed = sign(erin_phone.visits[visit_id]["state"], value)
        assert erin_phone.receipts(erin_phone.operation("signature", visit_id, signed)) == [
            ("merged", [])
        ]
        (signature,) = state_of(app, visit_id)["signatures"]
        assert signature["verdict"] == "verified"


# What one visit tells of another


def other_visit(visit_of, eli):
    """A visit of Eli's at the same asset, two days on."""
    return visit_of(eli, "PG-2", appointment_at=datetime.now(UTC) + timedelta(days=2))


def test_erins_loaner_reaches_elis_phone(visit, visit_of, eli, erin_phone, phone_of):
    later, phone = other_visit(visit_of, eli), phone_of(eli)
    phone.pull()
    erin_phone.push(loaner(erin_phone, visit))
    phone.pull()
    (shown,) = phone.visits[later]["state"]["context"]["loaners"]
    assert shown["loaner_serial"] == "SP-1"
    assert shown["notice"].startswith("TH-")


def test_erins_arrival_and_diagnosis_reach_elis_history(
    app, visit, dana, visit_of, eli, erin_phone, phone_of
):
    later, phone = visit_of(eli, "PG-2"), phone_of(eli)
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    at_desk(app, dana, later, ("appointment", {"at": tomorrow}))
    phone.pull()
    erin_phone.push(erin_phone.operation("arrival", visit, {"outcome": "present"}))
    phone.pull()
    (line,) = phone.visits[later]["state"]["context"]["history"]
    assert line["summary_text"] == "dead since 08:40"
    value = {"diagnosis/text": "fuse", "diagnosis/cause": "product", "diagnosis/repair": "on-site"}
    erin_phone.push(erin_phone.operation("diagnosis", visit, value))
    phone.pull()
    (line,) = phone.visits[later]["state"]["context"]["history"]
    assert line["summary_text"] == "fuse"


def test_what_no_other_visit_shows_touches_no_other_visit(app, visit, visit_of, eli, erin_phone):
    later = other_visit(visit_of, eli)
    rev = rev_of(app, later)
    value = {"diagnosis/text": "fuse", "diagnosis/cause": "product", "diagnosis/repair": "on-site"}
    erin_phone.push(
        erin_phone.note(visit),
        erin_phone.operation("departure", visit, {}),
        erin_phone.operation("diagnosis", visit, value),  # before any arrival: no history yet
    )
    assert rev_of(app, later) == rev
    arrival = erin_phone.operation("arrival", visit, {"outcome": "present"})
    erin_phone.push(arrival)
    assert rev_of(app, later) == rev_of(app, visit) > rev
    rev = rev_of(app, later)
    erin_phone.push(arrival, erin_phone.note(visit))
    assert rev_of(app, later) == rev
