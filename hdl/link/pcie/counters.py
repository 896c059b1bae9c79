"""The counts in BAR 0 that only tell."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .landing import COUNT_BITS

COUNTED = (
    "interrupts",
    "bad_doorbells",
    "bad_descriptors",
    "dma_errors",
    "dma_timeouts",
    "tlps_unsupported",
    "tlps_malformed",
)
"""Registers that :class:`Counters` keeps."""


class Counters(wiring.Component):
    """Counts events, modulo 2^32.

    Members
    -------
    NAME : Out(32), NAME_pulses : In(2)
        For each of :data:`COUNTED`: its register, and how many to count in this clock.
    clear : In(1)
        All counts become 0.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                **{name: Out(COUNT_BITS) for name in COUNTED},
                **{f"{name}_pulses": In(2) for name in COUNTED},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name in COUNTED:
            count, pulses = getattr(self, name), Signal(2, name=f"{name}_new")
            m.d.sync += [
                pulses.eq(getattr(self, f"{name}_pulses")),
                count.eq(Mux(self.clear, 0, count + pulses)),
            ]
        return m
