"""The one door to block RAM: a port that writes and one that reads, or two that read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import (
    Array,
    C,
    Cat,
    ClockSignal,
    Instance,
    Module,
    Mux,
    Shape,
    ShapeLike,
    Signal,
    Value,
)
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

_DEPTH_OF_WIDTH = {36: 512, 18: 1024, 9: 2048, 4: 4096, 2: 8192}
"""Words of a DP16KD by its data width. Narrow ones leave its ninth bits out."""
FAR_LATENCY = 5
"""Clocks of a :class:`BlockRom` whose blocks are far."""
_INIT_ROWS, _ROW_BITS, _UNIT_BITS, _UNITS = 64, 320, 18, 16


def _has_blocks(platform: object) -> bool:
    """Whether words are in the blocks of an ECP5, DP16KD (Lattice FPGA-TN-02204); elsewhere they
    are in a memory of the language."""
    return str(getattr(platform, "device", "")).startswith("LFE5U")


class BlockRam(wiring.Component):
    """Words in block RAM, one written and one read in a clock.

    A word must not be read in the clock in which it is written: what comes out then is not defined.
    In simulation it is the complement of the word that was there, so that whoever uses it is found
    out.

    Parameters
    ----------
    shape : ShapeLike
        Of a word.
    depth : int
        Words. Above 2048 they are in several rows of blocks.
    init : Sequence[int]
        First words; the others are 0.
    registered : bool
        The blocks' own output registers are used: a word comes a clock later, but early in it.

    Members
    -------
    write : In({en: 1, addr, data})
    read_en : In(1, init=1), read_addr : In, read : Out(shape)
        The word at ``read_addr``, :attr:`latency` clocks later; without ``read_en`` the one read
        last stays.

    Security: the time of an access does not depend on its address.
    """

    def __init__(
        self, *, shape: ShapeLike, depth: int, init: Sequence[int] = (), registered: bool = False
    ) -> None:
        if depth < 1:
            raise ValueError(f"depth={depth} must be at least 1")
        if len(init) > depth:
            raise ValueError(f"{len(init)} first words do not fit into {depth}")
        self.depth, self.init, self.width = depth, list(init), Shape.cast(shape).width
        self.registered = registered
        address = range(depth)
        super().__init__(
            {
                "write": In(
                    wiring.Signature({"en": Out(1), "addr": Out(address), "data": Out(shape)})
                ),
                "read_en": In(1, init=1),
                "read_addr": In(address),
                "read": Out(shape),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from an address to its word."""
        return 2 if self.registered else 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if _has_blocks(platform):
            self._blocks(m)
        else:
            self._memory(m)
        return m

    def _memory(self, m: Module) -> None:
        m.submodules.words = words = Memory(shape=self.width, depth=self.depth, init=self.init)
        write, read = words.write_port(), words.read_port()
        clash = Signal()
        with m.If(self.read_en):
            m.d.sync += clash.eq(self.write.en & (self.write.addr == self.read_addr))
        m.d.comb += [
            write.en.eq(self.write.en),
            write.addr.eq(self.write.addr),
            write.data.eq(self.write.data),
            read.addr.eq(self.read_addr),
            read.en.eq(self.read_en),
        ]
        found = Value.cast(self.read).eq(read.data ^ clash.replicate(self.width))
        if self.registered:
            m.d.sync += found
        else:
            m.d.comb += found

    def _blocks(self, m: Module) -> None:
        """Rows of as many blocks side by side as the words are wide."""
        data, rows = Value.cast(self.write.data), _Rows(self.depth, self.width, self.init)
        for tile in rows.tiles:
            out = Signal(tile.width, name=f"out_{tile.name}")
            enable = self.write.en & rows.is_of(tile.row, self.write.addr)
            written = data[tile.start : tile.stop]
            m.submodules[f"block{tile.name}"] = self._block(tile, written, out, enable)
            m.d.comb += rows.found[tile.row][tile.start : tile.stop].eq(out)
        found = rows.chosen(m, rows.found, self.read_en, self.read_addr, self.latency)
        m.d.comb += Value.cast(self.read).eq(found)

    def _block(self, tile: _Tile, data: Value, out: Signal, write_en: Value) -> Instance:
        """A DP16KD whose port A writes and whose port B reads."""
        width, enables = tile.width, {36: 4, 18: 2, 9: 0}[tile.width]
        padded = Cat(data, C(0, 36 - len(data)))
        write_at = _address(width, self.write.addr)
        write_at = Cat(C((1 << enables) - 1, enables), write_at[enables:])
        # a block wider than 18 bits has its low half on port A's pins
        ports: dict[str, object] = {f"i_DIA{i}": padded[i] for i in range(18)}
        ports |= {f"i_DIB{i}": padded[18 + i] for i in range(18)}
        ports |= {f"i_ADA{i}": write_at[i] for i in range(14)}
        ports |= {f"i_ADB{i}": bit for i, bit in enumerate(_address(width, self.read_addr))}
        if width == 36:
            ports |= {f"o_DOA{i}": out[i] for i in range(18)}
            ports |= {f"o_DOB{i}": out[18 + i] for i in range(18)}
        else:
            ports |= {f"o_DOB{i}": out[i] for i in range(width)}
        ports |= {"i_CEA": write_en, "i_WEA": write_en, "i_CEB": self.read_en, "i_WEB": C(0, 1)}
        return _dp16kd(tile, registered=self.registered, ports=ports)


