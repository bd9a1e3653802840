"""Type checkers accept a right program, and find each wrong line of another."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "typing_programs"


def mypy_lines(program: Path) -> set[int]:
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout, run.stderr
    found = re.findall(rf"{program.name}:(\d+): error", run.stdout)
    return {int(line) for line in found}


def pyright_lines(program: Path) -> set[int]:
    command = ["-m", "basedpyright", "--pythonpath", sys.executable]
    run = subprocess.run(
        [sys.executable, *command, "--level=error", "--outputjson", program],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(run.stdout)
    return {
        entry["range"]["start"]["line"] + 1
        for entry in report["generalDiagnostics"]
        if entry["severity"] == "error"
    }


def wrong_lines(program: Path) -> set[int]:
    lines = program.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


@pytest.mark.parametrize("check", [mypy_lines, pyright_lines])
@pytest.mark.parametrize("name", ["right.py", "wrong.py"])
def test_programs(check: Callable[[Path], set[int]], name: str, tmp_path: Path) -> None:
    # A copy elsewhere, so that this project's configuration does not apply.
    program = tmp_path / name
    program.write_text((PROGRAMS / name).read_text())
    assert check(program) == wrong_lines(program)
