"""Bench of :class:`intaglio.hdl.link.pcie.ultrascale.UltraScalePlus`, pin by pin.

The model of the endpoint block and the root complex are those of cocotbext-pcie.
"""

from __future__ import annotations

import logging
import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamBus
from cocotbext.pcie.core import RootComplex
from cocotbext.pcie.xilinx.us import UltraScalePlusPcieDevice

from intaglio import wire, wire_ring
from intaglio.sim import bfm
from intaglio.sim.benches import pcie_echo
from intaglio.sim.bfm.rings import RingHost
from intaglio.wire import Status
from intaglio.wire_ring import Interrupt

CONFIGURATION = (
    "cfg_max_payload",
    "cfg_max_read_req",
    "cfg_function_status",
    "cfg_bus_number",
    "cfg_hot_reset_out",
    "cfg_flr_in_process",
    "cfg_flr_done",
    "cfg_interrupt_msi_enable",
    "cfg_interrupt_msi_int",
    "cfg_interrupt_msi_sent",
    "cfg_interrupt_msi_fail",
    "pcie_cq_np_req",
)


async def begin(dut: Any, stall: float) -> RingHost:
    """Block, root complex and rings, up."""
    logging.getLogger("cocotb.pcie").setLevel(logging.ERROR)
    buses = {
        f"{name}_bus": AxiStreamBus.from_prefix(dut, f"{side}_axis_{name}")
        for name, side in (("cq", "m"), ("rc", "m"), ("cc", "s"), ("rq", "s"))
    }
    block = UltraScalePlusPcieDevice(
        pcie_generation=2,
        pcie_link_width=1,
        user_clk_frequency=62.5e6,
        max_payload_size=512,
        enable_client_tag=True,
        pf0_msi_enable=True,
        user_clk=dut.clk,
        user_reset=dut.rst,
        **buses,
        **{name: getattr(dut, name) for name in CONFIGURATION},
    )
    for log in ("cq", "rc", "cc", "rq"):
        logging.getLogger(f"cocotb.pcie_echo_us.{log}").setLevel(logging.ERROR)
    if stall:
        for source in (block.cq_source, block.rc_source):
            source.set_pause_generator(_pauses(stall))
        for sink in (block.cc_sink, block.rq_sink):
            sink.set_pause_generator(_pauses(stall))
    function = block.functions[0]
    function.vendor_id, function.device_id = wire_ring.PCI_VENDOR_ID, wire_ring.PCI_DEVICE_ID
    function.configure_bar(0, wire_ring.BAR_BYTES)
    root = RootComplex()
    root.make_port().connect(block)
    await RisingEdge(dut.rst)
    await ClockCycles(dut.clk, 100)
    await root.enumerate()
    found = root.find_device(function.pcie_id)
    await found.enable_device()
    await found.set_master()
    await found.alloc_irq_vectors(1, 1)
    host = RingHost(dut, root, block, found)
    await bfm.within(100_000, host.up(), "bring-up")
    return host


def _pauses(stall: float) -> Any:
    chance = random.Random(random.getrandbits(64))
    while True:
        yield chance.random() < stall


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def pin_exact(dut: Any, stall: float) -> None:
    """Registers, requests of all lengths, an unmapped one, and an interrupt."""
    host = await begin(dut, stall)
    identity = await host.bar.read(0, wire.IDENTITY.size)
    assert bytes(identity) == pcie_echo.IDENTITY
    for offset in range(4):
        for size in range(1, 9 - offset):
            part = bytes(await host.bar.read(offset, size))
            assert part == pcie_echo.IDENTITY[offset : offset + size]
    await host.bar.write(wire_ring.BY_NAME["moderation"].offset + 1, b"\x05")
    assert await host.read("moderation") == 0x500
    await host.write("interrupt", Interrupt.ENABLE)
    lengths = (0, 5, 32, 33, 64, 700, 4096)
    sent = [host.put(random.randbytes(n), slot=76) for n in lengths]
    unmapped = host.put(b"u" * 100, address=1 << 40)
    await host.ring()
    for one in sent:
        got = await bfm.within(100_000, host.take(), "a completion")
        assert got["reply"] == pcie_echo.answer(one.packet)
    got = await bfm.within(100_000, host.take(), "a completion")
    assert got["status"] == Status.DMA_ERROR
    assert wire.REQUEST.unpack(unmapped.packet)["tag"] == got["tag"]
    await bfm.within(10_000, host.found.msi_vectors[0].event.wait(), "an interrupt")
    assert await host.read("interrupts") >= 1
    assert (await host.counts("tlps_malformed", "dma_errors")) == {
        "tlps_malformed": 0,
        "dma_errors": 1,
    }
