"""Type checkers accept correct programs, and find every wrong line in wrong ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance import oracle

PROGRAMS = Path(__file__).parent / "programs"

Checker = Callable[[Path], "set[tuple[str, int]]"]


@pytest.fixture(scope="module")
def programs(generated: Path) -> Path:
    """Copy the programs into the folder with the generated packages."""
    # They have another suffix in the repository, so that no tool checks them there.
    for source in PROGRAMS.glob("*.py.txt"):
        (generated / source.stem).write_text(source.read_text(encoding="utf-8"))
    return generated


def mypy(folder: Path) -> set[tuple[str, int]]:
    """Return the files and lines in which the checker finds errors."""
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.10"]
    command += ["--config-file=", "--no-error-summary", "--hide-error-context", "."]
    run = subprocess.run(
        [*command, f"--cache-dir={oracle.REPOSITORY / '.mypy_cache'}"],
        cwd=folder,
        env={"MYPYPATH": str(oracle.REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not run.stderr
    found = re.findall(r"^(.+?):(\d+): error:", run.stdout, re.MULTILINE)
    return {(file, int(line)) for file, line in found}


def pyright(folder: Path) -> set[tuple[str, int]]:
    """Return the files and lines in which the checker finds errors."""
    settings = {
        "typeCheckingMode": "standard",
        "pythonVersion": "3.10",
        "extraPaths": [str(oracle.REPOSITORY)],
        # It takes minutes for these, which mypy checks.
        "exclude": [
            *("unusual/*/_codec.py", "unusual/pairs", "unusual/messages"),
            *("apis/**/_codec.py", "relative"),
        ],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson"]
    run = subprocess.run(
        [*command, "--pythonpath", sys.executable],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        (
            Path(found["file"]).relative_to(folder.resolve()).as_posix(),
            found["range"]["start"]["line"] + 1,
        )
        for found in json.loads(run.stdout)["generalDiagnostics"]
        if found["severity"] == "error"
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_wrong_lines_and_no_others_are_found(checker: Checker, programs: Path) -> None:
    wrong = (programs / "wrong.py").read_text(encoding="utf-8").splitlines()
    expected = {
        ("wrong.py", number)
        for number, line in enumerate(wrong, 1)
        if line.endswith("# wrong")
    }
    assert checker(programs) == expected
