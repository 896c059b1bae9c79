"""The driver over descriptor rings, on the golden model of the device in this process."""

from __future__ import annotations

import threading
import time

import pytest

import intaglio
from intaglio import errors, wire_ring
from intaglio.config import DeviceConfig, PoolConfig
from intaglio.curve import DEVICE_CURVES
from intaglio.device import DeviceSigner
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.pcie import ModelFunction
from intaglio.transport.base import ParsedUrl, open_transport
from intaglio.transport.pcie import RingTransport, counters
from intaglio.wire_ring import BY_NAME

SECRET = bytes(range(1, 33))


class SlowFunction(ModelFunction):
    """Works in a thread of its own, as a device does; ``delay_s`` between its steps."""

    def __init__(self, *args, delay_s=0.0, interrupts=True, **options):
        super().__init__(*args, **options)
        self._delay_s = delay_s
        self._interrupts = interrupts
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def interrupt(self):
        return super().interrupt() if self._interrupts else None

    def write(self, offset, value):
        with self._lock:
            self.model.write(offset, value.to_bytes(4, "little"))

    def close(self):
        self._stop.set()
        self._thread.join()
        super().close()

    def _work(self):
        while not self._stop.wait(self._delay_s or 1e-4):
            with self._lock:
                if self.model.busy and not self.gone:
                    self.model.step()


def device(function=None, **options):
    return DeviceSigner(RingTransport(function or ModelFunction(GoldenCore)), **options)


def test_signatures_of_all_lengths_are_those_of_the_libraries():
    with intaglio.open("model:pcie?job_slots=8") as signer:
        for curve in DEVICE_CURVES:
            key = signer.load_key(curve, SECRET)
            requests = [(key, bytes(length)) for length in range(0, 4097, 113)]
            for request, signature in zip(requests, signer.sign_many(requests), strict=True):
                assert signer.verify(key, request[1], signature)
        digest = signer.sign(key, digest=bytes(32))
        assert signer.verify(key, None, digest, digest=bytes(32))
        assert signer.counters().host_resent == 0


def test_more_keys_than_slots():
    with intaglio.open("model:pcie?key_slots=2&job_slots=4") as signer:
        keys = signer.load_keys([("ed25519", bytes([n]) * 32) for n in range(1, 8)])
        requests = [(keys[n % 7], bytes([n])) for n in range(100)]
        for (key, message), signature in zip(requests, signer.sign_many(requests), strict=True):
            assert signer.verify(key, message, signature)


def test_a_batch_needs_few_doorbells():
    function = ModelFunction(GoldenCore)
    writes = []
    original = function.write
    function.write = lambda offset, value: (writes.append(offset), original(offset, value))
    with device(function) as signer:
        key = signer.load_key("secp256k1", SECRET)
        writes.clear()
        signer.sign_many([(key, bytes([n % 256])) for n in range(256)])
        assert writes.count(BY_NAME["doorbell"].offset) < 64


@pytest.mark.parametrize("interrupts", [True, False])
def test_a_slow_device_is_waited_for(interrupts):
    function = SlowFunction(GoldenCore, delay_s=0.01, interrupts=interrupts)
    with device(function) as signer:
        key = signer.load_key("ed25519", SECRET)
        for n in range(10):
            assert signer.verify(key, bytes([n]), signer.sign(key, bytes([n])))
        sent = function.model._values["interrupts"]
    assert (sent > 0) == interrupts


def test_an_idle_signer_touches_no_register():
    function = ModelFunction(GoldenCore)
    with device(function) as signer:
        signer.load_key("ed25519", SECRET)
        time.sleep(0.05)
        touched = []
        function.read = lambda offset: touched.append(offset) or 0
        time.sleep(0.2)
        assert not touched
        del function.read


def test_a_device_that_goes_ends_what_it_had_in_a_link_error():
    function = ModelFunction(GoldenCore, gone_after=40)
    signer = device(function)
    key = signer.load_key("ed25519", SECRET)
    results = signer.sign_many([(key, bytes([n])) for n in range(200)], return_exceptions=True)
    good = [result for result in results if isinstance(result, intaglio.Signature)]
    bad = [result for result in results if not isinstance(result, intaglio.Signature)]
    assert len(good) == 38
    assert {type(error) for error in bad} == {errors.LinkError}
    assert "all ones" in str(bad[0])
    assert function.gone
    with pytest.raises(errors.LinkError, match="all ones"):
        signer.sign(key, b"m")
    signer.close()


