"""What the template of the paper is told, without making the paper."""

from __future__ import annotations

from typing import Any

from bench.paper import day_paper
from fieldapp import formats
from sync.paper_view import ALL_ROWS, ROWS, PaperView, minutes_between


def view_of(*entries: dict[str, Any], replace_missing: bool = False) -> PaperView:
    """The view of Erin's day with ``entries`` in the place of its own."""
    paper: Any = day_paper()
    paper["snapshot"]["facts"]["entries"] = list(entries)
    return PaperView(paper, set(), replace_missing, formats.money)


def entry(kind: str, number: int = 0, **value: Any) -> dict[str, Any]:
    return {
        "id": f"{kind}-{number}",
        "kind": kind,
        "author": "somebody",
        "wall_at": "2026-03-10T03:59:00Z",
        "value": value,
    }


def test_downtimes_are_paired_in_the_order_of_time() -> None:
    view = view_of(
        entry("downtime", 1, event="stop", at="2026-03-10T03:55:30Z"),
        entry("downtime", 2, event="start", at="2026-03-10T03:20:00Z"),
        entry("downtime", 3, event="stop", at="2026-03-10T02:00:00Z"),
    )
    assert view.downtimes() == [
        {"from_at": None, "until_at": "2026-03-10T02:00:00Z", "minutes": None},
        {"from_at": "2026-03-10T03:20:00Z", "until_at": "2026-03-10T03:55:30Z", "minutes": 35},
    ]


def test_minutes_are_whole_and_below_zero_when_reversed() -> None:
    assert minutes_between("2026-03-10T03:20:00Z", "2026-03-10T03:21:59Z") == 1
    assert minutes_between("2026-03-10T03:21:00Z", "2026-03-10T03:20:00Z") == -1


def test_rows_that_do_not_fit_are_counted() -> None:
    kinds = ("swap", "measure", "note", "arrival")
    view = view_of(*(entry(kind, n) for kind in kinds for n in range(ROWS + 5)))
    printed = [len(view.rows(kind)) for kind in kinds]
    assert printed == [ROWS, ROWS, ROWS, ALL_ROWS - 3 * ROWS]
    assert [view.more(kind) for kind in kinds] == [ROWS + 5 - count for count in printed]
    assert view.more("loaner") == 0


def test_a_withdrawn_entry_has_no_row() -> None:
    view = view_of(
        entry("swap", 1, part_name="BAT-12"), entry("swap", 2), entry("void", 3, entry="swap-2")
    )
    assert [row["value"]["part_name"] for row in view.rows("swap")] == ["BAT-12"]
    assert [void["about"] for void in view.voids()] == [view.label("swap")]


def test_a_value_of_the_wrong_type_is_no_moment_and_no_list() -> None:
    view = view_of(
        entry("measure", 1, text=["a"], completed_at="soon"), entry("step", 2, done="badge")
    )
    (measure,) = view.rows("measure")
    assert (measure["value"]["text"], measure["value"]["completed_at"]) == ('["a"]', None)
    assert view.rows("step")[0]["value"]["done"] == []
    assert view.completed_at() is None


def test_a_character_without_a_glyph_is_spelled_out_only_when_asked() -> None:
    note = entry("note", 1, text="好\U0001f600")
    assert view_of(note).rows("note")[0]["value"]["text"] == "好\U0001f600"
    spelled = view_of(note, replace_missing=True)
    assert spelled.rows("note")[0]["value"]["text"] == "好[U+1F600]"


def test_a_caption_of_any_type_is_printed() -> None:
    view = view_of(entry("photo", 1, sha256="0" * 64, caption=["面板", {"a": 1}]))
    assert [photo["caption"] for photo in view.photos()] == ['["面板", {"a": 1}]']


def charge(number: int, **value: Any) -> dict[str, Any]:
    return entry("charge", number, **{"category": "labour", "quantity": 2} | value)


def test_charges_are_added_up_by_category() -> None:
    view = view_of(
        charge(1, unit_price=12_000),
        charge(2, unit_price=50),
        charge(3, category="material", quantity=1, unit_price=44_000),
    )
    assert view.totals() == {"labour": 24_100, "material": 44_000}
    assert view.money(view.total()) == "¥681.00"


def test_a_charge_that_cannot_be_read_is_printed_and_not_added() -> None:
    prices = ["12", None, -1, True, [1], 1.5, 10**10 + 1]
    odd = [charge(n, unit_price=value) for n, value in enumerate(prices)]
    odd += [charge(n, quantity=value, unit_price=1) for n, value in enumerate([0, 10_000, "2"])]
    view = view_of(*odd, charge(99, unit_price=100))
    assert view.total() == 200
    assert [view.amount_of(one) for one in view.rows("charge")] == [*[None] * 10, 200]


def test_a_currency_nobody_knows_stops_no_paper() -> None:
    paper: Any = day_paper()
    paper["snapshot"]["context"]["organisation"]["currency"] = "MOON"
    view = PaperView(paper, set(), False, formats.money)
    assert (view.money(1205), view.money(None)) == ("12.05", "—")


def test_a_photo_has_its_place_and_names_the_one_without_marks() -> None:
    view = view_of(
        entry("photo", 1, sha256="a" * 64, slot="before", caption="the board", unmarked="b" * 64),
        entry("photo", 2, sha256="c" * 64),
    )
    marked, plain = view.photos()
    assert (marked["slot"], marked["caption"], marked["unmarked"]) == (
        view.word("photo_slots", "before"),
        "the board",
        "b" * 64,
    )
    assert (plain["slot"], plain["caption"], plain["unmarked"]) == ("", "", "")
