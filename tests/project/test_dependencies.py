"""Direct imports are direct dependencies, and no others are declared.

What is installed says what pyproject.toml declares; `make` installs again when it
changes.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# Type checkers bring these stubs themselves; nothing may import them at run time.
OF_TYPE_CHECKERS = {"_typeshed"}
# Packages whose modules have another name.
IMPORT_NAMES = {
    "opentelemetry-api": "opentelemetry",
    "pyyaml": "yaml",
    "typing-extensions": "typing_extensions",
}


def declared(*extras: str) -> set[str]:
    """Return the packages that are declared, always or for one of the extras."""
    found = set()
    for line in importlib.metadata.requires("remotemedia") or ():
        name = re.match(r"[\w-]+", line)
        extra = re.search(r"extra == ['\"](\w+)['\"]", line)
        assert name is not None
        if extra is None or extra[1] in extras:
            found.add(name[0])
    return found - {"remotemedia"}


def imported(node: ast.AST, *, typing_too: bool) -> Iterator[str]:
    """Yield the top-level packages that code imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield (child.module or "").partition(".")[0]
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            if typing_too:
                yield from imported(child, typing_too=True)
        else:
            yield from imported(child, typing_too=typing_too)


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text())


def third_party(folder: str, *, typing_too: bool = True) -> set[str]:
    """Return the third-party packages that the modules in a folder import."""
    found = {
        name
        for path in (REPOSITORY / folder).rglob("*.py")
        for name in imported(parsed(path), typing_too=typing_too)
    }
    return found - sys.stdlib_module_names - {"remotemedia"}


def test_the_library_declares_what_it_imports_and_no_more() -> None:
    found = third_party("remotemedia") - OF_TYPE_CHECKERS
    needed = declared("audio", "cli", "otel", "yaml")
    assert {IMPORT_NAMES.get(name, name) for name in needed} == found


def test_stubs_of_type_checkers_are_not_imported_at_run_time() -> None:
    assert not third_party("remotemedia", typing_too=False) & OF_TYPE_CHECKERS


def test_the_examples_declare_what_they_import_and_no_more() -> None:
    with_audio = declared("audio")
    of_their_own = {path.stem for path in (REPOSITORY / "examples").rglob("*.py")}
    of_the_web = third_party("examples/web") - of_their_own - OF_TYPE_CHECKERS
    found = third_party("examples") - of_their_own - of_the_web - OF_TYPE_CHECKERS
    assert found - with_audio == declared("examples") - with_audio
    # Whoever looks at these has a framework already.
    assert of_the_web <= {IMPORT_NAMES.get(name, name) for name in declared("test")}
