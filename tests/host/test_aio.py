"""The asyncio twin: the same answers and errors, awaited."""

import asyncio

import coincurve
import nacl.signing
import pytest

import intaglio
import intaglio.aio
from intaglio import Curve, SignRequest, errors

SECRET = bytes(range(1, 33))


@pytest.fixture(params=["soft:", "model:?key_slots=1&job_slots=4"])
async def signer(request):
    async with await intaglio.aio.open(request.param) as signer:
        yield signer


async def test_every_verb(signer):
    ed = await signer.load_key("ed25519", SECRET)
    (secp,) = await signer.load_keys([(Curve.SECP256K1, SECRET)])
    signature = await signer.sign(ed, b"m")
    assert signature.raw == nacl.signing.SigningKey(SECRET).sign(b"m").signature
    assert (await signer.sign(secp, digest=bytes(32))).raw == coincurve.PrivateKey(
        SECRET
    ).sign_recoverable(bytes(32), None)[:64]
    assert await signer.verify(ed, b"m", signature)
    assert await signer.public_key(secp) == secp.public_key
    assert (await signer.counters()).jobs_done >= 4
    assert signer.identity.curves == tuple(Curve)
    await signer.wipe(ed)
    with pytest.raises(errors.InputError):
        await signer.sign(ed, b"m")
    await signer.wipe()


async def test_many_at_once(signer):
    ed = await signer.load_key("ed25519", SECRET)
    expected = [nacl.signing.SigningKey(SECRET).sign(b"%d" % n).signature for n in range(50)]
    together = await asyncio.gather(*(signer.sign(ed, b"%d" % n) for n in range(50)))
    assert [signature.raw for signature in together] == expected

    async def requests():
        for n in range(50):
            yield SignRequest(ed, b"%d" % n)

    for source in (requests(), [(ed, b"%d" % n) for n in range(50)]):
        assert [s.raw for s in await signer.sign_many(source)] == expected
    results = await signer.sign_many([(ed, bytes(5000)), (ed, b"0")], return_exceptions=True)
    assert isinstance(results[0], errors.InputError)
    assert results[1].raw == expected[0]
    with pytest.raises(errors.InputError):
        await signer.sign_many([(ed, b"0"), (ed, bytes(5000))])


async def test_a_cancelled_task_leaves_the_signer_whole(signer):
    ed = await signer.load_key("ed25519", SECRET)
    task = asyncio.create_task(signer.sign(ed, b"m"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await signer.sign(ed, b"n")).raw == nacl.signing.SigningKey(SECRET).sign(b"n").signature


async def test_a_signer_that_cannot_be_opened():
    with pytest.raises(errors.LinkError):
        await intaglio.aio.open("nothing:")
    with pytest.raises(errors.RequestTimeout):
        await intaglio.aio.open("model:?silent_after=0", timeout_s=0.05)
