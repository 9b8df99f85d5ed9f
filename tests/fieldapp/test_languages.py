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
