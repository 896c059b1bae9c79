"""Judge: what a request is answered, as far as its header tells."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire

from . import keystore, layouts
from .layouts import CurveId, Op, Status


class Judge(wiring.Component):
    """Status of a request by its header, before its body is seen.

    Members
    -------
    header : In(Request), info : In(keystore.Info)
        The request, and the slot it names.
    session, last_tag : In(16), jobs_active : In(1)
        The open session (0: none), the last accepted tag, whether any job is in flight.
    status : Out(Status), takes_tag : Out(1)
        The first status that applies, in the order of :mod:`intaglio.sim.model.core`; whether the
        tag becomes the last accepted one.

    Timing: :attr:`latency` clocks.
    """

    latency = 2

    def __init__(self, *, keys: int, jobs: int) -> None:
        self.keys, self.jobs = keys, jobs
        super().__init__(
            {
                "header": In(layouts.Request),
                "info": In(keystore.Info(jobs)),
                "session": In(16),
                "last_tag": In(wire.TAG_BITS),
                "jobs_active": In(1),
                "status": Out(Status),
                "takes_tag": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        header, info = self.header, Signal.like(self.info)
        m.d.sync += info.eq(self.info)
        known, good_length = Signal(), Signal()
        is_sign, names_slot = Signal(), Signal()
        m.d.sync += [known.eq(0), good_length.eq(0)]
        with m.Switch(header.op):
            for op, (low, high) in wire.BODY_BYTES.items():
                with m.Case(op):
                    length = header.length
                    m.d.sync += [
                        known.eq(1),
                        good_length.eq((length >= low) & (length <= high)),
                    ]
        signs = (header.op == Op.SIGN_MESSAGE) | (header.op == Op.SIGN_DIGEST)
        is_load, is_wipe = header.op == Op.LOAD_KEY, header.op == Op.WIPE_KEY
        m.d.comb += [
            is_sign.eq(signs),
            names_slot.eq(signs | is_load | is_wipe | (header.op == Op.PUBLIC_KEY)),
        ]
        curves = (CurveId.ED25519, CurveId.SECP256K1)
        bad_curve = ~Cat(header.curve == curve for curve in curves).any()
        digest_curve = (header.op == Op.SIGN_DIGEST) & (header.curve != CurveId.SECP256K1)
        ahead = Signal(wire.TAG_BITS)
        m.d.comb += ahead.eq(header.tag - self.last_tag)
        is_newer, no_session = Signal(), Signal()
        m.d.sync += [
            is_newer.eq((ahead != 0) & ~ahead[-1]),
            no_session.eq((self.session == 0) | (header.session != self.session)),
        ]
        in_use = (info.state == keystore.State.LOADING) | ((is_load | is_wipe) & (info.jobs != 0))
        needs_key = is_sign | (header.op == Op.PUBLIC_KEY)

        checks = (
            (header.version != wire.VERSION, Status.BAD_VERSION),
            (~known, Status.BAD_OP),
            ((header.op == Op.IDENTIFY) & ~good_length, Status.BAD_LENGTH),
            (header.op == Op.IDENTIFY, Status.OK),
            ((header.op == Op.OPEN) & ~good_length, Status.BAD_LENGTH),
            ((header.op == Op.OPEN) & (header.session == 0), Status.STALE_SESSION),
            (header.op == Op.OPEN, Status.OK),
            (no_session, Status.STALE_SESSION),
            (~is_newer, Status.DUPLICATE),
            (~good_length, Status.BAD_LENGTH),
            ((is_sign | is_load) & (bad_curve | digest_curve), Status.BAD_CURVE),
            ((header.op == Op.WIPE_ALL) & self.jobs_active, Status.KEY_IN_USE),
            (~names_slot, Status.OK),
            (header.slot >= self.keys, Status.BAD_SLOT),
            (in_use, Status.KEY_IN_USE),
            (needs_key & (info.state != keystore.State.READY), Status.EMPTY_SLOT),
            (is_sign & (info.curve != header.curve), Status.WRONG_CURVE),
            (is_sign & (info.generation != header.generation), Status.STALE_KEY),
        )
        found = Signal(len(checks))
        m.d.sync += found.eq(Cat(applies for applies, _ in checks))
        m.d.comb += self.status.eq(Status.OK)
        for i, (_, status) in enumerate(checks):
            with m.If(found[i]) if i == 0 else m.Elif(found[i]):
                m.d.comb += self.status.eq(status)
        unnumbered = (header.op == Op.IDENTIFY) | (header.version != wire.VERSION) | ~known
        opens = (header.op == Op.OPEN) & good_length & (header.session != 0)
        m.d.sync += self.takes_tag.eq(
            ~unnumbered & Mux(header.op == Op.OPEN, opens, ~no_session & is_newer)
        )
        return m
