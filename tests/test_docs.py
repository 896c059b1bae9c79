"""The READMEs are true: their examples run, links lead somewhere, generated tables are fresh."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from intaglio import wire, wiredoc
from intaglio.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
LINK = re.compile(r"\]\((?!https?://)([^)#]+)\)")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_wire_tables_are_fresh(tmp_path: Path) -> None:
    assert wiredoc.refreshed(README) == README, "run: make docs"
    assert wiredoc.main([str(ROOT / "README.md"), "--check"]) == 0
    stale = tmp_path / "stale.md"
    stale.write_text(README.replace("Protocol version", "Protocol vision"))
    assert wiredoc.main([str(stale), "--check"]) == 1
    assert wiredoc.main([str(stale)]) == 0
    assert stale.read_text() == README


def test_wire_tables_need_their_fences() -> None:
    with pytest.raises(ValueError, match="fences"):
        wiredoc.refreshed(README.replace(wiredoc.END, ""))


def test_wire_tables_tell_everything() -> None:
    text = wiredoc.render()
    for record in wire.RECORDS:
        for field in record.fields:
            assert f"`{field.name}`" in text
    for op in wire.Op:
        assert f"| `0x{op:02x}` | {op.name} |" in text
    for status in wire.Status:
        assert f"| `0x{status:02x}` | {status.name} |" in text
        if status is not wire.Status.OK:
            assert wiredoc.member_docs(wire.Status)[status.name]


def test_changelog_knows_the_wire_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    _, protocol = changelog.split("## Wire protocol")
    assert f"### Version {wire.VERSION}\n" in protocol


def test_five_lines_run(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    statements = [line for line in example.splitlines() if line.strip()]
    assert len(statements) == 5
    exec(compile(example, "README.md", "exec"), {"secret": bytes(range(32))})
    signature, cycles = capsys.readouterr().out.split()
    assert len(bytes.fromhex(signature)) == wire.SIGNATURE_BYTES
    assert int(cycles) >= 0


def test_readme_lists_every_verb() -> None:
    verbs = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    }
    listed = re.findall(r"^\| `(\w+)` \| \w", README.split("## The command")[1], re.MULTILINE)
    assert set(listed[: len(verbs)]) == verbs


def test_links_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in tracked("*.md")
        for target in LINK.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_modules_that_tables_name_exist() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in tracked("*/README.md")
        for name in re.findall(r"^\| `([\w/]+\.py|[\w/]+/)` \|", page.read_text(), re.MULTILINE)
        if not (page.parent / name).exists()
    ]
    assert not missing


@pytest.mark.parametrize("folder", ["host", "hdl", "sim", "tests", "bitstreams"])
def test_every_folder_has_its_readme(folder: str) -> None:
    assert (ROOT / folder / "README.md").is_file()


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in tracked("*.md"):
        for target in re.findall(
            r"`make ([\w-]+)|^ {4}make ([\w-]+)", page.read_text(), re.MULTILINE
        ):
            assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target
