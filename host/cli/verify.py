"""``intaglio verify``: whether a signature is valid."""

from __future__ import annotations

from typing import Annotated

import typer

import intaglio
from intaglio import check
from intaglio.cli.common import (
    FAILED,
    OK,
    Json,
    OptionalDevice,
    from_hex,
    print_json,
    read_payload,
)
from intaglio.cli.sign import Digest, Message, MessageFile
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.values import Signature

_ECDSA_BYTES = (33, 65)


def verify(
    curve: Annotated[Curve, typer.Option("--curve", "-c", help="The curve.")],
    public_key: Annotated[
        str,
        typer.Option(
            "--public-key",
            "-p",
            metavar="HEX",
            help="Ed25519: 32 bytes; the others: SEC 1, 33 bytes (compressed) or 65.",
        ),
    ],
    signature: Annotated[
        str, typer.Option("--signature", "-s", metavar="HEX", help="The 64 raw bytes.")
    ],
    message: Message = None,
    message_file: MessageFile = None,
    digest: Digest = None,
    device: OptionalDevice = None,
    as_json: Json = False,
) -> None:
    """Say whether a signature is valid, by libsodium, libsecp256k1 or OpenSSL on this machine.

    No device is needed: devices sign and do not verify. With --device the device's own driver is
    opened and asked, which gives the same answer. A high s on secp256k1 is refused, as
    libsecp256k1 refuses it. The exit status is 0 if valid and 1 if not.
    """
    payload = read_payload(curve, message, message_file, digest)
    key = from_hex(public_key, "public key")
    sizes = (32,) if curve is Curve.ED25519 else _ECDSA_BYTES
    if len(key) not in sizes:
        allowed = " or ".join(map(str, sizes))
        raise InputError(f"the public key has {len(key)} bytes; for {curve} it must have {allowed}")
    given = Signature(from_hex(signature, "signature", 64), curve)
    if device is None:
        valid = check.verify(key, payload.message, given, digest=payload.digest)
    else:
        with intaglio.open(device) as signer:
            valid = signer.verify(key, payload.message, given, digest=payload.digest)
    if as_json:
        print_json({"curve": curve.value, "valid": valid})
    else:
        print("valid" if valid else "NOT valid")
    raise typer.Exit(OK if valid else FAILED)
