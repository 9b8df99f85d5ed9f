"""Policy packs: what is in them, what is refused, and that nothing else knows who it works for."""

import ast
import itertools
import json
import re
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fieldapp.policies import EXTRA_LISTS, FOLDER, PolicyError, load_policy, read_policy
from sync import catalogue
from sync.canonical import canonical
from sync.missing import WHICH, missing, others_first, steps, to_sign
from sync.papers import DISPATCH_ORDER, paper_named, papers_of
from sync.sla import due_at

ROOT = Path(__file__).parents[2]
ALARM = (FOLDER / "alarm.toml").read_text("utf-8")
PACKS = [path.stem for path in sorted(FOLDER.glob("*.toml"))]
JOBS = [
    (code, job_type) for code in PACKS for job_type in sorted(load_policy(code).data["job_types"])
]
ZONE = "Asia/Shanghai"

READ_BY_RULES = {
    "decisions": {"accepts"},
    "downtime_events": {"start", "stop"},
    "reading_verdicts": {"deviates"},
    "review_verdicts": {"accepted", "sent-back"},
    "test_results": {"passed"},
}
"""Keys that rules and papers know by name: without them a pack would load and not work."""


@pytest.fixture
def alarm():
    return load_policy("alarm")


@pytest.fixture
def multi():
    return load_policy("multi")


@pytest.fixture
def software():
    return load_policy("software")


def state_of(job_type, *said):
    """The state of a visit on which these ``(kind, value)`` were recorded."""
    entries = [{"kind": kind, "value": value, "voids": []} for kind, value in said]
    return {
        "visit": {"downtime_open": False},
        "context": {"work_order": {"job_type": job_type}},
        "fields": {},
        "entries": [entry for entry in entries if entry["kind"] != "signature"],
        "signatures": [entry for entry in entries if entry["kind"] == "signature"],
    }


def done(policy, job_type):
    """What an engineer records who does everything that the customer's signature waits for."""
    return [
        (step["kind"], {WHICH[step["kind"]]: step["list"]} if step["list"] else {})
        for step in policy.steps(job_type)
        if step["needed"] == "signature" and not step["when"]
    ]


def kinds_of(policy, job_type):
    return [step["kind"] for step in policy.steps(job_type)]


def limits(policy, name, level, distance=""):
    return [
        (target.minutes, target.calendar)
        for target in policy.targets
        if target.name == name and target.applies(level, distance)
    ]


def due(policy, name, level, reported):
    """When a promise for something reported falls due, on Shanghai's clock."""
    (target,) = [
        target for target in policy.targets if target.name == name and target.applies(level, "")
    ]
    zone = ZoneInfo(ZONE)
    at = datetime.fromisoformat(reported).replace(tzinfo=zone)
    return due_at(at, target, policy.opening_hours(target.calendar, ZONE)).astimezone(zone)


@pytest.mark.parametrize("code", PACKS)
def test_a_pack_crosses_to_the_phone_as_it_is(code):
    data = load_policy(code).data
    assert json.loads(canonical(data)) == data


@pytest.mark.parametrize("code", PACKS)
def test_a_pack_offers_words_for_every_choice_of_the_catalogue(code):
    policy = load_policy(code)
    for kind in catalogue.KINDS:
        for field in kind.fields:
            if field.choices:
                for key in policy.choices()[field.choices]:
                    words = policy.words(field.choices, key)
                    assert words["zh"] != key
                    assert words["en"] != key


@pytest.mark.parametrize("code", PACKS)
def test_a_pack_gives_every_list_that_is_asked_for_and_no_other(code):
    asked = {field.choices for kind in catalogue.KINDS for field in kind.fields} - {""}
    choices = load_policy(code).choices()
    assert set(choices) == asked | set(EXTRA_LISTS)
    assert all(len(set(keys)) == len(keys) > 0 for keys in choices.values())


