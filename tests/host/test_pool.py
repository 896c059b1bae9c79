"""A pool of devices: who gets what, keys everywhere, members that go, come and lie."""

import threading
import time

import nacl.signing
import pytest

import intaglio
from intaglio import Curve, errors
from intaglio.config import DeviceConfig, Limits, PoolConfig
from intaglio.curve import DEVICE_CURVES
from intaglio.member import Member, State
from intaglio.pool import Pool
from intaglio.router import Router
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.link import FaultRates, ModelDevice, ModelTransport
from intaglio.transport.base import open_transport
from intaglio.values import Key
from intaglio.work import Work

SECRET = bytes(range(1, 33))
OTHER = bytes(range(2, 34))
FAST = {"heartbeat_s": 0.02, "reconnect_s": 0.01, "reconnect_max_s": 0.05}


def right(message, secret=SECRET):
    return nacl.signing.SigningKey(secret).sign(message).signature


def pool_of(*urls, opener=open_transport, **more):
    devices = [{"url": url, "name": f"d{n}", "timeout_s": 2.0} for n, url in enumerate(urls)]
    config = {"device": devices, "health": FAST, **more}
    return Pool(PoolConfig.parse(config), opener=opener)


def status(pool, name):
    return next(one for one in pool.members() if one.name == name)


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.002)


class Bench:
    """An opener whose devices can be unplugged, and plugged in as new ones."""

    def __init__(self, **core):
        self.core, self.cores, self.gone, self.links = core, {}, set(), {}

    def __call__(self, url):
        if url.text in self.gone:
            raise errors.LinkError(f"no such port {url.text}: plug it in")
        core = self.cores[url.text] = GoldenCore(**self.core)
        self.links[url.text] = Link(ModelDevice(core))
        return self.links[url.text]

    def unplug(self, url):
        self.gone.add(url)
        self.links[url].lost = True
        self.links[url].wake()


class Link(ModelTransport):
    lost = False

    def read(self, timeout_s, *, or_writable=False):
        data = super().read(timeout_s, or_writable=or_writable)
        if self.lost:
            raise errors.LinkError("the link was lost: reconnect it")
        return data


@pytest.fixture
def bench():
    return Bench()


def test_a_pool_is_a_signer():
    with pool_of("model:?seed=1", "model:?seed=2") as pool:
        ed, secp = pool.load_keys([(curve, SECRET) for curve in DEVICE_CURVES])
        assert pool.sign(ed, b"m").raw == right(b"m")
        signature = pool.sign(secp, digest=bytes(32))
        assert pool.verify(secp, digest=bytes(32), signature=signature)
        assert pool.public_key(secp) == secp.public_key
        results = pool.sign_many([(ed, b"%d" % n) for n in range(500)])
        assert [one.raw for one in results] == [right(b"%d" % n) for n in range(500)]
        assert pool.identity.job_slots == 128
        assert pool.identity.curves == tuple(Curve)
        assert pool.counters().jobs_done >= 502
        assert all(one.signatures > 50 for one in pool.members() if not one.fallback)
        assert status(pool, "soft:").signatures == 0
        with pytest.raises(errors.DeadlineError):
            pool.sign(ed, b"m", deadline=time.monotonic() - 1)
        with pytest.raises(errors.InputError, match="4097 bytes"):
            pool.sign(ed, bytes(4097))
        with pytest.raises(errors.InvalidKeyError):
            pool.load_key("secp256k1", bytes(32))
        pool.wipe(ed)
        with pytest.raises(errors.InputError, match="not held here"):
            pool.sign(ed, b"m")
        assert pool.sign(secp, b"m")
        pool.wipe()
        with pytest.raises(errors.InputError, match="not held here"):
            pool.sign(secp, b"m")
    with pytest.raises(errors.ClosedError):
        pool.sign(secp, b"m")
    pool.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("intaglio")]


def test_keys_are_where_they_should_be_and_gone_when_wiped(bench):
    with pool_of("a:", "b:", opener=bench) as pool:
        everywhere = pool.load_key("ed25519", SECRET)
        on_b = pool.submit_load("ed25519", OTHER, devices=["d1"]).result()

        def secrets(url):
            return [slot.secret for slot in bench.cores[url].slots if slot.secret]

        assert secrets("a:") == [SECRET]
        assert secrets("b:") == [SECRET, OTHER]
        pool.sign_many([(on_b, b"%d" % n) for n in range(50)])
        assert status(pool, "d0").signatures == 0
        with pytest.raises(errors.InputError, match="no member 'd7'"):
            pool.submit_load("ed25519", OTHER, devices=["d7"])
        pool.wipe(everywhere)
        assert secrets("a:") == []
        assert secrets("b:") == [OTHER]
        held = pool._held[on_b]
        assert "secret" not in repr(held)
    assert secrets("b:") == []
    assert held.secret == bytes(32)


