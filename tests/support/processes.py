"""The embedded service as a program of its own, and ports that nobody listens on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

COMMAND = [sys.executable, "-W", "error", "-m", "remotemedia.testing", "--port", "0"]


@contextmanager
def service_process(*options: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``python -m remotemedia.testing`` on a free port, and kill it at the end.

    Args:
        options: command-line options. A `--port` among them replaces the free one.
        variables: additional environment variables.
    """
    with subprocess.Popen(
        [*COMMAND, *options],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def address_of(process: subprocess.Popen[str]) -> str:
    """Wait until the service is ready, and return the address that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
