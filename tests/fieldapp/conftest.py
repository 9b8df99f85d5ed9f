"""What the tests of the server share: an office that seals papers, and strangers."""

from datetime import UTC, datetime

import pytest

from fieldapp import jobs, keys, rates
from fieldapp.rendering import RenderPool


@pytest.fixture(scope="session")
def render_pool():
    """One process for the papers of every test that seals one: it takes seconds to start."""
    with RenderPool(1, seconds=60) as pool:
        yield pool


@pytest.fixture
def sealing(app, render_pool):
    """The office with its key; it waits for no photo unless a test says so."""
    app.config["PHOTO_PATIENCE_SECONDS"] = 0
    app.extensions["render_pool"] = render_pool
    with app.app_context():
        keys.prepare_key(datetime.now(UTC))
    return app


@pytest.fixture
def work(app):
    """``work()`` does every waiting job and says how many there were."""

    def do():
        with app.app_context():
            return jobs.perform_waiting()

    return do


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
