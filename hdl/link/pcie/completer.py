"""Requests of the host: writes go to the registers, reads are answered from them."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio.hdl.stations.words import reverse_bytes

from . import tlp

BOUNDARY_DWS = 128 // tlp.DW_BYTES
"""Completions of an endpoint may be split only where an address is a multiple of 128 bytes."""

Bus = wiring.Signature(
    {
        "write": Out(1),
        "write_address": Out(10),
        "data": Out(32),
        "enables": Out(4),
        "address": Out(10),
        "word": In(32),
    }
)
"""Registers as the completer sees them: addresses of 32-bit words, byte enables of a write, and the
word at ``address`` two clocks later."""

_Awaiting = data.StructLayout({"request": tlp.RequestHeader, "served": 1})


class Completer(wiring.Component):
    """Serves requests to BAR 0, which is as long as its addresses tell: 4 KiB.

    Memory writes of any length are executed, memory reads of any length answered, in order. All
    other requests that await a completion get Unsupported Request; a poisoned write is dropped.

    Parameters
    ----------
    depth : int
        Reads that may wait, a power of two, at least 4.

    Members
    -------
    request : In(RequestHeader), requests : In(stream of Beat)
        From the dispatcher.
    bus : Out(Bus)
        To the registers.
    bdf : In(16)
        Of the function.
    o : Out(stream of Packet(32))
        Completions.
    unsupported : Out(1)
        Pulse: a request was not served.
    posted_only : Out(1)
        Half of the places are taken, see :class:`.tlp.Function`.
    busy : Out(1)
        Something is to be answered.

    Timing: four clocks a DW read, five a completion's header. A write takes place in the clock
    after its DW is taken. Reads that wait hold up nothing until ``depth`` of them do: completions
    behind them must arrive, or the reads of both sides could wait for each other.
    """

    request: In(tlp.RequestHeader)
    requests: In(stream.Signature(tlp.Beat))
    bus: Out(Bus)
    bdf: In(16)
    o: Out(tlp.tlps())
    unsupported: Out(1)
    posted_only: Out(1)
    busy: Out(1)

    def __init__(self, depth: int = 8) -> None:
        if depth < 4 or depth & (depth - 1):
            raise ValueError(f"depth={depth} must be a power of two, at least 4")
        self.depth = depth
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=_Awaiting.size, depth=self.depth)
        header, beat = self.request, self.requests.payload
        is_write, is_read = Signal(), Signal()
        with m.Switch(header.kind):
            with m.Case(*tlp.WRITES):
                m.d.comb += is_write.eq(1)
            with m.Case(*tlp.READS):
                m.d.comb += is_read.eq(1)

        place, taken, entry = Signal(10), Signal(), Signal(_Awaiting)
        m.d.comb += [
            entry.request.eq(header),
            entry.served.eq(is_read),
            queue.w_data.eq(entry),
            queue.w_en.eq(self.requests.valid & ~is_write & beat.last),
            self.requests.ready.eq(is_write | ~beat.last | queue.w_rdy),
            taken.eq(self.requests.valid & self.requests.ready),
            self.unsupported.eq(taken & beat.last & ~is_read & (~is_write | header.poisoned)),
            self.posted_only.eq(queue.level >= self.depth // 2),
            self.busy.eq((queue.level != 0) | self.o.valid | self.bus.write),
        ]
        m.d.sync += [
            self.bus.write.eq(taken & is_write & ~header.poisoned & ~beat.empty),
            self.bus.data.eq(beat.data),
            self.bus.enables.eq(
                Mux(place == 0, header.first_be, Mux(beat.last, header.last_be, 0xF))
            ),
            self.bus.write_address.eq(header.address[2:12] + place),
        ]
        m.d.comb += self.bus.address.eq(self._answer(m, queue))
        with m.If(taken):
            m.d.sync += place.eq(Mux(beat.last, 0, place + 1))
        return m

    def _answer(self, m: Module, queue: fifo.SyncFIFOBuffered) -> Signal:
        """Send the completions of the first read that waits."""
        waiting = data.View(_Awaiting, queue.r_data)
        request = waiting.request
        left, part, place = Signal(range(1025)), Signal(range(BOUNDARY_DWS + 1)), Signal(2)
        address, bytes_left, begun = Signal(10), Signal(range(4097)), Signal()
        first_offset, last_offset = _offsets(m, request)
        to_boundary, lower = Signal(range(BOUNDARY_DWS + 1)), Signal(7)
        m.d.comb += to_boundary.eq(BOUNDARY_DWS - address[: (BOUNDARY_DWS - 1).bit_length()])
        with m.If(waiting.served):
            m.d.comb += lower.eq(Cat(Mux(begun, 0, first_offset), address[:5]))
        words = self._header(m, waiting, part, bytes_left, lower)
        output = self.o
        with m.FSM():
            with m.State("idle"):
                m.d.sync += [
                    left.eq(request.length),
                    address.eq(request.address[2:12]),
                    bytes_left.eq(
                        Mux(waiting.served, _bytes(request, first_offset, last_offset), 4)
                    ),
                    begun.eq(0),
                ]
                with m.If(queue.r_rdy):
                    m.next = "part"
            with m.State("part"):
                m.d.sync += part.eq(
                    Mux(waiting.served, Mux(left < to_boundary, left, to_boundary), 0)
                )
                m.next = "header"
            with m.State("header"):
                m.d.comb += output.valid.eq(1)
                for n, word in enumerate(words):
                    with m.If(place == n):
                        m.d.comb += output.payload.data.eq(word)
                m.d.comb += output.payload.last.eq((place == 2) & ~waiting.served)
                with m.If(output.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == 2):
                        m.d.sync += place.eq(0)
                        m.next = "fetch"
                        with m.If(~waiting.served):
                            m.d.comb += queue.r_en.eq(1)
                            m.next = "idle"
            fetched = self._fetch(m)
            with m.State("send"):
                m.d.comb += [
                    output.valid.eq(1),
                    output.payload.data.eq(reverse_bytes(fetched)),
                    output.payload.last.eq(part == 1),
                ]
                with m.If(output.ready):
                    m.d.sync += [
                        left.eq(left - 1),
                        part.eq(part - 1),
                        address.eq(address + 1),
                        bytes_left.eq(bytes_left - 4 + Mux(begun, 0, first_offset)),
                        begun.eq(1),
                    ]
                    m.next = "fetch"
                    with m.If(left == 1):
                        m.d.comb += queue.r_en.eq(1)
                        m.next = "idle"
                    with m.Elif(part == 1):
                        m.next = "part"
        return address

    def _header(
        self, m: Module, waiting: data.View, part: Signal, bytes_left: Signal, lower: Signal
    ) -> list[Value]:
        kind = Signal(tlp.Kind)
        locked = Cat(waiting.request.kind == k for k in tlp.LOCKED_READS).any()
        m.d.comb += kind.eq(
            Mux(
                waiting.served,
                tlp.Kind.COMPLETION_DATA,
                Mux(locked, tlp.Kind.COMPLETION_LOCKED, tlp.Kind.COMPLETION),
            )
        )
        return tlp.completion_words(
            kind=kind,
            status=Mux(waiting.served, tlp.Status.SUCCESS, tlp.Status.UNSUPPORTED),
            request=waiting.request,
            length=part,
            byte_count=bytes_left,
            lower_address=lower,
            bdf=self.bdf,
        )

    def _fetch(self, m: Module) -> Signal:
        """A word of the registers, whose address stands."""
        word = Signal(32)
        with m.State("fetch"):
            m.next = "look"
        with m.State("look"):
            m.next = "latch"
        with m.State("latch"):
            m.d.sync += word.eq(self.bus.word)
            m.next = "send"
        return word


def _offsets(m: Module, request: data.View) -> tuple[Signal, Signal]:
    """Bytes not enabled before the first one that is, and behind the last one."""
    first, last = Signal(2), Signal(2)
    last_be = Signal(4)
    m.d.comb += last_be.eq(Mux(request.last_be == 0, request.first_be, request.last_be))
    for n in reversed(range(4)):
        with m.If(request.first_be[n]):
            m.d.comb += first.eq(n)
    for n in range(4):
        with m.If(last_be[n]):
            m.d.comb += last.eq(3 - n)
    return first, last


def _bytes(request: data.View, first: Signal, last: Signal) -> Mux:
    """Bytes from the first enabled one to the last one; 1 where none is."""
    return Mux(request.first_be == 0, 1, (request.length << 2) - first - last)
