"""The generated tables of ``hdl/README.md`` are those that the programs and the model give."""

from __future__ import annotations

from pathlib import Path

import pytest

from intaglio.hdl.engine.isa import FIELDS
from intaglio.hdl.engine.programs import Program
from intaglio.sim import enginedoc, fences

README = Path(__file__).parent.parent.parent / "hdl" / "README.md"


def test_tables_are_fresh() -> None:
    assert enginedoc.main([str(README), "--check"]) == 0, "run: make docs"


def test_stale_tables_are_seen_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enginedoc, "TABLES", {"counts": lambda: "| 1 |"})
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- counts: begin (make docs) -->\nold\n<!-- counts: end -->\nb\n")
    assert enginedoc.main([str(page), "--check"]) == 1
    assert enginedoc.main([str(page)]) == 0
    assert "| 1 |" in page.read_text()
    assert page.read_text().startswith("a\n")
    assert page.read_text().endswith("-->\nb\n")
    assert enginedoc.main([str(page), "--check"]) == 0


def test_fences_are_needed() -> None:
    with pytest.raises(ValueError, match="cycles: begin"):
        fences.refreshed("no fences", {"cycles": lambda: ""})


def test_tables_tell_everything() -> None:
    manual, counts = enginedoc.instruction_set(), enginedoc.operation_counts()
    for field in FIELDS:
        assert f"`{field.name}`" in manual
        for member in field.kind or ():
            assert f"| `{type(member).__name__}` | {int(member)} | {member.name} |" in manual
    assert all(f"`{program.name}`" in counts for program in Program)
