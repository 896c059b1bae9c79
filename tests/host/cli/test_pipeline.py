from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from intaglio import Curve, Key, LinkError, RequestTimeout, Signature, reference
from intaglio.cli.common import Payload
from intaglio.cli.pipeline import CHUNK, MAX_KEYS, Item, Pipeline, failed
from intaglio.curve import DEVICE_CURVES
from intaglio.soft import SoftSigner


def item(number: int, keys: int = 3) -> Item:
    secret = hashlib.sha256(b"%d" % (number % keys)).digest()
    curve = DEVICE_CURVES[number % 2]
    return Item(number, f"line {number}", "", curve, secret, Payload(b"%d" % number, None))


class Unplugged(SoftSigner):
    """Stops answering after ``alive`` signatures."""

    def __init__(self, alive: int) -> None:
        super().__init__()
        self.alive = alive
        self.asked = 0

    def submit(
        self, key: Key, message: bytes | None = None, *, digest: bytes | None = None
    ) -> Future[Signature]:
        self.asked += 1
        if self.asked > self.alive:
            future: Future[Signature] = Future()
            future.set_exception(RequestTimeout("the board does not answer: check its power"))
            return future
        return super().submit(key, message, digest=digest)


def test_reads_ahead_by_chunks_only() -> None:
    taken = 0

    def source() -> Iterator[Item]:
        nonlocal taken
        for number in range(10 * CHUNK):
            taken = number + 1
            yield item(number)

    for done, outcome in enumerate(Pipeline(SoftSigner()).run(source())):
        assert outcome.item.line == done
        assert taken <= done + 2 * CHUNK


def test_more_keys_than_are_held() -> None:
    signer = SoftSigner()
    count = MAX_KEYS + 3 * CHUNK
    outcomes = list(Pipeline(signer).run(item(n, keys=count) for n in range(count)))
    assert all(outcome.signature is not None for outcome in outcomes)
    assert len(signer._keys) <= MAX_KEYS


@pytest.mark.parametrize("alive", [0, 5, CHUNK + 7])
def test_after_the_link_failed_every_item_still_gets_one_outcome(alive: int) -> None:
    count = 5 * CHUNK
    signer = Unplugged(alive)
    outcomes = list(Pipeline(signer).run(item(n) for n in range(count)))
    assert [outcome.item.line for outcome in outcomes] == list(range(count))
    for number, outcome in enumerate(outcomes):
        if number < alive:
            assert outcome.signature is not None
            expected = reference.sign(outcome.item.curve, outcome.item.secret, b"%d" % number)
            assert outcome.signature.raw == expected.raw
        else:
            assert outcome.signature is None
            assert "does not answer" in str(outcome.error)
    assert f"the link failed at line {alive}" in str(outcomes[-1].error)
    assert signer.asked < alive + 3 * CHUNK


def test_a_refused_key_fails_its_own_items_only() -> None:
    bad = item(1)._replace(curve=Curve.SECP256K1, secret=bytes(32))
    items = [item(0), bad, failed(2, "line 2", "not JSON"), bad, item(4)]
    outcomes = list(Pipeline(SoftSigner()).run(items))
    assert [outcome.signature is not None for outcome in outcomes] == [
        True,
        False,
        False,
        False,
        True,
    ]
    assert outcomes[2].error == "not JSON"
    assert "secp256k1 secret is 0" in str(outcomes[1].error)


def test_a_link_that_fails_while_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = SoftSigner()

    def broken(*_: object) -> Future[Key]:
        raise LinkError("unplugged: plug it in")

    monkeypatch.setattr(signer, "submit_load", broken)
    outcomes = list(Pipeline(signer).run([item(0), item(1)]))
    assert all("key could not be loaded: unplugged" in str(o.error) for o in outcomes)


def test_an_item_never_shows_its_secret() -> None:
    assert item(0).secret.hex() not in repr(item(0))
    assert repr(item(0).secret) not in repr(item(0))
