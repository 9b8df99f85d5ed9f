"""A work order whose papers are sealed, and the office they come from."""

import pytest

from tests.fieldapp.customer.links import seal_of, work_on
from tests.phones import at_desk


@pytest.fixture(autouse=True)
def office(sealing, fresh_limits):
    """Papers are sealed here; nobody asked too often yet."""


@pytest.fixture
def token(app, visit, dana, erin_phone, work):
    """The token of a visit at Cleo's on which something was done and which Cleo signed."""
    at_desk(app, dana, visit, ("remark", {"text": "they pay late"}))
    work_on(erin_phone, visit)
    return seal_of(app, visit, erin_phone, work)
