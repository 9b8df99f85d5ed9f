"""An office that seals papers, and a visit whose paper is sealed."""

import pytest

from tests.fieldapp.reports.papers import measure
from tests.phones import signature


@pytest.fixture(autouse=True)
def office(sealing):
    """Papers are sealed here."""


@pytest.fixture
def signed(erin_phone, visit, work):
    """The id of Erin's visit, signed by Cleo and sealed."""
    erin_phone.push(measure(erin_phone, visit))
    erin_phone.push(signature(erin_phone, visit))
    work()
    return visit
