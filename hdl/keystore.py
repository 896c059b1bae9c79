"""Key slots: secrets go in by one write port and come out to the engine and the hash lanes only."""

from typing import Any

from amaranth import Array, Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import Component, In, Out, Signature

from intaglio.hdl.engine.isa import LIMB_BITS, LIMBS
from intaglio.hdl.layouts import CurveId
from intaglio.hdl.limbram import LimbRam, place

GENERATION_BITS = 16
SECRET_WORDS = 4
PUBLIC_WORDS = 2


class Word(enum.Enum, shape=3):
    """Words of a slot; what each holds is the business of who loads and uses the key."""

    PREFIX = 0
    """Ed25519: the second half of SHA-512 of the seed (RFC 8032 5.1.5)."""
    SCALAR0 = 1
    """aR mod L or dR mod n, R = 2^260."""
    SCALAR1 = 2
    """Ed25519: a 2^256 R mod L."""
    RAW = 3
    """secp256k1: d."""
    PUBLIC0 = 4
    PUBLIC1 = 5


class State(enum.Enum, shape=2):
    """What a slot holds."""

    EMPTY = 0
    LOADING = 1
    READY = 2


class Action(enum.Enum, shape=2):
    """Commands."""

    BEGIN_LOAD = 0
    WIPE = 1
    WIPE_ALL = 2


def Command(slots: int) -> data.StructLayout:
    """Shape of a command; ``slot`` and ``curve`` count where the action needs them."""
    return data.StructLayout({"action": Action, "slot": range(slots), "curve": unsigned(2)})


def Finish(slots: int) -> data.StructLayout:
    """Shape of a load's end: the key is complete (``ok``) or refused."""
    return data.StructLayout({"slot": range(slots), "ok": 1})


def Info(jobs: int) -> data.StructLayout:
    """Shape of what may be known about a slot. ``curve`` is a ``CurveId``."""
    return data.StructLayout(
        {
            "state": State,
            "curve": unsigned(2),
            "generation": unsigned(GENERATION_BITS),
            "jobs": range(jobs + 1),
        }
    )


def _Change(slots: int) -> data.StructLayout:
    """Shape of what a slot becomes: ``renews`` its curve and generation too."""
    info = Info(1)
    members = {name: info[name].shape for name in ("state", "curve", "generation")}
    return data.StructLayout({"enable": 1, "slot": range(slots), "renews": 1, **members})


def _Wipe(slots: int, steps: int) -> data.StructLayout:
    """Shape of the slots being wiped, up to ``last``, and of what they become."""
    return data.StructLayout(
        {
            "slot": range(slots),
            "step": range(steps),
            "last": range(slots),
            "renews": 1,
            "state": State,
            "curve": CurveId,
        }
    )


def _read_port(slots: int, words: int, steps: dict[str, Any], lanes: int = 1) -> Signature:
    """Reads ``lanes`` limbs of a word at once; the member ``steps`` says which."""
    return Signature(
        {
            "en": Out(1),
            "slot": Out(range(slots)),
            "index": Out(range(words)),
            **steps,
            "data": In(lanes * LIMB_BITS),
            "damaged": In(1),
        }
    )


