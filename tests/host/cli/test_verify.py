from __future__ import annotations

import pytest

from intaglio import Curve, params, reference

SECRET = bytes(range(1, 33))
MESSAGE = b"an order"


def arguments(curve: Curve, **changed: str) -> list[str]:
    expected = reference.sign(curve, SECRET, MESSAGE)
    given = {
        "curve": curve.value,
        "public-key": expected.public_key.hex(),
        "signature": expected.raw.hex(),
        "message": MESSAGE.hex(),
    } | changed
    return [part for name, value in given.items() for part in (f"--{name}", value)]


@pytest.mark.parametrize("curve", list(Curve))
@pytest.mark.parametrize("device", [[], ["--device", "soft:"]])
def test_valid_and_not(run, curve: Curve, device: list[str]) -> None:
    valid = run("verify", *arguments(curve), *device, "--json")
    assert (valid.status, valid.json) == (0, {"curve": curve.value, "valid": True})
    other = run("verify", *arguments(curve, message="00"), *device)
    assert (other.status, other.out) == (1, "NOT valid\n")


def test_high_s_is_refused(run) -> None:
    raw = reference.sign(Curve.SECP256K1, SECRET, MESSAGE).raw
    high = params.SECP256K1.order - int.from_bytes(raw[32:], "big")
    signature = raw[:32].hex() + f"{high:064x}"
    assert run("verify", *arguments(Curve.SECP256K1, signature=signature)).status == 1


@pytest.mark.parametrize(
    ("curve", "changed", "sentence"),
    [
        (Curve.ED25519, {"signature": "00"}, "signature has 1 bytes; it must have 64"),
        (Curve.ED25519, {"public-key": "00" * 33}, "it must have 32"),
        (Curve.SECP256K1, {"public-key": "00" * 32}, "it must have 33 or 65"),
        (Curve.SECP256K1, {"public-key": "02" + "ff" * 32}, "not on secp256k1"),
        (Curve.P256, {"public-key": "02" + "ff" * 32}, "not on p256"),
    ],
)
def test_wrong_use(run, curve: Curve, changed: dict[str, str], sentence: str) -> None:
    result = run("verify", *arguments(curve, **changed))
    assert (result.status, result.out) == (2, "")
    assert sentence in result.err
