from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import coincurve
import nacl.signing
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intaglio import params, wire

ORDER = params.SECP256K1.order
SECRET = hashlib.sha256(b"test key").hexdigest()
TOO_LONG = "00" * (wire.MAX_MESSAGE_BYTES + 1)


@given(secret=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_ed25519_equals_pynacl(run, secret: bytes, message: bytes) -> None:
    result = run(
        *("sign", "--curve", "ed25519", "--key", secret.hex(), "--message", message.hex(), "--json")
    )
    key = nacl.signing.SigningKey(secret)
    assert result.status == 0
    assert result.json["signature"] == key.sign(message).signature.hex()
    assert result.json["public_key"] == bytes(key.verify_key).hex()
    assert result.json["recid"] is None


@given(
    scalar=st.integers(1, ORDER - 1),
    body=st.binary(min_size=32, max_size=32),
    hashed=st.booleans(),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_secp256k1_equals_coincurve(run, scalar: int, body: bytes, hashed: bool) -> None:
    secret = scalar.to_bytes(32, "big")
    option = "--digest" if hashed else "--message"
    result = run("sign", "-c", "secp256k1", "-k", secret.hex(), option, body.hex(), "--json")
    key = coincurve.PrivateKey(secret)
    digest = body if hashed else hashlib.sha256(body).digest()
    expected = key.sign_recoverable(digest, hasher=None)
    assert bytes.fromhex(result.json["signature"]) == expected[:64]
    assert result.json["recid"] == expected[64]
    assert bytes.fromhex(result.json["der"]) == key.sign(digest, hasher=None)
    assert result.json["public_key"] == key.public_key.format().hex()
    assert result.json["public_key_uncompressed"] == key.public_key.format(compressed=False).hex()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.hex"
    path.write_text(f"0x{SECRET}\n")
    path.chmod(0o600)
    return path


def test_key_sources_agree(run, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    base = ("sign", "--curve", "ed25519", "--message", "00ff", "--json")
    literal = run(*base, "--key", SECRET)
    assert "ps" in literal.err
    for source, stdin in ((f"@{key_file}", ""), ("env:MY_KEY", ""), ("-", SECRET + "\n")):
        result = run(*base, "--key", source, stdin=stdin.encode())
        assert result.json == literal.json
        assert result.err == ""


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_readable_key_file_warns(run, key_file: Path, mode: int, warned: bool) -> None:
    key_file.chmod(mode)
    result = run("sign", "-c", "ed25519", "-k", f"@{key_file}", "-m", "")
    assert result.status == 0
    assert ("chmod 600" in result.err) == warned


def test_message_from_file_and_stdin(run, key_file: Path, tmp_path: Path) -> None:
    message = os.urandom(wire.MAX_MESSAGE_BYTES)
    path = tmp_path / "message"
    path.write_bytes(message)
    base = ("sign", "-c", "ed25519", "-k", f"@{key_file}", "--json")
    by_hex = run(*base, "--message", message.hex()).json
    assert run(*base, "--message-file", path).json == by_hex
    assert run(*base, "--message-file", "-", stdin=message).json == by_hex


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-c", "ed25519", "-k", SECRET, "-m", TOO_LONG], "4097 bytes; the limit is 4096"),
        (["-c", "ed25519", "-k", SECRET, "-m", "0g"], "message is not hexadecimal"),
        (["-c", "ed25519", "-k", SECRET], "exactly one of --message"),
        (["-c", "ed25519", "-k", SECRET, "-m", "", "--digest", "00" * 32], "exactly one of"),
        (["-c", "ed25519", "-k", SECRET, "--digest", "00" * 32], "Ed25519 signs messages"),
        (["-c", "secp256k1", "-k", SECRET, "--digest", "00" * 31], "31 bytes; it must have 32"),
        (["-c", "secp256k1", "-k", "00" * 32, "-m", ""], "is 0; a secp256k1 key is one of 1..n-1"),
        (["-c", "secp256k1", "-k", f"{ORDER:064x}", "-m", ""], "not below the group order n"),
        (["-c", "ed25519", "-k", SECRET[2:], "-m", ""], "31 bytes; it must have 32"),
        (["-c", "ed25519", "-k", "zz" + SECRET[2:], "-m", ""], "--key is not hexadecimal"),
        (["-c", "ed25519", "-k", "@/no/such/key", "-m", ""], "cannot read the key file"),
        (["-c", "ed25519", "-k", "env:NO_SUCH_KEY", "-m", ""], "no variable NO_SUCH_KEY"),
        (["-c", "ed25519", "-k", "-", "--message-file", "-"], "only one of"),
        (["-c", "ed25519", "-k", SECRET, "--message-file", "/no/such"], "cannot read /no/such"),
        (["-c", "ed25519", "-m", ""], "give --curve and --key"),
        (["-c", "p384", "-k", SECRET, "-m", ""], "--curve"),
        (["-c", "p256", "-k", "ff" * 32, "-m", ""], "a p256 key is one of 1..n-1"),
        (["--batch", "-", "-m", ""], "leave out --message"),
        (["-d", "nonsense", "-c", "ed25519", "-k", SECRET, "-m", ""], "no scheme"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(run, arguments: list[str], sentence: str) -> None:
    result = run("sign", *arguments)
    assert result.status == 2
    assert sentence in " ".join(result.err.split())
    assert result.out == ""
    assert SECRET not in result.err


def test_a_device_that_does_not_exist_is_status_1(run, key_file: Path) -> None:
    result = run(
        *("sign", "-d", "uart:/dev/no-such-port", "-c", "ed25519", "-k", f"@{key_file}", "-m", "")
    )
    assert result.status == 1
    assert result.out == ""
    assert len(result.err.splitlines()) == 1


def batch_line(number: int) -> dict[str, str]:
    line = {"key": hashlib.sha256(b"%d" % (number % 5)).hexdigest()}
    if number % 3 == 0:
        return {**line, "curve": "ed25519", "message": (b"m%d" % number).hex()}
    if number % 3 == 1:
        return {**line, "curve": "secp256k1", "message": (b"m%d" % number).hex()}
    return {**line, "curve": "secp256k1", "digest": hashlib.sha256(b"%d" % number).hexdigest()}


def test_batch_answers_every_line_in_order(run, tmp_path: Path) -> None:
    lines = [batch_line(number) for number in range(300)]
    path = tmp_path / "batch.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    result = run("sign", "--batch", path, "--json")
    assert result.status == 0
    assert len(result.lines) == len(lines)
    for line, answer in zip(lines, result.lines, strict=True):
        payload = ["--digest", line["digest"]] if "digest" in line else ["-m", line["message"]]
        assert answer["curve"] == line["curve"]
        if answer["curve"] == "ed25519":
            key = nacl.signing.SigningKey(bytes.fromhex(line["key"]))
            expected = key.sign(bytes.fromhex(line["message"])).signature
        else:
            body = bytes.fromhex(payload[1])
            digest = body if "digest" in line else hashlib.sha256(body).digest()
            secret = coincurve.PrivateKey(bytes.fromhex(line["key"]))
            expected = secret.sign_recoverable(digest, hasher=None)[:64]
        assert answer["signature"] == expected.hex()


BAD_LINES = [
    (b"{", "not JSON"),
    (b"[1]", "not a JSON object"),
    (b"\xff\xfe", "not UTF-8"),
    (b"{}", "field curve is missing"),
    (b'{"curve": "ed25519"}', "field key is missing"),
    (json.dumps({**batch_line(0), "colour": "red"}).encode(), "unknown field colour"),
    (json.dumps({**batch_line(0), "message": TOO_LONG}).encode(), "the limit is 4096"),
    (json.dumps({**batch_line(0), "message": 5}).encode(), "message is not text"),
    (json.dumps({**batch_line(0), "digest": "00" * 32}).encode(), "either message or digest"),
    (json.dumps({**batch_line(2), "digest": "00"}).encode(), "must have 32"),
    (json.dumps({**batch_line(2), "curve": "p384"}).encode(), "unknown curve 'p384'"),
    (json.dumps({**batch_line(2), "key": "00" * 32}).encode(), "key is 0"),
    (b" " * (1 << 17) + b"{}", "longer than"),
]


def test_bad_batch_lines_stand_in_their_place(run) -> None:
    good = json.dumps(batch_line(1)).encode()
    data = b"\n".join(part for bad, _ in BAD_LINES for part in (good, bad)) + b"\n\n" + good
    result = run("sign", "--batch", "-", "--json", stdin=data)
    assert result.status == 1
    answers = result.lines
    assert len(answers) == 2 * len(BAD_LINES) + 1
    assert len({answer["signature"] for answer in answers[::2]}) == 1
    for index, (_, sentence) in enumerate(BAD_LINES):
        answer = answers[2 * index + 1]
        assert answer.keys() == {"error", "line"}
        assert answer["line"] == 2 * index + 2
        assert sentence in answer["error"]


def test_a_missing_batch_file_is_status_2(run) -> None:
    result = run("sign", "--batch", "/no/such/file", "--json")
    assert (result.status, result.out) == (2, "")
    assert "cannot read /no/such/file" in result.err
