"""Helpers of the fault tests alone: endless audio, open sockets, unusual peers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h2.events
from h2.errors import ErrorCodes

from remotemedia import AudioBuffer
from remotemedia.v1 import (
    ChunkResult,
    StreamResponse,
)
from tests.support.calls import VERSION
from tests.support.peers import Exchange
from tests.support.pipelines import tone

OPEN_FILES = Path("/proc/self/fd")


def result(sequence: int) -> bytes:
    """Return the encoded result of a chunk."""
    return bytes(StreamResponse(result=ChunkResult(sequence=sequence)))


def is_version(exchange: Exchange) -> bool:
    """Answer the call if it is GetVersion, and tell whether it was."""
    if not exchange.path.endswith("GetVersion"):
        return False
    exchange.headers()
    exchange.message(VERSION)
    exchange.trailers()
    return True


async def sequences(results: AsyncIterable[ChunkResult]) -> list[int]:
    """Read all results to the end, and return their sequence numbers."""
    return [chunk.sequence async for chunk in results]


async def drained(
    results: AsyncIterable[ChunkResult], into: list[int], pause: float = 0.0
) -> None:
    """Read all results to the end, and collect their sequence numbers.

    `into` keeps the numbers that came before an error.
    """
    async for chunk in results:
        into.append(chunk.sequence)
        await asyncio.sleep(pause)


def sockets_to(port: int) -> int:
    """Count the TCP sockets of this process that lead to a port. Linux only."""
    table = Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows = [line.split() for line in table]
    inodes = {row[9] for row in rows if row[2].endswith(f":{port:04X}")}
    return sum(link in {f"socket:[{inode}]" for inode in inodes} for link in links())


def links() -> list[str]:
    """Return what each open file of this process is. Empty except on Linux."""
    found = []
    for entry in OPEN_FILES.iterdir() if OPEN_FILES.is_dir() else ():
        with suppress(OSError):  # It was closed after it was listed.
            found.append(str(entry.readlink()))
    return found


def resets(log: list[h2.events.Event]) -> list[ErrorCodes | int | None]:
    """Return the error codes of the RST_STREAM frames that a peer received."""
    return [
        event.error_code for event in log if isinstance(event, h2.events.StreamReset)
    ]


async def no_audio() -> AsyncIterator[tuple[str, AudioBuffer]]:
    """Audio of a stream that stays open and sends nothing."""
    await asyncio.Event().wait()
    yield "src", tone()


async def endless(frames: int = 160) -> AsyncIterator[tuple[str, AudioBuffer]]:
    """Audio that never ends, and whose next chunk is always available."""
    buffer = tone(frames)
    while True:
        yield "src", buffer


@contextmanager
def black_hole() -> Iterator[int]:
    """A port where connecting neither succeeds nor fails, as behind a firewall."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        # These fill the listener's backlog, which nobody accepts from.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()
