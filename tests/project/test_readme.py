"""The README's programs run as they stand, and its commands exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_quick_start_runs() -> None:
    (program,) = [block for block in BLOCKS if "asyncio.run(" in block]
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


async def test_a_node_of_ones_own() -> None:
    from remotemedia import RemoteMediaClient

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


@pytest.mark.parametrize("target", re.findall(r"make ([a-z]+)", README))
def test_every_target_it_names_is_there(target: str) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_file_it_links_to_is_there(path: str) -> None:
    assert (REPOSITORY / path).exists()


def test_its_tree_is_the_tree() -> None:
    tree = README.partition("## The tree")[2]
    for name in re.findall(
        r"^(?:remotemedia/ {2}| {14})([a-z1]+(?:\.py|/))", tree, re.M
    ):
        assert (REPOSITORY / "remotemedia" / name).exists(), name
    for name in re.findall(r"^([a-z]+/) ", tree, re.MULTILINE):
        assert (REPOSITORY / name).is_dir(), name
