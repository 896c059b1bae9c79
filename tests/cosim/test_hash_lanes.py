"""The hash stations in simulation, against hashlib and the RFC 6979 model."""

import pytest
from amaranth.lib import wiring

from intaglio.hdl.hash.lanes import EcdsaLane, Sha512Lane
from intaglio.params import SECP256K1
from intaglio.sim import runner

JOB_WIDTH, PAGE_WIDTH = 6, 9


def lane(name: str) -> wiring.Component:
    if name == "sha512":
        return Sha512Lane(JOB_WIDTH, PAGE_WIDTH)
    return EcdsaLane(SECP256K1.order, JOB_WIDTH, PAGE_WIDTH)


@pytest.mark.parametrize("name", ["sha512", "ecdsa"])
def test_lane(name: str) -> None:
    build = runner.build(lane(name), f"{name}_lane")
    env = {"LANE": name, "JOB_WIDTH": JOB_WIDTH, "PAGE_WIDTH": PAGE_WIDTH}
    runner.run(build, "intaglio.sim.benches.hash_lanes", env=env)
