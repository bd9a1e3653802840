"""The generated files on disk: what differs, and bringing it up to date."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from codegen.render import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHARED_NAMESPACES = {"google"}
"""Packages that other distributions have a share in: an `__init__.py` would claim
them for one alone."""


class HandWrittenError(Exception):
    """A file of the user's is in the way."""


@dataclass(frozen=True)
class Change:
    """A file that is not what generation gives; `None` stands for no file."""

    path: Path
    before: str | None
    after: str | None

    def diff(self) -> str:
        """Show the change as a unified diff."""
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
    """Compare `files`, by their paths below `out`, with what is there.

    A generated file that generation no longer gives is stale, if it lies in a
    top-level package that generation writes to. Files without the header are never
    touched.

    Raises:
        HandWrittenError: One of them is where a file is to be generated.
    """
    wanted: dict[Path, str | None] = {out / path: text for path, text in files.items()}
    for path in wanted:
        if not (_read(path) or HEADER).startswith(HEADER):
            raise HandWrittenError(
                f"{path} is not a generated file, and is not overwritten; "
                "move it away, or give the proto another package"
            )
    # A package is marked where it is not one yet; what is there stays as it is.
    for marker, text in _package_markers(out, files).items():
        before = _read(marker)
        wanted[marker] = text if before is None else before
    for path in _neighbours(out, files):
        if path not in wanted and (_read(path) or "").startswith(HEADER):
            wanted[path] = None
    found = [Change(path, _read(path), text) for path, text in sorted(wanted.items())]
    return [change for change in found if change.before != change.after]


def _neighbours(out: Path, files: dict[str, str]) -> Iterator[Path]:
    for top in {path.partition("/")[0] for path in files}:
        if (out / top).is_dir():
            yield from (out / top).rglob("*.py")
        else:
            yield from out.glob("*.py")


def _package_markers(out: Path, files: dict[str, str]) -> dict[Path, str]:
    """Make packages of the folders above the generated ones."""
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
