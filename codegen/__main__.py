"""The command line: `python -m codegen [--protos DIR] [--out DIR] [--check]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from codegen import build, protoc, render, tree


def main(arguments: list[str] | None = None) -> int:
    """Run the generator; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m codegen", description=__doc__)
    parser.add_argument(
        "--protos",
        type=Path,
        default=Path("protos"),
        metavar="DIR",
        help="folder of .proto files, with its subfolders (default: protos)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder that the packages are written to (default: .)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; print a diff and exit 1 if files are out of date",
    )
    options = parser.parse_args(arguments)
    try:
        files = generate(options.protos, options.out)
        changes = tree.changes(options.out, files)
    except (protoc.ProtocError, build.UnsupportedError, tree.HandWrittenError) as error:
        print(error, file=sys.stderr)
        return 1
    for change in changes:
        if options.check:
            sys.stdout.write(change.diff())
        else:
            change.apply()
            print(f"{'removed' if change.after is None else 'wrote'} {change.path}")
    return 1 if options.check and changes else 0


def generate(proto_dir: Path, out: Path) -> dict[str, str]:
    """Return the text of each file to generate, by its path below `out`.

    The well-known types are part of the runtime. They are generated only if `out` is
    the folder that contains the runtime.

    Raises:
        ProtocError: A file does not compile, or the folder has no proto files.
        UnsupportedError: A file compiles, but is not proto3.
    """
    found = (path.relative_to(proto_dir) for path in proto_dir.rglob("*.proto"))
    names = sorted(path.as_posix() for path in found)
    names = [name for name in names if not name.startswith("google/protobuf/")]
    if not names:
        raise protoc.ProtocError(f"there are no .proto files in {proto_dir}")
    if (out / "remotemedia" / "protobuf" / "wire.py").exists():
        names += protoc.WELL_KNOWN_FILES
    return render.render(build.build(protoc.request(proto_dir, names)))


if __name__ == "__main__":
    sys.exit(main())
