"""Device memory that descriptors and messages land in."""

from __future__ import annotations

from amaranth.hdl import Module, Mux
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire, wire_ring
from intaglio.hdl.layouts import Status

from .tlp import DW_BYTES

SLOT_DWS = wire_ring.DESCRIPTOR.size // DW_BYTES
MESSAGE_DWS = wire.MAX_MESSAGE_BYTES // DW_BYTES
COUNT_BITS = 32


def job_layout(slots: int, words: int) -> data.StructLayout:
    """A request whose descriptor was looked at.

    ``status`` other than OK: it is refused; ``fetched``: its descriptor is in ``slot``;
    ``message``: its body, ``length`` bytes, comes to word ``start`` of the ring, else it is in the
    descriptor.
    """
    return data.StructLayout(
        {
            "slot": range(slots),
            "status": Status,
            "fetched": 1,
            "message": 1,
            "length": range(wire.MAX_MESSAGE_BYTES + 1),
            "start": range(words),
        }
    )


Refusal = data.StructLayout(
    {"status": Status, "op": 8, "tag": wire.TAG_BITS, "descriptor": COUNT_BITS}
)
"""Answer to a request that never reached the core. ``op`` and ``tag`` are 0 if its descriptor could
not be fetched; ``descriptor`` is the count of descriptors before it."""


class Landing(wiring.Component):
    """One memory: a slot of 16 DWs for each descriptor, then a ring of DWs for messages.

    Parameters
    ----------
    slots : int
        Descriptors, a power of two, at least 2.
    words : int
        DWs in all, at least 16 * slots + 1024.

    Members
    -------
    write : In({enable, address, data})
        What comes from host memory; never waits.
    wipe : In(stream of address)
        A word to zeroise, in the next clock without a write.
    look, view : In({enable, address}), granted : Out(1)
        Two readers: ``look`` goes first, ``view`` reads if ``granted``.
    data : Out(32)
        The word read in the clock before.
    """

    def __init__(self, *, slots: int = 8, words: int = 2048) -> None:
        if slots < 2 or slots & (slots - 1):
            raise ValueError(f"slots={slots} must be a power of two, at least 2")
        if words < SLOT_DWS * slots + MESSAGE_DWS:
            raise ValueError(f"words={words} must be at least {SLOT_DWS * slots + MESSAGE_DWS}")
        self.slots, self.words, self.first_word = slots, words, SLOT_DWS * slots
        address = range(words)
        reads = data.StructLayout({"enable": 1, "address": address})
        super().__init__(
            {
                "write": In(data.StructLayout({"enable": 1, "address": address, "data": 32})),
                "wipe": In(stream.Signature(address)),
                "look": In(reads),
                "view": In(reads),
                "granted": Out(1),
                "data": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = words = memory.Memory(shape=32, depth=self.words, init=[])
        write, read = words.write_port(), words.read_port()
        m.d.comb += [
            self.wipe.ready.eq(~self.write.enable),
            write.en.eq(self.write.enable | self.wipe.valid),
            write.addr.eq(Mux(self.write.enable, self.write.address, self.wipe.payload)),
            write.data.eq(Mux(self.write.enable, self.write.data, 0)),
            self.granted.eq(~self.look.enable),
            read.en.eq(self.look.enable | self.view.enable),
            read.addr.eq(Mux(self.look.enable, self.look.address, self.view.address)),
            self.data.eq(read.data),
        ]
        return m