@pytest.mark.parametrize("code", PACKS)
def test_a_pack_gives_the_keys_that_rules_know_by_name(code):
    choices = load_policy(code).choices()
    for name, keys in READ_BY_RULES.items():
        assert keys <= set(choices[name]), name
    assert choices["ratings"] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("code", PACKS)
def test_an_organisation_makes_at_most_one_promise_of_a_name_to_anybody(code):
    policy = load_policy(code)
    choices = policy.choices()
    for level, distance in itertools.product(
        ["", *choices["fault_levels"]], ["", *choices["distances"]]
    ):
        names = [target.name for target in policy.targets if target.applies(level, distance)]
        assert len(set(names)) == len(names), (level, distance)


@pytest.mark.parametrize("code", PACKS)
def test_a_promise_has_the_same_words_for_everybody(code):
    targets = load_policy(code).data["targets"]
    words = {(target["name"], target["words"]["zh"], target["words"]["en"]) for target in targets}
    assert len(words) == len({target["name"] for target in targets})


@pytest.mark.parametrize("code", PACKS)
def test_every_check_list_is_asked_for_by_some_job(code):
    policy = load_policy(code)
    asked = {
        step["list"]
        for job_type in policy.data["job_types"]
        for step in policy.steps(job_type)
        if step["kind"] == "step"
    }
    assert asked == set(policy.data["checklists"])


@pytest.mark.parametrize(("code", "job_type"), JOBS)
def test_a_job_has_words_papers_and_a_beginning_and_an_end(code, job_type):
    policy = load_policy(code)
    words = policy.words("job_types", job_type)
    assert words["zh"] != job_type
    assert words["en"] != job_type
    kinds = kinds_of(policy, job_type)
    assert (kinds[0], kinds[1], kinds[-1]) == ("departure", "arrival", "leaving")
    assert policy.papers(job_type)
    assert all("engineer" in catalogue.kind_named(kind).roles for kind in kinds)


@pytest.mark.parametrize(("code", "job_type"), JOBS)
def test_nothing_is_asked_for_twice(code, job_type):
    asked = [(step["kind"], step["list"]) for step in load_policy(code).steps(job_type)]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize(("code", "job_type"), JOBS)
def test_a_job_promises_no_paper_about_what_it_does_not_record(code, job_type):
    policy = load_policy(code)
    for name in policy.papers(job_type):
        about = paper_named(name).about
        assert not about or set(about) & set(kinds_of(policy, job_type)), name


@pytest.mark.parametrize(("code", "job_type"), JOBS)
def test_the_customer_signs_when_the_work_is_done_and_not_before(code, job_type):
    policy = load_policy(code)
    assert missing(state_of(job_type), policy.data)
    assert {"arrival", "outcome"} <= {kind for kind, _ in done(policy, job_type)}
    assert missing(state_of(job_type, *done(policy, job_type)), policy.data) == []
    asked = [step for step in policy.steps(job_type) if step["kind"] == "signature"]
    assert asked
    assert {step["needed"] for step in asked} == {"leaving"}


@pytest.mark.parametrize(("code", "job_type"), JOBS)
def test_the_customer_agrees_before_a_part_moves_and_pays_afterwards(code, job_type):
    kinds = kinds_of(load_policy(code), job_type)
    order = ["quote", "consent", "swap", "loaner", "charge", "invoice", "signature"]
    places = [kinds.index(kind) for kind in order if kind in kinds]
    assert places == sorted(places)
    assert ("quote" in kinds) == ("consent" in kinds)
    assert ("charge" in kinds) == ("invoice" in kinds)


@pytest.mark.parametrize(("code", "job_type"), JOBS)
def test_who_signs_last_is_the_last_who_is_asked(code, job_type):
    policy = load_policy(code)
    asked = [step["list"] for step in policy.steps(job_type) if step["kind"] == "signature"]
    assert policy.data["job_types"][job_type]["signs_last"] in ("", asked[-1])


