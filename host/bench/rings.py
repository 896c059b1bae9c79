"""What ``sign_many`` costs the host over descriptor rings, signatures themselves apart.

``python -m intaglio.bench.rings`` measures it on a device in this process that answers at once with
the same bytes for every request, so that what is left is the driver, on both of its threads:
requests gathered, descriptors written, completions read, :class:`intaglio.Signature` objects made.
Processor time is measured, and that of the device taken off; nothing is verified.
``python -m intaglio.sim.ring_costs`` puts the golden model in the device's place.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np

from intaglio import wire, wire_ring
from intaglio.blocks import Completion, Descriptor
from intaglio.curve import DEVICE_CURVES, Curve
from intaglio.device import DeviceSigner
from intaglio.ring import RING_ENTRIES, Memory
from intaglio.transport.function import IOVA_BASE, Function
from intaglio.transport.pcie import RingTransport
from intaglio.values import SignRequest
from intaglio.wire import Op
from intaglio.wire_ring import BY_NAME, Control, State

MESSAGE_BYTES = 100
ROUNDS = 5
SECRET = bytes(range(1, 33))
_SLOTS = 64


class Timed(Protocol):
    """A :class:`Function` that tells the processor time it took for the device's part."""

    spent_s: float


class AnsweringFunction(Function):
    """Completes every descriptor as soon as the doorbell rings, with zeros for a signature.

    ``spent_s`` is the processor time it took for that.
    """

    name = "answering device"

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._registers: dict[int, int] = {BY_NAME["protocol"].offset: wire.VERSION}
        self._taken = 0

    def read(self, offset: int) -> int:
        if offset == wire_ring.IDENTITY_OFFSET:
            return int.from_bytes(wire.MAGIC, "little")
        if offset == BY_NAME["status"].offset:
            return int(State.READY | State.RUNNING | State.BUS_MASTER)
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self._registers[offset] = value
        if offset == BY_NAME["control"].offset and value & Control.RESET:
            self._taken = 0
        elif offset == BY_NAME["doorbell"].offset:
            began = time.process_time()
            self._answer(value)
            self.spent_s += time.process_time() - began

    def allocate(self, size: int) -> Memory:
        view = memoryview(bytearray(size))
        middle = RING_ENTRIES * Descriptor.itemsize
        end = middle + RING_ENTRIES * Completion.itemsize
        self._descriptors = np.frombuffer(view[:middle], Descriptor)
        self._completions = np.frombuffer(view[middle:end], Completion)
        return Memory(view, IOVA_BASE)

    def interrupt(self) -> int | None:
        return None

    def close(self) -> None:
        pass

    def _answer(self, doorbell: int) -> None:
        while self._taken != doorbell:
            first = self._taken % RING_ENTRIES
            count = min(doorbell - self._taken, RING_ENTRIES - first)
            asked = self._descriptors[first : first + count]
            given = self._completions[first : first + count]
            for name in ("version", "op", "tag"):
                given[name] = asked[name]
            signs = (asked["op"] == Op.SIGN_DIGEST) | (asked["op"] == Op.SIGN_MESSAGE)
            given["length"] = signs * wire.SIGNATURE_BYTES
            given["recid"] = (asked["curve"] == wire.CurveId.ED25519) * wire.NO_RECID
            given["cycles"] = 1
            for index in np.flatnonzero(~signs):
                self._control(asked[index], given[index : index + 1])
            given["sequence"] = np.arange(self._taken + 1, self._taken + 1 + count)
            self._taken += count

    def _control(self, asked: Any, given: Any) -> None:
        """Answer what is no signature, as far as the measurement asks it."""
        body = b""
        if asked["op"] == Op.OPEN:
            curves = sum(1 << curve.wire_id for curve in DEVICE_CURVES)
            body = wire.IDENTITY.pack(
                magic=wire.MAGIC,
                version=wire.VERSION,
                curves=curves,
                key_slots=_SLOTS,
                job_slots=_SLOTS,
                pool_bytes=_SLOTS * wire.MAX_MESSAGE_BYTES,
                max_message_bytes=wire.MAX_MESSAGE_BYTES,
                page_bytes=wire.PAGE_BYTES,
            )
        elif asked["op"] == Op.LOAD_KEY:
            body = wire.KEY.pack(generation=1, curve=asked["curve"], public_key=bytes(64))
        given["length"] = len(body)
        given["recid"] = wire.NO_RECID
        given["body"][0, : len(body)] = np.frombuffer(body, np.uint8)


def cost_us(
    requests: int, size: int | None, new_function: Callable[[], Timed] = AnsweringFunction
) -> float:
    """Microseconds of the host for a signature among ``requests``: digests, or messages."""
    function = new_function()
    with DeviceSigner(RingTransport(cast(Function, function)), verify="off") as signer:
        key = signer.load_key(Curve.SECP256K1, SECRET)
        if size is None:
            items = [SignRequest(key, digest=n.to_bytes(32, "big")) for n in range(requests)]
        else:
            items = [SignRequest(key, n.to_bytes(size, "big")) for n in range(requests)]
        signer.sign_many(items[:RING_ENTRIES])
        spent_s, began = function.spent_s, time.process_time()
        signatures = signer.sign_many(items)
        elapsed_s = time.process_time() - began - (function.spent_s - spent_s)
        assert len(signatures) == requests
    return elapsed_s / requests * 1e6


def measured(
    requests: int,
    rounds: int = ROUNDS,
    new_function: Callable[[], Timed] = AnsweringFunction,
) -> dict[str, float]:
    """Medians of ``rounds``, which take turns, in microseconds a signature."""
    kinds = {"digests": None, f"messages of {MESSAGE_BYTES} bytes": MESSAGE_BYTES}
    costs: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, size in kinds.items():
            costs[name].append(cost_us(requests, size, new_function))
    return {name: statistics.median(values) for name, values in costs.items()}


def main(
    argv: Sequence[str] | None = None,
    *,
    new_function: Callable[[], Timed] = AnsweringFunction,
    description: str | None = __doc__,
) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--requests", type=int, default=20_000, help="in each sign_many")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    costs = measured(arguments.requests, new_function=new_function)
    if arguments.json:
        print(json.dumps({name: round(cost, 3) for name, cost in costs.items()}))
        return 0
    for name, cost in costs.items():
        print(f"sign_many of {name}: {cost:.2f} us of the host for a signature")
    return 0


if __name__ == "__main__":
    sys.exit(main())
