"""The one door to block RAM: a write port and a read port."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import (
    Array,
    C,
    Cat,
    ClockSignal,
    Instance,
    Module,
    Shape,
    ShapeLike,
    Signal,
    Value,
)
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

_DEPTH_OF_WIDTH = {36: 512, 18: 1024, 9: 2048}
"""Words of a DP16KD by its data width."""
_INIT_ROWS, _ROW_BITS, _UNIT_BITS, _UNITS = 64, 320, 18, 16


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
    On ECP5 these are DP16KD blocks (Lattice FPGA-TN-02204); elsewhere a memory of the language.
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
        if str(getattr(platform, "device", "")).startswith("LFE5U"):
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
        most = max(_DEPTH_OF_WIDTH.values())
        fits = (w for w, depth in _DEPTH_OF_WIDTH.items() if depth >= self.depth)
        width = next(fits, min(_DEPTH_OF_WIDTH))
        data, read = Value.cast(self.write.data), Value.cast(self.read)
        rows = []
        for row, first in enumerate(range(0, self.depth, most)):
            rows.append(Signal(len(read), name=f"row{row}"))
            write_en = self.write.en & (self.write.addr >> most.bit_length() - 1 == row)
            for start in range(0, self.width, width):
                stop = min(self.width, start + width)
                words = self.init[first : first + most]
                part = [word >> start & ((1 << stop - start) - 1) for word in words]
                out = Signal(width, name=f"out{row}_{start}")
                block = self._block(width, part, data[start:stop], out, write_en)
                m.submodules[f"block{row}_{start}"] = block
                m.d.comb += rows[-1][start:stop].eq(out)
        chosen = self.read_addr >> most.bit_length() - 1
        if len(rows) > 1:
            for stage in range(self.latency):
                earlier, chosen = chosen, Signal(range(len(rows)), name=f"chosen{stage}")
                with m.If(self.read_en | (stage > 0)):
                    m.d.sync += chosen.eq(earlier)
        m.d.comb += read.eq(Array(rows)[chosen] if len(rows) > 1 else rows[0])

    def _block(
        self, width: int, init: list[int], data: Value, out: Signal, write_en: Value
    ) -> Instance:
        """A DP16KD whose port A writes and whose port B reads, ``width`` bits in 18-bit units."""
        enables = {36: 4, 18: 2, 9: 0}[width]
        shift = {36: 5, 18: 4, 9: 3}[width]
        padded = Cat(data, C(0, 36 - len(data)))
        write_at = Cat(C((1 << enables) - 1, shift), self.write.addr, C(0, 14))[:14]
        read_at = Cat(C(0, shift), self.read_addr, C(0, 14))[:14]
        # a block wider than 18 bits has its low half on port A's pins
        ports: dict[str, object] = {f"i_DIA{i}": padded[i] for i in range(18)}
        ports |= {f"i_DIB{i}": padded[18 + i] for i in range(18)}
        ports |= {f"i_ADA{i}": write_at[i] for i in range(14)}
        ports |= {f"i_ADB{i}": read_at[i] for i in range(14)}
        if width == 36:
            ports |= {f"o_DOA{i}": out[i] for i in range(18)}
            ports |= {f"o_DOB{i}": out[18 + i] for i in range(18)}
        else:
            ports |= {f"o_DOB{i}": out[i] for i in range(width)}
        for port in "AB":
            ports |= {f"i_CS{port}{i}": C(0, 1) for i in range(3)}
            ports |= {
                f"i_CLK{port}": ClockSignal(),
                f"i_RST{port}": C(0, 1),
                f"i_OCE{port}": C(1, 1),
                f"p_CLK{port}MUX": f"CLK{port}",
                f"p_CSDECODE_{port}": "0b000",
                f"p_DATA_WIDTH_{port}": width,
                f"p_REGMODE_{port}": "OUTREG" if self.registered else "NOREG",
                f"p_WRITEMODE_{port}": "NORMAL",
            }
        return Instance(
            "DP16KD",
            i_CEA=write_en,
            i_WEA=write_en,
            i_CEB=self.read_en,
            i_WEB=C(0, 1),
            p_GSR="DISABLED",
            p_RESETMODE="SYNC",
            p_ASYNC_RESET_RELEASE="SYNC",
            **_initial(width, init),
            **ports,
        )


def _initial(width: int, words: list[int]) -> dict[str, object]:
    """INITVAL parameters: rows of sixteen 18-bit units, each in 20 bits."""
    bits = sum(word << width * i for i, word in enumerate(words))
    values: dict[str, object] = {}
    for row in range(_INIT_ROWS):
        value = 0
        for unit in range(_UNITS):
            chunk = bits >> (row * _UNITS + unit) * _UNIT_BITS & ((1 << _UNIT_BITS) - 1)
            value |= chunk << 20 * unit
        values[f"p_INITVAL_{row:02X}"] = C(value, _ROW_BITS)
    return values
