"""What counts as changed after the signature; its cases are in tests/vectors/changed.json."""

from __future__ import annotations

from sync import changed
from sync.catalogue import KINDS


def test_every_kind_that_sets_what_is_signed_is_looked_at() -> None:
    signed = {kind.name for kind in KINDS if kind.policy == "set" and kind.on_paper == "signed"}
    assert signed == set(changed.SIGNED)
    entries = {kind.policy for kind in KINDS if kind.on_paper == "signed"}
    assert entries == {"add", "set", "sign", "void", "correction"}
