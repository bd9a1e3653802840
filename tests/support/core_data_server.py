"""The service of April 2026 on grpcio's C core: the data contract, traps included.

It shares no line with the library. Its messages are Google's, made at run time in a
pool of their own, since those of the audio contract have the same names. Nodes and
pipelines stand in ``core_data_nodes``.

What the service is known for, and this one does as well: an execution uses one input,
reads audio as F32, and is never answered if the pipeline produces nothing. A stream
reports loading in results before it is ready, and says nothing of chunks for unknown
nodes and of nodes that fail. An error leaves the call open, and what was not processed
when the client closes is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from conformance import oracle
from tests.support.core_data_nodes import (
    InvalidPipeline,
    NodeFailed,
    Pipeline,
    seen_inside,
)

# Messages of Google's protobuf and contexts of grpcio, which have no types here.
Message = Any
Context = Any

PACKAGE = "remotemedia.v1"
EXECUTION = f"{PACKAGE}.PipelineExecutionService"
STREAMING = f"{PACKAGE}.StreamingPipelineService"
MOST_BYTES = 10 * 1024 * 1024

VALIDATION, NODE_EXECUTION = 1, 2  # ErrorType


@cache
def data_types() -> SimpleNamespace:
    """Return Google's classes of the data contract, by name."""
    google = oracle.load(oracle.DATA_CONTRACT)
    names = [descriptor.name for descriptor in google.descriptors(PACKAGE)]
    return SimpleNamespace(
        **{name: google.message(f"{PACKAGE}.{name}") for name in names}
    )


@dataclass
class Behaviour:
    """What tests choose.

    Attributes:
        version: the version of the runtime that the service states.
        token: the bearer token of executions; None for no check. Nothing else is
            checked, as the service does it.
        gives_up_s: when an execution without an output is given up.
        work_s: how long after its receipt a chunk is processed. What is not processed
            when the client closes or half-closes is lost.
        error_at_chunk: the number of the chunk that is answered by an error.
    """

    version: str = "0.4.0"
    token: str | None = None
    gives_up_s: float = 60.0
    work_s: float = 0.0
    error_at_chunk: int | None = None


