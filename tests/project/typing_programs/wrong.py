"""Calls that both type checkers refuse: every line marked, and no other."""

from __future__ import annotations

import numpy as np

from remotemedia import (
    AudioBuffer,
    ErrorType,
    RemoteMediaClient,
    RemoteMediaError,
    blocking,
)
from remotemedia.v1 import (
    AudioChunk,
    ExecuteRequest,
    PipelineExecutionServiceStub,
    StreamingPipelineServiceStub,
    VersionRequest,
)


async def calls(client: RemoteMediaClient, stub: PipelineExecutionServiceStub) -> None:
    AudioBuffer(format=1)  # wrong
    AudioBuffer(samples="text")  # wrong
    AudioBuffer(sample_rat=8000)  # wrong
    AudioBuffer(format=ErrorType.INTERNAL)  # wrong
    AudioChunk(buffer=b"")  # wrong
    AudioChunk().sequenze  # wrong
    AudioBuffer.from_numpy([0.0, 1.0], 16_000)  # wrong
    AudioBuffer.from_numpy(np.zeros(3, np.float32))  # wrong
    RemoteMediaClient(50051)  # wrong
    RemoteMediaClient("localhost:1", token=b"t")  # wrong
    RemoteMediaClient("localhost:1", "token")  # wrong
    await client.execute_pipeline(42)  # wrong
    await client.execute_pipeline({}, {"src": b"bytes"})  # wrong
    await client.execute_pipeline({}, {}, {}, timeout="soon")  # wrong
    await client.execute_pipelines({})  # wrong
    result = await client.execute_pipeline({})
    result.audio_outputs["src"].frames.bogus  # wrong
    result.status + "x"  # wrong
    client.stream_pipeline({}, [b"chunk"])  # wrong
    await client.open_stream({}).send("src")  # wrong
    client.open_stream({}).try_send("s", AudioBuffer(), when_full="explode")  # wrong
    await stub.execute_pipeline(VersionRequest())  # wrong
    (await stub.execute_pipeline(ExecuteRequest())).outcome  # wrong
    RemoteMediaError("m", error_type=1)  # wrong
    result.video()  # wrong
    async for chunk in client.stream_pipeline({}, []):
        chunk.text()  # wrong
    RemoteMediaClient(contract="video")  # wrong
    data = RemoteMediaClient(contract="data")
    (await data.execute_pipeline({})).video().to_audio()  # wrong
    await data.open_stream({}).send("s", object())  # wrong
    with client:  # wrong
        pass


def blocking_calls(client: blocking.RemoteMediaClient) -> None:
    run = client.stub(PipelineExecutionServiceStub)
    run(PipelineExecutionServiceStub.get_version, ExecuteRequest())  # wrong
    run(PipelineExecutionServiceStub.get_version, VersionRequest(), tries=1)  # wrong
    run(StreamingPipelineServiceStub.stream_pipeline, [])  # wrong
    run.get_version(VersionRequest())  # wrong
