"""Modular inverses by division steps, several at once, each in a fixed number of clocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..engine.isa import LIMB_BITS, LIMBS

STEPS = 590
"""Division steps that suffice below 2^256: Bernstein and Yang 2019, section 11, half-delta form."""

SLOTS = 8
"""Inversions in flight. Each makes a step every :data:`SLOTS` clocks."""

_MASK = (1 << LIMB_BITS) - 1
_ZETA_BITS = 11
_FIRST_E = 4
"""What e begins as, for the two halvings after the steps."""


class _Phase(enum.Enum, shape=2):
    """What the next visit of a slot does."""

    STEP = 0
    SIGN = 1
    RANGE = 2
    DONE = 3


class _Multiple(enum.Enum, shape=2):
    """What is added before a halving: this many times the modulus."""

    NONE = 0
    ONE = 1
    TWO = 2
    MINUS_ONE = 3


def request_layout(jobs: int, moduli: int) -> data.StructLayout:
    """A number to invert, itself apart."""
    return data.StructLayout({"job": range(jobs), "modulus": range(moduli)})


def done_layout(jobs: int, moduli: int) -> data.StructLayout:
    """An inverse that may leave, itself apart."""
    return data.StructLayout({"valid": 1, "job": range(jobs), "modulus": range(moduli)})


def _state(bits: int) -> data.StructLayout:
    return data.StructLayout({"f": bits, "g": bits, "d": bits, "e": bits})


class Inverter(wiring.Component):
    """``inverse = x^-1 mod m``, canonical; 0 for x = 0.

    Numbers are two's complement, of :data:`~intaglio.hdl.engine.isa.LIMBS` limbs, and are added a
    limb a clock.

    Parameters
    ----------
    moduli : Sequence[int]
        The moduli to choose from: odd, above 4 and below 2^256.
    jobs : int
        Range of the job number that accompanies an inversion.

    Members
    -------
    request : In(stream of {job, modulus})
        ``modulus``: an index into ``moduli``.
    x : In(LIMB_BITS)
        Canonical: limb c in the clock c + 1 after the one in which its request is taken. The next
        is to be taken :data:`~intaglio.hdl.engine.isa.LIMBS` clocks later at the earliest.
    done : Out({valid, job, modulus}), take : In(1)
        With ``valid`` and ``take`` an inverse leaves. Else it is offered again :data:`SLOTS` clocks
        later, and others may be meanwhile.
    inverse : Out(LIMB_BITS)
        Limb c in the clock c + 2 after it is taken; else zero. The next, too, is to be taken so
        many clocks later.

    Timing: :attr:`latency` clocks alone, at most :data:`SLOTS` more beside others; one inversion
    every ``STEPS + 4`` clocks with all slots in use. Security: everything is secret; the time of a
    step does not depend on it, and the number of steps is fixed. A slot is zeroised when its
    inverse leaves, and at every turn while it is idle: a reset leaves nothing for long.

    Source: Bernstein, Yang, "Fast constant-time gcd computation and modular inversion", 2019. The
    numbers d and e stay between -m and m: an odd sum of two numbers of known signs is corrected by
    -m if both are non-negative, else by m, before it is halved. Every visit of a slot halves g and
    e, so e begins as 4, not 1: two visits follow the steps, ``e = +-d / 2`` between -m and m, and
    ``e = e / 2`` between 0 and m.
    """

    def __init__(self, moduli: Sequence[int], jobs: int) -> None:
        self.moduli, self.jobs = list(moduli), jobs
        super().__init__(
            {
                "request": In(stream.Signature(request_layout(jobs, len(self.moduli)))),
                "x": In(LIMB_BITS),
                "done": Out(done_layout(jobs, len(self.moduli))),
                "take": In(1),
                "inverse": Out(LIMB_BITS),
            }
        )
        modulus = range(len(self.moduli))
        self._info = data.StructLayout(
            {
                "busy": 1,
                "phase": _Phase,
                "last": 1,
                "count": range(STEPS + 1),
                "zeta": _ZETA_BITS,
                "sign_d": 1,
                "job": range(jobs),
                "modulus": modulus,
            }
        )
        # what a visit does to the numbers: f and d are added if ``add``, negated if ``negate``;
        # ``negate`` without ``add`` adds x to g
        self._control = data.StructLayout(
            {
                "load": 1,
                "leave": 1,
                "clear": 1,
                "hold": 1,
                "drop_e": 1,
                "swap": 1,
                "add": 1,
                "negate": 1,
                "multiple": _Multiple,
                "modulus": modulus,
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from taking a lone request to the last limb of its inverse, taken at once."""
        return SLOTS * (STEPS + 3) + LIMBS

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # slots take turns: what is known of each moves round a ring, one place a clock
        infos = [Signal(self._info, name=f"info{i}") for i in range(SLOTS)]
        for i in range(1, SLOTS):
            m.d.sync += infos[i].eq(infos[i - 1])
        done = Signal()
        m.d.sync += [
            infos[1].count.eq(infos[0].count + infos[0].busy),
            infos[1].zeta.eq(infos[0].zeta - infos[0].busy),
            infos[-1].last.eq(infos[-2].count == STEPS),
            done.eq(infos[-2].busy & (infos[-2].phase == _Phase.DONE)),
        ]
        slots = [Signal(range(SLOTS), name=f"slot{i}") for i in range(LIMBS + 3)]
        m.d.sync += slots[0].eq(slots[0] + 1)
        # the decision travels with the limbs
        controls = [Signal(self._control, name=f"control{i}") for i in range(LIMBS + 3)]
        for group in (slots, controls):
            for i in range(1, len(group)):
                m.d.sync += group[i].eq(group[i - 1])
        written = self._limbs(m, slots, controls)
        self._visit(m, infos[-2:], done, infos[0], controls[0], written)
        return m

    def _visit(
        self,
        m: Module,
        infos: list[data.View],
        done: Signal,
        after: data.View,
        control: data.View,
        written: list[data.View],
    ) -> None:
        """Decide what happens to the slot in turn, the last of ``infos``; whether it swaps, a clock
        before, where the first of them is."""
        before, info = infos
        low_layout = data.StructLayout({"f": 1, "g": 1, "d": 1, "e": 1})
        low: data.View = Signal(low_layout, name="low3")
        m.d.comb += [
            low.f.eq(written[0].f[1]),
            low.g.eq(written[0].g[1]),
            low.d.eq(written[0].d[0]),
            low.e.eq(written[0].e[1]),
        ]
        for i in range(LIMBS, SLOTS):
            low, earlier = Signal(low_layout, name=f"low{i}"), low
            m.d.sync += low.eq(earlier)
        swap, swaps = Signal(), before.busy & (before.phase == _Phase.STEP) & before.zeta[-1]
        m.d.sync += swap.eq(swaps & earlier.g)
        sign_e = Signal()
        m.d.sync += sign_e.eq(written[-1].e[-1])

        negative = info.zeta[-1]
        steps = info.busy & (info.phase == _Phase.STEP)
        is_sign = info.busy & (info.phase == _Phase.SIGN)
        is_range = info.busy & (info.phase == _Phase.RANGE)
        odd = low.g & steps
        sign_x = info.sign_d ^ negative
        both = ~sign_e & ~(odd & sign_x)
        load, leaving = Signal(), Signal()
        m.d.comb += [
            self.request.ready.eq(~info.busy),
            load.eq(self.request.valid & self.request.ready),
            self.done.valid.eq(done),
            self.done.job.eq(info.job),
            self.done.modulus.eq(info.modulus),
            leaving.eq(self.done.valid & self.take),
        ]
        m.d.sync += [
            control.load.eq(load),
            control.leave.eq(leaving),
            control.clear.eq(leaving | (~info.busy & ~load)),
            control.hold.eq(self.done.valid & ~self.take),
            control.drop_e.eq(load | is_sign),
            control.swap.eq(swap),
            control.add.eq(odd | is_sign),
            control.negate.eq(Mux(is_sign, low.f, swap) | load),
            control.multiple.eq(_Multiple.NONE),
            control.modulus.eq(Mux(load, self.request.payload.modulus, info.modulus)),
            after.eq(info),
            after.zeta.eq(info.zeta ^ swap.replicate(_ZETA_BITS)),
            after.sign_d.eq(Mux(swap, sign_e, info.sign_d)),
        ]
        with m.If(steps):
            with m.If(low.e ^ (odd & low.d)):
                m.d.sync += control.multiple.eq(Mux(both, _Multiple.MINUS_ONE, _Multiple.ONE))
            with m.If(info.last):
                m.d.sync += after.phase.eq(_Phase.SIGN)
        with m.If(is_sign):
            with m.If(low.d):
                m.d.sync += control.multiple.eq(_Multiple.ONE)
            m.d.sync += after.phase.eq(_Phase.RANGE)
        with m.If(is_range):
            with m.If(low.e):
                m.d.sync += control.multiple.eq(_Multiple.ONE)
            with m.Elif(sign_e):
                m.d.sync += control.multiple.eq(_Multiple.TWO)
            m.d.sync += after.phase.eq(_Phase.DONE)
        with m.If(load):
            m.d.sync += [
                after.eq(0),
                after.busy.eq(1),
                after.job.eq(self.request.payload.job),
                after.modulus.eq(self.request.payload.modulus),
            ]
        with m.If(leaving):
            m.d.sync += after.eq(0)

    def _limbs(self, m: Module, slots: list[Signal], controls: list[data.View]) -> list[data.View]:
        """Limb c of a visit: read in clock c after the decision, d or f added in the next, the
        modulus in the one after, then written: the numbers before g and e are halved.

        Returns what is written.
        """
        memories = [
            Memory(
                shape=_state(LIMB_BITS), depth=SLOTS, init=[], attrs={"ram_style": "distributed"}
            )
            for _ in range(LIMBS)
        ]
        reads = []
        for c, memory in enumerate(memories):
            m.submodules[f"numbers{c}"] = memory
            reads.append(memory.read_port(domain="comb"))
            m.d.comb += reads[c].addr.eq(slots[c])

        carries = [Signal(name="carry_g"), Signal(name="carry_e"), Signal(name="carry_m")]
        m.d.sync += [
            *(carry.eq(controls[0].add & controls[0].negate) for carry in carries[:2]),
            carries[2].eq(controls[1].multiple == _Multiple.MINUS_ONE),
        ]
        above, results, leaving = Signal(), [], []
        m.d.sync += above.eq(self.x[-1])
        for c in range(LIMBS):
            x = Cat(above if c else C(0, 1), self.x)[:LIMB_BITS]
            number, addend = self._read(m, c, controls[c], reads[c].data, x)
            act = controls[c + 1]
            if c + 1 < LIMBS:  # a halved limb's uppermost bit is the lowest of the next as stored
                top_g = reads[c + 1].data.g[0] & ~act.load
                top_e = reads[c + 1].data.e[0] & ~act.drop_e
            else:
                top_g, top_e = number["g"][-1], number["e"][-1]
            g, e = Cat(number["g"], top_g), Cat(number["e"], top_e)
            leaving.append(e & act.leave.replicate(LIMB_BITS))

            sums = Signal(_state(LIMB_BITS), name=f"sum{c}", reset_less=True)
            held = Signal(_state(LIMB_BITS), name=f"held{c}", reset_less=True)
            outs = [Signal(name=f"carry_{name}{c}") for name in "gem"]
            m.d.sync += [
                sums.f.eq(Mux(act.swap, g, number["f"])),
                sums.d.eq(Mux(act.swap, e, number["d"])),
                Cat(sums.g, outs[0]).eq(_add(g, addend["g"], carries[0])),
                Cat(sums.e, outs[1]).eq(_add(e, addend["e"], carries[1])),
            ]
            with m.If(act.clear):
                m.d.sync += sums.eq(0)
            m.d.sync += [
                held.eq(sums),
                Cat(held.e, outs[2]).eq(_add(sums.e, self._multiple(m, c, act), carries[2])),
            ]
            carries = outs

            write = memories[c].write_port()
            m.d.comb += [
                write.en.eq(~controls[c + 3].hold),
                write.addr.eq(slots[c + 3]),
                write.data.eq(held),
            ]
            results.append(held)
        m.d.comb += self.inverse.eq(reduce(or_, leaving))
        return results

    def _read(
        self, m: Module, c: int, act: data.View, read: data.View, x: Value
    ) -> tuple[dict[str, Signal], dict[str, Signal]]:
        """Registers of a limb of the numbers, g and e halved and without their uppermost bit, and
        of what is to be added to g and e: ``x``, doubled, to a g that is loaded.
        """
        parts = [_part(modulo, c) for modulo in self.moduli]
        # where all moduli have a one, a set input loads f: a flip-flop that begins as one has it
        common = reduce(int.__and__, parts)
        modulo = Array(C(part, LIMB_BITS) for part in parts)[act.modulus] | common

        def register(name: str, bits: int, init: int = 0) -> Signal:
            return Signal(bits, name=name, init=init, reset_less=True)

        number = {
            "f": register(f"number{c}_f", LIMB_BITS, common),
            "g": register(f"number{c}_g", LIMB_BITS - 1),
            "d": register(f"number{c}_d", LIMB_BITS),
            "e": register(f"number{c}_e", LIMB_BITS - 1),
        }
        addend = {name: register(f"addend{c}_{name}", LIMB_BITS) for name in "ge"}
        flip = act.negate.replicate(LIMB_BITS)
        m.d.sync += [
            number["f"].eq(Mux(act.load, modulo, read.f)),
            number["g"].eq(Mux(act.load, 0, read.g[1:])),
            number["d"].eq(Mux(act.load, 0, read.d)),
            number["e"].eq(Mux(act.drop_e, 0, read.e[1:])),
            addend["g"].eq(Mux(act.add, read.f ^ flip, x & flip)),
            addend["e"].eq(Mux(act.add, read.d ^ flip, 0)),
        ]
        if c == 0:
            with m.If(act.load):
                m.d.sync += number["e"].eq(2 * _FIRST_E)
        return number, addend

    def _multiple(self, m: Module, c: int, act: data.View) -> Signal:
        """Register of a limb of the multiple of the modulus that is to be added to e."""
        choices = [
            C(_part(times * modulo, c) ^ flip, LIMB_BITS)
            for modulo in self.moduli
            for times, flip in ((0, 0), (1, 0), (2, 0), (1, _MASK))
        ]
        multiple = Signal(LIMB_BITS, name=f"multiple{c}", reset_less=True)
        m.d.sync += multiple.eq(Array(choices)[Cat(act.multiple, act.modulus)])
        return multiple


def _part(number: int, c: int) -> int:
    return number >> LIMB_BITS * c & _MASK


def _add(a: Value, b: Value, carry: Value) -> Value:
    """Sum of two limbs and a carry, with the carry out."""
    return (Cat(C(1, 1), a) + Cat(carry, b))[1 : len(a) + 2]
