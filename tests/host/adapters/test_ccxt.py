"""ccxt on devices: equal to what it signs alone, and put back as it was."""

import hashlib

import ccxt
import pytest
from ccxt.base.exchange import Exchange
from ccxt.static_dependencies import keccak
from ccxt.static_dependencies.ethabi import abi, typed_data
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from intaglio import Curve, InputError
from intaglio.adapters import ccxt as fast
from intaglio.adapters import devices

ORDER = {
    "type": "order",
    "orders": [
        {"a": 1, "b": True, "p": "100.5", "s": "0.25", "r": False, "t": {"limit": {"tif": "Alo"}}}
    ],
    "grouping": "na",
}
TYPES = {
    "Person": [{"name": "wallet", "type": "address"}, {"name": "age", "type": "uint8"}],
    "Mail": [{"name": "to", "type": "Person[]"}, {"name": "ok", "type": "bool"}],
}
PERSON = {"wallet": "0xF0109fC8DF283027b6285cc889F5aA624EaC1F55", "age": "7"}


@pytest.fixture
def installed(device):
    fast.install(device)
    yield device
    fast.uninstall()


def before_and_after(device, call):
    """What ``call`` returns without the adapter and with it."""
    stock = call()
    fast.install(device)
    try:
        return stock, call()
    finally:
        fast.uninstall()


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_hyperliquid_orders(device, secret):
    exchange = ccxt.hyperliquid({"privateKey": "0x" + secret.hex(), "walletAddress": "0x"})

    def sign():
        return [
            exchange.sign_l1_action(ORDER, 1700000000000),
            exchange.sign_l1_action(ORDER, 1700000000000, "11" * 20, 1800000000000),
            exchange.build_usd_send_sig(
                {"hyperliquidChain": "Mainnet", "destination": "0x", "amount": "5", "time": 7}
            ),
        ]

    stock, ours = before_and_after(device, sign)
    assert ours == stock


@pytest.mark.parametrize("algorithm", ["sha256", "keccak", None])
def test_ecdsa(device, secret, algorithm):
    request = "order" if algorithm else "ab" * 32
    for key in (secret.hex(), secret.hex().upper(), secret.hex().encode()):
        stock, ours = before_and_after(
            device, lambda key=key: Exchange.ecdsa(request, key, "secp256k1", algorithm)
        )
        assert ours == stock


@pytest.mark.parametrize("url_encode", [False, True])
def test_eddsa(device, secret, url_encode):
    text = pem(ed25519.Ed25519PrivateKey.from_private_bytes(secret))
    for key in (secret, text, text.encode()):
        stock, ours = before_and_after(
            device, lambda key=key: Exchange.eddsa(b"order", key, "ed25519", url_encode)
        )
        assert ours == stock


def test_binance_requests(device, secret):
    key = pem(ed25519.Ed25519PrivateKey.from_private_bytes(secret))
    exchange = ccxt.binance({"apiKey": "x" * 64, "secret": key})
    exchange.nonce = lambda: 1700000000000
    order = {"symbol": "ETHUSDT", "side": "BUY", "quantity": "1", "newClientOrderId": "x"}
    stock, ours = before_and_after(
        device, lambda: exchange.sign("order", ["private"], "POST", dict(order))
    )
    assert ours == stock


@pytest.mark.parametrize(
    "message",
    [
        {"to": [PERSON], "ok": True},
        {"to": [], "ok": 1},
        {"to": [PERSON | {"age": 8}] * 2, "ok": "yes"},
    ],
)
def test_typed_data(device, message):
    domain = {"name": "Ether Mail", "version": "1", "chainId": 1}
    stock, ours = before_and_after(
        device, lambda: Exchange.eth_encode_structured_data(domain, TYPES, message)
    )
    assert ours == stock


def test_packing_and_keccak(device):
    value = {"a": [1, -1, 2**40, 1.5, None, True, "x" * 300, b"y"], "b": {}}
    stock, ours = before_and_after(device, lambda: Exchange.packb(value))
    assert ours == stock
    for call in (
        lambda: keccak.SHA3(b"order"),
        lambda: Exchange.hash(b"order", "keccak", "hex"),
        lambda: ccxt.Exchange.eth_get_address_from_private_key("0x" + "01" * 32),
    ):
        stock, ours = before_and_after(device, call)
        assert ours == stock
        assert type(ours) is type(stock)


def test_other_curves_stay_with_ccxt(installed):
    key = ec.generate_private_key(ec.SECP256R1())
    signed = Exchange.ecdsa("order", pem(key), "p256", "sha256")
    assert len(signed["r"]) == len(signed["s"]) == 64


def test_handles(installed, secret):
    secp = devices.handle(installed, installed.load_key(Curve.SECP256K1, secret))
    ed = devices.handle(installed, installed.load_key(Curve.ED25519, secret))
    digest = hashlib.sha256(b"order").hexdigest()
    expected = Exchange.ecdsa(digest, secret.hex(), "secp256k1", None)
    assert Exchange.ecdsa(digest, secp.hex(), "secp256k1", None) == expected
    assert Exchange.eddsa(b"order", ed) == Exchange.eddsa(b"order", secret)
    with pytest.raises(InputError, match="of no p256 key"):
        Exchange.ecdsa(digest, secp.hex(), "p256", "sha256")
    with pytest.raises(InputError, match="32 bytes, not 20"):
        Exchange.ecdsa("order", secp.hex(), "secp256k1", "sha1")
    with pytest.raises(InputError, match="no Ed25519"):
        Exchange.eddsa(b"order", pem(ec.generate_private_key(ec.SECP256R1())))


def test_uninstall_puts_everything_back(device):
    def state():
        base = [vars(owner) for owner in Exchange.__mro__]
        names = "ecdsa", "eddsa", "packb", "eth_encode_structured_data"
        return [d.get(n) for d in base for n in names] + [
            keccak.SHA3,
            abi.keccak,
            typed_data.keccak,
        ]

    before = state()
    fast.uninstall()
    fast.install(device)
    fast.install(device)
    assert state() != before
    fast.uninstall()
    assert state() == before


async def test_asynchronous_exchanges_are_served_too(installed, secret):
    import ccxt.async_support as asynchronous

    exchange = asynchronous.hyperliquid({"privateKey": secret.hex(), "walletAddress": "0x"})
    done = installed.counters().jobs_done
    signed = exchange.sign_l1_action(ORDER, 1700000000000)
    assert installed.counters().jobs_done > done
    fast.uninstall()
    assert exchange.sign_l1_action(ORDER, 1700000000000) == signed
    await exchange.close()
