"""Pages that lead through protos, commands and cells of a notebook, from top to bottom.

The blocks of such a page are run in order, in one folder. A block whose first line is
the name of a file, as in `// protos/notes.proto`, is saved under that name. A block of
shell is run if its output follows. A block of Python with `await` outside of coroutines
is run as a notebook runs its cells.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from pathlib import Path

import pytest

from tests.docs.blocks import REPOSITORY, Block, blocks
from tests.docs.test_programs import SETTINGS, is_expected

PAGES = [
    "docs/how-to/notebooks.md",
    "docs/how-to/own-service.md",
    "docs/how-to/regenerate.md",
]

PYTHON = [sys.executable, "-W", "error"]
CELLS = f"""
import asyncio, sys
with open(sys.argv[1]) as file:
    cells = compile(file.read(), sys.argv[1], "exec", {PyCF_ALLOW_TOP_LEVEL_AWAIT})
asyncio.run(eval(cells))
"""


def run(folder: Path, *command: str) -> str:
    """Run a command in the folder of a page, and return what it prints."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": programs},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def command_of(block: Block, name: str) -> list[str]:
    """Return the command that runs a block which is saved as a file; [] for none."""
    if block.language == "sh":
        return ["sh", "-ec", block.code] if block.output is not None else []
    if block.language != "python" or block.is_test:
        return []
    is_cells = re.search(r"^(\w+ = )?await ", block.code, re.MULTILINE)
    return [*PYTHON, "-c", CELLS, name] if is_cells else [*PYTHON, name]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_works_from_top_to_bottom(page: str, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    has_tests = False
    for block in blocks(REPOSITORY / page, "python", "sh", "proto"):
        named = re.match(r"// (\S+)\n", block.code)
        name = block.file_name if named is None else named[1]
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(block.code)
        has_tests |= block.is_test
        if command := command_of(block, name):
            printed = run(tmp_path, *command)
            assert is_expected(block, printed), printed
    if has_tests:
        run(tmp_path, *PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider")
