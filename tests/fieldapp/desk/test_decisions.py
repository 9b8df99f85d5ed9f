"""Conflicts, flags and what is kept apart are settled by somebody, and opened again."""

from datetime import UTC, datetime

import pytest

from fieldapp.models import Visit, db
from fieldapp.perform import journal_of
from tests import cast
from tests.fieldapp.desk.forms import (
    SWAP,
    enrol,
    hidden,
    look,
    open_flags,
    part,
    push,
    pushed,
    state_of,
)


def page_of(visit):
    return f"/desk/visits/{visit.id}"


def kinds(visit):
    return [row.kind for row in journal_of(visit)]


@pytest.fixture
def flagged(visit, erin, perform):
    """Erin noted the same board twice."""
    return perform(visit, erin, ("swap", SWAP), ("swap", SWAP))


@pytest.fixture
def dismissed(flagged, dana_desk):
    form = {"flag": hidden(look(dana_desk, page_of(flagged)), "dismissals", "flag")}
    form["reason"] = "two boards of one number"
    assert dana_desk.post(f"{page_of(flagged)}/dismissals", data=form).status_code == 303
    return flagged


@pytest.fixture
def apart(visit, erin):
    """Erin's phone was revoked before it sent a note."""
    phone = enrol(erin, revoked_at=datetime.now(UTC))
    push(phone, pushed(visit, erin, "note", {"text": "wet floor"}, phone))
    return visit


@pytest.fixture
def conflict(visit, dana, erin, perform):
    heads = {"fault/text": state_of(visit)["fields"]["fault/text"]["heads"]}
    perform(visit, erin, ("fault", {"text": "no light at all"}, heads))
    return perform(visit, dana, ("fault", {"text": "power board"}, heads))


@pytest.fixture
def settled(conflict, dana_desk):
    page = look(dana_desk, page_of(conflict))
    sides = state_of(conflict)["fields"]["fault/text"]["sides"]
    form = {"path": "fault/text", "heads": hidden(page, "resolutions", "heads")}
    form["choice"] = sides[0]["operation"]
    assert dana_desk.post(f"{page_of(conflict)}/resolutions", data=form).status_code == 303
    return conflict


def newest(visit, kind):
    return [row.id for row in journal_of(visit) if row.kind == kind][-1]


# Flags


def test_a_flag_says_what_to_do_and_who_dismissed_it(flagged, dana_desk):
    said = part(look(dana_desk, page_of(flagged)), "flag-1")
    assert "Serial number B-2 was installed more than once." in said
    assert "Next step: Compare the photos of the type plate" in said
    assert "Erin Ng" in said
    assert db.session.get(Visit, flagged.id).flag_count == 1


def test_dana_dismisses_a_flag_with_her_reason(dismissed, dana_desk):
    said = part(look(dana_desk, page_of(dismissed)), "flag-dismissed-1")
    assert "Dismissed by Dana Roy" in said
    assert "two boards of one number" in said
    assert open_flags(dismissed) == []
    assert db.session.get(Visit, dismissed.id).flag_count == 0


def test_flags_that_say_the_same_are_dismissed_together(visit, erin, dana_desk):
    phone = enrol(erin)
    notes = [
        pushed(visit, erin, "note", {"text": text}, phone, n) for n, text in enumerate("ab", 1)
    ]
    push(phone, *notes, skew_ms=600_000)
    page = look(dana_desk, page_of(visit))
    assert "Dismiss all 2" in page
    names = [f"{note['id']} clock.skew" for note in notes]
    form = {"flag": names, "reason": "she knows"}
    assert dana_desk.post(f"{page_of(visit)}/dismissals", data=form).status_code == 303
    assert open_flags(visit) == []
    assert kinds(visit).count("dismissal") == 2


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301])
def test_a_flag_is_not_dismissed_without_a_proper_reason(reason, flagged, dana_desk):
    form = {"flag": hidden(look(dana_desk, page_of(flagged)), "dismissals", "flag")}
    answer = dana_desk.post(f"{page_of(flagged)}/dismissals", data=form | {"reason": reason})
    assert answer.status_code == 422
    assert "Reason is" in part(answer.text, "flag-1")
    assert open_flags(flagged) == ["part.serial-twice"]


def test_a_flag_dismissed_meanwhile_keeps_what_was_entered(flagged, dana_desk):
    form = {"flag": hidden(look(dana_desk, page_of(flagged)), "dismissals", "flag")}
    url = f"{page_of(flagged)}/dismissals"
    assert dana_desk.post(url, data=form | {"reason": "first"}).status_code == 303
    answer = dana_desk.post(url, data=form | {"reason": "second thoughts"})
    assert answer.status_code == 409
    assert "Somebody else changed this meanwhile" in answer.text
    assert "second thoughts" in answer.text
    assert kinds(flagged).count("dismissal") == 1


