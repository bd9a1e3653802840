"""The package's modules form layers, and its `__init__` exports what others may use."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from remotemedia import protobuf

PACKAGE = Path(protobuf.__file__).parent
LAYERS = [
    *("wire", "unknown", "embedded", "counting", "enum", "registry"),
    *("json_values", "json_names", "well_known"),
    *("json_types", "json_writer", "json_reader", "json_format"),
    "message",
    "wire_types",
    "__init__",
]
"""The modules from the lowest to the highest; each imports only lower ones."""


def imported(module: str) -> set[str]:
    """Return what a module imports of this repository, under `TYPE_CHECKING` too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            if node.module == "remotemedia.protobuf":
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
    return {name for name in found if name.startswith("remotemedia")}


def test_every_module_has_a_layer() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == set(LAYERS)


@pytest.mark.parametrize("module", LAYERS)
def test_a_module_imports_only_lower_layers(module: str) -> None:
    lower = LAYERS[: LAYERS.index(module)]
    assert imported(module) <= {f"remotemedia.protobuf.{name}" for name in lower}


def test_all_is_sorted_and_defined() -> None:
    assert sorted(protobuf.__all__) == sorted(set(protobuf.__all__))
    for name in protobuf.__all__:
        assert hasattr(protobuf, name)
