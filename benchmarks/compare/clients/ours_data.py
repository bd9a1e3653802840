"""Our client on the data contract, through its public facade."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from benchmarks.compare.clients import SAMPLE_RATE, VALUES, Kind
from remotemedia import AudioBuffer, RemoteMediaClient
from remotemedia.data import PixelFormat, TensorBuffer, VideoFrame

if TYPE_CHECKING:
    from remotemedia.data import ChunkResult, ExecutionResult

MANIFEST = {
    "version": "v1",
    "metadata": {"name": "compare"},
    "nodes": [{"id": "src", "node_type": "PassThrough"}],
}


class Ours:
    """``RemoteMediaClient``, which makes and reads the values."""

    async def connect(self, address: str) -> None:
        """Connect to a service."""
        self._client = RemoteMediaClient(address, contract="data", max_send_bytes=None)
        await self._client.connect()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.disconnect()

    async def execute(self, kind: Kind) -> int:
        """Execute a pipeline with a value, and return the size of what came back."""
        result = await self._client.execute_pipeline(
            MANIFEST, data_inputs={"src": _value(kind)}
        )
        return _size(kind, result)

    async def stream(
        self, kind: Kind, count: int, on_result: Callable[[int], None]
    ) -> None:
        """Open a session, send a value repeatedly, read every result, and close it."""
        chunks = _chunks(kind, count)
        async for result in self._client.stream_pipeline(MANIFEST, chunks):
            on_result(_size(kind, result))


async def _chunks(
    kind: Kind, count: int
) -> AsyncIterator[tuple[str, AudioBuffer | VideoFrame | TensorBuffer]]:
    for _ in range(count):
        yield "src", _value(kind)


def _value(kind: Kind) -> AudioBuffer | VideoFrame | TensorBuffer:
    array = VALUES[kind]
    if kind == "audio":
        return AudioBuffer.from_numpy(array, SAMPLE_RATE)
    if kind == "frame":
        return VideoFrame.from_numpy(array, PixelFormat.RGB24)
    return TensorBuffer.from_numpy(array)


def _size(kind: Kind, result: ChunkResult | ExecutionResult) -> int:
    """Make an array of the output, and return its size in bytes."""
    if kind == "audio":
        return result.audio().to_numpy().nbytes
    if kind == "frame":
        return result.video().to_numpy().nbytes
    return result.array().nbytes


make = Ours
