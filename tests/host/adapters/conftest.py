"""Devices that every adapter is tried on, and the secret they hold."""

import pytest

import intaglio

SECRET = bytes(range(1, 33))


@pytest.fixture(params=["soft:", "model:"])
def device(request):
    """A signer: the software one, and one behind the wire protocol."""
    with intaglio.open(request.param) as signer:
        yield signer


@pytest.fixture(scope="session")
def secret() -> bytes:
    return SECRET
