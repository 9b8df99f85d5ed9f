"""Every flag tells whoever is at the desk what to do."""

from fieldapp.desk.next_steps import NEXT_STEPS, OTHER, next_step
from fieldapp.languages import load_messages
from sync.problems import KINDS


def test_every_flag_has_its_next_step_and_nothing_else_has():
    assert set(NEXT_STEPS) == {kind.code for kind in KINDS if kind.type == "flag"}


def test_every_next_step_is_a_sentence_in_both_languages():
    chinese = load_messages("desk")["zh_CN"]
    for code, step in {**NEXT_STEPS, "": OTHER}.items():
        assert step.endswith("."), code
        assert str(chinese[step]).endswith("。"), code


def test_a_flag_of_a_newer_version_has_one_too():
    assert next_step("brakes.worn") == OTHER
