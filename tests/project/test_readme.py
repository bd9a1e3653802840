"""The README's programs run as they are, and its map is equal to the tree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from remotemedia import RemoteMediaClient
from remotemedia.testing import LocalService
from tests.support.pipelines import pipeline, tone

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


async def test_the_live_example_runs() -> None:
    (program,) = [block for block in BLOCKS if "def live(" in block]
    names: dict[str, Any] = {"MANIFEST": pipeline("vad", "VAD")}
    exec(program, names)

    async def microphone(error: Exception | None) -> AsyncIterator[Any]:
        for _ in range(3):
            yield "vad", tone()
        if error is not None:
            raise error

    async with LocalService() as service, RemoteMediaClient(service.address) as client:
        await names["live"](client, microphone(None))
        with pytest.raises(KeyError, match="unplugged"):
            await names["live"](client, microphone(KeyError("unplugged")))


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 200


def entries(folder: Path) -> set[str]:
    """The folders and modules in a folder, as the map writes them."""
    return {
        f"{path.name}/" if path.is_dir() else path.name
        for path in folder.iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.*")))
        if not path.name.startswith((".", "_"))
    }


def test_its_map_is_the_tree() -> None:
    tree = README.partition("## The tree\n\n```\n")[2].partition("```")[0]
    parts = re.findall(r"^(?:remotemedia/ {2}| {14})(\S+) ", tree, re.MULTILINE)
    folders = re.findall(r"^(\S+/) ", tree, re.MULTILINE)
    assert sorted(parts) == sorted(entries(REPOSITORY / "remotemedia"))
    # Folders that tools make, such as `build`, are in .gitignore.
    ignored = set((REPOSITORY / ".gitignore").read_text().split())
    assert sorted(folders) == sorted(entries(REPOSITORY) - ignored)
