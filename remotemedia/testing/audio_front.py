"""The front end of the audio contract: the messages of ``remotemedia.v1``.

Data is JSON, and travels as its text. An execution that fails ends with a gRPC status,
and a session with an error whose text says what kind it is.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING

from betterproto import Message
from grpclib.exceptions import GRPCError

from remotemedia import manifest as manifests
from remotemedia.errors import RemoteMediaError
from remotemedia.session import Event
from remotemedia.testing.descriptors import FILES
from remotemedia.testing.execution import Engine
from remotemedia.testing.failures import invalid, to_status, to_stream_response
from remotemedia.testing.front import (
    ChunkOutput,
    Front,
    PipelineRequest,
    Servable,
    StreamFront,
)
from remotemedia.testing.limits import MAX_REQUEST_BYTES
from remotemedia.testing.node import is_array
from remotemedia.testing.pipeline import NodeInput
from remotemedia.testing.streaming import converse
from remotemedia.v1 import (
    AudioBuffer,
    ChunkResult,
    ErrorResponse,
    ExecuteRequest,
    ExecuteResponse,
    ExecutionResult,
    PipelineExecutionServiceBase,
    PipelineManifest,
    ResourceLimits,
    StreamControlCommand,
    StreamingPipelineServiceBase,
    StreamRequest,
    StreamResponse,
    VersionRequest,
    VersionResponse,
)

if TYPE_CHECKING:
    from remotemedia.testing.node import Data, NodeType
    from remotemedia.testing.reflection import DescribedFile

_RUNTIME_VERSION = "0.2.0"

_COMMANDS = {
    StreamControlCommand.COMMAND_CLOSE: Event.CLOSE,
    StreamControlCommand.COMMAND_CANCEL: Event.CANCEL,
}


class JsonText:
    """Data is JSON, and leaves as text."""

    def take(self, data: Data) -> Data:
        """Refuse what only the data contract has.

        Raises:
            TypeError: it is a message, an array or bytes.
        """
        if isinstance(data, (Message, bytes)) or is_array(data):
            raise TypeError(
                f"it returned {type(data).__name__}, which the audio contract cannot "
                "carry; it has audio and JSON. LocalService(contract='data') has more"
            )
        return data

    def encode(self, data: Data) -> str:
        """Return the JSON text.

        Raises:
            TypeError: JSON cannot say it.
            ValueError: JSON cannot say it.
        """
        return json.dumps(data, allow_nan=False)


class Execution(PipelineExecutionServiceBase):
    """Describes the service, and executes pipelines."""

    def __init__(self, engine: Engine[str]) -> None:
        self._engine = engine

    async def get_version(self, request: VersionRequest, /) -> VersionResponse:
        """Describe the service."""
        return self._engine.version(request.client_version, _RUNTIME_VERSION)

    async def execute_pipeline(self, request: ExecuteRequest, /) -> ExecuteResponse:
        """Execute a pipeline; a failure becomes a gRPC status."""
        try:
            executed = await self._engine.execute(
                PipelineRequest(
                    request.manifest,
                    node_inputs(request.audio_inputs, request.data_inputs),
                    request.resource_limits,
                    request.client_version,
                )
            )
        except RemoteMediaError as error:
            raise GRPCError(*to_status(error)) from error
        return ExecuteResponse(
            result=ExecutionResult(
                audio_outputs=executed.outputs.audio,
                data_outputs=executed.outputs.data,
                metrics=executed.metrics,
                node_results=executed.node_results,
                status=executed.status,
            )
        )


class Streaming(StreamingPipelineServiceBase):
    """Runs pipelines chunk by chunk."""

    def __init__(self, engine: Engine[str], idle_timeout: float) -> None:
        self._engine = engine
        self._idle_timeout = idle_timeout

    def stream_pipeline(
        self, requests: AsyncIterator[StreamRequest], /
    ) -> AsyncGenerator[StreamResponse, None]:
        """Serve one session."""
        return converse(requests, AudioStream(), self._engine, self._idle_timeout)


class AudioStream(StreamFront[StreamRequest, StreamResponse, str]):
    """Reads and writes the messages of one session."""

    def event(self, request: StreamRequest) -> tuple[Event, int]:
        """What a message of the client is, and the number of its chunk, or 0."""
        field = request.which_oneof("request")
        if field == "control":
            return _COMMANDS.get(request.control.command, Event.NOTHING), 0
        if field == "audio_chunk":
            return Event.CHUNK, request.audio_chunk.sequence
        return Event.INIT if field == "init" else Event.NOTHING, 0

    def opening(self, request: StreamRequest) -> PipelineRequest:
        """Read an init."""
        init = request.init
        return PipelineRequest(
            init.manifest,
            node_inputs({}, init.data_inputs),
            init.resource_limits,
            init.client_version,
        )

    def chunk(self, request: StreamRequest) -> Mapping[str, NodeInput]:
        """Read a chunk."""
        chunk = request.audio_chunk
        return {chunk.node_id: NodeInput(chunk.buffer)}

    def loading(self, manifest: PipelineManifest) -> Iterator[StreamResponse]:
        """Say nothing: the contract has no such messages."""
        return iter(())

    def result(self, output: ChunkOutput[str]) -> StreamResponse:
        """Make the message of a result."""
        return StreamResponse(
            result=ChunkResult(
                sequence=output.sequence,
                audio_outputs=output.outputs.audio,
                data_outputs=output.outputs.data,
                processing_time_ms=output.processing_time_ms,
                total_samples_processed=output.total_samples,
            )
        )

    def response(self, response: StreamResponse) -> StreamResponse:
        """Send it as it is."""
        return response

    def error(self, error: RemoteMediaError) -> StreamResponse:
        """Make the message that ends a session."""
        return StreamResponse(error=to_stream_response(error))


class AudioFront(Front):
    """The audio contract, as the service speaks it."""

    max_request_bytes: int = MAX_REQUEST_BYTES
    files: Mapping[str, DescribedFile] = FILES

    def services(
        self,
        node_types: Mapping[str, NodeType],
        limits: ResourceLimits,
        idle_timeout: float,
    ) -> tuple[Servable, ...]:
        """Make the services of the contract."""
        engine = Engine(node_types, limits, JsonText())
        return Execution(engine), Streaming(engine, idle_timeout)

    def execution_error(self, error: RemoteMediaError) -> ExecuteResponse:
        """Make the response that reports an error of an execution in its message."""
        return ExecuteResponse(
            error=ErrorResponse(
                error_type=error.error_type,
                message=error.message,
                failing_node_id=error.failing_node_id,
            )
        )

    def stream_error(self, error: RemoteMediaError) -> StreamResponse:
        """Make the response that reports an error of a session in its message."""
        return AudioStream().error(error)


def node_inputs(
    audio: Mapping[str, AudioBuffer], data: Mapping[str, str]
) -> dict[str, NodeInput]:
    """What each node gets.

    Args:
        audio: audio by node id.
        data: JSON text by node id.

    Raises:
        RemoteMediaError: VALIDATION, if a text is not valid JSON.
    """
    values = {node_id: _parse(node_id, text) for node_id, text in data.items()}
    return {
        node_id: NodeInput(audio.get(node_id), values.get(node_id))
        for node_id in {**audio, **values}
    }


def _parse(node_id: str, text: str) -> Data:
    try:
        data: Data = manifests.parse_json(text)
    except ValueError as error:
        raise invalid(
            f"data_inputs[{node_id!r}] is not valid JSON: {error}", node_id
        ) from error
    return data