def test_lists_keep_the_order_of_the_file(alarm):
    outcomes = [item["key"] for item in alarm.data["lists"]["arrival_outcomes"]]
    assert outcomes == ["present", "nobody", "no-access", "wrong-site"]
    assert alarm.words("arrival_outcomes", "nobody") == {"zh": "无人在场", "en": "Nobody there"}


def test_a_key_of_another_version_stands_for_itself(alarm):
    assert alarm.words("causes", "lightning") == {"zh": "lightning", "en": "lightning"}
    assert alarm.words("no-such-list", "x") == {"zh": "x", "en": "x"}


def test_ticks_are_those_of_the_check_list_named(alarm):
    assert "badge" in alarm.choices("conduct")["checklist"]
    assert "badge" not in alarm.choices("closing")["checklist"]
    assert {"badge", "cleaned"} <= set(alarm.choices()["checklist"])
    assert alarm.choices("no-such-list")["checklist"] == []


def test_a_repair_asks_for_what_the_paper_needs(alarm):
    needed = [
        step["list"] or step["kind"]
        for step in alarm.steps("repair")
        if step["needed"] == "signature" and not step["when"]
    ]
    assert needed == [
        "arrival", "conduct", "identification", "diagnosis", "measure", "closing", "outcome",
    ]  # fmt: skip
    assert alarm.steps("repair")[0] == {
        "kind": "departure", "list": "", "needed": "never", "when": "", "each": "",
    }  # fmt: skip
    assert alarm.steps("no-such-job") == []


def test_a_return_asks_for_the_take_back(alarm):
    needed = [step["kind"] for step in alarm.steps("return") if step["needed"] == "signature"]
    assert "take-back" in needed


@pytest.mark.parametrize(
    ("name", "level", "distance", "minutes"),
    [
        ("arrival", "major", "urban", 120),
        ("arrival", "major", "county", 720),
        ("contact", "", "urban", 60),
        ("fix", "accessory", "county", 48 * 60),
        ("repair", "major", "urban", 3 * 24 * 60),
        ("repair", "accessory", "urban", 24 * 60),
        ("downtime", "major", "county", 60),
    ],
)
def test_limits_of_the_trade(alarm, name, level, distance, minutes):
    assert limits(alarm, name, level, distance) == [(minutes, "always")]


def test_without_a_level_no_repair_limit_is_promised(alarm):
    names = {target.name for target in alarm.targets if target.applies("", "urban")}
    assert "repair" not in names


@pytest.mark.parametrize(
    ("name", "level", "distance", "limit"),
    [
        ("contact", "machine", "local", (120, "office")),
        ("contact", "building", "outlying", (24 * 60, "always")),
        ("contact", "level-1", "local", (10, "always")),
        ("contact", "level-2", "local", (10, "always")),
        ("contact", "level-3", "local", (30, "always")),
        ("arrival", "heater", "local", (4 * 60, "always")),
        ("arrival", "heater", "outlying", (12 * 60, "always")),
        ("arrival", "level-1", "outlying", (24 * 60, "always")),
    ],
)
def test_a_dealer_promises_each_trade_its_own(multi, name, level, distance, limit):
    assert limits(multi, name, level, distance) == [limit]


@pytest.mark.parametrize(
    ("name", "level", "limit"),
    [
        ("contact", "urgent", (120, "always")),
        ("contact", "ordinary", (120, "office")),
        ("arrival", "urgent", (24 * 60, "always")),
        ("arrival", "ordinary", (24 * 60, "always")),
        ("fix", "urgent", (48 * 60, "always")),
        ("fix", "ordinary", (48 * 60, "always")),
    ],
)
def test_limits_of_a_software_house(software, name, level, limit):
    assert limits(software, name, level) == [limit]


@pytest.mark.parametrize("code", ["multi", "software"])
def test_what_is_no_fault_has_no_limit(code):
    policy = load_policy(code)
    assert [target for target in policy.targets if target.applies("", "local")] == []


