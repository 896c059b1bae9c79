"""Whatever boards and links do, every request gets one right signature or one typed error.

Each test has a seed. The accounting and the search for what was left behind are the fixture's.
"""

import asyncio
import contextlib
import itertools
import random

import pytest

from intaglio import Signature, errors
from intaglio.aio import AsyncSigner

HEALTHY = itertools.repeat({})


def flapping(seed, low, high):
    """Plans of a board that dies again and again after ``low`` to ``high`` answers."""
    rng = random.Random(seed)
    while True:
        yield {"dies_after": rng.randrange(low, high)}


def test_the_books_notice_what_is_wrong(farm):
    books = farm(0, [HEALTHY], requests=3)
    right = books.pool.sign_many(books.all())
    books.judge_all([right[1], None, errors.LinkError("x")])
    assert (books.wrong, books.lost, books.refused, books.answered) == (1, 1, 1, 1)
    books.wrong = books.lost = books.refused = books.answered = 0
    books.judge_all(right)


def kill_one(farm, seed, **more):
    dies = more.get("requests", farm.requests) // 6
    farm = farm(seed, [HEALTHY, [{"dies_after": dies}], HEALTHY], fallback=(), **more)
    farm.judge_all(farm.pool.sign_many(farm.all(), return_exceptions=True))
    assert farm.refused == 0
    assert farm.faults == {"death": 1}
    assert farm.status("board1").state == "down"


def kill_all(farm, seed, **more):
    dies = more.get("requests", farm.requests) // 6
    plans = [[{"dies_after": dies + n}] for n in range(3)]
    farm = farm(seed, plans, **more)
    farm.judge_all(farm.pool.sign_many(farm.all(), return_exceptions=True))
    assert farm.refused == 0
    assert farm.faults == {"death": 3}
    assert farm.status("soft:").signatures > 0


def flap(farm, seed, **more):
    low = more.get("requests", farm.requests) // 20
    farm = farm(seed, [flapping(seed, low, 4 * low), flapping(seed + 1, low, 4 * low)], **more)
    farm.judge_all(farm.pool.sign_many(farm.all(), return_exceptions=True))
    assert farm.refused == 0
    assert farm.faults["death"] > 1


def noise(farm, seed, **more):
    plan = {"bit": 1e-4, "drop": 0.005, "dup": 0.01, "stall": 0.002}
    farm = farm(seed, [itertools.repeat(plan)] * 2, **more)
    farm.judge_all(farm.pool.sign_many(farm.all(), return_exceptions=True))
    assert farm.refused == 0
    assert {"bit", "drop", "dup"} <= farm.faults.keys()


def wrong(farm, seed, **more):
    farm = farm(seed, [[{"wrong": 0.02}], HEALTHY], **more)
    farm.judge_all(farm.pool.sign_many(farm.all(), return_exceptions=True))
    assert farm.refused == 0
    assert farm.faults["wrong"] >= 1
    status = farm.status("board0")
    assert status.state == "quarantined"
    assert "does not verify" in status.last_error
    assert next(one for one in farm.pool.stats if one.device == "board0").verify_failures >= 1


def other_tag(farm, seed, **more):
    farm = farm(seed, [itertools.repeat({"swap": 0.05}), HEALTHY], **more)
    farm.judge_all(farm.pool.sign_many(farm.all(), return_exceptions=True))
    assert farm.refused == 0
    assert farm.faults["swap"] >= 1


def slow_consumer(farm, run, seed, **more):
    farm = farm(seed, [flapping(seed, 500, 5000), HEALTHY], **more)
    outcomes = []

    async def consume():
        signer = AsyncSigner(farm.pool)
        stream = signer.sign_stream(farm.all(), window=256, return_exceptions=True)
        async with contextlib.aclosing(stream):
            async for outcome in stream:
                outcomes.append(outcome)
                if len(outcomes) % 200 == 0:
                    await asyncio.sleep(0.01)
                    assert farm.pool.depth <= 256

    run(consume)
    assert farm.peak <= 256
    farm.judge_all(outcomes)
    assert farm.refused == 0


def cancelling(farm, run, seed, tasks, **more):
    farm = farm(seed, [flapping(seed, 300, 3000), HEALTHY], **more)
    cancelled = 0

    async def one_round(first, count):
        nonlocal cancelled
        signer = AsyncSigner(farm.pool)
        pending = [
            asyncio.create_task(signer.sign(request.key, request.message))
            for request in (farm.request(n) for n in range(first, first + count))
        ]
        for task in farm.rng.sample(pending, count // 2):
            if farm.rng.random() < 0.05:
                await asyncio.sleep(farm.rng.random() * 0.005)
            task.cancel()
        for n, result in enumerate(await asyncio.gather(*pending, return_exceptions=True), first):
            if isinstance(result, asyncio.CancelledError):
                farm.note("cancel")
                cancelled += 1
            else:
                assert isinstance(result, Signature | errors.IntaglioError)
                farm.judge(n, result)
        async with asyncio.timeout(60):
            while farm.pool.depth or signer._room._value != 4096:
                await asyncio.sleep(0.001)

    async def rounds():
        for first in range(0, farm.requests, tasks):
            await one_round(first, min(tasks, farm.requests - first))

    run(rounds)
    assert cancelled > farm.requests // 10
    farm.refused += cancelled
    assert farm.answered + farm.refused == farm.requests


@pytest.mark.parametrize("kind", [kill_one, kill_all, flap, noise, wrong, other_tag])
def test_burst(farm, kind):
    kind(farm, seed=1)


def test_slow_consumer(farm, run):
    slow_consumer(farm, run, seed=2)


def test_tasks_that_cancel_at_random(farm, run):
    cancelling(farm, run, seed=3, tasks=1000)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", [kill_one, kill_all, flap, noise, wrong, other_tag])
def test_burst_on_virtual_boards(farm, rtl, kind):
    kind(farm, seed=4, make=rtl, requests=300)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_slow_consumer_on_virtual_boards(farm, run, rtl):
    slow_consumer(farm, run, seed=5, make=rtl, requests=300)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_tasks_that_cancel_at_random_on_virtual_boards(farm, run, rtl):
    cancelling(farm, run, seed=6, tasks=100, make=rtl, requests=300)
