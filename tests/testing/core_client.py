"""A client on grpcio's C core, of plain protoc's code.

It shares no line with the library. Requests are made with the library's messages
where their content does not matter, and cross over as bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import pytest

from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    ErrorType,
    ExecuteRequest,
    PipelineManifest,
    StreamControl,
    StreamControlCommand,
    StreamInit,
    StreamRequest,
)

# Messages and calls of plain protoc and grpcio, which have no types.
Message = Any
Call = Any


class CoreClient:
    """The three calls, over one connection."""

    def __init__(self, modules: dict[str, ModuleType], channel: Call) -> None:
        self.channel = channel
        self.execution = modules["execution_pb2"]
        self.streaming = modules["streaming_pb2"]
        self._unary = modules["execution_pb2_grpc"].PipelineExecutionServiceStub(
            channel
        )
        self._stream = modules["streaming_pb2_grpc"].StreamingPipelineServiceStub(
            channel
        )

    async def version(self, client_version: str = "v1", **options: object) -> Message:
        request = self.execution.VersionRequest(client_version=client_version)
        return await self._unary.GetVersion(request, **options)

    async def execute(self, request: ExecuteRequest, **options: object) -> Message:
        """Execute, and give the result of the oneof back."""
        core = self.execution.ExecuteRequest.FromString(bytes(request))
        response = await self._unary.ExecutePipeline(core, **options)
        assert response.WhichOneof("outcome") == "result"
        return response.result

    async def failure(self, request: ExecuteRequest) -> tuple[str, str]:
        """Execute what fails, and return the status and its message."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.execute(request)
        return caught.value.code().name, caught.value.details() or ""

    def open(self, **options: object) -> CoreStream:
        return CoreStream(self.streaming, self._stream.StreamPipeline(**options))


class CoreStream:
    """One session: requests written, and responses read, one by one."""

    def __init__(self, streaming: ModuleType, call: Call) -> None:
        self.call = call
        self._streaming = streaming

    async def write(self, request: StreamRequest) -> None:
        await self.call.write(self._streaming.StreamRequest.FromString(bytes(request)))

    async def init(
        self, manifest: PipelineManifest, client_version: str = "v1", **more: Any
    ) -> None:
        init = StreamInit(manifest=manifest, client_version=client_version, **more)
        await self.write(StreamRequest(init=init))

    async def chunk(self, node_id: str, buffer: AudioBuffer, sequence: int) -> None:
        chunk = AudioChunk(node_id=node_id, buffer=buffer, sequence=sequence)
        await self.write(StreamRequest(audio_chunk=chunk))

    async def control(self, command: StreamControlCommand) -> None:
        await self.write(StreamRequest(control=StreamControl(command=command)))

    async def read(self, kind: str) -> Message:
        """The next response, which must be of this kind."""
        response = await self.call.read()
        assert response, await self.call.details()
        assert response.WhichOneof("response") == kind, response
        return getattr(response, kind)

    def error_text(self, error: Message) -> str:
        """What an error says, its type included."""
        assert error.error_type == ErrorType.INTERNAL
        return str(error.message)

    async def ends_well(self) -> bool:
        """Whether nothing more comes, and the call ended with OK."""
        return (
            not await self.call.read()  # grpcio's EOF is false
            and await self.call.code() is grpc.StatusCode.OK
        )


@asynccontextmanager
async def connect(
    modules: dict[str, ModuleType], address: str
) -> AsyncIterator[CoreClient]:
    """Connect to a service."""
    # grpcio otherwise shares one connection between channels to the same address, and a
    # new channel can get a connection that the service is just closing.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield CoreClient(modules, channel)