def test_two_hours_on_a_friday_evening_end_on_monday_unless_it_is_urgent(software):
    evening = "2026-03-13T17:00"
    assert f"{due(software, 'contact', 'urgent', evening):%a %H:%M}" == "Fri 19:00"
    assert f"{due(software, 'contact', 'ordinary', evening):%a %H:%M}" == "Mon 10:30"


def test_a_machine_that_breaks_down_on_a_holiday_is_answered_on_the_day_worked_after_it(multi):
    assert f"{due(multi, 'contact', 'machine', '2026-10-01T09:00'):%m-%d %H:%M}" == "10-08 10:30"
    assert f"{due(multi, 'contact', 'building', '2026-10-01T09:00'):%m-%d %H:%M}" == "10-02 09:00"
    worked = due(multi, "contact", "machine", "2026-10-10T08:00")  # a Saturday
    assert f"{worked:%m-%d %H:%M}" == "10-10 10:30"


TRAINED = ("training", {"names": "吴芳\n钱伟\n丁磊"})
TRAINEES = [("signature", {"role": "trainee", "name": name}) for name in ("吴芳", "钱伟", "丁磊")]


@pytest.mark.parametrize("job_type", ["implementation", "training"])
def test_the_responsible_person_signs_after_all_the_trainees(software, job_type):
    responsible = {"role": "responsible"}
    for count in range(4):
        state = state_of(job_type, *done(software, job_type), TRAINED, *TRAINEES[:count])
        missing_names = [one["name"] for one in to_sign(state, software.data)]
        assert missing_names == [*["吴芳", "钱伟", "丁磊"][count:], ""]
        found = [one["code"] for one in others_first(state, software.data, responsible)]
        assert found == (["signature.others-first"] if count < 3 else [])


@pytest.mark.parametrize("job_type", ["implementation", "training"])
def test_a_refusal_stands_in_place_of_every_trainee(software, job_type):
    state = state_of(job_type, *done(software, job_type), TRAINED, TRAINEES[0], ("refusal", {}))
    assert to_sign(state, software.data) == []


def test_an_implementation_yields_its_sheet_and_an_acceptance_list_where_somebody_was_trained(
    software,
):
    papers = software.papers("implementation")
    trained = {"entries": [{"kind": "arrival"}, {"kind": "training"}]}
    sheets = ["implementation-sheet", "acceptance-list", "feedback-form"]
    assert papers_of(papers, trained) == sheets
    assert papers_of(papers, {"entries": []}) == ["implementation-sheet", "feedback-form"]
    assert papers_of(software.papers("training"), trained) == ["acceptance-list", "feedback-form"]
    installed = {"entries": [{"kind": "arrival"}]}
    assert papers_of(software.papers("installation"), installed) == ["implementation-sheet"]


CHARGED = [job for job in JOBS if "charge" in kinds_of(load_policy(job[0]), job[1])]


def test_every_pack_charges_somewhere():
    assert {code for code, _ in CHARGED} == set(PACKS)


@pytest.mark.parametrize(("code", "job_type"), CHARGED)
def test_what_is_charged_was_quoted_and_agreed_to(code, job_type):
    data = load_policy(code).data
    work = done(load_policy(code), job_type)
    assert missing(state_of(job_type, *work), data) == []
    charged = [*work, ("charge", {})]
    asked = [item["kind"] for item in missing(state_of(job_type, *charged), data)]
    assert asked == ["quote", "consent"]
    agreed = state_of(job_type, *charged, ("quote", {}), ("consent", {}))
    assert missing(agreed, data) == []
    needed = {step["kind"]: step["needed"] for step in steps(agreed, data)}
    assert needed["invoice"] == "leaving"
    offered = {step["kind"]: step["needed"] for step in steps(state_of(job_type, *work), data)}
    assert [offered[kind] for kind in ("quote", "consent", "invoice")] == ["never"] * 3


