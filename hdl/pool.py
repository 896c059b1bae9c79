"""The message pool: messages in pages of a shared memory, wiped before a page is used again."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import data, memory, stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from intaglio import wire
from intaglio.hdl.blockram import BlockRam
from intaglio.hdl.stream import CHUNK_BYTES, Chunk

PAGE_WORDS = wire.PAGE_BYTES // CHUNK_BYTES
"""64-bit words in a page."""


def Head(pages: int) -> data.StructLayout:
    """Shape that names where a message of a pool begins."""
    return data.StructLayout({"page": range(pages)})


def Message(pages: int) -> data.StructLayout:
    """Shape that names a whole message: its first page, its length in bytes (1..4096)."""
    return data.StructLayout({"page": range(pages), "length": range(wire.MAX_MESSAGE_BYTES + 1)})


def _place(pages: int) -> data.StructLayout:
    return data.StructLayout({"word": range(PAGE_WORDS), "page": range(pages)})


def _found(pages: int) -> data.StructLayout:
    return data.StructLayout({"word": 8 * CHUNK_BYTES, "next": range(pages)})


class _Reader(Component):
    """Chunks of a message; asks for a word, which comes two clocks after ``ask`` was taken.

    It asks for the next word while it offers one, and again if that was not taken in time.
    """

    def __init__(self, pages: int) -> None:
        self.pages = pages
        super().__init__(
            {
                "i": In(stream.Signature(Message(pages))),
                "o": Out(stream.Signature(Chunk)),
                "ask": Out(stream.Signature(_place(pages))),
                "found": In(_found(pages)),
            }
        )

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        place = Signal(_place(self.pages))
        left = Signal(range(wire.MAX_MESSAGE_BYTES + 1))
        follower = Signal(range(self.pages))
        is_last, asks, follows = Signal(), Signal(), Signal()
        m.d.comb += [self.ask.payload.eq(place), self.ask.valid.eq(asks)]
        with m.If(self.o.ready):
            m.d.sync += [self.o.valid.eq(0), self.o.payload.eq(0)]
        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    place.page.eq(self.i.payload.page),
                    place.word.eq(0),
                    left.eq(self.i.payload.length),
                    follows.eq(0),
                ]
                with m.If(self.i.valid & (self.i.payload.length != 0)):
                    m.d.sync += asks.eq(1)
                    m.next = "ask"
            with m.State("ask"):
                m.d.sync += [is_last.eq(left <= CHUNK_BYTES), follows.eq(0)]
                with m.If(follows):
                    m.d.sync += place.page.eq(follower)
                with m.If(self.ask.ready):
                    m.d.sync += asks.eq(0)
                    m.next = "read"
            with m.State("read"):
                m.next = "find"
                with m.If(self.o.valid):
                    m.next = "wait"
            with m.State("wait"), m.If(~self.o.valid | self.o.ready):
                m.d.sync += asks.eq(1)
                m.next = "ask"
            with m.State("find"):
                m.d.sync += [
                    self.o.valid.eq(1),
                    self.o.payload.data.eq(self.found.word),
                    self.o.payload.count.eq(Mux(is_last, left, CHUNK_BYTES)),
                    self.o.payload.last.eq(is_last),
                    left.eq(left - CHUNK_BYTES),
                    place.word.eq(place.word + 1),
                    follower.eq(self.found.next),
                    follows.eq(place.word == PAGE_WORDS - 1),
                    asks.eq(~is_last),
                ]
                m.next = "ask"
                with m.If(is_last):
                    m.next = "end"
            with m.State("end"), m.If(self.o.ready):
                m.next = "idle"
        return m


class _Writer(Component):
    """Puts chunks into pages taken from the free list one by one, and links these."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        super().__init__(
            {
                "i": In(stream.Signature(Chunk)),
                "written": Out(stream.Signature(Head(pages))),
                "free": In(stream.Signature(range(pages))),
                "place": Out(_place(pages)),
                "word": Out(8 * CHUNK_BYTES),
                "word_en": Out(1),
                "link_en": Out(1),
                "link_to": Out(range(pages)),
            }
        )

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        is_open, begun = Signal(), Signal()
        held, has_bytes, needs_page, moves = Signal(), Signal(), Signal(), Signal()
        chunk = Signal(Chunk)
        m.d.comb += [
            needs_page.eq(has_bytes & ~is_open),
            self.i.ready.eq(~held),
            moves.eq(held & ~needs_page & ~self.written.valid),
            self.word.eq(chunk.data),
            self.word_en.eq(moves & has_bytes),
            self.free.ready.eq(held & needs_page & ~self.written.valid),
            self.link_en.eq(self.free.ready & self.free.valid & begun),
            self.link_to.eq(self.free.payload),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [chunk.eq(self.i.p), held.eq(1), has_bytes.eq(self.i.p.count != 0)]
        with m.If(moves):
            m.d.sync += [chunk.eq(0), held.eq(0), has_bytes.eq(0)]
        with m.If(self.written.ready):
            m.d.sync += self.written.valid.eq(0)
        with m.If(self.free.ready & self.free.valid):
            m.d.sync += [
                self.place.page.eq(self.free.payload),
                self.place.word.eq(0),
                is_open.eq(1),
                begun.eq(1),
            ]
            with m.If(~begun):
                m.d.sync += self.written.payload.page.eq(self.free.payload)
        with m.If(self.word_en):
            m.d.sync += self.place.word.eq(self.place.word + 1)
            with m.If(self.place.word == PAGE_WORDS - 1):
                m.d.sync += is_open.eq(0)
        with m.If(moves & chunk.last):
            m.d.sync += [is_open.eq(0), begun.eq(0), self.written.valid.eq(1)]
        return m


class _Wiper(Component):
    """Zeroises the pages of released messages, and all pages after a reset, and frees them.

    A page's link is read after its words were zeroised, which clears the memory's output too.
    """

    def __init__(self, pages: int) -> None:
        self.pages = pages
        super().__init__(
            {
                "i": In(stream.Signature(Message(pages))),
                "idle": Out(1),
                "place": Out(stream.Signature(_place(pages))),
                "ask": Out(stream.Signature(_place(pages))),
                "found": In(_found(pages)),
                "free": Out(stream.Signature(range(pages))),
            }
        )

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        sweeps = Signal(init=1)
        asks = Signal()
        follower = Signal(range(self.pages))
        place = Signal(_place(self.pages))
        left = Signal(range(max(self.pages, wire.pages(wire.MAX_MESSAGE_BYTES)) + 1))
        m.d.comb += [
            self.place.payload.eq(place),
            self.ask.payload.eq(place),
            self.ask.valid.eq(asks),
            self.free.payload.eq(place.page),
        ]
        with m.FSM(init="reset"):
            with m.State("reset"):
                m.d.sync += [place.eq(0), left.eq(self.pages)]
                m.next = "wipe"
            with m.State("idle"):
                message = self.i.payload
                m.d.comb += [self.i.ready.eq(1), self.idle.eq(~self.i.valid)]
                m.d.sync += [
                    place.page.eq(message.page),
                    left.eq((message.length + wire.PAGE_BYTES - 1) // wire.PAGE_BYTES),
                ]
                with m.If(self.i.valid & (message.length != 0)):
                    m.next = "wipe"
            with m.State("wipe"):
                m.d.comb += self.place.valid.eq(1)
                with m.If(self.place.ready):
                    m.d.sync += place.word.eq(place.word + 1)
                    with m.If(place.word == PAGE_WORDS - 1):
                        m.d.sync += asks.eq(1)
                        m.next = "ask"
            with m.State("ask"), m.If(self.ask.ready):
                m.d.sync += asks.eq(0)
                m.next = "read"
            with m.State("read"):
                m.next = "free"
            with m.State("free"):
                m.d.comb += self.free.valid.eq(1)
                m.d.sync += [follower.eq(self.found.next), left.eq(left - 1)]
                m.next = "follow"
            with m.State("follow"):
                m.d.sync += place.page.eq(Mux(sweeps, place.page + 1, follower))
                m.next = "wipe"
                with m.If(left == 0):
                    m.d.sync += sweeps.eq(0)
                    m.next = "idle"
        return m


class MessagePool(Component):
    """Messages in linked pages of 16 words of 64 bits.

    Parameters
    ----------
    pages : int
        Pages of 128 bytes, at least those of one longest message (32).
    readers : int
        Independent read ports, at least 1.

    Members
    -------
    write : In(stream of Chunk)
        One message after the other, each 1..4096 bytes; pages are taken as its bytes come. Write
        a message only if ``free_pages`` is at least ``wire.pages(length)``, or it waits for a
        release.
    written : Out(stream of Head(pages))
        The first page of each message, once its last chunk is in.
    free_pages : Out(range(pages + 1))
        Zeroised pages that no message has. Only a write makes it fall.
    read_<n> : In(stream of Message(pages)), data_<n> : Out(stream of Chunk)
        Reader n = 0..readers-1: a written message's chunks, in order; as often as wished.
    release : In(stream of Message(pages))
        A message nobody reads any more: its pages are zeroised, then free again.
    idle : Out(1)
        Nothing is being zeroised. Low for ``reset_cycles`` after a reset, in which every page is.

    An empty message has no page: it is never written; to read or release it does nothing.

    Timing: a chunk every 3 clocks a reader, more only if several ask in the same clock; a chunk
    that waits to be taken makes the next up to 4 clocks later. Writing takes two clocks a chunk and
    one more a page; zeroising 20 clocks a page, more while chunks come.

    Security: messages may be secret. What stays of one after its release is the links of its pages.
    """

    def __init__(self, pages: int, *, readers: int = 2) -> None:
        if pages < wire.pages(wire.MAX_MESSAGE_BYTES):
            least = wire.pages(wire.MAX_MESSAGE_BYTES)
            raise ValueError(f"pages={pages} must be at least {least}, for one longest message")
        if readers < 1:
            raise ValueError(f"readers={readers} must be at least 1")
        self.pages, self.readers = pages, readers
        members = {
            "write": In(stream.Signature(Chunk)),
            "written": Out(stream.Signature(Head(pages))),
            "free_pages": Out(range(pages + 1)),
            "release": In(stream.Signature(Message(pages))),
            "idle": Out(1),
        }
        for n in range(readers):
            members[f"read_{n}"] = In(stream.Signature(Message(pages)))
            members[f"data_{n}"] = Out(stream.Signature(Chunk))
        super().__init__(members)

    @property
    def reset_cycles(self) -> int:
        """Clocks after a reset until every page is zeroised and free."""
        return 1 + self.pages * (PAGE_WORDS + 4)

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        m.submodules.words = words = BlockRam(shape=8 * CHUNK_BYTES, depth=self.pages * PAGE_WORDS)
        m.submodules.links = links = memory.Memory(
            shape=range(self.pages), depth=self.pages, init=[], attrs={"ram_style": "block"}
        )
        m.submodules.free = free = SyncFIFOBuffered(
            width=len(self.written.payload.page), depth=self.pages
        )
        m.submodules.writer = writer = _Writer(self.pages)
        m.submodules.wiper = wiper = _Wiper(self.pages)
        link_write, link_read = links.write_port(), links.read_port()

        connect(m, flipped(self.write), writer.i)
        connect(m, writer.written, flipped(self.written))
        connect(m, flipped(self.release), wiper.i)
        connect(m, free.r_stream, writer.free)
        m.d.comb += [
            self.idle.eq(wiper.idle),
            self.free_pages.eq(free.level),
            free.w_data.eq(wiper.free.payload),
            free.w_en.eq(wiper.free.valid),
            wiper.place.ready.eq(~writer.word_en),
            words.write.en.eq(writer.word_en | wiper.place.valid),
            words.write.addr.eq(Mux(writer.word_en, writer.place, wiper.place.payload)),
            words.write.data.eq(Mux(writer.word_en, writer.word, 0)),
            link_write.en.eq(writer.link_en),
            link_write.addr.eq(writer.place.page),
            link_write.data.eq(writer.link_to),
        ]
        clients: list[Any] = [wiper]
        for n in range(self.readers):
            m.submodules[f"reader_{n}"] = reader = _Reader(self.pages)
            connect(m, flipped(getattr(self, f"read_{n}")), reader.i)
            connect(m, reader.o, flipped(getattr(self, f"data_{n}")))
            clients.append(reader)
        self._arbitrate(m, clients, words, link_read)
        return m

    def _arbitrate(self, m: Module, clients: list[Any], words: Any, links: Any) -> None:
        """Grant one client a clock, in turn: the first that asks behind the one granted last.

        The memories read in the clock after the grant.
        """
        asks, behind = Signal(len(clients)), Signal(len(clients))
        urgent, grant, granted = Signal(len(clients)), Signal(len(clients)), Signal(len(clients))
        place = Signal(_place(self.pages))
        m.d.sync += granted.eq(grant)
        m.d.comb += [
            asks.eq(Cat(client.ask.valid for client in clients)),
            urgent.eq(asks & behind),
            words.read_en.eq(granted.any()),
            links.en.eq(granted.any()),
            words.read_addr.eq(place),
            links.addr.eq(place.page),
        ]
        for n, client in enumerate(clients):
            m.d.comb += [
                grant[n].eq(
                    (urgent[n] & ~urgent[:n].any()) | (asks[n] & ~asks[:n].any() & ~urgent.any())
                ),
                client.ask.ready.eq(grant[n]),
                client.found.word.eq(words.read),
                client.found.next.eq(links.data),
            ]
            with m.If(grant[n]):
                m.d.sync += behind.eq(-1 << (n + 1))
        places = [
            client.ask.payload.as_value() & granted[n].replicate(len(place.as_value()))
            for n, client in enumerate(clients)
        ]
        m.d.comb += place.as_value().eq(reduce(or_, places))
