"""A backend for eth-keys, so that eth-account, web3 and whatever builds on them sign on a device.

    export ECC_BACKEND_CLASS=intaglio.adapters.eth_keys.Backend
    export INTAGLIO_DEVICE=uart:/dev/ttyUSB0        # soft: if it is not set

Private keys are loaded into that device when they are first used. To keep them out of the process,
give a handle in their place. Look at the address: any other backend would take the handle itself
for a private key.

>>> import intaglio
>>> from intaglio.adapters import devices
>>> from intaglio.adapters.eth_keys import Backend
>>> from eth_keys.datatypes import PrivateKey
>>> signer = intaglio.open("soft:")
>>> key = signer.load_key("secp256k1", bytes(31) + b"\\x01")
>>> private = PrivateKey(devices.handle(signer, key), Backend())
>>> private.public_key.to_checksum_address()
'0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf'
>>> signature = private.sign_msg(b"order")
>>> signature.recover_public_key_from_msg(b"order") == private.public_key
True
"""

from __future__ import annotations

from typing import Any

from eth_keys.backends.coincurve import CoinCurveECCBackend
from eth_keys.datatypes import NonRecoverableSignature, PrivateKey, PublicKey, Signature

from intaglio.adapters.devices import held_for
from intaglio.curve import Curve
from intaglio.signer import Signer


class Backend(CoinCurveECCBackend):
    """Signs on ``signer`` (a signer or a device URL; by default that of ``INTAGLIO_DEVICE``).

    Verification and recovery stay with libsecp256k1 on this host. A recovery id of 2 or 3 (chance
    2**-127) has no place in Ethereum's signatures and raises :class:`intaglio.InputError`.
    """

    def __init__(self, signer: Signer | str | None = None) -> None:
        super().__init__()
        self._signer = signer

    def ecdsa_sign(self, msg_hash: bytes, private_key: PrivateKey) -> Signature:
        signature = self._sign(msg_hash, private_key)
        return Signature(signature.raw + bytes([signature.recid_bit]), backend=self)

    def ecdsa_sign_non_recoverable(
        self, msg_hash: bytes, private_key: PrivateKey
    ) -> NonRecoverableSignature:
        return NonRecoverableSignature(self._sign(msg_hash, private_key).raw, backend=self)

    def private_key_to_public_key(self, private_key: PrivateKey) -> PublicKey:
        held = held_for(Curve.SECP256K1, private_key.to_bytes(), self._signer)
        return PublicKey(held.key.public_key_uncompressed[1:], backend=self)

    def _sign(self, msg_hash: bytes, private_key: PrivateKey) -> Any:
        signer, key = held_for(Curve.SECP256K1, private_key.to_bytes(), self._signer)
        return signer.sign(key, digest=bytes(msg_hash))