def test_a_trainee_waits_for_nobody_and_a_served_customer_for_no_trainee(software):
    empty = state_of("implementation")
    assert others_first(empty, software.data, {"role": "trainee"}) == []
    assert others_first(state_of("on-site"), software.data, {"role": "responsible"}) == []


def test_an_acceptance_asks_for_the_company_seal_and_lets_it_come_later(software):
    work = [*done(software, "implementation"), ("photo", {"slot": "screen"})]
    before = state_of("implementation", *work)
    assert missing(before, software.data) == []
    stamped = state_of("implementation", *work, ("photo", {"slot": "stamp"}))
    asked = [
        [step["done"] for step in steps(state, software.data) if step["list"] == "stamp"]
        for state in (before, stamped)
    ]
    assert asked == [[False], [True]]


def test_on_site_the_backup_comes_first_and_a_contact_cannot_sign_alone(software):
    kinds = kinds_of(software, "on-site")
    assert kinds.index("backup-statement") < kinds.index("diagnosis") < kinds.index("measure")
    work = done(software, "on-site")
    assert ("backup-statement", {}) in work
    asked = [
        step["done"]
        for role in ("contact", "responsible")
        for step in steps(state_of("on-site", *work, ("signature", {"role": role})), software.data)
        if step["kind"] == "signature"
    ]
    assert asked == [False, True]


def test_a_warranty_record_comes_of_a_warranty_job_with_an_old_part_and_of_nothing_else(multi):
    swapped = {"entries": [{"kind": "arrival"}, {"kind": "swap"}]}
    repaired = {"entries": [{"kind": "arrival"}, {"kind": "measure"}]}
    assert papers_of(multi.papers("warranty"), swapped) == ["warranty-record"]
    assert papers_of(multi.papers("warranty"), repaired) == [DISPATCH_ORDER]
    for code, job_type in JOBS:
        papers = papers_of(load_policy(code).papers(job_type), swapped)
        assert ("warranty-record" in papers) == ((code, job_type) == ("multi", "warranty"))


def test_only_the_served_user_signs_for_a_warranty_repair(multi):
    work = done(multi, "warranty")
    asked = [
        step["done"]
        for role in ("witness", "user")
        for step in steps(state_of("warranty", *work, ("signature", {"role": role})), multi.data)
        if step["kind"] == "signature"
    ]
    assert asked == [False, True]


def test_a_warranty_repair_costs_nothing_and_a_paid_one_is_quoted(multi):
    money = {"quote", "consent", "charge", "invoice"}
    assert money & set(kinds_of(multi, "warranty")) == set()
    assert money <= set(kinds_of(multi, "repair"))


def test_a_paid_repair_yields_its_order_and_the_notice_only_of_a_loaner(multi):
    papers = multi.papers("repair")
    assert {"swap", "loaner", "take-back"} <= set(kinds_of(multi, "repair"))
    assert papers_of(papers, {"entries": [{"kind": "swap"}]}) == ["service-order"]
    for kind in ("loaner", "take-back"):
        assert papers_of(papers, {"entries": [{"kind": kind}]}) == [
            "service-order", "replacement-notice",
        ]  # fmt: skip


def test_an_inspection_yields_its_sheet_with_readings_signed_by_both_engineers(multi):
    assert papers_of(multi.papers("inspection"), {"entries": []}) == ["inspection-sheet"]
    assert ("reading", {}) in done(multi, "inspection")
    ours = state_of("inspection", ("signature", {"role": "engineer"}))
    asked = {
        step["list"]: step["done"]
        for step in steps(ours, multi.data)
        if step["kind"] == "signature"
    }
    assert asked == {"technician": False, "engineer": True}


def test_nobody_scraps_an_old_part_on_site_where_it_has_to_be_judged(multi):
    assert set(multi.choices()["fates"]) == {"appraisal", "truck", "factory", "customer"}