def test_a_pool_loses_nothing_when_a_device_goes():
    config = PoolConfig(
        devices=(
            DeviceConfig("model:pcie?gone_after=60", "goes"),
            DeviceConfig("model:pcie?seed=2", "stays"),
        ),
        fallback=(),
    )
    with intaglio.open_pool(config) as pool:
        key = pool.load_key("secp256k1", SECRET)
        requests = [(key, n.to_bytes(2, "big")) for n in range(1500)]
        for (_, message), signature in zip(requests, pool.sign_many(requests), strict=True):
            assert pool.verify(key, message, signature)
        assert {member.name: member.signatures > 0 for member in pool.members()} == {
            "goes": True,
            "stays": True,
        }


def test_memory_that_cannot_be_read_is_a_typed_error_and_harms_no_other():
    with intaglio.open("model:pcie") as signer:
        key = signer.load_key("ed25519", SECRET)
        function = signer._transport._function
        function._dma_faults = 0.05
        requests = [(key, bytes([n % 256]) * 100) for n in range(400)]
        results = signer.sign_many(requests, return_exceptions=True)
        function._dma_faults = 0.0
        failed = [r for r in results if isinstance(r, errors.IntaglioError)]
        assert {type(error) for error in failed} == {errors.DmaError}
        assert 0 < len(failed) < 200
        for (_, message), result in zip(requests, results, strict=True):
            assert result in failed or signer.verify(key, message, result)
        counts = counters(signer._transport)
        assert counts["dma_errors"] == len(failed)
        assert counts["descriptors_taken"] == counts["completions"]
        assert signer.verify(key, b"after", signer.sign(key, b"after"))


def test_a_silent_device_is_reset_and_opened_again():
    function = ModelFunction(GoldenCore)
    with device(function, timeout_s=0.2) as signer:
        key = signer.load_key("ed25519", SECRET)
        step = function.model.step
        function.model.step = lambda: setattr(function, "gone_quiet", True)
        function.write = lambda offset, value: function.model.write(
            offset, value.to_bytes(4, "little")
        )
        with pytest.raises(errors.RequestTimeout):
            signer.sign(key, b"lost")
        function.model.step = step
        del function.write
        assert signer.verify(key, b"m", signer.sign(key, b"m"))


def test_another_version_and_other_devices_are_refused():
    with pytest.raises(errors.ProtocolError, match="protocol version 9"):
        intaglio.open("model:pcie?version=9")
    function = ModelFunction(GoldenCore)
    function.model._identity = bytes(76)
    with pytest.raises(errors.ProtocolError, match="not an Intaglio device"):
        RingTransport(function)


def test_a_device_that_cannot_be_brought_up_says_why():
    function = ModelFunction(GoldenCore)
    function.model.bus_master = False
    with pytest.raises(errors.LinkError, match="bus master"):
        RingTransport(function)
    function = ModelFunction(GoldenCore)
    read = function.read
    function.read = lambda offset: read(offset) & ~1 if offset == 0x88 else read(offset)
    with pytest.raises(errors.LinkError, match="still in reset"):
        RingTransport(function, bring_up_s=0.05)


def test_a_closed_transport_says_so():
    closed = []
    transport = RingTransport(ModelFunction(GoldenCore), on_close=lambda: closed.append(1))
    transport.close()
    transport.close()
    assert closed == [1]
    with pytest.raises(errors.LinkError, match="closed"):
        transport.write(b"")
    with pytest.raises(errors.LinkError, match="closed"):
        transport.read(0.0)


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("model:usb", errors.InputError, "model:pcie"),
        ("model:pcie?drop=0.1", errors.InputError, "unknown parameter 'drop'"),
        ("sim:usb", errors.InputError, "sim:pcie"),
        ("pcie:nowhere", errors.InputError, "PCI address"),
        ("pcie:ff:1f.7", errors.LinkError, "no PCI device at 0000:ff:1f.7"),
        ("pcie:ff:1f.7?via=uio", errors.InputError, "vfio or sysfs"),
    ],
)
def test_urls_that_lead_nowhere(url, error, words):
    with pytest.raises(error, match=words):
        open_transport(ParsedUrl.parse(url))


def test_every_count_has_a_register():
    transport = RingTransport(ModelFunction(GoldenCore))
    assert set(counters(transport)) == {
        register.name for register in wire_ring.REGISTERS if register.offset >= 0x100
    }
    transport.close()
