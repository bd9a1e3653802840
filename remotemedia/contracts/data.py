"""The data contract: the messages after October 2025, in ``remotemedia.data_v1``.

The facade speaks the types of the audio contract. What both contracts have in common is
turned into the other's class; values and results have modules of their own. What the
service of April 2026 does unexpectedly is dealt with here, as far as a client can.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from remotemedia import v1
from remotemedia.contracts.contract import ContractName
from remotemedia.contracts.inputs import audio_inputs_of, by_node, checked_limits
from remotemedia.contracts.results import ChunkResult, ExecutionResult
from remotemedia.contracts.values import error_of, recast, to_buffer, to_wire_audio
from remotemedia.data_v1 import (
    AudioFormat,
    Command,
    DataBuffer,
    DataChunk,
    ExecuteRequest,
    ExecuteResponse,
    PipelineExecutionServiceStub,
    PipelineManifest,
    ResourceLimits,
    StreamControl,
    StreamingPipelineServiceStub,
    StreamInit,
    StreamRequest,
    StreamResponse,
)
from remotemedia.data_v1 import ChunkResult as ChunkMessage
from remotemedia.errors import RemoteMediaError
from remotemedia.manifest import VERSION, AnyManifest, ManifestSource, to_manifest
from remotemedia.session import Event, Payload, check_audio

_STATUS = "_status"
"""The output by which a service reports how far it is with loading a pipeline."""

_COMMANDS = {Event.CLOSE: Command.CLOSE, Event.CANCEL: Command.CANCEL}

# What a DataBuffer and its AudioBuffer have beside the samples, at most.
_AUDIO_ENVELOPE_BYTES = 64


class DataContract:
    """The adapter; its methods are described in ``contract.Contract``."""

    name: ContractName = "data"
    other: ContractName = "audio"
    execution_stub = PipelineExecutionServiceStub
    stream_stub = StreamingPipelineServiceStub
    # A pipeline that produces nothing is never answered. The service gives up after a
    # minute; this is a little more.
    max_execution_s: float | None = 65.0
    # Chunks that the service receives just before it is told to close are lost now and
    # then, unless they have been answered.
    settle_s: float = 0.5
    max_request_bytes: int = 10 * 1024 * 1024

    def manifest(self, source: ManifestSource) -> PipelineManifest:
        """Check a manifest."""
        return to_manifest(source, PipelineManifest)

    def execute_request(
        self,
        manifest: ManifestSource,
        audio_inputs: Mapping[str, v1.AudioBuffer] | None,
        data_inputs: Mapping[str, object] | None,
        limits: v1.ResourceLimits | None,
    ) -> ExecuteRequest:
        """Make the request of an execution.

        The service reads audio as F32 there, whatever its format says.
        """
        checked = self.manifest(manifest)
        inputs = {
            node_id: DataBuffer(
                audio=to_wire_audio(buffer.to_format(v1.AudioFormat.F32))
            )
            for node_id, buffer in audio_inputs_of(checked, audio_inputs).items()
        }
        for node_id, buffer in _data_inputs_of(checked, data_inputs).items():
            if node_id not in inputs:
                inputs[node_id] = _as_f32(buffer)
            elif buffer.which_oneof("data_type") == "json":
                # One input for each node: what comes with audio travels in it.
                beside = buffer.json.json_payload.encode()
                inputs[node_id].audio.metadata_json = beside
                inputs[node_id].metadata = dict(buffer.metadata)
            else:
                raise RemoteMediaError(
                    f"node {node_id!r} is in audio_inputs and in data_inputs; on the "
                    "data contract a node has one input, or audio and JSON",
                    error_type=v1.ErrorType.VALIDATION,
                    failing_node_id=node_id,
                )
        if len(inputs) > 1:
            warnings.warn(
                f"this execution has inputs for {len(inputs)} nodes; a service of "
                "runtime 0.4 uses one of them, and not always the same: give one "
                "input, or use a stream",
                stacklevel=3,
            )
        request = ExecuteRequest(
            manifest=checked, data_inputs=inputs, client_version=VERSION
        )
        if limits is not None:
            request.resource_limits = recast(checked_limits(limits), ResourceLimits)
        return request

    def error_of(self, response: ExecuteResponse) -> v1.ErrorResponse | None:
        """Return the error in place of a result."""
        outcome = response.which_oneof("outcome")
        if outcome == "result":
            return None
        if outcome == "error":
            return error_of(response.error)
        return v1.ErrorResponse(
            message="the service answered with neither a result nor an error"
        )

    def result_of(self, response: ExecuteResponse) -> ExecutionResult:
        """Return the result."""
        return ExecutionResult(response.result)

    def init_request(
        self,
        manifest: AnyManifest,
        data_inputs: Mapping[str, object] | None,
        expected_chunk_size: int,
        limits: v1.ResourceLimits | None,
    ) -> StreamRequest:
        """Make the request that opens a session."""
        checked = self.manifest(manifest)
        if any(node.id == _STATUS for node in checked.nodes):
            raise RemoteMediaError(
                f"a node has the id {_STATUS!r}, under which a service reports how far "
                "it is with loading: its results could not be told from that",
                error_type=v1.ErrorType.VALIDATION,
                failing_node_id=_STATUS,
            )
        init = StreamInit(
            manifest=checked,
            data_inputs=_data_inputs_of(checked, data_inputs),
            client_version=VERSION,
            expected_chunk_size=expected_chunk_size,
        )
        if limits is not None:
            init.resource_limits = recast(checked_limits(limits), ResourceLimits)
        return StreamRequest(init=init)

    def payload(self, value: object, where: str) -> Payload:
        """Check a value of any kind."""
        if isinstance(value, v1.AudioBuffer):
            buffer = check_audio(value, where)
            size = len(buffer.samples) + _AUDIO_ENVELOPE_BYTES
            return DataBuffer(audio=to_wire_audio(buffer)), size, buffer.duration
        data = to_buffer(value, where)
        return data, len(data), None

    def chunk_request(
        self, node_id: str, content: DataBuffer, sequence: int, timestamp_ms: int
    ) -> StreamRequest:
        """Make the request that sends a chunk."""
        return StreamRequest(
            data_chunk=DataChunk(
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
        if field == "result":
            text = _loading_text(response.result)
            if text is not None:
                return Event.LOADING, text
            return Event.RESULT, ChunkResult(response.result)
        if field == "ready":
            return Event.READY, recast(response.ready, v1.StreamReady)
        if field == "metrics":
            return Event.METRICS, recast(response.metrics, v1.StreamMetrics)
        if field == "closed":
            return Event.CLOSED, recast(response.closed, v1.StreamClosed)
        if field == "error":
            return Event.ERROR, error_of(response.error)
        return Event.NOTHING, None

    def result_bytes(self, result: ChunkResult) -> int:
        """The size of a result, whatever it holds."""
        return len(result.message)


def _data_inputs_of(
    manifest: PipelineManifest, inputs: Mapping[str, object] | None
) -> dict[str, DataBuffer]:
    """Check the data for the nodes of a manifest.

    A ``str`` is JSON text here, as it is on the audio contract.
    """
    return {
        node_id: to_buffer(value, f"data_inputs[{node_id!r}]", str_is_json=True)
        for node_id, value in by_node(manifest, "data_inputs", inputs).items()
    }


def _as_f32(buffer: DataBuffer) -> DataBuffer:
    """The same value, audio as F32."""
    if buffer.which_oneof("data_type") != "audio":
        return buffer
    audio = buffer.audio
    converted = audio.to_format(AudioFormat.F32)
    if audio.metadata_json is not None:
        converted.metadata_json = audio.metadata_json
    return DataBuffer(audio=converted, metadata=buffer.metadata)


def _loading_text(result: ChunkMessage) -> str | None:
    """The report of a result that is one of loading, and of no chunk."""
    outputs = result.data_outputs
    if _STATUS not in outputs or len(outputs) > 1:
        return None
    report = outputs[_STATUS]
    if report.which_oneof("data_type") != "text":
        return ""
    # It is for people to read, and no reason to fail.
    return report.text.text_data.decode(errors="replace")
