"""A measurement as it is told: rates, stages, sweeps and the picture."""

import struct
from dataclasses import replace

import pytest

import intaglio
from intaglio import wire
from intaglio.bench import measure, payloads, plot
from intaglio.bench.load import Plan
from intaglio.curve import Curve
from intaglio.device import DeviceSigner
from intaglio.errors import InputError
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.link import ModelDevice, ModelTransport


def quietly(signed):
    """No progress."""


def subject(signer):
    return measure.subject(signer, Curve.ED25519, payloads.of_size(32), quietly)


def test_stages_of_a_device():
    with intaglio.open("model:") as signer:
        result = subject(signer).measure("fixed", Plan(60.0, 4, [n / 1000 for n in range(11)]))
        assert signer.stats.signatures == 4 + 11
    assert (result.signed, result.unsent, result.errors) == (11, 0, {})
    assert result.offered_per_second == pytest.approx(1000)
    assert result.per_second == pytest.approx(11 / result.elapsed_s, rel=1e-3)
    assert set(result.stages) == {"wait", "encode", "sign", "queue", "link", "verify"}
    parts = sum(result.stages[name]["mean"] for name in ("queue", "link", "verify"))
    assert 0 < parts <= result.stages["sign"]["mean"] * 1.01
    for stage in result.stages.values():
        assert list(stage) == list(result.latency_us)
        assert stage["p50"] <= stage["p99"] <= stage["max"]
    for name in ("queue", "link", "verify"):
        assert result.stages[name]["max"] <= result.stages["sign"]["max"] * 1.01
    assert signer.stats.tap is None
    assert set(result.stage_curves) == set(result.stages)
    assert result.cycles["p50"] > 0
    told = result.to_json()
    assert not {"curve", "stage_curves"} & told.keys()
    assert list(told["latency_us"]) == [
        *("mean", "p50", "p90", "p99", "p99.9", "p99.99", "max", "jitter")
    ]


class Clocked(GoldenCore):
    """Tells a clock of 1 MHz, so that a cycle is a microsecond."""

    def identity(self):
        record = wire.IDENTITY.unpack(super().identity())
        return wire.IDENTITY.pack(**record | {"clock_hz": 1_000_000})


def test_engine_is_the_device_s_cycles_by_its_clock():
    with DeviceSigner(ModelTransport(ModelDevice(Clocked()))) as signer:
        result = subject(signer).measure("fixed", Plan(60.0, 1, [0.0] * 5))
    for name in ("p50", "p99", "max"):
        assert result.stages["engine"][name] == pytest.approx(result.cycles[name], rel=2e-3)


def test_software_has_fewer_stages():
    with intaglio.open("soft:") as signer:
        result = subject(signer).measure("closed", Plan(0.01, 1))
    assert set(result.stages) == {"encode", "sign"}
    assert result.cycles == {}
    assert result.offered_per_second is None
    assert result.signed > 0


def test_stages_of_a_pool_are_those_of_all_its_devices(tmp_path):
    path = tmp_path / "pool.toml"
    path.write_text('[[device]]\nname = "one"\nurl = "model:"\n')
    with intaglio.open(f"pool:{path}") as signer:
        result = subject(signer).measure("fixed", Plan(60.0, 2, [0.0] * 5))
    assert result.signed == 5
    assert {"queue", "link", "verify"} <= set(result.stages)


def test_sweeps_end_below_their_plan():
    in_flight = [part.in_flight for part in measure.parts_of(Plan(1.0, 20))]
    assert in_flight == [1, 2, 4, 8, 16]
    assert measure.parts_of(Plan(1.0, 1)) == []
    many = [part.in_flight for part in measure.parts_of(Plan(1.0, 4096))]
    assert many == [32, 64, 128, 256, 512, 1024, 2048]
    slower = measure.parts_of(Plan(1.0, 3, [n / 100 for n in range(100)]))
    assert [len(part.offsets) for part in slower] == [25, 50, 75]
    assert {part.in_flight for part in slower} == {3}


@pytest.mark.parametrize("plan", [Plan(0.01, 2), Plan(1.0, 1, [n / 1000 for n in range(20)])])
def test_picture(tmp_path, plan):
    path = tmp_path / "latency.png"
    plot.check(path)
    said = []
    with intaglio.open("soft:") as signer:
        what = subject(signer)
        sweep = what.sweep("closed", plan, said.append)
        plot.draw(path, "title", what.measure("closed", plan), sweep)
    assert len(said) == len(sweep) > 0
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert (width, height) == tuple(round(inch * plot.DOTS_PER_INCH) for inch in plot.SIZE_INCHES)


def test_pictures_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match=r"end in \.png"):
        plot.check(tmp_path / "latency.pdf")
    with pytest.raises(InputError, match="no folder"):
        plot.check(tmp_path / "nowhere" / "latency.png")
    with intaglio.open("soft:") as signer:
        result = subject(signer).measure("fixed", Plan(1.0, 1, [0.0]))
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        plot.draw(tmp_path / "folder.png", "title", result, [])
    plot.draw(tmp_path / "one.png", "title", result, [])
    with pytest.raises(InputError, match="nothing was signed"):
        plot.draw(tmp_path / "none.png", "title", replace(result, signed=0), [])
