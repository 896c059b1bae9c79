"""eth-keys, eth-account and the Hyperliquid SDK on devices: equal to what they sign alone."""

import os
import subprocess
import sys

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from eth_keys.backends import CoinCurveECCBackend
from eth_keys.datatypes import PrivateKey
from hyperliquid.exchange import Exchange
from hyperliquid.utils import signing
from hyperliquid.utils.constants import MAINNET_API_URL
from rlp.exceptions import RLPException

from intaglio import InputError
from intaglio.adapters import devices, hyperliquid
from intaglio.adapters.eth_account import DeviceAccount
from intaglio.adapters.eth_keys import Backend
from intaglio.curve import Curve

TO = "0xF0109fC8DF283027b6285cc889F5aA624EaC1F55"
FEES = {"maxFeePerGas": 10**9, "maxPriorityFeePerGas": 10**8}
BASE = {"chainId": 1, "nonce": 0, "gas": 21000, "to": TO, "value": 5}
TRANSACTIONS = [
    BASE | FEES | {"type": 2},
    BASE | FEES | {"type": "0x2", "data": "0x1234", "accessList": []},
    BASE | FEES,
    BASE | FEES | {"type": 2, "to": None, "data": b"\1"},
    BASE | FEES | {"type": 2, "nonce": "0x9", "to": bytes.fromhex(TO[2:])},
    BASE | FEES | {"type": 2, "accessList": [{"address": TO, "storageKeys": ["0x" + "11" * 32]}]},
    BASE | {"gasPrice": 5},
    BASE | {"gasPrice": 5, "type": 1, "accessList": []},
]
AGENT = signing.l1_payload(signing.construct_phantom_agent(bytes(range(32)), True))
ORDER = {
    "type": "order",
    "orders": [
        {"a": 1, "b": True, "p": "100.5", "s": "0.25", "r": False, "t": {"limit": {"tif": "Alo"}}}
    ],
    "grouping": "na",
}


@pytest.fixture
def account(device, secret):
    return DeviceAccount(device, secret)


@pytest.fixture(scope="module")
def stock(secret):
    return Account.from_key(secret)


def test_eth_keys_backend_equals_coincurves(device, secret):
    backend, reference = Backend(device), CoinCurveECCBackend()
    theirs = PrivateKey(secret, reference)
    handle = devices.handle(device, device.load_key(Curve.SECP256K1, secret))
    for raw in (secret, handle):
        ours = PrivateKey(raw, backend)
        assert ours.public_key == theirs.public_key
        assert ours.sign_msg(b"order") == theirs.sign_msg(b"order")
        plain = ours.sign_msg_non_recoverable(b"order")
        assert plain == theirs.sign_msg_non_recoverable(b"order")
        assert ours.public_key.verify_msg(b"order", plain)
        assert ours.sign_msg(b"x").recover_public_key_from_msg(b"x") == theirs.public_key
        compressed = ours.public_key.to_compressed_bytes()
        assert type(ours.public_key).from_compressed_bytes(compressed, backend) == theirs.public_key


