"""The example in each adapter's docstring runs, and adapters cost nothing until imported."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import intaglio.adapters

MODULES = sorted(p.stem for p in Path(intaglio.adapters.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_the_docstrings_example_runs(name):
    module = importlib.import_module(f"intaglio.adapters.{name}")
    results = doctest.testmod(module)
    assert results.failed == 0
    assert results.attempted or name == "devices"


def test_import_of_intaglio_loads_no_venue():
    heavy = "ccxt eth_account eth_keys hyperliquid cryptography solders msgpack Crypto numpy"
    code = (
        "import sys, intaglio, intaglio.adapters\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
