"""Runs programs, and fails with what they print."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


class ReleaseError(Exception):
    """A check that fails; the text says what is wrong."""


def run(
    *command: str | Path,
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
    fails: bool = False,
) -> str:
    """Run a program, and return what it prints.

    Args:
        command: the program and its arguments.
        cwd: the folder to run it in.
        variables: environment variables to change.
        fails: the program must end with an error, and not with success.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if bool(done.returncode) is not fails:
        line = " ".join(map(str, command))
        raise ReleaseError(f"{line}\nended with {done.returncode}:\n{done.stdout}")
    return done.stdout
