"""Every Python program of the documents runs, and prints what they say."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, REPOSITORY, Block, blocks, name_of

# Pages whose programs need more than a folder to run in: the test that runs them all.
RUN_BY = {
    "docs/how-to/notebooks.md": "tests/docs/test_walkthroughs.py",
    "docs/how-to/own-service.md": "tests/docs/test_walkthroughs.py",
    "docs/how-to/regenerate.md": "tests/docs/test_walkthroughs.py",
    "docs/how-to/services.md": "tests/project/test_services.py",
}
# Pages with functions that a program of the reader's calls: the test that calls them.
CALLED_BY = {
    "README.md": "tests/project/test_readme.py",
    "docs/explanation/calls.md": "tests/project/test_calls.py",
    "docs/how-to/observability.md": "tests/project/test_observability.py",
    "docs/how-to/production.md": "tests/project/test_production.py",
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
NOT_RUN: dict[tuple[str, str], str] = {
    ("docs/tutorials/microphone.md", "sounddevice"): "it needs a microphone",
}

SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

with_programs = pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=name_of
)


def is_run(page: Path, block: Block) -> bool:
    return not any(name_of(page) == of and part in block.code for of, part in NOT_RUN)


def is_expected(block: Block, printed: str) -> bool:
    """Whether a program printed what the page says, if that says anything."""
    if block.output is None:
        return True
    expected = ".*".join(map(re.escape, block.output.split("…")))
    return re.fullmatch(expected, printed, re.DOTALL) is not None


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@with_programs
def test_the_programs_of_a_page_run(page: Path, tmp_path: Path) -> None:
    if name_of(page) in RUN_BY:
        pytest.skip(f"{RUN_BY[name_of(page)]} runs them")
    # As a reader has them who stands in a clone.
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    if name_of(page) in PROTOS:
        (tmp_path / "protos").mkdir()
        (tmp_path / "protos/order.proto").write_text(PROTOS[name_of(page)])
        run(tmp_path, "-m", "codegen", "--package-prefix=acme.protos")
    tests = []
    for block in blocks(page, "python"):
        # Whoever saves it must not hide a module of Python's own.
        assert Path(block.file_name).stem not in sys.stdlib_module_names
        (tmp_path / block.file_name).write_text(block.code)
        if block.is_test:
            tests.append(block.file_name)
        elif is_run(page, block):
            printed = run(tmp_path, "-W", "error", block.file_name)
            assert is_expected(block, printed), printed
    if tests:
        run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)


@with_programs
def test_every_function_of_a_page_is_called(page: Path) -> None:
    """By the program that it stands in, by another one, or by a test of the page."""
    caller = CALLED_BY.get(name_of(page)) or RUN_BY.get(name_of(page))
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
        if not is_run(page, block)
    ]
    assert len(left) == len(NOT_RUN)
    for page, block in left:
        (tmp_path / f"{page.stem}_{block.line}.py").write_text(block.code)
    if left:
        run(
            REPOSITORY,
            *("-m", "mypy", "--config-file=", "--check-untyped-defs"),
            *("--ignore-missing-imports", f"--cache-dir={tmp_path}/cache"),
            str(tmp_path),
        )


@pytest.mark.parametrize("table", [RUN_BY, CALLED_BY])
def test_every_page_and_test_of_a_table_exists(table: dict[str, str]) -> None:
    for page, test in table.items():
        assert blocks(REPOSITORY / page, "python"), page
        assert Path(page).name in (REPOSITORY / test).read_text()
