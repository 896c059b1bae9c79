"""Pool configuration: every name checked, keys by reference and never shown."""

import os
import re
import sys
import types

import pytest

import intaglio
from intaglio import Curve, errors
from intaglio.config import EXAMPLE, DeviceConfig, Health, Limits, PoolConfig
from intaglio.keysource import read_key

SECRET = bytes(range(1, 33))
MODEL = {"device": [{"url": "model:"}]}


def test_the_example_is_the_default_and_names_everything(tmp_path):
    path = tmp_path / "pool.toml"
    path.write_text(EXAMPLE)
    config = PoolConfig.load(path)
    assert config.limits == Limits()
    assert config.health == Health()
    assert (config.verify, config.fallback) == ("all", ("soft:",))
    assert [device.name for device in config.devices] == ["left", "right"]
    assert config.devices[1].weight == 2.0
    assert config.devices[1].timeout_s == 1.0
    (key,) = config.keys
    assert (key.curve, key.source, key.reference) == (Curve.ED25519, "file", "trading.hex")
    assert key.devices == ("left",)
    assert config.folder == tmp_path
    for name in [*Limits.__slots__, *Health.__slots__]:
        assert f"{name} =" in EXAMPLE


def test_a_device_is_called_by_its_url():
    assert PoolConfig.parse(MODEL).devices == (DeviceConfig("model:", "model:"),)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"devices": []}, "the pool has an unknown key 'devices': known are verify, fallback"),
        ({"device": {"url": "sim:"}}, "write [[device]] with two brackets"),
        ({"device": [3]}, "[[device]] 1 must be a table, not int"),
        ({"device": [{}]}, "[[device]] 1 has no 'url': give one"),
        ({"device": [{"url": "sim"}]}, "'sim' has no scheme"),
        ({"device": [{"url": "pool:x"}]}, "a pool cannot be a device of a pool (pool:x)"),
        ({"device": [{"url": "sim:", "wieght": 2}]}, "unknown key 'wieght': known are name, url"),
        ({"device": [{"url": "sim:", "weight": 0}]}, "weight = 0 must be a number above 0"),
        ({"device": [{"url": "sim:", "weight": True}]}, "weight = True must be a number above 0"),
        ({"device": [{"url": "sim:"}] * 2}, "two of the pool's devices are called 'sim:'"),
        ({"fallback": []}, "neither a device nor a fallback"),
        ({"fallback": "soft:"}, "fallback = 'soft:' must be a list of texts"),
        ({"verify": "some"}, "verify='some' is no policy: use all, sample:N"),
        ({"verify": 1}, "verify = 1 must be a text"),
        ({"limits": {"max_queue": 1}}, "[limits] has an unknown key 'max_queue'"),
        ({"limits": {"max_tries": 1.5}}, "max_tries = 1.5 must be a whole number above 0"),
        ({"limits": 3}, "[limits] must be a table, not int"),
        ({"health": {"heartbeat_s": -1}}, "heartbeat_s = -1 must be a number above 0"),
        ({"key": [{"name": "k", "curve": "ed25519"}]}, "must name its secret once: by file, env"),
        (
            {"key": [{"name": "k", "curve": "ed25519", "env": "A", "file": "b"}]},
            "must name its secret once",
        ),
        (
            {"key": [{"name": "k", "curve": "p384", "env": "A"}]},
            "known are ed25519, secp256k1, p256",
        ),
        (
            {"key": [{"name": "k", "curve": "ed25519", "env": "A", "devices": ["x"]}]},
            "there is no device 'x': name one of []",
        ),
        ({"key": [{"name": "k", "curve": "ed25519", "env": "A"}] * 2}, "keys are called 'k'"),
    ],
)
def test_what_is_wrong_is_one_sentence(data, sentence):
    with pytest.raises(errors.InputError, match=re.escape(sentence)):
        PoolConfig.parse(data)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[device]]\nurl = "modl:"', "'modl:' has an unknown scheme: known are model:"),
        ('fallback = ["sofd:"]', "'sofd:' has an unknown scheme"),
        ('[[device]]\nurl = "model:?slots=3"', "has an unknown parameter 'slots'"),
        ('fallback = ["soft:?workers=0"]', "must be an integer of 1..64"),
    ],
)
def test_a_device_that_can_never_be_opened_is_refused(tmp_path, text, sentence):
    path = tmp_path / "pool.toml"
    path.write_text(text)
    with pytest.raises(errors.InputError, match=re.escape(sentence)):
        intaglio.open(f"pool:{path}")