@pytest.mark.parametrize(
    ("code", "start", "months"),
    [("alarm", "commissioning", 12), ("multi", "completion", 12), ("software", "installation", 12)],
)
def test_where_the_asset_says_nothing_the_warranty_is_the_pack_s(code, start, months):
    warranty = load_policy(code).data["warranty"]
    assert (warranty["start"]["key"], warranty["months"]) == (start, months)


def test_numbers_follow_the_pattern(alarm):
    day = date(2026, 3, 10)
    assert alarm.number("request", day, 1) == "BX-20260310-001"
    assert alarm.number("work_order", day, 12) == "PG-20260310-012"
    assert alarm.number("notice", day, 1234) == "TH-20260310-1234"


def test_round_the_clock_is_always_open(alarm):
    assert alarm.opening_hours("always", "Asia/Shanghai").is_always


def test_the_version_changes_with_the_content_and_not_with_the_layout(tmp_path):
    same = tmp_path / "same" / "alarm.toml"
    same.parent.mkdir()
    same.write_text("# another remark\n" + ALARM, "utf-8")
    assert read_policy(same).version == load_policy("alarm").version
    other = tmp_path / "alarm.toml"
    other.write_text(ALARM.replace("minutes = 120", "minutes = 121"), "utf-8")
    assert read_policy(other).version != load_policy("alarm").version


