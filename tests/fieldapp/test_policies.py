"""Policy packs: what is in them, what is refused, and that nothing else knows who it works for."""

import ast
import json
import re
from datetime import date
from pathlib import Path

import pytest

from fieldapp.policies import FOLDER, PolicyError, load_policy, read_policy
from sync import catalogue
from sync.canonical import canonical

ROOT = Path(__file__).parents[2]
ALARM = (FOLDER / "alarm.toml").read_text("utf-8")
PACKS = [path.stem for path in sorted(FOLDER.glob("*.toml"))]


@pytest.fixture
def alarm():
    return load_policy("alarm")


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
        if step["needed"] == "signature"
    ]
    assert needed == [
        "arrival", "conduct", "identification", "diagnosis", "measure", "closing", "outcome",
    ]  # fmt: skip
    assert alarm.steps("repair")[0] == {"kind": "departure", "list": "", "needed": "never"}
    assert alarm.steps("no-such-job") == []


def test_a_return_asks_for_the_take_back(alarm):
    assert {"kind": "take-back", "list": "", "needed": "signature"} in alarm.steps("return")


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
    limits = [
        target.minutes
        for target in alarm.targets
        if target.name == name and target.applies(level, distance)
    ]
    assert limits == [minutes]


def test_without_a_level_no_repair_limit_is_promised(alarm):
    names = {target.name for target in alarm.targets if target.applies("", "urban")}
    assert "repair" not in names


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
