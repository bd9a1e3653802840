"""Compares the generated files with those on disk, and brings these up to date.

Files are read when they are compared, and again when they are written, because all of
them together may take more memory than there is.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .render import HEADER, NO_PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED_NAMESPACES = {"google"}
"""Packages that several distributions share: an `__init__.py` would break those."""


class HandWrittenError(Exception):
    """A generated file would overwrite one that was written by hand."""


@dataclass(frozen=True)
class Change:
    """A file that differs from what is generated."""

    path: Path
    source: Path | str | None
    """The generated file, or the text to write; `None` stands for no file."""

    @property
    def is_removal(self) -> bool:
        """Whether the file is stale."""
        return self.source is None

    def diff(self) -> str:
        """Return the change as a unified diff."""
        before, after = _read(self.path), self._after()
        return "".join(
            difflib.unified_diff(
                (before or "").splitlines(keepends=True),
                (after or "").splitlines(keepends=True),
                self.path.as_posix() if before is not None else "/dev/null",
                self.path.as_posix() if after is not None else "/dev/null",
            )
        )

    def apply(self) -> None:
        """Write or remove the file."""
        after = self._after()
        if after is None:
            self.path.unlink()
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(after, encoding="utf-8", newline="\n")

    def is_needed(self) -> bool:
        """Whether the file on disk differs."""
        return _read(self.path) != self._after()

    def _after(self) -> str | None:
        return _read(self.source) if isinstance(self.source, Path) else self.source


def changes(out: Path, generated: Path, prefix: str = "") -> list[Change]:
    """Compare the generated files with those on disk.

    A generated file on disk is stale, and is removed, if it is not generated any more,
    and lies in a top-level package that one of the generated files lies in. Files
    without the header are never changed.

    Args:
        out: The output folder.
        generated: The folder with the generated files.
        prefix: The package that all generated packages lie in. The top level is inside
            of it, because other code may lie beside it.

    Raises:
        HandWrittenError: A file without the header is where one is to be generated.
    """
    paths = sorted(path.relative_to(generated) for path in generated.rglob("*.py"))
    wanted: dict[Path, Path | str | None] = {}
    for path in paths:
        if not _begins_with_header(out / path, default=True):
            raise HandWrittenError(
                f"{out / path} is not a generated file, and is not overwritten; "
                "move it away, or give the proto another package"
            )
        wanted[out / path] = generated / path
    # An existing `__init__.py` above the generated packages stays as it is.
    for marker in _package_markers(paths):
        path = out / marker
        wanted[path] = path if path.exists() else f"{HEADER}\n"
    for path in _neighbours(out, generated, paths, prefix):
        if path not in wanted and _begins_with_header(path, default=False):
            wanted[path] = None
    found = [Change(path, source) for path, source in sorted(wanted.items())]
    return [change for change in found if change.is_needed()]


def _neighbours(
    out: Path, generated: Path, paths: list[Path], prefix: str
) -> Iterator[Path]:
    """Yield the files that earlier runs may have left."""
    root = Path(*filter(None, prefix.split(".")))
    tops = set()
    for path in paths:
        parts = path.relative_to(root).parts
        depth = 2 if parts[0] in SHARED_NAMESPACES else 1
        tops.add(out / root.joinpath(*parts[:depth]))
    # Each file without a proto package becomes a top-level package of its own. If there
    # is one still, those that earlier files left are neighbours as well.
    if any(map(_has_no_package, (generated / root).glob("*/__init__.py"))):
        tops |= {
            init.parent
            for init in (out / root).glob("*/__init__.py")
            if _has_no_package(init)
        }
    for top in tops:
        yield from top.rglob("*.py")


def _package_markers(paths: list[Path]) -> set[Path]:
    """Return the `__init__.py` of each folder above the generated packages."""
    found = {folder / "__init__.py" for path in paths for folder in path.parents}
    return {
        path
        for path in found - set(paths)
        if path.parent.parts and path.parts[0] not in SHARED_NAMESPACES
    }


def _has_no_package(init: Path) -> bool:
    return NO_PACKAGE in (_read(init) or "")


def _begins_with_header(path: Path, *, default: bool) -> bool:
    if not path.exists():
        return default
    with path.open(encoding="utf-8") as file:
        begin = file.read(len(HEADER))
        # An empty file has nothing to lose.
        return begin == HEADER if begin else default


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
