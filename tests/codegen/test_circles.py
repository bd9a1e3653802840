"""Packages that use each other: every module can be the first one that is imported."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULES = [
    f"circle.{name}"
    for name in (
        *("one", "one._codec", "one.begin", "one.first"),
        *("other", "other._codec", "other.second", "other.parent"),
        *("other.child", "other.child._codec", "other.child.child"),
    )
]


@pytest.fixture
def forgotten(generated: Path) -> Iterator[None]:
    """Forget the modules before the test, and after it, as if none was imported."""

    def forget() -> None:
        for name in [*sys.modules]:
            if "circle" in name.split("."):
                del sys.modules[name]

    forget()
    yield
    forget()


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("prefix", ["", "relative."], ids=["absolute", "relative"])
def test_every_module_can_be_the_first(prefix: str, module: str) -> None:
    importlib.import_module(prefix + module)
    parent = importlib.import_module(f"{prefix}circle.other").Parent()
    parent.child.begin.second.first.name = "n"
    assert type(parent).FromString(bytes(parent)) == parent
    assert parent.child.begin.second.level.name == "LOW"
    one = importlib.import_module(f"{prefix}circle.one")
    assert one.__all__ == ["Begin", "First", "Level"]


def test_other_packages_import_nothing_in_order(generated: Path) -> None:
    """The order is written down only where it matters."""
    assert "import_module" not in (generated / "fixtures/kinds/__init__.py").read_text()
    assert "import_module" in (generated / "circle/one/__init__.py").read_text()
