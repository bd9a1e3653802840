"""The client of grpc.aio on the data contract, with what plain protoc generates."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import grpc.aio
import numpy as np

from benchmarks.compare.clients import SAMPLE_RATE, VALUES, Kind

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

    async def execute(self, kind: Kind) -> int:
        """Execute a pipeline with a value, and return the size of what came back."""
        request = execution.ExecuteRequest(
            manifest=MANIFEST,
            data_inputs={"src": _buffer(kind)},
            client_version="v1",
        )
        response = await self._execution.ExecutePipeline(request, timeout=TIMEOUT_S)
        if response.WhichOneof("outcome") != "result":
            raise RuntimeError("not a result")
        return _size(kind, response.result.data_outputs["src"])

    async def stream(
        self, kind: Kind, count: int, on_result: Callable[[int], None]
    ) -> None:
        """Open a session, send a value repeatedly, read every result, and close it."""
        ready = asyncio.Event()
        requests = _requests(kind, count, ready)
        async for response in self._streaming.StreamPipeline(requests):
            which = response.WhichOneof("response")
            if which == "result":
                on_result(_size(kind, response.result.data_outputs["output"]))
            elif which == "ready":
                ready.set()


async def _requests(kind: Kind, count: int, ready: asyncio.Event) -> Any:
    yield streaming.StreamRequest(
        init=streaming.StreamInit(manifest=MANIFEST, client_version="v1")
    )
    await ready.wait()
    for sequence in range(count):
        yield streaming.StreamRequest(
            data_chunk=streaming.DataChunk(
                node_id="src",
                buffer=_buffer(kind),
                sequence=sequence,
                timestamp_ms=sequence * 100,
            )
        )
    yield streaming.StreamRequest(
        control=streaming.StreamControl(command=streaming.COMMAND_CLOSE)
    )


def _buffer(kind: Kind) -> Any:
    array = VALUES[kind]
    data = array.tobytes()
    if kind == "audio":
        audio = common.AudioBuffer(
            samples=data,
            sample_rate=SAMPLE_RATE,
            channels=1,
            format=common.AUDIO_FORMAT_F32,
            num_samples=len(array),
        )
        return common.DataBuffer(audio=audio)
    if kind == "frame":
        height, width, _ = array.shape
        frame = common.VideoFrame(
            pixel_data=data,
            width=width,
            height=height,
            format=common.PIXEL_FORMAT_RGB24,
        )
        return common.DataBuffer(video=frame)
    tensor = common.TensorBuffer(
        data=data, shape=array.shape, dtype=common.TENSOR_DTYPE_F32
    )
    return common.DataBuffer(tensor=tensor)


def _size(kind: Kind, buffer: Any) -> int:
    """Make an array of the output, and return its size in bytes."""
    if kind == "audio":
        return np.frombuffer(buffer.audio.samples, np.float32).nbytes
    if kind == "frame":
        frame = buffer.video
        pixels = np.frombuffer(frame.pixel_data, np.uint8)
        return pixels.reshape(frame.height, frame.width, 3).nbytes
    numbers = np.frombuffer(buffer.tensor.data, np.float32)
    return numbers.reshape(tuple(buffer.tensor.shape)).nbytes


make = GrpcAio
