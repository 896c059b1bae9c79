"""Devices behind a vfio-user server in this process: the golden model, and the gateware."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from intaglio.device import DeviceSigner
from intaglio.sim.pcie import board
from intaglio.sim.pcie.client import VfioUserFunction
from intaglio.sim.pcie.server import Server
from intaglio.transport.pcie import RingTransport

TIMEOUT_S = 60.0


class Rig:
    """A server in a thread, the function and the transport of a driver before it.

    ``accesses`` are those to BAR 0, in order: kind, offset, data.
    """

    def __init__(self, library: Path | None, **options: object) -> None:
        self.accesses: list[tuple[str, int, bytes]] = []
        self.server = Server(board.endpoint(library), self._note)
        ours, theirs = socket.socketpair()
        self._thread = threading.Thread(target=self.server.serve, args=(theirs,), daemon=True)
        self._thread.start()
        self.function = VfioUserFunction(ours)
        settings = {"default_timeout_s": TIMEOUT_S, "bring_up_s": TIMEOUT_S} | options
        self.transport = RingTransport(self.function, **settings)

    def signer(self, **options: object) -> DeviceSigner:
        return DeviceSigner(self.transport, **options)

    def unplug_after(self, completions: int) -> None:
        """Have the device gone once it has written so many completions."""
        left, write = [completions], self.server.memory.write

        def counting(address: int, data: bytes) -> None:
            write(address, data)
            left[0] -= 1
            if not left[0]:
                self.server.unplug()

        self.server.memory.write = counting  # type: ignore[method-assign]

    def close(self) -> None:
        self.transport.close()
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()

    def _note(self, kind: str, offset: int, data: bytes) -> None:
        self.accesses.append((kind, offset, data))


@pytest.fixture(scope="session")
def gateware() -> Path:
    """The library of the virtual PCIe board."""
    return board.build()


@pytest.fixture(params=["model", "gateware"])
def library(request: pytest.FixtureRequest) -> Path | None:
    """What is behind the server."""
    return None if request.param == "model" else request.getfixturevalue("gateware")


@pytest.fixture
def rig(library: Path | None) -> Iterator[Rig]:
    before = len(os.listdir("/proc/self/fd"))
    rig = Rig(library)
    yield rig
    rig.close()
    assert len(os.listdir("/proc/self/fd")) == before
