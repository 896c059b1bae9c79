"""A ring of words that holds whole packets, forgets broken ones and leaves nothing behind."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import memory, stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from intaglio.hdl.stream import Packet, registered

_NEVER = C(0, 1)
_BANK_BITS = 11
"""Address bits of a memory: 2048 words of a byte and its mark are one block RAM."""


class PacketStore(Component):
    """Packets appended word by word, readable once committed, or dropped.

    Every place is zeroised after its word was read or dropped, and all after a reset, in clocks in
    which nothing is appended; the place of a word read is free again only then.

    Parameters
    ----------
    depth : int
        Words it holds, at least 2.
    width : int
        Bits of a word.

    Members
    -------
    data : In(width)
        Word for ``append`` and ``commit``.
    append, commit, drop : In(1)
        At most one in a clock. Append ``data`` to the packet; append it as the packet's last byte
        and make the packet readable; forget the words appended since the last commit.
    room : Out(1)
        ``append`` and ``commit`` are allowed.
    o : Out(stream of Packet(width))
        The packets, in order, a word a clock, from a register that is zeroised behind a word taken.
    busy : Out(1)
        Something is pending, to be read or to be zeroised.

    Timing: ``room``, and that there is something to read, are registers' outputs. The first word of
    a packet shows four clocks after its ``commit``.
    """

    def __init__(self, depth: int, *, width: int = 8) -> None:
        if depth < 2:
            raise ValueError(f"depth={depth} must be at least 2")
        self.depth, self.width = depth, width
        super().__init__(
            {
                "data": In(width),
                "append": In(1),
                "commit": In(1),
                "drop": In(1),
                "room": Out(1),
                "o": Out(stream.Signature(Packet(width))),
                "busy": Out(1),
            }
        )

    def _next(self, address: Value) -> Value:
        return Mux(address == self.depth - 1, 0, address + 1)

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()

        # Round the ring: used (read, not zeroised), stored, pending, free. `dirty` of the free
        # places, the first ones, are not zeroised; the last of these is `dirty_at`, which is the
        # last place appended to where there is none.
        used, stored, pending = _Count(self.depth), _Count(self.depth), _Count(self.depth)
        free = _Count(self.depth, init=self.depth)
        dirty = _Count(self.depth, init=self.depth)
        places = range(self.depth)
        wipe_at, read_at = Signal(places), Signal(places)
        packet_at, write_at, following = Signal(places), Signal(places), Signal(places)
        dirty_at = Signal(places, init=self.depth - 1)

        adds, quiet, wipes_dirty, wipes_used = Signal(), Signal(), Signal(), Signal()
        takes, taken = Signal(), Signal()
        m.d.comb += [
            adds.eq(self.append | self.commit),
            quiet.eq(~adds & ~self.drop),
            wipes_dirty.eq(quiet & dirty.some),
            wipes_used.eq(quiet & ~dirty.some & used.some),
            self.room.eq(free.some),
            following.eq(self._next(write_at)),
        ]
        with m.If(adds):
            m.d.sync += write_at.eq(following)
        with m.If(self.commit):
            m.d.sync += packet_at.eq(following)
        with m.If(self.drop):
            m.d.sync += write_at.eq(packet_at)
        with m.If(adds & ~dirty.some):
            m.d.sync += dirty_at.eq(write_at)
        with m.If(wipes_dirty):
            m.d.sync += dirty_at.eq(Mux(dirty_at == 0, self.depth - 1, dirty_at - 1))
        with m.If(wipes_used):
            m.d.sync += wipe_at.eq(self._next(wipe_at))
        with m.If(takes):
            m.d.sync += read_at.eq(self._next(read_at))

        writes = [(adds, write_at), (wipes_dirty, dirty_at), (wipes_used, wipe_at)]
        reading = self._ring(m, writes, stored.some, read_at, takes)

        m.d.sync += taken.eq(takes)
        used.count(m, up=taken & ~wipes_used, down=wipes_used & ~taken)
        stored.count(
            m, up=self.commit & ~takes, down=takes & ~self.commit, gains=self.commit, more=pending
        )
        free.count(m, up=wipes_used, down=adds, gains=self.drop, more=pending)
        dirty.count(m, down=wipes_dirty | (adds & dirty.some), gains=self.drop, more=pending)
        pending.count(m, up=self.append)
        with m.If(self.commit | self.drop):
            m.d.sync += [pending.value.eq(0), pending.some.eq(0)]
        occupied = used.some | stored.some | pending.some | dirty.some
        m.d.comb += self.busy.eq(occupied | taken | reading)
        return m

    def _ring(
        self,
        m: Module,
        writes: list[tuple[Value, Value]],
        some: Value,
        read_at: Value,
        takes: Signal,
    ) -> Value:
        """The memories, and the registers behind them; whether one of these holds a word.

        A word lies in its memory's output first, then in a register of that memory, then in ``o``
        or, if that waits, in the register before it.
        """
        fetched, selected = Signal(), Signal()
        bank, bank_bits = Signal(self.depth.bit_length()), _BANK_BITS
        middle_free, out = Signal(), self.o.signature.create()
        connect(m, registered(m, out), flipped(self.o))
        m.d.comb += [
            middle_free.eq(~selected | out.ready),
            out.valid.eq(selected),
            takes.eq(some & (~fetched | middle_free)),
        ]
        with m.If(takes):
            m.d.sync += [fetched.eq(1), bank.eq(read_at >> bank_bits)]
        with m.Elif(middle_free):
            m.d.sync += fetched.eq(0)
        (adds, write_at), (wipes_dirty, dirty_at), (_, wipe_at) = writes
        write_to = Mux(adds, write_at, Mux(wipes_dirty, dirty_at, wipe_at))
        words = []
        for number in range(-(-self.depth >> bank_bits)):
            depth = min(1 << bank_bits, self.depth - (number << bank_bits))
            ring = memory.Memory(shape=Packet(self.width), depth=depth, init=[])
            m.submodules[f"ring_{number}"] = ring
            write, read = ring.write_port(), ring.read_port()
            word = Signal(self.width + 1, name=f"word_{number}")
            m.d.comb += [
                write.en.eq(Cat(when & (at >> bank_bits == number) for when, at in writes).any()),
                write.addr.eq(write_to),
                write.data.data.eq(Mux(adds, self.data, 0)),
                write.data.last.eq(self.commit),
                read.en.eq(takes),
                read.addr.eq(read_at),
            ]
            with m.If(middle_free):
                wanted = fetched & (bank == number)
                m.d.sync += word.eq(read.data.as_value() & wanted.replicate(self.width + 1))
            words.append(word)
        with m.If(middle_free):
            m.d.sync += selected.eq(fetched)
        m.d.comb += out.payload.eq(reduce(or_, words))
        return fetched | selected | self.o.valid


class _Count:
    """A counter, and a register that tells whether it is above 0."""

    def __init__(self, most: int, *, init: int = 0) -> None:
        self.value = Signal(range(most + 1), init=init)
        self.some = Signal(init=init != 0)

    def count(
        self,
        m: Module,
        *,
        up: Value = _NEVER,
        down: Value = _NEVER,
        gains: Value = _NEVER,
        more: _Count | None = None,
    ) -> None:
        """Add 1 in clocks of ``up``, subtract 1 in those of ``down``, add ``more`` in ``gains``.

        ``down`` comes with neither of the others. All in one carry chain.
        """
        grows, gained = up, C(0, len(self.value))
        if more is not None:
            grows = up | (gains & more.some)
            gained = more.value & gains.replicate(len(self.value))
        change = gained | down.replicate(len(self.value))
        total = Cat(1, self.value) + Cat(up, change)
        m.d.sync += self.value.eq(total[1:])
        with m.If(grows):
            m.d.sync += self.some.eq(1)
        with m.Elif(down & (self.value == 1)):
            m.d.sync += self.some.eq(0)
