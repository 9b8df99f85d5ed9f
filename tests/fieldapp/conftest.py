"""What the tests of the server share: a process that makes papers."""

import pytest

from fieldapp.rendering import RenderPool


@pytest.fixture(scope="session")
def render_pool():
    """One process for the papers of every test that seals one: it takes seconds to start."""
    with RenderPool(1, seconds=60) as pool:
        yield pool
