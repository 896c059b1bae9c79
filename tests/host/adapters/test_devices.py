"""Signers opened by URL, keys found again, and handles."""

import pytest

import intaglio
from intaglio import Curve, InputError
from intaglio.adapters import devices


def test_a_url_is_opened_once():
    assert devices.device("soft:") is devices.device("soft:")
    with intaglio.open() as signer:
        assert devices.device(signer) is signer


def test_the_default_device_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv(devices.DEVICE_VARIABLE, raising=False)
    assert devices.device() is devices.device("soft:")
    monkeypatch.setenv(devices.DEVICE_VARIABLE, "soft:?workers=1")
    assert devices.device() is devices.device("soft:?workers=1")


def test_hold(device, secret):
    held = devices.hold(device, Curve.ED25519, secret)
    assert devices.hold(device, Curve.ED25519, held.key) == held
    with pytest.raises(InputError, match="needs a secp256k1 key"):
        devices.hold(device, Curve.SECP256K1, held.key)


def test_secrets_are_loaded_once_and_the_oldest_is_wiped(device, secret, monkeypatch):
    monkeypatch.setattr(devices, "MAX_KEYS", 2)
    monkeypatch.setattr(devices, "_loaded", type(devices._loaded)())
    first = devices.held_for(Curve.ED25519, secret, device)
    assert devices.held_for(Curve.ED25519, secret, device) == first
    for i in range(2):
        devices.held_for(Curve.ED25519, bytes([i]) * 32, device)
    with pytest.raises(InputError, match="not held"):
        device.sign(first.key, b"")
    again = devices.held_for(Curve.ED25519, secret, device)
    assert again.key.public_key == first.key.public_key


def test_handles(device, secret):
    key = device.load_key(Curve.SECP256K1, secret)
    handle = devices.handle(device, key)
    assert len(handle) == 32
    assert devices.is_handle(handle)
    assert secret not in handle
    assert devices.held_for(Curve.SECP256K1, handle) == (device, key)
    with pytest.raises(InputError, match="needs a ed25519 key"):
        devices.held_for(Curve.ED25519, handle)
    devices.forget(handle)
    with pytest.raises(InputError, match="handle is unknown"):
        devices.held_for(Curve.SECP256K1, handle)
    with pytest.raises(InputError, match="no such handle"):
        devices.forget(handle)


def test_close_all_closes_what_was_opened_by_url(secret):
    opened = devices.device("soft:?workers=3")
    devices.held_for(Curve.ED25519, secret, opened)
    handle = devices.handle(opened, opened.load_key(Curve.ED25519, secret))
    devices.close_all()
    with pytest.raises(InputError, match="handle is unknown"):
        devices.held_for(Curve.ED25519, handle)
    assert devices.device("soft:?workers=3") is not opened
    devices.held_for(Curve.ED25519, secret, "soft:?workers=3")
