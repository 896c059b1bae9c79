"""What the guest of :mod:`intaglio.sim.pcie.guest` runs: ``python in_guest.py sysfs|vfio``.

It uses the driver as any program would, tells what it sees as lines of JSON on the console, and
judges nothing: ``tests/pcie/test_guest.py`` does.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import traceback
from collections import Counter
from pathlib import Path

import intaglio
from intaglio import cli, selftest, selftest_wire
from intaglio.config import DeviceConfig, PoolConfig
from intaglio.transport import discovery, pcie
from intaglio.transport.base import ParsedUrl, open_transport
from intaglio.transport.function import Bar

SECRET = bytes(range(1, 33))
BURST = 60
ALONE = 4

accesses: Counter[str] = Counter()


def tell(**fields: object) -> None:
    """A line for the test."""
    print("@@" + json.dumps(fields, default=str), flush=True)


def count_accesses() -> None:
    """Have :data:`accesses` count what the driver asks of registers."""
    for kind in ("read", "write"):
        plain = getattr(Bar, kind)

        def counting(self: Bar, *arguments: int, kind: str = kind, plain=plain):  # type: ignore[no-untyped-def]
            accesses[f"{kind} {arguments[0]:#05x}"] += 1
            return plain(self, *arguments)

        setattr(Bar, kind, counting)


def bind(device: discovery.PciDevice) -> None:
    """Do what the driver says is to be done, module loading apart."""
    for _ in range(2):
        lack = discovery.obstacle(device)
        tell(step="obstacle", lack=lack)
        if lack is None:
            return
        command = lack[1].replace("sudo ", "").replace("modprobe vfio-pci && ", "")
        subprocess.run(["/bin/sh", "-c", command], check=True, stdout=subprocess.DEVNULL)


def command(*words: str) -> tuple[int, str]:
    """Exit status and output of the ``intaglio`` command."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            status = cli.main(list(words))
        except SystemExit as ended:
            status = int(ended.code or 0)
    return status, output.getvalue()


def sign(url: str) -> None:
    """Vectors, orders, protocol, interrupts."""
    with intaglio.open(url, timeout_s=60) as signer:
        tell(step="identity", profile=signer.identity.profile, name=signer.identity.name)
        for result in selftest.run(signer, rounds=2):
            tell(step="selftest", **result._asdict())
    for result in selftest_wire.run_on(transport := open_transport(ParsedUrl.parse(url))):
        tell(step="selftest", **result._asdict())
    tell(step="counters", **pcie.counters(transport))
    transport.close()
    status, output = command("demo", "--device", url, "--timeout", "60", "--json")
    tell(step="demo", status=status, output=json.loads(output))


def sleep_for_interrupts(url: str) -> None:
    """Signatures that the driver sleeps for."""
    pcie.SPIN_S = 0.0
    with intaglio.open(url, timeout_s=60) as signer:
        key = signer.load_key("ed25519", SECRET)
        good = []
        for n in range(ALONE):
            good.append(signer.verify(key, bytes([n]), signer.sign(key, bytes([n]))))
        lines = [
            line for line in Path("/proc/interrupts").read_text().splitlines() if "vfio" in line
        ]
        tell(step="interrupts", good=good, lines=lines)


def unplugged(url: str) -> None:
    """A burst in whose middle the device goes, and what becomes of it."""
    config = PoolConfig(devices=(DeviceConfig(url, "board", timeout_s=60.0),), fallback=("soft:",))
    with intaglio.open_pool(config) as pool:
        key = pool.load_key("secp256k1", SECRET)
        tell(step="burst")
        requests = [(key, n.to_bytes(2, "big")) for n in range(BURST)]
        signatures = pool.sign_many(requests)
        good = sum(
            pool.verify(key, message, signature)
            for (_, message), signature in zip(requests, signatures, strict=True)
        )
        members = {m.name: (m.state, m.signatures, m.last_error) for m in pool.members()}
        tell(step="unplugged", good=good, of=BURST, members=members)


def main(route: str) -> None:
    """The whole route."""
    status, output = command("list", "--json")
    tell(step="list", status=status, rows=json.loads(output))
    (device,) = discovery.found()
    url = f"pcie:{device.address}"
    if route == "vfio":
        bind(device)
    else:
        url += "?via=sysfs"
    count_accesses()
    sign(url)
    if route == "vfio":
        sleep_for_interrupts(url)
    tell(step="accesses", counts=accesses)
    unplugged(url)
    tell(step="end")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BaseException:
        tell(step="failed", error=traceback.format_exc())