def test_a_device_that_comes_back_gets_its_keys_again(bench):
    with pool_of("a:", opener=bench) as pool:
        key = pool.load_key("ed25519", SECRET)
        assert pool.sign(key, b"1").raw == right(b"1")
        bench.unplug("a:")
        assert pool.sign(key, b"2").raw == right(b"2")
        assert status(pool, "soft:").signatures == 1
        until(lambda: "plug it in" in status(pool, "d0").last_error)
        later = pool.load_key("ed25519", OTHER)
        bench.gone.clear()
        until(lambda: status(pool, "d0").state == "up")
        assert pool.sign(key, b"3").raw == right(b"3")
        assert pool.sign(later, b"4").raw == right(b"4", OTHER)
        assert status(pool, "soft:").signatures == 1
        assert status(pool, "d0").reconnects == 1
        until(lambda: status(pool, "d0").counters is not None)
        assert status(pool, "d0").counters.jobs_done >= 4


def test_what_a_dying_device_had_goes_elsewhere(bench):
    with pool_of("a:", "b:", opener=bench, fallback=[]) as pool:
        key = pool.load_key("ed25519", SECRET)
        held = bench.links["a:"].device
        held.run = lambda: b""
        futures = [pool.submit(key, b"%d" % n) for n in range(200)]
        until(lambda: status(pool, "d0").outstanding > 50)
        bench.unplug("a:")
        assert [one.result().raw for one in futures] == [right(b"%d" % n) for n in range(200)]
        assert pool.depth == 0


def test_without_anybody_requests_wait_and_then_fail(bench):
    limits = {"patience_s": 0.1}
    with pool_of("a:", opener=bench, fallback=[], limits=limits) as pool:
        key = pool.load_key("ed25519", SECRET)
        bench.unplug("a:")
        until(lambda: status(pool, "d0").state == "down")
        futures = [pool.submit(key, b"%d" % n) for n in range(3)]
        late = pool.submit(key, b"x", timeout_s=0.01)
        assert isinstance(late.exception(), errors.DeadlineError)
        for future in futures:
            with pytest.raises(errors.LinkError, match=r"no device .* was up for 0\.1 s"):
                future.result()
        waits = pool.submit(key, b"again", timeout_s=60)
        bench.gone.clear()
        assert waits.result().raw == right(b"again")
        assert pool.depth == 0


def test_a_pool_that_cannot_be_opened(bench):
    bench.gone |= {"a:", "b:"}
    with pytest.raises(errors.LinkError, match=r"no such port a:.*; no such port b:"):
        pool_of("a:", "b:", opener=bench, fallback=[])
    with pool_of("a:", opener=bench) as pool:
        assert pool.sign(pool.load_key("ed25519", SECRET), b"m").raw == right(b"m")


class Liar(GoldenCore):
    """Flips a bit of every signature, or of every public key."""

    lie = 64

    def finish_one(self):
        reply = super().finish_one()
        if reply[6] == self.lie:
            reply = reply[:-1] + bytes([reply[-1] ^ 1])
        return reply


def test_a_device_that_makes_no_sense_is_not_added():
    with pool_of("model:") as pool:
        with pytest.raises(errors.InputError, match="unknown parameter 'slots'"):
            pool.add("model:?slots=3", name="other")
        assert [one.name for one in pool.members()] == ["d0", "soft:"]
        pool.add("model:?seed=3", name="other")


def test_a_liar_is_put_in_quarantine_until_it_is_readmitted(bench):
    liars = {"b:"}

    def opener(url):
        if url.text in liars:
            return ModelTransport(ModelDevice(Liar()))
        return bench(url)

    with pool_of("a:", "b:", opener=opener) as pool:
        key = pool.load_key("ed25519", SECRET)
        results = pool.sign_many([(key, b"%d" % n) for n in range(300)])
        assert [one.raw for one in results] == [right(b"%d" % n) for n in range(300)]
        until(lambda: status(pool, "d1").state == "quarantined")
        assert "does not verify" in status(pool, "d1").last_error
        liars.clear()
        pool.readmit("d1")
        until(lambda: status(pool, "d1").state == "up")


def test_a_wrong_public_key_is_a_lie_too(monkeypatch):
    monkeypatch.setattr(Liar, "lie", 68)
    monkeypatch.setattr(
        Liar, "_key", lambda self, slot: GoldenCore._key(self, slot)[:4] + bytes(64)
    )
    with pool_of("a:", opener=lambda _: ModelTransport(ModelDevice(Liar())), verify="off") as pool:
        key = pool.load_key("ed25519", SECRET)
        until(lambda: status(pool, "d0").state == "quarantined")
        assert "wrong ed25519 public key" in status(pool, "d0").last_error
        assert pool.sign(key, b"m").raw == right(b"m")


