"""The Hyperliquid SDK's ``sign_l1_action``, several times faster and on any device.

>>> from intaglio.adapters import hyperliquid
>>> from intaglio.adapters.eth_account import DeviceAccount
>>> wallet = DeviceAccount("soft:", bytes(31) + b"\\x01")
>>> action = {"type": "cancel", "cancels": [{"a": 1, "o": 2}]}
>>> sorted(hyperliquid.sign_l1_action(wallet, action, None, 1700000000000, None, True))
['r', 's', 'v']

``install()`` puts it in the place of the SDK's function, so that ``Exchange(wallet, ...)`` and all
its orders use it; wallets that are no :class:`DeviceAccount` then sign as before. ``uninstall()``
undoes that.
"""

from __future__ import annotations

from typing import Any

from hyperliquid import exchange
from hyperliquid.utils import signing

from intaglio.adapters.eth_account import DeviceAccount
from intaglio.orders.fast import HyperliquidSigner, l1_digest, l1_signature

__all__ = ["HyperliquidSigner", "install", "sign_l1_action", "sign_l1_action_async", "uninstall"]

_stock = signing.sign_l1_action


def sign_l1_action(
    wallet: Any,
    action: Any,
    active_pool: str | None,
    nonce: int,
    expires_after: int | None,
    is_mainnet: bool,
) -> Any:
    """What ``hyperliquid.utils.signing.sign_l1_action`` returns for the same arguments."""
    if not isinstance(wallet, DeviceAccount):
        return _stock(wallet, action, active_pool, nonce, expires_after, is_mainnet)
    digest = l1_digest(action, nonce, active_pool, expires_after, is_mainnet)
    return l1_signature(wallet.signer.sign(wallet.device_key, digest=digest))


async def sign_l1_action_async(
    wallet: DeviceAccount,
    action: Any,
    active_pool: str | None,
    nonce: int,
    expires_after: int | None,
    is_mainnet: bool,
) -> Any:
    """:func:`sign_l1_action` that lets other tasks run while a device signs."""
    trader = HyperliquidSigner(wallet.signer, wallet.device_key)
    return await trader.sign_l1_action_async(action, nonce, active_pool, expires_after, is_mainnet)


def install() -> None:
    """Replace the SDK's function in its ``signing`` and ``exchange``; again does nothing."""
    _replace(_stock, sign_l1_action)


def uninstall() -> None:
    """Put the SDK's own function back; again does nothing."""
    _replace(sign_l1_action, _stock)


def _replace(old: Any, new: Any) -> None:
    for module in (signing, exchange):
        if module.sign_l1_action is old:
            module.sign_l1_action = new
