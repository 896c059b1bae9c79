"""``intaglio sign``: one signature, or a file of them through one device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO

import typer

import intaglio
from intaglio.cli import jsonl
from intaglio.cli.common import (
    FAILED,
    KEY_HELP,
    OK,
    Device,
    Json,
    Payload,
    Timeout,
    advance,
    check_digest,
    check_message,
    from_hex,
    print_fields,
    print_json,
    progress,
    read_payload,
)
from intaglio.cli.pipeline import Item, Outcome, Pipeline, failed
from intaglio.cli.secret import parse_secret, read_secret
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.values import Key, Signature

Message = Annotated[
    str | None,
    typer.Option("--message", "-m", metavar="HEX", help="The message, 0 to 4096 bytes."),
]
MessageFile = Annotated[
    str | None,
    typer.Option(
        "--message-file", metavar="FILE", help="The message as a file's bytes; - is stdin."
    ),
]
Digest = Annotated[
    str | None,
    typer.Option(
        "--digest",
        metavar="HEX",
        help="Not for Ed25519: a 32-byte digest, signed as it is (e.g. Keccak).",
    ),
]


def sign(
    device: Device = "soft:",
    curve: Annotated[Curve | None, typer.Option("--curve", "-c", help="The curve.")] = None,
    key: Annotated[str | None, typer.Option("--key", "-k", metavar="KEY", help=KEY_HELP)] = None,
    message: Message = None,
    message_file: MessageFile = None,
    digest: Digest = None,
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch",
            metavar="FILE.jsonl",
            help='Sign every line {"curve", "key", "message" or "digest"} (hex) of the file; - is '
            "stdin. Prints one line for each, in order.",
        ),
    ] = None,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Sign a message or a digest, or with --batch a file of them.

    Ed25519 signs the message (RFC 8032). secp256k1 and p256 sign the SHA-256 of the message, or the
    digest as it is, by ECDSA with the nonce of RFC 6979; on secp256k1 s is low. No device has p256:
    software signs with it.

    A line of a batch that cannot be signed gives {"error": sentence, "line": number} in its place;
    the lines before and after it are signed, and the exit status is 1.
    """
    if batch is not None:
        given = {"--curve": curve, "--key": key, "--message": message}
        given |= {"--message-file": message_file, "--digest": digest}
        if extra := [name for name, value in given.items() if value is not None]:
            raise InputError(
                f"--batch takes everything from its file; leave out {', '.join(extra)}"
            )
        raise typer.Exit(_sign_batch(device, batch, timeout, as_json))
    if curve is None or key is None:
        raise InputError("give --curve and --key, or --batch FILE.jsonl")
    if key == "-" and message_file == "-":
        raise InputError("only one of --key and --message-file can be - (standard input)")
    payload = read_payload(curve, message, message_file, digest)
    secret = read_secret(key, curve)
    with intaglio.open(device, timeout_s=timeout) as signer:
        held = signer.load_key(curve, secret)
        signature = signer.sign(held, message=payload.message, digest=payload.digest)
    result = as_record(held, signature)
    if as_json:
        print_json(result)
        return
    print_fields(result)


def public_fields(key: Key) -> dict[str, Any]:
    """The public key in hexadecimal; for ECDSA compressed and uncompressed (SEC 1)."""
    fields = {"public_key": key.public_key.hex()}
    if key.curve is not Curve.ED25519:
        fields["public_key_uncompressed"] = key.public_key_uncompressed.hex()
    return fields


def as_record(key: Key, signature: Signature) -> dict[str, Any]:
    """What ``--json`` prints of a signature: bytes in hexadecimal, times in device cycles."""
    der = None if key.curve is Curve.ED25519 else signature.der().hex()
    return {
        "curve": key.curve.value,
        "signature": signature.raw.hex(),
        **public_fields(key),
        "recid": signature.recid,
        "der": der,
        "cycles": signature.cycles,
    }


def _sign_batch(device: str, name: str, timeout: float | None, as_json: bool) -> int:
    status = OK
    with (
        jsonl.opened(name) as file,
        intaglio.open(device, timeout_s=timeout) as signer,
        progress("signing", printing=True) as bar,
    ):
        for outcome in Pipeline(signer).run(batch_items(file)):
            advance(bar)
            if outcome.error is not None:
                status = FAILED
            _print_outcome(outcome, as_json)
    return status


def _print_outcome(outcome: Outcome, as_json: bool) -> None:
    item = outcome.item
    if outcome.key is None or outcome.signature is None:
        if as_json:
            print_json({"error": outcome.error, "line": item.line})
        else:
            print(f"line {item.line}: error: {outcome.error}")
        return
    if as_json:
        print_json(as_record(outcome.key, outcome.signature))
    else:
        recid = "" if outcome.signature.recid is None else f" recid {outcome.signature.recid}"
        print(f"line {item.line}: {item.curve.value} {outcome.signature.raw.hex()}{recid}")


def batch_items(file: BinaryIO) -> Iterator[Item]:
    """Items of a batch file; what is wrong with a line becomes the error of its item."""
    for number, value, error in jsonl.read(file):
        if value is None:
            yield failed(number, f"line {number}", str(error))
            continue
        try:
            yield _batch_item(number, value)
        except InputError as refused:
            yield failed(number, f"line {number}", str(refused))


def _batch_item(number: int, value: dict[str, Any]) -> Item:
    unknown = sorted(value.keys() - {"curve", "key", "message", "digest"})
    if unknown:
        raise InputError(
            f"unknown field {', '.join(unknown)}; known are curve, key, message, digest"
        )
    for name in ("curve", "key"):
        if name not in value:
            raise InputError(f"the field {name} is missing; add it")
    if ("message" in value) == ("digest" in value):
        raise InputError("give either message or digest, one of them")
    if wrong := [name for name, text in value.items() if not isinstance(text, str)]:
        raise InputError(f"the field {wrong[0]} is not text; write it in quotes")
    curve = Curve(value["curve"])
    secret = parse_secret(value["key"], curve)
    if "digest" in value:
        payload = Payload(None, check_digest(curve, from_hex(value["digest"], "digest")))
    else:
        payload = Payload(check_message(from_hex(value["message"], "message")), None)
    return Item(number, f"line {number}", "", curve, secret, payload)
