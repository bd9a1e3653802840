"""The clients that are compared. Each does the same work in its own idiom."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

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


Kind: TypeAlias = Literal["audio", "frame", "tensor"]
"""A kind of value of the data contract."""

FloatArray: TypeAlias = "npt.NDArray[np.float32]"
PixelArray: TypeAlias = "npt.NDArray[np.uint8]"
VALUES: dict[Kind, npt.NDArray[Any]] = {
    "audio": np.zeros(1_600, np.float32),
    "frame": np.zeros((480, 640, 3), np.uint8),
    "tensor": np.zeros((256, 1024), np.float32),
}
"""What is sent: 100 ms of audio, a frame in RGB24, and 1 MiB of numbers."""


class DataClient(Protocol):
    """What a client on the data contract must do.

    It builds each message of an array, and makes an array of each result.
    """

    async def connect(self, address: str) -> None:
        """Connect to a service."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...

    async def execute(self, kind: Kind) -> int:
        """Execute a pipeline with a value, and return the size of what came back."""
        ...

    async def stream(
        self, kind: Kind, count: int, on_result: Callable[[int], None]
    ) -> None:
        """Open a session, send a value repeatedly, read every result, and close it.

        Args:
            kind: the kind of value.
            count: how many to send.
            on_result: called with the size of each value that came back.
        """
        ...


def make(name: str) -> Any:
    """Make a client of either contract. Only its module and libraries are imported."""
    return importlib.import_module(f"{__name__}.{name}").make()
