"""What is said about versions of Python is what CI tests.

The versions stand in ``requires-python``, in the classifiers, and in documents.
"""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
CI = (REPOSITORY / ".ci/run").read_text()
README = (REPOSITORY / "README.md").read_text()


def fully_tested() -> list[str]:
    """Return the versions that CI runs all tests on, in order."""
    pattern = re.search(r'versions/3\.1\[(\d)-(\d)\]\.\*/bin/python"?; do', CI)
    assert pattern is not None
    return [f"3.1{minor}" for minor in range(int(pattern[1]), int(pattern[2]) + 1)]


def in_webassembly() -> list[str]:
    """Return the versions that CI runs some tests on, compiled to WebAssembly."""
    assert "make wasm" in CI
    pyodide = re.search(r"^PYODIDE := (.*)$", MAKEFILE, re.M)
    assert pyodide is not None
    # Their versions begin with that of Python, without its dot.
    majors = (version.partition(".")[0] for version in pyodide[1].split())
    return [f"{major[0]}.{major[1:]}" for major in majors]


def test_the_classifiers_are_what_all_tests_run_on() -> None:
    metadata = importlib.metadata.metadata("remotemedia")
    name = r"Programming Language :: Python :: (3\.\d+)"
    found = re.findall(name, "\n".join(metadata.get_all("Classifier") or ()))
    assert found == fully_tested()
    assert metadata["Requires-Python"] == f">={fully_tested()[0]}"


def test_the_readme_says_what_is_tested_where() -> None:
    rows = re.findall(r"^\| (3\.\d+.*?) \| (.*?) \|$", README, re.M)
    (first, everything), (second, some) = rows
    assert first == f"{fully_tested()[0]} to {fully_tested()[-1]}"
    assert everything == "everything"
    assert re.findall(r"3\.\d+", second) == in_webassembly()
    assert "WebAssembly" in some


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "Makefile"])
def test_what_developers_need_is_what_is_tested(name: str) -> None:
    found = re.findall(r"3\.\d+ to 3\.\d+", (REPOSITORY / name).read_text())
    assert set(found) == {f"{fully_tested()[0]} to {fully_tested()[-1]}"}
