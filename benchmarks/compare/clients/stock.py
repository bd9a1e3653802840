"""The client of stock betterproto: what its own plugin generates, on plain grpclib."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import betterproto
from grpclib.client import Channel

from benchmarks import stock
from benchmarks.compare.clients import SAMPLE_BYTES, SAMPLE_RATE

v: Any = stock.load()

TIMEOUT_S = 30.0
MANIFEST = v.PipelineManifest(
    version="v1",
    metadata=v.ManifestMetadata(name="compare"),
    nodes=[v.NodeManifest(id="src", node_type="PassThrough")],
)


class Stock:
    """The stubs that betterproto's plugin generates, on a channel of grpclib."""

    async def connect(self, address: str) -> None:
        """Connect to a service."""
        host, port = address.split(":")
        self._channel = Channel(host, int(port))
        self._execution = v.PipelineExecutionServiceStub(self._channel)
        self._streaming = v.StreamingPipelineServiceStub(self._channel)
        await self.version()

    async def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    async def version(self) -> str:
        """Return the version of the service."""
        request = v.VersionRequest(client_version="v1")
        response = await self._execution.get_version(request, timeout=TIMEOUT_S)
        version: str = response.version_info.runtime_version
        return version

    async def execute(self, audio: bytes) -> int:
        """Execute a pipeline, and return how many bytes of audio came back."""
        request = v.ExecuteRequest(
            manifest=MANIFEST,
            audio_inputs={"src": _buffer(audio)},
            client_version="v1",
        )
        response = await self._execution.execute_pipeline(request, timeout=TIMEOUT_S)
        outcome, _ = betterproto.which_one_of(response, "outcome")
        if outcome != "result":
            raise RuntimeError("not a result")
        return len(response.result.audio_outputs["src"].samples)

    async def stream(
        self, audio: AsyncIterator[bytes], on_result: Callable[[], None]
    ) -> None:
        """Open a session, send the chunks, read every result, and close it."""
        ready = asyncio.Event()
        async for response in self._streaming.stream_pipeline(_requests(audio, ready)):
            kind, _ = betterproto.which_one_of(response, "response")
            if kind == "result":
                if response.result.audio_outputs["output"].samples:
                    on_result()
            elif kind == "ready":
                ready.set()


async def _requests(audio: AsyncIterator[bytes], ready: asyncio.Event) -> Any:
    yield v.StreamRequest(init=v.StreamInit(manifest=MANIFEST, client_version="v1"))
    await ready.wait()
    sequence = samples = 0
    async for data in audio:
        buffer = _buffer(data)
        yield v.StreamRequest(
            audio_chunk=v.AudioChunk(
                node_id="src",
                buffer=buffer,
                sequence=sequence,
                timestamp_ms=samples * 1000 // SAMPLE_RATE,
            )
        )
        sequence += 1
        samples += buffer.num_samples
    yield v.StreamRequest(
        control=v.StreamControl(command=v.StreamControlCommand.COMMAND_CLOSE)
    )


def _buffer(audio: bytes) -> Any:
    return v.AudioBuffer(
        samples=audio,
        sample_rate=SAMPLE_RATE,
        channels=1,
        format=v.AudioFormat.F32,
        num_samples=len(audio) // SAMPLE_BYTES,
    )


make = Stock
