"""dYdX and Cosmos: SignDocs and transactions equal those of the protobuf types (v4-proto).

``sdk_*`` build them as dydx-v4-client 1.1 does (``node/builder.py``, ``node/message.py``,
``key_pair.py``), which asks for another coincurve and so can't be installed beside the project.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import bech32
import coincurve
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from v4_proto.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from v4_proto.cosmos.base.v1beta1.coin_pb2 import Coin
from v4_proto.cosmos.crypto.secp256k1.keys_pb2 import PubKey
from v4_proto.cosmos.tx.signing.v1beta1.signing_pb2 import SignMode
from v4_proto.cosmos.tx.v1beta1.tx_pb2 import (
    AuthInfo,
    Fee,
    ModeInfo,
    SignDoc,
    SignerInfo,
    Tx,
    TxBody,
)
from v4_proto.dydxprotocol.accountplus.tx_pb2 import TxExtension
from v4_proto.dydxprotocol.clob.order_pb2 import (
    BuilderCodeParameters,
    Order,
    OrderId,
    TwapParameters,
)
from v4_proto.dydxprotocol.clob.tx_pb2 import MsgCancelOrder, MsgPlaceOrder
from v4_proto.dydxprotocol.subaccounts.subaccount_pb2 import SubaccountId

from intaglio.errors import InputError
from intaglio.orders import encode, finish, samples

SAMPLES = [order for order in samples() if order["venue"] == "dydx"]
ORDER = SAMPLES[0]
SEND = SAMPLES[-1]


def as_any(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message, type_url_prefix="/")
    return packed


def sdk_order_id(fields: dict[str, Any]) -> OrderId:
    return OrderId(
        subaccount_id=SubaccountId(
            owner=fields.pop("address"), number=fields.pop("subaccount_number", 0)
        ),
        client_id=fields.pop("client_id"),
        order_flags=fields.pop("order_flags", 0),
        clob_pair_id=fields.pop("clob_pair_id"),
    )


def sdk_messages(order: dict[str, Any]) -> list[AnyMessage]:
    if "messages" in order:
        return [
            AnyMessage(type_url=item["type_url"], value=bytes.fromhex(item["value"]))
            for item in order["messages"]
        ]
    if "send" in order:
        send = order["send"] | {"amount": [Coin(**coin) for coin in order["send"]["amount"]]}
        return [as_any(MsgSend(**send))]
    if "cancel_order" in order:
        fields = dict(order["cancel_order"])
        return [as_any(MsgCancelOrder(order_id=sdk_order_id(fields), **fields))]
    fields = dict(order["place_order"])
    for name, kind in (
        ("twap_parameters", TwapParameters),
        ("builder_code_parameters", BuilderCodeParameters),
    ):
        if name in fields:
            fields[name] = kind(**fields[name])
    return [as_any(MsgPlaceOrder(order=Order(order_id=sdk_order_id(fields), **fields)))]


def sdk_tx(order: dict[str, Any]) -> tuple[Tx, bytes]:
    """The unsigned transaction and its SignDoc."""
    extension = TxExtension(selected_authenticators=order.get("authenticators", []))
    body = TxBody(
        messages=sdk_messages(order),
        memo=order.get("memo", ""),
        timeout_height=order.get("timeout_height", 0),
        non_critical_extension_options=([as_any(extension)] if order.get("authenticators") else []),
    )
    fee = {"amount": [], "gas_limit": 1_000_000} | order.get("fee", {})
    fee["amount"] = [Coin(**coin) for coin in fee["amount"]]
    signer = SignerInfo(
        public_key=as_any(PubKey(key=bytes.fromhex(order["public_key"]))),
        mode_info=ModeInfo(single=ModeInfo.Single(mode=SignMode.SIGN_MODE_DIRECT)),
        sequence=order["sequence"],
    )
    auth_info = AuthInfo(signer_infos=[signer], fee=Fee(**fee))
    doc = SignDoc(
        body_bytes=body.SerializeToString(),
        auth_info_bytes=auth_info.SerializeToString(),
        chain_id=order["chain_id"],
        account_number=order["account_number"],
    )
    return Tx(body=body, auth_info=auth_info), doc.SerializeToString()


def address(raw: bytes, prefix: str = "dydx") -> str:
    return str(bech32.bech32_encode(prefix, bech32.convertbits(raw, 8, 5)))


@pytest.mark.parametrize("order", SAMPLES, ids=lambda order: encode(order).label)
def test_signed_sample_is_the_clients_transaction(order, sign, secp256k1_secret):
    key = coincurve.PrivateKey(secp256k1_secret)
    assert order["public_key"] == key.public_key.format().hex()
    tx, doc = sdk_tx(order)
    tx.signatures.append(key.sign_recoverable(doc)[:64])
    raw = tx.SerializeToString()
    assert finish(order, *sign(encode(order))) == {
        "tx_bytes": base64.b64encode(raw).decode(),
        "mode": "BROADCAST_MODE_SYNC",
        "hash": hashlib.sha256(raw).hexdigest().upper(),
    }


@pytest.mark.parametrize("order", SAMPLES[:3], ids=lambda order: encode(order).label)
def test_samples_name_the_demo_keys_own_address(order, secp256k1_secret):
    public_key = coincurve.PrivateKey(secp256k1_secret).public_key.format()
    owner = address(hashlib.new("ripemd160", hashlib.sha256(public_key).digest()).digest())
    assert (order.get("place_order") or order["cancel_order"])["address"] == owner


u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
addresses = st.binary(min_size=20, max_size=20).map(address)
text = st.text(st.characters(codec="utf-8"), max_size=20)
coins = st.fixed_dictionaries(
    {
        "denom": st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
        "amount": st.integers(0, 2**256 - 1).map(str),
    }
)
order_ids = {"address": addresses, "client_id": u32, "clob_pair_id": u32}
order_fields = {
    "side": st.sampled_from(["SIDE_BUY", "SIDE_SELL"]),
    "quantums": st.integers(1, 2**64 - 1),
    "subticks": st.integers(1, 2**64 - 1),
}
optional_fields = {
    "time_in_force": st.sampled_from(Order.TimeInForce.keys()),
    "reduce_only": st.booleans(),
    "client_metadata": u32,
    "condition_type": st.sampled_from(Order.ConditionType.keys()),
    "conditional_order_trigger_subticks": u64,
    "twap_parameters": st.fixed_dictionaries(
        {}, optional={"duration": u32, "interval": u32, "price_tolerance": u32}
    ),
    "builder_code_parameters": st.fixed_dictionaries(
        {"builder_address": addresses, "fee_ppm": u32}
    ),
    "order_router_address": addresses,
}


@st.composite
def clob_messages(draw: st.DrawFn, required: dict[str, Any], optional: dict[str, Any]) -> Any:
    number = {"subaccount_number": u32} if draw(st.booleans()) else {}
    fields = draw(st.fixed_dictionaries(order_ids | number | required, optional=optional))
    fields["order_flags"] = draw(st.sampled_from([0, 32, 64, 128]))
    until = "good_til_block_time" if fields["order_flags"] else "good_til_block"
    return fields | {until: draw(st.integers(1, 2**32 - 1))}


messages = st.one_of(
    st.fixed_dictionaries({"place_order": clob_messages(order_fields, optional_fields)}),
    st.fixed_dictionaries({"cancel_order": clob_messages({}, {})}),
    st.fixed_dictionaries(
        {
            "send": st.fixed_dictionaries(
                {
                    "from_address": addresses,
                    "to_address": st.binary(min_size=32, max_size=32).map(address),
                    "amount": st.lists(coins, min_size=1, max_size=3),
                }
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "messages": st.lists(
                st.fixed_dictionaries(
                    {
                        "type_url": st.sampled_from(["/a.MsgA", "/b.v1.MsgB"]),
                        "value": st.binary(max_size=200).map(bytes.hex),
                    }
                ),
                min_size=1,
                max_size=3,
            )
        }
    ),
)
envelopes = st.fixed_dictionaries(
    {
        "chain_id": st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
        "account_number": u64,
        "sequence": u64,
        "public_key": st.binary(min_size=32, max_size=32).map(lambda raw: "02" + raw.hex()),
    },
    optional={
        "memo": text,
        "timeout_height": u64,
        "authenticators": st.lists(u64, max_size=3),
        "fee": st.fixed_dictionaries(
            {},
            optional={
                "amount": st.lists(coins, max_size=2),
                "gas_limit": st.integers(0, 2**63 - 1),
                "payer": addresses,
                "granter": addresses,
            },
        ),
    },
)


@given(envelopes, messages)
def test_sign_doc_equals_the_protobuf_types(envelope, message):
    order = envelope | message
    payload = encode({"venue": "dydx"} | order)
    assert payload.digest is None
    assert payload.message == sdk_tx(order)[1]


def test_long_sign_doc_is_hashed_here():
    order = ORDER | {"memo": "m" * 5000}
    payload = encode(order)
    assert payload.message is None
    assert payload.digest == hashlib.sha256(sdk_tx(order)[1]).digest()


def change_order(**fields: Any) -> dict[str, Any]:
    return {"place_order": ORDER["place_order"] | fields}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"place_order": None}, "dydx order: no message given; give exactly one of place_order"),
        ({"cancel_order": {}}, "dydx order: place_order and cancel_order given; give exactly one"),
        ({"chain_id": None}, "'chain_id' is missing; give the chain's name"),
        ({"public_key": "04" + "00" * 32}, "'public_key' is .*; give the signer's compressed"),
        ({"public_key": "02"}, "'public_key' is '02'; give the signer's compressed"),
        ({"authenticators": [0, -1]}, "authenticators: field '1' is -1"),
        ({"fee": {"gas": 1}}, "fee: unknown field 'gas'; known are amount, gas_limit"),
        ({"fee": {"amount": [{"denom": "adydx"}]}}, r"fee: amount\[0\]: field 'amount' is missing"),
        ({"memo": 7}, "'memo' is 7"),
        (change_order(side="BUY"), "place_order: field 'side' is 'BUY'; give one of SIDE_BUY"),
        (change_order(order_flags=1), "'order_flags' is 1; give one of 0 .short term., 32"),
        (change_order(good_til_block=None), "'good_til_block' is missing"),
        (change_order(good_til_block_time=5), "'good_til_block_time' is 5; give only 'good_til_b"),
        (change_order(order_flags=64), "'good_til_block_time' is missing"),
        (change_order(quantums=0), "'quantums' is 0; give an integer from 1"),
        (change_order(address="dydx1"), "'address' is 'dydx1'; give a bech32 address of 'dydx'"),
        (change_order(address=address(bytes(20), "cosmos")), "give a bech32 address of 'dydx'"),
        (change_order(price="1"), "place_order: unknown field 'price'"),
    ],
)
def test_wrong_fields_are_named(change, words):
    with pytest.raises(InputError, match=words):
        encode(ORDER | change)


def test_send_needs_a_coin():
    with pytest.raises(InputError, match=r"'amount' is .*; give at least one coin"):
        encode(SEND | {"send": SEND["send"] | {"amount": []}})
