"""A signer on a device: one thread owns the transport and the dispatcher, callers hold futures."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from intaglio import wire
from intaglio.curve import Curve
from intaglio.dispatch import Dispatcher
from intaglio.errors import (
    BadCurveError,
    ClosedError,
    InputError,
    IntaglioError,
    LinkError,
)
from intaglio.session import SILENT_TRIES
from intaglio.signer import Secret, Signer, unknown_key
from intaglio.transport.base import Transport
from intaglio.values import Counters, Identity, Key, Signature, check_payload, check_secret

WRITE_BYTES = 65536
"""Most bytes handed to a transport at once."""


class DeviceSigner(Signer):
    """Signs on the device behind ``transport``, which it owns from now on.

    ``timeout_s`` and ``verify`` as in :func:`intaglio.open`. Raises what opening it raises.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout_s: float | None = None,
        verify: bool = True,
        rng: random.Random | None = None,
    ) -> None:
        self._transport = transport
        self._retry_s = (timeout_s or transport.default_timeout_s) / SILENT_TRIES
        self._dispatcher = Dispatcher(transport.name, retry_s=self._retry_s, verify=verify, rng=rng)
        self._commands: deque[Callable[[float], None]] = deque()
        self._lock = threading.Lock()
        self._ended: IntaglioError | None = None
        self._stopping = False
        opened = self._dispatcher.open(time.monotonic())
        self._thread = threading.Thread(
            target=self._work, name=f"intaglio {transport.name}", daemon=True
        )
        self._thread.start()
        try:
            self._identity = opened.result()
        except BaseException:
            self._stop()
            raise

    @property
    def identity(self) -> Identity:
        return self._identity

    def submit_load(self, curve: Curve | str, secret: Secret) -> Future[Key]:
        curve = Curve(curve)
        data = check_secret(curve, secret)
        if curve not in self._identity.curves:
            raise BadCurveError(
                f"{self._identity.name} was built without {curve.value}: use another profile"
            )
        future = _running()
        self._post(lambda now: self._dispatcher.load(curve, data, future, now))
        return future

    def submit(
        self, key: Key, message: bytes | None = None, *, digest: bytes | None = None
    ) -> Future[Signature]:
        self._check_key(key)
        op, body = check_payload(key.curve, message, digest)
        if len(body) > self._identity.max_message_bytes:
            raise InputError(
                f"a message of {len(body)} bytes is too long for {self._identity.name}: "
                f"at most {self._identity.max_message_bytes}"
            )
        return self._start(key, op, body)

    def submit_public_key(self, key: Key) -> Future[bytes]:
        self._check_key(key)
        return self._start(key, wire.Op.PUBLIC_KEY, b"")

    def submit_wipe(self, key: Key | None = None) -> Future[None]:
        future = _running()
        if key is None:
            self._post(lambda now: self._dispatcher.wipe_all(future, now))
        else:
            self._check_key(key)
            self._post(lambda now: self._dispatcher.wipe(key, future, now))
        return future

    def submit_counters(self) -> Future[Counters]:
        future = _running()
        self._post(lambda now: self._dispatcher.counters(future, now))
        return future

    def close(self) -> None:
        """Wipe all keys and let the device go; a second call does nothing.

        Waits for the device to confirm the wipe for as long as it waits before sending again.
        """
        closed = ClosedError("this signer was closed: open it again")
        wiped = _running()

        with contextlib.suppress(IntaglioError, TimeoutError):
            self._post(lambda now: self._dispatcher.shut(closed, wiped, now))
            wiped.result(self._retry_s)
        self._stop()

    def _check_key(self, key: Key) -> None:
        self._check_open()
        if not self._dispatcher.holds(key):
            raise unknown_key(key)

    def _check_open(self) -> None:
        if self._ended is not None:
            raise type(self._ended)(*self._ended.args)

    def _start(self, key: Key, op: wire.Op, body: bytes) -> Future[Any]:
        future = _running()
        self._post(lambda now: self._dispatcher.start(key, op, body, future, now))
        return future

    def _post(self, command: Callable[[float], None]) -> None:
        """Have the device's thread call ``command`` with the time."""
        with self._lock:
            self._check_open()
            self._commands.append(command)
            self._transport.wake()

    def _stop(self) -> None:
        self._stopping = True
        with self._lock:
            if self._ended is None:
                self._transport.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        end: IntaglioError = ClosedError("this signer was closed: open it again")
        try:
            while not self._stopping:
                self._turn()
        except LinkError as error:
            end = error
        except BaseException as error:
            end = LinkError(f"the thread of {self._transport.name} failed: report this error")
            end.__cause__ = error
            raise
        finally:
            with self._lock:
                self._ended = end
                self._dispatcher.stop(end)
                while self._commands:
                    self._commands.popleft()(time.monotonic())
                self._transport.close()

    def _turn(self) -> None:
        """One round: commands in, bytes out, bytes in, what is due."""
        dispatcher, transport = self._dispatcher, self._transport
        while self._commands:
            self._commands.popleft()(time.monotonic())
        output = dispatcher.output
        if output:
            taken = transport.write(bytes(output[:WRITE_BYTES]))
            del output[:taken]
            if taken:
                dispatcher.moved(time.monotonic())
        deadline = dispatcher.next_deadline
        wait_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        data = transport.read(wait_s, or_writable=bool(output))
        now = time.monotonic()
        if data:
            dispatcher.feed(data, now)
        dispatcher.poll(now)


def _running() -> Future[Any]:
    """A future that cannot be cancelled: what it stands for will be done."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future
