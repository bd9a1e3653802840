"""docs/how-to/services.md, from its proto to its calls: it runs as it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
GUIDE = (REPOSITORY / "docs/how-to/services.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the proto of the guide, and what is generated from it."""
    folder = tmp_path_factory.mktemp("service")
    (proto,) = blocks("proto")
    (name,) = re.findall(r"^`(\w+\.proto)`, in a folder `protos`", GUIDE, re.M)
    (folder / "protos").mkdir()
    (folder / "protos" / name).write_text(proto)
    (options,) = re.findall(r"`remotemedia-codegen ([^`]+)`", GUIDE)
    run(folder, "-m", "codegen", *options.split())
    return folder


def run(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}"}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    ).stdout


def test_the_program_calls_both_services(folder: Path) -> None:
    program = blocks("python")[0].replace("50061", str(free_port()))
    (folder / "program.py").write_text(program)
    assert run(folder, "program.py").splitlines() == [
        "Hello, you!",
        "chunk 0",
        "chunk 1",
        "chunk 2",
        "SayHello failed: a name is missing",
    ]


def test_a_stub_works_without_the_client(folder: Path) -> None:
    call = "\nimport asyncio\nprint(asyncio.run(greet('127.0.0.1:{port}')))\n"
    (folder / "greet.py").write_text(
        blocks("python")[1] + call.format(port=free_port())
    )
    assert run(folder, "greet.py").startswith("UNAVAILABLE: no connection: ")
