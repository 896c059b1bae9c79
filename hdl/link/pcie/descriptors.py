"""TLPs to and from the descriptors of UltraScale+ endpoint blocks.

Source: AMD PG213, *UltraScale+ Devices Integrated Block for PCI Express*, chapter 3. Payloads there
have their byte at the lowest address in bits 7..0.
"""

from __future__ import annotations

from amaranth.hdl import Array, C, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from intaglio.hdl.stations.words import reverse_bytes

from . import tlp
from .tlp import Kind, Status

_REQUEST_KINDS = {
    0b0000: Kind.READ_64,
    0b0001: Kind.WRITE_64,
    0b0010: Kind.IO_READ,
    0b0011: Kind.IO_WRITE,
    0b0100: Kind.FETCH_ADD_64,
    0b0101: Kind.SWAP_64,
    0b0110: Kind.COMPARE_AND_SWAP_64,
    0b0111: Kind.READ_LOCKED_64,
}
"""Request types; all others are messages."""
_MESSAGE = 0x30
_POISONED = 1
"""Error code of a completion whose data came, but poisoned."""


class Recast(wiring.Component):
    """Replaces the header of each packet by another one; the bytes of payload DWs are reversed.

    Members
    -------
    i, o : In, Out(stream of Packet(32))
        Packets before and after.
    first_be, last_be : In(4), Out(4) in subclasses that have them beside the packets

    Timing: a clock for each DW of either header and of the payload.
    """

    header_dws = 4
    """Most DWs of the header taken."""

    def __init__(self, **members: object) -> None:
        super().__init__({"i": In(tlp.tlps()), "o": Out(tlp.tlps()), **members})

    def taken(self, words: list[Signal]) -> Value:
        """DWs of the header taken, less one, by its first DW."""
        return Const(self.header_dws - 1, 2)

    def given(self, words: list[Signal]) -> tuple[list[Value], Value]:
        """DWs of the new header, and how many of them count, less one."""
        raise NotImplementedError

    def without_payload(self, words: list[Signal]) -> Value:
        """Whether the payload is left out."""
        return Const(0)

    def beside(self, m: Module, words: list[Signal]) -> None:
        """What goes with the packets but not in them."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = [Signal(32, name=f"word_{n}") for n in range(4)]
        place, ended = Signal(2), Signal()
        self.beside(m, words)
        new, count = self.given(words)
        bare = ended | self.without_payload(words)
        first = Signal(32)
        m.d.comb += first.eq(Mux(place == 0, self.i.payload.data, words[0]))
        with m.FSM():
            with m.State("take"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    for n, word in enumerate(words):
                        with m.If(place == n):
                            m.d.sync += word.eq(self.i.payload.data)
                    m.d.sync += [place.eq(place + 1), ended.eq(self.i.payload.last)]
                    with m.If(place == self.taken([first, *words[1:]])):
                        m.d.sync += place.eq(0)
                        m.next = "give"
            with m.State("give"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.data.eq(Array(new)[place]),
                    self.o.payload.last.eq(bare & (place == count)),
                ]
                with m.If(self.o.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == count):
                        m.d.sync += place.eq(0)
                        m.next = "payload"
                        with m.If(ended):
                            m.next = "take"
                        with m.Elif(bare):
                            m.next = "drop"
            with m.State("payload"):
                m.d.comb += [
                    self.o.valid.eq(self.i.valid),
                    self.o.payload.data.eq(reverse_bytes(self.i.payload.data)),
                    self.o.payload.last.eq(self.i.payload.last),
                    self.i.ready.eq(self.o.ready),
                ]
                with m.If(self.i.valid & self.o.ready & self.i.payload.last):
                    m.next = "take"
            with m.State("drop"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid & self.i.payload.last):
                    m.next = "take"
        return m


class FromCompleterRequest(Recast):
    """Completer requests (CQ) to TLPs. ``first_be``, ``last_be`` : In(4), with the first DW."""

    def __init__(self) -> None:
        super().__init__(first_be=In(4), last_be=In(4))

    def beside(self, m: Module, words: list[Signal]) -> None:
        begun, self._enables = Signal(), Signal(8)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += begun.eq(~self.i.payload.last)
            with m.If(~begun):
                m.d.sync += self._enables.eq(Cat(self.first_be, self.last_be))

    def given(self, words: list[Signal]) -> tuple[list[Value], Value]:
        low, high, third, fourth = words
        kind: Value = C(_MESSAGE, 8)
        for code, meant in _REQUEST_KINDS.items():
            kind = Mux(third[11:15] == code, meant, kind)
        short = (third[11:15] == 0b0010) | (third[11:15] == 0b0011)
        first = Cat(
            *(third[:10], C(0, 2), fourth[28:30], C(0, 4), fourth[30], C(0, 1), fourth[25:28]),
            *(C(0, 1), kind),
        )
        second = Cat(self._enables, fourth[:8], third[16:32])
        address = Cat(C(0, 2), low[2:])
        return [first, second, Mux(short, address, high), address], Mux(short, 2, 3)


class FromRequesterCompletion(Recast):
    """Requester completions (RC) to TLPs; errors the block found become Unsupported Request."""

    header_dws = 3

    def _failed(self, words: list[Signal]) -> Value:
        code = words[0][12:16]
        return (code != 0) & (code != _POISONED)

    def without_payload(self, words: list[Signal]) -> Value:
        return self._failed(words)

    def given(self, words: list[Signal]) -> tuple[list[Value], Value]:
        first, second, third, _ = words
        failed, status = self._failed(words), second[11:14]
        empty = failed | (second[:11] == 0)
        kind = Mux(empty, Kind.COMPLETION, Kind.COMPLETION_DATA)
        told = Mux(failed & (status == Status.SUCCESS), Status.UNSUPPORTED, status)
        header = [
            Cat(
                *(Mux(empty, 0, second[:10]), C(0, 2), third[28:30], second[14], C(0, 3)),
                *(third[30], C(0, 1), third[25:28], C(0, 1), kind),
            ),
            Cat(first[16:28], C(0, 1), told, third[8:24]),
            Cat(first[:7], C(0, 1), third[:8], second[16:32]),
        ]
        return header, Const(2, 2)


class ToCompleterCompletion(Recast):
    """TLPs, all completions, to completer completions (CC)."""

    header_dws = 3

    def given(self, words: list[Signal]) -> tuple[list[Value], Value]:
        first, second, third, _ = words
        locked, has_data = first[24], first[30]
        byte_count = Cat(second[:12], second[:12] == 0)
        length = Mux(has_data, Cat(first[:10], first[:10] == 0), 0)
        descriptor = [
            Cat(third[:7], C(0, 9), byte_count, locked, C(0, 2)),
            Cat(length, second[13:16], first[14], C(0, 1), third[16:32]),
            Cat(
                third[8:16], second[16:32], C(0, 1), first[20:23], first[12:14], first[18], C(0, 1)
            ),
        ]
        return descriptor, Const(2, 2)


class ToRequesterRequest(Recast):
    """TLPs, all memory requests, to requester requests (RQ).

    ``first_be``, ``last_be`` : Out(4), valid while the packet is given.
    """

    def __init__(self) -> None:
        super().__init__(first_be=Out(4), last_be=Out(4))

    def taken(self, words: list[Signal]) -> Value:
        return Mux(words[0][29], 3, 2)

    def given(self, words: list[Signal]) -> tuple[list[Value], Value]:
        first, second, third, fourth = words
        is_long, is_write = first[29], first[30]
        length = Cat(first[:10], first[:10] == 0)
        descriptor = [
            Mux(is_long, fourth, third),
            Mux(is_long, third, 0),
            Cat(length, is_write, C(0, 3), first[14], second[16:32]),
            Cat(second[8:16], C(0, 17), first[20:23], first[12:14], first[18], C(0, 1)),
        ]
        return descriptor, Const(3, 2)

    def beside(self, m: Module, words: list[Signal]) -> None:
        m.d.comb += [self.first_be.eq(words[1][:4]), self.last_be.eq(words[1][4:8])]
