"""dYdX v4 orders and other Cosmos transactions, as SIGN_MODE_DIRECT wants them.

What is signed (Cosmos SDK, ``cosmos/tx/v1beta1/tx.proto``) is SHA-256 of::

    SignDoc{body_bytes = TxBody, auth_info_bytes = AuthInfo, chain_id, account_number}

so the payload is the SignDoc and the signer hashes it. The transaction carries one message:
``place_order``, ``cancel_order`` (``dydxprotocol/clob``), ``send`` (``cosmos/bank``), or any others
already encoded under ``messages``. Field names are the arguments of dydx-v4-client's ``order`` and
``order_id``. Chains that hash with Keccak (Injective, Evmos) sign other bytes than these.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from intaglio import wire
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.orders import protobuf as pb
from intaglio.orders.extras import bech32_decode
from intaglio.orders.fields import Fields, short
from intaglio.orders.payload import Payload, check_signature

_PUBLIC_KEY_URL = "/cosmos.crypto.secp256k1.PubKey"
_EXTENSION_URL = "/dydxprotocol.accountplus.TxExtension"
_SIGN_MODE_DIRECT = 1
_SIDES = {"SIDE_BUY": 1, "SIDE_SELL": 2}
_TIMES_IN_FORCE = {
    "TIME_IN_FORCE_UNSPECIFIED": 0,
    "TIME_IN_FORCE_IOC": 1,
    "TIME_IN_FORCE_POST_ONLY": 2,
    "TIME_IN_FORCE_FILL_OR_KILL": 3,
}
_CONDITIONS = {
    "CONDITION_TYPE_UNSPECIFIED": 0,
    "CONDITION_TYPE_STOP_LOSS": 1,
    "CONDITION_TYPE_TAKE_PROFIT": 2,
}
_ORDER_FLAGS = {0: "short term", 32: "conditional", 64: "long term", 128: "TWAP"}


class Transaction(NamedTuple):
    """An unsigned transaction: the SignDoc's fields and a label."""

    body: bytes
    auth_info: bytes
    chain_id: str
    account_number: int
    label: str


def sign_doc(body: bytes, auth_info: bytes, chain_id: str, account_number: int) -> bytes:
    """The serialised SignDoc."""
    return (
        pb.data(1, body) + pb.data(2, auth_info) + pb.data(3, chain_id) + pb.uint(4, account_number)
    )


def any_message(type_url: str, value: bytes) -> bytes:
    """A ``google.protobuf.Any``."""
    return pb.data(1, type_url) + pb.data(2, value)


def encode(order: Mapping[str, Any]) -> Payload:
    """The SignDoc to sign for a transaction dict (see the folder's README for its fields).

    One longer than a signer takes (4096 bytes) is given as its SHA-256 instead.
    """
    tx = _parse(order)
    message = sign_doc(*tx[:4])
    if len(message) > wire.MAX_MESSAGE_BYTES:
        return Payload(Curve.SECP256K1, None, hashlib.sha256(message).digest(), tx.label)
    return Payload(Curve.SECP256K1, message, None, tx.label)


def finish(order: Mapping[str, Any], signature: bytes, recid: int | None = None) -> dict[str, Any]:
    """The body of ``BroadcastTx`` (``tx_bytes`` in base64, ``mode``) and the ``hash``."""
    check_signature(signature, recid)
    tx = _parse(order)
    raw = pb.data(1, tx.body) + pb.data(2, tx.auth_info) + pb.data(3, signature)
    return {
        "tx_bytes": base64.b64encode(raw).decode(),
        "mode": "BROADCAST_MODE_SYNC",
        "hash": hashlib.sha256(raw).hexdigest().upper(),
    }


