"""Key slots: secrets go in by one write port and come out to the engine and the hash lanes only."""

from typing import Any

from amaranth import Array, Cat, Elaboratable, Module, Mux, Signal, unsigned
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import Component, In, Out, Signature

from intaglio.hdl.blockram import BlockRam
from intaglio.hdl.guard import GUARD_BITS, Guarded, difference, guarded
from intaglio.hdl.layouts import CurveId

WORD_BITS = 256
ENGINE_BITS = 260
"""Width of the engine's words; a key's words come zero-extended."""
GENERATION_BITS = 16
SECRET_WORDS = 4
PUBLIC_WORDS = 2
Stored = Guarded(WORD_BITS)
"""A word as it is stored."""


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


def _read_port(slots: int, words: int, bits: int) -> Signature:
    return Signature(
        {
            "en": Out(1),
            "slot": Out(range(slots)),
            "index": Out(range(words)),
            "data": In(bits),
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
    write : In(write port: en, slot, index : Word, data : 256 bits)
        Stores a word of a LOADING slot, two clocks later, once ``busy`` has fallen after its
        ``BEGIN_LOAD``; for a slot in another state it does nothing.
    engine, hash : In(read port: en, slot, index : 0..3, data, damaged)
        Secret words, one clock after ``en``; 260 bits zero-extended for the engine, 256 for hashes.
        ``damaged``, another clock later: not the word that was written.
    public : In(read port: en, slot, index : 0..1, data : 256 bits, damaged)
        PUBLIC0 and PUBLIC1, from a memory of their own.

    Timing: ``wipe_cycles`` a slot, longer by every clock in which a word is written.

    Security: nothing but ``engine`` and ``hash`` reads the secrets. A wipe also replaces what those
    ports read last. Words are stored with :func:`~intaglio.hdl.guard.guard`.
    """

    def __init__(self, slots: int, *, jobs: int, lookups: int = 1) -> None:
        for name, value, least in (("slots", slots, 2), ("jobs", jobs, 1), ("lookups", lookups, 1)):
            if value < least:
                raise ValueError(f"{name}={value} must be at least {least}")
        self.slots, self.jobs, self.lookups = slots, jobs, lookups
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
                        "en": Out(1),
                        "slot": Out(range(slots)),
                        "index": Out(Word),
                        "data": Out(WORD_BITS),
                    }
                )
            ),
            "engine": In(_read_port(slots, SECRET_WORDS, ENGINE_BITS)),
            "hash": In(_read_port(slots, SECRET_WORDS, WORD_BITS)),
            "public": In(_read_port(slots, PUBLIC_WORDS, WORD_BITS)),
        }
        for n in range(lookups):
            members[f"slot_{n}"] = In(range(slots))
            members[f"info_{n}"] = Out(Info(jobs))
        super().__init__(members)

    @property
    def wipe_cycles(self) -> int:
        """Clocks ``busy`` is high to wipe one slot."""
        return SECRET_WORDS + 1

    @property
    def reset_cycles(self) -> int:
        """Clocks ``busy`` is high after a reset or for ``WIPE_ALL``."""
        return self.slots * SECRET_WORDS + 1

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        info = Array(Signal(Info(self.jobs), name=f"slot{n}") for n in range(self.slots))
        wipe_slot = Signal(range(self.slots))
        wipe_index = Signal(range(SECRET_WORDS))
        wipe_last = Signal(range(self.slots), init=self.slots - 1)
        wipes, cleans, renews = Signal(), Signal(), Signal()
        # what the slots being wiped become
        state, curve = Signal(State), Signal(CurveId)
        generation = Signal(GENERATION_BITS)
        change = Signal(_Change(self.slots))
        m.d.sync += [generation.eq(info[wipe_slot].generation + 1), change.enable.eq(0)]
        with m.If(change.enable):
            slot = info[change.slot]
            m.d.sync += slot.state.eq(change.state)
            with m.If(change.renews):
                m.d.sync += [slot.curve.eq(change.curve), slot.generation.eq(change.generation)]

        asked, write = (self.write.signature.flip().create() for _ in range(2))
        for now, before in ((asked, self.write), (write, asked)):
            m.d.sync += [
                now.en.eq(before.en),
                now.slot.eq(before.slot),
                now.index.eq(before.index),
                now.data.eq(before.data),
            ]
        with m.If(~self.write.en):
            m.d.sync += asked.data.eq(0)
        with m.If(info[asked.slot].state != State.LOADING):
            m.d.sync += write.en.eq(0)
        self._memories(m, info, write, Cat(wipe_index, wipe_slot), wipes, cleans)
        self._count_jobs(m, info)
        for n in range(self.lookups):
            m.d.comb += getattr(self, f"info_{n}").eq(info[getattr(self, f"slot_{n}")])

        with m.FSM(init="wipe") as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("idle"))
            with m.State("idle"):
                m.d.comb += [
                    self.finish.ready.eq(~self.write.en),
                    self.command.ready.eq(~self.finish.valid),
                ]
                m.d.sync += [wipe_index.eq(0), state.eq(State.EMPTY), curve.eq(CurveId.NONE)]
                with m.If(self.finish.valid & self.finish.ready):
                    m.d.sync += [
                        wipe_slot.eq(self.finish.payload.slot),
                        wipe_last.eq(self.finish.payload.slot),
                        renews.eq(1),
                    ]
                    m.d.sync += [
                        change.slot.eq(self.finish.payload.slot),
                        change.state.eq(State.READY),
                        change.renews.eq(0),
                    ]
                    with m.If(info[self.finish.payload.slot].state == State.LOADING):
                        m.d.sync += change.enable.eq(self.finish.payload.ok)
                        with m.If(~self.finish.payload.ok):
                            m.next = "wipe"
                with m.Elif(self.command.valid & self.command.ready):
                    command = self.command.payload
                    m.d.sync += [
                        wipe_slot.eq(command.slot),
                        wipe_last.eq(command.slot),
                        renews.eq(1),
                    ]
                    with m.If(command.action == Action.BEGIN_LOAD):
                        m.d.sync += [state.eq(State.LOADING), curve.eq(command.curve)]
                    with m.Elif(command.action == Action.WIPE_ALL):
                        m.d.sync += [wipe_slot.eq(0), wipe_last.eq(self.slots - 1)]
                    m.next = "wipe"
            with m.State("wipe"):
                m.d.comb += wipes.eq(~write.en)
                with m.If(wipes & (wipe_index == 1)):
                    m.d.sync += [
                        change.enable.eq(renews),
                        change.slot.eq(wipe_slot),
                        change.state.eq(state),
                        change.renews.eq(1),
                        change.curve.eq(curve),
                        change.generation.eq(generation),
                    ]
                with m.If(wipes):
                    m.d.sync += wipe_index.eq(wipe_index + 1)
                    with m.If(wipe_index == SECRET_WORDS - 1):
                        with m.If(wipe_slot == wipe_last):
                            m.next = "clean"
                        with m.Else():
                            m.d.sync += wipe_slot.eq(wipe_slot + 1)
            with m.State("clean"):
                m.d.comb += cleans.eq(1)
                m.next = "idle"
        return m

    def _count_jobs(self, m: Module, info: Array) -> None:
        for n, slot in enumerate(info):
            begins = self.acquire & (self.acquire_slot == n)
            ends = self.release & (self.release_slot == n)
            with m.If(begins & ~ends):
                m.d.sync += slot.jobs.eq(slot.jobs + 1)
            with m.If(ends & ~begins):
                m.d.sync += slot.jobs.eq(slot.jobs - 1)

    def _memories(
        self, m: Module, info: Array, write: Any, wipe_at: Any, wipes: Signal, cleans: Signal
    ) -> None:
        depth = self.slots * SECRET_WORDS
        m.submodules.secrets = engine = BlockRam(shape=Stored, depth=depth)
        m.submodules.secrets_copy = hashes = BlockRam(shape=Stored, depth=depth)
        publics = BlockRam(shape=Stored, depth=self.slots * PUBLIC_WORDS)
        m.submodules.publics = publics
        stored = Mux(wipes, 0, guarded(write.data))

        public_wipe_at = Cat(wipe_at[0], wipe_at[2:])
        is_public = write.index.as_value()[2]
        index = write.index.as_value()
        for secrets in (engine, hashes):
            m.d.comb += [
                secrets.write.en.eq(wipes | (write.en & ~is_public)),
                secrets.write.addr.eq(Mux(wipes, wipe_at, Cat(index[:2], write.slot))),
                secrets.write.data.eq(stored),
            ]
        m.d.comb += [
            publics.write.en.eq(wipes | (write.en & is_public)),
            publics.write.addr.eq(Mux(wipes, public_wipe_at, Cat(index[:1], write.slot))),
            publics.write.data.eq(stored),
        ]
        # The clock after a wipe, the ports not in use read a zeroised word.
        for words, user, at in (
            (engine, self.engine, wipe_at),
            (hashes, self.hash, wipe_at),
            (publics, self.public, public_wipe_at),
        ):
            m.d.comb += [
                words.read_en.eq(user.en | cleans),
                words.read_addr.eq(Mux(user.en, Cat(user.index, user.slot), at)),
                user.data.eq(words.read.word),
            ]
            differs = Signal(GUARD_BITS)
            m.d.sync += differs.eq(difference(words.read))
            m.d.comb += user.damaged.eq(differs.any())
