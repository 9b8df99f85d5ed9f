"""Which language is spoken to whom."""

import pytest

from fieldapp.languages import language_of_locale


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "zh"}, "zh_CN"),
        ({"LC_MESSAGES": "zh_TW", "LANG": "en_GB.UTF-8"}, "zh_CN"),
        ({"LC_ALL": "zh_CN.gb18030", "LC_MESSAGES": "C", "LANG": "C"}, "zh_CN"),
        ({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_CTYPE": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_terminal_speaks_chinese_to_a_chinese_locale_and_english_to_others(
    environment, language
):
    assert language_of_locale(environment) == language


def test_what_a_phone_names_is_text_at_the_desk(visit, erin_phone, dana, client_of):
    erin_phone.push(
        erin_phone.operation("<img src=x>%d", visit, {"a": 1}),
        erin_phone.operation("fault", visit, {"fault/<b>bold</b>%d": "x"}),
        erin_phone.operation("fault", visit, {"fault/text": "x"}),
    )
    for path in (f"/desk/visits/{visit}", "/desk/inbox"):
        answer = client_of(dana).get(path)
        assert answer.status_code == 200
        assert "<img src=x>" not in answer.text
        assert "<b>bold" not in answer.text
    assert "&lt;img src=x&gt;%d" in answer.text
