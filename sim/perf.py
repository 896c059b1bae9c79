"""How fast the gateware is, measured on its RTL: clocks a signature under load."""

from __future__ import annotations

from intaglio.hdl.core import SigningCore
from intaglio.hdl.digest import rtl_digest
from intaglio.hdl.profiles import PROFILES, SMALL
from intaglio.sim import runner
from intaglio.sim.benches import core_build


def cycles_per_signature(profile: str) -> dict[str, int]:
    """Clocks a signature of each curve with every job slot taken, rounded; the same at every call.

    Simulates the core without its link: Ed25519 signs messages of 100 bytes, secp256k1 digests.
    Raises :class:`KeyError` for an unknown profile and :class:`~.runner.ToolError` if a tool lacks.
    """
    size = PROFILES[profile]
    build = (
        core_build.build()
        if size is SMALL
        else runner.build(lambda: SigningCore(size), "core", key=rtl_digest(profile).hex())
    )
    told = runner.run(build, "intaglio.sim.benches.core_rate", env={"JOBS": size.job_slots})
    return dict(told["cycles_per_signature"])
