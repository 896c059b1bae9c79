"""solders and solana-keychain on devices: equal to a Keypair's signatures."""

import pytest
from solana_keychain.core.signer import TransactionSigner
from solana_keychain.memory import MemorySigner
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

import intaglio
from intaglio.adapters.solana_keychain import DeviceSigner
from intaglio.adapters.solders import DeviceKeypair


@pytest.fixture
def keypair(device, secret):
    return DeviceKeypair(device, secret)


@pytest.fixture(scope="module")
def stock(secret):
    return Keypair.from_seed(secret)


def messages(payer, *others):
    """A legacy and a version 0 message of transfers, signed by payer and others."""
    pays = [
        transfer(TransferParams(from_pubkey=key, to_pubkey=Pubkey.default(), lamports=9))
        for key in (payer, *others)
    ]
    blockhash = Hash.hash(b"recent")
    return [
        MessageV0.try_compile(payer, pays, [], blockhash),
        Message.new_with_blockhash(pays, payer, blockhash),
    ]


async def test_keypair_equals_solders(keypair, stock):
    assert keypair.pubkey() == stock.pubkey()
    assert keypair.sign_message(b"order") == stock.sign_message(b"order")
    assert await keypair.sign_message_async(b"order") == stock.sign_message(b"order")


async def test_presigned_transactions_equal_solders(keypair, stock):
    other = Keypair()
    for message in messages(stock.pubkey(), other.pubkey()):
        expected = VersionedTransaction(message, [stock, other])
        assert VersionedTransaction(message, [keypair.presign(message), other]) == expected
        presigner = await keypair.presign_async(message)
        assert VersionedTransaction(message, [other, presigner]) == expected
        signatures = [each.sign_message(to_bytes_versioned(message)) for each in (keypair, other)]
        assert VersionedTransaction.populate(message, signatures) == expected


async def test_keychain_backend_equals_its_memory_signer(device, secret, stock):
    ours, memory = DeviceSigner(device, secret), MemorySigner(stock)
    assert isinstance(ours, TransactionSigner)
    assert ours.pubkey == memory.pubkey
    assert await ours.sign_message(b"order") == await memory.sign_message(b"order")
    for message in messages(stock.pubkey(), Keypair().pubkey()):
        expected = await memory.sign_transaction(VersionedTransaction.populate(message, []))
        transaction = VersionedTransaction.populate(message, [])
        signed = await ours.sign_transaction(transaction)
        assert signed == expected
        assert signed.transaction == transaction == expected.transaction
        assert not signed.is_complete
    assert secret.hex() not in repr(ours)


async def test_keychain_availability(secret):
    with intaglio.open("model:") as device:
        signer = DeviceSigner(device, secret)
        assert await signer.is_available()
    assert not await signer.is_available()
