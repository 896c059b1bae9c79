"""Measures the hash gateware's clocks in simulation: ``python -m intaglio.sim.hash_cycles``.

Prints the table between the fences of ``hdl/hash/README.md``.
"""

from __future__ import annotations

from intaglio.hdl.hash.lanes import EcdsaLane, Sha512Lane
from intaglio.hdl.hash.rfc6979 import Rfc6979
from intaglio.hdl.hash.sha2 import Sha2
from intaglio.params import SECP256K1
from intaglio.sim import runner

JOB_WIDTH, PAGE_WIDTH = 6, 9
_BENCHES = "intaglio.sim.benches"


def measure() -> list[tuple[str, str, int]]:
    """Unit, case and clocks of each measurement."""
    rows: list[tuple[str, str, int]] = []
    for bits in (256, 512):
        build = runner.build(Sha2(bits), f"sha{bits}")
        env = {"SHA_BITS": bits}
        measured = runner.run(build, f"{_BENCHES}.hash_sha2", env=env, testcase="cycles")
        rows.append((f"Sha2({bits})", "a block", measured["interval"]))
        rows.append((f"Sha2({bits})", "last word to digest", measured["latency"]))

    order = SECP256K1.order
    nonce = runner.build(Rfc6979(order), "rfc6979")
    measured = runner.run(
        nonce, f"{_BENCHES}.hash_rfc6979", env={"ORDER": order, "COUNT": 1}, testcase="nonces"
    )
    rows.append(
        ("Rfc6979(n of secp256k1)", f"{measured['blocks']} blocks", measured["cycles"]["0"])
    )

    for name, title, unit in (
        ("sha512", "Sha512Lane", Sha512Lane(JOB_WIDTH, PAGE_WIDTH)),
        ("ecdsa", "EcdsaLane", EcdsaLane(order, JOB_WIDTH, PAGE_WIDTH)),
    ):
        build = runner.build(unit, f"{name}_lane")
        env = {"LANE": name, "JOB_WIDTH": JOB_WIDTH, "PAGE_WIDTH": PAGE_WIDTH}
        measured = runner.run(
            build, f"{_BENCHES}.hash_lanes", env=env, testcase="cycles_depend_on_shape_only"
        )
        rows += [(title, case, cycles) for case, cycles in measured.items()]
    return rows


def table() -> str:
    """The measurements as a Markdown table."""
    lines = ["| unit | case | clocks |", "|---|---|---|"]
    lines += [f"| {unit} | {case} | {cycles} |" for unit, case, cycles in measure()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
