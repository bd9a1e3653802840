"""Which part of the package may import which, checked for every import statement."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "remotemedia"

# The wings of the package, and which of the others each may import. A module at the
# root is a wing of its own. `wing.module` allows that module of the wing only.
WINGS: dict[str, set[str]] = {
    "audio": {"audio_files", "notebook"},
    "audio_files": set(),
    "notebook": set(),
    "results": {"notebook"},
    "protobuf": set(),
    "http2": set(),
    "foreign": set(),
    "grpc": {"http2", "protobuf", "foreign"},
    "v1": {"audio", "results", "protobuf", "grpc"},
    "media": set(),
    "data_v1": {"audio", "media", "protobuf", "grpc"},
    # Only as types: a program of the audio contract never imports the other's messages.
    "values": {"v1", "data_v1"},
    "errors": {"v1", "grpc"},
    "record": {"grpc"},
    "operation": {"errors", "grpc", "record"},
    "manifest": {"v1", "data_v1", "errors"},
    "session": {"v1", "values", "errors", "operation", "grpc"},
    "contracts": {
        *("v1", "data_v1", "values", "errors", "manifest", "results"),
        *("session", "grpc"),
    },
    "data": {"contracts", "data_v1", "values"},
    # The embedded service stands on grpclib's server, and what is private in grpclib
    # is used in one module only.
    "testing": {
        "v1",
        "data_v1",
        "contracts",
        "protobuf",
        "session",
        "manifest",
        "errors",
        "grpc",
        "audio",
        "http2.compat",
        "blocking.loop",
        "values",
    },
    "client_caller": {"grpc", "operation"},
    "otel": {"grpc", "operation", "record"},
    "readiness": {"errors", "grpc"},
    "link": {"v1", "contracts", "errors", "manifest", "operation", "record", "grpc"},
    "cli": {
        *("blocking", "grpc", "manifest", "errors", "testing", "v1"),
        *("contracts", "data_v1", "protobuf"),
    },
    "__main__": {"cli"},
    # The service can run on the blocking client's event loop, in another thread.
    "blocking": {"client", "contracts", "data", "session", "v1", "values", "grpc"},
    "client": {
        "audio",
        "v1",
        "errors",
        "operation",
        "record",
        "client_caller",
        "link",
        "readiness",
        "contracts",
        "data",
        "manifest",
        "results",
        "session",
        "grpc",
    },
}


def wing_of(path: Path) -> str:
    """Return the wing of a file. The package's own ``__init__`` has none."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imports(path: Path) -> frozenset[str]:
    """Return every module of this package that a file imports.

    Imports inside functions and under ``TYPE_CHECKING`` count as well.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(name for name in found if name.startswith("remotemedia."))


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)
FILES += sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def test_every_wing_is_in_the_table() -> None:
    assert {wing_of(path) for path in FILES} == WINGS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_wing_imports_only_what_the_table_allows(path: Path) -> None:
    wing = wing_of(path)
    allowed = [f"remotemedia.{name}." for name in WINGS[wing] | {wing}]
    assert not {
        name
        for name in imports(path)
        if name.split(".")[1] in WINGS and not f"{name}.".startswith(tuple(allowed))
    }


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_other_wings_are_entered_by_their_front_door(path: Path) -> None:
    """What a wing's ``__init__`` exports is for others; its modules are its own."""
    if wing_of(path) in ("v1", "data_v1", "protobuf"):
        # Generated code uses what no one else needs.
        return
    others = {"grpc", "http2", "session", "protobuf"} - {wing_of(path)}
    assert not {
        name
        for name in imports(path) - {"remotemedia.http2.compat"}
        if (parts := name.split("."))[1] in others
        and len(parts) > 2
        and (PACKAGE / parts[1] / f"{parts[2]}.py").exists()
        and not name.startswith("remotemedia.http2.compat.")
    }


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Within a wing, too, and under ``TYPE_CHECKING``.

    Importing a name from a package runs the package's ``__init__`` first, which is how
    a module reaches another wing. Inside a wing, modules name each other.
    """
    modules = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    graph = {
        module: {
            # `from package.module import name` names both.
            max(
                (known for known in modules if f"{name}.".startswith(f"{known}.")),
                key=len,
            )
            for name in imports(path)
        }
        - {module}
        for module, path in modules.items()
    }
    for module, imported in graph.items():
        # A package's own __init__ is run before its modules, whoever imports them.
        imported.discard(module.rpartition(".")[0])
    TopologicalSorter(graph).prepare()
