# amaranth: UnusedElaboratable=no
"""Key slots; the bench is :mod:`intaglio.sim.benches.keystore`."""

from __future__ import annotations

import pytest

from intaglio.hdl.keystore import KeyStore
from intaglio.sim import runner

BENCH = "intaglio.sim.benches.keystore"


@pytest.mark.parametrize(("slots", "jobs", "lanes"), [(16, 4, 4), (5, 1, 1), (4, 2, 2)])
def test_keystore(slots: int, jobs: int, lanes: int) -> None:
    unit = KeyStore(slots, jobs=jobs, lanes=lanes)
    build = runner.build(unit, f"keystore_{slots}_{lanes}")
    values = runner.run(build, BENCH, env={"SLOTS": slots, "JOBS": jobs, "LANES": lanes})
    assert values["wipe_cycles"] == unit.wipe_cycles
    assert values["reset_cycles"] == unit.reset_cycles


def test_only_two_ports_read_secrets() -> None:
    members = KeyStore(4, jobs=2).signature.members
    words = {
        name for name, m in members.items() if m.is_signature and "data" in m.signature.members
    }
    assert words == {"write", "engine", "hash", "public"}


@pytest.mark.parametrize("wrong", [{"slots": 1}, {"jobs": 0}, {"lookups": 0}])
def test_constructor_errors(wrong: dict[str, int]) -> None:
    sizes = {"slots": 16, "jobs": 4, "lookups": 1, **wrong}
    with pytest.raises(ValueError, match="must be at least"):
        KeyStore(sizes["slots"], jobs=sizes["jobs"], lookups=sizes["lookups"])


@pytest.mark.parametrize("lanes", [0, 3, 8])
def test_lanes_divide_a_word(lanes: int) -> None:
    with pytest.raises(ValueError, match="must be 1, 2 or 4"):
        KeyStore(16, jobs=4, lanes=lanes)