class BlockRom(wiring.Component):
    """Words in block RAM that stay what they are, read by one or two readers.

    Parameters
    ----------
    width : int
        Bits of a word.
    words : Sequence[int]
        Fewer than 1024 leave room in their blocks, which for two readers are 18 bits wide at most.
    readers : int
        1 or 2.
    far : bool
        For words in many blocks, far from each other and from their reader: blocks are narrow, so
        that few rows of them leave little to choose; each row has two registers for a reader's
        address and one for its words, and there is one behind the choice.

    Members
    -------
    en_<n> : In(1), addr_<n> : In, word_<n> : Out(width)
        Reader n = 0..readers-1: the word at ``addr_<n>``, :attr:`latency` clocks later. Without
        ``en_<n>`` the one read last stays, or if ``far`` word 0 is read, which every row does that
        is not asked.

    Security: the time of an access does not depend on its address, nor on the other reader.
    """

    def __init__(
        self, *, width: int, words: Sequence[int], readers: int = 1, far: bool = False
    ) -> None:
        if readers not in (1, 2):
            raise ValueError(f"readers={readers} must be 1 or 2")
        self.width, self.words, self.readers, self.far = width, list(words), readers, far
        members = {}
        for n in range(readers):
            members[f"en_{n}"] = In(1)
            members[f"addr_{n}"] = In(range(len(words)))
            members[f"word_{n}"] = Out(width)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clocks from an address to its word."""
        return FAR_LATENCY if self.far else 2

    def elaborate(self, platform: object) -> Module:
        m = Module()
        build = self._blocks if _has_blocks(platform) else self._memory
        domain = m.d.sync if self.far else m.d.comb
        for n, word in enumerate(build(m)):
            domain += getattr(self, f"word_{n}").eq(word)
        return m

    def _reader(self, n: int) -> tuple[Value, Value]:
        """Enable and address."""
        enable, address = getattr(self, f"en_{n}"), getattr(self, f"addr_{n}")
        return (
            (C(1, 1), address & enable.replicate(len(address))) if self.far else (enable, address)
        )

    def _memory(self, m: Module) -> list[Value]:
        m.submodules.words = words = Memory(
            shape=self.width, depth=len(self.words), init=self.words
        )
        found = []
        for n in range(self.readers):
            enable, address = self._reader(n)
            port, word = words.read_port(), Signal(self.width, name=f"found{n}")
            at = self._near(m, address, str(n)) if self.far else address
            m.d.comb += [port.en.eq(enable), port.addr.eq(at)]
            m.d.sync += word.eq(port.data)
            found.append(self._registered(m, word, str(n)) if self.far else word)
        return found

    def _near(self, m: Module, address: Value, name: str, *, init: int = 0) -> Value:
        near = Signal(len(address), name=f"near{name}", init=init, reset_less=True)
        m.d.sync += near.eq(address)
        return near

    def _registered(self, m: Module, word: Value, name: str) -> Value:
        register = Signal(len(word), name=f"word{name}", reset_less=True)
        m.d.sync += register.eq(word)
        return register

    def _blocks(self, m: Module) -> list[Value]:
        narrowest = 2 if self.far else 9
        found, asked = [], []
        for n in range(self.readers):
            rows = _Rows(len(self.words), self.width, self.words, widest=18, narrowest=narrowest)
            enable, address = self._reader(n)
            asked.append((rows, enable, self._addresses(m, rows, address, n)))
            words = rows.found
            if self.far:
                words = [self._registered(m, row, f"{n}_{i}") for i, row in enumerate(words)]
            found.append(rows.chosen(m, words, enable, address, self.latency - self.far))
        for tile in asked[0][0].tiles:
            ports: dict[str, object] = {}
            for n, ((rows, enable, addresses), port) in enumerate(zip(asked, "BA", strict=False)):
                out = Signal(tile.width, name=f"out{n}_{tile.name}")
                m.d.comb += rows.found[tile.row][tile.start : tile.stop].eq(out)
                half = tile.start >= self.width // 2
                at = _address(tile.width, addresses[tile.row][half])
                ports |= {f"i_AD{port}{i}": bit for i, bit in enumerate(at)}
                ports |= {f"o_DO{port}{i}": out[i] for i in range(tile.width)}
                ports[f"i_CE{port}"] = enable
            ports |= {f"i_WE{port}": C(0, 1) for port in "AB"}
            m.submodules[f"block{tile.name}"] = _dp16kd(tile, registered=True, ports=ports)
        return found

    def _addresses(
        self, m: Module, rows: _Rows, address: Value, n: int
    ) -> list[tuple[Value, Value]]:
        """The address for the low and the high half of each row of blocks.

        Those of the halves of a far row begin unlike: synthesis would make one of them otherwise.
        """
        addresses = []
        for row in range(len(rows.found)):
            if not self.far:
                addresses.append((address, address))
                continue
            mine = Mux(rows.is_of(row, address), address, 0)
            ones = (1 << len(address)) - 1
            low, high = (
                self._near(m, mine, f"{n}_{row}_{half}", init=half * ones) for half in range(2)
            )
            addresses.append((low, high))
        return addresses


@dataclass(frozen=True)
class _Tile:
    """A block: its row, which bits of the words it has, how wide it is, and its words."""

    row: int
    start: int
    stop: int
    width: int
    words: list[int]

    @property
    def name(self) -> str:
        return f"{self.row}_{self.start}"


class _Rows:
    """Blocks side by side for words, in rows if these are many, and what a reader finds in each.

    No block is wider than ``widest``, and those of all rows but the last are ``narrowest``; the
    last is of as few as it can be.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        words: Sequence[int],
        *,
        widest: int = 36,
        narrowest: int = 9,
    ) -> None:
        self._most = most = _DEPTH_OF_WIDTH[narrowest]
        self.tiles = []
        self.found: list[Signal] = []
        for row, first in enumerate(range(0, depth, most)):
            self.found.append(Signal(width, name=f"row{row}"))
            rest = min(depth - first, most)
            block = max(w for w, deep in _DEPTH_OF_WIDTH.items() if deep >= rest and w <= widest)
            for start in range(0, width, block):
                stop = min(width, start + block)
                mask = (1 << stop - start) - 1
                part = [word >> start & mask for word in words[first : first + most]]
                self.tiles.append(_Tile(row, start, stop, block, part))

    def is_of(self, row: int, address: Value) -> Value:
        """Whether an address is in a row."""
        return self._row_of(address) == row

    def chosen(
        self, m: Module, words: list[Signal], enable: Value, address: Value, latency: int
    ) -> Value:
        """Of the rows' ``words`` the one at ``address``, asked for with ``enable`` so many clocks
        ago."""
        if len(words) == 1:
            return words[0]
        row = self._row_of(address)
        for stage in range(latency):
            earlier, row = row, Signal(range(len(self.found)), name=f"chosen{stage}")
            with m.If(enable | (stage > 0)):
                m.d.sync += row.eq(earlier)
        return Array(words)[row]

    def _row_of(self, address: Value) -> Value:
        return address >> self._most.bit_length() - 1


