"""A server that can be stopped and phones that talk to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from phone import Phone
from PIL import Image
from playwright.sync_api import Browser, Page
from server import Server

LONG = ("test_killed_server.py", "test_long_day.py", "test_looks.py")
"""Begun first: at the end one process would work on them while the others wait."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The demo day on a real server."""
    running = Server(tmp_path / "instance")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def liqiang_phone(chromium: Browser, server: Server) -> Iterator[Phone]:
    """李强's phone, signed in and enrolled."""
    phone = Phone(chromium, server)
    phone.sign_in("liqiang")
    yield phone
    phone.close()


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Page]:
    """A customer's own phone: a browser that nobody signed in to."""
    context = chromium.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN")
    yield context.new_page()
    context.close()


@pytest.fixture
def board_photo(tmp_path: Path) -> Path:
    """A picture of a power board, larger than a phone keeps."""
    path = tmp_path / "电源板.jpg"
    Image.effect_mandelbrot((2400, 1800), (-2, -1.5, 1, 1.5), 60).convert("RGB").save(path)
    return path
