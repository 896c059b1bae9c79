"""Modular inverses by division steps, several at once, each in a fixed number of clocks."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

STEPS = 590
"""Division steps that suffice below 2^256: Bernstein and Yang 2019, section 11, half-delta form."""

SLOTS = 8
"""Inversions in flight. Each makes a step every :data:`SLOTS` clocks."""

CHUNKS = 4
CHUNK_BITS = 65
"""Numbers are 260-bit two's complement, added 65 bits a clock."""

_COUNT = range(STEPS + 3)
_FIX_SIGN, _FIX_RANGE, _DONE = STEPS, STEPS + 1, STEPS + 2


def request_layout(jobs: int, moduli: int) -> data.StructLayout:
    """A number to invert."""
    return data.StructLayout({"job": range(jobs), "modulus": range(moduli), "x": 256})


def result_layout(jobs: int, moduli: int) -> data.StructLayout:
    """Its inverse."""
    return data.StructLayout({"job": range(jobs), "modulus": range(moduli), "inverse": 256})


def _state(bits: int) -> data.StructLayout:
    return data.StructLayout({"f": bits, "g": bits, "d": bits, "e": bits})


_Control = data.StructLayout(
    {
        "slot": range(SLOTS),
        "load": 1,
        "clear": 1,
        "swap": 1,
        "odd": 1,
        "negative": 1,
        "add_d": 1,
        "keep_e": 1,
        "add_m": 1,
        "subtract_m": 1,
        "shift": 1,
    }
)
"""What one visit does to the numbers of a slot, the same for every chunk of them."""


