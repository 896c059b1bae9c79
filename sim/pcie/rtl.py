"""The Verilated PCIe signer as an endpoint of a :class:`intaglio.sim.pcie.server.Server`."""

from __future__ import annotations

import ctypes
from pathlib import Path

from intaglio.sim.model.pcie import DmaFault, Host
from intaglio.sim.pcie import tlp
from intaglio.sim.pcie.config_space import ConfigSpace
from intaglio.wire_ring import GONE

CLOCKS = 512
"""Clocks run at once."""
BAR = 0xE000_0000
"""Where BAR 0 is on this bus; the endpoint looks at offsets only."""
BDF = 0x0100
ROOT = 0x0000
READ_CLOCKS = 10_000
"""Clocks after which a read of a register that was not answered ends in all ones."""
_MAX_DWS = 1028
_NONE = -1


def load(library: Path) -> ctypes.CDLL:
    """The library that ``harness.cpp`` and a design were compiled into."""
    loaded = ctypes.CDLL(str(library))
    loaded.signer_new.restype = ctypes.c_void_p
    loaded.signer_clocks.restype = ctypes.c_uint64
    return loaded


class RtlEndpoint:
    """The signer in ``library``, its requests answered from the memory of ``host``.

    ``tlps`` counts packets: those that came and those that went.
    """

    def __init__(self, library: ctypes.CDLL, host: Host, git_revision: bytes = bytes(20)) -> None:
        self._library = library
        self._host = host
        self._signer = ctypes.c_void_p(library.signer_new(git_revision))
        self._out = (ctypes.c_uint32 * _MAX_DWS)()
        self._max_payload = 128
        self._tag = 0
        self._answers: dict[int, int] = {}
        self.tlps = {"in": 0, "out": 0}

    def __del__(self) -> None:
        self._library.signer_free(self._signer)

    @property
    def clocks(self) -> int:
        """Clocks since the start."""
        return int(self._library.signer_clocks(self._signer))

    @property
    def busy(self) -> bool:
        return bool(self._library.signer_busy(self._signer))

    def read(self, offset: int, size: int) -> bytes:
        self._tag = (self._tag + 1) % 32
        first = offset % 4
        enables = ((1 << size) - 1) << first
        self._answers.pop(self._tag, None)
        self._push(tlp.read(BAR + offset, enables, self._tag))
        until = self.clocks + READ_CLOCKS
        while self._tag not in self._answers and self.clocks < until and self.busy:
            self.step()
        word = self._answers.pop(self._tag, GONE).to_bytes(4, "little")
        return word[first : first + size]

    def write(self, offset: int, data: bytes) -> None:
        first = offset % 4
        enables = ((1 << len(data)) - 1) << first
        word = (bytes(first) + data).ljust(4, b"\0")
        self._push(tlp.write(BAR + offset, enables, word))

    def configure(self, config: ConfigSpace, *, msi: bool) -> None:
        self._max_payload = 128 << config.max_payload
        codes = (config.max_payload, config.max_read_request)
        self._library.signer_configure(self._signer, BDF, config.bus_master, *codes, msi)

    def step(self) -> None:
        self._library.signer_run(self._signer, CLOCKS)
        while count := self._library.signer_pop(self._signer, self._out):
            self.tlps["out"] += 1
            self._answer(tlp.parse(self._out[:count]))
        for _ in range(self._library.signer_interrupts(self._signer)):
            self._host.interrupt()

    def reset(self) -> None:
        self._library.signer_reset(self._signer)

    def _answer(self, packet: tlp.Request | tlp.Completion) -> None:
        if isinstance(packet, tlp.Completion):
            self._answers[packet.tag] = int.from_bytes(packet.data[:4], "little")
            if packet.status:
                self._answers[packet.tag] = GONE
        elif packet.data is not None:
            self._host.write(packet.address, packet.data)
        else:
            self._read_host(packet)

    def _read_host(self, packet: tlp.Request) -> None:
        try:
            data = self._host.read(packet.address, packet.size)
        except DmaFault:
            self._push(tlp.unsupported(packet, ROOT))
            return
        for completion in tlp.completions(packet, data, ROOT, self._max_payload):
            self._push(completion)

    def _push(self, dws: list[int]) -> None:
        self.tlps["in"] += 1
        words = (ctypes.c_uint32 * len(dws))(*dws)
        self._library.signer_push(self._signer, words, len(dws))