def test_office_hours_with_a_holiday(tmp_path):
    text = ALARM + (
        "[calendars.office]\n"
        'weekly = [["09:00-12:00", "13:00-17:30"], [], [], [], [], [], []]\n'
        'exceptions = { 2026-10-01 = [], 2026-10-10 = ["09:00-12:00"] }\n'
    )
    path = tmp_path / "alarm.toml"
    path.write_text(text, "utf-8")
    hours = read_policy(path).opening_hours("office", "Asia/Shanghai")
    assert hours.weekly[0] == ((540, 720), (780, 1050))
    assert hours.exceptions == {date(2026, 10, 1): (), date(2026, 10, 10): ((540, 720),)}


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ('code = "alarm"', 'code = "other"', "code"),
        ('name = { zh = "报警系统集成商", ', "name = { ", "name.zh"),
        ('phone = { zh = "电话", en = "Phone" }', 'phone = "Phone"', "lists.channels.phone"),
        ('en = "Phone" }', 'en = "Phone", fr = "Téléphone" }', "lists.channels.phone.fr"),
        ("[lists.verdicts]", "[lists.judgements]", "lists.verdicts"),
        ("[lists.verdicts]", "[lists.extra]\na = {zh='a',en='a'}\n[lists.verdicts]", "lists.extra"),
        ("web = {", "Web = {", "lists.channels.Web"),
        ('conduct = { zh = "言行规范", en = "Conduct" }', "", "checklists"),
        ('kind = "departure"', 'kind = "setting-off"', "job_types.repair.steps[0].kind"),
        ('list = "conduct", needed', "needed", "job_types.repair.steps[2].list"),
        ('"arrival", needed = "signature"', '"arrival"', "job_types.repair.steps[1].needed"),
        (
            '"arrival", needed',
            '"arrival", list = "conduct", needed',
            "job_types.repair.steps[1].list",
        ),
        ('when = "charge"', 'when = "change"', "job_types.repair.steps[5].when"),
        (
            '"signature", when = "charge"',
            '"never", when = "charge"',
            "job_types.repair.steps[5].when",
        ),
        (
            '"signature", needed',
            '"signature", list = "contact", each = "photo", needed',
            "job_types.repair.steps[17].each",
        ),
        (
            '"signature", needed',
            '"signature", each = "training", needed',
            "job_types.repair.steps[17].each",
        ),
        (
            '"photo", needed',
            '"photo", list = "other", each = "training", needed',
            "job_types.repair.steps[11].each",
        ),
        ("minutes = 60", 'minutes = "60"', "targets[0].minutes"),
        ("minutes = 60", "minutes = 0", "targets[0].minutes"),
        ("minutes = 60", "minutes = true", "targets[0].minutes"),
        ("minutes = 60", 'minutes = 60\ncalendar = "office"', "targets[0].calendar"),
        ("minutes = 60", 'minutes = 60\nlevle = "major"', "targets[0].levle"),
        ('distance = "urban"', 'distance = "moon"', "targets[1].distance"),
        ('level = "major"', 'level = "huge"', "targets[4].level"),
        ('start = "reported"', 'start = "dreamt"', "targets[0].start"),
        ("BX-{day}-{count:03}", "BX-{day}", "numbers.request"),
        ("BX-{day}-{count:03}", "BX-{date}-{count}", "numbers.request"),
        ("BX-{day}-{count:03}", "BX-{day}-{count:040}", "numbers.request"),
        ('"nobody", "no-access"', '"noone", "no-access"', "without_customer"),
        ('signature = ["refusal"]', 'signature = ["shrug"]', "alternatives.signature"),
        ("months = 12", "months = -1", "warranty.months"),
        ('last_day = "included"', 'last_day = "excluded"', "warranty.last_day"),
        ('weekly = [["00:00-24:00"]', 'weekly = [["00:00-24:30"]', "calendars.always.weekly[0]"),
        ('weekly = [["00:00-24:00"]', 'weekly = [["9-17"]', "calendars.always.weekly[0]"),
        ('weekly = [["00:00-24:00"]', 'weekly = [["09:00-08:00"]', "calendars.always"),
        ('weekly = [["00:00-24:00"], ', "weekly = [", "calendars.always"),
        ('loaner_closed_by = ["passed"]', 'loaner_closed_by = "passed"', "loaner_closed_by"),
        ("lock_minutes = 15", "lock_minutes = -1", "phone.lock_minutes"),
        ("lock_minutes = 15", "lock_minutes = 1441", "phone.lock_minutes"),
        ("lock_minutes = 15", "lock_minutes = true", "phone.lock_minutes"),
        ("lock_minutes = 15", 'lock_minutes = "15"', "phone.lock_minutes"),
        ("lock_minutes = 15", "lock_minute = 15", "phone.lock_minute"),
        ("[phone]\nlock_minutes = 15", "", "phone"),
        ('code = "alarm"', 'code = "alarm"\ncolour = "red"', "colour"),
        ('code = "alarm"', "code = ", "file"),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_key(tmp_path, before, after, key):
    assert before in ALARM
    path = tmp_path / "alarm.toml"
    path.write_text(ALARM.replace(before, after, 1), "utf-8")
    with pytest.raises(PolicyError) as raised:
        read_policy(path)
    assert raised.value.file == "alarm.toml"
    assert raised.value.key == key
    assert str(raised.value).startswith(f"alarm.toml: {key}: ")


@pytest.mark.parametrize("code", ["no-such-pack", "../alarm", "", "Alarm"])
def test_an_absent_pack_is_named(code):
    with pytest.raises(PolicyError, match="no such policy pack"):
        load_policy(code)


CODES = {*PACKS, "000", "001", "002", "003", "004"}


def test_no_python_asks_which_organisation_it_works_for():
    files = [path for top in ("fieldapp", "sync") for path in (ROOT / top).rglob("*.py")]
    asking = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files
        if path.name not in ("demo.py", "config.py") and "policies" not in path.parts
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Compare | ast.MatchValue | ast.Subscript)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and part.value in CODES
    ]
    assert asking == []


def test_no_template_or_script_asks_which_organisation_it_works_for():
    quoted = re.compile(rf"""(["'])({"|".join(sorted(CODES))})\1""")
    asking = [
        f"{path.relative_to(ROOT)}:{number}"
        for top in ("templates", "static/phone", "static/page")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and path.suffix in (".html", ".js", ".txt", ".xml")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if quoted.search(line)
    ]
    assert asking == []