class Inverter(wiring.Component):
    """``inverse = x^-1 mod m``, canonical; 0 for x = 0.

    Parameters
    ----------
    moduli : Sequence[int]
        The moduli to choose from: odd, below 2^256.
    jobs : int
        Range of the job number that accompanies an inversion.

    Members
    -------
    request : In(stream of {job, modulus, x})
        ``x`` canonical, ``modulus`` an index into ``moduli``.
    result : Out(stream of {job, modulus, inverse})
    busy : Out(1)
        An inversion is under way.

    Timing: :attr:`latency` clocks alone, at most :data:`SLOTS` more beside others; one inversion
    every ``STEPS + 3`` clocks with all slots in use. Security: everything is secret; the time of a
    step does not depend on it, and the number of steps is fixed. A slot is zeroised when its result
    leaves.

    Source: Bernstein, Yang, "Fast constant-time gcd computation and modular inversion", 2019. The
    numbers d and e stay between -m and m: an odd sum of two numbers of known signs is corrected by
    -m if both are non-negative, else by m, before it is halved.
    """

    def __init__(self, moduli: Sequence[int], jobs: int) -> None:
        self.moduli, self.jobs = list(moduli), jobs
        super().__init__(
            {
                "request": In(stream.Signature(request_layout(jobs, len(self.moduli)))),
                "result": Out(stream.Signature(result_layout(jobs, len(self.moduli)))),
                "busy": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from taking a lone request to its result being valid."""
        return SLOTS * (STEPS + 3) + CHUNKS

    def elaborate(self, platform: object) -> Module:
        m = Module()
        info_layout = data.StructLayout(
            {
                "busy": 1,
                "count": _COUNT,
                "zeta": 12,
                "sign_d": 1,
                "job": range(self.jobs),
                "modulus": range(len(self.moduli)),
            }
        )
        infos = Array(Signal(info_layout, name=f"info{i}") for i in range(SLOTS))
        sign_e = Signal(SLOTS)
        slot = Signal(range(SLOTS))
        numbers = [
            Memory(
                shape=_state(CHUNK_BITS), depth=SLOTS, init=[], attrs={"ram_style": "distributed"}
            )
            for _ in range(CHUNKS)
        ]
        reads = []
        for c, memory in enumerate(numbers):
            m.submodules[f"numbers{c}"] = memory
            reads.append(memory.read_port(domain="comb"))

        info, control = Signal(info_layout), Signal(_Control)
        m.d.comb += [info.eq(infos[slot]), control.slot.eq(slot)]
        m.d.comb += self.busy.eq(Cat(each.busy for each in infos).any() | self.result.valid)
        # idle, the turn waits: a lone inversion's time does not depend on when it comes
        m.d.sync += slot.eq(Mux(self.busy | self.request.valid, slot + 1, 0))
        x, leaving = self._visit(m, infos, info, control, reads[0].data, sign_e, slot)

        # the decision travels with the chunks
        delayed, modulus = [control], [info.modulus]
        moduli_index = Signal.like(info.modulus, name="modulus0")
        m.d.comb += moduli_index.eq(Mux(control.load, self.request.payload.modulus, info.modulus))
        modulus = [moduli_index]
        for i in range(1, CHUNKS + 3):
            delayed.append(Signal(_Control, name=f"control{i}"))
            modulus.append(Signal.like(info.modulus, name=f"modulus{i}"))
            m.d.sync += [delayed[i].eq(delayed[i - 1]), modulus[i].eq(modulus[i - 1])]
        self._chunks(m, numbers, reads, delayed, modulus, x, sign_e)
        self._leave(m, reads, delayed, info, leaving)
        return m

    def _visit(
        self,
        m: Module,
        infos: Array,
        info: data.View,
        control: data.View,
        low: data.View,
        sign_e: Signal,
        slot: Signal,
    ) -> tuple[Signal, Signal]:
        """Decide what happens to the slot in turn; returns the number being loaded, and leaving."""
        after = Signal(info.shape(), name="info_after")
        negative = info.zeta[-1]
        odd = low.g[0]
        sign = sign_e.bit_select(slot, 1)
        steps, loading = Signal(), Signal(range(CHUNKS + 1))
        x = Signal(256)
        leaving, leave_wait = Signal(), Signal(range(CHUNKS + 3))
        with m.If(leave_wait != 0):
            m.d.sync += leave_wait.eq(leave_wait - 1)
        with m.If(loading != 0):
            m.d.sync += loading.eq(loading - 1)
        with m.If(loading == 1):
            m.d.sync += x.eq(0)
        m.d.comb += [
            after.eq(info),
            steps.eq(info.busy & (info.count < STEPS)),
            control.odd.eq(odd & steps),
            control.negative.eq(Mux(steps, negative, low.f[1])),
            control.swap.eq(steps & negative & odd),
            control.shift.eq(steps),
            control.keep_e.eq(1),
        ]
        with m.If(~info.busy):
            m.d.comb += [self.request.ready.eq(loading == 0)]
            with m.If(self.request.valid & self.request.ready):
                m.d.comb += [
                    control.load.eq(1),
                    after.busy.eq(1),
                    after.count.eq(0),
                    after.zeta.eq(-1),
                    after.sign_d.eq(0),
                    after.job.eq(self.request.payload.job),
                    after.modulus.eq(self.request.payload.modulus),
                ]
                m.d.sync += [x.eq(self.request.payload.x), loading.eq(CHUNKS)]
        with m.Elif(steps):
            sum_is_odd = low.e[0] ^ (odd & low.d[0])
            sign_x = Mux(negative, ~info.sign_d, info.sign_d)
            both = ~sign & ~(odd & sign_x)
            m.d.comb += [
                control.add_d.eq(odd),
                control.add_m.eq(sum_is_odd & ~both),
                control.subtract_m.eq(sum_is_odd & both),
                after.count.eq(info.count + 1),
                after.zeta.eq(Mux(control.swap, -info.zeta.as_signed() - 2, info.zeta - 1)),
                after.sign_d.eq(Mux(control.swap, sign, info.sign_d)),
            ]
        with m.Elif(info.count == _FIX_SIGN):
            m.d.comb += [
                control.add_d.eq(1),
                control.keep_e.eq(0),
                after.count.eq(_FIX_RANGE),
            ]
        with m.Elif(info.count == _FIX_RANGE):
            m.d.comb += [control.add_m.eq(sign), after.count.eq(_DONE)]
        with m.Elif(~self.result.valid & (leave_wait == 0)):
            m.d.comb += [leaving.eq(1), control.clear.eq(1), after.eq(0)]
            m.d.sync += leave_wait.eq(CHUNKS + 2)
        m.d.sync += infos[slot].eq(after)
        return x, leaving

    def _chunks(
        self,
        m: Module,
        numbers: list[Memory],
        reads: list,  # type: ignore[type-arg]
        control: list[data.View],
        modulus: list[Signal],
        x: Signal,
        sign_e: Signal,
    ) -> None:
        """Chunk c of a visit: read c clocks after the decision, summed in the next, written two
        on.
        """
        mask = (1 << CHUNK_BITS) - 1
        sums = [Signal(_state(CHUNK_BITS), name=f"sum{c}") for c in range(CHUNKS)]
        held = [Signal(_state(CHUNK_BITS), name=f"held{c}") for c in range(CHUNKS)]
        carry_g: Value = C(0, 1)
        carry_e: Value = C(0, 2)
        wide = Cat(x, C(0, CHUNKS * CHUNK_BITS - 256))
        for c in range(CHUNKS):
            number = Signal(_state(CHUNK_BITS), name=f"number{c}")
            m.d.comb += reads[c].addr.eq(control[c].slot)
            m.d.sync += number.eq(reads[c].data)

            act = control[c + 1]
            if c == 0:
                carry_g = act.odd & act.negative
                carry_e = (act.add_d & act.negative) + act.subtract_m
            parts = [modulo >> (CHUNK_BITS * c) & mask for modulo in self.moduli]
            m_chunk = Array(C(part, CHUNK_BITS) for part in parts)[modulus[c + 1]]
            flip = act.negative.replicate(CHUNK_BITS)
            x_g = Mux(act.odd, number.f ^ flip, 0)
            x_e = Mux(act.add_d, number.d ^ flip, 0)
            kept = Mux(act.keep_e, number.e, 0)
            y_e = Mux(act.add_m, m_chunk, Mux(act.subtract_m, ~m_chunk, 0))[:CHUNK_BITS]
            sum_g, sum_e = Signal(CHUNK_BITS + 1), Signal(CHUNK_BITS + 2)
            m.d.comb += [
                sum_g.eq(number.g + x_g + carry_g),
                sum_e.eq(kept + x_e + y_e + carry_e),
            ]
            out_g, out_e = Signal(name=f"carry_g{c}"), Signal(2, name=f"carry_e{c}")
            m.d.sync += [
                sums[c].f.eq(Mux(act.swap, number.g, number.f)),
                sums[c].g.eq(sum_g),
                sums[c].d.eq(Mux(act.swap, number.e, number.d)),
                sums[c].e.eq(sum_e),
                out_g.eq(sum_g[CHUNK_BITS:]),
                out_e.eq(sum_e[CHUNK_BITS:]),
                held[c].eq(sums[c]),
            ]
            with m.If(act.load):
                m.d.sync += [
                    sums[c].f.eq(m_chunk),
                    sums[c].g.eq(wide[CHUNK_BITS * c : CHUNK_BITS * (c + 1)]),
                    sums[c].d.eq(0),
                    sums[c].e.eq(1 if c == 0 else 0),
                ]
            with m.Elif(act.clear):
                m.d.sync += sums[c].eq(0)
            carry_g, carry_e = out_g, out_e

        for c in range(CHUNKS):
            write, act = numbers[c].write_port(), control[c + 3]
            m.d.comb += [write.en.eq(1), write.addr.eq(act.slot), write.data.eq(held[c])]
            with m.If(act.shift):
                for name in ("g", "e"):
                    top = sums[c + 1][name][0] if c + 1 < CHUNKS else held[c][name][-1]
                    m.d.comb += write.data[name].eq(Cat(held[c][name][1:], top))
        m.d.sync += sign_e.bit_select(control[CHUNKS + 2].slot, 1).eq(held[-1].e[-1])

    def _leave(
        self,
        m: Module,
        reads: list,  # type: ignore[type-arg]
        control: list[data.View],
        info: data.View,
        leaving: Signal,
    ) -> None:
        """Gather the chunks of a finished inverse."""
        result = self.result.payload
        with m.If(leaving):
            m.d.sync += [result.job.eq(info.job), result.modulus.eq(info.modulus)]
        for c in range(CHUNKS):
            stop = min(256, CHUNK_BITS * (c + 1))
            part = result.inverse[CHUNK_BITS * c : stop]
            with m.If(control[c].clear):
                m.d.sync += part.eq(reads[c].data.e)
        with m.If(control[CHUNKS].clear):
            m.d.sync += self.result.valid.eq(1)
        with m.Elif(self.result.valid & self.result.ready):
            m.d.sync += [self.result.valid.eq(0), result.eq(0)]
