"""The simulator sees each of many deliberate faults; without one the same histories pass."""

from __future__ import annotations

import pytest

from tests.simulator.history import draw
from tests.simulator.mutants import MUTANTS
from tests.simulator.play import a_server, play

pytestmark = pytest.mark.usefixtures("sqlite")  # what is wrong is wrong on either database


@pytest.fixture(scope="module")
def server(databases):
    with a_server(databases) as opened:
        yield opened


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_simulator_sees(mutant, server):
    for history in mutant.histories:
        with mutant.applied():
            if play(server, history) is not None:
                return
    raise AssertionError(f"nobody noticed: {mutant.name}")


def test_the_same_histories_pass_without_a_fault(server):
    histories = [mutant.histories for mutant in MUTANTS if mutant.scene]
    histories.append([draw(seed) for seed in sorted({s for m in MUTANTS for s in m.seeds})])
    found = [play(server, history) for each in histories for history in each]
    assert [str(violation) for violation in found if violation is not None] == []


def test_a_mutant_leaves_nothing_behind():
    for mutant in MUTANTS:
        before = getattr(mutant.holder, mutant.attribute)
        with mutant.applied():
            assert getattr(mutant.holder, mutant.attribute) is not before
        assert getattr(mutant.holder, mutant.attribute) is before


def test_a_mutant_whose_place_is_gone_says_so():
    mutant = MUTANTS[0]
    other = type(mutant)("nowhere", mutant.holder, mutant.attribute, "no such words", "")
    with pytest.raises(LookupError, match="no longer says"), other.applied():
        pass
