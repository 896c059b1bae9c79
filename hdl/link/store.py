"""A ring of words that holds whole packets, forgets broken ones and leaves nothing behind."""

from typing import Any

from amaranth import Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import memory, stream
from amaranth.lib.wiring import Component, In, Out

from intaglio.hdl.stream import Packet


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
    pending : Out(range(depth + 1))
        Words appended since the last commit or drop.
    o : Out(stream of Packet(width))
        The packets, in order, a word a clock.
    busy : Out(1)
        Something is pending, to be read or to be zeroised.
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
                "pending": Out(range(depth + 1)),
                "o": Out(stream.Signature(Packet(width))),
                "busy": Out(1),
            }
        )

    def _wrapped(self, address: Value) -> Value:
        return Mux(address >= self.depth, address - self.depth, address)

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        m.submodules.ring = ring = memory.Memory(
            shape=Packet(self.width), depth=self.depth, init=[]
        )
        write, read = ring.write_port(), ring.read_port()

        # Round the ring: used (read, not zeroised), stored, pending, free. `dirty` of the free
        # places, the first ones, are not zeroised.
        used, stored = Signal(range(self.depth + 1)), Signal(range(self.depth + 1))
        dirty = Signal(range(self.depth + 1), init=self.depth)
        wipe_at, read_at = Signal(range(self.depth)), Signal(range(self.depth))
        packet_at, write_at = Signal(range(self.depth)), Signal(range(self.depth))

        adds, takes, wipes_dirty, wipes_used = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            adds.eq(self.append | self.commit),
            wipes_dirty.eq(~adds & ~self.drop & (dirty != 0)),
            wipes_used.eq(~adds & ~self.drop & (dirty == 0) & (used != 0)),
            self.room.eq(used + stored + self.pending < self.depth),
            self.busy.eq((used | stored | self.pending | dirty).any() | self.o.valid),
            write.en.eq(adds | wipes_dirty | wipes_used),
            write.data.data.eq(Mux(adds, self.data, 0)),
            write.data.last.eq(self.commit),
            read.en.eq(~self.o.valid | self.o.ready),
            read.addr.eq(read_at),
            takes.eq(read.en & (stored != 0)),
            self.o.payload.eq(read.data),
        ]
        with m.If(adds):
            m.d.comb += write.addr.eq(write_at)
            m.d.sync += write_at.eq(self._wrapped(write_at + 1))
        with m.Elif(wipes_dirty):
            m.d.comb += write.addr.eq(self._wrapped(write_at + dirty - 1))
        with m.Else():
            m.d.comb += write.addr.eq(wipe_at)

        with m.If(self.commit | self.drop):
            m.d.sync += self.pending.eq(0)
        with m.Elif(self.append):
            m.d.sync += self.pending.eq(self.pending + 1)
        with m.If(self.commit):
            m.d.sync += packet_at.eq(self._wrapped(write_at + 1))
        with m.If(self.drop):
            m.d.sync += [write_at.eq(packet_at), dirty.eq(dirty + self.pending)]
        with m.Elif(wipes_dirty | (adds & (dirty != 0))):
            m.d.sync += dirty.eq(dirty - 1)
        with m.If(read.en):
            m.d.sync += self.o.valid.eq(stored != 0)
        with m.If(takes):
            m.d.sync += read_at.eq(self._wrapped(read_at + 1))
        with m.If(wipes_used):
            m.d.sync += wipe_at.eq(self._wrapped(wipe_at + 1))
        m.d.sync += [
            stored.eq(stored + Mux(self.commit, self.pending + 1, 0) - takes),
            used.eq(used + takes - wipes_used),
        ]
        return m
