"""Calls that both type checkers pass."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import numpy as np
from typing_extensions import assert_type

from remotemedia import (
    AudioBuffer,
    AudioFormat,
    ChunkResult,
    ErrorType,
    ExecutionResult,
    ExecutionStatus,
    PipelineStream,
    RemoteMediaClient,
    RemoteMediaError,
    ResourceLimits,
    StreamClosed,
    VersionInfo,
)
from remotemedia.http2 import Address, Channel
from remotemedia.v1 import (
    ExecuteRequest,
    ExecuteResponse,
    PipelineExecutionServiceStub,
)


async def chunks() -> AsyncIterator[tuple[str, AudioBuffer]]:
    yield "src", AudioBuffer.from_numpy(np.zeros(160, np.int16), 16_000)


async def calls() -> None:
    buffer = AudioBuffer(
        samples=b"", sample_rate=8000, channels=1, format=AudioFormat.F32, num_samples=0
    )
    manifest = {"version": "v1", "nodes": [{"id": "src", "params": {"a": 1}}]}
    async with RemoteMediaClient(
        "localhost:50051", ssl=ssl.create_default_context(), token="t", timeout=None
    ) as client:
        assert_type(await client.get_version(timeout=1), VersionInfo)
        result = await client.execute_pipeline(
            manifest,
            {"src": buffer},
            {"src": {"gain": 2}},
            resource_limits=ResourceLimits(max_timeout_ms=1000),
            timeout=None,
            metadata=[("a", "b")],
        )
        assert_type(result, ExecutionResult)
        assert_type(result.status, ExecutionStatus)
        assert_type(result.audio_outputs["src"].frames, int)
        assert_type(result.audio("src"), AudioBuffer)
        async for chunk in client.stream_pipeline(manifest, chunks()):
            assert_type(chunk, ChunkResult)
        async for chunk in client.stream_pipeline("{}", [("src", buffer, 0)]):
            assert_type(chunk.data_outputs, dict[str, str])
            assert_type(chunk.audio(), AudioBuffer)
        async with client.open_stream(manifest) as stream:
            assert_type(stream, PipelineStream)
            await stream.send("src", buffer)
            stream.try_send("src", buffer, when_full="drop_oldest")
            assert_type(await stream.close(), StreamClosed | None)


async def stubs() -> None:
    channel = Channel(Address.parse("localhost:1"))
    stub = PipelineExecutionServiceStub(channel, timeout=1)
    assert_type(await stub.execute_pipeline(ExecuteRequest()), ExecuteResponse)


def errors(error: RemoteMediaError) -> bool:
    assert_type(error.error_type, ErrorType)
    return error.error_type is ErrorType.VALIDATION and error.retryable
