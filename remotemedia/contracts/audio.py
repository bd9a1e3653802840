"""The audio contract: the messages of October 2025, in ``remotemedia.v1``.

The facade speaks these messages, so there is little to turn into anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remotemedia.contracts.contract import ContractName
from remotemedia.contracts.inputs import (
    audio_inputs_of,
    checked_limits,
    data_inputs_of,
)
from remotemedia.grpc import (
    DEFAULT_MAX_SEND_BYTES,
)
from remotemedia.manifest import VERSION, AnyManifest, ManifestSource, to_manifest
from remotemedia.session import Event, Payload, check_audio
from remotemedia.v1 import (
    AudioBuffer,
    AudioChunk,
    ChunkResult,
    ErrorResponse,
    ExecuteRequest,
    ExecuteResponse,
    ExecutionResult,
    PipelineExecutionServiceStub,
    PipelineManifest,
    ResourceLimits,
    StreamControl,
    StreamControlCommand,
    StreamingPipelineServiceStub,
    StreamInit,
    StreamRequest,
    StreamResponse,
)

_EVENTS = {
    "ready": Event.READY,
    "result": Event.RESULT,
    "error": Event.ERROR,
    "metrics": Event.METRICS,
    "closed": Event.CLOSED,
}
_COMMANDS = {
    Event.CLOSE: StreamControlCommand.COMMAND_CLOSE,
    Event.CANCEL: StreamControlCommand.COMMAND_CANCEL,
}


class AudioContract:
    """The adapter; its methods are described in ``contract.Contract``."""

    name: ContractName = "audio"
    other: ContractName = "data"
    execution_stub = PipelineExecutionServiceStub
    stream_stub = StreamingPipelineServiceStub
    # Every request is answered.
    max_execution_s: float | None = None
    settle_s: float = 0.0
    max_request_bytes: int = DEFAULT_MAX_SEND_BYTES

    def manifest(self, source: ManifestSource) -> PipelineManifest:
        """Check a manifest."""
        return to_manifest(source)

    def execute_request(
        self,
        manifest: ManifestSource,
        audio_inputs: Mapping[str, AudioBuffer] | None,
        data_inputs: Mapping[str, object] | None,
        limits: ResourceLimits | None,
    ) -> ExecuteRequest:
        """Make the request of an execution."""
        checked = to_manifest(manifest)
        request = ExecuteRequest(
            manifest=checked,
            audio_inputs=audio_inputs_of(checked, audio_inputs),
            data_inputs=data_inputs_of(checked, data_inputs),
            client_version=VERSION,
        )
        if limits is not None:
            request.resource_limits = checked_limits(limits)
        return request

    def error_of(self, response: ExecuteResponse) -> ErrorResponse | None:
        """Return the error in place of a result."""
        outcome = response.which_oneof("outcome")
        if outcome == "result":
            return None
        if outcome == "error":
            return response.error
        return ErrorResponse(
            message="the service answered with neither a result nor an error"
        )

    def result_of(self, response: ExecuteResponse) -> ExecutionResult:
        """Return the result."""
        return response.result

    def init_request(
        self,
        manifest: AnyManifest,
        data_inputs: Mapping[str, object] | None,
        expected_chunk_size: int,
        limits: ResourceLimits | None,
    ) -> StreamRequest:
        """Make the request that opens a session."""
        checked = to_manifest(manifest)
        init = StreamInit(
            manifest=checked,
            data_inputs=data_inputs_of(checked, data_inputs),
            client_version=VERSION,
            expected_chunk_size=expected_chunk_size,
        )
        if limits is not None:
            init.resource_limits = checked_limits(limits)
        return StreamRequest(init=init)

    def payload(self, value: object, where: str) -> Payload:
        """Check audio; this set carries nothing else on a stream."""
        buffer = check_audio(value, where)
        length_s = buffer.num_samples / buffer.channels / buffer.sample_rate
        return buffer, len(buffer.samples), length_s

    def chunk_request(
        self, node_id: str, content: AudioBuffer, sequence: int, timestamp_ms: int
    ) -> StreamRequest:
        """Make the request that sends a chunk."""
        return StreamRequest(
            audio_chunk=AudioChunk(
                node_id=node_id,
                buffer=content,
                sequence=sequence,
                timestamp_ms=timestamp_ms,
            )
        )

    def control_request(self, ending: Event) -> StreamRequest:
        """Make the request that ends a session."""
        return StreamRequest(control=StreamControl(command=_COMMANDS[ending]))

    def read(self, response: StreamResponse) -> tuple[Event, Any]:
        """Tell what a response is."""
        field = response.which_oneof("response")
        if not field:
            return Event.NOTHING, None
        return _EVENTS[field], getattr(response, field)

    def result_bytes(self, result: ChunkResult) -> int:
        """The size of a result."""
        return len(result)
