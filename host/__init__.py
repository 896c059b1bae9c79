"""Signs trading orders on an FPGA, with a software fallback behind the same API.

    import intaglio

    with intaglio.open("soft:") as signer:
        key = signer.load_key(intaglio.Curve.ED25519, secret)
        signature = signer.sign(key, message=b"payload")

``intaglio.aio`` has the same as coroutines, ``intaglio.metrics`` what Prometheus reads.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from intaglio.curve import Curve
from intaglio.device import DeviceSigner
from intaglio.errors import (
    BadCurveError,
    BusyError,
    ClosedError,
    DeadlineError,
    DeviceError,
    FaultError,
    InputError,
    IntaglioError,
    InvalidKeyError,
    LinkError,
    ProtocolError,
    RequestTimeout,
    VerifyError,
)
from intaglio.pool import Pool, open_pool
from intaglio.signer import Signer
from intaglio.soft import open_soft
from intaglio.transport.base import ParsedUrl, open_transport
from intaglio.values import Counters, Identity, Key, Signature, SignRequest

__all__ = [
    "BadCurveError",
    "BusyError",
    "ClosedError",
    "Counters",
    "Curve",
    "DeadlineError",
    "DeviceError",
    "FaultError",
    "Identity",
    "InputError",
    "IntaglioError",
    "InvalidKeyError",
    "Key",
    "LinkError",
    "Pool",
    "ProtocolError",
    "RequestTimeout",
    "SignRequest",
    "Signature",
    "Signer",
    "VerifyError",
    "open",
    "open_pool",
]


def open(
    url: str = "soft:", *, timeout_s: float | None = None, verify: bool | str = True
) -> Signer:
    """Signer for the device at ``url``: ``soft:``, ``sim:``, ``uart:PORT``, ``pcie:03:00.0``.

    ``pool:pool.toml`` is a pool of devices (:func:`open_pool`); what is said below of ``timeout_s``
    and ``verify`` stands in that file, then.

    ``timeout_s``: seconds without a sign of life after which a request ends in
    :class:`RequestTimeout`; requests are sent again after each quarter of it. ``None`` takes what
    suits the kind of device. With ``verify`` every public key and signature from a device is
    checked by libsodium or libsecp256k1 on this host before it is returned (:class:`VerifyError`);
    ``"sample:100"`` checks one in a hundred signatures, by chance.

    Raises :class:`InputError` for a URL that makes no sense, :class:`LinkError` if there is no such
    device or it does not answer, :class:`ProtocolError` if it speaks another protocol version.
    """
    parsed = ParsedUrl.parse(url)
    if timeout_s is not None and not timeout_s > 0:
        raise InputError(f"timeout_s must be above 0 seconds, not {timeout_s}")
    if parsed.scheme == "soft":
        return open_soft(parsed)
    if parsed.scheme == "pool":
        parsed.allow()
        return open_pool(parsed.path)
    return DeviceSigner(open_transport(parsed), timeout_s=timeout_s, verify=verify)


def __getattr__(name: str) -> Any:
    if name in ("aio", "metrics"):
        return import_module(f"intaglio.{name}")
    raise AttributeError(f"module 'intaglio' has no attribute {name!r}")