def test_members_come_and_go_while_it_works(bench):
    with pool_of("a:", opener=bench, fallback=[]) as pool:
        key = pool.load_key("ed25519", SECRET)
        stop, errors_seen, done = threading.Event(), [], []

        def work():
            while not stop.is_set():
                try:
                    results = pool.sign_many([(key, b"%d" % n) for n in range(50)])
                    done.append(all(r.raw == right(b"%d" % n) for n, r in enumerate(results)))
                except errors.IntaglioError as error:
                    errors_seen.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        pool.add("b:")
        until(lambda: status(pool, "b:").signatures > 100)
        pool.remove("d0")
        assert [one.name for one in pool.members()] == ["b:"]
        pool.add("a:", name="again", weight=3.0)
        pool.remove("b:", drain=False)
        until(lambda: status(pool, "again").signatures > 100)
        stop.set()
        worker.join()
        assert errors_seen == []
        assert all(done)
        with pytest.raises(errors.InputError, match="no member 'd0': it has again"):
            pool.remove("d0")
        with pytest.raises(errors.InputError, match="has a member 'again' already"):
            pool.add("c:", name="again")


def test_a_drain_that_takes_too_long(bench):
    with pool_of("a:", opener=bench) as pool:
        key = pool.load_key("ed25519", SECRET)
        device = bench.links["a:"].device
        run, device.run = device.run, lambda: b""
        future = pool.submit(key, b"m")
        until(lambda: status(pool, "d0").outstanding)
        with pytest.raises(errors.LinkError, match=r"d0 still has work after 0.05 s"):
            pool.remove("d0", timeout_s=0.05)
        assert status(pool, "d0").state == "draining"
        assert pool.sign(key, b"n").raw == right(b"n")
        device.run = run
        bench.links["a:"].wake()
        assert future.result().raw == right(b"m")
        until(lambda: status(pool, "d0").state == "removed")


def test_a_curve_that_only_one_device_has(bench):
    def opener(url):
        curves = [1] if url.text == "a:" else [1, 2]
        return ModelTransport(ModelDevice(GoldenCore(curves=curves)))

    with pool_of("a:", "b:", opener=opener, fallback=[]) as pool:
        key = pool.load_key("secp256k1", SECRET)
        pool.sign_many([(key, b"%d" % n) for n in range(50)])
        assert status(pool, "d1").signatures == 50
        assert status(pool, "d0").state == "up"


def test_what_a_device_refuses_is_tried_elsewhere_and_then_fails(bench):
    limits = {"max_tries": 3}
    with pool_of("a:", "b:", opener=bench, fallback=[], limits=limits) as pool:
        key = pool.load_key("ed25519", SECRET)
        bench.cores["a:"]._fault_rate = 1.0
        results = pool.sign_many([(key, b"%d" % n) for n in range(100)])
        assert [one.raw for one in results] == [right(b"%d" % n) for n in range(100)]
        assert status(pool, "d0").state == "up"
        bench.cores["b:"]._fault_rate = 1.0
        with pytest.raises(errors.FaultError):
            pool.sign(key, b"m")
        assert sum(core.counters["faults"] for core in bench.cores.values()) >= 3
        assert pool.depth == 0


def test_least_expected_time_wins():
    pool = _Owner()
    router = Router(Limits())
    key = Key(Curve.ED25519, bytes(32))
    members = [_member(pool, n, weight) for n, weight in enumerate((1.0, 1.0, 2.0))]
    router.members = members
    for member, rate in zip(members, (100.0, 300.0, 100.0), strict=True):
        member.keys[key] = key
        member.rate = rate
    works = [Work(key, 0x20, b"", intaglio.promise.running()) for _ in range(60)]
    router.add(works)
    router.assign(pool)
    assert [member.outstanding for member in members] == [10, 30, 20]
    members[1].answered(0.01)
    assert members[1].outstanding == 29
    assert members[1].rate == pytest.approx(300 + (30 / 0.01 - 300) / 16)


class _Owner:
    def __init__(self):
        self.lock = threading.Lock()

    def holds(self, key):
        return True


def _member(pool, number, weight):
    config = DeviceConfig("x:", f"d{number}", weight)
    member = Member(config, 0, pool, None, None)
    member.state, member.capacity = State.UP, 1000
    return member


def test_a_faulty_link_is_no_reason_to_fail():
    rates = FaultRates(0.02, 0.02, 0.02, 0.02)

    def opener(url):
        return ModelTransport(ModelDevice(GoldenCore(), rates))

    with pool_of("a:", "b:", opener=opener, fallback=[]) as pool:
        key = pool.load_key("ed25519", SECRET)
        results = pool.sign_many([(key, b"%d" % n) for n in range(300)])
        assert [one.raw for one in results] == [right(b"%d" % n) for n in range(300)]
