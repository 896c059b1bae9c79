"""The asyncio twin: the same answers and errors, awaited."""

import asyncio
import contextlib

import coincurve
import nacl.signing
import pytest

import intaglio
import intaglio.aio
from intaglio import Curve, SignRequest, errors
from intaglio.curve import DEVICE_CURVES
from intaglio.device import DeviceSigner
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.link import ModelDevice, ModelTransport

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
    assert set(signer.identity.curves) >= set(DEVICE_CURVES)
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
        await intaglio.aio.open("uart:/dev/no-such-port")
    with pytest.raises(errors.RequestTimeout):
        await intaglio.aio.open("model:?silent_after=0", timeout_s=0.05)


async def test_a_stream_in_order_and_as_completed():
    async with await intaglio.aio.open("model:?seed=2&job_slots=16") as signer:
        ed = await signer.load_key("ed25519", SECRET)
        right = [nacl.signing.SigningKey(SECRET).sign(b"%d" % n).signature for n in range(300)]
        items = [(ed, b"%d" % n) for n in range(300)]
        assert [s.raw async for s in signer.sign_stream(items, window=7)] == right
        seen = {}
        async for number, signature in signer.sign_stream(items, window=50, as_completed=True):
            seen[number] = signature.raw
        assert seen == dict(enumerate(right))
        assert list(seen) != sorted(seen)
        wrong = [items[0], (ed, bytes(5000)), items[1]]
        got = [s async for s in signer.sign_stream(wrong, return_exceptions=True)]
        assert isinstance(got[1], errors.InputError)
        assert [got[0].raw, got[2].raw] == right[:2]
        with pytest.raises(errors.InputError, match="5000 bytes"):
            [s async for s in signer.sign_stream(wrong)]
        with pytest.raises(errors.InputError, match="window"):
            [s async for s in signer.sign_stream(wrong, window=0)]


async def test_a_slow_consumer_stops_the_reading():
    async with await intaglio.aio.open("model:") as signer:
        ed = await signer.load_key("ed25519", SECRET)
        read = 0

        async def requests():
            nonlocal read
            for n in range(500):
                read += 1
                yield ed, b"%d" % n

        taken = 0
        async with contextlib.aclosing(signer.sign_stream(requests(), window=10)) as stream:
            async for _ in stream:
                taken += 1
                await asyncio.sleep(0.001)
                assert read <= taken + 11
                if taken == 100:
                    break
        assert read <= 111


async def test_the_tasks_of_one_turn_go_out_in_one_write():
    transport = ModelTransport(ModelDevice(GoldenCore(job_slots=256)))
    writes = []
    write = transport.write
    transport.write = lambda data: writes.append(len(data)) or write(data)
    async with intaglio.aio.AsyncSigner(DeviceSigner(transport)) as signer:
        ed = await signer.load_key("ed25519", SECRET)
        writes.clear()
        await asyncio.gather(*(signer.sign(ed, b"%d" % n) for n in range(100)))
        assert len(writes) == 1


async def test_cancelled_tasks_give_back_their_room(monkeypatch):
    monkeypatch.setattr(intaglio.aio, "MAX_WAITING", 8)
    async with await intaglio.aio.open("model:?job_slots=2&latency=0.001") as signer:
        ed = await signer.load_key("ed25519", SECRET)
        for turn in range(20):
            tasks = [asyncio.create_task(signer.sign(ed, b"%d" % n)) for n in range(16)]
            await asyncio.sleep(0.0005 * (turn % 4))
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, intaglio.Signature) for result in results[1::2])
        assert signer._room._value == 8


async def test_deadlines_and_order():
    async with await intaglio.aio.open("model:?latency=0.001") as signer:
        ed = await signer.load_key("ed25519", SECRET)
        with pytest.raises(errors.DeadlineError):
            await signer.sign(ed, b"m", deadline=0.0)
        ended = []

        async def one(n):
            await signer.sign(ed, b"%d" % n, ordered=True, timeout_s=60)
            ended.append(n)

        await asyncio.gather(*(one(n) for n in range(100)))
        assert ended == sorted(ended)
