"""The driver before a vfio-user server: the golden model and the gateware behind the same wire."""

from __future__ import annotations

from itertools import islice

import pytest

import intaglio
from intaglio import errors, selftest, selftest_wire, wire_ring
from intaglio.config import DeviceConfig, PoolConfig
from intaglio.pool import Pool
from intaglio.ring import RING_ENTRIES
from intaglio.selftest_wire import Peer
from intaglio.sim.pcie.protocol import Command
from intaglio.transport.base import ParsedUrl, open_transport
from intaglio.transport.pcie import counters
from intaglio.wire import Op
from intaglio.wire_ring import BY_NAME, State

SECRET = bytes(range(1, 33))
DOORBELL = BY_NAME["doorbell"].offset


def test_published_vectors_and_the_libraries_agree(rig):
    with rig.signer() as signer:
        results = list(islice(selftest.run(signer, rounds=1), 4))
    assert not [result for result in results if not result.passed]
    assert {"ed25519: RFC 8032 vectors", "secp256k1: RFC 6979 vectors"} <= {
        result.check for result in results
    }


def test_the_protocol_is_kept_and_bad_descriptors_are_refused(rig):
    results = list(selftest_wire.run_on(rig.transport))
    assert not [result for result in results if not result.passed]
    assert "protocol: descriptors" in {result.check for result in results}
    counts = counters(rig.transport)
    assert (counts["bad_descriptors"], counts["dma_errors"]) == (3, 1)
    assert (counts["tlps_unsupported"], counts["tlps_malformed"]) == (0, 0)
    assert counts["descriptors_taken"] == counts["completions"]


def test_a_driver_makes_only_whole_accesses_and_few(rig):
    with rig.signer() as signer:
        key = signer.load_key("secp256k1", SECRET)
        rig.accesses.clear()
        for n in range(4):
            signer.sign(key, digest=bytes([n]) * 32)
        accesses = list(rig.accesses)
    assert {len(data) for _, _, data in accesses} == {4}
    assert all(offset % 4 == 0 for _, offset, _ in accesses)
    writes = [(offset, int.from_bytes(data, "little")) for kind, offset, data in accesses]
    rung = [value for offset, value in writes if offset == DOORBELL]
    assert rung == list(range(rung[0], rung[0] + 4))
    taken = [value for offset, value in writes if offset == BY_NAME["completion_taken"].offset]
    assert taken == rung


def test_bytes_of_a_register_are_written_alone(rig):
    rig.function.write(BY_NAME["control"].offset, 0)
    offset = BY_NAME["submission_base"].offset
    rig.function.write(offset, 0x11223344)
    rig.function.write_bytes(offset + 1, b"\xaa\xbb")
    assert rig.function.read(offset) == 0x11BBAA44
    rig.function.write_bytes(offset + 3, b"\xcc")
    assert rig.function.read(offset) == 0xCCBBAA44


def test_the_identity_in_the_bar_is_that_of_identify(rig):
    answer = Peer(rig.transport).ask(Op.IDENTIFY)
    words = [rig.function.read(wire_ring.IDENTITY_OFFSET + at) for at in range(0, 76, 4)]
    assert b"".join(word.to_bytes(4, "little") for word in words) == answer.body


def test_bad_doorbells_are_counted_and_harm_nothing(rig):
    peer = Peer(rig.transport)
    peer.open()
    good = rig.function.read(DOORBELL)
    for value in (good - 1, good + RING_ENTRIES + 1, good ^ 0x80000000):
        rig.function.write(DOORBELL, value & 0xFFFFFFFF)
    assert rig.function.read(DOORBELL) == good
    assert counters(rig.transport)["bad_doorbells"] == 3
    peer.counters()


def test_an_interrupt_wakes_the_driver(rig, monkeypatch):
    monkeypatch.setattr("intaglio.transport.pcie.SPIN_S", 0.0)
    with rig.signer() as signer:
        key = signer.load_key("ed25519", SECRET)
        for n in range(3):
            assert signer.verify(key, bytes([n]), signer.sign(key, bytes([n])))


def test_an_unplugged_device_is_a_link_error(rig):
    rig.unplug_after(5)
    signer = rig.signer()
    key = signer.load_key("secp256k1", SECRET)
    results = signer.sign_many([(key, bytes([n])) for n in range(12)], return_exceptions=True)
    signer.close()
    lost = [result for result in results if not isinstance(result, intaglio.Signature)]
    assert len(lost) == 12 - 3
    assert {type(error) for error in lost} == {errors.LinkError}
    assert "all ones" in str(lost[0])


def test_unplugged_in_mid_burst_nothing_is_lost(rig):
    """Every request of the burst ends in its signature, most of them from elsewhere."""
    opened = []

    def opener(url: ParsedUrl):
        if url.text != "rig:":
            return open_transport(url)
        if opened:
            raise errors.LinkError("it is gone")
        opened.append(url)
        return rig.transport

    config = PoolConfig(
        devices=(DeviceConfig("rig:", "first"), DeviceConfig("model:pcie", "other")), fallback=()
    )
    rig.unplug_after(12)
    with Pool(config, opener=opener) as pool:
        key = pool.load_key("ed25519", SECRET)
        requests = [(key, n.to_bytes(2, "big")) for n in range(300)]
        for (_, message), signature in zip(requests, pool.sign_many(requests), strict=True):
            assert pool.verify(key, message, signature)
        members = {member.name: member for member in pool.members()}
        assert 0 < members["first"].signatures <= 10
        assert members["first"].state == "down"


def test_memory_that_vanishes_is_an_error_and_not_a_hang(rig):
    """Rings and all: the device can neither read nor write, and comes back by a reset."""
    with rig.signer(timeout_s=2.0) as signer:
        key = signer.load_key("ed25519", SECRET)
        base = rig.transport._rings.submission_base
        rig.function.unmap(base, 1 << 20)
        with pytest.raises(errors.LinkError):
            signer.sign(key, b"m")
        assert State(rig.transport.register("status")) & State.READY
        assert rig.server.memory.faults


def test_a_function_level_reset_forgets_the_session(rig):
    with rig.signer(timeout_s=4.0) as signer:
        key = signer.load_key("ed25519", SECRET)
        assert signer.verify(key, b"1", signer.sign(key, b"1"))
        rig.function._ask(Command.DEVICE_RESET, b"")
        with pytest.raises(errors.LinkError):
            signer.sign(key, b"2")
        assert signer.verify(key, b"3", signer.sign(key, b"3"))


def test_sim_pcie_is_a_device_url(gateware):
    with intaglio.open("sim:pcie") as signer:
        assert signer.identity.profile == "small"
        key = signer.load_key("secp256k1", SECRET)
        signature = signer.sign(key, digest=bytes(32))
        assert signer.verify(key, None, signature, digest=bytes(32))
        assert signature.cycles > 0
