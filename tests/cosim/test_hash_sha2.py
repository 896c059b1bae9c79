"""SHA-2 gateware in simulation."""

import pytest

from intaglio.hdl.hash.sha2 import Sha2
from intaglio.sim import runner


@pytest.mark.parametrize("bits", [256, 512])
def test_sha2(bits: int) -> None:
    build = runner.build(Sha2(bits), f"sha{bits}")
    runner.run(build, "intaglio.sim.benches.hash_sha2", env={"SHA_BITS": bits})
