"""What is counted, how Prometheus sees it, and that neither it nor logs hold a secret."""

import json
import logging
import sys
import time

import prometheus_client
import pytest

import intaglio
from intaglio import errors, metrics
from intaglio.config import PoolConfig
from intaglio.device import DeviceSigner
from intaglio.metrics import BUCKETS_S, Histogram, JsonFormatter
from intaglio.pool import Pool
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.link import ModelDevice, ModelTransport

SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
MESSAGE = b"sell everything at once"


@pytest.fixture
def registry():
    return prometheus_client.CollectorRegistry()


def test_histograms_count_by_bucket():
    histogram = Histogram()
    for seconds in (0, 1e-6, 1.5e-6, 0.02, 10, 11):
        histogram.observe(seconds)
    assert histogram.counts[0] == 2
    assert histogram.counts[1] == 1
    assert histogram.counts[BUCKETS_S.index(0.02)] == 1
    assert histogram.counts[-2:] == [1, 1]
    assert histogram.total == 6
    assert histogram.sum_s == pytest.approx(21.0200025)
    assert list(BUCKETS_S) == sorted(BUCKETS_S)


def test_a_device_in_prometheus(registry):
    with intaglio.open("model:") as signer:
        metrics.export(signer, registry)
        ed = signer.load_key("ed25519", SECRET)
        secp = signer.load_key("secp256k1", SECRET)
        signer.sign_many([(ed, MESSAGE)] * 30 + [(secp, MESSAGE)] * 12)
        with pytest.raises(errors.DeadlineError):
            signer.sign(ed, MESSAGE, deadline=time.monotonic() - 1)
        value = registry.get_sample_value
        assert value("signing_ops_total", {"device": "model", "curve": "ed25519"}) == 30
        assert value("signing_ops_total", {"device": "model", "curve": "secp256k1"}) == 12
        assert value("signing_queue_depth", {"signer": "model"}) == 0
        for stage in ("queue", "link", "verify", "total"):
            labels = {"device": "model", "stage": stage}
            assert value("signing_seconds_count", labels) == 42
            assert value("signing_seconds_bucket", labels | {"le": "+Inf"}) == 42
            assert value("signing_seconds_bucket", labels | {"le": "1"}) <= 42
        parts = [
            value("signing_seconds_sum", {"device": "model", "stage": stage})
            for stage in ("queue", "link", "verify", "total")
        ]
        assert sum(parts[:3]) == pytest.approx(parts[3])
        assert value("signing_verify_failures_total", {"device": "model"}) == 0
        text = prometheus_client.generate_latest(registry).decode()
        assert "# TYPE signing_seconds histogram" in text


def test_software_in_prometheus(registry):
    with intaglio.open() as signer:
        metrics.export(signer, registry)
        ed, p256 = signer.load_keys([("ed25519", SECRET), ("p256", SECRET)])
        signer.sign(ed, MESSAGE)
        signer.sign_many([(ed, MESSAGE)] * 30 + [(p256, MESSAGE)] * 12)
        late = time.monotonic() - 1
        with pytest.raises(errors.DeadlineError):
            signer.sign(ed, MESSAGE, deadline=late)
        signer.sign_many([intaglio.SignRequest(ed, MESSAGE, deadline=late)], return_exceptions=True)
        value = registry.get_sample_value
        assert value("signing_ops_total", {"device": "soft", "curve": "ed25519"}) == 31
        assert value("signing_ops_total", {"device": "soft", "curve": "p256"}) == 12
        assert value("signing_late_total", {"device": "soft"}) == 2
        assert signer.counters().jobs_done == 2 + 43
        assert "signing_seconds_count" not in prometheus_client.generate_latest(registry).decode()


class Liar(GoldenCore):
    def finish_one(self):
        reply = super().finish_one()
        return reply[:-1] + bytes([reply[-1] ^ 1]) if reply[6] == 64 else reply


def test_a_pool_in_prometheus_and_in_logs_without_a_secret(registry, caplog):
    caplog.set_level(logging.DEBUG, logger="intaglio")
    config = PoolConfig.parse(
        {
            "device": [{"url": "a:", "name": "liar"}, {"url": "b:", "name": "gone"}],
            "health": {"reconnect_s": 0.01, "heartbeat_s": 0.01},
        }
    )

    def opener(url):
        if url.text == "b:":
            raise errors.LinkError("no such port: plug it in")
        return ModelTransport(ModelDevice(Liar()))

    with Pool(config, opener=opener) as pool:
        metrics.export(pool, registry)
        key = pool.load_key("ed25519", SECRET)
        signatures = pool.sign_many([(key, MESSAGE + b"%d" % n) for n in range(20)])
        value = registry.get_sample_value
        assert value("signing_verify_failures_total", {"device": "liar"}) >= 1
        assert value("signing_errors_total", {"device": "liar", "error": "VerifyError"}) >= 1
        assert value("signing_fallbacks_total", {"device": "soft:"}) == 20
        assert value("signing_ops_total", {"device": "soft:", "curve": "ed25519"}) == 20
        assert value("signing_link_errors_total", {"device": "gone"}) >= 1
        assert value("signing_device_up", {"device": "liar"}) == 0
        assert value("signing_device_up", {"device": "soft:"}) == 1
        text = prometheus_client.generate_latest(registry).decode()
    lines = [JsonFormatter().format(record) for record in caplog.records]
    told = [json.loads(line) for line in lines]
    assert {"device up", "device down", "device failed"} <= {one["event"] for one in told}
    failed = next(one for one in told if one["event"] == "device failed")
    assert {"time", "level", "logger", "device", "url", "error"} <= failed.keys()
    assert failed["logger"] == "intaglio"
    written = text + "".join(lines) + repr([vars(record) for record in caplog.records])
    for hidden in (SECRET, MESSAGE, signatures[0].raw):
        for form in (hidden.hex(), repr(hidden)[2:-1], repr(bytearray(hidden))):
            assert form not in written


def test_a_lost_link_is_logged(caplog):
    class Lost(ModelTransport):
        lost = False

        def read(self, timeout_s, *, or_writable=False):
            if self.lost:
                raise errors.LinkError("the link was lost: reconnect it")
            return super().read(timeout_s, or_writable=or_writable)

    transport = Lost(ModelDevice(GoldenCore()))
    with caplog.at_level(logging.WARNING, logger="intaglio"):
        signer = DeviceSigner(transport)
        transport.lost = True
        transport.wake()
        signer._thread.join()
        signer.close()
    (record,) = caplog.records
    assert record.getMessage() == "link lost"
    assert record.device == "model"


def test_without_prometheus_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with (
        intaglio.open() as signer,
        pytest.raises(errors.InputError, match=r"pip install 'intaglio\[metrics\]'"),
    ):
        metrics.export(signer)
