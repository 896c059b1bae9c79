"""Typed data: digests equal eth-account's, and nothing that does not fit its type is signed."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak, to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from intaglio.errors import InputError
from intaglio.orders import eip712

PERSON = [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}]
MAIL = {
    "domain": {
        "name": "Ether Mail",
        "version": "1",
        "chainId": 1,
        "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
    },
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Person": PERSON,
        "Mail": [
            {"name": "from", "type": "Person"},
            {"name": "to", "type": "Person"},
            {"name": "contents", "type": "string"},
        ],
    },
    "primaryType": "Mail",
    "message": {
        "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
        "contents": "Hello, Bob!",
    },
}


def ours(data: dict[str, Any]) -> bytes:
    return eip712.digest(data["domain"], data["types"], data["primaryType"], data["message"])


def theirs(data: dict[str, Any]) -> bytes:
    signable = encode_typed_data(full_message=data)
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def test_the_example_of_the_standard():
    """EIP-712's Example.js: the digest of its mail."""
    digest = "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    assert ours(MAIL).hex() == theirs(MAIL).hex() == digest


ATOMS = {
    "bool": st.booleans(),
    "address": st.binary(min_size=20, max_size=20).flatmap(
        lambda raw: st.sampled_from([to_checksum_address(raw), "0x" + raw.hex(), raw])
    ),
    "string": st.text(st.characters(codec="utf-8"), max_size=40),
    "bytes": st.one_of(st.binary(max_size=70), st.binary(max_size=9).map(lambda b: "0x" + b.hex())),
    "bytes1": st.binary(min_size=1, max_size=1),
    "bytes31": st.binary(min_size=31, max_size=31),
    "bytes32": st.binary(min_size=32, max_size=32).map(lambda b: "0x" + b.hex()),
    "uint8": st.integers(0, 255),
    "uint256": st.one_of(
        st.integers(0, 2**256 - 1), st.integers(0, 9).map(str), st.integers(0, 999).map(hex)
    ),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "int256": st.integers(-(2**255), 2**255 - 1),
}


@st.composite
def typed_data(draw: Any) -> dict[str, Any]:
    """A message of type Top, whose members are atoms, structs, and arrays of both."""
    types: dict[str, list[dict[str, str]]] = {}
    values: dict[str, Any] = dict(ATOMS)
    for name in ("Leaf", "Node", "Top"):
        members = draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=4))
        if name == "Top":
            members += ["Node", "Leaf[]"]
        shapes = [draw(st.sampled_from(["", "[]", "[2]", "[][]"])) for _ in members]
        types[name] = [
            {"name": f"m{i}", "type": kind + shape}
            for i, (kind, shape) in enumerate(zip(members, shapes, strict=True))
        ]
        values["Leaf[]"] = st.lists(values.get("Leaf", st.nothing()), max_size=2)
        values[name] = struct(types[name], values)
        if name != "Node":
            continue
        types["Node"].append({"name": "leaf", "type": "Leaf"})
        values["Node"] = struct(types["Node"], values)
    domain = draw(
        st.fixed_dictionaries(
            {"name": ATOMS["string"]},
            optional={
                "version": ATOMS["string"],
                "chainId": st.integers(0, 2**64),
                "verifyingContract": ATOMS["address"],
                "salt": ATOMS["bytes32"],
            },
        )
    )
    return {
        "domain": domain,
        "types": types,
        "primaryType": "Top",
        "message": draw(values["Top"]),
    }


def struct(members: list[dict[str, str]], values: dict[str, Any]) -> Any:
    return st.fixed_dictionaries({m["name"]: of_type(m["type"], values) for m in members})


def of_type(kind: str, values: dict[str, Any]) -> Any:
    if kind in values:
        return values[kind]
    item = of_type(kind[: kind.rindex("[")], values)
    return st.lists(item, min_size=2, max_size=2) if kind[-2] == "2" else st.lists(item, max_size=3)


@settings(max_examples=60, deadline=None)
@given(typed_data())
def test_digests_equal_eth_accounts(data):
    assert ours(data) == theirs(data)


def test_a_type_may_refer_to_itself():
    types = {"Tree": [{"name": "v", "type": "uint8"}, {"name": "kids", "type": "Tree[]"}]}
    tree = {"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}
    data = {"domain": {"name": "t"}, "types": types, "primaryType": "Tree", "message": tree}
    assert ours(data) == theirs(data)
    assert eip712.compiled(types, "Tree").root == "Tree"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("uint8", True),
        ("uint8", "x"),
        ("uint8", None),
        ("int8", 128),
        ("int8", 1.0),
        ("bool", 1),
        ("bool", "true"),
        ("address", "0x" + "11" * 19),
        ("address", "0xcD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"),
        ("address", 1),
        ("bytes4", b"123"),
        ("bytes4", "0x12345"),
        ("bytes", 5),
        ("bytes", "text"),
        ("string", 5),
        ("string", "\ud800"),
        ("uint8[]", 5),
        ("uint8[2]", [1]),
        ("uint8[]", [256]),
        ("uint7", 1),
        ("bytes33", bytes(33)),
        ("Missing", {}),
        ("Person", None),
        ("Person", {"name": "Cow"}),
    ],
)
def test_what_does_not_fit_is_refused(kind, value):
    types = {"Person": PERSON, "Top": [{"name": "m", "type": kind}]}
    with pytest.raises(InputError, match="typed data"):
        eip712.digest({"name": "t"}, types, "Top", {"m": value})


@pytest.mark.parametrize(
    "change",
    [
        {"domain": {"name": "Ether Mail"}},
        {"domain": MAIL["domain"] | {"chain": 1}},
        {"domain": MAIL["domain"] | {"chainId": [1]}},
        {"domain": 5},
        {"primaryType": "Male"},
        {"types": {"Mail": [{"name": "x"}]}},
        {"types": [1]},
        {"message": {}},
        {"message": None},
    ],
)
def test_wrong_wholes_are_refused(change):
    with pytest.raises(InputError, match="typed data"):
        ours(MAIL | change)


def test_equal_numbers_of_other_types_are_not_taken_from_the_cache():
    domain = {"name": "t", "chainId": 1}
    eip712.domain_separator(domain)
    with pytest.raises(InputError, match="True is no uint256"):
        eip712.domain_separator({"name": "t", "chainId": True})
