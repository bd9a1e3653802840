"""The command ``remotemedia``, which is also ``python -m remotemedia``.

It runs pipelines from a shell: what a service is, whether a manifest is right, one
execution, a file as a live stream, and the embedded service. It stands on the blocking
client. click parses its arguments and rich draws its tables; both come with the extra
``cli``, and without it the command says how to get it.

- ``app``: the commands, and the exit code of each kind of failure.
- ``options``: where the service is, and the token.
- ``output``: tables for people, JSON for programs.
- ``describe``, ``run``, ``stream``, ``serve``: what the commands do.
"""

from __future__ import annotations

import sys

_MISSING = """\
the command `remotemedia` needs the extra `cli`, and the package {name!r} is missing:
pip install 'remotemedia[cli]'"""


def main() -> None:
    """Run the command with the arguments of the process, and exit."""
    try:
        from remotemedia.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "remotemedia":
            raise
        sys.exit(_MISSING.format(name=error.name))
    sys.exit(run(sys.argv[1:]))
