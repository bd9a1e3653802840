"""Where tests stand: each module's own tests are found by its path."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import SLOW

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "remotemedia"
TESTS = REPOSITORY / "tests"

GENERATED = ("v1/", "data_v1/", "protobuf/wkt/")


def modules() -> list[str]:
    """Return the path of every hand-written module, relative to the package."""
    paths = (path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    return sorted(
        path
        for path in paths
        if not path.startswith(GENERATED) and not path.endswith("/__init__.py")
        if path != "__init__.py"
    )


def twin(module: str) -> Path:
    """Return the path of a module's tests; ``__main__`` has ``test_main``."""
    path = TESTS / module
    return path.with_name(f"test_{path.stem.strip('_')}.py")


@pytest.mark.parametrize("module", modules())
def test_a_module_has_its_tests_at_its_path(module: str) -> None:
    assert twin(module).exists()


def test_every_folder_of_tests_says_what_it_holds() -> None:
    folders = {path.parent for path in TESTS.rglob("test_*.py")} | {TESTS / "support"}
    for folder in folders:
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
        assert text is not None, folder
        assert len(text.split()) > 3, folder


@pytest.mark.parametrize(
    "folder", ["remotemedia", "benchmarks", "codegen", "conformance", "examples"]
)
def test_nothing_but_tests_imports_from_tests(folder: str) -> None:
    for path in (REPOSITORY / folder).rglob("*.py"):
        found = re.search(r"^\s*(?:from|import) tests\b", path.read_text(), re.M)
        assert found is None, path


@pytest.mark.parametrize("name", SLOW)
def test_every_slow_test_exists(name: str) -> None:
    path, _, function = name.partition("::")
    assert (REPOSITORY / path).exists()
    if function:
        assert f"def {function}(" in (REPOSITORY / path).read_text()
