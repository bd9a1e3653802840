"""An HTTP CONNECT proxy, as small as a real one can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class ConnectProxy:
    """What a proxy that runs was asked for.

    Attributes:
        port: where it listens, on the loopback interface.
        requests: the head of each request.
        answer: sent instead of making a tunnel, unless it is empty.
    """

    def __init__(self, hosts: dict[str, str]) -> None:
        self.port = 0
        self.requests: list[str] = []
        self.hosts = hosts
        self.answer = b""
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one client."""
        self.writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            if self.answer:
                writer.write(self.answer)
                await writer.drain()
            else:
                target = head.split()[1]
                host, _, port = self.hosts.get(target, target).rpartition(":")
                theirs, onward = await asyncio.open_connection(host, int(port))
                self.writers.append(onward)
                writer.write(b"HTTP/1.1 200 OK\r\nvia: test\r\n\r\n")
                await asyncio.gather(pump(reader, onward), pump(theirs, writer))
        writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until there are no more."""
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def connect_proxy(
    hosts: dict[str, str] | None = None,
) -> AsyncIterator[ConnectProxy]:
    """Run a proxy on a free port.

    Args:
        hosts: where it connects to, by the target of a request; others as they are.
    """
    proxy = ConnectProxy(hosts or {})
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for writer in proxy.writers:
            writer.transport.abort()
        await server.wait_closed()
