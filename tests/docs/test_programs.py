"""What the documents show runs, and prints what they say.

The blocks of a page are saved and run in order, in one new folder. A program may use
`await` outside of a function, as the cells of a notebook do.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, REPOSITORY, Block, blocks, name_of

# Pages with functions that a program of the reader's calls: the test that calls them.
CALLED_BY = {
    "README.md": "tests/project/test_readme.py",
    "docs/explanation/calls.md": "tests/project/test_calls.py",
    "docs/how-to/observability.md": "tests/project/test_observability.py",
    "docs/how-to/production.md": "tests/project/test_production.py",
    "docs/how-to/web-frameworks.md": "tests/docs/test_functions.py",
}
# Pages whose programs use generated code: the protos that it is generated from.
PROTOS = {
    "docs/how-to/codegen.md": """
syntax = "proto3";
package shop.v1;
message Order { string name = 1; }
service OrderService { rpc Take(Order) returns (Order); }
"""
}
# Programs that cannot run here, by page and a part of the program, and why.
NOT_RUN: dict[tuple[str, str], str] = {}

SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

# Runs a file as a notebook does.
CELLS = f"""
import asyncio, sys
with open(sys.argv[1]) as file:
    cells = compile(file.read(), sys.argv[1], "exec", {ast.PyCF_ALLOW_TOP_LEVEL_AWAIT})
asyncio.run(eval(cells))
"""
PYTHON = (sys.executable, "-W", "error")

with_programs = pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=name_of
)


def can_run(page: Path, block: Block) -> bool:
    return not any(name_of(page) == of and part in block.code for of, part in NOT_RUN)


def run(folder: Path, *command: str) -> str:
    """Run a command, and return what it prints; it has to succeed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}",
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def save(folder: Path, block: Block) -> str:
    """Save a block, and return the name of its file."""
    prefix = "test_" if block.is_test else ""
    name = block.file_name or f"{prefix}line_{block.line}.py"
    if block.language == "python":
        # Whoever saves it must not hide a module of Python's own.
        assert Path(name).stem not in sys.stdlib_module_names, name
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(block.code)
    return name


def output_of(folder: Path, block: Block, name: str) -> str:
    """Run a block that was saved under a name, and return what it prints."""
    if block.language == "sh":
        return run(folder, "sh", "-ec", block.code)
    try:
        ast.parse(block.code)
        compile(block.code, name, "exec")
    except SyntaxError:
        return run(folder, *PYTHON, "-c", CELLS, name)
    return run(folder, *PYTHON, name)


def is_expected(block: Block, printed: str) -> bool:
    """Whether a block printed what the page says, if that says anything."""
    if block.output is None:
        return True
    expected = ".*".join(map(re.escape, block.output.split("…")))
    return re.fullmatch(expected, printed, re.DOTALL) is not None


@with_programs
def test_the_programs_of_a_page_run(page: Path, tmp_path: Path) -> None:
    # As a reader has them who stands in a clone.
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    if name_of(page) in PROTOS:
        (tmp_path / "protos").mkdir()
        (tmp_path / "protos/order.proto").write_text(PROTOS[name_of(page)])
        run(tmp_path, *PYTHON, "-m", "codegen", "--package-prefix=acme.protos")
    found = blocks(page)
    for block in found:
        if block.language == "text":
            continue
        name = save(tmp_path, block)
        if block.is_run and can_run(page, block):
            printed = output_of(tmp_path, block, name)
            assert is_expected(block, printed), printed
    tests = [block for block in found if block.is_test]
    if tests:
        (tmp_path / "pytest.ini").write_text(SETTINGS)
        options = ("-q", "-p", "no:cacheprovider", "--ignore=examples")
        done = run(tmp_path, *PYTHON, "-m", "pytest", *options)
        count = sum(block.code.count("def test_") for block in tests)
        assert f"{count} passed" in done


@with_programs
def test_every_function_of_a_page_is_called(page: Path) -> None:
    """By the program that it stands in, by another one, or by a test of the page."""
    caller = CALLED_BY.get(name_of(page))
    calls = "" if caller is None else (REPOSITORY / caller).read_text()
    programs = [ast.parse(block.code) for block in blocks(page, "python")]
    used = {
        node.id
        for program in programs
        for node in ast.walk(program)
        if isinstance(node, ast.Name)
    }
    defined = {
        node.name: node
        for program in programs
        for node in program.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert not {
        name
        for name, node in defined.items()
        # pytest calls tests and fixtures.
        if not name.startswith("test_") and not node.decorator_list
        if name not in used and not re.search(rf"\b{name}\b", calls)
    }


def test_what_is_not_run_is_right_as_far_as_can_be_told(tmp_path: Path) -> None:
    """mypy checks it."""
    left = [
        (page, block)
        for page in PAGES
        for block in blocks(page, "python")
        if not can_run(page, block)
    ]
    assert len(left) == len(NOT_RUN)
    for page, block in left:
        (tmp_path / f"{page.stem}_{block.line}.py").write_text(block.code)
    if left:
        run(
            REPOSITORY,
            *(*PYTHON, "-m", "mypy", "--config-file=", "--check-untyped-defs"),
            *("--ignore-missing-imports", f"--cache-dir={tmp_path}/cache"),
            str(tmp_path),
        )


def test_every_page_and_test_of_the_table_exists() -> None:
    for page, test in CALLED_BY.items():
        assert blocks(REPOSITORY / page, "python"), page
        assert Path(page).name in (REPOSITORY / test).read_text()
