"""Calls to compare: each of ours beside the library or SDK call it replaces.

    python -m intaglio.bench.calls          # ratios of peer time to our time, in interleaved rounds

Every pair makes the same bytes (:func:`pairs` checks that first). Peers get what they have: a key
object that is kept, coincurve in the place of the SDKs' pure-Python defaults.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import intaglio
from intaglio.bench.workers import Processes, direct_ed25519, direct_secp256k1
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.signer import Signer
from intaglio.values import SignRequest

SECRET = bytes(range(1, 33))
DIGEST = bytes(range(32))
MESSAGE = b"symbol=ETHUSDT&side=BUY&type=LIMIT&quantity=0.25&price=1800.5".ljust(200, b"x")
WORKERS = 2
MANY = 2000
"""Signatures of one call of ``sign_many_2_workers``."""
NONCE = 1_700_000_000_000
ACTION = {
    "type": "order",
    "orders": [
        {
            "a": 1,
            "b": True,
            "p": "1800.5",
            "s": "0.25",
            "r": False,
            "t": {"limit": {"tif": "Alo"}},
            "c": "0x00000000000000000000000000000001",
        }
    ],
    "grouping": "na",
}
TRANSACTION = {
    "type": 2,
    "chainId": 1,
    "nonce": 7,
    "to": "0xF0109fC8DF283027b6285cc889F5aA624EaC1F55",
    "value": 10**15,
    "gas": 21000,
    "maxFeePerGas": 10**9,
    "maxPriorityFeePerGas": 10**8,
    "data": b"",
}


def _nothing() -> None:
    """Neither before nor after."""


@dataclass(frozen=True, slots=True)
class Pair:
    """``ours`` and ``peer``, which return the same. ``jobs`` signatures are made by each call.

    ``calls``: how many calls make a round long enough to be measured. ``enter`` and ``leave`` go
    around a round of ours, outside the time measured. ``peer_name`` says what the peer is.
    """

    name: str
    peer_name: str
    ours: Callable[[], Any]
    peer: Callable[[], Any]
    calls: int
    peer_calls: int
    jobs: int = 1
    enter: Callable[[], None] = _nothing
    leave: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class Compared:
    """Medians over the rounds. Times are microseconds per call, ``ratio`` peer time / our time."""

    name: str
    ours_p50_us: float
    ours_p99_us: float
    peer_p50_us: float
    peer_p99_us: float
    ratio: float


NEEDS = {
    "hyperliquid_order": ("hyperliquid", "msgpack", "Crypto"),
    "eip712": ("eth_account", "Crypto"),
    "eip1559": ("eth_account", "Crypto"),
    "ccxt_hyperliquid": ("ccxt", "msgpack", "Crypto"),
    "sign_ed25519": (),
    "sign_secp256k1": (),
    "sign_many_2_workers": (),
}
"""Names of all pairs, and the modules each needs."""


def available() -> list[str]:
    """Names of the pairs whose packages are installed."""
    return [name for name, needs in NEEDS.items() if all(map(find_spec, needs))]


@contextmanager
def pairs(signer: Signer, names: list[str] | None = None) -> Iterator[list[Pair]]:
    """The pairs ``names`` (by default all that are :func:`available`), signing on ``signer``.

    Raises :class:`InputError` for an unknown name, and if the two calls of a pair disagree.
    """
    with ExitStack() as stack:
        made = []
        for name in available() if names is None else names:
            if name not in NEEDS:
                raise InputError(f"there is no pair {name!r}: known are {', '.join(NEEDS)}")
            pair = _MAKERS[name](signer, stack)
            pair.enter()
            mine = pair.ours()
            pair.leave()
            if mine != pair.peer():
                raise InputError(f"{name}: ours and {pair.peer_name} returned different results")
            made.append(pair)
        yield made


def compare(of: list[Pair], rounds: int = 7, scale: float = 1.0) -> list[Compared]:
    """Measure all pairs in turn, ``rounds`` times over; ``scale`` shortens or lengthens a round.

    A load that comes and goes on the machine then falls on both sides alike. The ratio is the
    median of the rounds' own ratios.
    """
    seen: dict[str, list[tuple[float, float, float, float]]] = {pair.name: [] for pair in of}
    for turn in range(rounds):
        for pair in of:
            sides = [lambda p=pair: _ours(p, scale), lambda p=pair: _peer(p, scale)]
            measured = {side: sides[side]() for side in ((0, 1) if turn % 2 else (1, 0))}
            seen[pair.name].append((*measured[0], *measured[1]))
    return [_compared(name, rows) for name, rows in seen.items()]


def _compared(name: str, rows: list[tuple[float, float, float, float]]) -> Compared:
    ours_p50, ours_p99, peer_p50, peer_p99 = map(statistics.median, zip(*rows, strict=True))
    ratio = statistics.median(row[2] / row[0] for row in rows)
    return Compared(name, ours_p50, ours_p99, peer_p50, peer_p99, ratio)


def _ours(pair: Pair, scale: float) -> tuple[float, float]:
    pair.enter()
    try:
        return _round(pair.ours, max(1, round(pair.calls * scale)))
    finally:
        pair.leave()


def _peer(pair: Pair, scale: float) -> tuple[float, float]:
    return _round(pair.peer, max(1, round(pair.peer_calls * scale)))


def _round(call: Callable[[], Any], calls: int) -> tuple[float, float]:
    """Median and 99th percentile in microseconds of ``calls`` calls, after one to warm up."""
    clock = time.perf_counter_ns
    call()
    times = []
    for _ in range(calls):
        begin = clock()
        call()
        times.append(clock() - begin)
    times.sort()
    return times[len(times) // 2] / 1e3, times[min(len(times) - 1, len(times) * 99 // 100)] / 1e3


def _hyperliquid_order(signer: Signer, stack: ExitStack) -> Pair:
    from eth_account import Account
    from hyperliquid.utils import signing

    from intaglio.orders.fast import HyperliquidSigner

    trader = HyperliquidSigner(signer, signer.load_key(Curve.SECP256K1, SECRET))
    wallet = Account.from_key(SECRET)
    return Pair(
        "hyperliquid_order",
        "hyperliquid-python-sdk sign_l1_action",
        lambda: trader.sign_l1_action(ACTION, NONCE),
        lambda: signing.sign_l1_action(wallet, ACTION, None, NONCE, None, True),
        1000,
        200,
    )


def _eip712(signer: Signer, stack: ExitStack) -> Pair:
    from eth_account import Account

    from intaglio.adapters.eth_account import DeviceAccount

    account, stock = DeviceAccount(signer, SECRET), Account.from_key(SECRET)
    data = {
        "domain": {
            "name": "Exchange",
            "version": "1",
            "chainId": 1337,
            "verifyingContract": "0x0000000000000000000000000000000000000000",
        },
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Agent": [
                {"name": "source", "type": "string"},
                {"name": "connectionId", "type": "bytes32"},
            ],
        },
        "primaryType": "Agent",
        "message": {"source": "a", "connectionId": DIGEST},
    }
    return Pair(
        "eip712",
        "eth-account sign_typed_data",
        lambda: account.sign_typed_data(full_message=data),
        lambda: stock.sign_typed_data(full_message=data),
        1000,
        200,
    )


def _eip1559(signer: Signer, stack: ExitStack) -> Pair:
    from eth_account import Account

    from intaglio.adapters.eth_account import DeviceAccount

    account, stock = DeviceAccount(signer, SECRET), Account.from_key(SECRET)
    return Pair(
        "eip1559",
        "eth-account sign_transaction",
        lambda: account.sign_transaction(TRANSACTION),
        lambda: stock.sign_transaction(TRANSACTION),
        1000,
        200,
    )


def _ccxt_hyperliquid(signer: Signer, stack: ExitStack) -> Pair:
    import ccxt

    from intaglio.adapters import ccxt as adapter

    exchange = ccxt.hyperliquid({"privateKey": "0x" + SECRET.hex(), "walletAddress": "0x"})
    stack.callback(adapter.uninstall)
    return Pair(
        "ccxt_hyperliquid",
        "ccxt hyperliquid.sign_l1_action",
        lambda: exchange.sign_l1_action(ACTION, NONCE),
        lambda: exchange.sign_l1_action(ACTION, NONCE),
        500,
        10,
        enter=lambda: adapter.install(signer),
        leave=adapter.uninstall,
    )


def _sign_ed25519(signer: Signer, stack: ExitStack) -> Pair:
    key = signer.load_key(Curve.ED25519, SECRET)
    return Pair(
        "sign_ed25519",
        "libsodium crypto_sign",
        lambda: signer.sign(key, MESSAGE).raw,
        direct_ed25519(SECRET, MESSAGE),
        2000,
        2000,
    )


def _sign_secp256k1(signer: Signer, stack: ExitStack) -> Pair:
    key = signer.load_key(Curve.SECP256K1, SECRET)
    return Pair(
        "sign_secp256k1",
        "libsecp256k1 secp256k1_ecdsa_sign_recoverable",
        lambda: signer.sign(key, digest=DIGEST).raw,
        direct_secp256k1(SECRET, DIGEST),
        2000,
        2000,
    )


def _sign_many(signer: Signer, stack: ExitStack) -> Pair:
    if signer.identity.name == "soft":
        signer = stack.enter_context(intaglio.open(f"soft:?workers={WORKERS}"))
    request = SignRequest(signer.load_key(Curve.SECP256K1, SECRET), digest=DIGEST)
    requests = [request] * MANY
    processes = stack.enter_context(Processes(WORKERS, SECRET, DIGEST))

    def ours() -> set[bytes]:
        return {signature.raw for signature in signer.sign_many(requests)}

    def peer() -> set[bytes]:
        processes.sign(MANY)
        return processes.first

    return Pair("sign_many_2_workers", "two processes of libsecp256k1", ours, peer, 5, 5, jobs=MANY)


_MAKERS: dict[str, Callable[[Signer, ExitStack], Pair]] = {
    "hyperliquid_order": _hyperliquid_order,
    "eip712": _eip712,
    "eip1559": _eip1559,
    "ccxt_hyperliquid": _ccxt_hyperliquid,
    "sign_ed25519": _sign_ed25519,
    "sign_secp256k1": _sign_secp256k1,
    "sign_many_2_workers": _sign_many,
}


def main(arguments: list[str]) -> None:
    """Print the comparison on ``soft:`` or the device URL given."""
    with intaglio.open(*arguments[:1]) as signer, pairs(signer) as made:
        peers = {pair.name: pair.peer_name for pair in made}
        for row in compare(made):
            print(
                f"{row.name:20} {row.ours_p50_us:10.1f} us  {row.peer_p50_us:10.1f} us  "
                f"{row.ratio:6.2f}x  {peers[row.name]}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
