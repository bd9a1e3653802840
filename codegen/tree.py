"""Compares the generated files with those on disk, and brings these up to date."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from codegen.render import HEADER, NO_PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHARED_NAMESPACES = {"google"}
"""Packages that several distributions share: an `__init__.py` would break those."""


class HandWrittenError(Exception):
    """A generated file would overwrite one that was written by hand."""


@dataclass(frozen=True)
class Change:
    """A file that differs from what is generated; `None` stands for no file."""

    path: Path
    before: str | None
    after: str | None

    def diff(self) -> str:
        """Return the change as a unified diff."""
        return "".join(
            difflib.unified_diff(
                (self.before or "").splitlines(keepends=True),
                (self.after or "").splitlines(keepends=True),
                self.path.as_posix() if self.before is not None else "/dev/null",
                self.path.as_posix() if self.after is not None else "/dev/null",
            )
        )

    def apply(self) -> None:
        """Write or remove the file."""
        if self.after is None:
            self.path.unlink()
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.after, encoding="utf-8", newline="\n")


def changes(out: Path, files: dict[str, str]) -> list[Change]:
    """Compare the files to generate with those on disk.

    A generated file on disk is stale, and is removed, if it is not among `files`, and
    lies in a top-level package that one of them lies in. Files without the header are
    never changed.

    Args:
        out: The output folder.
        files: The text of each file, by its path below `out`.

    Raises:
        HandWrittenError: A file without the header is where one is to be generated.
    """
    wanted: dict[Path, str | None] = {out / path: text for path, text in files.items()}
    for path in wanted:
        if not (_read(path) or HEADER).startswith(HEADER):
            raise HandWrittenError(
                f"{path} is not a generated file, and is not overwritten; "
                "move it away, or give the proto another package"
            )
    # An existing `__init__.py` above the generated packages stays as it is.
    for marker, text in _package_markers(out, files).items():
        before = _read(marker)
        wanted[marker] = text if before is None else before
    for path in _neighbours(out, files):
        if path not in wanted and (_read(path) or "").startswith(HEADER):
            wanted[path] = None
    found = [Change(path, _read(path), text) for path, text in sorted(wanted.items())]
    return [change for change in found if change.before != change.after]


def _neighbours(out: Path, files: dict[str, str]) -> Iterator[Path]:
    tops = {out / path.partition("/")[0] for path in files}
    # Each file without a proto package becomes a top-level package of its own. If there
    # is one still, those that earlier files left are neighbours as well.
    if any(NO_PACKAGE in text for text in files.values()):
        tops |= {
            init.parent
            for init in out.glob("*/__init__.py")
            if NO_PACKAGE in (_read(init) or "")
        }
    for top in tops:
        yield from top.rglob("*.py")


def _package_markers(out: Path, files: dict[str, str]) -> dict[Path, str]:
    """Return an `__init__.py` for each folder above the generated packages."""
    return {
        out / folder / "__init__.py": f"{HEADER}\n"
        for path in files
        for folder in PurePosixPath(path).parents
        if folder.parts
        and folder.parts[0] not in SHARED_NAMESPACES
        and f"{folder}/__init__.py" not in files
    }


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
