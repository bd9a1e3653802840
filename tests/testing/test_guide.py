"""The guide's examples run as they stand, each by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from remotemedia.testing import Fault

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "how-to/testing.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)

SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


def test_every_example_passes(tmp_path: Path) -> None:
    for number, block in enumerate(BLOCKS):
        assert "def test_" in block
        (tmp_path / f"test_example_{number}.py").write_text(block)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(BLOCKS)} passed" in run.stdout


def test_every_kind_of_fault_is_documented() -> None:
    told = set(re.findall(r"^\| `Fault\.(\w+)", GUIDE, re.MULTILINE))
    kinds = {
        name for name, value in vars(Fault).items() if isinstance(value, staticmethod)
    }
    assert told == kinds