def _parse(order: Mapping[str, Any]) -> Transaction:
    fields = Fields("dydx order", order)
    fields.take("venue", "dydx", "dydx")
    kinds = [kind for kind in _MESSAGES if fields.has(kind)]
    if len(kinds) != 1:
        given = " and ".join(kinds) or "no message"
        raise InputError(f"dydx order: {given} given; give exactly one of {', '.join(_MESSAGES)}")
    messages, label = _MESSAGES[kinds[0]](fields)
    memo = fields.text("memo", "text", "")
    timeout = fields.integer("timeout_height", 64, 0)
    authenticators = [
        Fields("dydx order: authenticators", {str(i): value}).integer(str(i), 64)
        for i, value in enumerate(fields.listing("authenticators", []))
    ]
    extension = pb.packed(1, authenticators)
    body = b"".join(pb.message(1, item) for item in messages) + pb.data(2, memo)
    body += pb.uint(3, timeout)
    body += pb.data(2047, any_message(_EXTENSION_URL, extension) if authenticators else b"")
    auth_info = _auth_info(fields)
    chain_id = fields.text("chain_id", "the chain's name, such as 'dydx-mainnet-1'")
    account_number = fields.integer("account_number", 64)
    fields.done()
    return Transaction(body, auth_info, chain_id, account_number, label)


def _auth_info(fields: Fields) -> bytes:
    """AuthInfo of one signer in SIGN_MODE_DIRECT."""
    want = "the signer's compressed public key, 33 bytes in hexadecimal"
    public_key = fields.data("public_key", want, sizes=(33,))
    if public_key[0] not in (2, 3):
        raise fields.fail("public_key", want)
    mode_info = pb.message(1, pb.uint(1, _SIGN_MODE_DIRECT))
    signer = pb.message(1, any_message(_PUBLIC_KEY_URL, pb.data(1, public_key)))
    signer += pb.message(2, mode_info) + pb.uint(3, fields.integer("sequence", 64))
    fee = fields.nested("fee", {})
    payment = _coins(fee, 1, []) + pb.uint(2, fee.integer("gas_limit", 63, 1_000_000))
    for number, name in ((3, "payer"), (4, "granter")):
        payment += pb.data(number, _address(fee, name) if fee.has(name) else "")
    fee.done()
    return pb.message(1, signer) + pb.message(2, payment)


def _coins(fields: Fields, number: int, default: Any = None) -> bytes:
    """The repeated Coin ``amount``; an amount is an integer in the smallest unit."""
    coins = fields.each("amount") if default is None else fields.each("amount", default)
    out = b""
    for coin in coins:
        denom = coin.text("denom", "the unit, such as 'adydx'")
        amount = coin.integer("amount", 256)
        out += pb.message(number, pb.data(1, denom) + pb.data(2, str(amount)))
        coin.done()
    return out


def _address(fields: Fields, name: str, prefix: str | None = None) -> str:
    want = f"a bech32 address{f' of {prefix!r}' if prefix else ''} with a right checksum"
    text = fields.text(name, want)
    decoded = bech32_decode(text)
    if decoded is None or (prefix and decoded[0] != prefix) or len(decoded[1]) not in (20, 32):
        raise fields.fail(name, want)
    return text


def _order_id(fields: Fields) -> tuple[bytes, int, str]:
    """OrderId, the order's flags and the CLOB pair for a label."""
    flags = fields.integer("order_flags", 32, 0)
    if flags not in _ORDER_FLAGS:
        choices = ", ".join(f"{flag} ({name})" for flag, name in _ORDER_FLAGS.items())
        raise fields.fail("order_flags", f"one of {choices}")
    subaccount = pb.data(1, _address(fields, "address", "dydx"))
    subaccount += pb.uint(2, fields.integer("subaccount_number", 32, 0))
    pair = fields.integer("clob_pair_id", 32)
    raw = pb.message(1, subaccount) + pb.fixed32(2, fields.integer("client_id", 32))
    return raw + pb.uint(3, flags) + pb.uint(4, pair), flags, f"clob pair {pair}"


