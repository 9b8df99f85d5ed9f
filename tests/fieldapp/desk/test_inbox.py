"""The inbox: what waits, what it costs to look, and what was settled lately."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from fieldapp.desk.inbox import LATELY, VISITS_A_PAGE
from fieldapp.models import Visit, db
from fieldapp.models.work import TO_SETTLE
from sync.tables import DECISIONS, journal
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


def waiting(page):
    """The number beside the inbox in the navigation."""
    found = re.search(r'href="/desk/inbox"[^>]*>[^<]*(?:<span[^>]*>(\d+)</span>)?', page)
    return int(found[1] or 0)


@pytest.fixture
def busy(visit, dana, erin, perform):
    """A conflict, a flag and a note kept apart on one visit."""
    heads = {"fault/text": state_of(visit)["fields"]["fault/text"]["heads"]}
    perform(visit, erin, ("fault", {"text": "no light"}, heads), ("swap", SWAP), ("swap", SWAP))
    perform(visit, dana, ("fault", {"text": "power board"}, heads))
    phone = enrol(erin, revoked_at=datetime.now(UTC))
    push(phone, pushed(visit, erin, "note", {"text": "wet floor"}, phone))
    return visit


def test_the_inbox_shows_everything_that_waits(busy, dana_desk):
    page = look(dana_desk, "/desk/inbox")
    assert waiting(page) == waiting(look(dana_desk, "/desk/customers")) == 3
    conflict = part(page, "conflict-1-1")
    for said in ("no light", "power board", "Erin Ng", "Dana Roy", "Office"):
        assert said in conflict
    assert "B-2 was installed more than once" in part(page, "flag-1-1")
    assert "Next step: Compare" in part(page, "flag-1-1")
    assert "wet floor" in part(page, "apart-1-1")


def test_an_empty_inbox_says_so(visit, dana_desk):
    page = look(dana_desk, "/desk/inbox")
    assert "Nothing waits for a decision." in page
    assert waiting(page) == 0


def test_dana_goes_on_with_the_inbox(busy, dana_desk):
    page = look(dana_desk, "/desk/inbox")
    side = state_of(busy)["fields"]["fault/text"]["sides"][0]
    back = {"back": hidden(page, "resolutions", "back")}
    form = back | {"path": "fault/text", "heads": hidden(page, "resolutions", "heads")}
    url = f"/desk/visits/{busy.id}"
    answer = dana_desk.post(f"{url}/resolutions", data=form | {"choice": side["operation"]})
    assert (answer.status_code, answer.location) == (303, "/desk/inbox")
    (swap,) = [f["operation"] for f in state_of(busy)["flags"] if f["code"] == "part.serial-twice"]
    form = back | {"flag": f"{swap} part.serial-twice", "reason": "two boards"}
    assert dana_desk.post(f"{url}/dismissals", data=form).location == "/desk/inbox"
    entry = state_of(busy)["quarantine"][0]["id"]
    form = back | {"entry": entry, "reason": "hers"}
    assert dana_desk.post(f"{url}/releases", data=form).location == "/desk/inbox"
    page = look(dana_desk, "/desk/inbox")
    assert waiting(page) == 1  # the flag of what was released
    assert open_flags(busy) == ["device.revoked"]
    lately = part(page, "lately")
    for said in ("Settled lately", "Resolution", "Dismissed flag", "two boards", "Dana Roy"):
        assert said in lately


def test_a_form_of_the_inbox_that_comes_back_still_leads_there(busy, dana_desk):
    page = look(dana_desk, "/desk/inbox")
    form = {"back": "inbox", "flag": hidden(page, "dismissals", "flag"), "reason": ""}
    answer = dana_desk.post(f"/desk/visits/{busy.id}/dismissals", data=form)
    assert answer.status_code == 422
    assert hidden(answer.text, "dismissals", "back") == "inbox"
    # no other address is ever gone to
    form |= {"back": "https://elsewhere.example", "reason": "x"}
    answer = dana_desk.post(f"/desk/visits/{busy.id}/dismissals", data=form)
    assert answer.location == f"/desk/visits/{busy.id}"


def test_what_was_settled_lately_is_taken_back_from_the_inbox(busy, dana_desk):
    entry = state_of(busy)["quarantine"][0]["id"]
    url = f"/desk/visits/{busy.id}"
    dana_desk.post(f"{url}/releases", data={"entry": entry, "reason": "hers"})
    release = hidden(part_of(look(dana_desk, "/desk/inbox"), "lately"), "reopenings", "entry")
    form = {"back": "inbox", "entry": release, "reason": "not hers"}
    assert dana_desk.post(f"{url}/reopenings", data=form).location == "/desk/inbox"
    said = part(look(dana_desk, "/desk/inbox"), f"lately-{release}")
    assert "Taken back by Dana Roy" in said
    assert "not hers" in said
    assert "action=" not in said


def part_of(page, id_):
    return page[page.index(f'id="{id_}"') :]


def test_only_the_newest_decisions_are_listed(visit, erin, dana, dana_desk, perform):
    perform(visit, erin, *[("swap", SWAP)] * 2)
    flag = state_of(visit)["flags"][0]
    start = datetime.now(UTC) - timedelta(hours=1)
    for n in range(LATELY + 2):
        value = {"entry": flag["operation"], "code": flag["code"], "reason": f"reason {n:03}"}
        perform(visit, dana, ("dismissal", value), at=start + timedelta(minutes=n))
    page = part_of(look(dana_desk, "/desk/inbox"), "lately")
    assert page.count('id="lately-') == LATELY
    assert "reason 011" in page
    assert "reason 001" not in page


def test_a_long_inbox_has_pages_the_newest_appointment_first(
    organisation, erin, dana, dana_desk, perform
):
    for n in range(VISITS_A_PAGE + 1):
        visit = cast.make_visit(cast.make_place(organisation, f"D{n}"), f"PG-{n:03}")
        at = f"{datetime.now(UTC) - timedelta(days=n):%Y-%m-%dT%H:%M:%SZ}"
        perform(visit, dana, ("appointment", {"at": at}), ("assignment", {"engineer": erin.id}))
        perform(visit, erin, ("swap", SWAP), ("swap", SWAP))
    first, second = (look(dana_desk, f"/desk/inbox?page={n}") for n in (1, 2))
    numbers = re.compile(r">(PG-\d{3})<")
    assert numbers.findall(first) == [f"PG-{n:03}" for n in range(VISITS_A_PAGE)]
    assert numbers.findall(second) == [f"PG-{VISITS_A_PAGE:03}"]
    assert waiting(first) == VISITS_A_PAGE + 1
    for strange in ("0", "-3", "x", "999999999999999999999"):
        assert dana_desk.get(f"/desk/inbox?page={strange}").status_code == 200


def test_the_inbox_costs_as_many_queries_for_ten_visits_as_for_one(
    organisation, visit, erin, dana, dana_desk, perform, counted
):
    perform(visit, erin, ("swap", SWAP), ("swap", SWAP))

    def cost():
        with counted() as statements:
            look(dana_desk, "/desk/inbox")
        return len(statements)

    one = cost()
    for n in range(9):
        made = cast.make_visit(cast.make_place(organisation, f"D{n}"), f"PG-{n:03}")
        perform(made, dana, ("assignment", {"engineer": erin.id}))
        perform(made, erin, ("swap", SWAP), ("swap", SWAP))
    assert one == cost() <= 30


def test_the_archive_is_not_looked_at(sqlite, visit):
    condition = (Visit.org_id == visit.org_id, text(f"({TO_SETTLE})"))
    lately = (journal.c.org_id == visit.org_id, text(DECISIONS))
    for query, index in (
        (select(Visit.conflict_count + Visit.flag_count).where(*condition), "visit_to_settle"),
        (select(journal.c.id).where(*lately), "journal_of_decisions"),
    ):
        compiled = query.compile(db.engine, compile_kwargs={"literal_binds": True})
        plan = db.session.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all()
        assert all(index in str(row) for row in plan), plan


def test_a_visit_nobody_opened_waits_in_the_inbox(organisation, erin, dana_desk):
    phone = enrol(erin)
    push(phone, pushed(Visit(id="u" * 36), erin, "note", {"text": "met on the road"}, phone))
    page = look(dana_desk, "/desk/inbox")
    assert "The office does not know this visit yet." in page
    assert "open a work order for it" in page


def test_erin_has_no_inbox_and_olly_sees_only_his_own(busy, erin, olly, browse):
    assert browse(erin).get("/desk/inbox").status_code == 403
    page = look(browse(olly), "/desk/inbox")
    assert "Nothing waits" in page
    assert waiting(page) == 0
    assert "Settled lately" not in page


def test_the_inbox_speaks_chinese(busy, dana, browse):
    page = look(browse(dana, "zh_CN"), "/desk/inbox")
    for said in ("待处理", "两人填写的内容不一致", "隔离中", "Erin Ng的手机", "下一步"):
        assert said in page
