"""Starts the command `remotemedia`, if its package is whole.

It is here and not in `remotemedia`, because other packages may overwrite files there
(`remotemedia.foreign` says which): to import anything from that folder would run their
`__init__.py` first. Nobody else installs files here, so that the command can still say
what is wrong.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the command `remotemedia`."""
    spec = importlib.util.find_spec("remotemedia")
    for folder in (spec and spec.submodule_search_locations) or ():
        check = Path(folder, "foreign.py")
        if not check.exists():
            sys.exit(
                f"`import remotemedia` finds another package, in {folder}. Uninstall "
                f"the package that it came with (such as remotemedia-client or "
                f"remotemedia-ffi), and then install this one again."
            )
        try:
            runpy.run_path(str(check))
        except ImportError as error:
            sys.exit(str(error))
    from remotemedia.cli import main as run

    run()
