"""What a user may choose: where the generated packages stand, and what they import."""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field


class OptionError(Exception):
    """An option has a value that makes no sense."""


@dataclass(frozen=True)
class Options:
    """The options that the command and the plugin have in common."""

    package_prefix: str = ""
    """The Python package that all generated packages are put into: `acme.protos`."""

    relative_imports: bool = False
    """Whether generated modules import each other relatively.

    The output folder can then be any package.
    """

    external: dict[str, str] = field(default_factory=dict)
    """Proto files that are only imported, because their code is generated elsewhere.

    The start of their paths, and the package prefix of their code.
    """

    packages: dict[str, str] = field(default_factory=dict)
    """The Python packages of proto packages that are to have another name.

    Two sets of files may have the same proto package, and each needs one of its own.
    """

    owns_runtime: bool = False
    """Whether the output folder contains the runtime of generated code."""

    def __post_init__(self) -> None:
        for prefix in (
            self.package_prefix,
            *self.external.values(),
            *self.packages.values(),
        ):
            parts = prefix.split(".") if prefix else []
            if not all(part.isidentifier() for part in parts) or any(
                map(keyword.iskeyword, parts)
            ):
                raise OptionError(f"{prefix!r} is not the dotted name of a package")

    def external_prefix(self, file: str) -> str | None:
        """Return the package prefix of a file's code if the file is only imported."""
        for start, prefix in self.external.items():
            if file == start or file.startswith(f"{start.rstrip('/')}/"):
                return prefix
        return None


def parse_external(values: list[str]) -> dict[str, str]:
    """Parse `PATH` or `PATH=PACKAGE`, as a user writes it, for `Options.external`."""
    found = {}
    for value in values:
        path, _, prefix = value.partition("=")
        if not path:
            raise OptionError(f"{value!r} names no proto file or folder")
        found[path] = prefix
    return found
