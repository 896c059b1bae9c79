"""The clocks in hdl/hash/README.md are those the simulation gives."""

from pathlib import Path

from intaglio.sim import hash_cycles

README = Path(__file__).parents[2] / "hdl" / "hash" / "README.md"


def test_clocks_are_fresh() -> None:
    text = README.read_text()
    fenced = text.split("<!-- hash_cycles -->\n")[1].split("\n<!-- /hash_cycles -->")[0]
    assert fenced == hash_cycles.table(), "run python -m intaglio.sim.hash_cycles"
