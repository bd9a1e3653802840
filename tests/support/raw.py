"""Peers that write raw bytes, and what a test measures while they do.

A script of ``peers`` stands on h2, which refuses to write most of what a hostile server
writes, and takes time for what it reads. A raw peer reads only the heads of frames.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeAlias, cast

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8

# Literals without indexing (RFC 7541, section 6.2.2), so that no table is needed.
RESPONSE = b"\x88\x0f\x10\x10application/grpc"
OK = b"\x00\x0bgrpc-status\x010"

_FRAME_BYTES = 16_384
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_MEMORY = Path("/proc/self/statm")
_PAGE_BYTES = 4096


def frame(kind: int, body: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """A frame, whatever is in it."""
    return struct.pack(">I", len(body))[1:] + struct.pack(
        ">BBI", kind, flags, stream
    ) + body  # fmt: skip


def message(body: bytes) -> bytes:
    """A gRPC message with its prefix."""
    return struct.pack(">BI", 0, len(body)) + body


def answer(stream: int, body: bytes) -> bytes:
    """A whole answer of one message, with status OK."""
    return (
        frame(HEADERS, RESPONSE, flags=END_HEADERS, stream=stream)
        + frame(DATA, message(body), stream=stream)
        + frame(HEADERS, OK, flags=END_HEADERS | END_STREAM, stream=stream)
    )


class RawConnection(asyncio.Protocol):
    """The peer's end of a connection.

    Attributes:
        received: the type, stream and body of each frame that has come.
        streams: the streams that were opened.
        data_sent: how many bytes ``send_data`` has sent on each stream.
        windows: how much may be sent on each stream, and on all together (0).
    """

    def __init__(self, on_request: OnRequest, greeting: bytes) -> None:
        self.received: list[tuple[int, int, bytes]] = []
        self.streams: list[int] = []
        self.windows = {0: 65_535}
        self.data_sent: dict[int, int] = {}
        self.is_lost = False
        self._window = 0
        self._on_request = on_request
        self._greeting = greeting
        self._data = b""
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._greeting)

    def data_received(self, data: bytes) -> None:
        self._data = (self._data + data).removeprefix(_PREFACE)
        while len(self._data) >= 9:
            length = int.from_bytes(self._data[:3], "big")
            if len(self._data) < 9 + length:
                return
            kind, stream = self._data[3], int.from_bytes(self._data[5:9], "big")
            body, self._data = self._data[9 : 9 + length], self._data[9 + length :]
            self.received.append((kind, stream, body))
            if kind == SETTINGS and not self._window:
                settings = dict(struct.iter_unpack(">HI", body))
                self._window = settings[4]
            elif kind == WINDOW_UPDATE:
                self.windows[stream] += int.from_bytes(body, "big")
            elif kind == HEADERS:
                self.windows[stream] = self._window
                self.streams.append(stream)
                self._on_request(self, stream)

    def write(self, data: bytes) -> None:
        """Write bytes, if the connection is still there."""
        if not self.is_lost:
            self.transport.write(data)

    def pump(self, parts: Iterable[bytes]) -> None:
        """Write much, as the socket takes it."""
        task = asyncio.get_running_loop().create_task(self._pump(parts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def send_data(self, stream: int, parts: Iterable[bytes]) -> None:
        """Send bytes in DATA frames, as the client's windows allow."""
        self.pump(self._frames(stream, parts))

    def _frames(self, stream: int, parts: Iterable[bytes]) -> Iterable[bytes]:
        for part in parts:
            if not part:
                # There is nothing to send for now.
                yield b""
            for start in range(0, len(part), _FRAME_BYTES):
                data = part[start : start + _FRAME_BYTES]
                while self.windows[0] < len(data) or self.windows[stream] < len(data):
                    yield b""
                self.windows[0] -= len(data)
                self.windows[stream] -= len(data)
                self.data_sent[stream] = self.data_sent.get(stream, 0) + len(data)
                yield frame(DATA, data, stream=stream)

    async def _pump(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            await self._may_write.wait()
            if self.is_lost:
                return
            self.transport.write(part)
            await asyncio.sleep(0)

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._may_write.set()

    @property
    def goaway_code(self) -> int | None:
        """The error code of the GOAWAY that the client sent, if it did."""
        for kind, _, body in self.received:
            if kind == GOAWAY:
                return int.from_bytes(body[4:8], "big")
        return None


OnRequest: TypeAlias = Callable[[RawConnection, int], None]


class RawPeer:
    """A server of raw bytes.

    Attributes:
        port: where it listens.
        connections: those that were made, in order.
    """

    def __init__(self, port: int, connections: list[RawConnection]) -> None:
        self.port = port
        self.connections = connections


@asynccontextmanager
async def raw_peer(
    on_request: OnRequest, greeting: bytes = frame(SETTINGS)
) -> AsyncIterator[RawPeer]:
    """Serve on a free port: greet, and call a function with each request's stream."""
    connections: list[RawConnection] = []

    def connection() -> RawConnection:
        connections.append(RawConnection(on_request, greeting))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    try:
        yield RawPeer(server.sockets[0].getsockname()[1], connections)
    finally:
        server.close()
        for each in connections:
            each.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)


def memory_bytes() -> int:
    """How much memory the process uses. Linux only; 0 elsewhere."""
    if not _MEMORY.exists():
        return 0
    return int(_MEMORY.read_text().split()[1]) * _PAGE_BYTES


class Watch:
    """What an event loop and the memory went through.

    Attributes:
        longest_turn_s: the longest time that other tasks had to wait for a turn. It is
            the processor time of the loop's thread, which other processes do not take.
        grown_bytes: how much more memory was used than at the start, at most.
    """

    def __init__(self) -> None:
        self.longest_turn_s = 0.0
        self.grown_bytes = 0


@asynccontextmanager
async def watched() -> AsyncIterator[Watch]:
    """Watch the event loop and the memory for as long as the context lasts."""
    watch = Watch()

    async def beat() -> None:
        before = memory_bytes()
        while True:
            slept_s = time.thread_time()
            await asyncio.sleep(0.001)
            turn_s = time.thread_time() - slept_s
            watch.longest_turn_s = max(watch.longest_turn_s, turn_s)
            watch.grown_bytes = max(watch.grown_bytes, memory_bytes() - before)

    task = asyncio.get_running_loop().create_task(beat())
    try:
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