@pytest.mark.parametrize(
    ("flag", "status"),
    [
        (None, 404),
        ("{entry} no.such-flag", 404),
        ("{entry} form.stale", 404),  # a problem, no flag
        ("00000000-0000-7000-8000-000000000000 part.serial-twice", 404),
        ("part.serial-twice", 404),
        ("{entry} clock.skew", 409),  # it could have been there
    ],
)
def test_what_is_no_flag_of_the_visit_is_not_dismissed(flag, status, flagged, dana_desk):
    form = {"reason": "x"}
    if flag is not None:
        form["flag"] = flag.format(entry=newest(flagged, "swap"))
    assert dana_desk.post(f"{page_of(flagged)}/dismissals", data=form).status_code == status
    assert "dismissal" not in kinds(flagged)


# Quarantine


def test_what_is_kept_apart_is_shown_whole(apart, dana_desk):
    said = part(look(dana_desk, page_of(apart)), "apart-1")
    for text in ("Kept apart: Note", "wet floor", "Erin Ng's phone · iPhone", "had been revoked"):
        assert text in said
    assert [entry for entry in state_of(apart)["entries"] if entry["kind"] == "note"] == []


def test_what_dana_releases_counts(apart, dana_desk):
    form = {"entry": newest(apart, "note"), "reason": "her own words"}
    assert dana_desk.post(f"{page_of(apart)}/releases", data=form).status_code == 303
    state = state_of(apart)
    assert [entry["value"]["text"] for entry in state["entries"]] == ["wet floor"]
    assert state["quarantine"] == []
    # the flag stays until somebody dismisses it
    assert open_flags(apart) == ["device.revoked"]


def test_a_dismissed_flag_leaves_the_operation_apart(apart, dana_desk):
    form = {"flag": f"{newest(apart, 'note')} device.revoked", "reason": "not hers"}
    assert dana_desk.post(f"{page_of(apart)}/dismissals", data=form).status_code == 303
    assert open_flags(apart) == []
    assert [item["value"] for item in state_of(apart)["quarantine"]] == [{"text": "wet floor"}]
    assert "not hers" in part(look(dana_desk, page_of(apart)), "apart-1")


def test_a_release_needs_its_reason_and_its_entry(apart, dana_desk):
    url, entry = f"{page_of(apart)}/releases", newest(apart, "note")
    answer = dana_desk.post(url, data={"entry": entry})
    assert answer.status_code == 422
    assert "Reason is missing." in part(answer.text, "apart-1")
    assert dana_desk.post(url, data={"entry": "x", "reason": "y"}).status_code == 404
    assert dana_desk.post(url, data={"reason": "y"}).status_code == 404
    fault = newest(apart, "fault")  # never was apart
    assert dana_desk.post(url, data={"entry": fault, "reason": "y"}).status_code == 409
    assert len(state_of(apart)["quarantine"]) == 1


def test_what_was_released_meanwhile_is_said(apart, dana_desk):
    form = {"entry": newest(apart, "note"), "reason": "her own words"}
    dana_desk.post(f"{page_of(apart)}/releases", data=form)
    answer = dana_desk.post(f"{page_of(apart)}/releases", data=form | {"reason": "mine too"})
    assert answer.status_code == 409
    assert "mine too" in answer.text
    assert kinds(apart).count("release") == 1


# Conflicts


def test_a_conflict_settled_meanwhile_keeps_what_was_entered(conflict, dana_desk):
    page = look(dana_desk, page_of(conflict))
    form = {"path": "fault/text", "heads": hidden(page, "resolutions", "heads")}
    sides = state_of(conflict)["fields"]["fault/text"]["sides"]
    url = f"{page_of(conflict)}/resolutions"
    dana_desk.post(url, data=form | {"choice": sides[0]["operation"]})
    mine = {"choice": "other", "text": "both of them, I think"}
    answer = dana_desk.post(url, data=form | mine)
    assert answer.status_code == 409
    assert "You had entered: both of them, I think" in " ".join(
        answer.text.replace('<span class="paragraph">', "").split()
    )
    answer = dana_desk.post(url, data=form | {"choice": sides[1]["operation"]})
    assert f'entered: <span class="paragraph">{sides[1]["value"]}' in answer.text
    assert kinds(conflict).count("resolution") == 1


def test_each_side_says_who_when_and_on_which_phone(visit, erin, dana, dana_desk, perform):
    heads = {"fault/text": state_of(visit)["fields"]["fault/text"]["heads"]}
    phone = enrol(erin)
    body = pushed(visit, erin, "fault", {"fault/text": "no light"}, phone, supersedes=heads)
    push(phone, body, skew_ms=-120_000)
    perform(visit, dana, ("fault", {"text": "power board"}, heads))
    said = part(look(dana_desk, page_of(visit)), "conflict-1")
    assert "no light Erin Ng · " in said
    assert "by the phone's clock" in said
    assert "Erin Ng's phone · iPhone" in said
    assert "power board Dana Roy · " in said
    assert "Office" in said


