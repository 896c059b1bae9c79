"""A device that answers wrongly: nothing of it is given out, unless the caller waived the check."""

import coincurve
import pytest

from intaglio import errors
from intaglio.curve import DEVICE_CURVES, Curve

SECRET = bytes(range(1, 33))


def lying(rig, monkeypatch, curve, change, **options):
    rig = rig(**options)
    (key,) = rig.load_now((curve, SECRET))
    finish = rig.core.finish_one
    monkeypatch.setattr(rig.core, "finish_one", lambda: change(finish()))
    future = rig.sign(key, b"m")
    rig.settle(future)
    return future


@pytest.mark.parametrize("curve", DEVICE_CURVES)
@pytest.mark.parametrize("at", [12, 43, 44, 75])
def test_a_wrong_signature_is_held_back(rig, monkeypatch, curve, at):
    def change(reply):
        return reply[:at] + bytes([reply[at] ^ 1]) + reply[at + 1 :]

    future = lying(rig, monkeypatch, curve, change)
    assert isinstance(future.exception(), errors.VerifyError)
    unchecked = lying(rig, monkeypatch, curve, change, verify=False)
    assert len(unchecked.result().raw) == 64


def test_a_high_s_is_held_back(rig, monkeypatch):
    order = coincurve.utils.GROUP_ORDER_INT

    def change(reply):
        s = order - int.from_bytes(reply[44:76], "big")
        return reply[:5] + bytes([reply[5] ^ 1]) + reply[6:44] + s.to_bytes(32, "big")

    future = lying(rig, monkeypatch, Curve.SECP256K1, change)
    assert isinstance(future.exception(), errors.VerifyError)


@pytest.mark.parametrize(
    ("curve", "recid", "kind"),
    [
        (Curve.SECP256K1, 2, errors.VerifyError),
        (Curve.SECP256K1, 4, errors.ProtocolError),
        (Curve.SECP256K1, 0xFF, errors.ProtocolError),
        (Curve.ED25519, 0, errors.ProtocolError),
    ],
)
def test_a_wrong_recovery_id(rig, monkeypatch, curve, recid, kind):
    future = lying(rig, monkeypatch, curve, lambda reply: reply[:5] + bytes([recid]) + reply[6:])
    assert isinstance(future.exception(), kind)


def test_a_wrong_public_key(rig, monkeypatch):
    rig = rig()
    finish = rig.core.finish_one
    monkeypatch.setattr(rig.core, "finish_one", lambda: finish()[:-1] + b"\1")
    future = rig.load(Curve.SECP256K1, SECRET)
    rig.settle(future)
    assert isinstance(future.exception(), errors.VerifyError)
