"""The README's programs and its picture are as it shows them; the maps are the tree."""

from __future__ import annotations

import ast
import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from remotemedia import RemoteMediaClient
from tests.docs.terminal import PICTURE, draw

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def on(contract: str, program: str) -> str:
    """A program whose service speaks a contract. What its client does is unchanged."""
    before, start, after = program.partition("LocalService()")
    assert start
    return f"{before}LocalService(contract={contract!r}){after}"


@pytest.mark.parametrize("contract", ["audio", "data"])
def test_the_quick_start_runs(contract: str) -> None:
    (program,) = [block for block in BLOCKS if "asyncio.run(" in block]
    program = on(contract, program)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert lines[0].startswith("True ")
    assert [line.split()[0] for line in lines[1:]] == [str(n) for n in range(10)]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_python(block: str) -> None:
    ast.parse(block)


async def test_the_custom_node_runs() -> None:
    (program,) = [block for block in BLOCKS if "Shout" in block]
    names: dict[str, object] = {}
    exec(program, names)
    async with (
        names["service"] as service,  # type: ignore[attr-defined]  # a LocalService
        RemoteMediaClient(service.address) as client,
    ):
        manifest = {
            "version": "v1",
            "metadata": {"name": "shout"},
            "nodes": [{"id": "n", "node_type": "Shout"}],
        }
        result = await client.execute_pipeline(manifest, None, {"n": '"hello"'})
        assert result.json("n") == "HELLO"


@pytest.mark.parametrize("contract", ["audio", "data"])
def test_the_blocking_example_runs(contract: str) -> None:
    (program,) = [block for block in BLOCKS if "remotemedia.blocking" in block]
    program = on(contract, program)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert len(lines) == 56
    assert lines[0].startswith("0 {'has_speech': True, ")


def shown(picture: str) -> list[str]:
    """The lines of a picture of a terminal; times that were measured become 0."""
    rows: dict[str, str] = {}
    for y, text in re.findall(r'<text [^>]*y="([^"]+)"[^>]*>([^<]*)<', picture):
        rows[y] = rows.get(y, "") + html.unescape(text)
    return [
        re.sub(r"[\d.]+", "0", row) if "round trip" in row else row
        for row in (row.replace("\xa0", " ").rstrip() for row in rows.values())
    ]


def test_its_picture_is_what_the_command_writes() -> None:
    assert f"]({PICTURE.relative_to(REPOSITORY).as_posix()})" in README
    before = shown(PICTURE.read_text(encoding="utf-8"))
    assert any("has_speech" in line for line in before)
    assert shown(draw()) == before, "run python -m tests.docs.terminal"


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 150


def entries(folder: Path) -> set[str]:
    """The folders and modules in a folder, as the map writes them."""
    return {
        f"{path.name}/" if path.is_dir() else path.name
        for path in folder.iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.*")))
        if not path.name.startswith((".", "_"))
    }


# Folders that tools make, such as `build`, are in .gitignore.
IGNORED = set((REPOSITORY / ".gitignore").read_text().split())


def test_its_map_names_every_folder() -> None:
    tree = README.partition("## Where is what\n\n```\n")[2].partition("```")[0]
    folders = re.findall(r"(?:^|, )([\w.]+/)", tree, re.MULTILINE)
    assert sorted(folders) == sorted(entries(REPOSITORY) - IGNORED)
    for part in re.findall(r"^(?:remotemedia/ {2}| {14})(\S+) ", tree, re.MULTILINE):
        assert (REPOSITORY / "remotemedia" / part).exists()


def test_the_map_of_contributors_is_the_tree() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    parts = re.findall(r"^(?:remotemedia/ {2}| {14})(\S+) ", text, re.MULTILINE)
    assert sorted(parts) == sorted(entries(REPOSITORY / "remotemedia"))
