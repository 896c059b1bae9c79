"""BAR 0 as :mod:`intaglio.wire_ring` lays it out: addresses and byte enables, no state."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire, wire_ring
from intaglio.hdl import layouts
from intaglio.wire_ring import Access, Register

from .completer import Bus

_WORD_BYTES = 4
_LOW_BITS = 3
WRITABLE = tuple(r for r in wire_ring.REGISTERS if r.access is Access.WRITE)
READABLE = tuple(r for r in wire_ring.REGISTERS if r.access is Access.READ)


class Registers(wiring.Component):
    """Decodes register accesses; whoever owns a register keeps its value.

    Members
    -------
    bus : In(Bus)
        Accesses of the completer.
    identity : In(Identity)
        Readable from :data:`~intaglio.wire_ring.IDENTITY_OFFSET`.
    NAME : In(8 * size)
        For each of :data:`~intaglio.wire_ring.REGISTERS`: its present value.
    NAME_next : Out(8 * size), NAME_written : Out(1)
        For each writable one: the value that a write leaves it with, in the clock of the write.

    Timing: a word is read two clocks after its address. Words without a name read 0.
    """

    def __init__(self) -> None:
        members = {"bus": In(Bus), "identity": In(layouts.Identity)}
        for register in wire_ring.REGISTERS:
            members[register.name] = In(8 * register.size)
        for register in WRITABLE:
            members[f"{register.name}_next"] = Out(8 * register.size)
            members[f"{register.name}_written"] = Out(1)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._read(m)
        for register in WRITABLE:
            self._write(m, register)
        return m

    def _read(self, m: Module) -> None:
        """Words by the low bits of the address first, then by the others: a clock each."""
        identity = self.identity.as_value()
        words = {
            wire_ring.IDENTITY_OFFSET // _WORD_BYTES + n: identity.word_select(n, 32)
            for n in range(wire.IDENTITY.size // _WORD_BYTES)
        }
        for register in wire_ring.REGISTERS:
            for n, part in enumerate(_words(getattr(self, register.name))):
                words[register.offset // _WORD_BYTES + n] = part
        low, high = self.bus.address[:_LOW_BITS], self.bus.address[_LOW_BITS:]
        groups = {n >> _LOW_BITS: Signal(32, name=f"group_{n >> _LOW_BITS}") for n in words}
        m.d.sync += [group.eq(0) for group in (*groups.values(), self.bus.word)]
        for n, word in words.items():
            with m.If(low == n % (1 << _LOW_BITS)):
                m.d.sync += groups[n >> _LOW_BITS].eq(word)
        for n, group in groups.items():
            with m.If(high == n):
                m.d.sync += self.bus.word.eq(group)

    def _write(self, m: Module, register: Register) -> None:
        present = getattr(self, register.name)
        changed = getattr(self, f"{register.name}_next")
        written = getattr(self, f"{register.name}_written")
        m.d.comb += changed.eq(present)
        for n, (part, old) in enumerate(zip(_words(changed), _words(present), strict=True)):
            here = self.bus.write & (self.bus.write_address == register.offset // _WORD_BYTES + n)
            with m.If(here):
                m.d.comb += written.eq(1)
                for byte, enable in enumerate(self.bus.enables):
                    new = Mux(enable, self.bus.data, old).word_select(byte, 8)
                    m.d.comb += part.word_select(byte, 8).eq(new)


def _words(value: Value) -> list[Value]:
    return [value[low : low + 32] for low in range(0, len(value), 32)]
