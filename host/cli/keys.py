"""``intaglio keys``: public keys, key slots, and whether a device keeps many keys apart."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any

import typer

import intaglio
from intaglio import reference
from intaglio.cli.common import (
    FAILED,
    KEY_HELP,
    OK,
    Device,
    Json,
    Timeout,
    print_fields,
    print_json,
)
from intaglio.cli.secret import read_secret
from intaglio.cli.sign import public_fields
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.signer import Signer
from intaglio.values import SignRequest

_MAX_TEST_KEYS = 10_000


def keys(
    device: Device = "soft:",
    curve: Annotated[Curve | None, typer.Option("--curve", "-c", help="The key's curve.")] = None,
    key: Annotated[str | None, typer.Option("--key", "-k", metavar="KEY", help=KEY_HELP)] = None,
    load_test: Annotated[
        int | None,
        typer.Option(
            "--load-test",
            metavar="N",
            min=1,
            max=_MAX_TEST_KEYS,
            help="Load N random keys, sign with each, compare with the libraries.",
        ),
    ] = None,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Show the public key of a key, the device's key slots, or load many keys as a test.

    With --curve and --key: the public key as the device computes it, compared with the library's.
    Without: how many key slots the device has. What a slot holds cannot be listed: secrets have no
    way out of a device, and opening a session empties every slot.
    """
    if (curve is None) != (key is None):
        raise InputError("give --curve and --key together, or neither to see the key slots")
    secret = b"" if curve is None or key is None else read_secret(key, curve)
    with intaglio.open(device, timeout_s=timeout, verify=False) as signer:
        result: dict[str, Any] = {"device": device, "key_slots": signer.identity.key_slots}
        if curve is not None:
            held = signer.load_key(curve, secret)
            equal = held.public_key == reference.public_key(curve, secret)
            result |= {"curve": curve.value, **public_fields(held), "equal": equal}
        if load_test is not None:
            result["load_test"] = _load_many(signer, load_test)
    good = result.get("equal", True) and result.get("load_test", {}).get("equal", True)
    if as_json:
        print_json(result)
    else:
        _show(result)
    raise typer.Exit(OK if good else FAILED)


def _load_many(signer: Signer, count: int) -> dict[str, Any]:
    curves = signer.identity.curves
    pairs = [
        (curves[i % len(curves)], secrets.token_bytes(31).rjust(32, b"\1")) for i in range(count)
    ]
    message = b"intaglio load test"
    started = time.perf_counter()
    held = signer.load_keys(pairs)
    loaded = time.perf_counter()
    signatures = signer.sign_many([SignRequest(key, message) for key in held])
    finished = time.perf_counter()
    right = 0
    for key, signature, (curve, secret) in zip(held, signatures, pairs, strict=True):
        got = (signature.raw, signature.recid, key.public_key)
        right += got == tuple(reference.sign(curve, secret, message))
    return {
        "keys": len(held),
        "load_s": round(loaded - started, 3),
        "sign_s": round(finished - loaded, 3),
        "right": right,
        "equal": right == count,
    }


def _show(result: dict[str, Any]) -> None:
    slots = result["key_slots"]
    lines = {
        "device": result["device"],
        "key slots": f"{slots}, all empty at the start" if slots else "none (software)",
        "curve": result.get("curve"),
        "public key": result.get("public_key"),
        "uncompressed": result.get("public_key_uncompressed"),
    }
    if "curve" in result:
        library = reference.LIBRARY[Curve(result["curve"])]
        lines[f"equal to {library}"] = "yes" if result["equal"] else "NO"
    if test := result.get("load_test"):
        lines["keys loaded"] = f"{test['keys']} in {test['load_s']} s"
        lines["signed with each"] = f"in {test['sign_s']} s, {test['right']} right"
    print_fields(lines)
