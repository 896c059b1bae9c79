"""A Debian guest under QEMU enumerates the gateware and drives it, by sysfs and by VFIO.

``make test-guest`` runs this; it needs mmdebstrap and Debian's mirrors, or a filled cache.
"""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from intaglio.sim.pcie import board, guest
from intaglio.sim.pcie.server import Server, listen

UNPLUG_AFTER = 10

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Run:
    """A guest and its board; what it told, by step, and what the server saw meanwhile."""

    def __init__(self, route: str, folder: Path, library: Path) -> None:
        self.said: dict[str, list[dict[str, Any]]] = {}
        self.accesses: Counter[tuple[str, int, int]] = Counter()
        self._server = Server(board.endpoint(library))
        path = str(folder / "board.sock")
        listener = listen(path)
        thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
        thread.start()
        self.log = folder / "console.log"
        self.status = guest.run(route, path, self._hear, self.log)
        listener.close()
        thread.join(30)

    def step(self, name: str) -> dict[str, Any]:
        assert name in self.said, self.log.read_text()[-4000:]
        return self.said[name][-1]

    def _serve(self, listener: Any) -> None:
        self._server.serve(listener.accept()[0])

    def _hear(self, line: dict[str, Any]) -> None:
        self.said.setdefault(line["step"], []).append(line)
        if line["step"] == "list":
            self._server.accesses.clear()
        elif line["step"] == "accesses":
            self.accesses = self._server.accesses.copy()
        elif line["step"] == "burst":
            self._unplug_soon()

    def _unplug_soon(self) -> None:
        memory, left = self._server.memory, [UNPLUG_AFTER]
        write = memory.write

        def counting(address: int, data: bytes) -> None:
            write(address, data)
            left[0] -= 1
            if not left[0]:
                self._server.unplug()

        memory.write = counting  # type: ignore[method-assign]


@pytest.fixture(scope="module", params=["sysfs", "vfio"])
def run(request, tmp_path_factory):
    try:
        guest.files()
    except guest.Unavailable as lack:
        warnings.warn(f"the guest is NOT tested: {lack}", stacklevel=1)
        pytest.skip(str(lack))
    return Run(request.param, tmp_path_factory.mktemp(request.param), board.build())


def test_the_guest_came_to_its_end(run):
    assert "failed" not in run.said, run.said.get("failed")
    run.step("end")


def test_the_kernel_enumerates_the_board_and_list_finds_it(run):
    (row,) = run.step("list")["rows"]
    assert row["url"].startswith("pcie:0000:")
    assert not row["ready"]
    assert row["mend"]


def test_published_vectors_and_the_protocol_hold(run):
    run.step("selftest")
    results = run.said["selftest"]
    assert not [result for result in results if not result["passed"]]
    checks = {result["check"] for result in results}
    assert {"ed25519: RFC 8032 vectors", "secp256k1: RFC 6979 vectors"} <= checks


def test_an_address_that_is_not_mapped_is_refused(run):
    assert "protocol: descriptors" in {result["check"] for result in run.said["selftest"]}
    counts = run.step("counters")
    assert (counts["dma_errors"], counts["bad_descriptors"]) == (1, 3)


def test_orders_of_the_demo_are_signed(run):
    demo = run.step("demo")
    assert demo["status"] == 0
    assert len(demo["output"]) > 5
    assert all(row["equal"] for row in demo["output"])


def test_each_register_access_is_one_of_32_bits(run):
    """What the driver asked for in the guest is what came over the bus, each in one piece."""
    asked = run.step("accesses")["counts"]
    seen = Counter()
    for (kind, offset, size), count in run.accesses.items():
        assert size == 4
        seen[f"{kind} {offset:#05x}"] += count
    assert dict(seen) == asked


def test_unplugged_in_mid_burst_nothing_is_lost(run):
    end = run.step("unplugged")
    assert end["good"] == end["of"] > UNPLUG_AFTER
    state, signatures, error = end["members"]["board"]
    assert state == "down"
    assert 0 < signatures <= UNPLUG_AFTER
    assert "all ones" in error


def test_interrupts_arrive_by_vfio(run):
    if "interrupts" not in run.said:
        assert "obstacle" not in run.said
        return
    told = run.step("interrupts")
    assert all(told["good"])
    assert any("vfio-msi" in line for line in told["lines"])