# Taken back


def test_a_settled_conflict_is_opened_again(settled, dana_desk):
    assert not state_of(settled)["fields"]["fault/text"]["conflict"]
    form = {"entry": newest(settled, "resolution"), "reason": "I read it wrong"}
    assert dana_desk.post(f"{page_of(settled)}/reopenings", data=form).status_code == 303
    cell = state_of(settled)["fields"]["fault/text"]
    assert cell["conflict"]
    assert len(cell["sides"]) == 2
    page = look(dana_desk, page_of(settled))
    assert "I read it wrong" in part(page, f"op-{form['entry']}")
    assert "Taken back by Dana Roy" in part(page, f"op-{form['entry']}")


def test_a_dismissed_flag_is_opened_again(dismissed, dana_desk):
    form = {"entry": newest(dismissed, "dismissal"), "reason": "not so sure"}
    assert dana_desk.post(f"{page_of(dismissed)}/reopenings", data=form).status_code == 303
    assert open_flags(dismissed) == ["part.serial-twice"]
    assert db.session.get(Visit, dismissed.id).flag_count == 1


def test_a_release_is_taken_back(apart, dana_desk):
    note = newest(apart, "note")
    dana_desk.post(f"{page_of(apart)}/releases", data={"entry": note, "reason": "hers"})
    form = {"entry": newest(apart, "release"), "reason": "not hers"}
    assert dana_desk.post(f"{page_of(apart)}/reopenings", data=form).status_code == 303
    assert [item["id"] for item in state_of(apart)["quarantine"]] == [note]


def test_a_cancellation_is_taken_back(visit, dana, dana_desk, perform):
    perform(visit, dana, ("cancellation", {"reason": "solved by phone"}))
    assert state_of(visit)["visit"]["status"] == "cancelled"
    form = {"entry": newest(visit, "cancellation"), "reason": "it is not"}
    assert dana_desk.post(f"{page_of(visit)}/reopenings", data=form).status_code == 303
    assert state_of(visit)["visit"]["status"] == "planned"


def test_what_was_taken_back_meanwhile_is_said(dismissed, dana_desk):
    form = {"entry": newest(dismissed, "dismissal"), "reason": "not so sure"}
    url = f"{page_of(dismissed)}/reopenings"
    assert dana_desk.post(url, data=form).status_code == 303
    answer = dana_desk.post(url, data=form | {"reason": "me neither"})
    assert answer.status_code == 409
    assert "me neither" in answer.text
    assert kinds(dismissed).count("reopening") == 1


def test_not_everything_can_be_taken_back(dismissed, dana_desk):
    url = f"{page_of(dismissed)}/reopenings"
    answer = dana_desk.post(url, data={"entry": newest(dismissed, "swap"), "reason": "x"})
    assert answer.status_code == 422
    assert "can be taken back" in answer.text
    assert dana_desk.post(url, data={"entry": "nothing", "reason": "x"}).status_code == 404
    form = {"entry": newest(dismissed, "dismissal")}
    answer = dana_desk.post(url, data=form)
    assert answer.status_code == 422
    assert "Reason is missing." in answer.text
    assert "reopening" not in kinds(dismissed)


# Who may


NOUNS = ("resolutions", "dismissals", "releases", "reopenings")


@pytest.mark.parametrize("noun", NOUNS)
def test_neither_erin_nor_olly_decides_for_the_office(noun, flagged, erin, olly, browse):
    entry = newest(flagged, "swap")
    form = {
        "entry": entry,
        "flag": f"{entry} part.serial-twice",
        "reason": "x",
        "path": "fault/text",
    }
    url = f"{page_of(flagged)}/{noun}"
    before = kinds(flagged)
    assert browse(erin).post(url, data=form).status_code == 403
    assert browse(olly).post(url, data=form).status_code == 404
    assert kinds(flagged) == before


def test_what_stands_on_another_visit_is_not_decided_here(apart, place, dana_desk):
    other = cast.make_visit(place, "PG-2")
    form = {"entry": newest(apart, "note"), "reason": "x"}
    assert dana_desk.post(f"{page_of(other)}/releases", data=form).status_code == 404
    assert len(state_of(apart)["quarantine"]) == 1


@pytest.mark.parametrize("noun", NOUNS)
def test_the_forms_stand_on_the_visits_page(noun, visit, dana_desk):
    answer = dana_desk.get(f"{page_of(visit)}/{noun}")
    assert (answer.status_code, answer.location) == (303, page_of(visit))
