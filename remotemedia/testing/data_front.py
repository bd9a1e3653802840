"""The front end of the data contract: the messages of ``remotemedia.data_v1``.

An output is one ``DataBuffer``, which holds one kind of value. JSON that a node returns
together with audio travels in the audio's own metadata, ``AudioBuffer.metadata_json``;
so does JSON that a client sends together with audio.

Failures are reported in messages, with their type. A session first reports how its
nodes load, in results with the name ``_status``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING

import betterproto

from remotemedia import manifest as manifests
from remotemedia import v1
from remotemedia.contracts.values import (
    from_wire_audio,
    recast,
    to_buffer,
    to_wire_audio,
)
from remotemedia.data_v1 import (
    BinaryBuffer,
    ChunkResult,
    Command,
    DataBuffer,
    DataTypeHint,
    ErrorResponse,
    ErrorType,
    ExecuteRequest,
    ExecuteResponse,
    ExecutionMetrics,
    ExecutionResult,
    ExecutionStatus,
    JsonData,
    NodeResult,
    NumpyBuffer,
    PipelineExecutionServiceBase,
    PipelineManifest,
    StreamingPipelineServiceBase,
    StreamRequest,
    StreamResponse,
    TextBuffer,
    VersionRequest,
    VersionResponse,
)
from remotemedia.errors import RemoteMediaError
from remotemedia.session import Event
from remotemedia.testing.data_descriptors import FILES
from remotemedia.testing.execution import Engine
from remotemedia.testing.failures import invalid
from remotemedia.testing.front import (
    ChunkOutput,
    Front,
    PipelineRequest,
    Servable,
    StreamFront,
)
from remotemedia.testing.limits import MAX_DATA_REQUEST_BYTES
from remotemedia.testing.node import NodeOutput, WrongKindError, is_array
from remotemedia.testing.pipeline import NodeInput, Outputs
from remotemedia.testing.streaming import converse

if TYPE_CHECKING:
    from remotemedia.testing.node import Data, NodeType
    from remotemedia.testing.reflection import DescribedFile


_RUNTIME_VERSION = "0.4.0"
_STATUS = "_status"

_COMMANDS = {Command.CLOSE: Event.CLOSE, Command.CANCEL: Event.CANCEL}

# The hint for each kind of a `DataBuffer`. An array of numpy's is a tensor.
_HINTS = {
    "audio": DataTypeHint.AUDIO,
    "video": DataTypeHint.VIDEO,
    "tensor": DataTypeHint.TENSOR,
    "numpy": DataTypeHint.TENSOR,
    "json": DataTypeHint.JSON,
    "text": DataTypeHint.TEXT,
    "binary": DataTypeHint.BINARY,
    "file": DataTypeHint.FILE,
}


class Buffers:
    """Data is JSON or a message that a ``DataBuffer`` holds, and leaves as one."""

    def take(self, data: Data) -> Data:
        """Make messages of arrays and bytes, and check messages.

        Raises:
            TypeError: the contract has no such kind of data.
            ValueError: the data is not valid.
        """
        if isinstance(data, bytes):
            return BinaryBuffer(data=data)
        if is_array(data):
            return NumpyBuffer.from_numpy(data)
        if isinstance(data, betterproto.Message):
            to_buffer(data, "the output")
        return data

    def encode(self, data: Data) -> DataBuffer:
        """Return the buffer.

        Raises:
            TypeError: JSON cannot say it.
            ValueError: JSON cannot say it.
        """
        if isinstance(data, betterproto.Message):
            return to_buffer(data, "the output")
        return DataBuffer(json=JsonData(json_payload=json.dumps(data, allow_nan=False)))


class Execution(PipelineExecutionServiceBase):
    """Describes the service, and executes pipelines."""

    def __init__(self, engine: Engine[DataBuffer]) -> None:
        self._engine = engine

    async def get_version(self, request: VersionRequest, /) -> VersionResponse:
        """Describe the service."""
        version = self._engine.version(request.client_version, _RUNTIME_VERSION)
        return recast(version, VersionResponse)

    async def execute_pipeline(self, request: ExecuteRequest, /) -> ExecuteResponse:
        """Execute a pipeline; a failure becomes an error in the response."""
        try:
            return ExecuteResponse(result=await self._execute(request))
        except RemoteMediaError as error:
            return ExecuteResponse(error=to_error(error))

    async def _execute(self, request: ExecuteRequest) -> ExecutionResult:
        executed = await self._engine.execute(
            PipelineRequest(
                recast(request.manifest, v1.PipelineManifest),
                Reader(request.manifest).inputs(request.data_inputs),
                recast(request.resource_limits, v1.ResourceLimits),
                request.client_version,
            )
        )
        return ExecutionResult(
            data_outputs=to_buffers(executed.outputs),
            metrics=recast(executed.metrics, ExecutionMetrics),
            node_results=[recast(each, NodeResult) for each in executed.node_results],
            status=ExecutionStatus.try_value(executed.status),
        )


class Streaming(StreamingPipelineServiceBase):
    """Runs pipelines chunk by chunk."""

    def __init__(self, engine: Engine[DataBuffer], idle_timeout: float) -> None:
        self._engine = engine
        self._idle_timeout = idle_timeout

    def stream_pipeline(
        self, requests: AsyncIterator[StreamRequest], /
    ) -> AsyncGenerator[StreamResponse, None]:
        """Serve one session."""
        return converse(requests, DataStream(), self._engine, self._idle_timeout)


class DataStream(StreamFront[StreamRequest, StreamResponse, DataBuffer]):
    """Reads and writes the messages of one session."""

    def __init__(self) -> None:
        self._reader = Reader(PipelineManifest())

    def event(self, request: StreamRequest) -> tuple[Event, int]:
        """What a message of the client is, and the number of its chunk, or 0."""
        field = request.which_oneof("request")
        if field == "control":
            return _COMMANDS.get(request.control.command, Event.NOTHING), 0
        if field == "data_chunk":
            return Event.CHUNK, request.data_chunk.sequence
        if field == "audio_chunk":
            return Event.CHUNK, request.audio_chunk.sequence
        return Event.INIT if field == "init" else Event.NOTHING, 0

    def opening(self, request: StreamRequest) -> PipelineRequest:
        """Read an init.

        Raises:
            RemoteMediaError: VALIDATION, if the inputs are not valid.
        """
        init = request.init
        self._reader = Reader(init.manifest)
        return PipelineRequest(
            recast(init.manifest, v1.PipelineManifest),
            self._reader.inputs(init.data_inputs),
            recast(init.resource_limits, v1.ResourceLimits),
            init.client_version,
        )

    def chunk(self, request: StreamRequest) -> Mapping[str, NodeInput]:
        """Read a chunk, in its newer or its older form.

        Raises:
            RemoteMediaError: VALIDATION, if the input is not valid.
        """
        if request.which_oneof("request") == "audio_chunk":
            old = request.audio_chunk
            return self._reader.inputs({old.node_id: DataBuffer(audio=old.buffer)})
        chunk = request.data_chunk
        if not chunk.named_buffers:
            return self._reader.inputs({chunk.node_id: chunk.buffer})
        named = {
            name: self._reader.value(chunk.node_id, buffer)
            for name, buffer in chunk.named_buffers.items()
        }
        return {chunk.node_id: NodeInput(named=named)}

    def loading(self, manifest: v1.PipelineManifest) -> Iterator[StreamResponse]:
        """Say of each node that it is ready."""
        for number, node in enumerate(manifest.nodes, 1):
            text = (
                f"[{node.id}] status=idle message={node.node_type} ready "
                f"({number}/{len(manifest.nodes)})"
            )
            report = DataBuffer(text=TextBuffer.from_text(text))
            yield StreamResponse(result=ChunkResult(data_outputs={_STATUS: report}))

    def result(self, output: ChunkOutput[DataBuffer]) -> StreamResponse:
        """Make the message of a result.

        Raises:
            RemoteMediaError: NODE_EXECUTION, if one buffer cannot hold an output.
        """
        return StreamResponse(
            result=ChunkResult(
                sequence=output.sequence,
                data_outputs=to_buffers(output.outputs),
                processing_time_ms=output.processing_time_ms,
                total_items_processed=output.total_samples,
            )
        )

    def response(self, response: v1.StreamResponse) -> StreamResponse:
        """Send it as the data contract has it, with the same fields."""
        return recast(response, StreamResponse)

    def error(self, error: RemoteMediaError) -> StreamResponse:
        """Make the message that ends a session."""
        return StreamResponse(error=to_error(error))


class DataFront(Front):
    """The data contract, as the service speaks it."""

    max_request_bytes: int = MAX_DATA_REQUEST_BYTES
    files: Mapping[str, DescribedFile] = FILES

    def services(
        self,
        node_types: Mapping[str, NodeType],
        limits: v1.ResourceLimits,
        idle_timeout: float,
    ) -> tuple[Servable, ...]:
        """Make the services of the contract."""
        engine = Engine(node_types, limits, Buffers())
        return Execution(engine), Streaming(engine, idle_timeout)

    def execution_error(self, error: RemoteMediaError) -> ExecuteResponse:
        """Make the response that reports an error of an execution in its message."""
        return ExecuteResponse(error=to_error(error))

    def stream_error(self, error: RemoteMediaError) -> StreamResponse:
        """Make the response that reports an error of a session in its message."""
        return StreamResponse(error=to_error(error))


class Reader:
    """Reads inputs, and checks them by what the nodes of a manifest say they take."""

    def __init__(self, manifest: PipelineManifest) -> None:
        self._takes = {node.id: set(node.input_types) for node in manifest.nodes}

    def inputs(self, buffers: Mapping[str, DataBuffer]) -> dict[str, NodeInput]:
        """What each node gets of one buffer.

        Raises:
            RemoteMediaError: VALIDATION, as ``value``.
        """
        values = {
            node_id: self.value(node_id, buffer) for node_id, buffer in buffers.items()
        }
        return {
            node_id: NodeInput(value.audio, value.data)
            for node_id, value in values.items()
        }

    def value(self, node_id: str, buffer: DataBuffer) -> NodeOutput:
        """What is in a buffer. Audio is checked later, as on the audio contract.

        Raises:
            RemoteMediaError: VALIDATION, if there is nothing in it, or nothing valid,
                or a kind that the node does not take.
        """
        kind = buffer.which_oneof("data_type")
        where = f"the {kind or 'data'} for node {node_id!r}"
        self._check_kind(kind, where, node_id)
        try:
            if kind == "audio":
                beside = buffer.audio.metadata_json
                data = None if beside is None else _parse(beside, where)
                return NodeOutput(from_wire_audio(buffer.audio), data)
            if kind == "json":
                return NodeOutput(data=_parse(buffer.json.json_payload, where))
            to_buffer(buffer, where)
        except (TypeError, ValueError) as error:
            raise invalid(str(error), node_id) from error
        return NodeOutput(data=getattr(buffer, kind))

    def _check_kind(self, kind: str, where: str, node_id: str) -> None:
        takes = self._takes.get(node_id, set()) - {DataTypeHint.UNSPECIFIED}
        if kind in _HINTS and takes and not takes & {_HINTS[kind], DataTypeHint.ANY}:
            names = ", ".join(sorted(str(hint.name) for hint in takes))
            wrong = WrongKindError(f"{where}: the manifest says that it takes {names}")
            raise invalid(str(wrong), node_id) from wrong


def to_buffers(outputs: Outputs[DataBuffer]) -> dict[str, DataBuffer]:
    """One buffer for each output.

    Raises:
        RemoteMediaError: NODE_EXECUTION, if a node returned audio, and with it anything
            but JSON.
    """
    buffers = dict(outputs.data)
    for node_id, audio in outputs.audio.items():
        wire = to_wire_audio(audio)
        beside = outputs.data.get(node_id)
        if beside is not None:
            kind = beside.which_oneof("data_type")
            if kind != "json":
                raise RemoteMediaError(
                    f"it returned audio and {kind}; an output of the data contract is "
                    "one of them, or audio and JSON",
                    error_type=v1.ErrorType.NODE_EXECUTION,
                    failing_node_id=node_id,
                )
            wire.metadata_json = beside.json.json_payload.encode()
        buffers[node_id] = DataBuffer(audio=wire)
    return buffers


def to_error(error: RemoteMediaError) -> ErrorResponse:
    """The message that reports an error, with its type."""
    error_type = ErrorType.try_value(error.error_type)
    if isinstance(error.__cause__, WrongKindError):
        error_type = ErrorType.TYPE_VALIDATION
    return ErrorResponse(
        error_type=error_type,
        message=error.message,
        failing_node_id=error.failing_node_id,
        context=error.context,
    )


def _parse(text: str | bytes, where: str) -> Data:
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        data: Data = manifests.parse_json(decoded)
    except ValueError as error:
        raise ValueError(f"{where} is not valid JSON: {error}") from error
    return data
