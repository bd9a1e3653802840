"""The client of grpc.aio, with the modules that plain protoc generates for it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio

from benchmarks.compare.clients import SAMPLE_BYTES, SAMPLE_RATE

common: Any = importlib.import_module("common_pb2")
execution: Any = importlib.import_module("execution_pb2")
execution_grpc: Any = importlib.import_module("execution_pb2_grpc")
streaming: Any = importlib.import_module("streaming_pb2")
streaming_grpc: Any = importlib.import_module("streaming_pb2_grpc")

OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Otherwise channels to the same address share one connection.
    ("grpc.use_local_subchannel_pool", 1),
]
MANIFEST = execution.PipelineManifest(
    version="v1",
    metadata=execution.ManifestMetadata(name="compare"),
    nodes=[execution.NodeManifest(id="src", node_type="PassThrough")],
)
TIMEOUT_S = 30.0


class GrpcAio:
    """The stubs that plain protoc generates, on a channel of grpc.aio."""

    async def connect(self, address: str) -> None:
        """Connect to a service."""
        self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        self._execution = execution_grpc.PipelineExecutionServiceStub(self._channel)
        self._streaming = streaming_grpc.StreamingPipelineServiceStub(self._channel)
        await self._channel.channel_ready()

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def version(self) -> str:
        """Return the version of the service."""
        request = execution.VersionRequest(client_version="v1")
        response = await self._execution.GetVersion(request, timeout=TIMEOUT_S)
        version: str = response.version_info.runtime_version
        return version

    async def execute(self, audio: bytes) -> int:
        """Execute a pipeline, and return how many bytes of audio came back."""
        request = execution.ExecuteRequest(
            manifest=MANIFEST,
            audio_inputs={"src": _buffer(audio)},
            client_version="v1",
        )
        response = await self._execution.ExecutePipeline(request, timeout=TIMEOUT_S)
        if response.WhichOneof("outcome") != "result":
            raise RuntimeError("not a result")
        return len(response.result.audio_outputs["src"].samples)

    async def stream(
        self, audio: AsyncIterator[bytes], on_result: Callable[[], None]
    ) -> None:
        """Open a session, send the chunks, read every result, and close it."""
        ready = asyncio.Event()
        async for response in self._streaming.StreamPipeline(_requests(audio, ready)):
            kind = response.WhichOneof("response")
            if kind == "result":
                if response.result.audio_outputs["output"].samples:
                    on_result()
            elif kind == "ready":
                ready.set()


async def _requests(audio: AsyncIterator[bytes], ready: asyncio.Event) -> Any:
    yield streaming.StreamRequest(
        init=streaming.StreamInit(manifest=MANIFEST, client_version="v1")
    )
    await ready.wait()
    sequence = samples = 0
    async for data in audio:
        buffer = _buffer(data)
        yield streaming.StreamRequest(
            audio_chunk=streaming.AudioChunk(
                node_id="src",
                buffer=buffer,
                sequence=sequence,
                timestamp_ms=samples * 1000 // SAMPLE_RATE,
            )
        )
        sequence += 1
        samples += buffer.num_samples
    yield streaming.StreamRequest(
        control=streaming.StreamControl(command=streaming.StreamControl.COMMAND_CLOSE)
    )


def _buffer(audio: bytes) -> Any:
    return common.AudioBuffer(
        samples=audio,
        sample_rate=SAMPLE_RATE,
        channels=1,
        format=common.AUDIO_FORMAT_F32,
        num_samples=len(audio) // SAMPLE_BYTES,
    )


make = GrpcAio
