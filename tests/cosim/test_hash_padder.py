"""SHA-2 padding gateware in simulation."""

import pytest

from intaglio.hdl.hash.padder import Padder
from intaglio.sim import runner

MAX_BYTES = 4096 + 64


@pytest.mark.parametrize("bits", [256, 512])
def test_padder(bits: int) -> None:
    build = runner.build(Padder(bits, MAX_BYTES), f"padder{bits}")
    env = {"SHA_BITS": bits, "MAX_BYTES": MAX_BYTES}
    runner.run(build, "intaglio.sim.benches.hash_padder", env=env)
