"""The guide to the embedded service names every kind of fault."""

from __future__ import annotations

import re
from pathlib import Path

from remotemedia.testing import Fault

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "how-to/testing.md").read_text()


def test_every_kind_of_fault_is_documented() -> None:
    told = set(re.findall(r"^\| `Fault\.(\w+)", GUIDE, re.MULTILINE))
    kinds = {
        name for name, value in vars(Fault).items() if isinstance(value, staticmethod)
    }
    assert told == kinds
