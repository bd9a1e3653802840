"""The clients that are measured: each does the same work in its own idiom."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol, cast

OURS, GRPC_AIO, STOCK = "ours", "grpc_aio", "stock"
READY_MADE, SOCKET = "ready_made", "socket"
TITLES = {
    OURS: "ours",
    GRPC_AIO: "grpc.aio",
    STOCK: "stock betterproto",
    READY_MADE: "ready-made bytes",
    SOCKET: "bare socket",
}
SAMPLE_RATE = 16_000
SAMPLE_BYTES = 4
"""The audio is mono, of 32-bit floats: 6,400 bytes are 100 ms."""


class Client(Protocol):
    """What is measured of a client. It builds each message, and reads its fields."""

    async def connect(self, address: str) -> None:
        """Connect to a service."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...

    async def version(self) -> str:
        """The service's version."""
        ...

    async def execute(self, audio: bytes) -> int:
        """Send audio, and count the bytes of what comes back."""
        ...

    async def stream(
        self, audio: AsyncIterator[bytes], on_result: Callable[[], None]
    ) -> None:
        """Open a session, send chunks, read each result, and close the session."""
        ...


def make(name: str) -> Client:
    """Make a client; it alone is imported, and what it stands on."""
    module = importlib.import_module(f"{__name__}.{name}")
    return cast("Client", module.make())