class CoreDataServer:
    """A running server: its address, and what it received.

    Attributes:
        executions: the requests of executions.
        chunks: the chunks of all streams.
        processed: the numbers of the chunks that a pipeline has processed.
        metadata: the metadata of the last call.
        running: how many streams are open.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.address = ""
        self.behaviour = behaviour
        self.types = data_types()
        self.executions: list[Message] = []
        self.chunks: list[Message] = []
        self.processed: list[int] = []
        self.metadata: dict[str, str] = {}
        self.running = 0

    # -- PipelineExecutionService

    async def get_version(self, data: bytes, context: Context) -> Message:
        await self._decoded(self.types.VersionRequest, data, context)
        return self.types.VersionResponse(
            version_info=self.types.VersionInfo(
                protocol_version="v1",
                runtime_version=self.behaviour.version,
                supported_protocols=["v1"],
                build_timestamp="unknown",
            ),
            compatible=True,
            compatibility_message="Compatible",
        )

    async def execute_pipeline(self, data: bytes, context: Context) -> Message:
        self.metadata = dict(context.invocation_metadata())
        token = self.behaviour.token
        if (
            token is not None
            and self.metadata.get("authorization") != f"Bearer {token}"
        ):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid auth token")
        request = await self._decoded(self.types.ExecuteRequest, data, context)
        self.executions.append(request)
        try:
            outputs = list(self._executed(request))
        except InvalidPipeline as error:
            return self._failed(NODE_EXECUTION, str(error))
        except NodeFailed as error:
            return self._failed(NODE_EXECUTION, f"Node execution failed: {error}")
        except ValueError as error:
            return self._failed(VALIDATION, str(error))
        if not outputs:
            await asyncio.sleep(self.behaviour.gives_up_s)
            await context.abort(grpc.StatusCode.CANCELLED, "Timeout expired")
        return self.types.ExecuteResponse(
            result=self.types.ExecutionResult(
                data_outputs={"output": outputs[-1]},
                metrics=self.types.ExecutionMetrics(wall_time_ms=0.5),
                status=1,
            )
        )

    def _executed(self, request: Message) -> Iterator[Message]:
        pipeline = Pipeline(self.types, request.manifest)
        if not request.data_inputs:
            raise ValueError("No input provided in data_inputs")
        # One of them; which one depends on a hash in the service.
        buffer = request.data_inputs[max(request.data_inputs)]
        if buffer.WhichOneof("data_type") in (None, "control"):
            raise ValueError("Unsupported data type for input")
        read = seen_inside(self.types, buffer, is_unary=True)
        for source in pipeline.sources:
            for _, made in pipeline.feed(source, read):
                yield made

    def _failed(self, error_type: int, text: str) -> Message:
        return self.types.ExecuteResponse(
            error=self.types.ErrorResponse(error_type=error_type, message=text)
        )

    # -- StreamingPipelineService

    async def stream_pipeline(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[Message]:
        self.metadata = dict(context.invocation_metadata())
        self.running += 1
        try:
            async for response in _Stream(self, context).run(requests):
                yield response
        finally:
            self.running -= 1

    async def _decoded(self, cls: Any, data: bytes, context: Context) -> Message:
        """Decode a request as the service does, or end the call as it does."""
        if len(data) > MOST_BYTES:
            await context.abort(
                grpc.StatusCode.OUT_OF_RANGE,
                f"Error, decoded message length too large: found {len(data)} bytes, "
                f"the limit is: {MOST_BYTES} bytes",
            )
        try:
            message = cls.FromString(data)
        except DecodeError:
            message = None
        if message is None or has_other_types(message):
            await context.abort(
                grpc.StatusCode.INTERNAL,
                f"failed to decode Protobuf message: {cls.DESCRIPTOR.name}: invalid "
                "wire type: Varint (expected LengthDelimited)",
            )
        return message


class _Stream:
    """One session."""

    def __init__(self, server: CoreDataServer, context: Context) -> None:
        self.server = server
        self.types = server.types
        self.context = context
        self.pipeline: Pipeline | None = None
        self.responses: asyncio.Queue[Message | None] = asyncio.Queue()
        self.work: set[asyncio.TimerHandle] = set()

    async def run(self, requests: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        reading = asyncio.create_task(self._read(requests))
        try:
            while (response := await self.responses.get()) is not None:
                yield response
            await reading
        finally:
            reading.cancel()
            self._drop_work()

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        try:
            async for data in requests:
                request = await self.server._decoded(
                    self.types.StreamRequest, data, self.context
                )
                if not self._take(request):
                    break
        finally:
            self._drop_work()
            self.responses.put_nowait(None)

    def _take(self, request: Message) -> bool:
        """Take a request; return whether there may be more."""
        kind = request.WhichOneof("request")
        if kind == "init":
            return self._init(request.init.manifest)
        if self.pipeline is None:
            self._error(VALIDATION, "Stream not initialized")
            return False
        if kind == "control":
            self._drop_work()
            what = {1: "close", 2: "cancel"}.get(request.control.command)
            if what is not None:
                self._send(
                    closed=self.types.StreamClosed(
                        session_id="core-1",
                        final_metrics=self.types.ExecutionMetrics(wall_time_ms=1.0),
                        reason=f"Client requested {what}",
                    )
                )
            return what is None
        chunk = self.types.DataChunk()
        if kind == "audio_chunk":
            # The older message, which is still understood.
            old = request.audio_chunk
            chunk.node_id, chunk.sequence = old.node_id, old.sequence
            chunk.buffer.audio.CopyFrom(old.buffer)
        elif kind == "data_chunk":
            chunk.CopyFrom(request.data_chunk)
        self._chunk(chunk)
        return True

    def _init(self, manifest: Message) -> bool:
        if self.pipeline is not None:
            self._error(VALIDATION, "Stream already initialized")
            return True
        try:
            pipeline = Pipeline(self.types, manifest)
        except InvalidPipeline as error:
            self._error(NODE_EXECUTION, str(error))
            return False
        count = len(manifest.nodes)
        for number, node in enumerate(manifest.nodes, 1):
            for status, text in (("loading", "initializing"), ("idle", "ready")):
                self._result(
                    0,
                    "_status",
                    self.types.DataBuffer(
                        text=self.types.TextBuffer(
                            text_data=f"[{node.id}] status={status} message="
                            f"{node.node_type} {text} ({number}/{count})".encode()
                        )
                    ),
                )
        self.pipeline = pipeline
        self._send(
            ready=self.types.StreamReady(
                session_id="core-1",
                recommended_chunk_size=4096,
                max_buffer_latency_ms=100,
            )
        )
        return True

    def _chunk(self, chunk: Message) -> None:
        number = len(self.server.chunks)
        self.server.chunks.append(chunk)
        behaviour = self.server.behaviour
        if number == behaviour.error_at_chunk:
            self._error(NODE_EXECUTION, "the session cannot go on")
        elif behaviour.work_s:
            loop = asyncio.get_running_loop()
            self.work.add(loop.call_later(behaviour.work_s, self._process, chunk))
        else:
            self._process(chunk)

    def _process(self, chunk: Message) -> None:
        pipeline = self.pipeline
        if pipeline is None or chunk.node_id not in pipeline.nodes:
            return
        self.server.processed.append(chunk.sequence)
        buffer = chunk.buffer
        if buffer.WhichOneof("data_type") in (None, "control"):
            return
        read = seen_inside(self.types, buffer, is_unary=False)
        try:
            for name, made in pipeline.feed(chunk.node_id, read):
                self._result(chunk.sequence, name, made)
        except NodeFailed:
            # The service says nothing, and goes on.
            return

    def _drop_work(self) -> None:
        for handle in self.work:
            handle.cancel()
        self.work.clear()

    def _result(self, sequence: int, name: str, buffer: Message) -> None:
        self._send(
            result=self.types.ChunkResult(
                sequence=sequence, data_outputs={name: buffer}
            )
        )

    def _error(self, error_type: int, text: str) -> None:
        self._send(error=self.types.ErrorResponse(error_type=error_type, message=text))

    def _send(self, **response: Message) -> None:
        self.responses.put_nowait(self.types.StreamResponse(**response))


def has_other_types(message: Message) -> bool:
    """Whether a field was sent as another type, which Google's takes for unknown.

    The service's parser refuses it, which is how a request of the audio contract fails.
    """
    known = message.DESCRIPTOR.fields_by_number
    unknown: Any = UnknownFieldSet(message)
    if any(field.field_number in known for field in unknown):
        return True
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            is_message = field.message_type.fields_by_name["value"].message_type
            inner = list(value.values()) if is_message else []
        else:
            inner = list(value) if field.is_repeated else [value]
        if any(map(has_other_types, inner)):
            return True
    return False


def handlers(server: CoreDataServer) -> list[grpc.GenericRpcHandler]:
    """Return the services, which decode requests themselves, to fail as they should."""

    def encode(message: Message) -> bytes:
        data: bytes = message.SerializeToString()
        return data

    def unary(method: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(method, None, encode)

    methods = {
        EXECUTION: {
            "ExecutePipeline": unary(server.execute_pipeline),
            "GetVersion": unary(server.get_version),
        },
        STREAMING: {
            "StreamPipeline": grpc.stream_stream_rpc_method_handler(
                server.stream_pipeline, None, encode
            )
        },
    }
    return [
        grpc.method_handlers_generic_handler(service, table)
        for service, table in methods.items()
    ]


@asynccontextmanager
async def serve(behaviour: Behaviour | None = None) -> AsyncIterator[CoreDataServer]:
    """Run the server on a free port of the loopback interface."""
    data = CoreDataServer(behaviour or Behaviour())
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers(handlers(data))
    data.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield data
    finally:
        await server.stop(grace=None)
