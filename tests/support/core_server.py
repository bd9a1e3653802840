"""A pipeline service on grpcio's C core, with the code that plain protoc generates.

It shares no line with the library, so tests against it show that the client works with
servers of another implementation. It has two node types, and reports failures as the
contract says. Like the service of October 2025, it can also leave pipelines unexecuted.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import grpc
import grpc.aio

# Messages and contexts of plain protoc and grpcio, which have no types here.
Message = Any
Context = Any

OPERATIONS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
}


class Execution:
    """``PipelineExecutionService``."""

    def __init__(
        self, modules: dict[str, ModuleType], token: str | None, runs_pipelines: bool
    ) -> None:
        self.runs_pipelines = runs_pipelines
        self.common = modules["common_pb2"]
        self.execution = modules["execution_pb2"]
        self.token = token
        self.protocol = "v1"
        self.runtime = "0.2.0"
        self.metadata: list[tuple[str, str]] = []

    async def check(self, context: Context) -> None:
        self.metadata = [(key, value) for key, value in context.invocation_metadata()]
        given = dict(self.metadata).get("authorization")
        if self.token is not None and given != f"Bearer {self.token}":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "token missing")

    async def GetVersion(self, request: Message, context: Context) -> Message:  # noqa: N802
        await self.check(context)
        return self.execution.VersionResponse(
            version_info=self.common.VersionInfo(
                protocol_version=self.protocol,
                runtime_version=self.runtime,
                supported_node_types=["CalculatorNode", "PassThrough"],
                supported_protocols=[self.protocol],
            ),
            compatible=request.client_version == self.protocol,
            compatibility_message=f"this service speaks {self.protocol}",
        )

    async def ExecutePipeline(self, request: Message, context: Context) -> Message:  # noqa: N802
        await self.check(context)
        result = self.execution.ExecutionResult(
            metrics=self.common.ExecutionMetrics(wall_time_ms=0.5),
            status=self.common.EXECUTION_STATUS_SUCCESS,
        )
        for node in request.manifest.nodes if self.runs_pipelines else ():
            if node.node_type == "PassThrough":
                for node_id, buffer in request.audio_inputs.items():
                    result.audio_outputs[node_id].CopyFrom(buffer)
            elif node.node_type == "CalculatorNode":
                params = json.loads(node.params)
                value = json.loads(request.data_inputs[node.id])
                if params["operation"] == "divide" and params["operand"] == 0:
                    await context.abort(
                        grpc.StatusCode.INTERNAL, f"Node {node.id}: division by zero"
                    )
                answer = OPERATIONS[params["operation"]](value, params["operand"])
                result.data_outputs[node.id] = json.dumps(answer)
            else:
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"unknown node type {node.node_type!r}",
                )
        return self.execution.ExecuteResponse(result=result)


class Streaming:
    """``StreamingPipelineService``, which echoes each chunk as ``output``."""

    def __init__(self, modules: dict[str, ModuleType], execution: Execution) -> None:
        self.streaming = modules["streaming_pb2"]
        self.common = modules["common_pb2"]
        self.execution = execution
        self.running = 0
        self.timestamps_ms: list[int] = []

    async def StreamPipeline(  # noqa: N802
        self, requests: AsyncIterator[Message], context: Context
    ) -> AsyncIterator[Message]:
        await self.execution.check(context)
        self.running += 1
        try:
            async for response in self._session(requests):
                yield response
        finally:
            self.running -= 1

    async def _session(
        self, requests: AsyncIterator[Message]
    ) -> AsyncIterator[Message]:
        respond = self.streaming.StreamResponse
        samples = 0
        count = 0
        async for request in requests:
            kind = request.WhichOneof("request")
            if kind == "init":
                unknown = [
                    node.node_type
                    for node in request.init.manifest.nodes
                    if node.node_type != "PassThrough"
                ]
                if unknown and self.execution.runs_pipelines:
                    yield respond(
                        error=self.common.ErrorResponse(
                            error_type=self.common.ERROR_TYPE_INTERNAL,
                            message=f"Validation error: unknown node type {unknown[0]}",
                        )
                    )
                    return
                yield respond(
                    ready=self.streaming.StreamReady(
                        session_id="core-1", recommended_chunk_size=1600
                    )
                )
            elif kind == "audio_chunk":
                chunk = request.audio_chunk
                self.timestamps_ms.append(chunk.timestamp_ms)
                count += 1
                samples += chunk.buffer.num_samples
                yield respond(
                    result=self.streaming.ChunkResult(
                        sequence=chunk.sequence,
                        audio_outputs={"output": chunk.buffer},
                        processing_time_ms=0.1,
                        total_samples_processed=samples,
                    )
                )
                if count % 10 == 0:
                    yield respond(
                        metrics=self.streaming.StreamMetrics(
                            session_id="core-1", chunks_processed=count
                        )
                    )
            else:
                yield respond(
                    closed=self.streaming.StreamClosed(
                        session_id="core-1",
                        final_metrics=self.common.ExecutionMetrics(wall_time_ms=1.0),
                        reason="client",
                    )
                )
                return


class CoreServer:
    """A running server: its address, and its services with what they recorded."""

    def __init__(
        self, address: str, execution: Execution, streaming: Streaming
    ) -> None:
        self.address = address
        self.execution = execution
        self.streaming = streaming


@asynccontextmanager
async def serve(
    modules: dict[str, ModuleType],
    *,
    token: str | None = None,
    runs_pipelines: bool = True,
    compression: grpc.Compression = grpc.Compression.NoCompression,
) -> AsyncIterator[CoreServer]:
    """Run the server on a free port of the loopback interface.

    Args:
        modules: the code of plain protoc.
        token: the bearer token of every call; None for no check.
        runs_pipelines: False for a server that executes pipelines without any output,
            and echoes the chunks of a stream whatever the types of its nodes.
        compression: how responses are compressed, for clients that accept it.
    """
    server = grpc.aio.server(compression=compression)
    execution = Execution(modules, token, runs_pipelines)
    streaming = Streaming(modules, execution)
    modules["execution_pb2_grpc"].add_PipelineExecutionServiceServicer_to_server(
        execution, server
    )
    modules["streaming_pb2_grpc"].add_StreamingPipelineServiceServicer_to_server(
        streaming, server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield CoreServer(f"127.0.0.1:{port}", execution, streaming)
    finally:
        await server.stop(grace=None)
