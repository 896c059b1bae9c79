"""Exceptions. One class per wire status, all under :class:`IntaglioError`.

Messages name the offending value and say what to do about it. No message ever contains a key.
"""

from __future__ import annotations

from . import wire


class IntaglioError(Exception):
    """Base of everything this package raises on purpose."""


class InputError(IntaglioError, ValueError):
    """A value given by the caller is wrong; nothing was sent."""


class DeviceError(IntaglioError):
    """The device answered with a status other than OK."""

    status: wire.Status


class LinkError(IntaglioError):
    """The link to the device failed: no such port, closed, or it cannot be opened."""


class RequestTimeout(LinkError, TimeoutError):
    """The device did not answer in time, also after the retries."""


class ProtocolError(LinkError):
    """The device speaks another protocol version, or answers what no device may."""


class VerifyError(IntaglioError):
    """A signature came back that does not verify; it was not released."""


class DeadlineError(IntaglioError, TimeoutError):
    """The signature would be late, so it was not made, or not given out."""


class BusyError(IntaglioError):
    """More requests wait than the signer may hold; this one was not taken."""


class ClosedError(IntaglioError):
    """The signer was closed."""


class BadVersionError(DeviceError):
    """The device refused the protocol version of the request."""

    status = wire.Status.BAD_VERSION


class BadOpError(DeviceError):
    """The device does not know the operation."""

    status = wire.Status.BAD_OP


class BadLengthError(DeviceError):
    """The device refused the length of the body."""

    status = wire.Status.BAD_LENGTH


class BadCurveError(DeviceError):
    """The device was built without that curve, or the operation is not for it."""

    status = wire.Status.BAD_CURVE


class BadSlotError(DeviceError):
    """The device has no such key slot."""

    status = wire.Status.BAD_SLOT


class EmptySlotError(DeviceError):
    """There is no key in the slot."""

    status = wire.Status.EMPTY_SLOT


class WrongCurveError(DeviceError):
    """The slot holds a key of another curve."""

    status = wire.Status.WRONG_CURVE


class StaleKeyError(DeviceError):
    """The slot holds another key by now."""

    status = wire.Status.STALE_KEY


class StaleSessionError(DeviceError):
    """Another session was opened on the device, or it was reset."""

    status = wire.Status.STALE_SESSION


class InvalidKeyError(DeviceError):
    """The secret is not a valid key of the curve."""

    status = wire.Status.INVALID_KEY


class KeyInUseError(DeviceError):
    """The slot has jobs in flight or is still loading."""

    status = wire.Status.KEY_IN_USE


class DuplicateTagError(DeviceError):
    """The tag was used before; the request was not executed."""

    status = wire.Status.DUPLICATE


class BadFrameError(DeviceError):
    """The frame arrived damaged."""

    status = wire.Status.BAD_FRAME


class FaultError(DeviceError):
    """The device's release check failed; no signature was released."""

    status = wire.Status.FAULT


class BadDescriptorError(DeviceError):
    """The device refused how a descriptor says where its body is, or how long."""

    status = wire.Status.BAD_DESCRIPTOR


class BadAddressError(DeviceError):
    """The device refused the address of a body in host memory."""

    status = wire.Status.BAD_ADDRESS


class DmaError(DeviceError):
    """The device could not read host memory at the address it was given."""

    status = wire.Status.DMA_ERROR


BY_STATUS: dict[wire.Status, type[DeviceError]] = {
    cls.status: cls for cls in DeviceError.__subclasses__()
}
"""Exception class of each status but OK."""
