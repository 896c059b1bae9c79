# amaranth: UnusedElaboratable=no
"""Key slots; the bench is :mod:`intaglio.sim.benches.keystore`."""

from __future__ import annotations

import pytest

from intaglio.hdl.keystore import KeyStore
from intaglio.sim import runner

BENCH = "intaglio.sim.benches.keystore"


@pytest.mark.parametrize(
    ("slots", "jobs", "lanes", "engines"), [(16, 4, 4, 1), (5, 1, 1, 3), (4, 2, 2, 1)]
)
def test_keystore(slots: int, jobs: int, lanes: int, engines: int) -> None:
    sizes = {"jobs": jobs, "lanes": lanes, "engines": engines}
    unit = KeyStore(slots, **sizes)
    build = runner.build(unit, f"keystore_{slots}_{lanes}")
    env = {name.upper(): value for name, value in sizes.items()}
    values = runner.run(build, BENCH, env={"SLOTS": slots, **env})
    assert values["wipe_cycles"] == unit.wipe_cycles
    assert values["reset_cycles"] == unit.reset_cycles


def test_only_lanes_and_barrels_read_secrets() -> None:
    members = KeyStore(4, jobs=2, engines=2).signature.members
    words = {
        name for name, m in members.items() if m.is_signature and "data" in m.signature.members
    }
    assert words == {"write", "engine_0", "engine_1", "hash", "public"}


@pytest.mark.parametrize("wrong", [{"slots": 1}, {"jobs": 0}, {"lookups": 0}, {"engines": 0}])
def test_constructor_errors(wrong: dict[str, int]) -> None:
    sizes = {"jobs": 4, **wrong}
    with pytest.raises(ValueError, match="must be at least"):
        KeyStore(sizes.pop("slots", 16), **sizes)


@pytest.mark.parametrize("lanes", [0, 3, 8])
def test_lanes_divide_a_word(lanes: int) -> None:
    with pytest.raises(ValueError, match="must be 1, 2 or 4"):
        KeyStore(16, jobs=4, lanes=lanes)
