"""Hyperliquid L1 actions: orders, and any other action given as its wire dict.

What is signed (hyperliquid-python-sdk 0.24, ``utils/signing.py``)::

    h = keccak(msgpack(action) || nonce u64 BE || 00, or 01 || vault || [00 || expiresAfter u64 BE])
    digest = EIP-712 of Agent(source = "a" mainnet, "b" testnet; connectionId = h)

Field names are those of the SDK's ``OrderRequest``; ``asset`` is the asset index that the SDK looks
up by ``coin`` (perpetuals: index in ``meta``; spot: 10000 + index in ``spotMeta``).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, NamedTuple

from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.orders.extras import keccak256, load
from intaglio.orders.fields import Fields
from intaglio.orders.payload import Payload, check_signature

_PLACES = Decimal("1e-8")
_ROUNDING = Decimal("1e-12")
_SIZE = "a number of at most 8 decimals as text, such as '0.1'"


class Action(NamedTuple):
    """An action and what is hashed with it."""

    action: dict[str, Any]
    nonce: int
    vault_address: str | None
    expires_after: int | None
    is_mainnet: bool
    label: str


@cache
def constants() -> tuple[bytes, bytes]:
    """Domain separator of Exchange/1/1337/0x0 and the type hash of Agent (EIP-712)."""
    domain_type = (
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    )
    domain = keccak256(
        keccak256(domain_type.encode())
        + keccak256(b"Exchange")
        + keccak256(b"1")
        + (1337).to_bytes(32, "big")
        + bytes(32)
    )
    return domain, keccak256(b"Agent(string source,bytes32 connectionId)")


def action_hash(
    action: Mapping[str, Any], vault: bytes | None, nonce: int, expires_after: int | None
) -> bytes:
    """The 32-byte connection id of an action; ``vault`` is 20 bytes, times are milliseconds."""
    data = _packed(action)
    data += nonce.to_bytes(8, "big")
    data += b"\x00" if vault is None else b"\x01" + vault
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(8, "big")
    return keccak256(data)


def _packed(action: Mapping[str, Any]) -> bytes:
    msgpack = load("msgpack")
    try:
        packed: bytes = msgpack.packb(action)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"hyperliquid order: field 'action' can't be written as MessagePack ({error}); give "
            "only text, numbers below 2^64, true, false, null, lists and objects"
        ) from None
    return packed


def agent_digest(connection_id: bytes, is_mainnet: bool = True) -> bytes:
    """EIP-712 digest of the phantom agent that stands for an action."""
    domain, agent_type = constants()
    source = keccak256(b"a" if is_mainnet else b"b")
    return keccak256(b"\x19\x01" + domain + keccak256(agent_type + source + connection_id))


def encode(order: Mapping[str, Any]) -> Payload:
    """The digest to sign for an order dict (see the folder's README for its fields)."""
    item = parse(order)
    vault = None if item.vault_address is None else bytes.fromhex(item.vault_address[-40:])
    connection_id = action_hash(item.action, vault, item.nonce, item.expires_after)
    digest = agent_digest(connection_id, item.is_mainnet)
    return Payload(Curve.SECP256K1, None, digest, item.label)


def finish(order: Mapping[str, Any], signature: bytes, recid: int | None = None) -> dict[str, Any]:
    """The body to POST to ``/exchange``; r and s lose leading zeros as in the SDK."""
    parity = check_signature(signature, recid, needs_recid=True)
    item = parse(order)
    return {
        "action": item.action,
        "nonce": item.nonce,
        "signature": {
            "r": hex(int.from_bytes(signature[:32], "big")),
            "s": hex(int.from_bytes(signature[32:], "big")),
            "v": 27 + parity,
        },
        "vaultAddress": item.vault_address,
        "expiresAfter": item.expires_after,
    }


def parse(order: Mapping[str, Any]) -> Action:
    """Checks an order dict and builds its action: one order flat, or ``orders``, or ``action``."""
    fields = Fields("hyperliquid order", order)
    fields.take("venue", "hyperliquid", "hyperliquid")
    if fields.has("action"):
        kind = fields.nested("action").text("type", "the action's type, such as 'cancel'")
        action = dict(order["action"])
        label = f"hyperliquid {kind} action"
    else:
        action, label = _order_action(fields)
    nonce = fields.integer("nonce", 64)
    expires_after = fields.integer("expires_after", 64) if fields.has("expires_after") else None
    vault_address = None
    if fields.has("vault_address"):
        vault_address = "0x" + fields.evm_address("vault_address").hex()
    is_mainnet = fields.flag("is_mainnet", True)
    fields.done()
    if not is_mainnet:
        label += " (testnet)"
    return Action(action, nonce, vault_address, expires_after, is_mainnet, label)


def _order_action(fields: Fields) -> tuple[dict[str, Any], str]:
    items = fields.each("orders") if fields.has("orders") else [fields]
    if not items:
        raise fields.fail("orders", "at least one order")
    wires, labels = zip(*(_order_wire(item) for item in items), strict=True)
    for item in items:
        if item is not fields:
            item.done()
    grouping: Any = fields.take("grouping", "a grouping", "na")
    if isinstance(grouping, Mapping):
        grouping = {"p": fields.nested("grouping").integer("p", 64)}
    else:
        grouping = fields.choice("grouping", ("na", "normalTpsl", "positionTpsl"), "na")
    action = {"type": "order", "orders": list(wires), "grouping": grouping}
    if fields.has("builder"):
        builder = fields.nested("builder")
        address = "0x" + builder.evm_address("b").hex()
        action["builder"] = {"b": address, "f": builder.integer("f", 32)}
        builder.done()
    more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
    return action, f"hyperliquid {labels[0]}{more}"


def _order_wire(fields: Fields) -> tuple[dict[str, Any], str]:
    """One order as the venue's API takes it; the order of the keys is part of what is signed."""
    asset = fields.integer("asset", 32)
    coin = fields.text("coin", "the coin's name", f"asset {asset}")
    is_buy = fields.flag("is_buy")
    price, size = _number(fields, "limit_px"), _number(fields, "sz")
    wire: dict[str, Any] = {
        "a": asset,
        "b": is_buy,
        "p": price,
        "s": size,
        "r": fields.flag("reduce_only", False),
        "t": _order_type(fields.nested("order_type", {"limit": {"tif": "Gtc"}})),
    }
    if fields.has("cloid"):
        wire["c"] = "0x" + fields.data("cloid", "16 bytes in hexadecimal", sizes=(16,)).hex()
    return wire, f"{'buy' if is_buy else 'sell'} {size} {coin} @ {price}"


def _order_type(fields: Fields) -> dict[str, Any]:
    if fields.has("limit") == fields.has("trigger"):
        raise fields.fail("limit", "either 'limit' or 'trigger', not both")
    if fields.has("limit"):
        limit = fields.nested("limit")
        kind: dict[str, Any] = {"limit": {"tif": limit.choice("tif", ("Gtc", "Ioc", "Alo"))}}
        limit.done()
    else:
        trigger = fields.nested("trigger")
        kind = {
            "trigger": {
                "isMarket": trigger.flag("isMarket"),
                "triggerPx": _number(trigger, "triggerPx"),
                "tpsl": trigger.choice("tpsl", ("tp", "sl")),
            }
        }
        trigger.done()
    fields.done()
    return kind


def _number(fields: Fields, name: str) -> str:
    """A price or size as the venue writes it: at most 8 decimals, no trailing zeros."""
    number = fields.decimal(name, _SIZE)
    try:
        rounded = number.quantize(_PLACES)
    except InvalidOperation:
        raise fields.fail(name, "a number below 10^20") from None
    if abs(rounded - number) >= _ROUNDING:
        raise fields.fail(name, _SIZE)
    return f"{rounded.normalize():f}"
