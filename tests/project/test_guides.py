"""The tutorials and how-tos: what they show runs, and prints what they say.

The blocks of a page are run in order, in one new folder. A block of Python is a
program, or, with a function `test_…`, a module for pytest. A block whose first line is
the name of a file, as in `# conftest.py`, is saved under that name, and run only if it
is a test or its output follows. A block of shell is run if its output follows. An
output is a block of text; `...` in it stands for what differs each time.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    "tutorials/first-pipeline",
    "tutorials/microphone",
    "tutorials/files-and-numpy",
    "tutorials/testing",
    "tutorials/production",
    "how-to/threads-and-event-loops",
    "how-to/notebooks",
    "how-to/web-frameworks",
    "how-to/regenerate",
    "how-to/own-service",
    "how-to/errors",
    "how-to/bound-latency",
    "how-to/batch-a-folder",
]

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"(?:#|//) ([\w/]+\.\w+)\n")
SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


PYTHON = [sys.executable, "-W", "error"]
# Runs a file as a notebook does, where `await` needs no coroutine around it.
CELLS = f"""
import asyncio, sys
with open(sys.argv[1]) as file:
    cells = compile(file.read(), sys.argv[1], "exec", {PyCF_ALLOW_TOP_LEVEL_AWAIT})
asyncio.run(eval(cells))
"""


class Block(NamedTuple):
    """A block of a page, and the output that follows it."""

    language: str
    text: str
    output: str | None

    @property
    def file_name(self) -> str | None:
        match = FILE_NAME.match(self.text)
        return None if match is None else match[1]

    @property
    def is_test(self) -> bool:
        return self.language == "python" and "def test_" in self.text

    @property
    def is_run(self) -> bool:
        if self.output is not None:
            return True
        return self.language == "python" and not (self.is_test or self.file_name)


def blocks_of(text: str) -> Iterator[Block]:
    found = [(match[1], match[2]) for match in BLOCK.finditer(text)]
    for (language, block), (next_language, output) in zip(
        found, [*found[1:], ("", "")], strict=True
    ):
        if language != "text":
            yield Block(language, block, output if next_language == "text" else None)


def is_cells(program: str) -> bool:
    """Check that a program is valid, and whether it is for the cells of a notebook."""
    try:
        compile(program, "a block", "exec")
    except SyntaxError:
        compile(program, "a block", "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return True
    return False


def save(block: Block, folder: Path, number: int) -> str:
    """Save a block in the folder of its page, and return the name of its file."""
    default = f"test_block_{number}.py" if block.is_test else f"block_{number}.py"
    name = block.file_name or default
    if block.language == "python":
        # Whoever saves it must not hide a module of Python's own.
        assert Path(name).stem not in sys.stdlib_module_names, name
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(block.text)
    return name


def run(folder: Path, *command: str) -> str:
    """Run a command in the folder of a page, and return what it prints.

    Raises:
        AssertionError: it failed.
    """
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": programs},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_block(block: Block, folder: Path, number: int) -> str:
    """Save a block, run it if it is a program, and return what it prints."""
    name = save(block, folder, number)
    is_top_level = block.language == "python" and is_cells(block.text)
    if not block.is_run:
        return ""
    if block.language == "sh":
        return run(folder, "sh", "-ec", block.text)
    return run(folder, *PYTHON, *(["-c", CELLS] if is_top_level else []), name)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_as_it_is(page: str, tmp_path: Path) -> None:
    blocks = list(blocks_of((REPOSITORY / f"docs/{page}.md").read_text()))
    assert any(block.is_run or block.is_test for block in blocks)
    checker = doctest.OutputChecker()
    for number, block in enumerate(blocks):
        got = run_block(block, tmp_path, number)
        if block.output is not None:
            assert checker.check_output(block.output, got, doctest.ELLIPSIS), got
    tests = [block for block in blocks if block.is_test]
    if tests:
        (tmp_path / "pytest.ini").write_text(SETTINGS)
        done = run(tmp_path, *PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider")
        count = sum(block.text.count("def test_") for block in tests)
        assert f"{count} passed" in done
