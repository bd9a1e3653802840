"""The processes of a comparison: the servers, and one worker for each client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.compare.clients import SOCKET
from benchmarks.compare.results import Figures
from conformance import oracle

SERVERS = {
    "server": ("server", "audio"),
    "data": ("server", "data"),
    "light": ("light",),
    "echo": ("echo",),
}
"""The modules of the servers, and their arguments."""


class Worker:
    """A client in a process of its own, which runs scenarios on request."""

    def __init__(self, process: subprocess.Popen[str], client: str, event_loop: str):
        self.client = client
        self.event_loop = event_loop
        self._process = process

    def measure(self, scenario: str, count: int) -> Figures:
        """Run a scenario, and return its figures, which are empty if it failed.

        Raises:
            RuntimeError: the process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{scenario} {count}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            answer = ""
        else:
            answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process of {self.client} has ended: see above")
        figures: Figures = json.loads(answer)
        return figures


class Processes:
    """Starts the servers, and workers, and ends them with the comparison.

    Args:
        modules: a folder with the modules that plain protoc generated, and with a
            folder "data" for those of the data contract.
        stack: ends the processes.
    """

    def __init__(self, modules: Path, stack: ExitStack) -> None:
        self.environment = _importing(modules)
        self._data_environment = _importing(modules / "data")
        self._stack = stack
        self._addresses = {name: self._serve(name) for name in SERVERS}

    @contextmanager
    def worker(
        self, client: str, event_loop: str, server: str = "server"
    ) -> Iterator[Worker]:
        """Run the process of a client."""
        address = self._addresses["echo" if client == SOCKET else server]
        is_data = server == "data"
        with self._run(
            "worker",
            f"{client}_data" if is_data else client,
            event_loop,
            address,
            environment=self._data_environment if is_data else self.environment,
        ) as process:
            yield Worker(process, client, event_loop)

    def _serve(self, name: str) -> str:
        process = self._stack.enter_context(
            self._run(*SERVERS[name], environment=self.environment)
        )
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"{name} did not start: see above")
        return address

    @contextmanager
    def _run(
        self, name: str, *arguments: str, environment: dict[str, str]
    ) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.{name}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def _importing(modules: Path) -> dict[str, str]:
    """The environment of a process that imports modules of a folder, and ours."""
    path = os.pathsep.join((str(modules), str(oracle.REPOSITORY)))
    return os.environ | {"PYTHONPATH": path}
