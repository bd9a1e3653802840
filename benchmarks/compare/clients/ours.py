"""Our client, through its public facade."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from benchmarks.compare.clients import SAMPLE_BYTES, SAMPLE_RATE
from remotemedia import AudioBuffer, AudioFormat, RemoteMediaClient

MANIFEST = {
    "version": "v1",
    "metadata": {"name": "compare"},
    "nodes": [{"id": "src", "node_type": "PassThrough"}],
}


class Ours:
    """``RemoteMediaClient``, used as in the README."""

    async def connect(self, address: str) -> None:
        """Connect to a service."""
        self._client = RemoteMediaClient(address, max_send_bytes=None)
        await self._client.connect()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.disconnect()

    async def version(self) -> str:
        """Return the version of the service."""
        info = await self._client.get_version()
        return info.runtime_version

    async def execute(self, audio: bytes) -> int:
        """Execute a pipeline, and return how many bytes of audio came back."""
        result = await self._client.execute_pipeline(MANIFEST, {"src": _buffer(audio)})
        return len(result.audio_outputs["src"].samples)

    async def stream(
        self, audio: AsyncIterator[bytes], on_result: Callable[[], None]
    ) -> None:
        """Open a session, send the chunks, read every result, and close it."""
        results = self._client.stream_pipeline(MANIFEST, _chunks(audio))
        async for result in results:
            if result.audio_outputs["output"].samples:
                on_result()


def _buffer(audio: bytes) -> AudioBuffer:
    return AudioBuffer(
        samples=audio,
        sample_rate=SAMPLE_RATE,
        channels=1,
        format=AudioFormat.F32,
        num_samples=len(audio) // SAMPLE_BYTES,
    )


async def _chunks(
    audio: AsyncIterator[bytes],
) -> AsyncIterator[tuple[str, AudioBuffer]]:
    async for data in audio:
        yield "src", _buffer(data)


make = Ours
