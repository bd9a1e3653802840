"""The clients that are compared. Each does the same work in its own idiom."""

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
"""The audio is mono and of 32-bit floats: 6,400 bytes are 100 ms."""


class Client(Protocol):
    """What a client must do. It builds each message, and reads each result's fields."""

    async def connect(self, address: str) -> None:
        """Connect to a service."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...

    async def version(self) -> str:
        """Return the version of the service."""
        ...

    async def execute(self, audio: bytes) -> int:
        """Execute a pipeline, and return how many bytes of audio came back."""
        ...

    async def stream(
        self, audio: AsyncIterator[bytes], on_result: Callable[[], None]
    ) -> None:
        """Open a session, send the chunks, read every result, and close it."""
        ...


def make(name: str) -> Client:
    """Make a client. Only its own module and libraries are imported."""
    module = importlib.import_module(f"{__name__}.{name}")
    return cast("Client", module.make())
