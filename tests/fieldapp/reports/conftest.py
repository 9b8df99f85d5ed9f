"""An office that seals papers, and a visit whose paper is sealed."""

from datetime import UTC, datetime

import pytest

from fieldapp import jobs, keys
from tests.fieldapp.reports.papers import measure
from tests.phones import signature


@pytest.fixture
def app(app, render_pool):
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
def signed(erin_phone, visit, work):
    """The id of Erin's visit, signed by Cleo and sealed."""
    erin_phone.push(measure(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit))
    work()
    return visit
