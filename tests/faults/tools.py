"""What the fault tests share: stubs without a facade, waiting, odd peers."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import h2.events
from h2.errors import ErrorCodes

from remotemedia import AudioBuffer
from remotemedia.grpc.stub import ServiceStub
from remotemedia.http2.channel import Address, Channel
from remotemedia.v1 import (
    ChunkResult,
    StreamReady,
    StreamRequest,
    StreamResponse,
    VersionResponse,
)
from tests.support.peers import Exchange
from tests.support.pipelines import tone

# Far above what anything here takes; what hangs fails by it.
GUARD_S = 10.0
OPEN_FILES = Path("/proc/self/fd")

VERSION = bytes(VersionResponse(compatible=True))
READY = bytes(StreamResponse(ready=StreamReady(session_id="s")))

StubT = TypeVar("StubT", bound=ServiceStub)


def result(sequence: int) -> bytes:
    """A chunk's result, encoded."""
    return bytes(StreamResponse(result=ChunkResult(sequence=sequence)))


def is_version(exchange: Exchange) -> bool:
    """Whether the call is GetVersion; it is answered then."""
    if not exchange.path.endswith("GetVersion"):
        return False
    exchange.headers()
    exchange.message(VERSION)
    exchange.trailers()
    return True


@asynccontextmanager
async def stub(cls: type[StubT], port: int, **options: Any) -> AsyncIterator[StubT]:
    """A generated stub on a channel of its own, without the facade."""
    channel = Channel(Address(host="127.0.0.1", port=port))
    try:
        yield cls(channel, **options)
    finally:
        channel.close()
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another task or peer will bring about."""

    async def poll() -> None:
        while not condition():  # noqa: ASYNC110 - what happens elsewhere sets no event
            await asyncio.sleep(0.001)

    await asyncio.wait_for(poll(), GUARD_S)


async def sequences(results: AsyncIterable[ChunkResult]) -> list[int]:
    """The numbers of all results to the end."""
    return [chunk.sequence async for chunk in results]


async def drained(
    results: AsyncIterable[ChunkResult], into: list[int], pause: float = 0.0
) -> None:
    """Read to the end; the numbers are kept where it fails."""
    async for chunk in results:
        into.append(chunk.sequence)
        await asyncio.sleep(pause)


def sockets_to(port: int) -> int:
    """How many TCP sockets of this process lead to a port; on Linux only."""
    table = Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows = [line.split() for line in table]
    inodes = {row[9] for row in rows if row[2].endswith(f":{port:04X}")}
    return sum(link in {f"socket:[{inode}]" for inode in inodes} for link in links())


def links() -> list[str]:
    """What the open files of this process are; on Linux only."""
    found = []
    for entry in OPEN_FILES.iterdir() if OPEN_FILES.is_dir() else ():
        with suppress(OSError):  # closed since it was listed
            found.append(str(entry.readlink()))
    return found


async def turns(count: int) -> None:
    """Let the loop take so many turns."""
    for _ in range(count):
        await asyncio.sleep(0)


def resets(log: list[h2.events.Event]) -> list[ErrorCodes | int | None]:
    """The codes of the resets that a peer was sent."""
    return [
        event.error_code for event in log if isinstance(event, h2.events.StreamReset)
    ]


async def no_input() -> AsyncIterator[StreamRequest]:
    """An input that is open and idle, as a microphone's with nothing to hear."""
    await asyncio.Event().wait()
    yield StreamRequest()


async def no_audio() -> AsyncIterator[tuple[str, AudioBuffer]]:
    """The same for the facade."""
    await asyncio.Event().wait()
    yield "src", tone()


async def endless(frames: int = 160) -> AsyncIterator[tuple[str, AudioBuffer]]:
    """Audio that never ends, and is always there."""
    buffer = tone(frames)
    while True:
        yield "src", buffer


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that takes no connection and refuses none, as behind a firewall."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        # The queue of connections that nobody accepts is full with these.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()


@contextmanager
def service_process(port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The embedded service in a process of its own, and its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "remotemedia.testing", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()
