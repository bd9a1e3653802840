"""Calls that both type checkers pass."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Literal

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
    blocking,
    data,
)
from remotemedia.http2 import Address, Channel
from remotemedia.v1 import (
    ExecuteRequest,
    ExecuteResponse,
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    StreamRequest,
    StreamResponse,
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


async def both_contracts() -> None:
    frame = data.VideoFrame.from_numpy(np.zeros((2, 2, 3), np.uint8))
    async with RemoteMediaClient("localhost:1", contract="data", timeout=1) as client:
        result = await client.execute_pipeline({}, None, {"src": frame})
        assert_type(result, data.ExecutionResult)
        assert_type(result.video(), data.VideoFrame)
        assert_type(result.text(), str)
        assert_type(result.audio(), AudioBuffer)
        async for chunk in client.stream_pipeline({}, [("src", frame), ("src", "t")]):
            assert_type(chunk, data.ChunkResult)
        async with client.open_stream({}) as stream:
            assert_type(stream, PipelineStream[data.ChunkResult])
            await stream.send("src", np.zeros(3))
            await stream.send("src", {"json": [1, None]})
    found_out = RemoteMediaClient("localhost:1")
    assert_type(found_out, RemoteMediaClient[ExecutionResult, ChunkResult])
    maybe = await found_out.execute_pipeline({})
    if isinstance(maybe, data.ExecutionResult):
        assert_type(maybe.video(), data.VideoFrame)
    audio: RemoteMediaClient = RemoteMediaClient(contract="audio")
    assert_type(await audio.execute_pipeline({}), ExecutionResult)


async def of_either(client: RemoteMediaClient) -> ExecutionResult:
    return await client.execute_pipeline({})


async def either(contract: Literal["audio", "data"] | None) -> None:
    await of_either(RemoteMediaClient(contract="data"))
    await of_either(RemoteMediaClient(contract=contract))


def both_contracts_blocking() -> None:
    with blocking.RemoteMediaClient(contract="data", token="t") as client:
        assert_type(client.execute_pipeline({}), data.ExecutionResult)
        for chunk in client.stream_pipeline({}, [("src", "text")]):
            assert_type(chunk.text(), str)
        with client.open_stream({}) as stream:
            stream.send("src", b"bytes")
            assert_type(next(stream), data.ChunkResult)
    with blocking.RemoteMediaClient() as plain:
        assert_type(plain.execute_pipeline({}), ExecutionResult)


async def stubs() -> None:
    channel = Channel(Address.parse("localhost:1"))
    stub = PipelineExecutionServiceStub(channel, timeout=1)
    assert_type(await stub.execute_pipeline(ExecuteRequest()), ExecuteResponse)


def blocking_stubs(client: blocking.RemoteMediaClient) -> None:
    run = client.stub(PipelineExecutionServiceStub, idempotent=True)
    execute = PipelineExecutionServiceStub.execute_pipeline
    assert_type(run(execute, ExecuteRequest(), timeout=5), ExecuteResponse)
    stream = client.stub(StreamingPipelineServiceStub)
    requests = [StreamRequest()]
    for response in stream(StreamingPipelineServiceStub.stream_pipeline, requests):
        assert_type(response, StreamResponse)


def errors(error: RemoteMediaError) -> bool:
    assert_type(error.error_type, ErrorType)
    return error.error_type is ErrorType.VALIDATION and error.retryable
