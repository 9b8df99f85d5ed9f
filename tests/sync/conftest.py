"""A paper of the day, sealed once for all tests that look at it or break it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bench.paper import SEALED_AT, day_paper
from fieldapp.rendering import report_environment
from sync import glyphs, report, seal, seal_key
from tests.authority import Authority

os.environ["FONTCONFIG_FILE"] = str(glyphs.FONTS_CONF)

OFFICE = "安报通技术服务有限公司"


@pytest.fixture(scope="session")
def root() -> seal_key.SealKey:
    """The office's root."""
    return seal_key.make_root(OFFICE, from_at=SEALED_AT)


@pytest.fixture(scope="session")
def key(root: seal_key.SealKey) -> seal_key.SealKey:
    """The office's key."""
    return seal_key.make_key(OFFICE, from_at=SEALED_AT, root=root)


@pytest.fixture(scope="session")
def unsealed() -> bytes:
    return report.render_report(day_paper(), report_environment("zh_CN"))


@pytest.fixture(scope="session")
def sealed(unsealed: bytes, key: seal_key.SealKey) -> bytes:
    return seal.seal(unsealed, key, reason="工单", location="上海", signed_at=SEALED_AT)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with Authority(tmp_path_factory.mktemp("authority")) as authority:
        yield authority
