"""Starts the command, or says what to install where the extra is missing."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run `remotemedia-codegen`; return the exit status."""
    try:
        from . import command
    except ModuleNotFoundError as error:
        return _explain(error)
    return command.run(arguments)


def run_plugin() -> int:
    """Run `protoc-gen-remotemedia`; return the exit status."""
    try:
        from . import plugin
    except ModuleNotFoundError as error:
        return _explain(error)
    return plugin.run(sys.stdin.buffer, sys.stdout.buffer)


def _explain(error: ModuleNotFoundError) -> int:
    """Say what to install; what is missing in our own code is a bug, and raised."""
    name = error.name or ""
    if name.partition(".")[0] == (__package__ or "").partition(".")[0]:
        raise error
    print(
        f"The generator needs {name!r}, which is not installed. It comes with the "
        "extra 'codegen': pip install 'remotemedia[codegen]'. In a checkout, "
        "`make gen` installs what it needs.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
