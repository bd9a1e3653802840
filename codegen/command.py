"""The command `remotemedia-codegen`, which is `python -m codegen` in the repository."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import build, protoc, render, tree
from .options import OptionError, Options, parse_external
from .sets import sets_of

if TYPE_CHECKING:
    from .model import Module

FAILURES = (
    OptionError,
    build.UnsupportedError,
    protoc.ProtocError,
    tree.HandWrittenError,
)
"""What the user can mend: the text of each says how."""


def run(arguments: list[str] | None) -> int:
    """Run the generator; return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        modules: dict[tuple[str, str], Module] = {}
        for each in sets_of(given.protos):
            options = Options(
                package_prefix=given.package_prefix,
                relative_imports=given.relative_imports,
                external=parse_external(given.external),
                packages=each.packages,
                owns_runtime=not given.package_prefix
                and (given.out / "remotemedia/protobuf/wire.py").exists(),
            )
            names = _proto_files(each.folder, given.paths)
            if options.owns_runtime:
                names += protoc.WELL_KNOWN_FILES
            request = protoc.request(each.folder, given.include, names)
            for module in build.build(request, options):
                # Sets have the well-known types in common.
                modules.setdefault((module.package, module.name), module)
        if given.out.exists() and not given.out.is_dir():
            raise OptionError(f"--out {given.out} is no folder")
        with tempfile.TemporaryDirectory() as folder:
            render.render(list(modules.values()), Path(folder))
            changes = tree.changes(given.out, Path(folder), given.package_prefix)
            for change in changes:
                if given.check:
                    sys.stdout.write(change.diff())
                    continue
                change.apply()
                print(f"{'removed' if change.is_removal else 'wrote'} {change.path}")
    except FAILURES as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if given.check and changes else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Generate typed messages, their codec, and stubs from .proto files."
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="proto file or folder to generate, as files import it (default: all "
        "that are in the folder of --protos)",
    )
    parser.add_argument(
        "--protos",
        type=Path,
        default=Path("protos"),
        metavar="DIR",
        help="folder of .proto files, with its subfolders (default: protos); the "
        "files import each other by their paths in it. If it has a packages.json, "
        "each folder that this names is such a folder (docs/how-to/codegen.md)",
    )
    parser.add_argument(
        "-I",
        "--include",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder to look for imports in; a file in it is generated only if a type "
        "of it is used; may be repeated",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder that the packages are written to (default: .)",
    )
    parser.add_argument(
        "--package-prefix",
        default="",
        metavar="PACKAGE",
        help="Python package to put the generated packages into: acme.protos",
    )
    parser.add_argument(
        "--relative-imports",
        action="store_true",
        help="import generated modules relatively, so that DIR can be any package",
    )
    parser.add_argument(
        "--external",
        action="append",
        default=[],
        metavar="PATH[=PACKAGE]",
        help="proto file or folder to import only, because its code is generated "
        "elsewhere, with PACKAGE as its package prefix; may be repeated",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; print a diff and exit 1 if files are out of date",
    )
    return parser


def _proto_files(proto_dir: Path, paths: list[str]) -> list[str]:
    """Return the files to generate, without copies of those that come with protoc."""
    if not proto_dir.is_dir():
        raise OptionError(
            f"there is no folder {proto_dir}: --protos names the folder of the .proto "
            "files"
        )
    found = set()
    for path in paths or [""]:
        place = proto_dir / path
        is_inside = place.is_relative_to(proto_dir) and ".." not in Path(path).parts
        if not (place.exists() and is_inside):
            raise OptionError(
                f"there is no {path} in {proto_dir}: each PATH is relative to the "
                "folder of --protos"
            )
        if place.is_file() and place.suffix != ".proto":
            raise OptionError(f"{place} is no .proto file")
        found |= {place} if place.is_file() else set(place.rglob("*.proto"))
    names = {path.relative_to(proto_dir).as_posix() for path in found}
    if not names - protoc.BUNDLED_FILES:
        where = ", ".join(str(proto_dir / path) for path in paths or [""])
        raise OptionError(f"there are no .proto files in {where}")
    return sorted(names - protoc.BUNDLED_FILES)
