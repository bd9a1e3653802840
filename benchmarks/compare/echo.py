"""A bare socket server that sends back what it receives: the cheapest round trip.

    python -m benchmarks.compare.echo

It prints its address, and serves until it is killed.
"""

from __future__ import annotations

import asyncio
from typing import cast

from benchmarks.compare.loops import FASTEST


class Echo(asyncio.Protocol):
    """Sends back what it receives, and stops reading while the peer does not read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Send the data back."""
        self._transport.write(data)

    def pause_writing(self) -> None:
        """Stop reading: the peer does not read."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._transport.resume_reading()


async def serve() -> None:
    """Serve on a free port of the loopback interface."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    FASTEST().run_until_complete(serve())
