"""The benchmarks that also check the engine run, and find no problem."""

from __future__ import annotations

import subprocess
import sys


def test_a_soak_finds_nothing() -> None:
    """Every chunk is accounted for, nothing is left, and no memory is kept."""
    run = _run("soak", "--quick")
    assert "UNACCOUNTED: 0" in run
    assert "PROBLEM" not in run


def test_many_streams_are_complete() -> None:
    assert _run("streams", "--quick").count("100/100") == 2


def test_the_engine_is_compared_with_grpclib() -> None:
    assert "one at a time" in _run("engine", "--quick")


def _run(name: str, *options: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