class KeyStore(Component):
    """Slots of keys: the words of each, who it belongs to, how many jobs use it.

    Parameters
    ----------
    slots : int
        Key slots, at least 2.
    jobs : int
        Most jobs in flight on one slot, at least 1.
    lookups : int
        Ports to look slots up by, at least 1.
    lanes : int
        Limbs of a word that the engine reads, or that are written, in a clock: 1, 2 or 4.
    engines : int
        Ports for the engine, at least 1: one for each barrel.

    Members
    -------
    command : In(stream of Command(slots))
        ``BEGIN_LOAD``: the slot becomes LOADING with a new generation, for ``curve``.
        ``WIPE``, ``WIPE_ALL``: the slot, or one after the other, becomes EMPTY with a new
        generation. All zeroise the slot's words; no further command is taken before they are zero,
        and ``busy`` has fallen when the new state shows. Give none for a slot with jobs in flight.
    finish : In(stream of Finish(slots))
        A LOADING slot becomes READY, or is zeroised and EMPTY with a new generation. Ignored if the
        slot is not LOADING (any more). Goes before a command of the same clock.
    busy : Out(1)
        Words are being zeroised; also for ``reset_cycles`` after a reset, which zeroises them all.
    slot_<n> : In(range(slots)), info_<n> : Out(Info(jobs))
        Lookup n = 0..lookups-1, in the same clock.
    acquire, release : In(1), acquire_slot, release_slot : In(range(slots))
        Pulses: a job (loading is one too) begins or ends to use a slot.
    write : In(write port: en, slot, index : Word, step, data : lanes * LIMB_BITS)
        Stores those limbs of a LOADING slot's word that ``en``, a bit per lane, says: lane i of
        ``step`` is limb ``lanes * step + i``. Stored two clocks later, once ``busy`` has fallen
        after the slot's ``BEGIN_LOAD``; for a slot in another state it does nothing.
    engine_<n> : In(read port: en, slot, index : 0..3, step, data : lanes * LIMB_BITS, damaged)
        Secret words, ``lanes`` limbs two clocks after ``en``, from memories n = 0..engines-1 of
        their own. ``damaged``, another clock later: not what was written.
    hash : In(read port: en, slot, index : 0..3, limb, data : LIMB_BITS, damaged)
        Secret words for the hash lanes, from a memory of their own, a limb at a time.
    public : In(read port: en, slot, index : 0..1, limb, data : LIMB_BITS, damaged)
        PUBLIC0 and PUBLIC1, likewise.

    Timing: ``wipe_cycles`` a slot, longer by every clock in which something is written.

    Security: nothing but ``engine_<n>`` and ``hash`` reads the secrets. A wipe also replaces what
    those ports read last. Limbs are stored with :func:`~intaglio.hdl.guard.guard`.
    """

    def __init__(
        self, slots: int, *, jobs: int, lookups: int = 1, lanes: int = 1, engines: int = 1
    ) -> None:
        given = {"slots": slots, "jobs": jobs, "lookups": lookups, "engines": engines}
        for name, value in given.items():
            if value < (least := 2 if name == "slots" else 1):
                raise ValueError(f"{name}={value} must be at least {least}")
        if lanes not in (1, 2, LIMBS):
            raise ValueError(f"lanes={lanes} must be 1, 2 or {LIMBS}")
        self.slots, self.jobs, self.lookups = slots, jobs, lookups
        self.lanes, self.engines = lanes, engines
        step, limb = {"step": Out(range(LIMBS // lanes))}, {"limb": Out(range(LIMBS))}
        members = {
            "command": In(stream.Signature(Command(slots))),
            "finish": In(stream.Signature(Finish(slots))),
            "busy": Out(1),
            "acquire": In(1),
            "acquire_slot": In(range(slots)),
            "release": In(1),
            "release_slot": In(range(slots)),
            "write": In(
                Signature(
                    {
                        "en": Out(lanes),
                        "slot": Out(range(slots)),
                        "index": Out(Word),
                        **step,
                        "data": Out(lanes * LIMB_BITS),
                    }
                )
            ),
            "hash": In(_read_port(slots, SECRET_WORDS, limb)),
            "public": In(_read_port(slots, PUBLIC_WORDS, limb)),
        }
        for n in range(engines):
            members[f"engine_{n}"] = In(_read_port(slots, SECRET_WORDS, step, lanes))
        for n in range(lookups):
            members[f"slot_{n}"] = In(range(slots))
            members[f"info_{n}"] = Out(Info(jobs))
        super().__init__(members)

    @property
    def _wipe_steps(self) -> int:
        """Clocks it takes to zeroise the words of a slot."""
        return SECRET_WORDS * LIMBS // self.lanes

    @property
    def wipe_cycles(self) -> int:
        """Clocks ``busy`` is high to wipe one slot."""
        return self._wipe_steps + 1

    @property
    def reset_cycles(self) -> int:
        """Clocks ``busy`` is high after a reset or for ``WIPE_ALL``."""
        return self.slots * self._wipe_steps + 1

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        info = Array(Signal(Info(self.jobs), name=f"slot{n}") for n in range(self.slots))
        change = Signal(_Change(self.slots))
        m.d.sync += change.enable.eq(0)
        with m.If(change.enable):
            slot = info[change.slot]
            m.d.sync += slot.state.eq(change.state)
            with m.If(change.renews):
                m.d.sync += [slot.curve.eq(change.curve), slot.generation.eq(change.generation)]
        self._count_jobs(m, info)
        for n in range(self.lookups):
            m.d.comb += getattr(self, f"info_{n}").eq(info[getattr(self, f"slot_{n}")])

        wipe = Signal(_Wipe(self.slots, self._wipe_steps), init={"last": self.slots - 1})
        wipes, cleans = Signal(), Signal()
        generation = Signal(GENERATION_BITS)
        m.d.sync += generation.eq(info[wipe.slot].generation + 1)
        write = self._allowed(m, info)
        self._memories(m, write, wipe, wipes, cleans)
        with m.FSM(init="wipe") as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("idle"))
            with m.State("idle"):
                self._idle(m, info, wipe, change)
            with m.State("wipe"):
                m.d.comb += wipes.eq(~write.en.any())
                with m.If(wipes & (wipe.step == 1)):
                    m.d.sync += [
                        change.enable.eq(wipe.renews),
                        change.slot.eq(wipe.slot),
                        change.state.eq(wipe.state),
                        change.renews.eq(1),
                        change.curve.eq(wipe.curve),
                        change.generation.eq(generation),
                    ]
                with m.If(wipes):
                    m.d.sync += wipe.step.eq(wipe.step + 1)
                    with m.If(wipe.step == self._wipe_steps - 1):
                        with m.If(wipe.slot == wipe.last):
                            m.next = "clean"
                        with m.Else():
                            m.d.sync += wipe.slot.eq(wipe.slot + 1)
            with m.State("clean"):
                m.d.comb += cleans.eq(1)
                m.next = "idle"
        return m

    def _idle(self, m: Module, info: Array, wipe: data.View, change: data.View) -> None:
        """Take the end of a load or a command."""
        finish, command = self.finish.payload, self.command.payload
        m.d.comb += [
            self.finish.ready.eq(~self.write.en.any()),
            self.command.ready.eq(~self.finish.valid),
        ]
        m.d.sync += [
            wipe.step.eq(0),
            wipe.state.eq(State.EMPTY),
            wipe.curve.eq(CurveId.NONE),
        ]
        with m.If(self.finish.valid & self.finish.ready):
            m.d.sync += [
                wipe.slot.eq(finish.slot),
                wipe.last.eq(finish.slot),
                wipe.renews.eq(1),
                change.slot.eq(finish.slot),
                change.state.eq(State.READY),
                change.renews.eq(0),
            ]
            with m.If(info[finish.slot].state == State.LOADING):
                m.d.sync += change.enable.eq(finish.ok)
                with m.If(~finish.ok):
                    m.next = "wipe"
        with m.Elif(self.command.valid & self.command.ready):
            m.d.sync += [
                wipe.slot.eq(command.slot),
                wipe.last.eq(command.slot),
                wipe.renews.eq(1),
            ]
            with m.If(command.action == Action.BEGIN_LOAD):
                m.d.sync += [wipe.state.eq(State.LOADING), wipe.curve.eq(command.curve)]
            with m.Elif(command.action == Action.WIPE_ALL):
                m.d.sync += [wipe.slot.eq(0), wipe.last.eq(self.slots - 1)]
            m.next = "wipe"

    def _allowed(self, m: Module, info: Array) -> Any:
        """The write port two clocks later, without writes to slots that are not LOADING."""
        asked, write = (self.write.signature.flip().create() for _ in range(2))
        for now, before in ((asked, self.write), (write, asked)):
            m.d.sync += [
                getattr(now, name).eq(getattr(before, name)) for name in before.signature.members
            ]
        with m.If(~self.write.en.any()):
            m.d.sync += asked.data.eq(0)
        with m.If(info[asked.slot].state != State.LOADING):
            m.d.sync += write.en.eq(0)
        return write

    def _count_jobs(self, m: Module, info: Array) -> None:
        for n, slot in enumerate(info):
            begins = self.acquire & (self.acquire_slot == n)
            ends = self.release & (self.release_slot == n)
            with m.If(begins & ~ends):
                m.d.sync += slot.jobs.eq(slot.jobs + 1)
            with m.If(ends & ~begins):
                m.d.sync += slot.jobs.eq(slot.jobs - 1)

    def _memories(
        self,
        m: Module,
        write: Any,
        wipe: data.View,
        wipes: Signal,
        cleans: Signal,
    ) -> None:
        """Copies of the secrets, one for each reader, and the public words."""
        index = write.index.as_value()
        is_public = index[2]
        secrets = {f"secrets{n}": getattr(self, f"engine_{n}") for n in range(self.engines)}
        secrets["secrets_copy"] = self.hash
        for name, user, words, wanted in (
            *((name, user, SECRET_WORDS, ~is_public) for name, user in secrets.items()),
            ("publics", self.public, PUBLIC_WORDS, is_public),
        ):
            memory = LimbRam(self.slots * words, lanes=self.lanes, registered=True)
            m.submodules[name] = memory
            bits = (words - 1).bit_length()
            # the public words, which are fewer, are wiped twice
            wipe_at = Cat(wipe.step[: bits + len(write.step)], wipe.slot)
            m.d.comb += [
                memory.write.en.eq(Cat(wipes | (lane & wanted) for lane in write.en)),
                memory.write.addr.eq(
                    Mux(wipes, wipe_at, Cat(write.step, index[:bits], write.slot))
                ),
                memory.write.data.eq(Mux(wipes, 0, write.data)),
            ]
            self._read(m, memory, user, wipe_at, cleans)

    def _read(self, m: Module, memory: LimbRam, user: Any, wipe_at: Value, cleans: Signal) -> None:
        """A read port; in the clock after a wipe, if not in use, it reads a zeroised word."""
        if "step" in user.signature.members:
            step, read, difference = user.step, memory.read, memory.differs
        else:
            step = place(user.limb, self.lanes)[1]
            read, difference = memory.limb(m, user.limb)
        differs = Signal.like(difference, name="differs")
        m.d.sync += differs.eq(difference)
        m.d.comb += [
            memory.read_en.eq(user.en | cleans),
            memory.read_addr.eq(Mux(user.en, Cat(step, user.index, user.slot), wipe_at)),
            user.data.eq(read),
            user.damaged.eq(differs.any()),
        ]