def _address(width: int, address: Value) -> Value:
    """Bits of a block's address port."""
    shift = {36: 5, 18: 4, 9: 3, 4: 2, 2: 1}[width]
    return Cat(C(0, shift), address, C(0, 14))[:14]


def _dp16kd(tile: _Tile, *, registered: bool, ports: dict[str, object]) -> Instance:
    """A block in the one clock domain, with its first words."""
    fixed: dict[str, object] = {}
    for port in "AB":
        fixed |= {f"i_CS{port}{i}": C(0, 1) for i in range(3)}
        fixed |= {
            f"i_CLK{port}": ClockSignal(),
            f"i_RST{port}": C(0, 1),
            f"i_OCE{port}": C(1, 1),
            f"p_CLK{port}MUX": f"CLK{port}",
            f"p_CSDECODE_{port}": "0b000",
            f"p_DATA_WIDTH_{port}": tile.width,
            f"p_REGMODE_{port}": "OUTREG" if registered else "NOREG",
            f"p_WRITEMODE_{port}": "NORMAL",
        }
    return Instance(
        "DP16KD",
        p_GSR="DISABLED",
        p_RESETMODE="SYNC",
        p_ASYNC_RESET_RELEASE="SYNC",
        **_initial(tile.width, tile.words),
        **fixed,
        **ports,
    )


def _initial(width: int, words: list[int]) -> dict[str, object]:
    """INITVAL parameters: rows of sixteen 18-bit units, each in 20 bits."""
    bits = sum(word << width * i for i, word in enumerate(words))
    if width < 9:
        eights = enumerate(bits.to_bytes(-(-bits.bit_length() // 8), "little"))
        bits = sum(eight << 9 * i for i, eight in eights)
    values: dict[str, object] = {}
    for row in range(_INIT_ROWS):
        value = 0
        for unit in range(_UNITS):
            chunk = bits >> (row * _UNITS + unit) * _UNIT_BITS & ((1 << _UNIT_BITS) - 1)
            value |= chunk << 20 * unit
        values[f"p_INITVAL_{row:02X}"] = C(value, _ROW_BITS)
    return values