def _good_til(fields: Fields, flags: int, block_field: int) -> bytes:
    """The oneof of block and time: short-term orders end at a block, the others at a time."""
    mine, other = "good_til_block", "good_til_block_time"
    if flags:
        mine, other = other, mine
    value = fields.integer(mine, 32, least=1)
    if fields.has(other):
        raise fields.fail(other, f"only {mine!r} for a {_ORDER_FLAGS[flags]} order")
    return pb.fixed32(block_field + 1, value) if flags else pb.uint(block_field, value)


def _place_order(fields: Fields) -> tuple[list[bytes], str]:
    order = fields.nested("place_order")
    order_id, flags, pair = _order_id(order)
    side = order.choice("side", _SIDES)
    quantums = order.integer("quantums", 64, least=1)
    subticks = order.integer("subticks", 64, least=1)
    raw = pb.message(1, order_id) + pb.uint(2, _SIDES[side])
    raw += pb.uint(3, quantums) + pb.uint(4, subticks)
    raw += _good_til(order, flags, 5)
    default = "TIME_IN_FORCE_UNSPECIFIED"
    raw += pb.uint(7, _TIMES_IN_FORCE[order.choice("time_in_force", _TIMES_IN_FORCE, default)])
    raw += pb.uint(8, order.flag("reduce_only", False))
    raw += pb.uint(9, order.integer("client_metadata", 32, 0))
    default = "CONDITION_TYPE_UNSPECIFIED"
    raw += pb.uint(10, _CONDITIONS[order.choice("condition_type", _CONDITIONS, default)])
    raw += pb.uint(11, order.integer("conditional_order_trigger_subticks", 64, 0))
    if order.has("twap_parameters"):
        twap = order.nested("twap_parameters")
        names = ("duration", "interval", "price_tolerance")
        parts = (pb.uint(i, twap.integer(name, 32, 0)) for i, name in enumerate(names, 1))
        raw += pb.message(12, b"".join(parts))
        twap.done()
    if order.has("builder_code_parameters"):
        builder = order.nested("builder_code_parameters")
        address = pb.data(1, _address(builder, "builder_address", "dydx"))
        raw += pb.message(13, address + pb.uint(2, builder.integer("fee_ppm", 32)))
        builder.done()
    if order.has("order_router_address"):
        raw += pb.data(14, _address(order, "order_router_address", "dydx"))
    order.done()
    label = f"dydx {side[5:].lower()} {quantums} quantums of {pair} @ {subticks} subticks"
    return [any_message("/dydxprotocol.clob.MsgPlaceOrder", pb.message(1, raw))], label


def _cancel_order(fields: Fields) -> tuple[list[bytes], str]:
    order = fields.nested("cancel_order")
    order_id, flags, pair = _order_id(order)
    client_id = order.integer("client_id", 32)
    raw = pb.message(1, order_id) + _good_til(order, flags, 2)
    order.done()
    label = f"dydx cancel order {client_id} of {pair}"
    return [any_message("/dydxprotocol.clob.MsgCancelOrder", raw)], label


def _send(fields: Fields) -> tuple[list[bytes], str]:
    send = fields.nested("send")
    sender, recipient = _address(send, "from_address"), _address(send, "to_address")
    coins = _coins(send, 3)
    if not coins:
        raise send.fail("amount", "at least one coin")
    names = " + ".join(f"{coin['amount']} {coin['denom']}" for coin in send.listing("amount"))
    send.done()
    raw = pb.data(1, sender) + pb.data(2, recipient) + coins
    label = f"dydx send {names} to {short(recipient)}"
    return [any_message("/cosmos.bank.v1beta1.MsgSend", raw)], label


def _encoded(fields: Fields) -> tuple[list[bytes], str]:
    messages, names = [], []
    for item in fields.each("messages"):
        url = item.text("type_url", "the message's type, such as '/cosmos.gov.v1.MsgVote'")
        messages.append(any_message(url, item.data("value", "the message in hexadecimal")))
        names.append(url.rpartition(".")[2])
        item.done()
    return messages, f"dydx {' + '.join(names)}"


_MESSAGES = {
    "place_order": _place_order,
    "cancel_order": _cancel_order,
    "send": _send,
    "messages": _encoded,
}