def test_files_that_are_no_configuration(tmp_path):
    with pytest.raises(errors.InputError, match=r"cannot read the pool's configuration .* \(No"):
        intaglio.open(f"pool:{tmp_path}/none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("device = [")
    with pytest.raises(errors.InputError, match=r"broken\.toml is not TOML"):
        intaglio.open_pool(broken)


def test_a_pool_by_its_url(tmp_path, monkeypatch):
    monkeypatch.setenv("INTAGLIO_TEST_KEY", SECRET.hex())
    (tmp_path / "trading.hex").write_text(f"0x{SECRET.hex()}\n")
    (tmp_path / "trading.hex").chmod(0o600)
    path = tmp_path / "pool.toml"
    path.write_text(
        """
        [[device]]
        name = "one"
        url = "model:?seed=1"
        [[key]]
        name = "file"
        curve = "ed25519"
        file = "trading.hex"
        [[key]]
        name = "env"
        curve = "secp256k1"
        env = "INTAGLIO_TEST_KEY"
        """
    )
    with intaglio.open(f"pool:{path}") as pool, intaglio.open() as soft:
        for name, curve in (("file", "ed25519"), ("env", "secp256k1")):
            key = soft.load_key(curve, SECRET)
            assert pool.keys[name].public_key == key.public_key
            assert pool.sign(pool.keys[name], b"m").raw == soft.sign(key, b"m").raw
    with pytest.raises(errors.InputError, match="unknown parameter"):
        intaglio.open(f"pool:{path}?x=1")


def test_key_files_are_private(tmp_path):
    path = tmp_path / "key"
    path.write_text(SECRET.hex())
    for mode in (0o644, 0o640, 0o602, 0o660):
        path.chmod(mode)
        with pytest.raises(errors.InputError, match=f"mode {mode:o}.*: chmod 600"):
            read_key("k", "file", "key", tmp_path)
    path.chmod(0o400)
    assert read_key("k", "file", "key", tmp_path) == SECRET
    assert read_key("k", "file", str(path), tmp_path / "elsewhere") == SECRET


def test_the_keyring(monkeypatch, tmp_path):
    stored = {("desk", "trading"): SECRET.hex()}
    keyring = types.SimpleNamespace(get_password=lambda *name: stored.get(name))
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert read_key("k", "keyring", "desk/trading", tmp_path) == SECRET
    with pytest.raises(errors.InputError, match="keyring set desk other"):
        read_key("k", "keyring", "desk/other", tmp_path)
    with pytest.raises(errors.InputError, match="must be 'service/user'"):
        read_key("k", "keyring", "desk", tmp_path)
    keyring.get_password = lambda *name: 1 / 0
    with pytest.raises(errors.InputError, match=r"did not answer \(ZeroDivisionError\)"):
        read_key("k", "keyring", "desk/trading", tmp_path)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(errors.InputError, match=r"pip install 'intaglio\[keyring\]'"):
        read_key("k", "keyring", "desk/trading", tmp_path)


@pytest.mark.parametrize("text", ["zz" * 32, SECRET.hex()[:-1], SECRET.hex()[:-2], "", "\xe9"])
def test_wrong_keys_are_never_shown(tmp_path, monkeypatch, text):
    path = tmp_path / "key"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    monkeypatch.setitem(os.environ, "INTAGLIO_TEST_KEY", text)
    for source, reference in (("file", "key"), ("env", "INTAGLIO_TEST_KEY")):
        with pytest.raises(errors.InputError) as caught:
            read_key("trading", source, reference, tmp_path)
        assert "key 'trading'" in str(caught.value)
        assert not text or text not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    with pytest.raises(errors.InputError, match="no variable INTAGLIO_NONE: set it"):
        read_key("k", "env", "INTAGLIO_NONE", tmp_path)
    with pytest.raises(errors.InputError, match=r"cannot read its file .* \(No such file"):
        read_key("k", "file", "none", tmp_path)
