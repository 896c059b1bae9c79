"""The example in each adapter's docstring runs, and adapters cost nothing until imported."""

import doctest
import importlib
import re
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
    assert results.attempted


def test_the_readme_s_example_runs(secret):
    page = (Path(__file__).parents[3] / "host/adapters/README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {"secret": secret}
    exec(compile(example, "host/adapters/README.md", "exec"), names)
    assert names["devices"].is_handle(names["handle"])
    names["signer"].close()


def test_import_of_intaglio_loads_no_venue():
    heavy = "ccxt eth_account eth_keys hyperliquid cryptography solders msgpack Crypto numpy"
    code = (
        "import sys, intaglio, intaglio.adapters\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
