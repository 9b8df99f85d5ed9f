"""What the tests of the server share: a process that makes papers."""

import pytest

from fieldapp import rates
from fieldapp.rendering import RenderPool


@pytest.fixture(scope="session")
def render_pool():
    """One process for the papers of every test that seals one: it takes seconds to start."""
    with RenderPool(1, seconds=60) as pool:
        yield pool


@pytest.fixture
def fresh_limits():
    """Another minute to the limits of addresses."""
    yield
    rates.limiter.reset()


@pytest.fixture
def anybody(app):
    """A browser of somebody unknown, in English."""
    client = app.test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client
