"""Device URLs and the registry: what is wrong with a URL is said in one sentence."""

import importlib.metadata

import pytest

import intaglio
from intaglio import InputError, LinkError
from intaglio.transport import base
from intaglio.transport.base import ParsedUrl


def test_parts_of_a_url():
    url = ParsedUrl.parse("UART:/dev/ttyUSB0?baud=115200&x=a%20b")
    assert (url.scheme, url.path) == ("uart", "/dev/ttyUSB0")
    assert url.params == {"baud": "115200", "x": "a b"}
    assert ParsedUrl.parse("pcie:0000:03:00.0").path == "0000:03:00.0"
    assert ParsedUrl.parse("sim:?profile=tiny").params == {"profile": "tiny"}
    assert ParsedUrl.parse("sim:?").params == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no scheme"),
        ("/dev/ttyUSB0", "has no scheme"),
        ("usb:1", "unknown scheme 'usb': known are soft:, pool:, model:, pcie:, sim:, uart:"),
        ("uart:", "names no port: write e.g. uart:/dev/ttyUSB0"),
        ("soft:fast", r"write soft: or soft:\?workers=N"),
        ("sim:full", r"write sim: or sim:pcie, and \?profile=NAME"),
        ("model:big", "write model: or model:pcie"),
        ("sim:?profile", "write parameters as"),
        ("sim:?a=1&a=2", "gives a parameter twice"),
        ("soft:?speed=9", "unknown parameter 'speed': known are workers"),
        ("model:?sped=9", "unknown parameter 'sped': known are drop"),
        ("model:?drop=2", "drop=2 must be a number of 0.0..1.0"),
        ("model:?drop=x", "drop=x must be a number"),
        ("model:?key_slots=0", "key_slots=0 must be an integer of 1..256"),
        ("model:?key_slots=-1", "key_slots=-1 must be an integer"),
        ("uart:/dev/null?baud=1", "baud=1 must be an integer of 300.."),
    ],
)
def test_urls_that_make_no_sense(text, sentence):
    with pytest.raises(InputError, match=sentence):
        intaglio.open(text)


@pytest.mark.parametrize("timeout_s", [0, -1.0, float("nan")])
def test_a_timeout_must_be_positive(timeout_s):
    with pytest.raises(InputError, match="timeout_s must be above 0"):
        intaglio.open("soft:", timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("uart:/dev/nothing", "cannot open serial port '/dev/nothing' .*No such file"),
        ("uart:/dev/null", "cannot open serial port '/dev/null'"),
    ],
)
def test_devices_that_are_not_there(text, sentence):
    with pytest.raises(LinkError, match=sentence):
        intaglio.open(text)


def test_a_missing_extra_is_named(monkeypatch):
    point = importlib.metadata.EntryPoint("sim", "intaglio.nothing:open_transport", base.GROUP)
    monkeypatch.setattr(base, "entry_points", lambda group: [point])
    with pytest.raises(LinkError, match=r"pip install 'intaglio\[sim\]'"):
        intaglio.open("sim:")
