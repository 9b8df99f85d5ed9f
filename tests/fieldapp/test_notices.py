"""Numbers of loaner notices: each loaner gets one, once and for ever."""

from datetime import UTC, datetime

from fieldapp.ids import mint_id
from fieldapp.perform import unit
from tests import cast
from tests.phones import loaner, now_ms, state_of


def notices(app, visit):
    return [
        entry["notice"] for entry in state_of(app, visit)["entries"] if entry["kind"] == "loaner"
    ]


def test_a_loaner_gets_its_notice_once_and_for_ever(app, organisation, visit, erin_phone):
    erin_phone.push(loaner(erin_phone, visit), loaner(erin_phone, visit, "SP-2"))
    given = notices(app, visit)
    day = datetime.now(UTC).astimezone(cast.MORNING.tzinfo)
    assert len(set(given)) == 2
    assert all(number.startswith("TH-") and number.endswith(("-001", "-002")) for number in given)
    assert day.year == int(given[0][3:7])
    with app.app_context(), unit(organisation, datetime.now(UTC)) as opened:
        opened.refresh(visit)
    assert notices(app, visit) == given


def test_a_loaner_struck_out_keeps_its_number_and_nobody_else_gets_it(app, visit, erin_phone):
    issue = loaner(erin_phone, visit)
    erin_phone.push(issue)
    (number,) = notices(app, visit)
    erin_phone.push(erin_phone.operation("void", visit, {"entry": issue["id"], "reason": "wrong"}))
    erin_phone.push(loaner(erin_phone, visit, "SP-2"))
    assert number in notices(app, visit)
    assert len(set(notices(app, visit))) == 2


def test_a_loaner_struck_out_before_it_arrived_needs_no_number(app, visit, erin_phone):
    issue = loaner(erin_phone, visit)
    void = erin_phone.operation("void", visit, {"entry": issue["id"], "reason": "wrong"})
    erin_phone.push(void, issue)
    assert notices(app, visit) == [None]


def test_notices_of_two_organisations_count_apart(app, visit, erin_phone, olly, phone_of):
    phone = phone_of(olly)
    elsewhere = mint_id(datetime.now(UTC))
    phone.push(loaner(phone, elsewhere, wall=now_ms()))
    erin_phone.push(loaner(erin_phone, visit, wall=now_ms()))
    assert notices(app, visit) == notices(app, elsewhere)