def test_eth_keys_backend_by_the_environment(secret, stock):
    """The whole of eth-account over ECC_BACKEND_CLASS, in a process of its own."""
    code = (
        "import sys\n"
        "from eth_account import Account\n"
        "from eth_account.messages import encode_defunct\n"
        "account = Account.from_key(bytes.fromhex(sys.stdin.read()))\n"
        "print(type(account._key_obj.backend).__module__, account.address)\n"
        "print(account.sign_message(encode_defunct(text='order')).signature.hex())\n"
    )
    environment = {
        **os.environ,
        "ECC_BACKEND_CLASS": "intaglio.adapters.eth_keys.Backend",
        "INTAGLIO_DEVICE": "model:",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=secret.hex(),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    signature = stock.sign_message(encode_defunct(text="order")).signature.hex()
    assert done.stdout.split() == ["intaglio.adapters.eth_keys", stock.address, signature]


async def test_account_equals_eth_accounts(account, stock):
    assert isinstance(account, LocalAccount)
    assert account.address == stock.address
    message = encode_defunct(text="order")
    assert account.sign_message(message) == stock.sign_message(message)
    assert await account.sign_message_async(message) == stock.sign_message(message)
    assert account.unsafe_sign_hash(bytes(32)) == stock.unsafe_sign_hash(bytes(32))
    with pytest.raises(ValueError, match="32-bytes"):
        account.unsafe_sign_hash(b"short")


@pytest.mark.parametrize("transaction", TRANSACTIONS)
async def test_transactions_equal_eth_accounts(account, stock, transaction):
    expected = stock.sign_transaction(transaction)
    assert account.sign_transaction(transaction) == expected
    assert await account.sign_transaction_async(transaction) == expected
    assert account.sign_transaction(transaction | {"from": stock.address}) == expected
    assert type(account.sign_transaction(transaction).hash) is type(expected.hash)


@pytest.mark.parametrize(
    "change", [{"from": TO}, {"nonce": -1}, {"to": TO.lower()[:-1]}, {"what": 1}]
)
def test_wrong_transactions_fail_as_in_eth_account(account, stock, change):
    with pytest.raises((TypeError, ValueError, RLPException)) as expected:
        stock.sign_transaction(TRANSACTIONS[0] | change)
    with pytest.raises(expected.type) as ours:
        account.sign_transaction(TRANSACTIONS[0] | change)
    assert str(ours.value) == str(expected.value)


TYPED = [
    AGENT,
    {key: value for key, value in AGENT.items() if key != "primaryType"},
    AGENT | {"message": {"source": "a", "connectionId": "0x" + "7" * 64}},
    AGENT | {"message": {"source": None, "connectionId": b"short"}},
]


@pytest.mark.parametrize("data", TYPED)
async def test_typed_data_equals_eth_accounts(account, stock, data):
    expected = stock.sign_typed_data(full_message=data)
    assert account.sign_typed_data(full_message=data) == expected
    assert await account.sign_typed_data_async(full_message=data) == expected


def test_typed_data_in_three_parts_equals_eth_accounts(account, stock):
    parts = AGENT["domain"], {"Agent": AGENT["types"]["Agent"]}, AGENT["message"]
    assert account.sign_typed_data(*parts) == stock.sign_typed_data(*parts)


@pytest.mark.parametrize(
    "change",
    [
        {"primaryType": "Other"},
        {"domain": {"name": "Exchange"}},
        {"message": {"source": "a"}},
        {"types": {}},
    ],
)
def test_wrong_typed_data_fails_as_in_eth_account(account, stock, change):
    for each in (stock, account):
        with pytest.raises(Exception) as raised:  # noqa: PT011 - eth-account has many kinds
            each.sign_typed_data(full_message=AGENT | change)
        assert not isinstance(raised.value, InputError)


def test_authorizations_equal_eth_accounts(account, stock):
    authorization = {"chainId": 1, "address": TO, "nonce": 1}
    ours = account.sign_authorization(authorization)
    assert ours.model_dump() == stock.sign_authorization(authorization).model_dump()


def test_the_private_key_stays_where_it_is(account, secret):
    for ask in (lambda: account.key, lambda: bytes(account), lambda: account.encrypt("x")):
        with pytest.raises(PermissionError, match="in a device"):
            ask()
    assert secret.hex() not in repr(account)


async def test_hyperliquid_equals_the_sdk(account, stock):
    for rest in ((None, 1, None, True), (TO, 1700000000000, 1800000000000, False)):
        expected = signing.sign_l1_action(stock, ORDER, *rest)
        assert hyperliquid.sign_l1_action(account, ORDER, *rest) == expected
        assert hyperliquid.sign_l1_action(stock, ORDER, *rest) == expected
        assert await hyperliquid.sign_l1_action_async(account, ORDER, *rest) == expected


def posted(wallet, monkeypatch):
    """What the SDK's Exchange posts for an order of ``wallet``; the network and clock left out."""
    monkeypatch.setattr("hyperliquid.exchange.get_timestamp_ms", lambda: 1700000000000)
    spot = {"universe": [], "tokens": []}
    meta = {"universe": [{"name": "ETH", "szDecimals": 4}]}
    exchange = Exchange(wallet, MAINNET_API_URL, meta=meta, spot_meta=spot)
    bodies = []
    monkeypatch.setattr(exchange, "post", lambda _, body: bodies.append(body))
    exchange.order("ETH", True, 0.1, 1800.0, {"limit": {"tif": "Gtc"}})
    exchange.usd_transfer(5.0, TO)
    return bodies


def test_hyperliquids_exchange_with_the_function_installed(account, stock, monkeypatch):
    expected = posted(stock, monkeypatch)
    original = signing.sign_l1_action
    calls = []
    monkeypatch.setattr(
        hyperliquid,
        "l1_signature",
        lambda s, real=hyperliquid.l1_signature: calls.append(s) or real(s),
    )
    hyperliquid.install()
    hyperliquid.install()
    try:
        assert posted(account, monkeypatch) == expected
        assert len(calls) == 1
    finally:
        hyperliquid.uninstall()
    assert signing.sign_l1_action is original
    assert posted(account, monkeypatch) == expected
    assert len(calls) == 1
