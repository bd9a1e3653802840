"""Web servers as processes of their own, and callers that go away."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

WEB = Path(__file__).parents[2] / "examples" / "web"
SPEECH = (WEB.parent / "data" / "speech.wav").read_bytes()

UVICORN = "-m uvicorn --app-dir . --ws websockets-sansio --fd {fd}"
GUNICORN = (
    "-m gunicorn --no-control-socket --preload --workers 2 --threads 8 --bind fd://{fd}"
)


class Application(NamedTuple):
    """An application, and how it is served."""

    name: str
    command: str
    path: str
    """Where it takes an upload."""
    workers: int


FASTAPI = Application("fastapi", f"{UVICORN} fastapi_app:app", "/speech", 1)
FLASK = Application("flask", f"{GUNICORN} flask_app:app", "/speech", 2)
DJANGO_ASYNC = Application("asgi", f"{UVICORN} django_app:asgi", "/speech-async", 1)
DJANGO = Application("wsgi", f"{GUNICORN} django_app:wsgi", "/speech", 2)
APPLICATIONS = [FASTAPI, FLASK, DJANGO_ASYNC, DJANGO]

every_application = pytest.mark.parametrize(
    "application", APPLICATIONS, ids=lambda application: application.name
)


class Served(NamedTuple):
    """An application that is being served."""

    host: str
    """``127.0.0.1:port``"""
    url: str
    """Where it takes an upload."""
    pid: int

    def open_files(self) -> int:
        """Count what the server's processes have open, sockets included.

        It is 0 where the system does not tell.
        """
        if not Path("/proc/self/fd").exists():
            return 0
        pids = [self.pid, *self._children()]
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)

    def has_workers(self, count: int) -> bool:
        """Whether so many processes take requests: children, or the server itself.

        It is true where the system does not tell.
        """
        if not Path("/proc/self/fd").exists():
            return True
        return (len(self._children()) or 1) == count

    def _children(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return list(map(int, children.split()))


@asynccontextmanager
async def serving(application: Application, address: str) -> AsyncIterator[Served]:
    """Serve an application that calls the service at an address.

    Afterwards it must end by itself, without having printed a traceback.
    """
    # The server inherits a socket that listens already, so callers need not wait.
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        fd = listening.fileno()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *application.command.format(fd=fd).split(),
            cwd=WEB,
            env={**os.environ, "REMOTEMEDIA_ADDRESS": address},
            pass_fds=[fd],
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        # Reading all the time, lest the pipe fill up.
        ending = asyncio.ensure_future(process.communicate())
        try:
            yield Served(host, f"http://{host}{application.path}", process.pid)
        except BaseException:
            if process.returncode is None:
                process.kill()
            print((await ending)[1].decode())  # noqa: T201 - pytest shows it
            raise
    process.terminate()
    _, errors = await asyncio.wait_for(ending, 30)
    assert "Traceback" not in errors.decode(), errors.decode()
    # uvicorn shuts down, and then raises the signal again.
    assert process.returncode in (0, -signal.SIGTERM)


async def send(served: Served, path: str, body: bytes) -> asyncio.StreamWriter:
    """Send a request over a connection of its own, and read no answer."""
    host, _, port = served.host.partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    return writer
