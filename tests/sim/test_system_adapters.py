"""Adapters on the virtual board: what other packages sign there equals what they sign alone."""

from __future__ import annotations

from collections.abc import Iterator

import ccxt
import nacl.signing
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hyperliquid.utils import signing
from solders.keypair import Keypair

import intaglio
from intaglio.adapters import ccxt as ccxt_adapter
from intaglio.adapters import hyperliquid
from intaglio.adapters.eth_account import DeviceAccount
from intaglio.adapters.nacl import DeviceSigningKey
from intaglio.adapters.solders import DeviceKeypair
from intaglio.signer import Signer

SECRET = bytes(range(1, 33))
ACTION = {"type": "cancel", "cancels": [{"a": 1, "o": 2}]}
NONCE = 1_700_000_000_000


@pytest.fixture(scope="module")
def board() -> Iterator[Signer]:
    with intaglio.open("sim:") as opened:
        yield opened


async def test_ethereum_and_hyperliquid(board: Signer) -> None:
    account, stock = DeviceAccount(board, SECRET), Account.from_key(SECRET)
    message = encode_defunct(text="order")
    assert account.sign_message(message) == stock.sign_message(message)
    assert await account.sign_message_async(message) == stock.sign_message(message)
    ours = hyperliquid.sign_l1_action(account, ACTION, None, NONCE, None, True)
    assert ours == signing.sign_l1_action(stock, ACTION, None, NONCE, None, True)


def test_ccxt(board: Signer) -> None:
    exchange = ccxt.hyperliquid({"privateKey": "0x" + SECRET.hex(), "walletAddress": "0x"})
    stock = exchange.sign_l1_action(ACTION, NONCE)
    done = board.counters().jobs_done
    ccxt_adapter.install(board)
    try:
        assert exchange.sign_l1_action(ACTION, NONCE) == stock
    finally:
        ccxt_adapter.uninstall()
    assert board.counters().jobs_done > done


def test_ed25519(board: Signer) -> None:
    keypair, stock = DeviceKeypair(board, SECRET), Keypair.from_seed(SECRET)
    assert keypair.sign_message(b"order") == stock.sign_message(b"order")
    signed = DeviceSigningKey(board, SECRET).sign(b"order")
    assert signed == nacl.signing.SigningKey(SECRET).sign(b"order")
