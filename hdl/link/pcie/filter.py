"""What arrives: whole TLPs only, taken apart and handed to who serves them."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from intaglio.hdl.link.store import PacketStore
from intaglio.hdl.stations.words import reverse_bytes

from . import tlp

MAX_HEADER_DWS = 4
MAX_PAYLOAD_BYTES = 512
"""Longest payload that is taken in; what the function's configuration space must say."""
MAX_TLP_DWS = MAX_HEADER_DWS + MAX_PAYLOAD_BYTES // tlp.DW_BYTES + 1


class TlpFilter(wiring.Component):
    """Lets TLPs pass that are as long as their header says; drops and counts all others.

    A TLP is stored as it comes and shows at the output once it is whole.

    Parameters
    ----------
    depth : int
        DWs of the store, at least :data:`MAX_TLP_DWS`.

    Members
    -------
    i, o : In, Out(stream of Packet(32))
        TLPs.
    malformed : Out(1)
        Pulse: one was dropped: too short or too long for its header, a payload above
        :data:`MAX_PAYLOAD_BYTES`, or a prefix.
    busy : Out(1)
        Something is coming in, waits to be read, or leaves DWs to be zeroised.

    Timing: one DW a clock until the store is full, then one every other clock.
    Security: a payload may carry a key; :class:`PacketStore` zeroises all it held.
    """

    i: In(tlp.tlps())
    o: Out(tlp.tlps())
    malformed: Out(1)
    busy: Out(1)

    def __init__(self, depth: int = 512) -> None:
        if depth < MAX_TLP_DWS:
            raise ValueError(f"depth={depth} must be at least {MAX_TLP_DWS}")
        self.depth = depth
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.store = store = PacketStore(self.depth, width=32)
        connect(m, store.o, flipped(self.o))

        dw, last = self.i.payload.data, self.i.payload.last
        begun, spoiled = Signal(), Signal()
        left = Signal(range(1 + MAX_HEADER_DWS + 1024 + 1))
        length = Cat(dw[:10], dw[:10] == 0)
        prefix, too_long = dw[31], dw[30] & (length > MAX_PAYLOAD_BYTES // tlp.DW_BYTES)
        expected = Signal.like(left)
        m.d.comb += expected.eq(2 + dw[29] + dw[15] + Mux(dw[30], length, 0))

        taken, good = Signal(), Signal()
        room = store.room | spoiled
        m.d.comb += [
            self.i.ready.eq(room),
            taken.eq(self.i.valid & room),
            good.eq(begun & ~spoiled & (left == 1)),
            store.data.eq(dw),
            store.append.eq(taken & ~last & ~spoiled),
            store.commit.eq(taken & last & good),
            store.drop.eq(taken & last & ~good),
            self.malformed.eq(taken & last & ~good),
            self.busy.eq(store.busy | begun | self.i.valid),
        ]
        with m.If(taken):
            m.d.sync += [begun.eq(~last), left.eq(Mux(begun, left - 1, expected))]
            with m.If(last):
                m.d.sync += spoiled.eq(0)
            with m.Elif(Mux(begun, left == 1, prefix | too_long)):
                m.d.sync += spoiled.eq(1)
        return m


class Dispatcher(wiring.Component):
    """Takes TLPs apart and tells who is to serve them.

    Members
    -------
    i : In(stream of Packet(32))
        Whole TLPs.
    requests, completions : Out(stream of Beat)
        Payloads of requests and of completions, DW by DW, the digest taken off. One beat
        (``empty``) where there is none.
    request, completion : Out(RequestHeader), Out(CompletionHeader)
        The header that the beat offered belongs to.
    unknown : Out(1)
        Pulse: a TLP of no known type was dropped. Messages are dropped without it: they need no
        answer, and none concerns this function.
    busy : Out(1)
        A TLP is being taken apart.

    Timing: a TLP takes a clock for each DW, and one more if it has no payload.
    """

    i: In(tlp.tlps())
    requests: Out(stream.Signature(tlp.Beat))
    completions: Out(stream.Signature(tlp.Beat))
    request: Out(tlp.RequestHeader)
    completion: Out(tlp.CompletionHeader)
    unknown: Out(1)
    busy: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = [Signal(32, name=f"word_{n}") for n in range(MAX_HEADER_DWS)]
        place = Signal(range(MAX_HEADER_DWS))
        is_long, has_data, digest = words[0][29], words[0][30], words[0][15]
        to_requests, to_completions, message = Signal(), Signal(), Signal()
        m.d.comb += [
            self.request.as_value().eq(tlp.request_header(words)),
            self.completion.as_value().eq(tlp.completion_header(words)),
        ]
        with m.Switch(words[0][24:32]):
            with m.Case(*tlp.READS, *tlp.WRITES, *tlp.UNSERVED):
                m.d.comb += to_requests.eq(1)
            with m.Case(*tlp.COMPLETIONS):
                m.d.comb += to_completions.eq(1)
            with m.Case(*tlp.MESSAGE_PATTERNS):
                m.d.comb += message.eq(1)

        beat, sends, accepted = Signal(tlp.Beat), Signal(), Signal()
        left, ends = Signal(range(1025)), Signal()
        m.d.comb += [
            self.requests.payload.eq(beat),
            self.completions.payload.eq(beat),
            self.requests.valid.eq(sends & to_requests),
            self.completions.valid.eq(sends & to_completions),
            accepted.eq(
                Mux(to_requests, self.requests.ready, ~to_completions | self.completions.ready)
            ),
            beat.data.eq(Mux(has_data, reverse_bytes(self.i.payload.data), 0)),
            beat.empty.eq(~has_data),
            beat.last.eq(~has_data | ends),
        ]
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("header") | (place != 0) | self.i.valid)
            with m.State("header"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    for n, word in enumerate(words):
                        with m.If(place == n):
                            m.d.sync += word.eq(self.i.payload.data)
                    m.d.sync += place.eq(place + 1)
                    with m.If((place == 3) | ((place == 2) & ~is_long)):
                        m.d.sync += place.eq(0)
                        m.next = "payload"
            with m.State("payload"):
                with m.If(has_data):
                    m.d.comb += [sends.eq(self.i.valid), self.i.ready.eq(accepted)]
                with m.Else():
                    m.d.comb += sends.eq(1)
                with m.If(sends & accepted), m.If(beat.last):
                    m.next = "header"
                    with m.If(digest):
                        m.next = "digest"
                    m.d.comb += self.unknown.eq(~to_requests & ~to_completions & ~message)
            with m.State("digest"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.next = "header"
        with m.If(fsm.ongoing("header")):
            length = words[0][:10]
            m.d.sync += [left.eq(Cat(length, length == 0)), ends.eq(length == 1)]
        with m.Elif(sends & accepted):
            m.d.sync += [left.eq(left - 1), ends.eq(left == 2)]
        return m
