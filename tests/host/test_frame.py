"""Frames: what was sent comes out whatever the pieces; damage is counted, never delivered."""

import zlib

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from intaglio import frame, wire

PAYLOADS = st.lists(st.binary(max_size=600), max_size=6)


def pieces(data, cuts):
    """``data`` cut at the positions ``cuts``."""
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    start = 0
    for end in ends:
        yield data[start:end]
        start = end


@given(PAYLOADS, st.lists(st.integers(0, 10**6), max_size=20))
def test_payloads_survive_any_cut(payloads, cuts):
    decoder = frame.Decoder(600)
    stream = b"".join(frame.encode(payload) for payload in payloads)
    received = [one for piece in pieces(stream, cuts) for one in decoder.feed(piece)]
    assert received == payloads
    assert (decoder.frames_good, decoder.frames_bad) == (len(payloads), 0)
    assert decoder.buffered_bytes == 0


def test_format():
    payload = bytes(range(5))
    crc = zlib.crc32(payload).to_bytes(4, "little")
    assert frame.encode(payload) == cobs.encode(payload + crc) + b"\0"


@pytest.mark.parametrize("length", [0, 1, 249, 250, 251, 253, 254, 4108])
@pytest.mark.parametrize("fill", [b"\0", b"\1"])
def test_longest_frame(length, fill):
    encoded = frame.encode(fill * length)
    assert len(encoded) <= frame.max_frame_bytes(length)
    assert frame.Decoder(length).feed(encoded) == [fill * length]


@given(st.binary(min_size=1, max_size=300), st.data())
def test_one_wrong_byte_is_noticed(payload, data):
    encoded = bytearray(frame.encode(payload))
    at = data.draw(st.integers(0, len(encoded) - 2))
    encoded[at] ^= data.draw(st.integers(1, 255))
    decoder = frame.Decoder(300)
    assert decoder.feed(bytes(encoded)) == []
    assert decoder.frames_bad >= 1
    assert decoder.feed(frame.DELIMITER + frame.encode(b"next")) == [b"next"]


@given(st.binary(max_size=3000))
def test_noise_is_bounded_and_ends_at_a_delimiter(noise):
    decoder = frame.Decoder(100)
    for piece in pieces(noise, range(0, 3000, 7)):
        decoder.feed(piece)
        assert decoder.buffered_bytes <= frame.max_frame_bytes(100)
    assert decoder.feed(frame.DELIMITER + frame.encode(b"next"))[-1:] == [b"next"]


def test_a_frame_too_long_is_one_bad_frame():
    decoder = frame.Decoder(100)
    too_long = frame.encode(bytes(200))
    assert decoder.feed(too_long[:150]) + decoder.feed(too_long[150:]) == []
    assert decoder.frames_bad == 1
    assert decoder.feed(frame.encode(b"next")) == [b"next"]


def test_empty_frames_mean_nothing():
    decoder = frame.Decoder(10)
    assert decoder.feed(b"\0\0\0" + frame.encode(b"x") + b"\0\0") == [b"x"]
    assert (decoder.frames_good, decoder.frames_bad) == (1, 0)


@pytest.mark.parametrize("plain", [b"", b"\1", b"\1\2\3"])
def test_shorter_than_a_crc(plain):
    decoder = frame.Decoder(10)
    assert decoder.feed(cobs.encode(plain) + b"\0") == []
    assert decoder.frames_bad == 1


def test_the_longest_request_fits():
    request = bytes(wire.MAX_REQUEST_BYTES)
    assert frame.Decoder(wire.MAX_REQUEST_BYTES).feed(frame.encode(request)) == [request]
