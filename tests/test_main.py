"""``python -m remotemedia`` is the command ``remotemedia``."""

from __future__ import annotations

import subprocess
import sys


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "remotemedia", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("version", "check", "run", "stream", "serve"):
        assert f"  {name} " in done.stdout
