"""Servers of the benchmarks, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[str]:
    """Run ``python -m module``, and end it with the block.

    Yields:
        The first line that it prints, which says where it listens.
    """
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@contextmanager
def local_service() -> Iterator[str]:
    """Run the embedded service on a free port, and yield its address."""
    with serving("remotemedia.testing", "--port", "0") as address:
        yield address
