"""Sets of proto files: several versions of one proto package, side by side.

Where the folder of protos has a ``packages.json``, each folder that it names is a set
of its own, whose files import each other by their paths in it. Its value says which
Python package is made of which proto package, as two sets may have the same one::

    {
      "old": {"acme.v1": "acme.v1"},
      "new": {"acme.v1": "acme.v1_new"}
    }
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from .options import OptionError

TABLE = "packages.json"
"""The name of the file that names the sets."""


@dataclass(frozen=True)
class ProtoSet:
    """Files that belong together, and what their Python packages are called."""

    folder: Path
    packages: dict[str, str] = field(default_factory=dict)


def sets_of(folder: Path) -> list[ProtoSet]:
    """Return the sets in a folder of protos; without a table, the folder is one.

    Raises:
        OptionError: the table is not what it should be.
    """
    table = folder / TABLE
    if not table.exists():
        return [ProtoSet(folder)]
    try:
        found = json.loads(table.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OptionError(f"{table}: {error}") from error
    if not (isinstance(found, dict) and found and all(map(_is_names, found.values()))):
        raise OptionError(
            f"{table} must be an object of folders, each with an object of Python "
            'packages by proto package: {"new": {"acme.v1": "acme.v1_new"}}'
        )
    owners: dict[str, str] = {}
    for name, packages in found.items():
        if not (folder / name).is_dir():
            raise OptionError(f"{table}: there is no folder {folder / name}")
        for package in packages.values():
            if package in owners:
                raise OptionError(
                    f"{table}: {owners[package]!r} and {name!r} both make the Python "
                    f"package {package!r}; give one of them another name"
                )
            owners[package] = name
    return [ProtoSet(folder / name, packages) for name, packages in found.items()]


def _is_names(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
