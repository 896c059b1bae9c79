"""The message pool: messages in pages of a shared memory, wiped before a page is used again."""

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
    """Chunks of a message; asks for a word, which comes one clock after ``ask`` was taken."""

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
        follower = Signal(range(self.pages))
        left = Signal(range(wire.MAX_MESSAGE_BYTES + 1))
        m.d.comb += self.ask.payload.eq(place)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    place.page.eq(self.i.payload.page),
                    place.word.eq(0),
                    left.eq(self.i.payload.length),
                ]
                with m.If(self.i.valid & (self.i.payload.length != 0)):
                    m.next = "ask"
            with m.State("ask"):
                m.d.comb += self.ask.valid.eq(1)
                with m.If(self.ask.ready):
                    m.next = "find"
            with m.State("find"):
                is_last = left <= CHUNK_BYTES
                m.d.sync += [
                    self.o.valid.eq(1),
                    self.o.payload.data.eq(self.found.word),
                    self.o.payload.count.eq(Mux(is_last, left, CHUNK_BYTES)),
                    self.o.payload.last.eq(is_last),
                    follower.eq(self.found.next),
                ]
                m.next = "give"
            with m.State("give"), m.If(self.o.ready):
                m.d.sync += [
                    self.o.valid.eq(0),
                    self.o.payload.eq(0),
                    left.eq(left - CHUNK_BYTES),
                    place.word.eq(place.word + 1),
                ]
                with m.If(place.word == PAGE_WORDS - 1):
                    m.d.sync += place.page.eq(follower)
                m.next = "ask"
                with m.If(self.o.payload.last):
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
                "word_en": Out(1),
                "link_en": Out(1),
                "link_to": Out(range(pages)),
            }
        )

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        is_open, begun = Signal(), Signal()
        has_bytes, needs_page, moves = Signal(), Signal(), Signal()
        chunk = self.i.payload
        m.d.comb += [
            has_bytes.eq(chunk.count != 0),
            needs_page.eq(has_bytes & ~is_open),
            self.i.ready.eq(~needs_page & ~self.written.valid),
            moves.eq(self.i.valid & self.i.ready),
            self.word_en.eq(moves & has_bytes),
            self.free.ready.eq(self.i.valid & needs_page & ~self.written.valid),
            self.link_en.eq(self.free.ready & self.free.valid & begun),
            self.link_to.eq(self.free.payload),
        ]
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
        place = Signal(_place(self.pages))
        left = Signal(range(max(self.pages, wire.pages(wire.MAX_MESSAGE_BYTES)) + 1))
        m.d.comb += [
            self.place.payload.eq(place),
            self.ask.payload.eq(place),
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
                        m.next = "ask"
            with m.State("ask"):
                m.d.comb += self.ask.valid.eq(1)
                with m.If(self.ask.ready):
                    m.next = "free"
            with m.State("free"):
                m.d.comb += self.free.valid.eq(1)
                m.d.sync += [
                    place.page.eq(Mux(sweeps, place.page + 1, self.found.next)),
                    left.eq(left - 1),
                ]
                m.next = "wipe"
                with m.If(left == 1):
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

    Timing: a chunk every 3 clocks a reader, more only if several ask in the same clock; writing
    takes a clock a chunk and one more a page; zeroising 18 clocks a page, more while chunks come.

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
        return 1 + self.pages * (PAGE_WORDS + 2)

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        m.submodules.words = words = BlockRam(shape=8 * CHUNK_BYTES, depth=self.pages * PAGE_WORDS)
        m.submodules.links = links = memory.Memory(
            shape=range(self.pages), depth=self.pages, init=[]
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
            words.write.data.eq(Mux(writer.word_en, self.write.payload.data, 0)),
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
        """Grant one client a clock, in turn: the first that asks behind the one granted last."""
        asks, behind = Signal(len(clients)), Signal(len(clients))
        first, grant = Signal(len(clients)), Signal(len(clients))
        place = Signal(_place(self.pages))
        m.d.comb += [
            asks.eq(Cat(client.ask.valid for client in clients)),
            first.eq(Mux((asks & behind).any(), asks & behind, asks)),
            grant.eq(first & -first),
            words.read_en.eq(asks.any()),
            links.en.eq(asks.any()),
            words.read_addr.eq(place),
            links.addr.eq(place.page),
        ]
        with m.If(asks.any()):
            m.d.sync += behind.eq(~(grant | (grant - 1)))
        for n, client in enumerate(clients):
            m.d.comb += [
                client.ask.ready.eq(grant[n]),
                client.found.word.eq(words.read),
                client.found.next.eq(links.data),
            ]
            with m.If(grant[n]):
                m.d.comb += place.eq(client.ask.payload)
