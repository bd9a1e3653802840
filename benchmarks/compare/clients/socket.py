"""A lower bound for any client: the same bytes to a bare socket and back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import cast

from benchmarks.compare.clients import requests

_PREFIX = bytes(5)
_CHUNKS_BETWEEN_YIELDS = 8


class Socket(asyncio.Protocol):
    """Requests on one connection, which come back in their order."""

    async def connect(self, address: str) -> None:
        """Connect to the echo server."""
        host, port = address.split(":")
        self._received = 0
        self._expected: deque[tuple[int, Callable[[], None]]] = deque()
        self._may_write = asyncio.Event()
        self._may_write.set()
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, host, int(port))

    async def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    async def version(self) -> str:
        """Send as many bytes as the request has, and wait until they are back."""
        await self._echo(requests.VERSION)
        return ""

    async def execute(self, audio: bytes) -> int:
        """Send a request with audio, and wait until all of it is back."""
        await self._echo(requests.execute(audio))
        return len(audio)

    async def stream(
        self, audio: AsyncIterator[bytes], on_result: Callable[[], None]
    ) -> None:
        """Send the chunks, and wait until all of them are back."""
        sent = 0
        async for data in audio:
            self._send(requests.chunk(data), on_result)
            await self._may_write.wait()
            sent += 1
            if sent % _CHUNKS_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)
        await self._echo(requests.CLOSE)

    async def _echo(self, data: bytes) -> None:
        back = asyncio.get_running_loop().create_future()
        self._send(data, lambda: back.set_result(None))
        await back

    def _send(self, data: bytes, on_back: Callable[[], None]) -> None:
        self._expected.append((len(_PREFIX) + len(data), on_back))
        self._transport.writelines((_PREFIX, data))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Notify the requests whose bytes are all back."""
        self._received += len(data)
        while self._expected and self._received >= self._expected[0][0]:
            size, on_back = self._expected.popleft()
            self._received -= size
            on_back()

    def pause_writing(self) -> None:
        """Stop sending: the echo server does not read."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Send again."""
        self._may_write.set()


make = Socket
